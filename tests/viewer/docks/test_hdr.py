from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import napari
import numpy as np
import pytest
from napari.components import ViewerModel
from numpy.typing import NDArray
from pytestqt.qtbot import QtBot
from qtpy.QtWidgets import QAbstractSpinBox, QFileDialog
from records import make_smooth_record
from result_layers import add_raw

from napari_invisp.hdr.highlights import linear_srgb_hdr
from napari_invisp.hdr.merging import merge
from napari_invisp.hdr.settings import OPERATORS, ToneSettings, used_by
from napari_invisp.hdr.toning import toned
from napari_invisp.inspection.exports import read_exr
from napari_invisp.linear import codes_from_linear
from napari_invisp.pictures import upright
from napari_invisp.sensor.dng import write_dng
from napari_invisp.sensor.record import RawRecord
from napari_invisp.viewer import commands
from napari_invisp.viewer.docks import opening
from napari_invisp.viewer.docks.hdr import HdrDock
from napari_invisp.viewer.files.writers import write_exr_layer
from napari_invisp.viewer.layers import KIND, LOOK, PARTIAL, RECORD, Kind, facts_of, raw_of
from napari_invisp.viewer.work import looks
from napari_invisp.viewer.work.worker import THREAD_NAME

PLUGIN = "napari-invisp"
LONG = 30_000


@pytest.fixture
def widget(qtbot: QtBot, viewer: ViewerModel, monkeypatch: pytest.MonkeyPatch) -> HdrDock:
    monkeypatch.setattr("napari_invisp.viewer.docks.preview._REST_MS", 1)
    monkeypatch.setattr("napari_invisp.viewer.docks.preview._VIEW_REST_MS", 1)
    widget = HdrDock(viewer)
    qtbot.addWidget(widget)
    return widget


@pytest.fixture
def finish(qtbot: QtBot, widget: HdrDock) -> Callable[[], None]:
    def wait() -> None:
        qtbot.waitUntil(lambda: not widget.running, timeout=LONG)

    return wait


def exposed(stops: float) -> RawRecord:
    """The same scene, so many stops brighter or darker, cut off where the sensor saturates."""
    record = make_smooth_record((96, 128))
    black = np.tile(record.black, (48, 64))
    signal = (record.mosaic - black) * 2.0**stops + black
    mosaic = np.rint(signal.clip(0, record.white)).astype(np.uint16)
    time = record.capture.exposure_time * 2.0**stops
    return record.replace(mosaic=mosaic, capture=replace(record.capture, exposure_time=time))


@pytest.fixture(scope="module")
def bracket() -> list[RawRecord]:
    return [exposed(stops) for stops in (0, -2, 2)]


def expected(light: NDArray[np.float32], settings: ToneSettings) -> NDArray[np.uint8]:
    return codes_from_linear(toned(light, settings))


# -- tones -------------------------------------------------------------------------------------


def test_preview_shows_what_the_controls_say(
    viewer: ViewerModel, widget: HdrDock, finish: Callable[[], None], record: RawRecord
) -> None:
    add_raw(viewer, record)
    widget.preview_button.click()
    finish()
    layer = viewer.layers[-1]
    assert layer.name == "scene tone-mapped"
    assert (facts_of(layer)[KIND], facts_of(layer)[LOOK]) == (Kind.TONE_MAPPED, ToneSettings())
    light = linear_srgb_hdr(record)
    np.testing.assert_array_equal(layer.data[0], expected(light, ToneSettings()))
    for name, value in (("contrast", 0.3), ("operator", "Drago"), ("highlights", "clip")):
        widget.form[name].value = value
        finish()
        settings = widget.settings()
        assert getattr(settings, name) == value
        light = linear_srgb_hdr(record, settings.highlights)
        np.testing.assert_array_equal(layer.data[0], expected(light, settings))
        assert facts_of(layer)[LOOK] == settings
    widget.reset_button.click()
    finish()
    assert widget.settings() == ToneSettings()


