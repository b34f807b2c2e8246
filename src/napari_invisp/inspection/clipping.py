"""Where a RAW clips: which sites are at or above white, and which at or below black."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_invisp.inspection.statistics import Levels
from napari_invisp.sensor.cfa import channel_sites
from napari_invisp.sensor.record import RawRecord

#: Bits of what clips: R, G and B at or above white, then at or below black.
WHITE_BITS = (1, 2, 4)
BLACK_BITS = (8, 16, 32)

# No level is made from one whose longer side is this or less.
_SMALL = 512


def clipped(record: RawRecord, levels: Levels) -> NDArray[np.uint8]:
    """Tell of each site whether it clips.

    Parameters
    ----------
    record
        The RAW.
    levels
        Of this RAW, or of the original that it was recovered from. A channel clips from
        :attr:`~napari_invisp.inspection.statistics.Levels.clipping` on.

    Returns
    -------
    numpy.ndarray
        ``(H, W)`` uint8: 0, or one of :data:`WHITE_BITS` and :data:`BLACK_BITS`.
    """
    bits = np.zeros(record.mosaic.shape, np.uint8)
    sites = channel_sites(record.pattern).values()
    for (row, column), black, white in zip(sites, levels.black, levels.clipping, strict=True):
        plane = record.mosaic[row::2, column::2]
        channel = record.channels[row, column]
        found = (plane >= white).view(np.uint8) * np.uint8(WHITE_BITS[channel])
        found |= (plane <= black).view(np.uint8) * np.uint8(BLACK_BITS[channel])
        bits[row::2, column::2] = found
    return bits


def clipping_pyramid(bits: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """Build the levels of a multiscale layer that loses no site.

    Each pixel has the bits of all sites that it stands for, and of its 2x2 quad at least: where a
    viewer leaves out every other site, single ones would make false patterns. Viewers leave out
    every other row and column of a level at worst, so marks are two pixels wide or more.

    Parameters
    ----------
    bits
        From :func:`clipped`.

    Returns
    -------
    list of numpy.ndarray
        ``(H, W)`` uint8, then each time half of its sides, rounded up; two levels or more.
    """
    height, width = bits.shape
    part = _halved(bits)
    levels = [part.repeat(2, axis=0).repeat(2, axis=1)[:height, :width], _widened(part)]
    while max(levels[-1].shape) > _SMALL:
        part = _halved(part)
        levels.append(_widened(part))
    return levels


def _halved(bits: NDArray[np.uint8]) -> NDArray[np.uint8]:
    rows = bits[0::2].copy()
    rows[: bits.shape[0] // 2] |= bits[1::2]
    half = rows[:, 0::2].copy()
    half[:, : bits.shape[1] // 2] |= rows[:, 1::2]
    return half


def _widened(bits: NDArray[np.uint8]) -> NDArray[np.uint8]:
    rows = bits.copy()
    rows[1:] |= bits[:-1]
    wide = rows.copy()
    wide[:, 1:] |= rows[:, :-1]
    return wide
