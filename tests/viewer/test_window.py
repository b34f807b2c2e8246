"""The real window on a display, driven as a user would."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import napari
import numpy as np
import pytest
from napari.layers import Layer
from napari.utils.notifications import notification_manager
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QPoint, Qt
from qtpy.QtGui import QOffscreenSurface, QOpenGLContext
from qtpy.QtWidgets import QApplication, QFileDialog, QMenuBar, QPushButton, QSlider

from napari_invisp.errors import RawFileError
from napari_invisp.metrics import rgb_psnr
from napari_invisp.pipeline import Pipeline
from napari_invisp.samples import sample_path
from napari_invisp.sensor.reading import read_raw
from napari_invisp.sensor.record import RawRecord
from napari_invisp.viewer.commands import recover_file, recover_layer
from napari_invisp.viewer.docks.opening import dock
from napari_invisp.viewer.docks.render import RenderDock
from napari_invisp.viewer.launch import launch
from napari_invisp.viewer.layers import FIGURES, facts_of
from napari_invisp.viewer.work.worker import THREAD_NAME

pytestmark = pytest.mark.usefixtures("display")

PLUGIN = "napari-invisp"
LONG = 60_000
DOCK_NAME = RenderDock.dock_name()


def press(qtbot: QtBot, widget: RenderDock, name: str) -> None:
    button = widget.findChild(QPushButton, f"napari-invisp.{name}")
    qtbot.waitUntil(button.isVisible)
    assert button.isEnabled()
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def choose(viewer: napari.Viewer, *titles: str) -> None:
    """Choose an entry of the window's menus."""
    (menu,) = viewer.window._qt_window.findChildren(QMenuBar)
    for title in titles:
        (entry,) = [each for each in menu.actions() if each.text().replace("&", "") == title]
        menu = entry.menu()
    entry.trigger()