@pytest.mark.parametrize("operator", OPERATORS)
def test_what_an_operator_does_not_use_is_disabled(widget: HdrDock, operator: str) -> None:
    widget.form["operator"].value = operator
    for each in fields(ToneSettings):
        used = each.name in used_by(operator)
        assert widget.form[each.name].enabled is used, each.name
        native = widget.form[each.name].native
        for part in (native, *native.findChildren(QAbstractSpinBox)):
            assert part.isEnabled() is used, each.name
    widget.load(ToneSettings())
    assert widget.form["detail"].enabled


def test_a_full_frame_can_be_cancelled(
    qtbot: QtBot,
    viewer: ViewerModel,
    widget: HdrDock,
    finish: Callable[[], None],
    record: RawRecord,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reached = threading.Event()

    def endless(*_: Any, cancelled: Callable[[], bool], **__: Any) -> NDArray[np.float32]:
        from napari_invisp.errors import Cancelled

        reached.set()
        while not cancelled():
            pass
        raise Cancelled("tone mapping")

    add_raw(viewer, record)
    with monkeypatch.context() as patched:
        patched.setattr(looks, "toned", endless)
        widget.full_button.click()
        qtbot.waitUntil(reached.is_set, timeout=LONG)
        widget.cancel_button.click()
        assert widget.progress.stage.text() == "Cancelled"
        qtbot.waitUntil(lambda: not widget._runner.busy, timeout=LONG)
    assert len(viewer.layers) == 2
    widget.full_button.click()
    finish()
    assert PARTIAL not in facts_of(widget.result)


def test_results_are_saved_as_linear_exr(
    qtbot: QtBot,
    viewer: ViewerModel,
    widget: HdrDock,
    record: RawRecord,
    said: list[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    add_raw(viewer, record)
    path = tmp_path / "x.exr"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *a: (str(path), a[4]))
    widget.save_buttons["OpenEXR, linear"].click()
    qtbot.waitUntil(lambda: f"info: saved {path}" in said, timeout=LONG)
    wanted = upright(toned(linear_srgb_hdr(record), ToneSettings()), record)
    np.testing.assert_array_equal(read_exr(path), wanted)


# -- merging -----------------------------------------------------------------------------------


def test_selected_layers_are_merged_and_shown(
    viewer: ViewerModel,
    widget: HdrDock,
    finish: Callable[[], None],
    bracket: list[RawRecord],
    said: list[str],
) -> None:
    assert not widget.merge_layers_button.isEnabled()
    pictures = [add_raw(viewer, frame, f"frame{n}")[1] for n, frame in enumerate(bracket)]
    viewer.layers.selection = {pictures[0]}
    assert not widget.merge_layers_button.isEnabled()
    viewer.layers.selection = {*pictures, viewer.layers["frame0 mosaic"]}
    assert widget.bracket.text() == "3 RAW are selected."
    widget.merge_layers_button.click()
    finish()
    layer = viewer.layers["frame0 merged HDR"]
    made = merge(bracket)
    np.testing.assert_array_equal(layer.data[0], made.linear)
    assert (layer.dtype, layer.contrast_limits) == (np.float32, [0.0, 1.0])
    assert facts_of(layer)[RECORD] is raw_of(layer) is bracket[0]
    assert widget.source is layer
    assert not any(picture.visible for picture in pictures)
    result = viewer.layers["frame0 merged HDR tone-mapped"]
    np.testing.assert_array_equal(result.data[0], expected(made.linear, ToneSettings()))
    # What the brightest frame has cut off is there.
    assert made.linear.max() > 0.9 * linear_srgb_hdr(bracket[0]).max()
    assert not [sentence for sentence in said if not sentence.startswith("info")]

    viewer.layers.selection = set(pictures)
    widget.merge_layers_button.click()
    finish()
    assert [each.name for each in viewer.layers].count("frame0 merged HDR") == 1
    assert len(viewer.layers) == 8


def test_files_are_merged(
    viewer: ViewerModel,
    widget: HdrDock,
    finish: Callable[[], None],
    bracket: list[RawRecord],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    paths = [tmp_path / f"frame{n}.dng" for n in range(3)]
    for path, frame in zip(paths, bracket, strict=True):
        write_dng(path, frame)
    chosen = ([str(path) for path in paths], "")
    monkeypatch.setattr(QFileDialog, "getOpenFileNames", lambda *_: chosen)
    widget.merge_files_button.click()
    finish()
    names = [layer.name for layer in viewer.layers]
    assert names == ["frame0 merged HDR", "frame0 merged HDR tone-mapped"]
    np.testing.assert_allclose(viewer.layers[0].data[0], merge(bracket).linear, atol=1e-5)


def test_frames_that_do_not_belong_together_are_refused(
    viewer: ViewerModel,
    widget: HdrDock,
    finish: Callable[[], None],
    bracket: list[RawRecord],
    said: list[str],
) -> None:
    pictures = [add_raw(viewer, bracket[0], "a")[1]]
    pictures.append(add_raw(viewer, make_smooth_record((64, 80)), "b")[1])
    viewer.layers.selection = set(pictures)
    widget.merge_layers()
    finish()
    assert len(said) == 1
    assert said.pop().startswith("error: ")
    assert len(viewer.layers) == 4
    commands_said = said
    viewer.layers.selection = set()
    widget.merge_layers()
    assert commands_said == [
        "error: choose two RAW or more of one scene, at several exposures, to merge them"
    ]


def test_merged_light_is_exported_as_it_is(
    viewer: ViewerModel,
    widget: HdrDock,
    finish: Callable[[], None],
    bracket: list[RawRecord],
    tmp_path: Path,
) -> None:
    pictures = [add_raw(viewer, frame, f"frame{n}")[1] for n, frame in enumerate(bracket)]
    viewer.layers.selection = set(pictures)
    widget.merge_layers()
    finish()
    data, arguments, _ = viewer.layers["frame0 merged HDR"].as_layer_data_tuple()
    path = tmp_path / "merged.exr"
    assert write_exr_layer(str(path), data, arguments) == [str(path)]
    np.testing.assert_array_equal(read_exr(path), merge(bracket).linear)


# -- windows -----------------------------------------------------------------------------------


def test_in_a_window(
    qtbot: QtBot,
    display: None,
    make_napari_viewer: Callable[..., napari.Viewer],
    bracket: list[RawRecord],
    said: list[str],
) -> None:
    viewer = make_napari_viewer(show=True)
    commands.hdr(viewer)
    widget = opening.dock(viewer, HdrDock)
    commands.merge(viewer)
    commands.full_frame(viewer)
    assert said == [
        "error: select two RAW layers or more of one scene to merge them",
        "error: retouch a picture, or map its tones, to make all of it",
    ]
    said.clear()
    pictures = [add_raw(viewer, frame, f"frame{n}")[1] for n, frame in enumerate(bracket)]
    viewer.layers.selection = set(pictures)
    commands.merge(viewer)
    qtbot.waitUntil(lambda: not widget.running, timeout=LONG)
    result = widget.result
    assert result is not None
    assert result.visible
    assert viewer.screenshot(flash=False)[..., :3].std() > 10
    viewer.scene.camera.zoom = 20
    widget.form["contrast"].value = 0.2
    qtbot.waitUntil(lambda: not widget.running, timeout=LONG)
    assert facts_of(result)[PARTIAL]
    commands.full_frame(viewer)
    qtbot.waitUntil(lambda: not widget.running, timeout=LONG)
    wanted = expected(merge(bracket).linear, ToneSettings(contrast=0.2))
    np.testing.assert_array_equal(result.data[0], wanted)
    widget.form["contrast"].value = 0.4
    with qtbot.waitSignal(widget.destroyed):
        viewer.close()
    qtbot.waitUntil(
        lambda: all(each.name != THREAD_NAME for each in threading.enumerate()), timeout=LONG
    )
