"""Highlights where some channels of the sensor saturate: what was lost, estimated.

After white balance channels end at different levels (LibRaw scales by the smallest multiplier, so
the channel that needs least of it ends first, mostly green). Cutting all of them at the first end
throws away what the others still tell; leaving them as they are turns highlights magenta. Here a
saturated channel is estimated from those that are not, by the colour of what is around it, which is
spread into the saturated part by a pull-push pyramid (Gortler et al., "The Lumigraph", 1996,
section 3.4.1). Where all are about to saturate, colour gives way to neutral at the level of the
last one.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from napari_invisp.errors import SettingsError
from napari_invisp.hdr.laplacian import depth, smooth_step
from napari_invisp.hdr.settings import CLIP, HIGHLIGHTS, RECONSTRUCT
from napari_invisp.linear import linear_srgb
from napari_invisp.sensor.libraw import Step, demosaic_uint16
from napari_invisp.sensor.record import RawRecord
from napari_invisp.sensor.saturation import saturation

Light = NDArray[np.float32]

# Of a channel's saturation: where it begins to be doubted, and where it is taken for lost.
_DOUBTED, _LOST = 0.92, 0.985
# Of the channel that is furthest from its saturation: where colour begins to give way to neutral.
_NEUTRAL = 0.8
# Colours of the surroundings are looked at in blocks of so many pixels, bright ones most.
_BLOCK = 8
_BRIGHT_POWER = 3
# What a level of the pyramid counts against the next finer one where both know the colour.
_FARTHER = 0.1
# The least that a channel may have of a colour's mean: an estimate is not magnified by more.
_LEAST = 0.25
# Rows that are worked on at a time; whole blocks.
_BAND = 64
_TINY = np.float32(1e-6)


def linear_srgb_hdr(
    record: RawRecord, highlights: str = RECONSTRUCT, step: Step | None = None
) -> Light:
    """Develop a RAW to linear light that goes on beyond white.

    Parameters
    ----------
    record
        Any record, recovered ones too.
    highlights
        ``"reconstruct"``, or ``"clip"`` for what :func:`~napari_invisp.linear.linear_srgb` gives.
    step
        Told of progress.

    Returns
    -------
    numpy.ndarray
        ``(H, W, 3)`` float32 linear sRGB, in the sensor's orientation. 1 is where LibRaw's
        rendering is white. Where no channel reaches that, both ways give the same.

    Raises
    ------
    SettingsError
        There is no such way.
    """
    if highlights not in HIGHLIGHTS:
        raise SettingsError(f"highlights {highlights!r} is not one of {', '.join(HIGHLIGHTS)}")
    if highlights == CLIP:
        return linear_srgb(record, step)
    counts, scale = demosaic_uint16(record, step=step)
    gain = np.float32(scale / record.balance.min())
    light = np.empty(counts.shape, np.float32)
    for top in range(0, len(counts), _BAND):
        np.multiply(counts[top : top + _BAND], gain, out=light[top : top + _BAND])
    reconstruct(light, saturation_levels(record))
    to_srgb(light, record)
    return light


def saturation_levels(record: RawRecord) -> NDArray[np.float64]:
    """Return where each channel saturates, ``(3,)``, in light of which 1 is LibRaw's white."""
    levels = saturation(record) * record.balance / record.balance.min()
    return np.asarray(levels)


def to_srgb(light: Light, record: RawRecord) -> None:
    """Turn white-balanced camera RGB into linear sRGB, in place."""
    matrix = record.camera_to_srgb.T.astype(np.float32)
    for top in range(0, len(light), _BAND):
        light[top : top + _BAND] = light[top : top + _BAND] @ matrix


