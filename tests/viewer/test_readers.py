from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_invisp.errors import RawFileError
from napari_invisp.samples import sample_path
from napari_invisp.sensor.reading import read_raw
from napari_invisp.sensor.record import RawRecord
from napari_invisp.viewer.layers import RECORD, SOURCE, facts_of
from napari_invisp.viewer.readers import get_reader


def test_napari_opens_a_raw_with_the_plugin(
    viewer: ViewerModel, dng: Path, record: RawRecord
) -> None:
    mosaic, picture = viewer.open(dng, plugin="napari-invisp")
    assert [layer.name for layer in viewer.layers] == ["scene mosaic", "scene"]
    np.testing.assert_array_equal(mosaic.data[0], record.mosaic)
    assert picture.data[0].shape == (96, 128, 3)
    assert picture.data[0].dtype == np.uint8
    assert facts_of(picture)[RECORD].pattern == "GRBG"
    assert facts_of(picture)[SOURCE] == str(dng)


def test_a_frame_on_its_side_stands_upright(viewer: ViewerModel, dng: Path) -> None:
    for layer in viewer.open(dng, plugin="napari-invisp"):
        np.testing.assert_allclose(np.diff(layer.extent.world, axis=0), [[128, 96]], atol=1)
        # Top left on the canvas is the last row's first site, for orientation 6.
        np.testing.assert_allclose(layer.world_to_data((0, 0)), (95, 0), atol=1e-9)


def test_several_files_are_opened_side_by_side(dng: Path, tmp_path: Path) -> None:
    other = tmp_path / "OTHER.DNG"
    other.write_bytes(dng.read_bytes())
    reader = get_reader([str(dng), str(other)])
    assert reader is not None
    names = [arguments["name"] for _, arguments, _ in reader([str(dng), str(other)])]
    assert names == ["scene mosaic", "scene", "OTHER mosaic", "OTHER"]


@pytest.mark.parametrize("name", ["photo.jpg", "photo.tif", "dng"])
def test_other_files_are_left_to_others(name: str) -> None:
    assert get_reader(name) is None


def test_what_is_wrong_with_a_file_is_said(viewer: ViewerModel, tmp_path: Path) -> None:
    path = tmp_path / "broken.dng"
    path.write_bytes(b"no camera wrote this")
    with pytest.raises(RawFileError, match=r"broken\.dng is not a camera RAW file"):
        viewer.open(path, plugin="napari-invisp")


def test_the_sample_opens(viewer: ViewerModel) -> None:
    mosaic, picture = viewer.open_sample("napari-invisp", "dog")
    frame = read_raw(sample_path())
    np.testing.assert_array_equal(mosaic.data[0], frame.mosaic)
    shapes = [level.shape for level in picture.data]
    assert shapes[0] == (frame.height, frame.width, 3)
    assert max(shapes[-1]) <= 512
