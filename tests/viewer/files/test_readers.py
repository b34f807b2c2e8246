from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from napari.components import ViewerModel
from pytestqt.qtbot import QtBot

from napari_invisp.errors import InvispError, RawFileError
from napari_invisp.inspection.exports import Values, write_exr
from napari_invisp.inspection.provenance import Provenance
from napari_invisp.samples import sample_path
from napari_invisp.sensor.dng import write_dng
from napari_invisp.sensor.reading import read_raw
from napari_invisp.sensor.record import RawRecord
from napari_invisp.viewer.files.readers import get_exr_reader, get_reader
from napari_invisp.viewer.layers import (
    HEADROOM,
    KIND,
    MODEL,
    ORIGINAL,
    PROVENANCE,
    QUALITY,
    RECORD,
    SOURCE,
    SUBSAMPLING,
    Kind,
    base_name,
    facts_of,
)


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


MADE = Provenance(
    "recovered_mosaic",
    source="photo.jpg",
    model="universal",
    headroom=0.5,
    quality=85,
    subsampling="4:4:4",
    figures={"raw_psnr": 48.2},
)


def test_a_recovered_dng_knows_that_it_was_recovered(
    viewer: ViewerModel, record: RawRecord, tmp_path: Path
) -> None:
    path = tmp_path / "photo.dng"
    write_dng(path, record, private=MADE.to_private())
    mosaic, picture = viewer.open(path, plugin="napari-invisp")
    assert [mosaic.name, picture.name] == [
        "photo recovered RAW",
        "photo recovered RAW (bilinear)",
    ]
    assert facts_of(mosaic)[KIND] is Kind.RECOVERED_MOSAIC
    assert facts_of(picture)[KIND] is Kind.RECOVERED
    for layer in (mosaic, picture):
        facts = facts_of(layer)
        assert facts[PROVENANCE] == MADE
        settings = [facts[key] for key in (MODEL, HEADROOM, QUALITY, SUBSAMPLING)]
        assert settings == ["universal", 0.5, 85, "4:4:4"]
        assert ORIGINAL not in facts
        assert facts[SOURCE] == str(path)
        assert base_name(layer) == "photo"


def test_a_recovered_dng_can_be_worked_on(
    qtbot: QtBot, viewer: ViewerModel, record: RawRecord, tmp_path: Path
) -> None:
    from napari_invisp.viewer.docks.render import RenderDock

    path = tmp_path / "photo.dng"
    write_dng(path, record, private=MADE.to_private())
    _, picture = viewer.open(path, plugin="napari-invisp")
    dock = RenderDock(viewer)
    qtbot.addWidget(dock)
    assert dock.raw_layer is picture


def test_a_dng_with_a_kind_of_the_future_opens(
    viewer: ViewerModel, record: RawRecord, tmp_path: Path
) -> None:
    path = tmp_path / "photo.dng"
    write_dng(path, record, private=MADE.replace(kind="hologram").to_private())
    mosaic, _ = viewer.open(path, plugin="napari-invisp")
    assert facts_of(mosaic)[KIND] is Kind.MOSAIC


@pytest.mark.parametrize("shape", [(30, 50), (1030, 50, 3)])
def test_openexr_opens_as_light(
    viewer: ViewerModel, shape: tuple[int, ...], tmp_path: Path
) -> None:
    values = np.random.default_rng(0).normal(0.5, 1, shape).astype(np.float32)
    path = tmp_path / "light.exr"
    write_exr(path, Values(values, "light"), MADE.replace(kind="mosaic"))
    (layer,) = viewer.open(path, plugin="napari-invisp")
    np.testing.assert_array_equal(layer.data[0], values)
    assert layer.rgb == (len(shape) == 3)
    assert layer.contrast_limits == [0, 1]
    assert facts_of(layer)[QUALITY] == 85
    assert get_exr_reader("photo.tif") is None


def test_what_is_wrong_with_an_openexr_is_said(viewer: ViewerModel, tmp_path: Path) -> None:
    (tmp_path / "bad.exr").write_text("no light")
    with pytest.raises(InvispError, match=r"bad\.exr is not an OpenEXR file"):
        viewer.open(tmp_path / "bad.exr", plugin="napari-invisp")
