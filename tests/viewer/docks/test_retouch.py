from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import napari
import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel
from napari.layers import Image
from numpy.typing import NDArray
from PIL import Image as Picture
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QEvent, QModelIndex, QPoint, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QApplication, QFileDialog, QSlider
from records import make_smooth_record
from result_layers import add_raw, add_results

from napari_invisp.hdr.highlights import linear_srgb_hdr
from napari_invisp.inspection.provenance import recall
from napari_invisp.linear import codes_from_linear, encoded, linear_from_codes
from napari_invisp.pictures import upright
from napari_invisp.retouching.filters import retouched
from napari_invisp.retouching.fitting import fit
from napari_invisp.retouching.presets import load_preset, preset_names
from napari_invisp.retouching.settings import FILTERS, RetouchSettings
from napari_invisp.sensor.record import RawRecord
from napari_invisp.viewer import commands
from napari_invisp.viewer.docks import opening
from napari_invisp.viewer.docks.retouch import Auto, RetouchDock
from napari_invisp.viewer.layers import (
    KIND,
    LOOK,
    PARTIAL,
    RECORD,
    Kind,
    facts_of,
    raw_of,
)
from napari_invisp.viewer.work import looks
from napari_invisp.viewer.work.worker import THREAD_NAME

PLUGIN = "napari-invisp"
LONG = 30_000
BRIGHT = RetouchSettings(exposure=0.5)


@pytest.fixture
def widget(qtbot: QtBot, viewer: ViewerModel, monkeypatch: pytest.MonkeyPatch) -> RetouchDock:
    monkeypatch.setattr("napari_invisp.viewer.docks.preview._REST_MS", 1)
    monkeypatch.setattr("napari_invisp.viewer.docks.preview._VIEW_REST_MS", 1)
    widget = RetouchDock(viewer)
    qtbot.addWidget(widget)
    return widget


@pytest.fixture
def finish(qtbot: QtBot, widget: RetouchDock) -> Callable[[], None]:
    def wait() -> None:
        qtbot.waitUntil(lambda: not widget.running, timeout=LONG)

    return wait


def expected(record: RawRecord, settings: RetouchSettings) -> NDArray[np.uint8]:
    return codes_from_linear(retouched(linear_srgb_hdr(record), settings))


def choose(widget: RetouchDock, choice: Auto) -> None:
    widget.auto_choice.setCurrentText(choice)


