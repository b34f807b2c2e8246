"""Where a camera's channels saturate, as the frame itself shows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_invisp.sensor.record import RawRecord

# A wall: the highest level holds at least so many sites, such a share of them, and so many times
# more than the levels just below it hold on average.
_SITES = 20
_SHARE = 1e-5
_TIMES = 4.0
_LEVELS_BELOW = 32
# Less than this share of white is no saturation, whatever the histogram looks like.
_LEAST = 0.8


def saturation(record: RawRecord) -> NDArray[np.float64]:
    """Find where each channel saturates.

    The white level of a file is often beside the truth: data may go beyond it, and some channels
    may stop short of it. Where the histogram of a channel ends at a wall, that wall is its
    saturation; elsewhere the white level is, or the largest sample beyond it.

    Returns
    -------
    numpy.ndarray
        ``(3,)`` float64 for R, G, B, black 0, the file's white level 1.
    """
    found = np.zeros(3)
    for row in (0, 1):
        for column in (0, 1):
            sites = record.mosaic[row::2, column::2]
            black = record.black[row, column]
            highest = int(sites.max())
            level = (highest - black) / (record.white - black)
            if level < 1 and not (level >= _LEAST and _is_wall(sites, highest)):
                level = 1.0
            channel = record.channels[row, column]
            found[channel] = max(found[channel], level)
    return found


def _is_wall(sites: NDArray[np.uint16], highest: int) -> bool:
    counts = np.bincount(sites.ravel())
    if counts[highest] < max(_SITES, _SHARE * sites.size):
        return False
    below = counts[:highest]
    filled = below[below > 0][-_LEVELS_BELOW:]  # levels may have gaps between them
    return filled.size == 0 or bool(counts[highest] > _TIMES * filled.mean())
