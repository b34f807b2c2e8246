from __future__ import annotations

import numpy as np
import pytest
from records import make_record

from napari_invisp.inspection.clipping import clipped, clipping_pyramid
from napari_invisp.inspection.statistics import Levels
from napari_invisp.sensor.record import CFA_PATTERNS


@pytest.mark.parametrize("pattern", CFA_PATTERNS)
def test_each_site_says_what_clips_there(pattern: str) -> None:
    record = make_record((33, 47), pattern)
    bits = clipped(record, Levels.of(record))
    for row in range(33):
        for column in range(47):
            value, letter = record.mosaic[row, column], pattern[row % 2 * 2 + column % 2]
            expected = 0
            if value >= record.white:
                expected = {"R": 1, "G": 2, "B": 4}[letter]
            elif value <= record.black[row % 2, column % 2]:
                expected = {"R": 8, "G": 16, "B": 32}[letter]
            assert bits[row, column] == expected
    assert len(np.unique(bits)) == 7


def test_a_channel_that_ends_below_white_clips_there() -> None:
    record = make_record()
    levels = Levels(tuple([64.0] * 4), 3900.0, (3000.0, 3900.0, 4095.0, 3900.0))
    bits = clipped(record, levels)
    red, blue = record.mosaic[::2, ::2], record.mosaic[1::2, 1::2]
    np.testing.assert_array_equal(bits[::2, ::2] == 1, red >= 3000)
    np.testing.assert_array_equal(bits[1::2, 1::2] == 4, blue >= 3900)


@pytest.mark.parametrize("shape", [(2100, 1500), (2101, 1499)])
def test_no_site_is_lost_however_far_one_zooms_out(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(2)
    lone = np.stack([rng.integers(0, n, 40) for n in shape], axis=1)
    bits = np.zeros(shape, np.uint8)
    bits[tuple(lone.T)] = 1 << rng.integers(0, 6, 40)
    levels = clipping_pyramid(bits)
    assert [level.shape for level in levels][:2] == [shape, tuple((n + 1) // 2 for n in shape)]
    assert max(levels[-1].shape) <= 512
    for depth, level in enumerate(levels):
        assert level.dtype == np.uint8
        for row, column in lone:
            top, left = (int(i) >> depth for i in (row, column))
            if depth == 0:
                top, left = top // 2 * 2, left // 2 * 2
            # Whichever row and column of each two a viewer takes.
            window = level[top : top + 2, left : left + 2]
            assert (window & bits[row, column]).all()


def test_nothing_is_marked_where_nothing_clips() -> None:
    assert not any(level.any() for level in clipping_pyramid(np.zeros((700, 900), np.uint8)))
    bits = np.zeros((700, 900), np.uint8)
    bits[101, 203] = 2
    assert [np.count_nonzero(level) for level in clipping_pyramid(bits)] == [4, 4]