class Gate:
    """Holds retouching back until it is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.open, self.reached = threading.Event(), threading.Event()

        def held(light: NDArray[np.float32], settings: RetouchSettings) -> NDArray[np.float32]:
            self.reached.set()
            assert self.open.wait(20)
            return retouched(light, settings)

        monkeypatch.setattr(looks, "retouched", held)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    return Gate(monkeypatch)


# -- previews ----------------------------------------------------------------------------------


def test_without_a_source_there_is_nothing_to_do(widget: RetouchDock) -> None:
    buttons = [widget.preview_button, widget.full_button, widget.cancel_button, widget.auto_button]
    for each in (*buttons, *widget.save_buttons.values()):
        assert not each.isEnabled()
    assert widget.note.text().startswith("Open a camera RAW or a picture to begin")
    widget.controls["exposure"].value = 1
    assert not widget.running


def test_a_moved_slider_makes_the_picture(
    viewer: ViewerModel, widget: RetouchDock, finish: Callable[[], None], dng: Path
) -> None:
    viewer.open(dng, plugin=PLUGIN)
    raw = viewer.layers["scene"]
    assert widget.source is raw
    assert len(viewer.layers) == 2
    widget.controls["exposure"].value = 0.5
    finish()
    layer = viewer.layers[-1]
    assert (layer.name, layer.visible, raw.visible) == ("scene retouched", True, False)
    assert widget.result is layer
    record = raw_of(raw)
    np.testing.assert_array_equal(layer.data[0], expected(record, BRIGHT))
    np.testing.assert_array_equal(layer.affine.affine_matrix, raw.affine.affine_matrix)
    facts = facts_of(layer)
    assert (facts[KIND], facts[LOOK], facts[RECORD]) == (Kind.RETOUCHED, BRIGHT, record)
    assert layer.thumbnail.any()

    pixels = layer.data[0]
    widget.controls["contrast"].value = 0.3
    finish()
    assert viewer.layers[-1] is layer
    assert layer.data[0] is pixels
    both = RetouchSettings(exposure=0.5, contrast=0.3)
    np.testing.assert_array_equal(layer.data[0], expected(record, both))


@pytest.fixture
def large(viewer: ViewerModel) -> RawRecord:
    """A RAW of which only a corner is in view, at 1:1."""
    record = make_smooth_record((600, 520))
    add_raw(viewer, record)
    viewer.canvas.size = (100, 120)
    viewer.scene.camera.zoom = 1
    viewer.scene.camera.center = (0, 60, 70)
    return record


IN_VIEW = (slice(20, 100), slice(20, 120))


def test_the_rest_of_the_frame_waits_for_full_frame(
    viewer: ViewerModel, widget: RetouchDock, finish: Callable[[], None], large: RawRecord
) -> None:
    widget.controls["exposure"].value = 0.5
    finish()
    layer, whole = widget.result, expected(large, BRIGHT)
    assert layer is not None
    np.testing.assert_array_equal(layer.data[0][IN_VIEW], whole[IN_VIEW])
    assert not np.array_equal(layer.data[0], whole)
    assert facts_of(layer)[PARTIAL]
    assert "Full frame does the rest" in widget.progress.stage.text()

    viewer.scene.camera.center = (0, 400, 300)  # another part comes into view
    finish()
    there = (slice(360, 440), slice(250, 350))
    np.testing.assert_array_equal(layer.data[0][there], whole[there])
    assert facts_of(layer)[PARTIAL]

    widget.full_button.click()
    assert widget.cancel_button.isEnabled()
    finish()
    np.testing.assert_array_equal(layer.data[0], whole)
    for level, finer in zip(layer.data[1:], layer.data[:-1], strict=True):
        mean = finer.reshape(level.shape[0], 2, level.shape[1], 2, 3).mean(axis=(1, 3))
        assert np.abs(level - mean).max() <= 0.5
    assert PARTIAL not in facts_of(layer)
    assert widget.progress.stage.text().startswith("Done in ")
    assert not widget.cancel_button.isEnabled()

    viewer.scene.camera.center = (0, 300, 200)  # all is there
    assert not widget._runner.running


def test_a_full_frame_can_be_cancelled(
    qtbot: QtBot,
    viewer: ViewerModel,
    widget: RetouchDock,
    finish: Callable[[], None],
    large: RawRecord,
    gate: Gate,
) -> None:
    widget.full_button.click()
    qtbot.waitUntil(gate.reached.is_set)
    widget.cancel_button.click()
    assert widget.progress.stage.text() == "Cancelled"
    assert not widget.running
    gate.open.set()
    assert len(viewer.layers) == 2
    widget.full_button.click()
    finish()
    np.testing.assert_array_equal(widget.result.data[0], expected(large, RetouchSettings()))


# -- sources -----------------------------------------------------------------------------------


def test_each_source_has_a_result_and_settings_of_its_own(
    viewer: ViewerModel, widget: RetouchDock, finish: Callable[[], None], record: RawRecord
) -> None:
    add_raw(viewer, record)
    add_results(viewer, record)
    viewer.add_image(np.full((40, 50, 3), 90, np.uint8), name="foreign")
    viewer.add_image(np.full((40, 50, 3), 3, np.float32), name="light", rgb=True)
    viewer.add_image(np.zeros((40, 50)), name="plane")
    offered = [widget.picker.native.itemText(n) for n in range(widget.picker.native.count())]
    assert sorted(offered) == [
        "foreign",
        "light",
        "scene",
        "scene decoded JPEG",
        "scene recovered RAW (bilinear)",
        "scene rendered sRGB",
    ]
    made = {
        "scene": (0.5, "scene retouched"),
        "scene recovered RAW (bilinear)": (-0.5, "scene recovered RAW retouched"),
        "scene decoded JPEG": (0.2, "scene decoded JPEG retouched"),
        "foreign": (1.0, "foreign retouched"),
        "light": (-2.0, "light retouched"),
    }
    for source, (exposure, result) in made.items():
        viewer.layers.selection.active = viewer.layers[source]
        assert widget.source is viewer.layers[source]
        widget.controls["exposure"].value = exposure
        finish()
        assert widget.result is viewer.layers[result]
    recovered = facts_of(viewer.layers["scene recovered RAW (bilinear)"])[RECORD]
    decoded = viewer.layers["scene decoded JPEG"].data[0]
    for name, light in (
        ("scene", linear_srgb_hdr(record)),
        ("scene recovered RAW (bilinear)", linear_srgb_hdr(recovered)),
        ("scene decoded JPEG", linear_from_codes(decoded)),
        ("light", np.full((40, 50, 3), 3, np.float32)),
    ):
        exposure, result = made[name]
        wanted = codes_from_linear(retouched(light, RetouchSettings(exposure=exposure)))
        np.testing.assert_array_equal(viewer.layers[result].data[0], wanted)
    # What a result was made of, and by, comes back with it.
    viewer.layers.selection.active = viewer.layers["scene retouched"]
    assert widget.source is viewer.layers["scene"]
    assert widget.controls["exposure"].value == 0.5
    assert not widget.running
    # Those of the same RAW are hidden beneath, others are not.
    assert viewer.layers["plane"].visible
    assert not viewer.layers["foreign"].visible


def test_a_source_with_new_pixels_is_developed_anew(
    viewer: ViewerModel, widget: RetouchDock, finish: Callable[[], None]
) -> None:
    layer = viewer.add_image(np.full((40, 50, 3), 90, np.uint8), name="x")
    widget.preview_button.click()
    finish()
    assert (widget.result.data[0] == 90).all()
    layer.data = np.full((40, 50, 3), 120, np.uint8)
    finish()
    assert (widget.result.data[0] == 120).all()


def test_the_other_docks_leave_retouched_layers_alone(
    viewer: ViewerModel, widget: RetouchDock, finish: Callable[[], None], large: RawRecord
) -> None:
    from napari_invisp.viewer.docks.render import RenderDock

    widget.controls["exposure"].value = 0.5
    finish()
    assert facts_of(widget.result)[PARTIAL]
    render = RenderDock(viewer)
    assert render.raw_layer is viewer.layers["scene"]
    assert render.note.text() == ""
    assert not render.save_dng_button.isEnabled()
    render.detach()
    assert raw_of(widget.result) is large


# -- controls ----------------------------------------------------------------------------------


def test_presets_and_reset(
    viewer: ViewerModel, widget: RetouchDock, finish: Callable[[], None], record: RawRecord
) -> None:
    add_raw(viewer, record)
    name = preset_names()[-1]
    widget.preset.textActivated.emit(name)
    finish()
    assert widget.settings() == load_preset(name)
    np.testing.assert_array_equal(widget.result.data[0], expected(record, load_preset(name)))
    assert widget.preset.currentText() == name
    widget.controls["exposure"].value = 1.5
    assert widget.preset.currentText() == "custom"
    widget.reset_button.click()
    finish()
    assert widget.settings() == RetouchSettings()
    assert widget.preset.currentText() == "neutral"
    np.testing.assert_array_equal(widget.result.data[0], expected(record, RetouchSettings()))


def test_settings_are_saved_and_loaded(
    viewer: ViewerModel,
    widget: RetouchDock,
    finish: Callable[[], None],
    record: RawRecord,
    said: list[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    add_raw(viewer, record)
    path = tmp_path / "mine.json"
    wanted = RetouchSettings(exposure=0.1234, gamma=0.333, red_curve=(1.0, 1.05) * 4)
    widget.load(wanted)
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path), ""))
    widget.save_preset_button.click()
    assert load_preset(path) == wanted
    widget.load(RetouchSettings())
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(path), ""))
    widget.load_preset_button.click()
    finish()
    assert widget.settings() == wanted
    assert facts_of(widget.result)[LOOK] == wanted
    assert not said
    path.write_text("{}")
    widget.load_preset_button.click()
    assert said == [f"error: {path} is not a retouching preset"]
    assert widget.settings() == wanted


def test_a_double_click_resets_a_slider(qtbot: QtBot, widget: RetouchDock) -> None:
    widget.controls["gamma"].value = 2
    slider = widget.controls["gamma"].native.findChild(QSlider)
    qtbot.mouseDClick(slider, Qt.MouseButton.LeftButton, pos=QPoint(3, 3))
    assert widget.settings() == RetouchSettings()


@pytest.mark.parametrize("name", ["exposure", "gamma", "white_red", "saturation"])
def test_sliders_reach_the_ends_of_their_ranges(widget: RetouchDock, name: str) -> None:
    slider = widget.controls[name].native.findChild(QSlider)
    for end in (slider.minimum(), slider.maximum()):
        slider.setSliderPosition(end)
    control = RetouchSettings.__dataclass_fields__[name].metadata["control"]
    assert getattr(widget.settings(), name) == control.maximum
    slider.setSliderPosition(slider.minimum())
    assert getattr(widget.settings(), name) == control.minimum


def test_curves_and_order_are_settings_too(
    viewer: ViewerModel, widget: RetouchDock, finish: Callable[[], None], record: RawRecord
) -> None:
    add_raw(viewer, record)
    widget.controls.tone_curve.move_knot(4, 0.04)
    widget.controls.channel_buttons[2].click()
    widget.controls.colour_curves.move_knot(3, -0.004)
    widget.controls["exposure"].value = 0.4
    model = widget.controls.order.model()
    assert model.moveRows(QModelIndex(), 0, 1, QModelIndex(), len(FILTERS))
    finish()
    settings = widget.settings()
    assert settings.order == (*list(FILTERS)[1:], "exposure")
    assert settings.tone_curve == widget.controls.tone_curve.slopes() != (1.0,) * 8
    assert settings.red_curve == settings.green_curve == (1.0,) * 8 != settings.blue_curve
    np.testing.assert_array_equal(widget.result.data[0], expected(record, settings))
    first = widget.controls.order.item(0)
    assert first is not None
    assert first.text() == "White balance"
    widget.reset_button.click()
    finish()
    assert widget.controls.order.item(0).text() == "Exposure"


# -- automatic settings ------------------------------------------------------------------------


def test_auto_without_a_reference(
    viewer: ViewerModel, widget: RetouchDock, finish: Callable[[], None], record: RawRecord
) -> None:
    add_raw(viewer, record)
    choose(widget, Auto.EXPOSED)
    widget.auto_button.click()
    finish()
    assert widget.settings() == fit(linear_srgb_hdr(record), None)
    assert widget.settings() != RetouchSettings()
    assert facts_of(widget.result)[LOOK] == widget.settings()


def test_auto_by_a_layer_or_a_file_brings_the_look_closer(
    viewer: ViewerModel,
    widget: RetouchDock,
    finish: Callable[[], None],
    record: RawRecord,
    tmp_path: Path,
) -> None:
    add_raw(viewer, record)
    neutral = expected(record, RetouchSettings())
    wanted = expected(record, RetouchSettings(exposure=0.5, saturation=0.5))
    reference = viewer.add_image(upright(wanted, record), name="wanted")
    widget.pick(viewer.layers["scene"])
    assert not widget.reference.native.isVisibleTo(widget)
    choose(widget, Auto.LAYER)
    assert widget.reference.native.isVisibleTo(widget)
    assert widget.reference.value is reference
    path = tmp_path / "wanted.png"
    Picture.fromarray(upright(wanted, record)).save(path)
    for action in (widget.auto, lambda: (choose(widget, Auto.FILE), widget.auto(path))):
        widget.reset()
        finish()
        action()
        finish()
        off = np.abs(widget.result.data[0].astype(int) - wanted).mean()
        assert off < 0.3 * np.abs(neutral.astype(int) - wanted).mean()


def test_what_auto_cannot_do_is_explained(
    viewer: ViewerModel,
    widget: RetouchDock,
    finish: Callable[[], None],
    record: RawRecord,
    dng: Path,
    said: list[str],
    tmp_path: Path,
) -> None:
    add_raw(viewer, record)
    choose(widget, Auto.CAMERA)
    assert not widget.auto_button.isEnabled()
    assert "no RAW that was opened from a file" in widget.note.text()
    viewer.open(dng, plugin=PLUGIN)
    assert widget.auto_button.isEnabled()
    widget.auto_button.click()
    finish()
    assert said.pop() == (
        f"error: {dng} holds no picture that the camera made; choose another reference, or none"
    )
    missing = tmp_path / "missing.safetensors"
    choose(widget, Auto.POLICY)
    widget.auto(missing)
    finish()
    assert said.pop().startswith("error: ")
    choose(widget, Auto.FILE)
    damaged = tmp_path / "damaged.png"
    damaged.write_bytes(b"x")
    widget.auto(damaged)
    finish()
    assert f"{damaged} cannot be read as a picture" in said.pop()
    assert widget.settings() == RetouchSettings()
    choose(widget, Auto.LAYER)
    assert "no picture is open" in widget.note.text()


# -- files -------------------------------------------------------------------------------------


def test_the_whole_result_is_saved(
    qtbot: QtBot,
    viewer: ViewerModel,
    widget: RetouchDock,
    finish: Callable[[], None],
    record: RawRecord,
    said: list[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    add_raw(viewer, record)
    widget.controls["exposure"].value = 0.5
    light = upright(retouched(linear_srgb_hdr(record), BRIGHT), record)
    for name, path in (("JPEG, 8 bit", tmp_path / "x.jpg"), ("TIFF, 16 bit", tmp_path / "x.tif")):
        monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *a, path=path: (str(path), a[4]))
        widget.save_buttons[name].click()
        qtbot.waitUntil(lambda path=path: f"info: saved {path}" in said, timeout=LONG)
    codes = tifffile.imread(tmp_path / "x.tif")
    np.testing.assert_array_equal(codes, np.rint(encoded(light) * 65535).astype(np.uint16))
    told = recall(tmp_path / "x.tif")
    assert told is not None
    assert (told.kind, told.figures["exposure"]) == ("retouched", 0.5)
    with Picture.open(tmp_path / "x.jpg") as picture:
        assert picture.info["icc_profile"]
        pixels = np.asarray(picture).astype(int)
    assert np.abs(pixels - codes_from_linear(light)).mean() < 1.5
    finish()


# -- habits ------------------------------------------------------------------------------------


def test_a_deleted_result_stays_away_until_it_is_asked_for(
    qtbot: QtBot,
    viewer: ViewerModel,
    widget: RetouchDock,
    finish: Callable[[], None],
    large: RawRecord,
    gate: Gate,
) -> None:
    gate.open.set()
    widget.controls["exposure"].value = 0.5
    finish()
    gate.open.clear()
    gate.reached.clear()
    widget.controls["exposure"].value = 0.7
    qtbot.waitUntil(gate.reached.is_set)
    viewer.layers.remove(widget.result)
    gate.open.set()
    finish()
    assert widget.result is None
    viewer.scene.camera.center = (0, 200, 200)
    assert not widget.running
    widget.controls["exposure"].value = 0.8
    finish()
    assert facts_of(widget.result)[LOOK].exposure == 0.8


def test_a_source_may_be_deleted_during_a_run(
    qtbot: QtBot,
    viewer: ViewerModel,
    widget: RetouchDock,
    finish: Callable[[], None],
    record: RawRecord,
    said: list[str],
    gate: Gate,
) -> None:
    mosaic, picture = add_raw(viewer, record)
    widget.controls["exposure"].value = 0.5
    qtbot.waitUntil(gate.reached.is_set)
    viewer.layers.remove(picture)
    assert widget.source is mosaic  # which shows the same RAW
    viewer.layers.remove(mosaic)
    assert widget.source is None
    gate.open.set()
    finish()
    assert len(viewer.layers) == 0
    assert not said


def test_a_dock_that_is_closed_during_a_run_does_nothing_more(
    qtbot: QtBot,
    viewer: ViewerModel,
    widget: RetouchDock,
    record: RawRecord,
    said: list[str],
    gate: Gate,
) -> None:
    add_raw(viewer, record)
    widget.controls["exposure"].value = 0.5
    qtbot.waitUntil(gate.reached.is_set)
    widget.detach()
    gate.open.set()
    qtbot.waitUntil(lambda: not widget._runner.busy, timeout=LONG)
    assert len(viewer.layers) == 2
    viewer.layers.clear()
    viewer.scene.camera.zoom = 3
    assert not said


def test_two_viewers_have_pictures_of_their_own(
    qtbot: QtBot, viewer: ViewerModel, widget: RetouchDock, record: RawRecord
) -> None:
    other_viewer = ViewerModel()
    other = RetouchDock(other_viewer)
    qtbot.addWidget(other)
    add_raw(viewer, record)
    second = make_smooth_record((64, 80))
    add_raw(other_viewer, second)
    widget.controls["exposure"].value = 0.5
    other.controls["exposure"].value = -0.5
    for each in (widget, other):
        qtbot.waitUntil(lambda each=each: not each.running, timeout=LONG)
    np.testing.assert_array_equal(widget.result.data[0], expected(record, BRIGHT))
    dark = RetouchSettings(exposure=-0.5)
    np.testing.assert_array_equal(other.result.data[0], expected(second, dark))
    other.detach()


# -- windows -----------------------------------------------------------------------------------


def test_in_a_window(
    qtbot: QtBot,
    display: None,
    make_napari_viewer: Callable[..., napari.Viewer],
    record: RawRecord,
    said: list[str],
) -> None:
    viewer = make_napari_viewer(show=True)
    large = make_smooth_record((600, 520))
    add_raw(viewer, large)
    commands.retouch(viewer)
    widget = opening.dock(viewer, RetouchDock)
    viewer.scene.camera.zoom = 4
    slider = widget.controls["exposure"].native.findChild(QSlider)
    before = viewer.screenshot(flash=False)
    drag(slider)
    qtbot.waitUntil(lambda: not widget.running, timeout=LONG)
    layer = widget.result
    assert isinstance(layer, Image)
    assert widget.settings().exposure > 0.5
    after = viewer.screenshot(flash=False)
    assert after[..., :3].mean() > before[..., :3].mean() + 5
    assert facts_of(layer)[PARTIAL]
    commands.full_frame(viewer)
    qtbot.waitUntil(lambda: not widget.running, timeout=LONG)
    np.testing.assert_array_equal(layer.data[0], expected(large, widget.settings()))
    assert not said

    widget.controls["exposure"].value = -1
    with qtbot.waitSignal(widget.destroyed):
        viewer.close()
    qtbot.waitUntil(
        lambda: all(each.name != THREAD_NAME for each in threading.enumerate()), timeout=LONG
    )


def drag(slider: QSlider) -> None:
    """Take the slider's handle and move it to the right in a few steps."""
    span = slider.maximum() - slider.minimum()
    place = (slider.value() - slider.minimum()) / span * (slider.width() - 10) + 5
    at = QPoint(round(place), slider.height() // 2)
    left, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier

    def send(kind: QEvent.Type, offset: int, buttons: Any) -> None:
        where = (at + QPoint(offset, 0)).toPointF()
        event = QMouseEvent(kind, where, slider.mapToGlobal(where), left, buttons, none)
        QApplication.sendEvent(slider, event)

    send(QEvent.Type.MouseButtonPress, 0, left)
    for offset in range(2, 26, 3):
        send(QEvent.Type.MouseMove, offset, left)
        QApplication.processEvents()
    send(QEvent.Type.MouseButtonRelease, 25, Qt.MouseButton.NoButton)