def reconstruct(light: Light, levels: NDArray[np.float64]) -> None:
    """Estimate what channels lost to saturation, in place.

    Parameters
    ----------
    light
        ``(H, W, 3)`` float32, white-balanced camera RGB, neutral where all are equal.
    levels
        ``(3,)`` where each channel saturates.
    """
    ends = levels.astype(np.float32)
    highest = np.array([light[..., channel].max() for channel in range(3)])
    if (highest < _DOUBTED * ends).all():
        return
    colours = _surroundings(light, ends)
    for top in range(0, len(light), _BAND):
        band = light[top : top + _BAND]
        if (band.reshape(-1, 3).max(axis=0) >= _DOUBTED * ends).any():
            _reconstruct_band(band, ends, _enlarged(colours, top, band.shape))


def _reconstruct_band(band: Light, ends: NDArray[np.float32], colours: Light) -> None:
    reached = band / ends
    lost = smooth_step(reached, _DOUBTED, _LOST)
    neutral = smooth_step(reached.min(axis=2), _NEUTRAL, _LOST)
    # Colour of the light, 1 for neutral, and its brightness by the channels that still tell.
    colours += (1 - colours) * neutral[..., None]
    trusted = 1 - lost
    brightness = (trusted * band).sum(axis=2) / np.maximum((trusted * colours).sum(axis=2), _TINY)
    estimate = np.maximum(colours * brightness[..., None], band)
    # Surroundings of another colour must not turn white magenta: green is at least the power mean
    # of red and blue, which is near the lesser of them but for greys.
    red, blue = band[..., 0], band[..., 2]
    fourth = np.maximum(np.square(np.square(red)) + np.square(np.square(blue)), _TINY)
    np.maximum(estimate[..., 1], red * blue * np.sqrt(np.sqrt(2 / fourth)), out=estimate[..., 1])
    band += lost * (estimate - band)
    white = np.maximum(band.max(axis=2), ends.max())
    band += neutral[..., None] * (white[..., None] - band)


def _surroundings(light: Light, ends: NDArray[np.float32]) -> Light:
    """Return the colour of the nearest bright light that is not saturated, a pixel a block.

    ``(rows, columns, 3)`` float32, of which 1 is the mean over the channels.
    """
    height, width = light.shape[:2]
    shape = -(-height // _BLOCK), -(-width // _BLOCK)
    sums = np.empty((*shape, 3), np.float32)
    for top in range(0, height, _BAND):
        band = light[top : top + _BAND]
        sound = 1 - smooth_step((band / ends).max(axis=2), _DOUBTED - 0.1, _DOUBTED)
        weight = sound * np.clip(band[..., 1], 0, 1) ** _BRIGHT_POWER
        missing = ((0, -len(band) % _BLOCK), (0, -width % _BLOCK), (0, 0))
        weighted = np.pad(band * weight[..., None], missing)
        blocks = weighted.reshape(len(weighted) // _BLOCK, _BLOCK, shape[1], _BLOCK, 3)
        sums[top // _BLOCK : top // _BLOCK + len(blocks)] = blocks.mean(axis=(1, 3))
    pyramid = [sums]
    for _ in range(depth(shape)):
        pyramid.append(cv2.pyrDown(pyramid[-1]))
    filled = pyramid[-1] + _TINY  # where nothing is known, neutral
    for level in reversed(pyramid[:-1]):
        size = level.shape[1], level.shape[0]
        filled = level + np.float32(_FARTHER) * cv2.pyrUp(filled, dstsize=size)
    filled /= filled.mean(axis=2, keepdims=True)
    colours: Light = np.maximum(filled, np.float32(_LEAST))
    return colours


def _enlarged(colours: Light, top: int, shape: tuple[int, ...]) -> Light:
    """Interpolate the blocks' colours for the rows of a band that begins at ``top``."""
    height, width = shape[:2]
    step = 1 / _BLOCK
    middle = step / 2 - 0.5
    place = np.array([[step, 0, middle], [0, step, middle + top * step]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    enlarged: Light = cv2.warpAffine(  # type: ignore[assignment]
        colours, place, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    return enlarged
