from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path

import napari
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels, Points, Shapes, Surface, Tracks, Vectors
from npe2 import PluginManifest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLineEdit, QListView, QSlider, QWidget
from result_layers import add_raw, add_results

import napari_invisp
from napari_invisp.sensor.record import RawRecord
from napari_invisp.viewer import commands
from napari_invisp.viewer.docks import opening
from napari_invisp.viewer.docks.compare import CompareDock
from napari_invisp.viewer.docks.histogram import HistogramDock
from napari_invisp.viewer.docks.jpeg import JpegDock
from napari_invisp.viewer.docks.readout import ReadoutDock
from napari_invisp.viewer.docks.render import RenderDock
from napari_invisp.viewer.shortcuts import SHORTCUTS, as_markdown, key_of

ALL = [each for group in SHORTCUTS.values() for each in group]
MANIFEST = Path(napari_invisp.__file__).parent / "napari.yaml"
LAYERS = (Image, Labels, Points, Shapes, Surface, Tracks, Vectors)


def keys(viewer: ViewerModel) -> set[str]:
    return {str(key) for key in viewer.keymap}


def visible(viewer: ViewerModel) -> list[str]:
    return [layer.name for layer in viewer.layers if layer.visible]


def test_the_documentation_lists_them() -> None:
    page = Path(__file__).parents[2] / "docs" / "shortcuts.md"
    assert page.read_text() == as_markdown(), "run docs/make_shortcuts.py"
    assert "| `K` | show A and B in turns, or stop that |" in as_markdown()


def test_each_does_what_a_command_or_a_dock_of_the_manifest_does() -> None:
    contributed = PluginManifest.from_file(MANIFEST).contributions.commands
    names = {command.id.removeprefix("napari-invisp."): command for command in contributed}
    functions = {command.python_name.split(":")[1] for command in contributed}
    for each in ALL:
        assert callable(getattr(commands, each.command))
        assert each.command in names.keys() | functions


def test_napari_leaves_the_keys_free(make_napari_viewer: Callable[..., napari.Viewer]) -> None:
    """Whatever layer is selected, and in the menus."""
    from napari._app_model import get_app_model
    from napari.utils.shortcuts import default_shortcuts

    make_napari_viewer()
    used = {str(key) for bound in default_shortcuts.values() for key in bound}
    used |= {str(binding.keybinding) for binding in get_app_model().keybindings}
    for provider in (ViewerModel, *LAYERS):
        for each in inspect.getmro(provider):
            used |= {str(key) for key in vars(each).get("class_keymap", {})}
    assert used >= {"B", "Ctrl+O", "Shift+Up"}
    own = [each.key for each in ALL]
    assert len(own) == len(set(own))
    assert not used & set(own)


def test_they_work_while_a_dock_is_open(qtbot: QtBot, viewer: ViewerModel) -> None:
    assert not viewer.keymap
    one, two = HistogramDock(viewer), ReadoutDock(viewer)
    for dock in (one, two):
        qtbot.addWidget(dock)
    assert keys(viewer) == {each.key for each in ALL}
    one.detach()
    assert keys(viewer) == {each.key for each in ALL}
    two.detach()
    two.detach()  # as closing does, once more
    assert not viewer.keymap
    again = HistogramDock(viewer)
    qtbot.addWidget(again)
    assert keys(viewer) == {each.key for each in ALL}


def test_keys_that_the_user_has_bound_stay_bound(qtbot: QtBot, viewer: ViewerModel) -> None:
    before = viewer.bind_key("K")(lambda _: None)
    dock = HistogramDock(viewer)
    qtbot.addWidget(dock)
    meanwhile = viewer.bind_key("J", lambda _: None, overwrite=True)
    assert meanwhile is not None
    dock.detach()
    assert keys(viewer) == {"K", "J"}
    assert before in viewer.keymap.values()


def test_two_viewers_have_keys_of_their_own(qtbot: QtBot, viewer: ViewerModel) -> None:
    other = ViewerModel()
    docks = [HistogramDock(each) for each in (viewer, other)]
    for dock in docks:
        qtbot.addWidget(dock)
    docks[0].detach()
    assert not viewer.keymap
    assert keys(other) == {each.key for each in ALL}


@pytest.fixture
def window(
    display: None, make_napari_viewer: Callable[..., napari.Viewer], record: RawRecord
) -> napari.Viewer:
    """A window with a RAW and its results."""
    viewer = make_napari_viewer(show=True)
    add_raw(viewer, record)
    add_results(viewer, record)
    return viewer


