"""Saving what was made of linear light, in full: JPEG, 16-bit TIFF, OpenEXR."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_invisp.files import write_bytes_atomic
from napari_invisp.inspection import exports
from napari_invisp.inspection.provenance import Provenance
from napari_invisp.jpeg.codec import encode_jpeg, srgb_profile
from napari_invisp.linear import codes_from_linear, encoded
from napari_invisp.pictures import upright
from napari_invisp.tiling import Watcher
from napari_invisp.viewer.work.looks import Light
from napari_invisp.viewer.work.previewing import Sheet

# Of a JPEG that is to be looked at and passed on, not inverted.
_QUALITY, _SUBSAMPLING = 95, "4:4:4"


@dataclass(frozen=True)
class LookFile:
    """A kind of file that a retouched or tone-mapped picture can be saved as.

    Attributes
    ----------
    name, short
        What people choose, and what a button calls it.
    suffix
        Of the file.
    write
        Writes upright light, ``(H, W, 3)`` linear sRGB, and where it came from.
    """

    name: str
    short: str
    suffix: str
    write: Callable[[Path, Light, Provenance], None]

    @property
    def filter(self) -> str:
        """What a file dialog calls it."""
        return f"{self.name} (*{self.suffix})"


def write_look(path: Path, sheet: Sheet, settings: Any, file: LookFile) -> None:
    """Make the whole frame of a source by these settings, and write it upright.

    Raises
    ------
    OutputError
        The file cannot be written there.
    """
    source = sheet.source
    light = np.empty((*source.shape, 3), np.float32)
    for part, piece in sheet.pieces(settings, Watcher()):
        light[part] = piece
    raw = source.raw
    provenance = Provenance(
        kind=sheet.look.kind.name.lower(),
        source=source.file.name if source.file is not None else None,
        camera=raw.camera or None if raw is not None else None,
        taken=raw.capture.taken if raw is not None else None,
    )
    file.write(path, light if raw is None else upright(light, raw), provenance)


def _write_jpeg(path: Path, light: Light, provenance: Provenance) -> None:
    codes = codes_from_linear(light)
    jpeg = encode_jpeg(codes, _QUALITY, _SUBSAMPLING, icc=srgb_profile())
    write_bytes_atomic(path, jpeg)


def _write_tiff(path: Path, light: Light, provenance: Provenance) -> None:
    codes = np.rint(encoded(light) * np.float32(65535)).astype(np.uint16)
    exports.write_tiff(path, exports.Values(codes, "gamma-encoded sRGB", srgb=True), provenance)


def _write_exr(path: Path, light: Light, provenance: Provenance) -> None:
    meaning = "linear light with the primaries of sRGB"
    exports.write_exr(path, exports.Values(light, meaning), provenance)


JPEG = LookFile("JPEG, 8 bit", "JPEG", ".jpg", _write_jpeg)
TIFF = LookFile("TIFF, 16 bit", "TIFF", ".tif", _write_tiff)
EXR = LookFile("OpenEXR, linear", "EXR", ".exr", _write_exr)
