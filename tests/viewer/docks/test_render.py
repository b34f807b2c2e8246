from __future__ import annotations

import threading
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Layer
from napari.utils.notifications import notification_manager
from PIL import Image as Picture
from pytestqt.qtbot import QtBot
from qtpy.QtWidgets import QFileDialog, QSlider
from records import make_smooth_record

from napari_invisp.inspection.rate import SWEEP
from napari_invisp.metrics import compare_raw, raw_psnr, rgb_psnr
from napari_invisp.pipeline import Pipeline, Rendering
from napari_invisp.sensor.dng import write_dng
from napari_invisp.sensor.libraw import reference_srgb
from napari_invisp.sensor.reading import read_raw
from napari_invisp.sensor.record import RawRecord
from napari_invisp.settings import RenderSettings
from napari_invisp.viewer.docks.render import RenderDock
from napari_invisp.viewer.layers import (
    FIGURES,
    ORIGINAL,
    PARTIAL,
    QUALITY,
    RECORD,
    RENDERING,
    facts_of,
    raw_of,
)

PLUGIN = "napari-invisp"
RESULTS = (
    "scene RAW error",
    "scene recovered RAW",
    "scene recovered RAW (bilinear)",
    "scene decoded JPEG",
    "scene rendered sRGB",
)


@pytest.fixture
def widget(qtbot: QtBot, viewer: ViewerModel, monkeypatch: pytest.MonkeyPatch) -> RenderDock:
    monkeypatch.setattr("napari_invisp.viewer.controls._REST_MS", 1)
    widget = RenderDock(viewer)
    qtbot.addWidget(widget)
    return widget


@pytest.fixture
def finish(qtbot: QtBot, widget: RenderDock) -> Callable[[], None]:
    def wait() -> None:
        qtbot.waitUntil(lambda: not widget.running, timeout=20_000)

    return wait


