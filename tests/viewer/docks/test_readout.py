from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import napari
import numpy as np
import pytest
from napari.components import ViewerModel
from napari.utils.interactions import mouse_move_callbacks
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QDockWidget, QMainWindow
from records import make_record
from result_layers import add_raw, add_results, paint

from napari_invisp.inspection.readout import HEADER, read
from napari_invisp.sensor.cfa import channel_sites
from napari_invisp.sensor.record import CFA_PATTERNS, RawRecord
from napari_invisp.viewer.docks import readout
from napari_invisp.viewer.docks.readout import ReadoutDock
from napari_invisp.viewer.layers import raw_layers


@pytest.fixture
def dock(qtbot: QtBot, viewer: ViewerModel, monkeypatch: pytest.MonkeyPatch) -> ReadoutDock:
    monkeypatch.setattr(readout, "_PAUSE_MS", 1)
    made = ReadoutDock(viewer)
    qtbot.addWidget(made)
    return made


def move(viewer: ViewerModel, *position: float) -> None:
    event = SimpleNamespace(position=position, type="mouse_move", is_dragging=False)
    mouse_move_callbacks(viewer, event)


@pytest.mark.parametrize("pattern", CFA_PATTERNS)
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_values_are_those_of_the_layers_under_the_mouse(
    viewer: ViewerModel, dock: ReadoutDock, pattern: str, orientation: int
) -> None:
    record = make_record((48, 64), pattern).replace(orientation=orientation)
    mosaic, _ = add_raw(viewer, record)
    recovered, _, decoded, rendered = add_results(viewer, record)
    for row, column in ((0, 0), (13, 21), (47, 63)):
        move(viewer, *mosaic.data_to_world((row + 0.4, column - 0.4)))
        found = dock.readout
        assert (found.row, found.column) == (row, column)
        top, left = row // 2 * 2, column // 2 * 2
        quad = [(top + y, left + x) for y, x in channel_sites(pattern).values()]
        assert found.original == tuple(mosaic.data[0][place] for place in quad)
        assert found.recovered == tuple(recovered.data[0][place] for place in quad)
        assert found.rendered == tuple(rendered.data[0][row, column])
        assert found.jpeg == tuple(decoded.data[0][row, column])
        assert dock.values.text() == found.line()


def test_it_is_quiet_outside_the_frame(viewer: ViewerModel, dock: ReadoutDock) -> None:
    assert "Open a camera RAW file" in dock.values.text()
    move(viewer, 3, 3)
    assert "Open a camera RAW file" in dock.values.text()
    add_raw(viewer, make_record((48, 64)))
    move(viewer, 3, 3)
    assert dock.readout is not None
    for outside in ((-0.6, 3), (3, -0.6), (47.6, 3), (3, 63.6)):
        move(viewer, *outside)
        assert dock.readout is None
        assert dock.values.text() == "Move the mouse over the picture."
    move(viewer, -0.4, 63.4)
    assert (dock.readout.row, dock.readout.column) == (0, 63)


def test_the_line_follows_layers_and_pixels_under_a_mouse_at_rest(
    qtbot: QtBot, viewer: ViewerModel, dock: ReadoutDock
) -> None:
    first, second = (make_record((48, 64), seed=seed) for seed in (1, 2))
    layer, _ = add_raw(viewer, first)
    move(viewer, 7, 9)
    assert dock.readout == read(7, 9, first, None)
    other, _ = add_raw(viewer, second, "other")
    viewer.layers.selection.active = other
    qtbot.waitUntil(lambda: dock.readout == read(7, 9, second, None))
    viewer.layers.selection.active = layer
    qtbot.waitUntil(lambda: dock.readout == read(7, 9, first, None))
    recovered, *_ = add_results(viewer, first)
    qtbot.waitUntil(lambda: dock.readout.recovered is not None)
    paint(recovered, 1111)
    qtbot.waitUntil(lambda: dock.readout.recovered == (1111,) * 4)
    recovered.name = "renamed"
    viewer.layers.remove(recovered)
    viewer.layers.clear()
    qtbot.waitUntil(lambda: dock.readout is None)


def test_layers_of_others_do_not_matter(viewer: ViewerModel, dock: ReadoutDock) -> None:
    record = make_record((48, 64))
    add_raw(viewer, record)
    viewer.add_points(np.zeros((3, 4)))  # four dimensions
    move(viewer, 0, 0, 7, 9)
    assert dock.readout == read(7, 9, record, None)


def test_a_jpeg_without_its_original(viewer: ViewerModel, dock: ReadoutDock) -> None:
    record = make_record((48, 64))
    for data, arguments, _ in raw_layers(record, "photo", {}, recovered=True):
        viewer.add_image(data, **arguments)
    move(viewer, 7, 9)
    assert dock.readout.original is None
    assert dock.readout.recovered == read(7, 9, record, None).original


def test_it_lets_go_when_it_is_closed(qtbot: QtBot, viewer: ViewerModel) -> None:
    before = list(viewer.mouse_move_callbacks)
    dock = ReadoutDock(viewer)
    add_raw(viewer, record := make_record((48, 64)))
    recovered, *_ = add_results(viewer, record)
    assert len(viewer.mouse_move_callbacks) == len(before) + 1
    with qtbot.waitSignal(dock.destroyed):
        dock.deleteLater()
    assert list(viewer.mouse_move_callbacks) == before
    paint(recovered, 5)
    move(viewer, 3, 3)


def test_it_is_one_line_below_the_picture(
    display: None, qtbot: QtBot, make_napari_viewer: Callable[..., napari.Viewer]
) -> None:
    from napari._app_model import get_app_model

    viewer = make_napari_viewer(show=True)
    get_app_model().commands.execute_command("napari-invisp.readout")
    dock = viewer.window.dock_widgets[ReadoutDock.dock_name()]
    docked = dock.parentWidget()
    assert isinstance(docked, QDockWidget)
    window: QMainWindow = viewer.window._qt_window
    assert window.dockWidgetArea(docked) == Qt.DockWidgetArea.BottomDockWidgetArea
    record: RawRecord = make_record((200, 300)).replace(orientation=6)
    add_raw(viewer, record)
    canvas = viewer.window._qt_viewer.canvas.native
    middle = QPoint(canvas.width() // 2, canvas.height() // 2)
    qtbot.mouseMove(canvas, middle)
    qtbot.mouseMove(canvas, middle + QPoint(2, 2))
    qtbot.waitUntil(lambda: dock.readout is not None)
    found = dock.readout
    assert found == read(found.row, found.column, record, None)
    assert abs(found.row - 100) < 20
    assert abs(found.column - 150) < 20
    # Header and values stand in the same columns.
    assert dock.header.fontMetrics().horizontalAdvance(HEADER[0]) == (
        dock.values.fontMetrics().horizontalAdvance(dock.values.text())
    )
    assert docked.height() < 130
