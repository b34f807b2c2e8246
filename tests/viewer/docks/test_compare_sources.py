"""One click in the docks for retouching and HDR compares original, recovered RAW and JPEG."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import pytest
from napari.components import ViewerModel
from numpy.typing import NDArray
from pytestqt.qtbot import QtBot
from result_layers import add_raw, add_results
from skimage.color import deltaE_ciede2000, rgb2lab

from napari_invisp.applications.comparing import SOURCES, compare_sources, differences
from napari_invisp.applications.operations import retouching, tone_mapping
from napari_invisp.hdr.settings import ToneSettings
from napari_invisp.inspection.wording import decibels
from napari_invisp.retouching.filters import retouched
from napari_invisp.retouching.settings import RetouchSettings
from napari_invisp.sensor.record import RawRecord
from napari_invisp.viewer.docks.hdr import HdrDock
from napari_invisp.viewer.docks.preview import PreviewDock
from napari_invisp.viewer.docks.retouch import RetouchDock
from napari_invisp.viewer.layers import (
    KIND,
    LOOK,
    METADATA_KEY,
    PARTIAL,
    RECORD,
    Kind,
    facts_of,
    picture_layer,
)
from napari_invisp.viewer.layers.sources import result_of
from napari_invisp.viewer.work import looks

LONG = 30_000
ORIGINAL, RECOVERED, PLAIN = SOURCES[:3]
LAYERS = {
    ORIGINAL: "scene",
    RECOVERED: "scene recovered RAW (bilinear)",
    PLAIN: "scene decoded JPEG",
}
BRIGHT = RetouchSettings(exposure=0.5, contrast=0.3)
DETAILED = ToneSettings(detail=0.5, highlights="clip")
DOCKS = pytest.mark.parametrize(
    ("kind", "settings", "operation"),
    [
        (RetouchDock, BRIGHT, retouching("own", BRIGHT)),
        (HdrDock, DETAILED, tone_mapping("own", DETAILED)),
    ],
    ids=["retouch", "hdr"],
)

Make = Callable[[type[PreviewDock]], PreviewDock]


@pytest.fixture
def make(qtbot: QtBot, viewer: ViewerModel, monkeypatch: pytest.MonkeyPatch) -> Make:
    monkeypatch.setattr("napari_invisp.viewer.docks.preview._REST_MS", 1)
    monkeypatch.setattr("napari_invisp.viewer.docks.preview._VIEW_REST_MS", 1)

    def make(kind: type[PreviewDock]) -> PreviewDock:
        widget = kind(viewer)
        qtbot.addWidget(widget)
        return widget

    return make


@pytest.fixture
def finish(qtbot: QtBot) -> Callable[[PreviewDock], None]:
    return lambda widget: qtbot.waitUntil(lambda: not widget.running, timeout=LONG)


def wanted(viewer: ViewerModel, record: RawRecord, operation: object) -> dict[str, NDArray]:
    recovered = facts_of(viewer.layers[LAYERS[RECOVERED]])[RECORD]
    jpeg = np.asarray(viewer.layers[LAYERS[PLAIN]].data[0])
    return compare_sources(record, recovered, jpeg, operation)


def maps_of(viewer: ViewerModel) -> dict[str, NDArray]:
    maps = [layer for layer in viewer.layers if facts_of(layer).get(KIND) is Kind.MAP]
    assert all(each.contrast_limits == [0.0, 5.0] and each.colorbar.visible for each in maps)
    return {each.name: each.data[0] for each in maps}


@DOCKS
@pytest.mark.parametrize("picked", SOURCES[:3])
def test_one_click_compares_the_sources(
    viewer: ViewerModel,
    make: Make,
    finish: Callable[[PreviewDock], None],
    record: RawRecord,
    kind: type[PreviewDock],
    settings: object,
    operation: object,
    picked: str,
) -> None:
    add_raw(viewer, record)
    add_results(viewer, record)
    widget = make(kind)
    widget.pick(viewer.layers[LAYERS[picked]])
    widget.load(settings)
    assert widget.comparison.isHidden()
    widget.compare_button.click()
    finish(widget)

    results = wanted(viewer, record, operation)
    layers = {
        name: result_of(viewer.layers, viewer.layers[layer], widget.look.kind)
        for name, layer in LAYERS.items()
    }
    for name, layer in layers.items():
        np.testing.assert_array_equal(layer.data[0], results[name])
        assert (facts_of(layer)[LOOK], PARTIAL in facts_of(layer)) == (settings, False)
        assert layer.visible is (name == picked)
    lab = {name: rgb2lab(codes) for name, codes in results.items()}
    maps = maps_of(viewer)
    assert len(maps) == 2
    for name in (RECOVERED, PLAIN):
        values = maps[f"{layers[name].name} against {layers[ORIGINAL].name}: ΔE2000"]
        np.testing.assert_allclose(values, deltaE_ciede2000(lab[ORIGINAL], lab[name]), atol=2e-3)
        assert values.max() > 0.1
        figures = differences(results[ORIGINAL], results[name])
        shown = widget.comparison.figures
        assert shown[name, "psnr"].text() == decibels(figures.psnr)
        assert shown[name, "ssim"].text() == f"{figures.ssim:.4f}"
        assert shown[name, "delta_e"].text() == f"{figures.delta_e:.2f}"
    assert not widget.comparison.isHidden()
    assert widget.comparison.scale.text() == "Error maps: ΔE2000, colours from 0 to 5"
    assert widget.source is viewer.layers[LAYERS[picked]]
    assert widget.progress.stage.text().startswith("Done in ")


def test_another_click_replaces_what_there_is(
    viewer: ViewerModel, make: Make, finish: Callable[[PreviewDock], None], record: RawRecord
) -> None:
    add_raw(viewer, record)
    add_results(viewer, record)
    widget = make(RetouchDock)
    widget.pick(viewer.layers["scene"])
    widget.compare_button.click()
    finish(widget)
    before = {layer.unique_id for layer in viewer.layers}
    widget.apply(BRIGHT)
    assert widget.comparison.isHidden()  # its figures are of other settings
    finish(widget)
    widget.compare_button.click()
    finish(widget)
    assert {layer.unique_id for layer in viewer.layers} == before
    results = wanted(viewer, record, retouching("own", BRIGHT))
    recovered = viewer.layers["scene recovered RAW retouched"]
    np.testing.assert_array_equal(recovered.data[0], results[RECOVERED])
    values = maps_of(viewer)["scene recovered RAW retouched against scene retouched: ΔE2000"]
    lab = [rgb2lab(results[name]) for name in (ORIGINAL, RECOVERED)]
    np.testing.assert_allclose(values, deltaE_ciede2000(*lab), atol=2e-3)
    # The recovered RAW has the same figures, until there are new pixels.
    widget.pick(viewer.layers[LAYERS[RECOVERED]])
    assert not widget.comparison.isHidden()
    jpeg = viewer.layers[LAYERS[PLAIN]]
    jpeg.events.data(value=jpeg.data)
    assert widget.comparison.isHidden()


def test_a_comparison_can_be_cancelled(
    qtbot: QtBot,
    viewer: ViewerModel,
    make: Make,
    record: RawRecord,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    go, reached = threading.Event(), threading.Event()

    def held(light: NDArray[np.float32], settings: RetouchSettings) -> NDArray[np.float32]:
        reached.set()
        assert go.wait(20)
        return retouched(light, settings)

    monkeypatch.setattr(looks, "retouched", held)
    add_raw(viewer, record)
    add_results(viewer, record)
    widget = make(RetouchDock)
    before = list(viewer.layers)
    widget.compare_button.click()
    qtbot.waitUntil(reached.is_set, timeout=LONG)
    widget.cancel_button.click()
    assert widget.progress.stage.text() == "Cancelled"
    go.set()
    qtbot.waitUntil(lambda: not widget._runner.busy, timeout=LONG)
    assert list(viewer.layers) == before
    assert widget.comparison.isHidden()


@pytest.mark.parametrize("kind", [RetouchDock, HdrDock])
def test_the_button_says_why_it_is_disabled(
    viewer: ViewerModel, make: Make, record: RawRecord, kind: type[PreviewDock]
) -> None:
    widget = make(kind)

    def reason() -> str:
        assert widget.compare_button.isEnabled() is (not widget.no_comparison())
        tip = widget.compare_button.toolTip()
        return "" if widget.compare_button.isEnabled() else tip

    assert reason() == "pick a RAW, or what was made of one, to compare its sources"
    add_raw(viewer, record)
    assert reason() == "render and recover this RAW first"
    results = add_results(viewer, record)
    assert reason() == ""
    assert widget.compare_button.toolTip().startswith("do the same to the original RAW")
    foreign = viewer.add_image(np.zeros((40, 50, 3), np.uint8), name="foreign")
    widget.pick(foreign)
    assert reason() == "pick a RAW, or what was made of one, to compare its sources"
    light = picture_layer(np.zeros((96, 128, 3), np.uint8), record, "scene", Kind.MERGED, {})
    widget.pick(viewer.add_image(light[0], **light[1]))
    assert reason() == "merged light has no JPEG to compare with; pick a RAW"
    widget.pick(viewer.layers["scene"])
    assert reason() == ""
    viewer.layers.remove(results[2])
    assert reason() == "render and recover this RAW first"


def test_sources_that_are_not_finished_are_refused(
    viewer: ViewerModel, make: Make, record: RawRecord, said: list[str]
) -> None:
    add_raw(viewer, record)
    add_results(viewer, record)
    jpeg = viewer.layers[LAYERS[PLAIN]]
    jpeg.metadata = {METADATA_KEY: facts_of(jpeg) | {PARTIAL: True}}
    widget = make(RetouchDock)
    widget.compare_button.click()
    assert not widget.running
    assert said == [
        "error: the layer 'scene decoded JPEG' is not finished; wait for the run to end or press "
        "Recover"
    ]