class Gate:
    """Holds runs back when they are about to render, until it is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.open, self.reached = threading.Event(), threading.Event()
        self.renders = 0
        original = Pipeline.render

        def render(pipeline: Pipeline, *arguments: object) -> Rendering:
            self.renders += 1
            self.reached.set()
            assert self.open.wait(20)
            return original(pipeline, *arguments)

        monkeypatch.setattr(Pipeline, "render", render)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    return Gate(monkeypatch)


@pytest.fixture
def held(qtbot: QtBot, viewer: ViewerModel, widget: RenderDock, dng: Path, gate: Gate) -> Gate:
    """A run of the widget, held back when it is about to render."""
    viewer.open(dng, plugin=PLUGIN)
    widget.render_raw()
    qtbot.waitUntil(gate.reached.is_set)
    return gate


def settled(layer: Layer, **wanted: object) -> bool:
    """Tell whether a result is whole, and made as wanted."""
    figures = facts_of(layer).get(FIGURES)
    return figures is not None and all(getattr(figures, n) == v for n, v in wanted.items())


def names(viewer: ViewerModel) -> list[str]:
    return [layer.name for layer in viewer.layers]


def test_without_a_raw_there_is_nothing_to_do(widget: RenderDock) -> None:
    for button in (
        widget.render_button,
        widget.recover_button,
        widget.cancel_button,
        widget.save_jpeg_button,
        widget.save_dng_button,
    ):
        assert not button.isEnabled()
    assert "Open a camera RAW file" in widget.note.text()


def test_rendering_adds_layers_that_belong_together(
    viewer: ViewerModel, widget: RenderDock, finish: Callable[[], None], dng: Path
) -> None:
    viewer.open(dng, plugin=PLUGIN)
    record = raw_of(viewer.layers["scene"])
    widget.render_button.click()
    finish()
    assert names(viewer) == ["scene mosaic", "scene", *RESULTS]
    error, mosaic, picture, decoded, rendered = (viewer.layers[name] for name in RESULTS)
    recovered = facts_of(mosaic)[RECORD]
    assert (error.data[0].shape, error.data[0].dtype) == ((96, 128), np.float32)
    assert (mosaic.data[0].shape, mosaic.data[0].dtype) == ((96, 128), np.uint16)
    assert (picture.data[0].shape, picture.data[0].dtype) == ((96, 128, 3), np.uint8)
    assert (rendered.data[0].shape, rendered.data[0].dtype) == ((96, 128, 3), np.uint8)
    np.testing.assert_array_equal(
        error.data[0], np.abs(mosaic.data[0].astype(int) - record.mosaic.astype(int))
    )
    assert error.colorbar.visible
    assert error.contrast_limits == pytest.approx([0, 0.02 * (record.white - record.black.min())])
    jpeg = Pipeline().encode(facts_of(rendered)[RENDERING])
    np.testing.assert_array_equal(decoded.data[0], Picture.open(BytesIO(jpeg)).convert("RGB"))
    assert facts_of(decoded)[QUALITY] == 90
    assert facts_of(decoded)[ORIGINAL] is record
    for layer in viewer.layers:
        np.testing.assert_array_equal(layer.affine, viewer.layers["scene"].affine)

    figures = facts_of(rendered)[FIGURES]
    assert figures.raw == compare_raw(record, recovered)
    assert figures.rgb_psnr == pytest.approx(
        rgb_psnr(reference_srgb(record), np.asarray(rendered.data[0]))
    )
    assert figures.bpp == pytest.approx(8 * figures.jpeg_bytes / (96 * 128))
    assert widget.figures["jpeg_bytes"].text() == f"{figures.jpeg_bytes:,} bytes"
    assert widget.figures["raw_psnr"].text() == f"{figures.raw.raw_psnr:.2f} dB"
    assert widget.figures["rgb_psnr"].text() == f"{figures.rgb_psnr:.2f} dB"
    assert [layer.name for layer in viewer.layers if layer.visible] == [RESULTS[-1]]
    assert not any(PARTIAL in facts_of(layer) for layer in viewer.layers)
    assert widget.result_box.title() == "Result at quality 90, 4:2:2"
    assert widget.stage.text().startswith("Done in")


def test_another_quality_encodes_again_but_never_renders(
    qtbot: QtBot,
    viewer: ViewerModel,
    widget: RenderDock,
    finish: Callable[[], None],
    dng: Path,
    gate: Gate,
) -> None:
    gate.open.set()
    viewer.open(dng, plugin=PLUGIN)
    widget.render_raw()
    finish()
    rendered = viewer.layers["scene rendered sRGB"]
    rendering, before = facts_of(rendered)[RENDERING], facts_of(rendered)[FIGURES]
    viewer.layers["scene recovered RAW"].name = "mine"
    mine = viewer.layers["mine"].data[0].copy()
    decoded, error = viewer.layers["scene decoded JPEG"], viewer.layers["scene RAW error"]
    distance = rgb_psnr(rendered.data[0], decoded.data[0])
    scale = error.contrast_limits

    widget.controls["quality"].value = 30
    qtbot.waitUntil(lambda: settled(rendered, quality=30), timeout=20_000)
    finish()
    after = facts_of(rendered)[FIGURES]
    assert after.jpeg_bytes < before.jpeg_bytes
    assert after.raw.raw_psnr < before.raw.raw_psnr
    assert after.rgb_psnr == before.rgb_psnr
    assert facts_of(rendered)[RENDERING] is rendering
    assert gate.renders == 1
    assert len(viewer.layers) == 7
    assert not np.array_equal(viewer.layers["mine"].data[0], mine)
    assert rgb_psnr(rendered.data[0], decoded.data[0]) < distance
    assert facts_of(decoded)[QUALITY] == 30
    assert error.contrast_limits == scale
    assert widget.result_box.title() == "Result at quality 30, 4:2:2"

    widget.controls["subsampling"].value = "4:4:4"
    qtbot.waitUntil(lambda: settled(rendered, subsampling="4:4:4"), timeout=20_000)
    finish()
    assert gate.renders == 1


def test_a_quality_moved_during_a_rendering_counts_afterwards(
    qtbot: QtBot, widget: RenderDock, held: Gate
) -> None:
    with qtbot.waitSignal(widget.controls.rested):
        widget.controls["quality"].value = 40
    assert widget.running
    held.open.set()
    qtbot.waitUntil(lambda: "quality 40" in widget.result_box.title(), timeout=20_000)
    qtbot.waitUntil(lambda: not widget.running)
    assert held.renders == 1


def test_cancelling_keeps_what_is_there_and_frees_the_way(
    qtbot: QtBot,
    viewer: ViewerModel,
    widget: RenderDock,
    finish: Callable[[], None],
    dng: Path,
) -> None:
    viewer.open(dng, plugin=PLUGIN)
    widget.controls["tile"].value = 16
    stages: list[str] = []

    def stop(stage: str, done: int, total: int) -> None:
        stages.append(stage)
        if stage == "rendering" and done > 1:
            widget.cancel_button.click()

    widget.runs.progressed.connect(stop)
    with qtbot.waitSignal(widget.runs.ended, timeout=20_000):
        widget.render_button.click()
    assert names(viewer) == ["scene mosaic", "scene", "scene rendered sRGB"]
    rendered = viewer.layers["scene rendered sRGB"]
    assert rendered.data[0].any(axis=2).all(), "there is a preview at least"
    assert facts_of(rendered)[PARTIAL]
    assert widget.stage.text() == "Cancelled"
    assert "press Render to finish" in widget.note.text()
    assert not widget.cancel_button.isEnabled()
    assert not widget.save_jpeg_button.isEnabled()
    widget.runs.progressed.disconnect(stop)

    widget.render_button.click()
    finish()
    assert names(viewer) == ["scene mosaic", "scene", *RESULTS]
    assert PARTIAL not in facts_of(rendered)
    assert widget.save_jpeg_button.isEnabled()
    assert widget.note.text() == ""


def test_a_second_run_takes_the_place_of_the_first(
    viewer: ViewerModel, widget: RenderDock, finish: Callable[[], None], held: Gate
) -> None:
    widget.controls["headroom"].value = 1.0
    widget.render_raw()
    held.open.set()
    finish()
    assert len(viewer.layers) == 7
    rendering = facts_of(viewer.layers["scene rendered sRGB"])[RENDERING]
    assert rendering.settings.headroom == 1.0


def test_the_source_may_be_deleted_during_a_run(
    viewer: ViewerModel, widget: RenderDock, finish: Callable[[], None], held: Gate
) -> None:
    viewer.layers.clear()
    assert widget.raw_layer is None
    held.open.set()
    finish()
    assert names(viewer) == [name for name in RESULTS if "rendered" not in name]
    widget.controls["quality"].value = 20  # has nothing to work on any more
    viewer.layers.clear()


def test_the_widget_may_be_closed_during_a_run(
    qtbot: QtBot, viewer: ViewerModel, dng: Path, gate: Gate
) -> None:
    widget = RenderDock(viewer)
    viewer.open(dng, plugin=PLUGIN)
    widget.render_raw()
    qtbot.waitUntil(gate.reached.is_set)
    runs = widget.runs
    with qtbot.waitSignal(widget.destroyed):
        widget.deleteLater()
    assert not runs.running
    before = names(viewer)
    gate.open.set()
    qtbot.waitUntil(lambda: not runs.busy)
    assert names(viewer) == before
    viewer.layers.clear()


def test_results_keep_to_their_raw_whatever_it_is_called(
    viewer: ViewerModel, widget: RenderDock, finish: Callable[[], None], dng: Path
) -> None:
    viewer.open(dng, plugin=PLUGIN)
    widget.render_raw()
    finish()
    viewer.layers["scene"].name = "Fido"
    viewer.layers["scene rendered sRGB"].name = "pretty"
    assert widget.picker.native.currentText() == "Fido"
    widget.render_raw()
    finish()
    assert len(viewer.layers) == 7
    assert "pretty" in viewer.layers


def test_the_picker_follows_the_selection(
    viewer: ViewerModel,
    widget: RenderDock,
    finish: Callable[[], None],
    dng: Path,
    tmp_path: Path,
) -> None:
    write_dng(tmp_path / "other.dng", make_smooth_record((64, 64)))
    viewer.open([dng, tmp_path / "other.dng"], plugin=PLUGIN)
    assert [layer.name for layer in widget.picker.choices] == ["scene", "other"]
    assert widget.raw_layer.name == "other"
    viewer.layers.selection.active = viewer.layers["scene mosaic"]
    assert widget.raw_layer.name == "scene"
    widget.render_raw()
    finish()
    assert widget.raw_layer.name == "scene"
    assert widget.figures["bpp"].text() != "–"
    viewer.layers.selection.active = viewer.layers["other"]
    assert widget.figures["bpp"].text() == "–"
    assert not widget.recover_button.isEnabled()
    viewer.layers.selection.active = viewer.layers["scene RAW error"]
    assert widget.raw_layer.name == "scene"
    assert widget.figures["bpp"].text() != "–"
    viewer.layers.remove("scene")
    assert {layer.name for layer in widget.picker.choices} == {"scene mosaic", "other"}


def test_a_moved_headroom_is_followed_by_the_whole_frame(
    qtbot: QtBot, viewer: ViewerModel, widget: RenderDock, finish: Callable[[], None], dng: Path
) -> None:
    viewer.open(dng, plugin=PLUGIN)
    widget.controls["headroom"].value = 0.6
    widget.render_raw()
    finish()
    rendered = viewer.layers["scene rendered sRGB"]
    before = rendered.data[0].copy()
    widget.controls["headroom"].value = 0.2
    qtbot.waitUntil(lambda: settled(rendered, headroom=0.2), timeout=20_000)
    finish()
    assert facts_of(rendered)[RENDERING].settings.headroom == 0.2
    assert not np.array_equal(rendered.data[0], before)


def test_it_is_said_that_a_new_model_needs_a_new_rendering(
    viewer: ViewerModel, widget: RenderDock, finish: Callable[[], None], dng: Path
) -> None:
    viewer.open(dng, plugin=PLUGIN)
    widget.render_raw()
    finish()
    assert widget.note.text() == ""
    widget.controls["model"].value = "physics"
    assert widget.note.text() == "Render again to see the new model."
    widget.reset_button.click()
    assert widget.controls["model"].value == "universal"
    assert widget.note.text() == ""


def test_a_slider_is_followed_while_it_moves(
    qtbot: QtBot, viewer: ViewerModel, widget: RenderDock, finish: Callable[[], None], dng: Path
) -> None:
    viewer.open(dng, plugin=PLUGIN)
    widget.render_raw()
    finish()
    rendering = facts_of(viewer.layers["scene rendered sRGB"])[RENDERING]
    slider = widget.controls["quality"].native.findChild(QSlider)
    slider.setSliderDown(True)
    with qtbot.waitSignal(widget.runs.moved, timeout=20_000) as moved:
        slider.setSliderPosition(35)
    figures = moved.args[0]
    whole = Pipeline(RenderSettings(quality=35))
    jpeg = whole.encode(rendering, 35)
    recovered = whole.recover(jpeg)
    decoded = viewer.layers["scene decoded JPEG"].data[0]
    np.testing.assert_array_equal(decoded, recovered.jpeg.rgb)
    assert figures.jpeg_bytes == pytest.approx(len(jpeg), abs=40)
    assert "In view at quality 35" in widget.result_box.title()
    mosaic = viewer.layers["scene recovered RAW"].data[0]
    off = np.abs(mosaic.astype(int) - recovered.record.mosaic)
    assert off.max() <= 1
    finish()
    assert facts_of(viewer.layers["scene decoded JPEG"])[PARTIAL]
    slider.setSliderDown(False)
    qtbot.waitUntil(lambda: "Result at quality 35" in widget.result_box.title(), timeout=20_000)
    finish()
    np.testing.assert_array_equal(mosaic, recovered.record.mosaic)
    assert PARTIAL not in facts_of(viewer.layers["scene decoded JPEG"])


def test_one_click_shows_one_picture(
    viewer: ViewerModel, widget: RenderDock, finish: Callable[[], None], dng: Path
) -> None:
    viewer.open(dng, plugin=PLUGIN)
    assert not any(button.isEnabled() for button in list(widget.show_buttons.values())[1:])
    widget.render_raw()
    finish()
    assert widget.show_buttons["Rendered"].isChecked()
    for title, name in (
        ("Error", "scene RAW error"),
        ("Original", "scene"),
        ("JPEG", "scene decoded JPEG"),
        ("Recovered", "scene recovered RAW (bilinear)"),
    ):
        widget.show_buttons[title].click()
        assert [layer.name for layer in viewer.layers if layer.visible] == [name]
    viewer.layers["scene"].visible = True
    assert not any(button.isChecked() for button in widget.show_buttons.values())


def test_a_sweep_fills_the_curve(
    qtbot: QtBot, viewer: ViewerModel, widget: RenderDock, finish: Callable[[], None], dng: Path
) -> None:
    viewer.open(dng, plugin=PLUGIN)
    widget.render_raw()
    finish()
    raw = widget.raw_layer
    figures = facts_of(viewer.layers["scene rendered sRGB"])[FIGURES]
    ((line, points),) = list(widget.runs.curves(raw))
    assert str(line) == "universal, headroom 0.5, 4:2:2"
    assert [point.quality for point in points] == [90]
    assert points[0].raw_psnr == figures.raw.raw_psnr
    assert points[0].rgb_psnr == figures.rgb_psnr_jpeg
    widget.sweep()
    finish()
    ((_, points),) = list(widget.runs.curves(raw))
    assert tuple(point.quality for point in points) == SWEEP
    assert [point.bpp for point in points] == sorted(point.bpp for point in points)
    assert points[0].raw_psnr < points[-1].raw_psnr


def test_bad_input_is_said_in_one_sentence(
    viewer: ViewerModel,
    widget: RenderDock,
    finish: Callable[[], None],
    dng: Path,
    said: list[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    path = tmp_path / "bad.pth"
    path.write_bytes(b"no weights")
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(path), ""))
    viewer.open(dng, plugin=PLUGIN)
    widget.controls["model"].value = widget.controls["model"].choices[-1]
    widget.render_raw()
    finish()
    (sentence,) = said
    assert sentence.startswith("error: ")
    assert "bad.pth" in sentence
    assert widget.stage.text() == "Failed"
    assert len(viewer.layers) == 2


def test_defects_reach_naparis_own_handler(
    viewer: ViewerModel,
    widget: RenderDock,
    finish: Callable[[], None],
    dng: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[BaseException] = []
    monkeypatch.setattr(
        notification_manager, "receive_error", lambda kind, error, trace: seen.append(error)
    )
    defect = ZeroDivisionError("a defect")

    def render(pipeline: Pipeline, *_: object) -> None:
        raise defect

    monkeypatch.setattr(Pipeline, "render", render)
    viewer.open(dng, plugin=PLUGIN)
    widget.render_raw()
    finish()
    assert seen == [defect]


def test_jpeg_and_dng_are_saved(
    qtbot: QtBot,
    viewer: ViewerModel,
    widget: RenderDock,
    finish: Callable[[], None],
    dng: Path,
    said: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    proposals: list[str] = []

    def ask(_parent: object, _title: str, proposal: str, *_: object) -> tuple[str, str]:
        proposals.append(proposal)
        return proposal, ""

    monkeypatch.setattr(QFileDialog, "getSaveFileName", ask)
    viewer.open(dng, plugin=PLUGIN)
    original = raw_of(viewer.layers["scene"])
    dng.unlink()
    widget.render_raw()
    finish()
    widget.save_jpeg_button.click()
    qtbot.waitUntil(lambda: len(said) == 1, timeout=20_000)
    widget.save_dng_button.click()
    qtbot.waitUntil(lambda: len(said) == 2, timeout=20_000)
    jpeg = dng.with_suffix(".jpg")
    assert proposals == [str(jpeg), str(dng)]
    assert said == [f"info: saved {jpeg}", f"info: saved {dng}"]
    figures = facts_of(viewer.layers["scene rendered sRGB"])[FIGURES]
    assert jpeg.stat().st_size == figures.jpeg_bytes
    assert raw_psnr(original, read_raw(dng)) == pytest.approx(figures.raw.raw_psnr)
    recovered = Pipeline().recover(jpeg.read_bytes()).record.mosaic
    np.testing.assert_array_equal(recovered, read_raw(dng).mosaic)


def test_a_jpeg_file_is_recovered_by_itself(
    viewer: ViewerModel,
    widget: RenderDock,
    finish: Callable[[], None],
    record: RawRecord,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    path = tmp_path / "photo.jpg"
    pipeline = Pipeline(RenderSettings(quality=95, subsampling="4:4:4"))
    path.write_bytes(pipeline.encode(pipeline.render(record)))
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(path), ""))
    assert widget.recover_file_button.text() == "Recover RAW from JPEG file…"
    for _ in range(2):  # the second time in place of the first
        widget.recover_file_button.click()
        finish()
        assert names(viewer) == [
            "photo recovered RAW",
            "photo recovered RAW (bilinear)",
            "photo JPEG",
        ]
    np.testing.assert_array_equal(
        viewer.layers["photo recovered RAW"].data[0],
        pipeline.recover(path.read_bytes()).record.mosaic,
    )
    assert widget.result_box.title() == "Result at quality 95, 4:4:4"
    assert widget.figures["jpeg_bytes"].text() == f"{path.stat().st_size:,} bytes"
    assert widget.figures["raw_psnr"].text() == "–"
    assert widget.recover_file_button.text() == "Recover RAW from this JPEG"
    assert widget.save_dng_button.isEnabled()


def test_one_bad_jpeg_does_not_keep_the_others_back(
    viewer: ViewerModel,
    widget: RenderDock,
    finish: Callable[[], None],
    record: RawRecord,
    said: list[str],
    tmp_path: Path,
) -> None:
    bad, good = tmp_path / "bad.jpg", tmp_path / "good.jpg"
    pipeline = Pipeline()
    good.write_bytes(pipeline.encode(pipeline.render(record)))
    bad.write_bytes(b"not a picture")
    widget.recover_files([bad, tmp_path / "missing.jpg", good])
    finish()
    assert len(said) == 2
    assert "bad.jpg" in said[0]
    assert "missing.jpg" in said[1]
    assert "good recovered RAW" in viewer.layers


def test_every_part_of_the_widget_has_a_name(widget: RenderDock) -> None:
    for part in (*vars(widget).values(), *widget.figures.values()):
        if hasattr(part, "objectName") and part is not widget.runs:
            assert part.objectName().startswith("napari-invisp.")
