"""The capsule: what a JPEG carries besides its pixels so that its RAW can be recovered from it.

A capsule is a JSON header and named binary sections. It travels in APP9 segments, each of which
holds::

    identifier  14 bytes  "napari-invisp" and a zero
    major       uint8     version of this format; a reader refuses one newer than its own
    minor       uint8     additions that an older reader can ignore
    index       uint16    of this segment, from 0
    count       uint16    of segments
    total       uint32    bytes of the payload
    checksum    uint32    CRC-32 of major, minor, count, total and the payload
    chunk                 this segment's part of the payload

and the payload is::

    length      uint32    of the header
    header                zlib-compressed UTF-8 JSON object
    for each section: uint16 length of the name, UTF-8 name, uint32 length, bytes

all big-endian. Reading one trusts nothing: it parses JSON and never runs code, and bounds every
size.
"""

from __future__ import annotations

import json
import math
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn, cast

import numpy as np
from numpy.typing import NDArray

from napari_invisp.errors import CapsuleError
from napari_invisp.jpeg.segments import MAX_PAYLOAD, JpegStream, Segment

#: Version of the format that this module writes.
MAJOR, MINOR = 1, 0
#: Most bytes of JSON that a header may unfold to.
MAX_HEADER = 1 << 24
#: Where :func:`embed` puts the fingerprint of the coding in the header.
CODING_KEY = "jpeg"

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

_APPLICATION = 9  # unused by cameras and common programs
_IDENTIFIER = b"napari-invisp\0"
_PREFIX = struct.Struct(">BBHHII")
_CHECKED = struct.Struct(">BBHI")
_ROOM = MAX_PAYLOAD - len(_IDENTIFIER) - _PREFIX.size


@dataclass(frozen=True)
class Capsule:
    """What is needed to recover a RAW from the JPEG that holds it.

    Attributes
    ----------
    header
        JSON values by name. The name ``"jpeg"`` belongs to :func:`embed`.
    sections
        Bytes by name.
    """

    header: Mapping[str, Json]
    sections: Mapping[str, bytes] = field(default_factory=dict)

    def numbers(self, key: str, shape: tuple[int, ...] = ()) -> NDArray[np.float64]:
        """Return numbers of the header, checked.

        Parameters
        ----------
        key
            Name of a number, or of nested lists of numbers.
        shape
            The shape that they must have; ``()`` for a single number.

        Returns
        -------
        numpy.ndarray
            Finite float64 of that shape.

        Raises
        ------
        CapsuleError
            They are missing, not numbers, not finite, or of another shape.
        """
        try:
            values = np.asarray(self.header[key])
            # Booleans and text are no numbers; integers beyond 64 bits become objects.
            if values.dtype.kind in "iuf" and values.shape == shape and np.isfinite(values).all():
                return values.astype(np.float64)
        except (KeyError, ValueError, OverflowError):
            pass
        kind = f"finite numbers of shape {shape}" if shape else "a finite number"
        raise CapsuleError(f"the capsule is unusable: its {key!r} should be {kind}")


@dataclass(frozen=True)
class Resaved:
    """How a JPEG's coding differs from what was written; its text is one clear sentence.

    Attributes
    ----------
    requantized
        Its quantization tables differ.
    resampled
        Its chroma subsampling differs.
    """

    requantized: bool
    resampled: bool

    def __str__(self) -> str:
        changes = {"quality": self.requantized, "chroma subsampling": self.resampled}
        changed = " and ".join(name for name, differs in changes.items() if differs)
        return (
            f"the JPEG has been saved again {f'with another {changed} ' if changed else ''}"
            "since it was rendered, so the recovered RAW is less faithful"
        )


