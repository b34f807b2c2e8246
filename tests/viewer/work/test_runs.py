from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from pytestqt.qtbot import QtBot
from qtpy.QtWidgets import QSlider

from napari_invisp.tiling import Tile
from napari_invisp.viewer.docks.render import RenderDock
from napari_invisp.viewer.layers import FIGURES, MAP, METADATA_KEY, PARTIAL, facts_of
from napari_invisp.viewer.layers.view import part_in_view
from napari_invisp.viewer.work.frames import Frames

PLUGIN = "napari-invisp"
LONG = 20_000


@pytest.fixture
def dock(qtbot: QtBot, viewer: ViewerModel, monkeypatch: pytest.MonkeyPatch) -> RenderDock:
    monkeypatch.setattr("napari_invisp.viewer.controls._REST_MS", 1)
    dock = RenderDock(viewer)
    dock.controls["model"].value = "physics"
    qtbot.addWidget(dock)
    return dock


@pytest.fixture
def finish(qtbot: QtBot, dock: RenderDock) -> Callable[[], None]:
    return lambda: qtbot.waitUntil(lambda: not dock.running, timeout=LONG)


class Stop:
    """Holds a run back after some tiles, until it is let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, after: int, stage: str) -> None:
        self.tiles: list[Tile] = []
        self.reached, self.go = threading.Event(), threading.Event()
        original = Frames.arrived

        def arrived(frames: Frames, name: str, tile: Tile, pixels: Any) -> None:
            original(frames, name, tile, pixels)
            if name == stage:
                self.tiles.append(tile)
                if len(self.tiles) == after:
                    self.reached.set()
                    assert self.go.wait(20)

        monkeypatch.setattr(Frames, "arrived", arrived)


@pytest.mark.parametrize("stage", ["rendering", "recovering"])
def test_pan_and_zoom_reorder_the_queue(
    qtbot: QtBot,
    viewer: ViewerModel,
    dock: RenderDock,
    finish: Callable[[], None],
    dng: Path,
    monkeypatch: pytest.MonkeyPatch,
    one_thread: None,
    stage: str,
) -> None:
    stop = Stop(monkeypatch, 4, stage)
    viewer.open(dng, plugin=PLUGIN)
    raw = dock.raw_layer
    dock.controls["tile"].value = 16
    viewer.scene.camera.zoom = 30
    viewer.scene.camera.center = raw.data_to_world((80, 20))
    dock.render_raw()
    qtbot.waitUntil(stop.reached.is_set, timeout=LONG)
    assert {(tile.rows.start, tile.columns.start) for tile in stop.tiles[:1]} == {(80, 16)}
    viewer.scene.camera.center = raw.data_to_world((8, 120))
    qtbot.waitUntil(lambda: dock.runs._part == part_in_view(viewer, raw), timeout=LONG)
    stop.go.set()
    finish()
    soon = [(tile.rows.start, tile.columns.start) for tile in stop.tiles[4:7]]
    assert (0, 112) in soon


def test_what_is_there_is_seen_before_the_rest(
    qtbot: QtBot,
    viewer: ViewerModel,
    dock: RenderDock,
    finish: Callable[[], None],
    dng: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stop = Stop(monkeypatch, 2, "recovering")
    viewer.open(dng, plugin=PLUGIN)
    dock.controls["tile"].value = 16
    dock.render_raw()
    qtbot.waitUntil(stop.reached.is_set, timeout=LONG)
    qtbot.waitUntil(lambda: "scene recovered RAW" in viewer.layers, timeout=LONG)
    mosaic = viewer.layers["scene recovered RAW"]
    there = mosaic.data[0] > 0
    for tile in stop.tiles[:2]:
        assert there[tile.rows, tile.columns].all()
    assert there.mean() < 0.2
    assert viewer.layers["scene rendered sRGB"].data[0].any(2).all()
    assert facts_of(mosaic)[PARTIAL]
    stop.go.set()
    finish()
    assert (mosaic.data[0] > 0).all()
    assert PARTIAL not in facts_of(mosaic)


def test_a_slider_that_moves_on_is_followed(
    qtbot: QtBot, viewer: ViewerModel, dock: RenderDock, finish: Callable[[], None], dng: Path
) -> None:
    viewer.open(dng, plugin=PLUGIN)
    dock.render_raw()
    finish()
    slider = dock.controls["quality"].native.findChild(QSlider)
    slider.setSliderDown(True)
    seen: list[int] = []
    dock.runs.moved.connect(lambda figures: seen.append(figures.quality))
    for quality in (80, 70, 60, 50, 40):
        slider.setSliderPosition(quality)
    qtbot.waitUntil(lambda: 40 in seen, timeout=LONG)
    finish()
    assert seen[-1] == 40
    slider.setSliderDown(False)
    qtbot.waitUntil(lambda: "Result at quality 40" in dock.result_box.title(), timeout=LONG)


def test_only_the_part_in_view_follows_a_slider(
    qtbot: QtBot, viewer: ViewerModel, dock: RenderDock, finish: Callable[[], None], dng: Path
) -> None:
    viewer.open(dng, plugin=PLUGIN)
    dock.render_raw()
    finish()
    decoded = viewer.layers["scene decoded JPEG"]
    before = decoded.data[0].copy()
    viewer.scene.camera.zoom = 30
    viewer.scene.camera.center = dock.raw_layer.data_to_world((20, 20))
    rows, columns = part_in_view(viewer, dock.raw_layer)
    slider = dock.controls["quality"].native.findChild(QSlider)
    slider.setSliderDown(True)
    with qtbot.waitSignal(dock.runs.moved, timeout=LONG) as moved:
        slider.setSliderPosition(10)
    finish()
    assert moved.args[0].part == (rows, columns)
    changed = (decoded.data[0] != before).any(2)
    assert changed[rows, columns].mean() > 0.5
    assert not changed[64:].any()
    assert not changed[:, 80:].any()
    slider.setSliderDown(False)
    qtbot.waitUntil(lambda: not facts_of(decoded).get(PARTIAL), timeout=LONG)
    finish()


def test_an_error_map_keeps_its_metric_through_runs(
    qtbot: QtBot, viewer: ViewerModel, dock: RenderDock, finish: Callable[[], None], dng: Path
) -> None:
    from napari_invisp.settings import ErrorMapSettings

    viewer.open(dng, plugin=PLUGIN)
    dock.render_raw()
    finish()
    layer = viewer.layers["scene RAW error"]
    assert layer.data[0].min() >= 0
    facts = facts_of(layer) | {MAP: ErrorMapSettings(metric="E")}
    layer.metadata = {METADATA_KEY: facts}
    dock.controls["quality"].value = 60
    rendered = viewer.layers["scene rendered sRGB"]
    qtbot.waitUntil(
        lambda: getattr(facts_of(rendered).get(FIGURES), "quality", 0) == 60, timeout=LONG
    )
    finish()
    signed = viewer.layers["scene recovered RAW"].data[0].astype(int) - viewer.layers[
        "scene mosaic"
    ].data[0].astype(int)
    np.testing.assert_array_equal(layer.data[0], signed)
    assert facts_of(layer)[MAP].metric == "E"
