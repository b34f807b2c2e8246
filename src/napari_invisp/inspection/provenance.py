"""What a picture is and how it was made, as files carry it.

A :class:`Provenance` travels as a JSON object with the name and version of its format: in the
DNGPrivateData of a DNG, the ImageDescription of a TIFF, an attribute of an OpenEXR, an iTXt chunk
of a PNG. A JPEG needs none, since its capsule says the same.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import OpenEXR
import tifffile
from PIL import Image

from napari_invisp.jpeg.capsule import Capsule, from_jpeg
from napari_invisp.sensor.dng import read_private
from napari_invisp.sensor.record import RawRecord
from napari_invisp.strictjson import dumps

if TYPE_CHECKING:
    from napari_invisp.pipeline import Recovery

#: Name of the format: of the attribute or chunk that holds it, and of its version in the JSON.
FORMAT = "napari-invisp"
#: Version of the format that is written, and the newest that is read.
VERSION = 1

Figure = int | float | str | bool | None

# DNGPrivateData begins with the name of who wrote it, and a zero (DNG specification 1.7).
_MAKER = FORMAT.encode() + b"\0"
# Bytes of JSON that are looked at.
_MOST = 1 << 20


def _software() -> str:
    return f"napari-invisp {version('napari-invisp')}"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass(frozen=True)
class Provenance:
    """What a picture is and how it was made; ``None`` where that is unknown or makes no sense.

    Attributes
    ----------
    kind
        What it shows: the name of a :class:`~napari_invisp.viewer.layers.Kind` in lower case, such
        as ``recovered_mosaic``.
    source
        Name of the file that it began with, without its folder.
    camera, taken
        What took the picture, and when, in EXIF's form.
    model, headroom, quality, subsampling
        How it was rendered and kept as JPEG.
    side_info, exact
        Of recovered RAW: bytes of side information that were applied, and whether it is from an
        exact archive.
    figures
        By name, such as ``raw_psnr``; those that are infinite become ``None`` in a file.
    values
        What the numbers in the file are, in words.
    software, made
        What wrote it, and when (ISO 8601, UTC).
    """

    kind: str
    source: str | None = None
    camera: str | None = None
    taken: str | None = None
    model: str | None = None
    headroom: float | None = None
    quality: int | None = None
    subsampling: str | None = None
    side_info: int | None = None
    exact: bool | None = None
    figures: Mapping[str, Figure] = field(default_factory=dict)
    values: str | None = None
    software: str | None = field(default_factory=_software)
    made: str | None = field(default_factory=_now)

    @property
    def helped_by(self) -> str:
        """What brought back more of the RAW than the picture does, in words; empty if nothing."""
        if self.exact:
            return "an exact archive"
        return f"{self.side_info:,} bytes of side information" if self.side_info else ""

    def replace(self, **changes: Any) -> Self:
        """Return a copy with some fields changed."""
        return replace(self, **changes)

    def to_json(self) -> str:
        """Return the JSON object, in ASCII."""
        known = {name: value for name, value in asdict(self).items() if value not in (None, {})}
        return dumps({FORMAT: VERSION} | known)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what :meth:`to_json` wrote; names that this version does not know are passed over.

        Raises
        ------
        ValueError
            It is something else, of a newer format, or holds values of the wrong kind.
        """
        try:
            values = json.loads(text)
        except RecursionError as error:
            raise ValueError("it is nested without end") from error
        if not isinstance(values, dict) or FORMAT not in values:
            raise ValueError(f"it does not say that it is of {FORMAT}")
        if type(values[FORMAT]) is not int or not 1 <= values[FORMAT] <= VERSION:
            raise ValueError(f"its format {values[FORMAT]!r} is not known (up to {VERSION})")
        known = {each.name: values[each.name] for each in fields(cls) if each.name in values}
        for name, value in known.items():
            if not _fits(name, value):
                raise ValueError(f"{name} cannot be {value!r}")
        if "kind" not in known:
            raise ValueError("it does not say what kind of picture it is of")
        return cls(**{"software": None, "made": None} | known)

    def to_private(self) -> bytes:
        """Return what a DNG carries: see :func:`~napari_invisp.sensor.dng.encode_dng`."""
        return _MAKER + self.to_json().encode()


