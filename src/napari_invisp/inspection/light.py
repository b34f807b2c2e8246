"""Writing linear light as a picture: 8-bit JPEG, 16-bit TIFF, or OpenEXR."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_invisp.files import known_suffix, write_bytes_atomic
from napari_invisp.inspection.exports import (
    EXR_SUFFIXES,
    TIFF_SUFFIXES,
    Values,
    write_exr,
    write_tiff,
)
from napari_invisp.inspection.provenance import Provenance
from napari_invisp.jpeg.codec import JPEG_SUFFIXES, encode_jpeg, srgb_profile
from napari_invisp.jpeg.exif import build_exif
from napari_invisp.linear import codes_from_linear, encoded
from napari_invisp.sensor.record import RawRecord

#: Suffixes of what can be written, the usual ones first.
LIGHT_SUFFIXES = (*JPEG_SUFFIXES, *TIFF_SUFFIXES, *EXR_SUFFIXES)
#: Suffixes of those that end at white.
PICTURE_SUFFIXES = (*JPEG_SUFFIXES, *TIFF_SUFFIXES)

# Nothing is to be recovered from these: they are for looking at, as good as they are.
_QUALITY, _SUBSAMPLING = 95, "4:4:4"
# Rows that are encoded at a time.
_BAND = 64


def light_suffix(path: Path) -> str:
    """Return the suffix that says how light is to be written, lower case.

    Raises
    ------
    OutputError
        It is none of :data:`LIGHT_SUFFIXES`.
    """
    return known_suffix(path, LIGHT_SUFFIXES, "picture")


def write_light(
    path: Path,
    linear: NDArray[np.float32],
    provenance: Provenance,
    record: RawRecord | None = None,
) -> None:
    """Write linear light, in the format that the file's suffix names.

    Parameters
    ----------
    path
        The file to write or replace. JPEG and TIFF are gamma-encoded and end at white, OpenEXR
        holds the light as it is.
    linear
        ``(H, W, 3)`` float32 linear sRGB, upright.
    provenance
        What it shows.
    record
        The RAW that it was made from: a JPEG says how it was taken.

    Raises
    ------
    OutputError
        The suffix is none of these, or the file cannot be written there.
    """
    suffix = light_suffix(path)
    if suffix in EXR_SUFFIXES:
        write_exr(path, Values(linear, "linear light with the primaries of sRGB"), provenance)
    elif suffix in TIFF_SUFFIXES:
        values = Values(_codes_16_bit(linear), "gamma-encoded sRGB, white at 65535", srgb=True)
        write_tiff(path, values, provenance)
    else:
        codes = codes_from_linear(linear)
        exif = _exif(record, provenance)
        write_bytes_atomic(
            path, encode_jpeg(codes, _QUALITY, _SUBSAMPLING, exif=exif, icc=srgb_profile())
        )


def _codes_16_bit(linear: NDArray[np.float32]) -> NDArray[np.uint16]:
    codes = np.empty(linear.shape, np.uint16)
    for top in range(0, len(linear), _BAND):
        rows = slice(top, top + _BAND)
        codes[rows] = np.rint(encoded(np.ascontiguousarray(linear[rows])) * np.float32(65535))
    return codes


def _exif(record: RawRecord | None, provenance: Provenance) -> bytes:
    if record is None:
        return build_exif(software=provenance.software)
    capture = record.capture
    return build_exif(
        make=record.make or None,
        model=record.model or None,
        software=provenance.software,
        **{each.name: getattr(capture, each.name) for each in fields(capture)},
    )
