from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import napari
import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image
from napari.utils.notifications import notification_manager
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QSlider
from stacks import add_raw, add_results

from napari_invisp.sensor.record import RawRecord
from napari_invisp.viewer.compare.comparing import Mode
from napari_invisp.viewer.compare.swiping import Divider
from napari_invisp.viewer.docks import opening
from napari_invisp.viewer.docks.compare import CompareDock
from napari_invisp.viewer.layers import METADATA_KEY, PARTIAL
from napari_invisp.viewer.layers.pyramids import pyramid
from napari_invisp.viewer.shortcuts import key_of

A, B = "scene", "scene recovered RAW (bilinear)"
BLINK_KEY, FLIP_KEY = key_of("blink"), key_of("flip")


@pytest.fixture
def dock(qtbot: QtBot, viewer: ViewerModel, record: RawRecord) -> CompareDock:
    add_raw(viewer, record)
    add_results(viewer, record)
    dock = CompareDock(viewer)
    qtbot.addWidget(dock)
    return dock


@pytest.fixture
def said() -> list[str]:
    sentences: list[str] = []
    notification_manager.notification_ready.connect(note := lambda e: sentences.append(e.message))
    yield sentences
    notification_manager.notification_ready.disconnect(note)


def names(dock: CompareDock) -> list[str]:
    return [layer.name for layer in dock.pair]


def visible(viewer: ViewerModel) -> set[str]:
    return {layer.name for layer in viewer.layers if layer.visible}


def test_without_two_layers_there_is_nothing_to_do(
    qtbot: QtBot, viewer: ViewerModel, record: RawRecord
) -> None:
    dock = CompareDock(viewer)
    qtbot.addWidget(dock)
    buttons = (*dock.mode_buttons.values(), dock.flip_button, dock.swap_button, dock.keep_button)
    assert not any(button.isEnabled() for button in buttons)
    assert "Open or make two images" in dock.showing.text()
    dock.compare(Mode.BLINK)
    dock.flip()
    assert dock.comparison.mode is None
    viewer.add_image(np.zeros((4, 4)), name="one")
    assert dock.pair is None
    viewer.add_image(np.zeros((4, 4)), name="two")
    assert names(dock) == ["one", "two"]
    assert dock.mode_buttons[Mode.BLINK].isEnabled()
    assert not dock.mode_buttons[Mode.SWIPE].isEnabled()  # no window to swipe in
    assert not dock.keep_button.isEnabled()


def test_buttons_start_and_stop(viewer: ViewerModel, dock: CompareDock) -> None:
    seen = visible(viewer)
    blink, side = dock.mode_buttons[Mode.BLINK], dock.mode_buttons[Mode.SIDE_BY_SIDE]
    blink.click()
    assert blink.isChecked()
    assert dock.comparison.automatic
    assert dock.showing.text() == f"A: {A}"
    dock.flip_button.click()
    assert dock.showing.text() == f"B: {B}"
    assert visible(viewer) == {B}
    side.click()
    assert side.isChecked()
    assert not blink.isChecked()
    assert dock.showing.text() == "A is on the left."
    dock.form["split"].value = "top | bottom"
    assert viewer.canvas.grid.shape == (2, 1)
    assert dock.showing.text() == "A is at the top."
    side.click()
    assert not side.isChecked()
    assert visible(viewer) == seen


def test_keys_blink_and_flip(viewer: ViewerModel, dock: CompareDock) -> None:
    press = {str(key): slot for key, slot in viewer.keymap.items()}
    press[FLIP_KEY](viewer)
    assert visible(viewer) == {A}
    assert not dock.comparison.automatic
    release = press[FLIP_KEY](viewer)
    assert visible(viewer) == {B}
    release()  # what napari does when a key was held
    assert visible(viewer) == {A}
    press[BLINK_KEY](viewer)
    assert dock.comparison.automatic
    press[BLINK_KEY](viewer)
    assert dock.comparison.mode is None


def test_keys_of_others_are_left_alone(qtbot: QtBot, viewer: ViewerModel) -> None:
    taken = viewer.bind_key(BLINK_KEY)(lambda _: None)
    dock = CompareDock(viewer)
    qtbot.addWidget(dock)
    dock.detach()
    assert list(viewer.keymap.values()) == [taken]


