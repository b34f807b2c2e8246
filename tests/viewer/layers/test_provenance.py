from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from napari.components import ViewerModel
from PIL import Image as Picture

from napari_invisp.inspection.figures import Figures
from napari_invisp.metrics import RawFidelity
from napari_invisp.pipeline import Pipeline
from napari_invisp.sensor.record import RawRecord
from napari_invisp.settings import RenderSettings
from napari_invisp.viewer.compare.exposure import response
from napari_invisp.viewer.layers import (
    FIGURES,
    HEADROOM,
    KEPT,
    KIND,
    MODEL,
    ORIGINAL,
    PROVENANCE,
    QUALITY,
    RECORD,
    SOURCE,
    Kind,
    facts_of,
    picture_layer,
    raw_layers,
    raw_of,
)
from napari_invisp.viewer.layers.errors import comparable, frame_of
from napari_invisp.viewer.layers.provenance import provenance_of, recall_layer

FIDELITY = RawFidelity(48.2, 50.1, 1.5, 30, identical=False)
MADE = {MODEL: "universal", HEADROOM: 0.5, QUALITY: 90}


def figures(quality: int = 90) -> Figures:
    return Figures("universal", 0.5, quality, "4:2:2", 1000, 1.2, 9.0, FIDELITY, 51.0)


def test_a_result_knows_its_file_and_figures_from_others(record: RawRecord) -> None:
    other = record.replace(orientation=1)
    result = {KIND: Kind.RECOVERED, RECORD: record, ORIGINAL: record, **MADE}
    rendered = result | {KIND: Kind.RENDERED, FIGURES: figures()}
    others = [
        {KIND: Kind.RAW, RECORD: other, SOURCE: "/a/other.dng"},
        {KIND: Kind.RAW, RECORD: record, SOURCE: "/a/photo.CR2"},
        result | {KIND: Kind.RENDERED, FIGURES: figures(50), QUALITY: 50},
        rendered | {KEPT: "A", FIGURES: figures(91)},
        rendered,
        result,
    ]
    made = provenance_of(result, others)
    assert (made.kind, made.source, made.camera) == ("recovered", "photo.CR2", "Maker Model One")
    assert (made.model, made.headroom, made.quality) == ("universal", 0.5, 90)
    assert made.figures["raw_psnr"] == 48.2
    assert made.figures["jpeg_bytes"] == 1000
    assert made.figures["identical"] is False
    assert "quality" not in made.figures
    assert "rgb_psnr_jpeg" not in made.figures  # unknown


def test_figures_of_a_part_are_not_those_of_the_file(record: RawRecord) -> None:
    part = Figures("m", 0.5, 90, "4:2:2", 9, 1.0, 9.0, FIDELITY, part=(slice(0, 8), slice(0, 8)))
    facts = {KIND: Kind.RENDERED, RECORD: record, ORIGINAL: record, FIGURES: part}
    assert provenance_of(facts, [facts]).figures == {}


@pytest.mark.parametrize("suffix", [".tif", ".jpg"])
def test_files_that_napari_opens_are_known_again(
    viewer: ViewerModel, record: RawRecord, tmp_path: Path, suffix: str
) -> None:
    pipeline = Pipeline(RenderSettings(model="physics", quality=77))
    path = tmp_path / f"scene{suffix}"
    rendering = pipeline.render(record)
    if suffix == ".jpg":
        path.write_bytes(pipeline.encode(rendering))
    else:
        facts = {ORIGINAL: record, MODEL: "physics", QUALITY: 77}
        data, arguments, _ = picture_layer(rendering.rgb, record, "scene", Kind.RENDERED, facts)
        viewer.add_image(data, **arguments).save(path, plugin="napari-invisp")
    (layer,) = viewer.open(path, plugin="napari")
    layer.metadata["mine"] = 1
    assert recall_layer(layer)
    facts = facts_of(layer)
    assert (facts[MODEL], facts[QUALITY]) == ("physics", 77)
    assert facts[PROVENANCE].kind == ("jpeg" if suffix == ".jpg" else "rendered")
    assert layer.metadata["mine"] == 1
    assert raw_of(layer) is None
    assert not recall_layer(layer)  # it knows already


def test_other_layers_stay_as_they_are(viewer: ViewerModel, tmp_path: Path) -> None:
    path = tmp_path / "cells.png"
    Picture.fromarray(np.zeros((20, 20), np.uint8)).save(path)
    (opened,) = viewer.open(path, plugin="napari")
    for layer in (opened, viewer.add_image(np.zeros((5, 5))), viewer.add_points([[1, 2]])):
        assert not recall_layer(layer)
        assert facts_of(layer) == {}
    path.unlink()
    assert not recall_layer(opened)


def test_what_is_known_again_can_still_be_compared(
    viewer: ViewerModel, record: RawRecord, tmp_path: Path
) -> None:
    for data, arguments, _ in raw_layers(record, "scene", {}):
        layer = viewer.add_image(data, **arguments)
        layer.save(tmp_path / f"{layer.name}.tif", plugin="napari-invisp")
    viewer.layers.clear()
    for name in ("scene mosaic", "scene"):
        (layer,) = viewer.open(tmp_path / f"{name}.tif", plugin="napari")
        before = response(layer), comparable([layer]), frame_of(layer)
        assert recall_layer(layer)
        assert (response(layer), comparable([layer])) == before[:2] != (None, [])
        np.testing.assert_array_equal(frame_of(layer), before[2])