def of_recovery(recovery: Recovery, source: Path | str) -> Provenance:
    """Tell where the RAW came from that was recovered from the JPEG file ``source``."""
    record, render = recovery.record, recovery.render
    return Provenance(
        kind="recovered_mosaic",
        source=Path(source).name,
        camera=record.camera or None,
        taken=record.capture.taken,
        model=recovery.model,
        headroom=_checked("headroom", render.get("headroom")),
        quality=recovery.jpeg.quality,
        subsampling=recovery.jpeg.subsampling,
        side_info=recovery.side_info or None,
        exact=recovery.exact or None,
    )


def of_capsule(capsule: Capsule) -> Provenance:
    """Tell what a JPEG shows from the capsule that it carries.

    Raises
    ------
    RawFileError, KeyError
        What it says is damaged.
    """
    header: dict[str, Any] = dict(capsule.header)
    facts = {
        name: value for name, value in header["raw"].items() if name not in ("height", "width")
    }
    record = RawRecord.from_facts(facts, np.zeros((2, 2), np.uint16))
    found = {
        "model": header["model"]["name"],
        "software": header.get("software"),
        **{name: header["render"].get(name) for name in ("headroom", "quality", "subsampling")},
    }
    return Provenance(
        kind="jpeg",
        camera=record.camera or None,
        taken=record.capture.taken,
        made=None,
        **{name: _checked(name, value) for name, value in found.items()},
    )


def recall(path: Path | str) -> Provenance | None:
    """Look up what a file says about itself; the pixels are not read.

    Parameters
    ----------
    path
        Any file.

    Returns
    -------
    Provenance or None
        ``None`` if this program did not write the file, or if it cannot be read.
    """
    path = Path(path)
    look = _CARRIERS.get(path.suffix.lower())
    if look is None:
        return None
    try:
        return look(path)
    except Exception:  # files can be broken in more ways than their readers foresee
        return None


def _of_text(text: Any) -> Provenance | None:
    if not isinstance(text, str) or FORMAT not in text or len(text) > _MOST:
        return None
    return Provenance.from_json(text)


def _of_dng(path: Path) -> Provenance | None:
    private = read_private(path)
    return _of_text(private.removeprefix(_MAKER).decode()) if private.startswith(_MAKER) else None


def _of_tiff(path: Path) -> Provenance | None:
    with tifffile.TiffFile(path) as tiff:
        return _of_text(tiff.pages.first.description)


def _of_exr(path: Path) -> Provenance | None:
    with OpenEXR.File(str(path), header_only=True) as file:
        return _of_text(file.header().get(FORMAT))


def _of_png(path: Path) -> Provenance | None:
    with Image.open(path, formats=["PNG"]) as image:
        return _of_text(image.info.get(FORMAT))


def _of_jpeg(path: Path) -> Provenance | None:
    return of_capsule(from_jpeg(path.read_bytes(), str(path)))


_CARRIERS: dict[str, Callable[[Path], Provenance | None]] = {
    ".dng": _of_dng,
    **dict.fromkeys((".tif", ".tiff"), _of_tiff),
    ".exr": _of_exr,
    ".png": _of_png,
    **dict.fromkeys((".jpg", ".jpeg", ".jpe"), _of_jpeg),
}


def _fits(name: str, value: Any) -> bool:
    """Tell whether a value read from a file may be that of the field ``name``."""
    if name == "figures":
        return isinstance(value, dict) and all(
            each is None or isinstance(each, bool | str) or _is_number(each)
            for each in value.values()
        )
    if value is None:
        return name != "kind"
    if name == "headroom":
        return _is_number(value)
    if name in ("quality", "side_info"):
        return type(value) is int
    if name == "exact":
        return type(value) is bool
    return isinstance(value, str)


def _checked(name: str, value: Any) -> Any:
    return value if _fits(name, value) else None


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)
