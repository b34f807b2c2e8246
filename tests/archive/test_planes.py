from __future__ import annotations

import imagecodecs
import numpy as np
import pytest
from photographs import photograph

from napari_invisp.archive.planes import jpegxl_planes, mosaic_from_planes


@pytest.mark.parametrize("shape", [(2, 2), (3, 2), (2, 5), (33, 47), (64, 80)])
def test_every_sample_comes_back(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    mosaic = rng.integers(0, 65536, shape, dtype=np.uint16)
    mosaic[0, 0], mosaic[-1, -1] = 0, 65535
    again = mosaic_from_planes(jpegxl_planes(mosaic))
    assert again.dtype == np.uint16
    np.testing.assert_array_equal(again, mosaic)


def test_each_file_is_a_plane_of_16_bit_grey() -> None:
    mosaic = photograph(60, 80).mosaic
    planes = [imagecodecs.jpegxl_decode(plane) for plane in jpegxl_planes(mosaic)]
    for site, plane in zip(((0, 0), (0, 1), (1, 0), (1, 1)), planes, strict=True):
        assert plane.dtype == np.uint16
        np.testing.assert_array_equal(plane, mosaic[site[0] :: 2, site[1] :: 2])


def test_planes_take_less_than_the_mosaic_as_one_picture() -> None:
    """Neighbours in a plane saw the same colour, so they predict each other."""
    mosaic = photograph(240, 320).mosaic
    whole = imagecodecs.jpegxl_encode(mosaic, lossless=True)
    assert sum(map(len, jpegxl_planes(mosaic))) < len(whole)