def drag(qtbot: QtBot, slider: QSlider, value: int) -> None:
    """Take the slider's handle and put it where ``value`` is, within a step or two."""
    span = slider.maximum() - slider.minimum()

    def position(at: int) -> QPoint:
        handle = 10
        x = handle / 2 + (at - slider.minimum()) / span * (slider.width() - handle)
        return QPoint(round(x), slider.height() // 2)

    qtbot.mousePress(slider, Qt.MouseButton.LeftButton, pos=position(slider.value()))
    qtbot.mouseMove(slider, position((slider.value() + value) // 2))
    qtbot.mouseMove(slider, position(value))
    qtbot.mouseRelease(slider, Qt.MouseButton.LeftButton, pos=position(value))


def quality_of(layer: Layer) -> int | None:
    """Return the quality that a result is of, once it is whole."""
    figures = facts_of(layer).get(FIGURES)
    return figures.quality if figures is not None else None


def no_thread() -> bool:
    return all(thread.name != THREAD_NAME for thread in threading.enumerate())


@pytest.fixture
def capsule(record: RawRecord, tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    pipeline = Pipeline()
    path.write_bytes(pipeline.encode(pipeline.render(record)))
    return path


def test_the_main_job(qtbot: QtBot, make_napari_viewer: Callable[..., napari.Viewer]) -> None:
    frame = read_raw(sample_path())
    threads = set(threading.enumerate())

    viewer = make_napari_viewer(show=True, strict_qt="raise")
    choose(viewer, "Plugins", "InvISP", DOCK_NAME)
    widget = viewer.window.dock_widgets[DOCK_NAME]
    qtbot.waitUntil(widget.isVisible)
    choose(viewer, "File", "Open Sample", "Dog, 2 MP RAW (InvISP)")
    before = viewer.screenshot(flash=False)
    assert before[..., :3].std() > 20  # there is a picture on the canvas

    press(qtbot, widget, "render")
    qtbot.waitUntil(lambda: not widget.running, timeout=LONG)
    rendered = viewer.layers["dog rendered sRGB"]
    first = facts_of(rendered)[FIGURES]
    assert first.quality == 90

    slider = widget.controls["quality"].native.findChild(QSlider)
    decoded, error = viewer.layers["dog decoded JPEG"], viewer.layers["dog RAW error"]
    error_before = error.data[0].mean()
    decoded_before, scale = decoded.data[0].copy(), error.contrast_limits
    drag(qtbot, slider, 40)
    chosen = slider.value()
    assert 30 < chosen < 50
    qtbot.waitUntil(lambda: quality_of(rendered) == chosen, timeout=LONG)
    qtbot.waitUntil(lambda: not widget.running, timeout=LONG)
    second = facts_of(rendered)[FIGURES]
    assert second.jpeg_bytes < first.jpeg_bytes
    assert second.raw.raw_psnr < first.raw.raw_psnr
    assert rgb_psnr(rendered.data[0], decoded.data[0]) < rgb_psnr(rendered.data[0], decoded_before)
    assert error.data[0].mean() > error_before
    assert error.contrast_limits == scale
    assert error.colorbar.visible

    press(qtbot, widget, "recover")
    qtbot.waitUntil(lambda: not widget.running, timeout=LONG)
    assert facts_of(rendered)[FIGURES] == second

    sites = frame.mosaic.shape
    shapes = {layer.name: layer.data[0].shape for layer in viewer.layers}
    assert shapes == {
        "dog mosaic": sites,
        "dog": (*sites, 3),
        "dog RAW error": sites,
        "dog recovered RAW": sites,
        "dog recovered RAW (bilinear)": (*sites, 3),
        "dog decoded JPEG": (*sites, 3),
        "dog rendered sRGB": (*sites, 3),
    }
    for layer in viewer.layers:
        assert np.isfinite(layer.data[0]).all()
        assert np.ptp(layer.data[0]) > 0
        layer.visible = True
    after = viewer.screenshot(flash=False)
    assert np.abs(after.astype(int) - before).mean() > 1

    # Cancel a run half-way; the layers stay, and the next one starts at once.
    data = [layer.data[0] for layer in viewer.layers]
    widget.controls["tile"].value = 128
    widget.controls["headroom"].value = 1.0
    press(qtbot, widget, "render")
    qtbot.waitUntil(lambda: widget.stage.text().startswith("Rendering: "), timeout=LONG)
    press(qtbot, widget, "cancel")
    qtbot.waitUntil(lambda: widget.stage.text() == "Cancelled", timeout=LONG)
    assert all(layer.data[0] is old for layer, old in zip(viewer.layers, data, strict=True))
    press(qtbot, widget, "render")
    qtbot.waitUntil(lambda: not widget.running, timeout=LONG)
    assert facts_of(rendered)["headroom"] == 1.0
    assert len(viewer.layers) == 7

    qtbot.waitUntil(no_thread)
    left = set(threading.enumerate()) - threads
    assert not [thread for thread in left if "invisp" in thread.name]


def test_closing_the_window_during_a_run_ends_it(
    qtbot: QtBot, make_napari_viewer: Callable[..., napari.Viewer]
) -> None:
    viewer = make_napari_viewer(show=True)
    widget = dock(viewer)
    viewer.open_sample(PLUGIN, "dog")
    runs = widget.runs
    with qtbot.waitSignal(runs.progressed):
        press(qtbot, widget, "render")
    with qtbot.waitSignal(widget.destroyed):
        viewer.close()
    assert not runs.running
    qtbot.waitUntil(no_thread, timeout=LONG)


def test_closing_the_dock_during_a_run_ends_it(
    qtbot: QtBot, make_napari_viewer: Callable[..., napari.Viewer], dng: Path
) -> None:
    viewer = make_napari_viewer(show=True)
    choose(viewer, "Plugins", "InvISP", DOCK_NAME)
    widget = viewer.window.dock_widgets[DOCK_NAME]
    docked = widget.parentWidget()
    viewer.open_sample(PLUGIN, "dog")
    with qtbot.waitSignal(widget.runs.progressed):
        press(qtbot, widget, "render")
    with qtbot.waitSignal(widget.destroyed):
        docked.destroyOnClose()
    qtbot.waitUntil(no_thread, timeout=LONG)
    before = len(viewer.layers)
    viewer.open(dng, plugin=PLUGIN)  # nothing listens any more
    assert len(viewer.layers) == before + 2
    again = dock(viewer)
    assert again is not widget
    assert again.raw_layer.name == "scene"


def test_the_commands_recover_a_jpeg(
    qtbot: QtBot,
    make_napari_viewer: Callable[..., napari.Viewer],
    monkeypatch: pytest.MonkeyPatch,
    capsule: Path,
) -> None:
    viewer = make_napari_viewer(show=True)
    said: list[str] = []
    notification_manager.notification_ready.connect(said_to := lambda e: said.append(e.message))
    recover_layer(viewer)
    notification_manager.notification_ready.disconnect(said_to)
    assert said == ["select a layer that was opened from a JPEG file first"]
    viewer.open(capsule, plugin="napari")
    recover_layer(viewer)
    widget = dock(viewer)
    qtbot.waitUntil(lambda: not widget.running, timeout=LONG)
    assert "photo recovered RAW" in viewer.layers

    viewer.layers.clear()
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(capsule), ""))
    recover_file(viewer)
    assert dock(viewer) is widget
    qtbot.waitUntil(lambda: not widget.running, timeout=LONG)
    assert "photo recovered RAW" in viewer.layers


def test_the_menus_offer_the_commands(make_napari_viewer: Callable[..., napari.Viewer]) -> None:
    from napari._app_model import get_app_model

    make_napari_viewer()
    menus = get_app_model().menus
    for menu, command in (
        ("napari/layers/data", "napari-invisp.recover_layer"),
        ("napari/file/io_utilities", "napari-invisp.recover_file"),
    ):
        found = [item.command.id for item in menus.get_menu(menu) if hasattr(item, "command")]
        assert command in found


def test_menu_and_commands_share_one_dock(
    make_napari_viewer: Callable[..., napari.Viewer],
) -> None:
    viewer = make_napari_viewer(show=True)
    widget = dock(viewer)
    choose(viewer, "Plugins", "InvISP", DOCK_NAME)  # hides what is shown
    assert not widget.isVisible()
    assert dock(viewer) is widget
    assert widget.isVisible()
    assert list(viewer.window.dock_widgets) == [DOCK_NAME]


def test_launch_opens_all_kinds_of_files(
    qtbot: QtBot,
    make_napari_viewer: Callable[..., napari.Viewer],
    monkeypatch: pytest.MonkeyPatch,
    dng: Path,
    capsule: Path,
    tmp_path: Path,
) -> None:
    from PIL import Image

    monkeypatch.setattr(
        napari, "Viewer", lambda **arguments: make_napari_viewer(show=True, **arguments)
    )
    foreign = tmp_path / "foreign.jpg"
    Image.new("RGB", (30, 20), "red").save(foreign)
    viewer = launch([dng, capsule, foreign], block=False)
    widget = viewer.window.dock_widgets[DOCK_NAME]
    qtbot.waitUntil(lambda: not widget.running, timeout=LONG)
    assert {layer.name for layer in viewer.layers} == {
        "scene mosaic",
        "scene",
        "foreign",
        "photo recovered RAW",
        "photo recovered RAW (bilinear)",
        "photo JPEG",
    }


def test_launch_refuses_what_it_cannot_open(tmp_path: Path) -> None:
    with pytest.raises(RawFileError, match=r"nowhere\.dng does not exist"):
        launch([tmp_path / "nowhere.dng"], block=False)
    assert not [w for w in QApplication.topLevelWidgets() if w.isVisible()]


def test_a_removed_layer_is_deleted_in_the_context_that_drew_it(
    make_napari_viewer: Callable[..., napari.Viewer], qtbot: QtBot
) -> None:
    """Deleted in another, as Qt's own for the window, it takes Mesa's next drawing with it."""
    viewer = make_napari_viewer(show=True)
    dock(viewer, RenderDock)
    canvas = viewer.window._qt_viewer.canvas.native
    layer = viewer.add_image(np.zeros((8, 8), np.float32))
    qtbot.waitUntil(canvas.isValid)
    current = []

    def remember(event: object) -> None:
        current.append(QOpenGLContext.currentContext() is canvas.context())

    # Before napari hears of it.
    viewer.layers.events.removed.connect(remember, position="first")
    other, surface = QOpenGLContext(), QOffscreenSurface()
    surface.create()
    assert other.create()
    assert other.makeCurrent(surface)

    viewer.layers.remove(layer)

    assert current == [True]
