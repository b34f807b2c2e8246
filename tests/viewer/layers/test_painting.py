from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from records import make_smooth_record

from napari_invisp.pictures import bilinear_codes
from napari_invisp.tiling import Tile, tiles
from napari_invisp.viewer.layers.painting import Painting, paint_bilinear
from napari_invisp.viewer.layers.pyramids import pyramid


@given(st.integers(2, 1300), st.integers(2, 1300), st.integers(0, 9))
def test_a_picture_painted_in_parts_is_the_whole_one(height: int, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    picture = rng.integers(0, 255, (height, width, 3), np.uint8)
    painting = Painting.blank(picture.shape, np.uint8)
    pieces = tiles(height, width, 400, 0)
    for n in rng.permutation(len(pieces)):
        part = pieces[n].rows, pieces[n].columns
        painting.paint(part, picture[part])
    assert painting.fresh
    for painted, expected in zip(painting.levels, pyramid(picture), strict=True):
        np.testing.assert_array_equal(painted, expected)


@pytest.mark.parametrize("pattern", ["RGGB", "GBRG"])
def test_bilinear_pictures_have_no_seams(pattern: str) -> None:
    record = make_smooth_record((600, 331), pattern)
    mosaic = np.zeros_like(record.mosaic)
    filling = record.replace(mosaic=mosaic)
    mosaic = filling.mosaic.base if filling.mosaic.base is not None else mosaic
    painting = Painting.blank((600, 331, 3), np.uint8)
    for tile in reversed(tiles(600, 331, 100, 0)):
        part = tile.rows, tile.columns
        mosaic[part] = record.mosaic[part]
        paint_bilinear(painting, filling, part)
    for painted, expected in zip(painting.levels, pyramid(bilinear_codes(record)), strict=True):
        np.testing.assert_array_equal(painted, expected)


def test_tiles_that_come_at_the_same_time_leave_no_seams() -> None:
    record = make_smooth_record((256, 320), "RGGB")
    expected = bilinear_codes(record)
    for _ in range(5):
        mosaic = Painting.blank(record.mosaic.shape, np.uint16)
        picture = Painting.blank((*record.mosaic.shape, 3), np.uint8)

        def arrive(tile: Tile, mosaic: Painting = mosaic, picture: Painting = picture) -> None:
            part = tile.rows, tile.columns
            mosaic.paint(part, record.mosaic[part])
            paint_bilinear(picture, record.replace(mosaic=mosaic.levels[0]), part)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(arrive, tiles(*record.mosaic.shape, 16, 0)))
        np.testing.assert_array_equal(picture.levels[0], expected)


@pytest.mark.parametrize("factor", [2, 4, 6])
def test_a_sketch_fills_every_level(factor: int) -> None:
    rng = np.random.default_rng(1)
    small = rng.integers(0, 255, (301, 401, 3), np.uint8)
    shape = 301 * factor + 1, 401 * factor + factor - 1, 3
    painting = Painting.blank(shape, np.uint8)
    painting.sketch(small, factor)
    enlarged = small.repeat(factor, 0).repeat(factor, 1)
    np.testing.assert_array_equal(
        painting.levels[0][: enlarged.shape[0], : enlarged.shape[1]], enlarged
    )
    np.testing.assert_array_equal(painting.levels[0][-1, -1], small[-1, -1])
    if factor == 2:
        np.testing.assert_array_equal(painting.levels[1][:301, :401], small)
    for painted, expected in zip(painting.levels, pyramid(painting.levels[0]), strict=True):
        assert np.abs(painted.astype(int) - expected).max() <= 1


def test_only_pictures_of_the_same_kind_are_painted_over() -> None:
    levels = pyramid(np.zeros((900, 700), np.uint16))
    assert Painting(levels).fits((900, 700), np.uint16)
    assert not Painting(levels).fits((900, 700), np.float32)
    assert not Painting(levels).fits((700, 900), np.uint16)
    levels[0].flags.writeable = False
    assert not Painting(levels).fits((900, 700), np.uint16)


@pytest.mark.parametrize("shape", [(1200, 1400), (1201, 1403)])
def test_pixels_of_a_coarser_level_are_repeated_at_finer_ones(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(2)
    picture = rng.integers(0, 255, (*shape, 3), np.uint8)
    painting = Painting(pyramid(picture))
    part = slice(100, 300), slice(200, 350)  # reaches the last row and column of level 2
    own = rng.integers(0, 255, (200, 150, 3), np.uint8)
    painting.paint_at(2, part, own, finest=1)
    np.testing.assert_array_equal(painting.levels[0], picture)
    np.testing.assert_array_equal(painting.levels[2][part], own)
    twice = own.repeat(2, 0).repeat(2, 1)
    np.testing.assert_array_equal(painting.levels[1][200:600, 400:700], twice)
    np.testing.assert_array_equal(
        painting.levels[1][:200], pyramid(picture)[1][:200], "what lies around stays"
    )
    painting.paint_at(2, part, own)
    np.testing.assert_array_equal(
        painting.levels[0][400:1200, 800:1400], own.repeat(4, 0).repeat(4, 1)
    )
    np.testing.assert_array_equal(painting.levels[0][-1, -1], own[-1, -1])
    coarser = pyramid(picture)
    coarser[2][part] = own
    for painted, expected in zip(painting.levels[2:], pyramid(coarser[2]), strict=True):
        np.testing.assert_array_equal(painted, expected)