def to_segments(capsule: Capsule) -> list[Segment]:
    """Write a capsule as the segments that a JPEG file carries.

    Parameters
    ----------
    capsule
        The header must be JSON with finite numbers (lists come back for tuples), of at most
        :data:`MAX_HEADER` bytes.

    Returns
    -------
    list of Segment
        In order, at least one.

    Raises
    ------
    CapsuleError
        The capsule is too large.
    """
    text = json.dumps(dict(capsule.header), allow_nan=False, separators=(",", ":")).encode()
    if len(text) > MAX_HEADER:
        raise CapsuleError(f"a capsule header of {len(text)} bytes is larger than {MAX_HEADER}")
    header = zlib.compress(text, 9)
    parts = [struct.pack(">I", len(header)), header]
    for name, content in capsule.sections.items():
        label = name.encode()
        parts += [struct.pack(">H", len(label)), label, struct.pack(">I", len(content)), content]
    payload = b"".join(parts)
    chunks = [payload[start : start + _ROOM] for start in range(0, len(payload), _ROOM)]
    count, total = len(chunks), len(payload)
    if count > 0xFFFF:
        raise CapsuleError(f"a capsule of {total} bytes does not fit a JPEG")
    checksum = _checksum(MAJOR, MINOR, count, payload)
    return [
        Segment(
            0xE0 + _APPLICATION,
            _IDENTIFIER + _PREFIX.pack(MAJOR, MINOR, index, count, total, checksum) + chunk,
        )
        for index, chunk in enumerate(chunks)
    ]


def embed(jpeg: bytes, capsule: Capsule) -> bytes:
    """Put a capsule into a JPEG file, in place of any that is there.

    The pixels stay as they are. The header gets :func:`coding_fingerprint` of the file under
    ``"jpeg"``, so that :func:`check_coding` can tell later whether somebody has saved the file
    again.

    Parameters
    ----------
    jpeg
        The whole file.
    capsule
        What it shall carry.

    Returns
    -------
    bytes
        The whole file with the capsule.

    Raises
    ------
    CapsuleError
        ``jpeg`` is not a JPEG, or the capsule is too large.
    """
    stream = JpegStream.parse(jpeg)
    header = {**capsule.header, CODING_KEY: cast(Json, _fingerprint(stream))}
    others = tuple(s for s in stream.segments if not s.is_application(_APPLICATION, _IDENTIFIER))
    added = to_segments(replace(capsule, header=header))
    return replace(stream, segments=others).with_application(added).to_bytes()


def carries_capsule(stream: JpegStream) -> bool:
    """Tell whether a JPEG file carries a capsule, sound or not."""
    return bool(stream.application(_APPLICATION, _IDENTIFIER))


def from_jpeg(data: bytes, name: str = "the JPEG") -> Capsule:
    """Read the capsule that a JPEG file carries.

    Parameters
    ----------
    data
        The whole file.
    name
        What to call it in messages.

    Raises
    ------
    CapsuleError
        It is not a JPEG, carries no capsule, a broken one, or one of a newer format.
    """
    segments = JpegStream.parse(data, name).application(_APPLICATION, _IDENTIFIER)
    if not segments:
        raise CapsuleError(
            f"{name} carries no RAW capsule, so no RAW can be recovered from it: either "
            "napari-invisp did not write it, or a program that saved it since dropped the capsule"
        )
    chunks: dict[int, bytes] = {}
    facts = set()
    for segment in segments:
        content = segment.payload[len(_IDENTIFIER) :]
        if content and content[0] > MAJOR:
            raise CapsuleError(
                f"the RAW capsule of {name} has format {content[0]}, which needs a newer "
                f"napari-invisp (this one reads up to {MAJOR})"
            )
        if len(content) < _PREFIX.size:
            _broken(name, "a segment is cut short")
        major, minor, index, *rest = _PREFIX.unpack_from(content)
        facts.add((major, minor, *rest))
        chunks[index] = content[_PREFIX.size :]
    if len(facts) != 1:
        _broken(name, "its segments contradict each other")
    ((major, minor, count, total, checksum),) = facts
    if len(segments) != count or sorted(chunks) != list(range(count)):
        _broken(name, f"{len(chunks)} of its {count} segments are there")
    payload = b"".join(chunks[index] for index in range(count))
    if len(payload) != total or _checksum(major, minor, count, payload) != checksum:
        _broken(name, "its checksum does not match")
    try:
        return _decode(payload)
    # What json raises for nesting without end is no ValueError.
    except (ValueError, RecursionError, zlib.error, struct.error) as error:
        raise CapsuleError(f"the RAW capsule of {name} cannot be decoded: {error}") from error