def test_what_is_picked_by_hand_stays(
    viewer: ViewerModel, dock: CompareDock, record: RawRecord
) -> None:
    assert names(dock) == [A, B]
    rendered = viewer.layers["scene rendered sRGB"]
    dock.picker_a.value = rendered
    rendered.name = "mine"
    viewer.layers.reverse()
    viewer.add_image(np.zeros((4, 4)))
    assert names(dock) == ["mine", B]
    dock.swap_button.click()
    assert names(dock) == [B, "mine"]
    viewer.layers.remove(rendered)
    assert names(dock) == [A, B]


def test_a_new_pick_is_compared_at_once(viewer: ViewerModel, dock: CompareDock) -> None:
    dock.compare(Mode.SIDE_BY_SIDE)
    dock.picker_b.value = viewer.layers["scene decoded JPEG"]
    assert visible(viewer) == {A, "scene decoded JPEG"}
    dock.picker_b.value = viewer.layers[A]
    assert dock.comparison.mode is None
    assert not dock.mode_buttons[Mode.SIDE_BY_SIDE].isEnabled()


def test_selecting_a_layer_turns_to_its_raw_but_not_while_comparing(
    viewer: ViewerModel, dock: CompareDock, record: RawRecord
) -> None:
    add_raw(viewer, record.replace(make="Other"), "other")
    assert names(dock) == ["other mosaic", "other"]
    viewer.layers.selection.active = viewer.layers["scene decoded JPEG"]
    assert names(dock) == [A, B]
    dock.compare(Mode.BLINK)
    viewer.layers.selection.active = viewer.layers["other"]
    assert names(dock) == [A, B]


def test_results_that_come_meanwhile_are_picked_afterwards(
    qtbot: QtBot, viewer: ViewerModel, record: RawRecord
) -> None:
    add_raw(viewer, record)
    dock = CompareDock(viewer)
    qtbot.addWidget(dock)
    dock.compare(Mode.BLINK)
    add_results(viewer, record)
    assert names(dock) == ["scene mosaic", "scene"]
    dock.compare(Mode.BLINK)
    assert names(dock) == [A, B]


def test_long_names_are_told_apart(viewer: ViewerModel, dock: CompareDock) -> None:
    long = "a very long name of a layer that fits no picker {} and says so at great length"
    for part in ("one", "two"):
        viewer.add_image(np.zeros((4, 4)), name=long.format(part))
    viewer.add_image(np.zeros((4, 4)), name="another long name that fits no picker either, alas")
    shown = {layer.name: text for text, layer in dock._choices(None)}
    assert len(set(shown.values())) == len(viewer.layers)
    assert shown["another long name that fits no picker either, alas"].endswith(" either, alas")
    dock.picker_a.value, dock.picker_b.value = viewer.layers[-3], viewer.layers[-2]
    assert names(dock) == [long.format("one"), long.format("two")]


def test_two_qualities(viewer: ViewerModel, dock: CompareDock, record: RawRecord) -> None:
    assert not dock.release_button.isEnabled()
    dock.keep_button.click()
    assert names(dock) == [f"{B} [A universal q90]", A]
    assert dock.kept_note.text() == "Kept as A: universal q90. Render with other settings for B."
    assert not dock.keep_button.isEnabled()
    add_results(viewer, record, model="physics", quality=40)
    assert names(dock) == [f"{B} [A universal q90]", B]
    assert "Present results: physics q40" in dock.kept_note.text()
    dock.picker_a.value = viewer.layers["scene decoded JPEG [A universal q90]"]
    assert names(dock)[1] == "scene decoded JPEG"
    dock.release_button.click()
    assert names(dock) == [A, B]
    assert len(viewer.layers) == 6
    assert "Keep these results" in dock.kept_note.text()


def test_results_that_are_not_complete_are_not_kept(
    viewer: ViewerModel, dock: CompareDock, said: list[str]
) -> None:
    viewer.layers[B].metadata[METADATA_KEY][PARTIAL] = True
    dock.keep_button.click()
    assert said == ["wait until the results are complete, then keep them"]
    assert B in viewer.layers


