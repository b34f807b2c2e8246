"""Saving what was made of linear light, in full: JPEG, 16-bit TIFF, OpenEXR."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_invisp.inspection.light import write_light
from napari_invisp.inspection.provenance import Provenance
from napari_invisp.pictures import turned_upright
from napari_invisp.tiling import Watcher
from napari_invisp.viewer.layers.provenance import plain_settings
from napari_invisp.viewer.work.previewing import Sheet


@dataclass(frozen=True)
class LookFile:
    """A kind of file that a retouched or tone-mapped picture can be saved as.

    Attributes
    ----------
    name, short
        What people choose, and what a button calls it.
    suffix
        Of the file, by which it is written.
    """

    name: str
    short: str
    suffix: str

    @property
    def filter(self) -> str:
        """What a file dialog calls it."""
        return f"{self.name} (*{self.suffix})"


JPEG = LookFile("JPEG, 8 bit", "JPEG", ".jpg")
TIFF = LookFile("TIFF, 16 bit", "TIFF", ".tif")
EXR = LookFile("OpenEXR, linear", "EXR", ".exr")


def write_look(path: Path, sheet: Sheet, settings: Any) -> None:
    """Make the whole frame of a source by these settings, and write it upright.

    Raises
    ------
    OutputError
        The file cannot be written there.
    """
    source, raw = sheet.source, sheet.source.raw
    light = np.empty((*source.shape, 3), np.float32)
    for part, piece in sheet.pieces(settings, Watcher()):
        light[part] = piece
    provenance = Provenance(
        kind=sheet.look.kind.name.lower(),
        source=source.file.name if source.file is not None else None,
        camera=(raw.camera or None) if raw is not None else None,
        taken=raw.capture.taken if raw is not None else None,
        figures=plain_settings(settings),
    )
    write_light(path, turned_upright(light, source.orientation), provenance, raw)
