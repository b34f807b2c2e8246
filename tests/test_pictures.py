from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageOps
from records import make_record, make_smooth_record

from napari_invisp.metrics import absolute_error, network_raw
from napari_invisp.pictures import bilinear_picture, encode_png, error_map


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_pictures_stand_upright_as_exif_says(orientation: int) -> None:
    record = make_smooth_record((30, 44)).replace(orientation=orientation)
    stored = Image.fromarray(np.rint(network_raw(record) * 255).astype(np.uint8))
    stored.getexif()[274] = orientation
    upright = ImageOps.exif_transpose(stored)
    np.testing.assert_array_equal(bilinear_picture(record), np.asarray(upright))
    picture, _ = error_map(record, record)
    assert picture.shape[::-1] == upright.size


def test_the_map_is_black_where_raws_agree_and_white_where_they_differ_most() -> None:
    record = make_record((40, 60), mosaic=np.full((40, 60), 500, np.uint16))
    mosaic = record.mosaic.copy()
    mosaic[10, 20:30] = 700
    mosaic[11, 20:30] = 400
    picture, white = error_map(record, record.replace(mosaic=mosaic))
    assert white == 200
    assert (picture[10, 20:30] == 255).all()
    assert (picture[11, 20:30] == 128).all()
    assert np.count_nonzero(picture) == 20


def test_a_few_extreme_errors_do_not_darken_the_map() -> None:
    record = make_record((100, 100), mosaic=np.full((100, 100), 500, np.uint16))
    mosaic = record.mosaic + np.uint16(10)
    mosaic[0, 0] = 4000
    other = record.replace(mosaic=mosaic)
    picture, white = error_map(record, other)
    assert white == 10
    assert (picture == 255).all()
    assert absolute_error(record, other).max() == 3500


def test_equal_raws_have_a_black_map() -> None:
    picture, white = error_map(make_record(), make_record())
    assert white == 1
    assert not picture.any()


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3)])
def test_png_holds_the_picture(shape: tuple[int, ...]) -> None:
    picture = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    with Image.open(io.BytesIO(encode_png(picture))) as image:
        assert image.format == "PNG"
        np.testing.assert_array_equal(np.asarray(image), picture)
