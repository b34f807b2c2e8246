"""What users do while something is going on, and between."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import napari
import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Layer
from napari.settings import get_plugin_settings
from npe2 import PluginManager, PluginManifest
from pytestqt.qtbot import QtBot
from qtpy.compat import isalive
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QSlider
from records import make_smooth_record
from result_layers import add_raw, add_results

from napari_invisp.metrics import compare_raw
from napari_invisp.sensor.dng import write_dng
from napari_invisp.sensor.record import RawRecord
from napari_invisp.settings import RenderSettings
from napari_invisp.viewer import commands
from napari_invisp.viewer.docks import opening
from napari_invisp.viewer.docks.archive import ArchiveDock
from napari_invisp.viewer.docks.compare import CompareDock
from napari_invisp.viewer.docks.errors import ErrorMapsDock
from napari_invisp.viewer.docks.histogram import HistogramDock
from napari_invisp.viewer.docks.jpeg import JpegDock
from napari_invisp.viewer.docks.rate import RateDock
from napari_invisp.viewer.docks.readout import ReadoutDock
from napari_invisp.viewer.docks.render import RenderDock
from napari_invisp.viewer.files.writers import write_tiff_layer
from napari_invisp.viewer.layers import (
    FIGURES,
    KIND,
    MODEL,
    ORIGINAL,
    PARTIAL,
    PROVENANCE,
    QUALITY,
    RECORD,
    Kind,
    facts_of,
    raw_of,
)
from napari_invisp.viewer.work.frames import RESULTS
from napari_invisp.viewer.work.runs import Run
from napari_invisp.viewer.work.worker import THREAD_NAME

PLUGIN = "napari-invisp"
LONG = 60_000
RUNS = ("render", "encode", "sweep", "live")


class Desk:
    """A viewer with the dock that renders, and what goes on there."""

    def __init__(self, qtbot: QtBot, viewer: ViewerModel, widget: RenderDock) -> None:
        self.viewer = viewer
        self.widget = widget
        self._qtbot = qtbot

    def finish(self) -> None:
        """Wait until nothing goes on."""
        self._qtbot.waitUntil(lambda: not self.widget.running, timeout=LONG)

    def render(self) -> None:
        self.widget.render_raw()
        self.finish()

    def start(self, run: str) -> None:
        """Start a run, and be back once it is under way."""
        widget = self.widget
        if run == "live":
            slider = widget.controls["quality"].native.findChild(QSlider)
            slider.setSliderDown(True)
            with self._qtbot.waitSignal(widget.runs.moved, timeout=LONG):
                slider.setSliderPosition(slider.value() - 20)
            # Where it is going on for as long as the slider is held.
            slider.setSliderPosition(slider.value() - 10)
            self._qtbot.waitUntil(lambda: widget.runs.kind is Run.LIVE, timeout=LONG)
            return
        action = {"render": widget.render_raw, "encode": widget.recover_raw, "sweep": widget.sweep}
        with self._qtbot.waitSignal(widget.runs.progressed, timeout=LONG):
            action[run]()
        assert widget.running

    def let_go(self) -> None:
        """Let go of the slider."""
        self.widget.controls["quality"].native.findChild(QSlider).setSliderDown(False)

    def at(self, stage: str, action: Callable[[], None]) -> None:
        """Do something as soon as a stage is under way."""

        def look(now: str, done: int, _: int) -> None:
            if now == stage and done > 0:
                self.widget.runs.progressed.disconnect(look)
                action()

        self.widget.runs.progressed.connect(look)

    def results(self, record: RawRecord) -> dict[Kind, Layer]:
        return {
            facts_of(layer)[KIND]: layer
            for layer in self.viewer.layers
            if facts_of(layer).get(ORIGINAL) is record
        }

    def check(self, record: RawRecord) -> None:
        """Assert that all results of a RAW are there, of one piece, and right."""
        found = self.results(record)
        assert set(found) == set(RESULTS)
        assert not any(PARTIAL in facts_of(layer) for layer in found.values())
        mosaic = found[Kind.RECOVERED_MOSAIC]
        recovered = facts_of(mosaic)[RECORD]
        np.testing.assert_array_equal(mosaic.data[0], recovered.mosaic)
        np.testing.assert_array_equal(
            found[Kind.ERROR].data[0],
            np.abs(recovered.mosaic.astype(int) - record.mosaic.astype(int)),
        )
        figures = facts_of(found[Kind.RENDERED])[FIGURES]
        assert figures.raw == compare_raw(record, recovered)
        assert found[Kind.RENDERED].data[0].any(axis=2).all()


@pytest.fixture
def desk(
    qtbot: QtBot, viewer: ViewerModel, dng: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Desk]:
    """A viewer with a RAW; nothing may go wrong there."""
    monkeypatch.setattr("napari_invisp.viewer.controls._REST_MS", 1)
    widget = RenderDock(viewer)
    widget.controls["tile"].value = 32
    viewer.open(dng, plugin=PLUGIN)
    yield Desk(qtbot, viewer, widget)
    if isalive(widget):
        with qtbot.waitSignal(widget.destroyed):
            widget.deleteLater()
    assert not said


@pytest.fixture
def original(desk: Desk) -> RawRecord:
    record = raw_of(desk.viewer.layers["scene"])
    assert record is not None
    return record


# -- layers that go, or change, in the middle of a run -----------------------------------------


@pytest.mark.parametrize("kind", RESULTS)
def test_a_result_may_be_deleted_while_it_is_painted(
    desk: Desk, original: RawRecord, kind: Kind
) -> None:
    deleted: list[Layer] = []

    def delete() -> None:
        assert desk.widget.running
        desk.viewer.layers.remove(deleted[0])

    def look(event: Any) -> None:
        if facts_of(event.value)[KIND] is kind and not deleted:
            deleted.append(event.value)
            QTimer.singleShot(0, delete)

    desk.viewer.layers.events.inserted.connect(look)
    desk.render()
    assert deleted
    found = desk.results(original)
    assert set(found) == set(RESULTS) - {kind}  # it stays deleted
    for layer in found.values():
        assert PARTIAL not in facts_of(layer)
    desk.render()
    desk.check(original)


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("name", ["scene", "scene mosaic", "scene rendered sRGB"])
def test_what_a_run_works_on_may_be_deleted(
    desk: Desk, original: RawRecord, run: str, name: str
) -> None:
    desk.render()
    desk.start(run)
    desk.viewer.layers.remove(name)
    desk.let_go()
    desk.finish()
    desk.render()
    desk.check(original)


@pytest.mark.parametrize("run", RUNS)
def test_all_layers_may_be_removed(desk: Desk, run: str, dng: Path) -> None:
    desk.render()
    desk.start(run)
    desk.viewer.layers.clear()
    desk.let_go()
    assert desk.widget.raw_layer is None
    desk.finish()
    desk.viewer.layers.clear()
    desk.viewer.open(dng, plugin=PLUGIN)
    record = raw_of(desk.viewer.layers["scene"])
    desk.render()
    desk.check(record)


def test_layers_may_be_renamed_and_reordered(desk: Desk, original: RawRecord) -> None:
    def confuse() -> None:
        for n, layer in enumerate(desk.viewer.layers):
            layer.name = f"mine {n}"
        desk.viewer.layers.reverse()

    desk.render()
    desk.at("recovering", confuse)
    desk.render()
    assert {layer.name for layer in desk.viewer.layers} == {f"mine {n}" for n in range(7)}
    desk.check(original)
    before = list(desk.viewer.layers)
    desk.widget.controls["quality"].value = 50
    desk.widget.runs.afterwards(desk.widget.recover_raw)
    desk.finish()
    assert list(desk.viewer.layers) == before
    desk.check(original)


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("kind", RESULTS)
def test_pixels_that_the_user_replaces_do_no_harm(
    desk: Desk, original: RawRecord, kind: Kind, run: str
) -> None:
    desk.render()
    desk.start(run)
    mine = np.zeros((40, 24, 3)[: desk.results(original)[kind].data[0].ndim], np.uint8)
    layer = desk.results(original)[kind]
    layer.data = [mine, mine[::2, ::2]]
    desk.let_go()
    desk.finish()
    assert not mine.any()
    desk.render()
    desk.check(original)


def test_a_second_raw_may_be_opened_during_a_run(
    desk: Desk, original: RawRecord, tmp_path: Path
) -> None:
    path = tmp_path / "other.dng"
    write_dng(path, make_smooth_record((64, 80)))
    desk.at("rendering", lambda: desk.viewer.open(path, plugin=PLUGIN))
    desk.render()
    desk.check(original)
    desk.viewer.layers.selection.active = desk.viewer.layers["other"]
    assert desk.widget.raw_layer.name == "other"
    assert desk.widget.figures["bpp"].text() == "–"
    other = raw_of(desk.viewer.layers["other"])
    assert not desk.results(other)
    desk.render()
    desk.check(other)
    desk.check(original)


def test_a_run_goes_on_when_another_viewer_is_closed(
    qtbot: QtBot, desk: Desk, original: RawRecord, dng: Path
) -> None:
    other = Desk(qtbot, viewer := ViewerModel(), RenderDock(viewer))
    viewer.open(dng, plugin=PLUGIN)
    desk.widget.render_raw()
    other.widget.render_raw()  # models take turns
    with qtbot.waitSignal(other.widget.destroyed):
        other.widget.deleteLater()
    before = list(viewer.layers)
    desk.finish()
    desk.check(original)
    assert list(viewer.layers) == before
    assert len(before) < 7


# -- docks -------------------------------------------------------------------------------------


def test_a_dock_that_is_opened_again_finds_its_results(
    qtbot: QtBot, desk: Desk, original: RawRecord
) -> None:
    desk.render()
    shown = desk.widget.figures["raw_psnr"].text()
    with qtbot.waitSignal(desk.widget.destroyed):
        desk.widget.deleteLater()
    again = RenderDock(desk.viewer)
    qtbot.addWidget(again)
    assert again.figures["raw_psnr"].text() == shown
    assert again.result_box.title() == "Result at quality 90, 4:2:2"
    assert again.recover_button.isEnabled()
    ((_, points),) = list(again.runs.curves(again.raw_layer))
    assert [point.quality for point in points] == [90]
    rendered = desk.results(original)[Kind.RENDERED]
    again.controls["quality"].value = 40
    qtbot.waitUntil(
        lambda: facts_of(rendered).get(QUALITY) == 40 and not again.running, timeout=LONG
    )
    desk.check(original)


def test_other_docks_survive_all_that(qtbot: QtBot, desk: Desk, original: RawRecord) -> None:
    docks = [
        kind(desk.viewer)
        for kind in (
            CompareDock,
            ErrorMapsDock,
            HistogramDock,
            JpegDock,
            ReadoutDock,
            ArchiveDock,
        )
    ]
    docks.append(RateDock(desk.viewer, desk.widget))
    for dock in docks:
        qtbot.addWidget(dock)
        dock.show()
    errors = docks[1]
    desk.render()
    errors.show_map()
    qtbot.waitUntil(lambda: not errors.running, timeout=LONG)
    desk.start("live")
    desk.viewer.layers.reverse()
    desk.viewer.layers["scene"].name = "mine"
    desk.let_go()
    desk.finish()
    desk.at("recovering", lambda: desk.viewer.layers.remove("scene recovered RAW"))
    desk.render()
    desk.viewer.layers.clear()
    add_raw(desk.viewer, original)
    add_results(desk.viewer, original)
    errors.show_map()
    qtbot.waitUntil(lambda: not errors.running, timeout=LONG)
    assert errors.map_layer in desk.viewer.layers


def test_the_rate_dock_survives_the_dock_that_renders(
    qtbot: QtBot, desk: Desk, original: RawRecord
) -> None:
    rate = RateDock(desk.viewer, desk.widget)
    qtbot.addWidget(rate)
    desk.render()
    with qtbot.waitSignal(desk.widget.destroyed):
        desk.widget.deleteLater()
    desk.viewer.layers.remove("scene rendered sRGB")
    rate.refresh()


@pytest.mark.parametrize("kind", [RenderDock, JpegDock])
@pytest.mark.parametrize("first", ["the dock", "the file"])
def test_hidden_layers_have_a_thumbnail(
    qtbot: QtBot, viewer: ViewerModel, dng: Path, kind: type[RenderDock | JpegDock], first: str
) -> None:
    if first == "the dock":
        qtbot.addWidget(kind(viewer))
    viewer.open(dng, plugin=PLUGIN)
    if first == "the file":
        assert not viewer.layers["scene mosaic"].thumbnail[..., :3].any()  # napari's doing
        qtbot.addWidget(kind(viewer))
    assert viewer.layers["scene mosaic"].thumbnail[..., :3].any()


def test_preferences_that_change_reach_an_open_dock(
    qtbot: QtBot,
    plugin_settings: None,
    npe2pm: PluginManager,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr("napari_invisp.viewer.preferences._REST_MS", 1)
    npe2pm.register(PluginManifest.from_distribution(PLUGIN))
    preferences: Any = get_plugin_settings(PLUGIN)
    widget = RenderDock(ViewerModel())
    qtbot.addWidget(widget)
    widget.controls["subsampling"].value = "4:4:4"
    checkpoint = tmp_path / "mine.safetensors"
    checkpoint.touch()
    preferences.rendering.quality = 75
    preferences.rendering.subsampling = "4:2:0"
    preferences.rendering.model = str(checkpoint)
    qtbot.waitUntil(lambda: widget.controls["quality"].value == 75)
    moved = RenderSettings(model=str(checkpoint), quality=75, subsampling="4:4:4")
    assert widget.controls.settings() == moved
    widget.reset_button.click()
    assert widget.controls.settings() == replace(moved, subsampling="4:2:0")
    widget.detach()
    preferences.rendering.quality = 10
    heard = RenderDock(ViewerModel())
    qtbot.addWidget(heard)
    preferences.rendering.quality = 11
    qtbot.waitUntil(lambda: heard.controls["quality"].value == 11)
    assert widget.controls["quality"].value == 75


# -- provenance --------------------------------------------------------------------------------


def test_layers_know_what_they_are_when_they_are_opened_again(
    qtbot: QtBot, desk: Desk, said: list[str], tmp_path: Path
) -> None:
    desk.render()
    path = tmp_path / "mine.tif"
    data, arguments, _ = desk.viewer.layers["scene rendered sRGB"].as_layer_data_tuple()
    write_tiff_layer(str(path), data, arguments)
    (opened,) = desk.viewer.open(path, plugin="napari")
    facts = facts_of(opened)
    assert facts[PROVENANCE].kind == "rendered"
    assert (facts[MODEL], facts[QUALITY]) == ("universal", 90)
    assert KIND not in facts

    desk.widget.detach()
    (stranger,) = desk.viewer.open(path, plugin="napari")
    assert not facts_of(stranger)
    desk.viewer.layers.selection.active = stranger
    commands.recall(desk.viewer)
    assert facts_of(stranger)[PROVENANCE] == facts[PROVENANCE]
    assert said.pop().startswith("info: mine [1]: rendered sRGB")


def test_files_of_others_are_left_alone(desk: Desk, tmp_path: Path) -> None:
    path = tmp_path / "other.tif"
    import tifffile

    tifffile.imwrite(path, np.zeros((8, 8), np.uint8))
    (opened,) = desk.viewer.open(path, plugin="napari")
    assert not opened.metadata


# -- windows -----------------------------------------------------------------------------------


def no_thread() -> bool:
    return all(thread.name != THREAD_NAME for thread in threading.enumerate())


@pytest.fixture
def open_desk(
    qtbot: QtBot,
    display: None,
    make_napari_viewer: Callable[..., napari.Viewer],
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[Path], Desk]:
    monkeypatch.setattr("napari_invisp.viewer.controls._REST_MS", 1)

    def opened(path: Path) -> Desk:
        viewer = make_napari_viewer(show=True)
        widget = opening.dock(viewer)
        widget.controls["tile"].value = 32
        viewer.open(path, plugin=PLUGIN)
        return Desk(qtbot, viewer, widget)

    return opened


@pytest.mark.parametrize("run", RUNS)
def test_the_window_may_be_closed_during_a_run(
    qtbot: QtBot, open_desk: Callable[[Path], Desk], dng: Path, said: list[str], run: str
) -> None:
    desk = open_desk(dng)
    for kind in (ArchiveDock, CompareDock, ErrorMapsDock, HistogramDock, RateDock, ReadoutDock):
        opening.dock(desk.viewer, kind)
    desk.render()
    desk.start(run)
    runs = desk.widget.runs
    with qtbot.waitSignal(desk.widget.destroyed):
        desk.viewer.close()
    assert not runs.running
    qtbot.waitUntil(no_thread, timeout=LONG)
    assert not said


def test_two_windows_each_with_a_run(
    qtbot: QtBot, open_desk: Callable[[Path], Desk], dng: Path, tmp_path: Path, said: list[str]
) -> None:
    path = tmp_path / "other.dng"
    write_dng(path, make_smooth_record((64, 80)))
    desks = [open_desk(dng), open_desk(path)]
    records = [raw_of(desk.viewer.layers[-1]) for desk in desks]
    for desk in desks:
        desk.widget.render_raw()
    assert all(desk.widget.running for desk in desks)
    for desk, record in zip(desks, records, strict=True):
        desk.finish()
        desk.check(record)
        assert len(desk.viewer.layers) == 7
    for desk in desks:
        desk.widget.controls["quality"].value = 30
    for desk, record in zip(desks, records, strict=True):
        rendered = desk.results(record)[Kind.RENDERED]
        qtbot.waitUntil(lambda r=rendered: facts_of(r).get(QUALITY) == 30, timeout=LONG)
        desk.finish()
        desk.check(record)
    assert not said
