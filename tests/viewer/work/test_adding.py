from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from napari.components import ViewerModel
from pytestqt.qtbot import QtBot
from qtpy.QtWidgets import QWidget

from napari_invisp.sensor.record import RawRecord
from napari_invisp.viewer.layers import LayerData, facts_of, raw_layers
from napari_invisp.viewer.work.adding import Adder


@pytest.fixture
def window(qtbot: QtBot) -> QWidget:
    widget = QWidget()
    qtbot.addWidget(widget)
    return widget


@pytest.fixture
def adder(viewer: ViewerModel, window: QWidget) -> Adder:
    return Adder(viewer, lambda: window)


@pytest.fixture
def made(record: RawRecord) -> list[LayerData]:
    """The layers of a RAW: a hidden mosaic, and a picture."""
    return raw_layers(record, "scene", {})


@pytest.fixture
def put(adder: Adder) -> Callable[[LayerData], None]:
    return lambda made: adder.then(lambda: adder.put(made))


def test_the_window_answers_between_steps_and_draws_at_the_end(
    qtbot: QtBot,
    viewer: ViewerModel,
    window: QWidget,
    adder: Adder,
    put: Callable[[LayerData], None],
    made: list[LayerData],
) -> None:
    drawing: list[bool] = []
    for layer in made:
        put(layer)
        adder.then(lambda: drawing.append(window.updatesEnabled()))
    assert not viewer.layers  # not before the event loop comes to it
    seen: set[tuple[int, bool]] = set()

    def done() -> bool:
        seen.add((len(viewer.layers), window.updatesEnabled()))
        return not adder.busy

    qtbot.waitUntil(done)
    assert [layer.name for layer in viewer.layers] == ["scene mosaic", "scene"]
    assert drawing == [True, True]
    assert {(0, True), (2, True)} <= seen


def test_only_what_is_to_be_looked_at_is_selected(
    qtbot: QtBot,
    viewer: ViewerModel,
    adder: Adder,
    put: Callable[[LayerData], None],
    made: list[LayerData],
) -> None:
    mine = viewer.add_image(np.zeros((4, 4)))
    mosaic, picture = made
    put(mosaic)
    qtbot.waitUntil(lambda: not adder.busy)
    assert viewer.layers.selection.active is mine
    put(picture)
    qtbot.waitUntil(lambda: not adder.busy)
    assert viewer.layers.selection.active is viewer.layers["scene"]
    assert mine.visible  # it is of no RAW


def test_pixels_are_replaced_in_place(
    qtbot: QtBot,
    viewer: ViewerModel,
    adder: Adder,
    put: Callable[[LayerData], None],
    made: list[LayerData],
) -> None:
    levels, arguments, kind = made[1]
    put(made[1])
    qtbot.waitUntil(lambda: not adder.busy)
    (layer,) = viewer.layers
    layer.name = "mine"
    others = [level // 2 for level in levels]
    put((others, arguments, kind))
    qtbot.waitUntil(lambda: not adder.busy)
    assert list(viewer.layers) == [layer]
    assert layer.data[0] is others[0]
    assert facts_of(layer) == arguments["metadata"]["napari_invisp"]


@pytest.mark.parametrize("end", ["settle", "abandon"])
def test_a_window_is_never_left_without_drawing(
    qtbot: QtBot,
    viewer: ViewerModel,
    window: QWidget,
    adder: Adder,
    put: Callable[[LayerData], None],
    made: list[LayerData],
    monkeypatch: pytest.MonkeyPatch,
    end: str,
) -> None:
    monkeypatch.setattr("napari_invisp.viewer.work.adding._BREATH_MS", 60_000)
    for layer in made:
        put(layer)
    qtbot.waitUntil(lambda: not window.updatesEnabled())
    getattr(adder, end)()
    assert window.updatesEnabled()
    assert not adder.busy
    assert len(viewer.layers) == 1