def test_the_exposure_slider(qtbot: QtBot, viewer: ViewerModel, dock: CompareDock) -> None:
    layer = viewer.layers["scene rendered sRGB"]
    control = dock.exposure_form["exposure"]
    control.value = 2.2
    assert layer.contrast_limits[1] == pytest.approx(255 / 2)
    dock.reset_button.click()
    assert layer.contrast_limits == [0, 255]
    control.value = -1.0
    slider = control.native.findChild(QSlider)
    dock.show()
    qtbot.mouseDClick(slider, Qt.MouseButton.LeftButton, pos=QPoint(2, slider.height() // 2))
    assert control.value == 0
    assert layer.contrast_limits == [0, 255]


def test_letting_go_leaves_the_viewer_as_it_was(
    viewer: ViewerModel, dock: CompareDock, record: RawRecord
) -> None:
    seen, limits = visible(viewer), [x.contrast_limits for x in viewer.layers]
    dock.exposure_form["exposure"].value = 3.0
    dock.compare(Mode.BLINK)
    dock.detach()
    assert visible(viewer) == seen
    assert [x.contrast_limits for x in viewer.layers] == limits
    assert not dock.comparison.automatic
    assert not viewer.keymap
    viewer.layers.clear()
    add_raw(viewer, record)  # nothing listens any more


def test_deleting_the_widget_lets_go_too(
    qtbot: QtBot, viewer: ViewerModel, record: RawRecord
) -> None:
    add_raw(viewer, record)
    seen = visible(viewer)
    dock = CompareDock(viewer)
    dock.exposure_form["exposure"].value = 3.0
    dock.compare(Mode.BLINK)
    with qtbot.waitSignal(dock.destroyed):
        dock.deleteLater()
    assert visible(viewer) == seen
    assert not viewer.keymap


def test_every_part_of_the_widget_has_a_name(dock: CompareDock) -> None:
    for part in (*vars(dock).values(), *dock.mode_buttons.values(), dock.picker_a.native):
        if hasattr(part, "objectName") and part is not dock.comparison:
            assert part.objectName().startswith("napari-invisp.")


# -- in a window -------------------------------------------------------------------------------

in_window = pytest.mark.usefixtures("display")
RED, BLUE = (255, 0, 0), (0, 0, 255)
# Larger than the canvas, so that it is shown from its pyramid, and stored on its side.
SHAPE = (1600, 1200)
ON_ITS_SIDE = np.array([[0, 1, 0], [-1, 0, SHAPE[0] - 1], [0, 0, 1]])


def add_red_and_blue(viewer: napari.Viewer, rgb: bool = True) -> tuple[Image, Image]:
    layers = []
    for name, colour in (("red", RED), ("blue", BLUE)):
        if rgb:
            pixels = np.full((*SHAPE, 3), colour, np.uint8)
            look = {"rgb": True}
        else:
            pixels = np.full(SHAPE, 4000, np.uint16)
            look = {"colormap": name, "contrast_limits": (0, 4000)}
        look |= {"multiscale": True, "affine": ON_ITS_SIDE, "name": name}
        layers.append(viewer.add_image(pyramid(pixels), **look))
    viewer.reset_view()
    return layers[0], layers[1]


def halves(viewer: napari.Viewer, at: float = 0.5, upright: bool = True) -> list[tuple[int, ...]]:
    """Colours on the canvas close before and close behind where it is divided."""
    canvas = viewer.screenshot(flash=False)
    height, width = canvas.shape[:2]
    middle, cut, step = (height // 2, round(at * width), 12)
    if not upright:
        middle, cut = width // 2, round(at * height)
    points = [(middle, cut - step), (middle, cut + step)]
    return [tuple(canvas[p if upright else p[::-1]][:3].tolist()) for p in points]


@pytest.fixture
def window(make_napari_viewer: Callable[..., napari.Viewer]) -> napari.Viewer:
    return make_napari_viewer(show=True, strict_qt="raise")


@in_window
@pytest.mark.parametrize("rgb", [True, False])
def test_swiping(qtbot: QtBot, window: napari.Viewer, rgb: bool) -> None:
    red, blue = add_red_and_blue(window, rgb)
    dock = opening.dock(window, CompareDock)
    assert dock.pair == (red, blue)
    pixels = red.data[0], blue.data[0]
    dock.mode_buttons[Mode.SWIPE].click()
    divider = dock.comparison._swipe.divider
    canvas = divider.parentWidget()
    assert divider.isVisible()
    assert halves(window) == [RED, BLUE]

    # Dragged by the line, far from its grip.
    height = canvas.height() // 5
    begin = divider.mapFromParent(QPoint(canvas.width() // 2, height))
    assert canvas.childAt(canvas.width() // 2, height) is divider
    assert canvas.childAt(canvas.width() // 2 - 15, height) is None
    camera = window.scene.camera.center
    qtbot.mousePress(divider, Qt.MouseButton.LeftButton, pos=begin)
    for share in (0.45, 0.4, 0.35):
        at = divider.mapFromParent(QPoint(round(share * canvas.width()), height))
        qtbot.mouseMove(divider, at)
    qtbot.mouseRelease(divider, Qt.MouseButton.LeftButton)
    assert divider.share == pytest.approx(0.35, abs=0.01)
    assert window.scene.camera.center == camera
    assert halves(window, 0.35) == [RED, BLUE]

    # Pan and zoom go on below it.
    window.scene.camera.zoom *= 3
    window.scene.camera.center = (300, 500)
    assert halves(window, 0.35) == [RED, BLUE]
    # A is before the line wherever it is in the list.
    window.layers.reverse()
    assert halves(window, 0.35) == [RED, BLUE]

    dock.form["split"].value = "top | bottom"
    assert halves(window, 0.35, upright=False) == [RED, BLUE]
    dock.comparison._swipe.divider.share = 0.3
    assert halves(window, 0.3, upright=False) == [RED, BLUE]

    dock.mode_buttons[Mode.SWIPE].click()
    assert not any(each.isVisible() for each in canvas.findChildren(Divider))
    blue.visible = False
    assert halves(window, 0.3, upright=False) == [RED, RED]
    assert (red.data[0], blue.data[0]) == pixels


@in_window
def test_the_divider_follows_the_size_of_the_canvas(qtbot: QtBot, window: napari.Viewer) -> None:
    add_red_and_blue(window)
    dock = opening.dock(window, CompareDock)
    dock.compare(Mode.SWIPE)
    divider = dock.comparison._swipe.divider
    divider.share = 0.7
    canvas = divider.parentWidget()
    before = canvas.width()
    window.window.resize(1500, 800)
    qtbot.waitUntil(lambda: canvas.width() != before)
    qtbot.waitUntil(lambda: divider.height() == canvas.height())
    assert divider.geometry().center().x() == pytest.approx(0.7 * canvas.width(), abs=1)
    window.reset_view()
    window.scene.camera.zoom *= 3
    assert halves(window, 0.7) == [RED, BLUE]


@in_window
def test_side_by_side_in_the_window(window: napari.Viewer) -> None:
    add_red_and_blue(window)
    dock = opening.dock(window, CompareDock)
    dock.compare(Mode.SIDE_BY_SIDE)
    window.scene.camera.zoom *= 3
    assert halves(window) == [RED, BLUE]
    dock.swap()
    assert halves(window) == [BLUE, RED]


@in_window
def test_keys_in_the_window(qtbot: QtBot, window: napari.Viewer) -> None:
    red, blue = add_red_and_blue(window)
    dock = opening.dock(window, CompareDock)
    canvas = window.window._qt_viewer
    qtbot.keyClick(canvas, Qt.Key.Key_J)
    assert (red.visible, blue.visible) == (True, False)
    assert halves(window) == [RED, RED]
    qtbot.keyClick(canvas, Qt.Key.Key_J)
    assert halves(window) == [BLUE, BLUE]
    window.add_shapes()  # has keys of its own
    qtbot.keyClick(canvas, Qt.Key.Key_K)
    assert dock.comparison.automatic
    shown = dock.comparison.shown
    qtbot.waitUntil(lambda: dock.comparison.shown is not shown)
    qtbot.keyClick(canvas, Qt.Key.Key_K)
    assert dock.comparison.mode is None
    assert red.visible
    assert blue.visible


@in_window
@pytest.mark.parametrize("mode", Mode)
def test_deleting_a_layer_leaves_the_other_whole(window: napari.Viewer, mode: Mode) -> None:
    red, blue = add_red_and_blue(window)
    dock = opening.dock(window, CompareDock)
    dock.compare(mode)
    window.layers.remove(blue)
    assert dock.comparison.mode is None
    assert not dock.mode_buttons[mode].isChecked()
    assert halves(window) == [RED, RED]
    window.layers.append(blue)
    assert dock.pair == (red, blue)
    assert halves(window) == [BLUE, BLUE]


@in_window
@pytest.mark.parametrize("mode", Mode)
def test_closing_the_dock_ends_it(qtbot: QtBot, window: napari.Viewer, mode: Mode) -> None:
    red, blue = add_red_and_blue(window)
    dock = opening.dock(window, CompareDock)
    dock.compare(mode)
    dock.exposure_form["exposure"].value = 1.0
    canvas = window.window._qt_viewer.canvas.native
    with qtbot.waitSignal(dock.destroyed):
        dock.parentWidget().destroyOnClose()
    assert not window.canvas.grid.enabled
    assert not any(each.isVisible() for each in canvas.findChildren(Divider))
    assert red.contrast_limits == [0, 255]
    assert halves(window) == [BLUE, BLUE]
    blue.visible = False
    assert halves(window) == [RED, RED]
    assert opening.dock(window, CompareDock) is not dock


@in_window
@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("by_hand", [True, False])
def test_closing_the_window_ends_it(
    qtbot: QtBot, window: napari.Viewer, mode: Mode, by_hand: bool
) -> None:
    add_red_and_blue(window)
    dock = opening.dock(window, CompareDock)
    dock.compare(mode)
    comparison = dock.comparison
    with qtbot.waitSignal(dock.destroyed):
        if by_hand:
            window.window._qt_window.close()
            del window.window._qt_window  # as Viewer.close does
        else:
            window.close()
    assert comparison.mode is None
    assert not comparison.automatic


@in_window
def test_two_windows(make_napari_viewer: Callable[..., napari.Viewer]) -> None:
    first, second = make_napari_viewer(show=True), make_napari_viewer(show=True)
    for viewer in (first, second):
        add_red_and_blue(viewer)
    one, two = opening.dock(first, CompareDock), opening.dock(second, CompareDock)
    one.compare(Mode.SWIPE)
    two.compare(Mode.BLINK)
    two.flip()
    assert halves(first) == [RED, BLUE]
    assert halves(second) == [BLUE, BLUE]
    one.detach()
    assert two.comparison.mode is Mode.BLINK
    two.compare(Mode.SWIPE)
    assert halves(first) == [BLUE, BLUE]
    assert halves(second) == [RED, BLUE]


@in_window
def test_the_command_palette(window: napari.Viewer, said: list[str]) -> None:
    from napari._app_model import get_app_model

    def call(name: str) -> None:
        get_app_model().commands.execute_command(f"napari-invisp.{name}").result()

    call("blink")
    assert said == ["open or make two images to compare first"]
    dock = window.window.dock_widgets[CompareDock.dock_name()]
    assert dock.isVisible()
    red, blue = add_red_and_blue(window)
    for name, mode in (
        ("blink", Mode.BLINK),
        ("swipe", Mode.SWIPE),
        ("side_by_side", Mode.SIDE_BY_SIDE),
    ):
        call(name)
        assert dock.comparison.mode is mode
        assert dock.comparison.pair == (red, blue)
    call("side_by_side")
    assert dock.comparison.mode is None
    assert opening.dock(window, CompareDock) is dock


@in_window
def test_the_dock_that_the_menu_opens(window: napari.Viewer, dng: Path) -> None:
    _, widget = window.window.add_plugin_dock_widget("napari-invisp", "Compare")
    window.open(dng, plugin="napari-invisp")
    assert names(widget) == ["scene mosaic", "scene"]
    widget.compare(Mode.SWIPE)
    assert widget.comparison.mode is Mode.SWIPE
