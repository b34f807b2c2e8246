"""Comparing RAW files, in figures and in pictures; no model is needed for it."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from napari_invisp.files import write_bytes_atomic
from napari_invisp.metrics import RawFidelity, compare_raw
from napari_invisp.pictures import bilinear_picture, encode_png, error_map
from napari_invisp.sensor.reading import read_raw
from napari_invisp.sensor.record import RawRecord


def compare_files(original: Path, recovered: Path) -> dict[str, Any]:
    """Compare two RAW files of one scene."""
    first, second = read_raw(original), read_raw(recovered)
    figures = compare_raw(first, second)
    return {
        "raw": str(original),
        "recovered": str(recovered),
        **compared(first, second, figures),
    }


def compared(first: RawRecord, second: RawRecord, figures: RawFidelity) -> dict[str, Any]:
    """Return what is said about two RAW frames, besides what they are called."""
    notes = []
    if math.inf in (figures.raw_psnr, figures.raw_psnr_linear):
        notes.append("a PSNR without any difference is infinite, and null in JSON")
    if max(np.abs(first.black - second.black).max(), abs(first.white - second.white)) > 0.5:
        notes.append("the files differ in black or white level")
    return {
        "width": first.width,
        "height": first.height,
        "bit_depth": first.bit_depth,
        "range": round(first.white - first.black.min()),
        **asdict(figures),
        "note": "; ".join(notes) or None,
    }


def draw_pictures(original: Path, recovered: Path, folder: Path) -> dict[str, Any]:
    """Write bilinear pictures of two RAW files and a map of their differences as PNG files."""
    first, second = read_raw(original), read_raw(recovered)
    errors, white = error_map(first, second)
    pictures = {
        "original": bilinear_picture(first),
        "recovered": bilinear_picture(second),
        "error": errors,
    }
    paths = {name: folder / f"{original.stem}-{name}.png" for name in pictures}
    for name, picture in pictures.items():
        write_bytes_atomic(paths[name], encode_png(picture))
    return {name: str(path) for name, path in paths.items()} | {"error_white_dn": white}
