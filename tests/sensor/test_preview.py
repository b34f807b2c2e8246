"""The preview in a RAW file, whichever way it was stored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from napari_invisp.jpeg.codec import encode_jpeg
from napari_invisp.sensor.preview import camera_preview

#: Upright quarter turns, counter-clockwise, by EXIF orientation.
TURNS = {1: 0, 3: 2, 6: 3, 8: 1}


def scene() -> NDArray[np.uint8]:
    """Four colours, as the sensor sees them."""
    picture = np.zeros((64, 96, 3), np.uint8)
    picture[:32, :48] = (220, 30, 30)
    picture[:32, 48:] = (30, 220, 30)
    picture[32:, :48] = (30, 30, 220)
    picture[32:, 48:] = (200, 200, 40)
    return picture


def write(path: Path, preview: NDArray[np.uint8], orientation: int) -> None:
    """Write a DNG with a preview of its own, as cameras do."""
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(
            iter([encode_jpeg(preview, 95)]),
            shape=preview.shape,
            dtype=np.uint8,
            photometric="ycbcr",
            compression=7,
            rowsperstrip=len(preview),
            subifds=1,
            subfiletype=1,
            metadata=None,
            extratags=[
                (50706, 1, 4, bytes((1, 4, 0, 0)), True),
                (274, 3, 1, orientation, True),
                (271, 2, 0, "Maker", True),
                (272, 2, 0, "Model One", True),
                (50708, 2, 0, "Model One", True),
                (50728, 5, 3, [1, 2, 1, 1, 2, 3], True),
                (50721, 10, 9, [1, 1, 0, 1, 0, 1, 0, 1, 1, 1, 0, 1, 0, 1, 0, 1, 1, 1], True),
            ],
        )
        tiff.write(
            np.full((64, 96), 500, np.uint16),
            photometric=32803,
            metadata=None,
            extratags=[
                (33421, 3, 2, (2, 2), True),
                (33422, 1, 4, bytes((0, 1, 1, 2)), True),
                (50717, 4, 1, 1023, True),
            ],
        )


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("turned", [False, True], ids=["as stored", "upright"])
def test_it_comes_as_the_sensor_stands(tmp_path: Path, orientation: int, turned: bool) -> None:
    if turned and orientation == 3:
        pytest.skip("this preview does not say which way is up")
    preview = np.rot90(scene(), TURNS[orientation]) if turned else scene()
    write(tmp_path / "photo.dng", np.ascontiguousarray(preview), orientation)
    found = camera_preview(tmp_path / "photo.dng")
    assert found is not None
    assert found.shape == (64, 96, 3)
    assert np.abs(found.astype(int) - scene()).mean() < 12
    np.testing.assert_array_equal(found, camera_preview((tmp_path / "photo.dng").read_bytes()))
