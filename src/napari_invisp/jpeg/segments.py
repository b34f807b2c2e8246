"""The marker segments of a JPEG file: taking one apart, and putting it together with more."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import takewhile
from typing import NoReturn, Self

import numpy as np
from numpy.typing import NDArray

from napari_invisp.errors import CapsuleError, InvispError
from napari_invisp.jpeg.tables import ZIGZAG

SOI, EOI, SOS, DQT, APP0 = 0xD8, 0xD9, 0xDA, 0xDB, 0xE0
#: Most bytes that one segment can hold: its 16-bit length counts itself.
MAX_PAYLOAD = 65533
EXIF_IDENTIFIER = b"Exif\0\0"
ICC_IDENTIFIER = b"ICC_PROFILE\0"

_START = bytes((0xFF, SOI))
_END = bytes((0xFF, EOI))
_WITHOUT_LENGTH = {0x01, SOI, *range(0xD0, 0xD8)}  # TEM, SOI, RST0 … RST7
_START_OF_FRAME = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # but DHT, JPG, DAC


@dataclass(frozen=True)
class Segment:
    """One marker with its payload.

    Attributes
    ----------
    marker
        The byte after 0xFF, such as 0xE1 for APP1.
    payload
        What follows the length, at most :data:`MAX_PAYLOAD` bytes.
    """

    marker: int
    payload: bytes

    def __post_init__(self) -> None:
        if len(self.payload) > MAX_PAYLOAD:
            raise InvispError(
                f"{len(self.payload)} bytes of metadata do not fit a JPEG segment of {MAX_PAYLOAD}"
            )

    def to_bytes(self) -> bytes:
        """Give the segment as it stands in a file."""
        return struct.pack(">BBH", 0xFF, self.marker, len(self.payload) + 2) + self.payload

    def is_application(self, number: int, identifier: bytes = b"") -> bool:
        """Tell whether this is an APPn segment that begins with ``identifier``."""
        return self.marker == APP0 + number and self.payload.startswith(identifier)


@dataclass(frozen=True)
class Component:
    """A colour component of a frame: sampling factors, and the number of its quantization table."""

    horizontal: int
    vertical: int
    table: int


@dataclass(frozen=True)
class Frame:
    """What the start-of-frame segment says: bits a sample, size in pixels, components."""

    precision: int
    width: int
    height: int
    components: tuple[Component, ...]


@dataclass(frozen=True)
class JpegStream:
    """A JPEG file in three parts; ``to_bytes`` joins them again.

    Attributes
    ----------
    segments
        All segments between SOI and the first scan.
    scans
        From the first SOS marker up to, without, EOI. It is not taken apart.
    trailer
        What follows EOI.
    name
        What to call the file in messages.
    """

    segments: tuple[Segment, ...]
    scans: bytes
    trailer: bytes = b""
    name: str = "the JPEG"

    @classmethod
    def parse(cls, data: bytes, name: str = "the JPEG") -> Self:
        """Take a JPEG file apart. Fill bytes between segments are dropped.

        Parameters
        ----------
        data
            The whole file.
        name
            What to call it in messages.

        Raises
        ------
        CapsuleError
            The file is empty, not a JPEG, damaged before its image data, or ends too early.
        """
        if not data:
            raise CapsuleError(f"{name} is empty")
        if not data.startswith(_START):
            raise CapsuleError(f"{name} is not a JPEG file")
        segments = []
        position = len(_START)
        while True:
            if data[position : position + 1] not in (b"\xff", b""):
                raise CapsuleError(f"{name} is damaged at byte {position}: no marker is there")
            start = position
            while data[position : position + 1] == b"\xff":
                position += 1
            if position >= len(data):
                _cut_short(name)
            marker = data[position]
            position += 1
            if marker in _WITHOUT_LENGTH:
                continue
            if marker == SOS:
                break
            if marker in (0, EOI):
                raise CapsuleError(f"{name} is damaged at byte {start}: no image data follow")
            length = int.from_bytes(data[position : position + 2], "big")
            payload = data[position + 2 : position + length]
            if position + max(length, 2) > len(data):
                _cut_short(name)
            if length < 2:
                raise CapsuleError(f"{name} is damaged at byte {start}: a segment has no length")
            segments.append(Segment(marker, payload))
            position += length
        # No EOI can stand in entropy-coded data, where a zero or RSTn follows each 0xFF.
        end = data.find(_END, position)
        if end < 0:
            _cut_short(name)
        trailer = data[end + len(_END) :]
        return cls(tuple(segments), data[position - 2 : end], trailer, name)

    def to_bytes(self) -> bytes:
        """Give the whole file."""
        head = (segment.to_bytes() for segment in self.segments)
        return b"".join((_START, *head, self.scans, _END, self.trailer))

    def with_application(self, added: Iterable[Segment]) -> Self:
        """Return the file with segments added after the JFIF, EXIF and ICC ones that lead it."""
        place = sum(1 for _ in takewhile(_leads, self.segments))
        return replace(self, segments=(*self.segments[:place], *added, *self.segments[place:]))

    def application(self, number: int, identifier: bytes = b"") -> tuple[Segment, ...]:
        """Give the APPn segments that begin with ``identifier``, in file order."""
        return tuple(s for s in self.segments if s.is_application(number, identifier))

    @cached_property
    def frame(self) -> Frame:
        """What the start-of-frame segment says.

        Raises
        ------
        CapsuleError
            There is none, or it is damaged.
        """
        payload = next((s.payload for s in self.segments if s.marker in _START_OF_FRAME), b"")
        if len(payload) < 6 or len(payload) < 6 + 3 * payload[5]:
            raise CapsuleError(f"{self.name} is damaged: its size is not to be found")
        precision, height, width, count = struct.unpack_from(">BHHB", payload)
        if not (height and width and count):
            raise CapsuleError(f"{self.name} is damaged: it says {width}x{height} pixels")
        components = (
            Component(factors >> 4, factors & 15, table)
            for _, factors, table in struct.iter_unpack(">BBB", payload[6 : 6 + 3 * count])
        )
        return Frame(precision, width, height, tuple(components))

    @cached_property
    def tables(self) -> tuple[NDArray[np.int64], ...]:
        """The ``(8, 8)`` int64 quantization table of each component, vertical frequency first.

        Raises
        ------
        CapsuleError
            One is missing or damaged.
        """
        found: dict[int, NDArray[np.int64]] = {}
        for segment in self.segments:
            payload = segment.payload if segment.marker == DQT else b""
            while payload:
                wide, number = payload[0] >> 4, payload[0] & 15
                size = 128 if wide else 64
                entries = np.frombuffer(payload[1 : 1 + size], ">u2" if wide else "u1")
                if len(entries) != 64:
                    raise CapsuleError(f"{self.name} is damaged: a quantization table is cut short")
                table = np.empty(64, np.int64)
                table[ZIGZAG] = entries
                found[number] = table.reshape(8, 8)
                payload = payload[1 + size :]
        try:
            return tuple(found[component.table] for component in self.frame.components)
        except KeyError:
            raise CapsuleError(f"{self.name} is damaged: a quantization table is missing") from None


def _leads(segment: Segment) -> bool:
    return (
        segment.is_application(0)
        or segment.is_application(1, EXIF_IDENTIFIER)
        or segment.is_application(2, ICC_IDENTIFIER)
    )


def _cut_short(name: str) -> NoReturn:
    raise CapsuleError(f"{name} is cut short: its end is missing")
