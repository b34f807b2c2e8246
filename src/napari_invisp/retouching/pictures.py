"""Retouched light as it is kept in files."""

from __future__ import annotations

from dataclasses import fields
from importlib.metadata import version

import numpy as np
from numpy.typing import NDArray

from napari_invisp.inspection.exports import Values
from napari_invisp.jpeg.codec import encode_jpeg, srgb_profile
from napari_invisp.jpeg.exif import build_exif
from napari_invisp.linear import codes_from_linear, encoded
from napari_invisp.sensor.record import RawRecord

# Rows that are encoded at a time, so that what is in work stays in the processor's cache.
_BAND = 64


def jpeg_of(
    linear: NDArray[np.float32], record: RawRecord, quality: int = 90, subsampling: str = "4:2:2"
) -> bytes:
    """Encode light that stands upright as a JPEG file with an sRGB profile.

    Parameters
    ----------
    linear
        ``(H, W, 3)`` linear sRGB, clipped to white here.
    record
        What its capture EXIF is taken from.
    quality, subsampling
        Of the JPEG.
    """
    exif = build_exif(
        make=record.make or None,
        model=record.model or None,
        software=f"napari-invisp {version('napari-invisp')}",
        **{each.name: getattr(record.capture, each.name) for each in fields(record.capture)},
    )
    codes = codes_from_linear(linear)
    return encode_jpeg(codes, quality, subsampling, exif=exif, icc=srgb_profile())


def sixteen_bit(linear: NDArray[np.float32]) -> Values:
    """Encode light as 16-bit sRGB for :func:`~napari_invisp.inspection.exports.write_tiff`."""
    codes = np.empty(linear.shape, np.uint16)
    for top in range(0, len(linear), _BAND):
        rows = slice(top, top + _BAND)
        codes[rows] = np.rint(encoded(np.ascontiguousarray(linear[rows])) * np.float32(65535))
    return Values(codes, "gamma-encoded sRGB, retouched, white at 65535", srgb=True)
