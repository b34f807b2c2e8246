from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.draw import ellipse as draw_ellipse
from skimage.draw import polygon as draw_polygon

from napari_invisp.inspection.regions import Region, ellipse

SHAPE = (23, 31)
SITES = ((0, 0), (0, 1), (1, 0), (1, 1))
# Off the lattice, so that no site's middle lies on an edge, where conventions differ.
rows = st.integers(-8, 40).map(lambda n: n * 0.9871 + 0.37131)
columns = st.integers(-8, 40).map(lambda n: n * 1.0193 + 0.54177)
polygons = st.lists(st.tuples(rows, columns), min_size=3, max_size=7)


def mask_of(region: Region, shape: tuple[int, int] = SHAPE) -> np.ndarray:
    """Mark the sites that a region holds, as its samples say."""
    numbers = np.arange(np.prod(shape)).reshape(shape)
    found = np.zeros(shape, bool)
    for site, samples in zip(SITES, region.samples(numbers, SITES), strict=True):
        rows, columns = np.unravel_index(samples, shape)
        assert set(zip(rows % 2, columns % 2, strict=True)) <= {site}
        assert not found[rows, columns].any()
        found[rows, columns] = True
    return found


@given(polygons)
def test_polygons_hold_what_scikit_image_fills(outline: list[tuple[float, float]]) -> None:
    expected = np.zeros(SHAPE, bool)
    expected[draw_polygon(*np.transpose(outline), SHAPE)] = True
    np.testing.assert_array_equal(mask_of(Region.within("x", [outline], SHAPE)), expected)


def test_several_polygons_hold_each_site_once() -> None:
    squares = [
        [(top, top), (top, top + 10), (top + 10, top + 10), (top + 10, top)] for top in (2.5, 7.5)
    ]
    mask = mask_of(Region.within("two", squares, SHAPE))
    assert mask.sum() == 100 + 100 - 25
    assert mask[8:12, 8:12].all()


def test_an_ellipse_is_what_scikit_image_draws() -> None:
    corners = [(2.3, 4.1), (2.3, 27.1), (19.3, 27.1), (19.3, 4.1)]
    expected = np.zeros(SHAPE, bool)
    expected[draw_ellipse(10.8, 15.6, 8.5, 11.5, SHAPE)] = True
    np.testing.assert_array_equal(mask_of(Region.within("x", [ellipse(corners)], SHAPE)), expected)


@pytest.mark.parametrize("start", [(0, 0), (3, 4), (4, 3), (5, 5)])
def test_parts_keep_the_phase_of_the_cfa(start: tuple[int, int]) -> None:
    part = (slice(start[0], 17), slice(start[1], 20))
    expected = np.zeros(SHAPE, bool)
    expected[part] = True
    np.testing.assert_array_equal(mask_of(Region("part", *part)), expected)


def test_a_rectangle_that_fills_its_box_needs_no_mask() -> None:
    box = [(-9.0, -9.0), (-9.0, 60.0), (60.0, 60.0), (60.0, -9.0)]
    region = Region.within("all", [box], SHAPE)
    assert region.mask() is None
    assert mask_of(region).all()


@pytest.mark.parametrize("at", [(-50, 3), (100, 3), (3, -50), (3, 100)])
def test_shapes_beside_the_frame_hold_nothing(at: tuple[int, int]) -> None:
    triangle = np.array([(0, 0), (9, 0), (0, 9)]) + at
    assert not mask_of(Region.within("away", [triangle], SHAPE)).any()


def test_regions_with_the_same_sites_are_equal() -> None:
    outline = [(1.0, 2.0), (8.0, 3.0), (4.0, 9.0)]
    assert Region.within("x", [outline], SHAPE) == Region.within("x", [np.array(outline)], SHAPE)
    moved = [*outline[:2], (4.0, 9.5)]
    assert Region.within("x", [outline], SHAPE) != Region.within("x", [moved], SHAPE)
    assert Region.frame(SHAPE) == Region.frame(SHAPE)
