from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from records import XYZ_TO_CAMERA, make_record

from napari_invisp.errors import RawFileError
from napari_invisp.sensor.record import (
    SRGB_TO_XYZ,
    camera_to_srgb_from,
    xyz_to_camera_from,
)


def test_the_rendering_matrix_keeps_neutral_and_undoes_the_camera() -> None:
    rendering = camera_to_srgb_from(XYZ_TO_CAMERA)
    np.testing.assert_allclose(rendering.sum(axis=1), 1, atol=1e-12)
    color = np.array([0.2, 0.5, 0.7])
    white = XYZ_TO_CAMERA @ SRGB_TO_XYZ @ np.ones(3)
    seen = XYZ_TO_CAMERA @ SRGB_TO_XYZ @ color
    np.testing.assert_allclose(rendering @ (seen / white), color, atol=1e-12)


def test_the_xyz_matrix_comes_back_from_the_rendering_matrix() -> None:
    white = XYZ_TO_CAMERA @ SRGB_TO_XYZ @ np.ones(3)
    found = xyz_to_camera_from(camera_to_srgb_from(XYZ_TO_CAMERA), white)
    np.testing.assert_allclose(found, XYZ_TO_CAMERA, atol=1e-12)


@pytest.mark.parametrize(
    ("make", "model", "camera"),
    [
        ("Canon", "Canon EOS 30D", "Canon EOS 30D"),
        ("NIKON CORPORATION", "NIKON D5000", "NIKON D5000"),
        ("OLYMPUS IMAGING CORP.", "E-M5", "OLYMPUS IMAGING CORP. E-M5"),
        ("", "Pixel", "Pixel"),
        ("Maker", "", "Maker"),
        ("", "", ""),
    ],
)
def test_the_camera_is_named_with_its_maker_once(make: str, model: str, camera: str) -> None:
    assert make_record(make=make, model=model).camera == camera


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"black": [[-1, 0], [0, 0]]}, "within 0 to 65535"),
        ({"white": 70000}, "within 0 to 65535"),
        ({"white": 66}, "not above black"),
        ({"white_balance": [1, 0, 1]}, "must be positive"),
        ({"pattern": "RGBG"}, "not one of RGGB"),
        ({"orientation": 2}, "orientation 2"),
        ({"mosaic": np.zeros((1, 5), np.uint16)}, "at least 2x2"),
        ({"mosaic": np.zeros((5, 5), np.int32)}, "int32"),
    ],
)
def test_a_record_that_makes_no_sense_is_refused(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(RawFileError, match=complaint):
        make_record(**changes)


def test_a_record_cannot_be_changed_by_accident() -> None:
    record = make_record()
    for array in (record.mosaic, record.black, record.white_balance, record.camera_to_srgb):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_records_are_equal_when_all_their_fields_are() -> None:
    assert make_record() == make_record()
    assert make_record() != make_record(seed=1)
    assert make_record() != make_record(bit_depth=13)
