"""How good a model is on pictures it has not learned from, by way of real JPEG files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from napari_invisp.metrics import raw_psnr, rgb_psnr
from napari_invisp.pipeline import Pipeline
from napari_invisp.settings import RenderSettings
from napari_invisp.training.patch import Picture

#: How the JPEG files are written, as in the paper.
QUALITY, SUBSAMPLING = 90, "4:2:2"

#: What is measured.
FIGURES = ("raw_psnr", "rgb_psnr")


def choose(pictures: Sequence[Picture], count: int) -> list[Picture]:
    """Return at most ``count`` of the pictures, from all over the sequence."""
    count = min(count, len(pictures))
    return [pictures[number * len(pictures) // count] for number in range(count)]


def central(picture: Picture, side: int) -> Picture:
    """Return the middle of a picture, at most ``side`` pixels a side, its CFA in phase."""
    height, width = picture.record.mosaic.shape
    top, left = ((length - min(side, length)) // 4 * 2 for length in (height, width))
    window = slice(top, top + side), slice(left, left + side)
    record = picture.record.replace(mosaic=picture.record.mosaic[window])
    return Picture(picture.name, record, picture.reference[window])


def validate(checkpoint: Path, pictures: Sequence[Picture], device: str) -> dict[str, float]:
    """Render pictures, write them as JPEG files, and recover them.

    Parameters
    ----------
    checkpoint
        The weights.
    pictures
        At least one.
    device
        Where the model runs.

    Returns
    -------
    dict
        Means over the pictures in dB, by :data:`FIGURES`: the recovered RAW against the original
        (see :func:`~napari_invisp.metrics.raw_psnr`), and the rendering before JPEG against the
        reference.
    """
    settings = RenderSettings(
        model=str(checkpoint), device=device, quality=QUALITY, subsampling=SUBSAMPLING
    )
    pipeline = Pipeline(settings)
    raw, rgb = [], []
    for picture in pictures:
        rendering = pipeline.render(picture.record)
        jpeg = pipeline.encode(rendering)
        recovered = pipeline.recover(jpeg, picture.name, str(checkpoint)).record
        raw.append(raw_psnr(picture.record, recovered))
        rgb.append(rgb_psnr(picture.reference, rendering.rgb))
    return dict(zip(FIGURES, (fmean(raw), fmean(rgb)), strict=True))