def test_keys_in_the_window(qtbot: QtBot, window: napari.Viewer) -> None:
    opening.dock(window)
    canvas = window.window._qt_viewer
    for key, name in (
        (Qt.Key.Key_F1, "scene"),
        (Qt.Key.Key_F2, "scene rendered sRGB"),
        (Qt.Key.Key_F3, "scene decoded JPEG"),
        (Qt.Key.Key_F4, "scene recovered RAW (bilinear)"),
    ):
        qtbot.keyClick(canvas, key)
        assert visible(window) == [name]
    white = window.layers["scene"].contrast_limits[1]
    for _ in range(3):
        qtbot.keyClick(canvas, Qt.Key.Key_Period)
    qtbot.keyClick(canvas, Qt.Key.Key_Comma)
    exposure = opening.dock(window, CompareDock).exposure_form["exposure"]
    assert exposure.value == 1.0
    assert window.layers["scene"].contrast_limits[1] < white
    qtbot.keyClick(canvas, Qt.Key.Key_0)
    assert exposure.value == 0
    assert window.layers["scene"].contrast_limits[1] == white
    qtbot.keyClick(canvas, Qt.Key.Key_H)
    assert window.window.dock_widgets[HistogramDock.dock_name()].isVisible()
    qtbot.keyClick(canvas, Qt.Key.Key_K, Qt.KeyboardModifier.ShiftModifier)
    assert "scene rendered sRGB [A universal q90]" in window.layers


def test_a_list_and_a_slider_let_keys_through(qtbot: QtBot, window: napari.Viewer) -> None:
    """That is where the focus is after a click."""
    widget = opening.dock(window)
    layers = window.window._qt_viewer.layers
    slider = widget.controls["quality"].native.findChild(QSlider)
    for where, key, name in (
        (layers, Qt.Key.Key_F3, "scene decoded JPEG"),
        (slider, Qt.Key.Key_F1, "scene"),
    ):
        assert isinstance(where, QListView | QSlider)
        where.setFocus()
        qtbot.keyClick(where, key)
        assert visible(window) == [name]
    comparison = opening.dock(window, CompareDock).comparison
    layers.setFocus()
    qtbot.keyClick(layers, Qt.Key.Key_K)
    assert comparison.automatic
    qtbot.keyClick(layers, Qt.Key.Key_K)
    assert comparison.mode is None


def test_text_fields_keep_their_keys(qtbot: QtBot, window: napari.Viewer) -> None:
    widget = opening.dock(window)
    compare = opening.dock(window, CompareDock)
    compare.expose(2)
    field = QLineEdit()
    opening.dock(window, JpegDock).contents.addWidget(field)
    number: QWidget = widget.controls["tile"].native
    for target in (field, number):
        target.setFocus()
        for letter in "kju0.,":
            qtbot.keyClick(target, letter)
    assert field.text() == "kju0.,"
    assert compare.comparison.mode is None
    assert compare.exposure_form["exposure"].value == 2
    assert len(window.layers) == 6


def test_a_held_key_shows_the_other_for_a_glance(
    qtbot: QtBot, window: napari.Viewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari.settings import get_settings

    get_settings().application.hold_button_delay = 0
    compare = opening.dock(window, CompareDock)
    compare.flip()
    first = compare.comparison.shown
    canvas = window.window._qt_viewer
    qtbot.keyPress(canvas, key_of("flip"))
    assert compare.comparison.shown is not first
    qtbot.keyRelease(canvas, key_of("flip"))
    assert compare.comparison.shown is first


def test_a_key_says_why_it_can_do_nothing(
    qtbot: QtBot, display: None, make_napari_viewer: Callable[..., napari.Viewer], said: list[str]
) -> None:
    viewer = make_napari_viewer(show=True)
    opening.dock(viewer, RenderDock)
    canvas = viewer.window._qt_viewer
    shift = Qt.KeyboardModifier.ShiftModifier
    for key, modifier in (
        (Qt.Key.Key_R, shift),
        (Qt.Key.Key_E, shift),
        (Qt.Key.Key_W, shift),
        (Qt.Key.Key_C, shift),
        (Qt.Key.Key_F5, Qt.KeyboardModifier.NoModifier),
        (Qt.Key.Key_J, Qt.KeyboardModifier.NoModifier),
        (Qt.Key.Key_U, Qt.KeyboardModifier.NoModifier),
    ):
        qtbot.keyClick(canvas, key, modifier)
    assert said == [
        "error: open a camera RAW file first",
        "error: render a RAW first",
        "error: render a RAW first",
        "error: there is no error picture of this RAW: render it first",
        "error: open or make two images to compare first",
        "error: open a camera RAW file first: clipping is shown from its samples",
    ]
