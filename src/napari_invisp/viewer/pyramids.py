"""Image pyramids by 2x2 means, which napari shows large pictures from."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

# No level is made from one whose longer side is this or less.
_SMALL = 512
# Rows that are averaged at a time, so that what is in work stays in the processor's cache.
_BAND = 64


def pyramid(pixels: NDArray[Any]) -> list[NDArray[Any]]:
    """Build the levels of a multiscale layer.

    Parameters
    ----------
    pixels
        ``(H, W)`` or ``(H, W, C)``, uint8 or uint16, sides of at least 2.

    Returns
    -------
    list of numpy.ndarray
        ``pixels`` itself, then each time half of its sides, rounded down, and of the same type,
        until the longer side is 512 or less.
    """
    levels = [pixels]
    while max(levels[-1].shape[:2]) > _SMALL and min(levels[-1].shape[:2]) > 1:
        levels.append(halved(levels[-1]))
    return levels


def halved(pixels: NDArray[Any]) -> NDArray[Any]:
    """Average blocks of 2x2 pixels, rounding half up; an odd last row or column is left out."""
    wide = np.uint16 if pixels.itemsize == 1 else np.uint32
    height, width = pixels.shape[0] // 2, pixels.shape[1] // 2
    half = np.empty((height, width, *pixels.shape[2:]), pixels.dtype)
    # Channel by channel: numpy is slow where the innermost axis has three elements.
    planes = [...] if pixels.ndim == 2 else [(..., c) for c in range(pixels.shape[2])]
    for top in range(0, height, _BAND):
        bottom = min(top + _BAND, height)
        block = pixels[2 * top : 2 * bottom, : 2 * width]
        sums = np.add(block[0::2], block[1::2], dtype=wide)
        for plane in planes:
            four = sums[:, 0::2][plane] + sums[:, 1::2][plane]
            four += 2
            four >>= 2
            half[top:bottom][plane] = four
    return half
