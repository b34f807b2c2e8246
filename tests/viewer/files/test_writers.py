from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel
from napari.layers import Image
from PIL import Image as Picture

from napari_invisp.errors import OutputError
from napari_invisp.inspection.exports import balanced_rgb, frame_of, read_exr
from napari_invisp.inspection.provenance import recall
from napari_invisp.pipeline import Pipeline
from napari_invisp.sensor.reading import read_raw
from napari_invisp.sensor.record import RawRecord
from napari_invisp.settings import ErrorMapSettings, RenderSettings
from napari_invisp.viewer.files.writers import (
    write_dng_layer,
    write_exr_layer,
    write_float_tiff_layer,
    write_jpeg_layer,
    write_map_layer,
    write_tiff_layer,
)
from napari_invisp.viewer.layers import (
    KIND,
    ORIGINAL,
    PARTIAL,
    PROVENANCE,
    QUALITY,
    RENDERING,
    SUBSAMPLING,
    Kind,
    facts_of,
    picture_layer,
    raw_layers,
)
from napari_invisp.viewer.layers.errors import error_layer

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


def result(record: RawRecord, **facts: object) -> Image:
    """A decoded JPEG of a RAW."""
    rgb = np.random.default_rng(0).integers(0, 256, (*record.mosaic.shape, 3), dtype=np.uint8)
    made = {ORIGINAL: record, QUALITY: 80, **facts}
    data, arguments, _ = picture_layer(rgb, record, "scene", Kind.DECODED, made)
    return Image(data, **arguments)


def test_pictures_are_saved_as_16_bit_tiff(
    viewer: ViewerModel, record: RawRecord, tmp_path: Path
) -> None:
    layer = viewer.add_layer(result(record))
    path = tmp_path / "scene.tif"
    assert layer.save(path, plugin=PLUGIN) == [str(path)]
    expected = np.rot90(layer.data[0], -1).astype(np.uint16) * 257
    np.testing.assert_array_equal(tifffile.imread(path), expected)
    known = recall(path)
    assert known is not None
    assert (known.kind, known.quality, known.camera) == ("decoded", 80, "Maker Model One")


def test_raw_layers_are_saved_as_linear_light(
    viewer: ViewerModel, dng: Path, record: RawRecord, tmp_path: Path
) -> None:
    mosaic, picture = viewer.open(dng, plugin=PLUGIN)
    picture.save(tmp_path / "light.exr", plugin=PLUGIN)
    expected = balanced_rgb(read_raw(dng)).array
    np.testing.assert_array_equal(read_exr(tmp_path / "light.exr"), expected)
    mosaic.save(tmp_path / "mosaic.tif", plugin=PLUGIN)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "mosaic.tif"), record.mosaic)


@pytest.mark.parametrize("metric", ["AE", "E", "SSIM"])
def test_error_maps_are_saved_as_they_look(
    viewer: ViewerModel, record: RawRecord, tmp_path: Path, metric: str
) -> None:
    worse = record.replace(mosaic=record.mosaic + np.uint16(30))
    settings = ErrorMapSettings(metric=metric)
    data, arguments, _ = error_layer(record, worse, "scene", {ORIGINAL: record}, settings)
    layer = viewer.add_image(data, **arguments)
    path = tmp_path / "map.png"
    assert layer.save(path, plugin=PLUGIN) == [str(path)]
    frame = frame_of((128, 96))
    shown = np.asarray(Picture.open(path))[frame : frame + 128, frame : frame + 96]
    low, high = layer.contrast_limits
    scaled = (np.rot90(layer.data[0], -1) - low) / (high - low)
    colours = layer.colormap.map(scaled.ravel()).reshape(128, 96, 4)[..., :3] * 255
    np.testing.assert_allclose(shown, colours, atol=4)
    known = recall(path)
    assert known is not None
    unit = "" if metric == "SSIM" else ", DN"
    assert known.values == f"{metric}{unit}; colours from {low:g} to {high:g}"

    write_float_tiff_layer(str(tmp_path / "map.tif"), *layer.as_layer_data_tuple()[:2])
    floats = tifffile.imread(tmp_path / "map.tif")
    assert floats.dtype == np.float32
    np.testing.assert_array_equal(floats, np.rot90(layer.data[0], -1))


@pytest.mark.parametrize(
    "write",
    [
        write_dng_layer,
        write_exr_layer,
        write_float_tiff_layer,
        write_jpeg_layer,
        write_map_layer,
        write_tiff_layer,
    ],
)
def test_what_is_not_finished_or_not_ours_is_refused(
    record: RawRecord, tmp_path: Path, write: Callable[..., list[str]]
) -> None:
    data, arguments, _ = result(record, **{PARTIAL: True}).as_layer_data_tuple()
    with pytest.raises(OutputError, match="'scene decoded JPEG' is not finished; wait for the run"):
        write(str(tmp_path / "x"), data, arguments)
    data, arguments, _ = Image(np.zeros((20, 20)), name="cells").as_layer_data_tuple()
    with pytest.raises(OutputError, match="'cells'"):
        write(str(tmp_path / "x"), data, arguments)
    assert list(tmp_path.iterdir()) == []


def test_napari_saves_as_before(viewer: ViewerModel, tmp_path: Path) -> None:
    """Its own writers come first for the suffixes that both know."""
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    layer = viewer.add_image(pixels, name="cells")
    for name in ("cells.tif", "cells.png"):
        assert layer.save(tmp_path / name) == [str(tmp_path / name)]
        (again,) = viewer.open(tmp_path / name, plugin="napari")
        np.testing.assert_array_equal(again.data, pixels)
    layer.save(tmp_path / "cells.jpg")
    with Picture.open(tmp_path / "cells.jpg") as picture:
        assert picture.size == (30, 20)


def test_a_saved_layer_knows_what_it_is(
    viewer: ViewerModel, record: RawRecord, tmp_path: Path
) -> None:
    made = {ORIGINAL: record, QUALITY: 80}
    for data, arguments, _ in raw_layers(record, "scene", made, recovered=True):
        viewer.add_image(data, **arguments)
    path = tmp_path / "again.dng"
    for _ in range(2):  # what was opened again is saved again
        viewer.layers[0].save(path, plugin=PLUGIN)
        viewer.layers.clear()
        mosaic, picture = viewer.open(path, plugin=PLUGIN)
        assert facts_of(mosaic)[KIND] is Kind.RECOVERED_MOSAIC
        assert facts_of(picture)[QUALITY] == 80
        assert facts_of(picture)[PROVENANCE].camera == "Maker Model One"
