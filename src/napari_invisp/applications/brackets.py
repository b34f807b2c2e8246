"""A bracket of plain JPEGs, merged: what one can do without RAW."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from napari_invisp.hdr.laplacian import smooth_step
from napari_invisp.hdr.merging import Merged, moved
from napari_invisp.linear import linear_from_codes

# Codes where a picture begins to count less, and where it no longer counts.
_FULL, _NONE = 235.0, 253.0
# What the brightest codes of the shortest exposure count: there are no others.
_LAST_RESORT = np.float32(1e-6)
# Side of the square around a pixel whose brightest code says how far it is to be trusted: what was
# clipped reaches as far through demosaicing.
_SIDE = 5
# Rows that are worked on at a time.
_BAND = 128


def merged_pictures(pictures: Sequence[NDArray[np.uint8]], merged: Merged) -> NDArray[np.float32]:
    """Merge pictures whose gamma is known, each pixel weighted by what its code tells of light.

    JPEG errs by about as much in every code, so light that is told by a steep part of the curve is
    less certain: w = v·t²/s² for exposure t and slope s, v falling to 0 towards white. Exposures
    and shifts are those that were found in the RAW files, for the pictures' good.

    Parameters
    ----------
    pictures
        ``(H, W, 3)`` uint8 sRGB, one for each frame.
    merged
        What the original RAW files were merged into.

    Returns
    -------
    numpy.ndarray
        ``(H, W, 3)`` float32 linear sRGB, 1 at white of the reference frame.
    """
    codes = np.arange(256, dtype=np.uint8)
    levels = linear_from_codes(codes)
    certainty = (1 / np.gradient(levels) ** 2).astype(np.float32)
    trust = 1 - smooth_step(codes.astype(np.float32), _FULL, _NONE)
    exposures = [
        exposure if measured is None else measured
        for exposure, measured in zip(merged.exposures, merged.measured, strict=True)
    ]
    shortest = int(np.argmin(exposures))
    total = np.zeros(pictures[0].shape, np.float32)
    weights = np.zeros(pictures[0].shape, np.float32)
    for number, picture in enumerate(pictures):
        shift = merged.shifts[number]
        placed = moved(picture, shift) if any(shift) else picture
        brightest = cv2.dilate(placed.max(axis=2), np.ones((_SIDE, _SIDE), np.uint8))
        time = np.float32(2 ** exposures[number])
        for top in range(0, len(placed), _BAND):
            rows = slice(top, top + _BAND)
            band = placed[rows]
            sound = trust[brightest[rows]]
            if number == shortest:
                sound = np.maximum(sound, _LAST_RESORT)
            weight = sound[..., None] * certainty[band] * time**2
            weights[rows] += weight
            total[rows] += weight * levels[band] / time
    total /= weights
    return total
