from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image

from napari_invisp.errors import OutputError
from napari_invisp.pipeline import Pipeline
from napari_invisp.sensor.reading import read_raw
from napari_invisp.sensor.record import RawRecord
from napari_invisp.settings import RenderSettings
from napari_invisp.viewer.layers import (
    ORIGINAL,
    QUALITY,
    RENDERING,
    SUBSAMPLING,
    Kind,
    error_layer,
    picture_layer,
    raw_layers,
)

PLUGIN = "napari-invisp"


def rendered_layer(record: RawRecord) -> Image:
    rendering = Pipeline(RenderSettings(quality=50)).render(record)
    facts = {ORIGINAL: record, RENDERING: rendering, QUALITY: 95, SUBSAMPLING: "4:4:4"}
    data, arguments, _ = picture_layer(rendering.rgb, record, "scene", Kind.RENDERED, facts)
    return Image(data, **arguments)


@pytest.mark.parametrize("index", [0, 1])
def test_raw_layers_are_saved_as_dng(
    viewer: ViewerModel, dng: Path, record: RawRecord, tmp_path: Path, index: int
) -> None:
    layer = viewer.open(dng, plugin=PLUGIN)[index]
    path = tmp_path / "copy.dng"
    assert layer.save(path, plugin=PLUGIN) == [str(path)]
    copy = read_raw(path)
    np.testing.assert_array_equal(copy.mosaic, record.mosaic)
    assert (copy.orientation, copy.pattern, copy.camera) == (6, "GRBG", "Maker Model One")


def test_a_mosaic_that_was_worked_on_is_saved_as_it_is(
    viewer: ViewerModel, dng: Path, record: RawRecord, tmp_path: Path
) -> None:
    mosaic = viewer.open(dng, plugin=PLUGIN)[0]
    brighter = record.mosaic + np.uint16(100)
    mosaic.data = [brighter]
    mosaic.save(tmp_path / "brighter.dng", plugin=PLUGIN)
    np.testing.assert_array_equal(read_raw(tmp_path / "brighter.dng").mosaic, brighter)


def test_a_mosaic_that_became_something_else_is_refused(
    viewer: ViewerModel, dng: Path, tmp_path: Path
) -> None:
    mosaic = viewer.open(dng, plugin=PLUGIN)[0]
    mosaic.data = [mosaic.data[0][10:]]
    with pytest.raises(OutputError, match="'scene mosaic' is no longer a mosaic of 128x96"):
        mosaic.save(tmp_path / "cut.dng", plugin=PLUGIN)


def test_a_rendering_is_saved_as_a_jpeg_that_holds_its_raw(
    viewer: ViewerModel, record: RawRecord, tmp_path: Path
) -> None:
    layer = viewer.add_layer(rendered_layer(record))
    path = tmp_path / "scene.jpg"
    assert layer.save(path, plugin=PLUGIN) == [str(path)]
    recovery = Pipeline().recover(path.read_bytes())
    assert (recovery.jpeg.quality, recovery.jpeg.subsampling) == (95, "4:4:4")
    assert recovery.record.orientation == 6
    error = np.abs(recovery.record.mosaic.astype(int) - record.mosaic)
    assert np.median(error) < 60


def test_layers_that_hold_no_raw_are_refused(
    viewer: ViewerModel, record: RawRecord, tmp_path: Path
) -> None:
    foreign = viewer.add_image(np.zeros((20, 20), np.uint8), name="cells")
    with pytest.raises(OutputError, match="'cells' holds no RAW"):
        foreign.save(tmp_path / "cells.dng", plugin=PLUGIN)
    with pytest.raises(OutputError, match="'cells' was not rendered by napari-invisp"):
        foreign.save(tmp_path / "cells.jpg", plugin=PLUGIN)
    data, arguments, _ = error_layer(record, record, "scene", {ORIGINAL: record})
    error = viewer.add_image(data, **arguments)
    with pytest.raises(OutputError, match="'scene RAW error' holds no RAW"):
        error.save(tmp_path / "error.dng", plugin=PLUGIN)
    (data, arguments, _), _ = raw_layers(record, "scene", {})
    with pytest.raises(OutputError, match="'scene mosaic' was not rendered"):
        viewer.add_image(data, **arguments).save(tmp_path / "mosaic.jpg", plugin=PLUGIN)
    assert list(tmp_path.iterdir()) == []