def coding_fingerprint(data: bytes) -> dict[str, Json]:
    """Describe how a JPEG file codes its image, whatever metadata it carries.

    Parameters
    ----------
    data
        The whole file.

    Returns
    -------
    dict
        ``width``, ``height``, ``sampling`` (horizontal and vertical factor of each component),
        ``tables`` and ``scans`` (CRC-32 of the quantization tables and of the image data).

    Raises
    ------
    CapsuleError
        It is not a JPEG, or damaged.
    """
    return _fingerprint(JpegStream.parse(data))


def check_coding(capsule: Capsule, data: bytes, name: str = "the JPEG") -> Resaved | None:
    """Tell whether a JPEG still holds the image that its capsule was made for.

    A square image that was turned, and any image that was turned by 180° or mirrored, keeps its
    size and cannot be told from one saved again.

    Parameters
    ----------
    capsule
        As :func:`from_jpeg` gives it.
    data
        The file that it came from.
    name
        What to call it in messages.

    Returns
    -------
    Resaved or None
        ``None`` if the image data are unchanged; else what differs. The RAW can be recovered, less
        faithfully.

    Raises
    ------
    CapsuleError
        The image has another size now, or the capsule does not say what was written.
    """
    now = _fingerprint(JpegStream.parse(data, name))
    written = capsule.header.get(CODING_KEY)
    if not isinstance(written, dict) or not now.keys() <= written.keys():
        raise CapsuleError(f"the RAW capsule of {name} does not say how its JPEG was coded")
    sizes = [f"{facts['width']}x{facts['height']}" for facts in (written, now)]
    if sizes[0] != sizes[1]:
        raise CapsuleError(
            f"{name} has been resized, cropped or rotated from {sizes[0]} to {sizes[1]} pixels "
            "since it was rendered; only the original can be turned back into RAW"
        )
    if all(written[key] == now[key] for key in now):
        return None
    return Resaved(
        requantized=written["tables"] != now["tables"],
        resampled=written["sampling"] != now["sampling"],
    )


def _fingerprint(stream: JpegStream) -> dict[str, Json]:
    frame = stream.frame
    tables = b"".join(table.astype(">u2").tobytes() for table in stream.tables)
    return {
        "width": frame.width,
        "height": frame.height,
        "sampling": [[c.horizontal, c.vertical] for c in frame.components],
        "tables": zlib.crc32(tables),
        "scans": zlib.crc32(stream.scans),
    }


def _checksum(major: int, minor: int, count: int, payload: bytes) -> int:
    return zlib.crc32(payload, zlib.crc32(_CHECKED.pack(major, minor, count, len(payload))))


def _broken(name: str, why: str) -> NoReturn:
    raise CapsuleError(f"the RAW capsule of {name} is broken: {why}")


def _decode(payload: bytes) -> Capsule:
    position = 0

    def take(size: int) -> bytes:
        nonlocal position
        position += size
        if position > len(payload):
            raise ValueError("it ends too early")
        return payload[position - size : position]

    def number(form: str) -> int:
        (value,) = struct.unpack(form, take(struct.calcsize(form)))
        return int(value)

    header = _header(take(number(">I")))
    sections: dict[str, bytes] = {}
    while position < len(payload):
        name = take(number(">H")).decode()
        sections[name] = take(number(">I"))
    return Capsule(header, sections)


def _header(compressed: bytes) -> dict[str, Json]:
    unfold = zlib.decompressobj()
    text = unfold.decompress(compressed, MAX_HEADER + 1)
    if not unfold.eof:
        raise ValueError("its header is cut short or too long")
    header: Any = json.loads(text, parse_float=_finite, parse_constant=_finite)
    if not isinstance(header, dict):
        raise ValueError("its header is not a JSON object")
    return header


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is not a finite number")
    return value
