"""Image pyramids by 2x2 means, which napari shows large pictures from."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

# No level is made from one whose longer side is this or less.
_SMALL = 512
# Rows that are averaged at a time, so that what is in work stays in the processor's cache.
_BAND = 64

#: Makes a level from the one before.
Reduction = Callable[[NDArray[Any]], NDArray[Any]]


def halved(pixels: NDArray[Any]) -> NDArray[Any]:
    """Average blocks of 2x2 pixels; an odd last row or column is left out.

    Integers are rounded half up.
    """
    whole = pixels.dtype.kind != "f"
    wide = (np.uint16 if pixels.itemsize == 1 else np.uint32) if whole else pixels.dtype
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
            if whole:
                four += 2
                four >>= 2
            else:
                four *= 0.25
            half[top:bottom][plane] = four
    return half


def peaks(pixels: NDArray[Any]) -> NDArray[Any]:
    """Take the largest of 2x2 pixels, so that one of them is seen from afar; otherwise as halved.

    Parameters
    ----------
    pixels
        ``(H, W)``.
    """
    block = pixels[: pixels.shape[0] // 2 * 2, : pixels.shape[1] // 2 * 2]
    rows = np.maximum(block[0::2], block[1::2])
    return np.maximum(rows[:, 0::2], rows[:, 1::2])


def pyramid(pixels: NDArray[Any], reduction: Reduction = halved) -> list[NDArray[Any]]:
    """Build the levels of a multiscale layer.

    Parameters
    ----------
    pixels
        ``(H, W)`` or ``(H, W, C)``, uint8, uint16 or float32, sides of at least 2.
    reduction
        :func:`halved` or :func:`peaks`.

    Returns
    -------
    list of numpy.ndarray
        ``pixels`` itself, then each time half of its sides, rounded down, and of the same type,
        until the longer side is 512 or less.
    """
    levels = [pixels]
    for _ in shapes(pixels.shape)[1:]:
        levels.append(reduction(levels[-1]))
    return levels


def shapes(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Return the shapes of the levels of a pyramid over a picture of this shape."""
    found = [shape]
    while max(found[-1][:2]) > _SMALL and min(found[-1][:2]) > 1:
        height, width, *channels = found[-1]
        found.append((height // 2, width // 2, *channels))
    return found


def rebuild(
    levels: list[NDArray[Any]], rows: slice, columns: slice, reduction: Reduction = halved
) -> None:
    """Bring the upper levels up to date, in place, where level 0 has changed."""
    top, left, bottom, right = rows.start, columns.start, rows.stop, columns.stop
    for lower, upper in pairwise(levels):
        top, left, bottom, right = top // 2, left // 2, -(-bottom // 2), -(-right // 2)
        block = reduction(lower[2 * top : 2 * bottom, 2 * left : 2 * right])
        upper[top : top + block.shape[0], left : left + block.shape[1]] = block
