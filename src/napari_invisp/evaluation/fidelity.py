"""How far a rendering is from LibRaw's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_invisp.jpeg.codec import decode_jpeg, encode_jpeg
from napari_invisp.metrics import rgb_psnr, rgb_ssim
from napari_invisp.pipeline import Rendering
from napari_invisp.sensor.libraw import reference_srgb, reference_srgb_file
from napari_invisp.sensor.record import RawRecord


@dataclass(frozen=True)
class RgbFidelity:
    """How far a picture is from LibRaw's rendering of the same file.

    Attributes
    ----------
    rgb_psnr, rgb_ssim
        The rendering, 8 bit, before JPEG. In dB; up to 1.
    rgb_psnr_jpeg
        dB after JPEG, the reference having gone through the same codec settings.
    """

    rgb_psnr: float
    rgb_ssim: float
    rgb_psnr_jpeg: float


def rgb_psnr_through_jpeg(
    reference: NDArray[np.uint8], jpeg: bytes, quality: int, subsampling: str
) -> float:
    """PSNR between a decoded JPEG and the reference after the same codec settings.

    Parameters
    ----------
    reference
        ``(H, W, 3)`` uint8 reference sRGB.
    jpeg
        The rendering's file.
    quality, subsampling
        What it was written with.
    """
    coded = encode_jpeg(reference, quality, subsampling)
    return rgb_psnr(decode_jpeg(coded).rgb, decode_jpeg(jpeg).rgb)


def reference_of(path: Path, record: RawRecord) -> NDArray[np.uint8]:
    """Return LibRaw's rendering of a RAW file, ``(H, W, 3)`` uint8, pixel for pixel as the record.

    The record may be a part of the file.

    Raises
    ------
    RawFileError
        LibRaw cannot develop the file.
    """
    rgb = reference_srgb_file(path)
    if rgb.shape[:2] == record.mosaic.shape:
        return rgb
    # Only a part is wanted, or LibRaw has stretched it, since the sensor's pixels are oblong.
    return reference_srgb(record)


def compare_rgb(path: Path, rendering: Rendering, jpeg: bytes) -> RgbFidelity:
    """Compare a rendering and its JPEG with LibRaw's rendering of the RAW file.

    Parameters
    ----------
    path
        The RAW file that was rendered.
    rendering, jpeg
        What became of it, with the quality and subsampling of ``rendering.settings``.

    Raises
    ------
    RawFileError
        LibRaw cannot develop the file.
    """
    reference = reference_of(path, rendering.record)
    settings = rendering.settings
    return RgbFidelity(
        rgb_psnr=rgb_psnr(reference, rendering.rgb),
        rgb_ssim=rgb_ssim(reference, rendering.rgb),
        rgb_psnr_jpeg=rgb_psnr_through_jpeg(
            reference, jpeg, settings.quality, settings.subsampling
        ),
    )
