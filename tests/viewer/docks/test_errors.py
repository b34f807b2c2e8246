from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import napari
import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image
from napari.utils.notifications import notification_manager
from PIL import Image as Picture
from pytestqt.qtbot import QtBot
from qtpy.QtWidgets import QFileDialog, QWidget
from records import make_smooth_record

from napari_invisp.inspection.maps import error_map
from napari_invisp.metrics import compare_raw, rgb_psnr
from napari_invisp.sensor.dng import write_dng
from napari_invisp.sensor.record import RawRecord
from napari_invisp.settings import ErrorMapSettings
from napari_invisp.viewer.docks.errors import ErrorMapsDock
from napari_invisp.viewer.layers import (
    KIND,
    MAP,
    METADATA_KEY,
    MODEL,
    ORIGINAL,
    PARTIAL,
    QUALITY,
    Kind,
    facts_of,
    picture_layer,
    raw_layers,
)
from napari_invisp.viewer.layers.errors import error_layer

LONG = 20_000


@pytest.fixture
def widget(qtbot: QtBot, viewer: ViewerModel) -> ErrorMapsDock:
    widget = ErrorMapsDock(viewer)
    qtbot.addWidget(widget)
    return widget


@pytest.fixture
def finish(qtbot: QtBot, widget: ErrorMapsDock) -> Callable[[], None]:
    def wait() -> None:
        qtbot.waitUntil(lambda: not widget.running, timeout=LONG)

    return wait


@pytest.fixture
def said() -> Iterator[list[str]]:
    """What the user was told, as 'severity: sentence'."""
    sentences: list[str] = []

    def note(event: object) -> None:
        sentences.append(f"{event.severity}: {event.message}")

    notification_manager.notification_ready.connect(note)
    yield sentences
    notification_manager.notification_ready.disconnect(note)


def altered(record: RawRecord, seed: int = 1) -> RawRecord:
    noise = np.random.default_rng(seed).integers(0, 60, record.mosaic.shape, dtype=np.uint16)
    return record.replace(mosaic=record.mosaic + noise)


def add(viewer: ViewerModel, *layers: tuple) -> list[Image]:
    return [viewer.add_image(data, **arguments) for data, arguments, _ in layers]


def add_run(viewer: ViewerModel, record: RawRecord, base: str = "x", seed: int = 1) -> RawRecord:
    """Add a RAW and the results of a run, as the render dock does."""
    recovered = altered(record, seed)
    made = {ORIGINAL: record, MODEL: "physics", QUALITY: 90}
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 200, (*record.mosaic.shape, 3), dtype=np.uint8)
    add(
        viewer,
        *raw_layers(record, base, {}),
        error_layer(record, recovered, base, made),
        *raw_layers(recovered, base, made, recovered=True),
        picture_layer(rgb, record, base, Kind.DECODED, made),
        picture_layer(rgb + np.uint8(9), record, base, Kind.RENDERED, made),
    )
    return recovered


def text(widget: ErrorMapsDock, name: str, where: str = "frame") -> str:
    return widget.figures[name, where].text()


def test_at_first_it_says_what_to_do(
    viewer: ViewerModel, widget: ErrorMapsDock, record: RawRecord
) -> None:
    assert widget.note.text() == "Open a camera RAW or a picture to begin."
    assert not widget.show_button.isEnabled()
    add(viewer, *raw_layers(record, "x", {}))
    assert "render the RAW first" in widget.note.text()
    assert widget.reference.value is viewer.layers["x mosaic"]
    assert not widget.show_button.isEnabled()
    widget.show_map()
    assert len(viewer.layers) == 2


def test_the_map_of_a_run_is_shown_with_the_figures_of_the_command_line(
    viewer: ViewerModel,
    widget: ErrorMapsDock,
    finish: Callable[[], None],
    record: RawRecord,
) -> None:
    recovered = add_run(viewer, record)
    assert widget.pair == (viewer.layers["x mosaic"], viewer.layers["x recovered RAW"])
    assert widget.note.text() == ""
    widget.show_button.click()
    finish()
    layer = viewer.layers[-1]  # where it is seen
    assert (layer.name, layer.visible, layer.colorbar.visible) == ("x RAW error", True, True)
    assert viewer.layers.selection.active is layer
    assert len(viewer.layers) == 7
    figures = compare_raw(record, recovered)
    for where in ("frame", "view"):
        assert text(widget, "raw_psnr", where) == f"{figures.raw_psnr:.2f} dB"
        assert text(widget, "raw_psnr_linear", where) == f"{figures.raw_psnr_linear:.2f} dB"
        assert text(widget, "mean_abs_error", where) == f"{figures.mean_abs_error:.2f} DN"
        assert text(widget, "max_abs_error", where) == f"{figures.max_abs_error} DN"
    assert widget.scale.text() == "Colours: AE, from 0 to 76.8 DN"


def test_the_map_follows_the_settings(
    viewer: ViewerModel,
    widget: ErrorMapsDock,
    finish: Callable[[], None],
    record: RawRecord,
) -> None:
    recovered = add_run(viewer, record)
    layer = viewer.layers["x RAW error"]
    widget.form["metric"].value = "E"
    widget.form["unit"].value = "EV"
    widget.form["channel"].value = "R"
    finish()
    settings = ErrorMapSettings(metric="E", unit="EV", channel="R")
    assert facts_of(layer)[MAP] == settings
    assert facts_of(layer)[KIND] is Kind.ERROR
    assert layer.name == "x RAW error (E, R, EV)"
    np.testing.assert_array_equal(layer.data[0], error_map(record, recovered, settings))
    assert layer.contrast_limits == [-0.5, 0.5]
    assert widget.scale.text() == "Colours: E, R, from -0.5 to 0.5 EV"

    widget.reset_button.click()
    finish()
    assert facts_of(layer)[MAP] == ErrorMapSettings()
    assert layer.contrast_limits == pytest.approx([0, 76.8])
    np.testing.assert_array_equal(layer.data[0], error_map(record, recovered, ErrorMapSettings()))


def test_the_map_follows_pixels_that_are_painted_in_place(
    viewer: ViewerModel,
    widget: ErrorMapsDock,
    finish: Callable[[], None],
    record: RawRecord,
) -> None:
    pixels = record.mosaic.copy()
    mine = viewer.add_image(pixels, name="mine")
    add(viewer, *raw_layers(record, "x", {}))
    widget.pick(viewer.layers["x mosaic"], mine)
    widget.show_map()
    finish()
    layer = viewer.layers[-1]
    assert layer.name == "mine against x mosaic: AE, DN"
    assert text(widget, "max_abs_error") == "0 DN"
    assert text(widget, "raw_psnr") == "infinite"
    heard: list[object] = []
    layer.events.data.connect(heard.append)
    pixels[50:60, 70:80] += 33
    mine.events.data(value=mine.data)
    finish()
    assert layer.data[0].max() == 33
    assert text(widget, "max_abs_error") == "33 DN"
    assert heard


def test_a_run_that_puts_other_pixels_in_place_keeps_the_metric(
    viewer: ViewerModel,
    widget: ErrorMapsDock,
    finish: Callable[[], None],
    record: RawRecord,
) -> None:
    add_run(viewer, record)
    layer, candidate = viewer.layers["x RAW error"], viewer.layers["x recovered RAW"]
    widget.form["metric"].value = "SE"
    finish()
    recovered = altered(record, 2)
    data, arguments, _ = error_layer(record, recovered, "x", {ORIGINAL: record})
    layer.data, layer.metadata = data, arguments["metadata"]
    candidate.data = [recovered.mosaic]
    finish()
    settings = ErrorMapSettings(metric="SE")
    assert facts_of(layer)[MAP] == settings
    np.testing.assert_array_equal(layer.data[0], error_map(record, recovered, settings))


def test_pictures_are_compared_by_colour(
    viewer: ViewerModel,
    widget: ErrorMapsDock,
    finish: Callable[[], None],
    record: RawRecord,
) -> None:
    add_run(viewer, record)
    rendered, decoded = viewer.layers["x rendered sRGB"], viewer.layers["x decoded JPEG"]
    widget.pick(rendered, decoded)
    widget.form["metric"].value = "ΔE2000"
    widget.show_map()
    finish()
    layer = viewer.layers[-1]
    assert layer.name == "x decoded JPEG against x rendered sRGB: ΔE2000"
    np.testing.assert_array_equal(layer.affine, rendered.affine)
    assert text(widget, "rgb_psnr") == f"{rgb_psnr(rendered.data[0], decoded.data[0]):.2f} dB"
    assert widget.figures["raw_psnr", "frame"].isHidden()
    assert not widget.figures["rgb_psnr", "frame"].isHidden()

    widget.show_map()  # the same layer again
    finish()
    assert len(viewer.layers) == 8


def test_each_pair_has_its_map_and_its_settings(
    viewer: ViewerModel,
    widget: ErrorMapsDock,
    finish: Callable[[], None],
    record: RawRecord,
) -> None:
    add_run(viewer, record)
    first = widget.pair
    widget.form["metric"].value = "E"
    finish()
    widget.pick(viewer.layers["x rendered sRGB"], viewer.layers["x decoded JPEG"])
    assert widget.map_layer is None
    assert text(widget, "mean") == "–"
    widget.form["metric"].value = "SSIM"
    widget.show_map()
    finish()
    made = widget.map_layer
    widget.pick(*first)
    finish()
    assert widget.form.settings().metric == "E"
    assert facts_of(viewer.layers["x RAW error (E, DN)"])[MAP].metric == "E"
    assert facts_of(made)[MAP].metric == "SSIM"


@pytest.mark.parametrize(
    ("reference", "candidate", "words"),
    [
        ("x mosaic", "x decoded JPEG", ("'x mosaic' is a mosaic", "'x decoded JPEG' is a picture")),
        ("x mosaic", "small", ("128x96", "20x10")),
        ("x", "x recovered RAW (bilinear)", ("ΔE2000", "camera's own colours")),
    ],
)
def test_a_mismatch_is_explained(
    viewer: ViewerModel,
    widget: ErrorMapsDock,
    record: RawRecord,
    said: list[str],
    reference: str,
    candidate: str,
    words: tuple[str, ...],
) -> None:
    add_run(viewer, record)
    viewer.add_image(np.zeros((10, 20), np.uint16), name="small")
    widget.pick(viewer.layers[reference], viewer.layers[candidate])
    if "ΔE2000" in words:
        widget.form["metric"].value = "ΔE2000"
    for word in words:
        assert word in widget.note.text()
    assert not widget.show_button.isEnabled()
    widget.show_map()
    assert not widget._painter.running
    assert said == []


def test_sites_beyond_the_threshold_are_marked_and_counted(
    viewer: ViewerModel,
    widget: ErrorMapsDock,
    finish: Callable[[], None],
    record: RawRecord,
) -> None:
    recovered = add_run(viewer, record)
    widget.form["threshold"].value = 50.0
    widget.form["marked"].value = True
    finish()
    errors = np.abs(recovered.mosaic.astype(int) - record.mosaic)
    assert text(widget, "above") == f"{100 * (errors > 50).mean():.3g} %"
    assert widget._titles["above"].text() == "Beyond 50 DN"
    marks = viewer.layers["x recovered RAW off by more"]
    np.testing.assert_array_equal(marks.data[0], errors > 50)
    assert viewer.layers.selection.active is not marks

    widget.form["threshold"].value = 30.0
    finish()
    np.testing.assert_array_equal(marks.data[0], errors > 30)
    widget.form["marked"].value = False
    finish()
    assert not marks.visible
    widget.form["marked"].value = True
    finish()
    assert marks.visible
    assert len(viewer.layers) == 8


def test_limits_are_kept_or_shared_or_follow_the_map(
    viewer: ViewerModel,
    widget: ErrorMapsDock,
    finish: Callable[[], None],
    record: RawRecord,
) -> None:
    recovered = add_run(viewer, record)
    add_run(viewer, make_smooth_record((96, 128)), "y")
    widget.pick(viewer.layers["x mosaic"], viewer.layers["x recovered RAW"])
    first, second = viewer.layers["x RAW error"], viewer.layers["y RAW error"]
    widget.form["limits"].value = "percentile"
    finish()
    errors = np.abs(recovered.mosaic.astype(int) - record.mosaic)
    assert first.contrast_limits[1] == pytest.approx(np.percentile(errors, 99.9))
    assert second.contrast_limits[1] == pytest.approx(76.8)

    widget.same_scale.setChecked(True)
    finish()
    assert second.contrast_limits == first.contrast_limits

    shown = first.contrast_limits[1]
    widget.form["limits"].value = "fixed"
    finish()
    assert widget.form["limit"].value == pytest.approx(shown)
    widget.form["limit"].value = 12.0
    finish()
    assert first.contrast_limits == second.contrast_limits == [0, 12]
    first.contrast_limits = (0, 5)  # by hand
    assert widget.scale.text() == "Colours: AE, from 0 to 5 DN"
    assert widget.form["limit"].enabled
    assert not widget.form["percentile"].enabled


def test_while_the_frame_is_not_of_one_setting_only_the_view_is_measured(
    viewer: ViewerModel,
    widget: ErrorMapsDock,
    finish: Callable[[], None],
    record: RawRecord,
) -> None:
    add_run(viewer, record)
    finish()
    widget._clear_figures()
    candidate = viewer.layers["x recovered RAW"]
    facts = facts_of(candidate)
    candidate.metadata = {METADATA_KEY: facts | {PARTIAL: True}}
    candidate.events.data(value=candidate.data)
    finish()
    assert text(widget, "raw_psnr", "frame") == "–"
    assert text(widget, "raw_psnr", "view") != "–"
    candidate.metadata = {METADATA_KEY: facts}
    candidate.events.data(value=candidate.data)
    finish()
    assert text(widget, "raw_psnr", "frame") == text(widget, "raw_psnr", "view") != "–"


def test_a_ground_truth_raw_becomes_the_reference(
    viewer: ViewerModel,
    widget: ErrorMapsDock,
    finish: Callable[[], None],
    record: RawRecord,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    recovered = add_run(viewer, record)
    write_dng(tmp_path / "truth.dng", altered(record, 5))
    monkeypatch.setattr(
        QFileDialog, "getOpenFileName", lambda *_: (str(tmp_path / "truth.dng"), "")
    )
    widget.open_button.click()
    finish()
    assert widget.pair == (viewer.layers["truth mosaic"], viewer.layers["x recovered RAW"])
    widget.show_map()
    finish()
    np.testing.assert_array_equal(
        viewer.layers[-1].data[0], error_map(altered(record, 5), recovered, ErrorMapSettings())
    )


def test_a_ground_truth_picture_lies_over_what_it_is_compared_with(
    viewer: ViewerModel,
    widget: ErrorMapsDock,
    finish: Callable[[], None],
    record: RawRecord,
    tmp_path: Path,
) -> None:
    add_run(viewer, record)
    pixels = np.random.default_rng(3).integers(0, 256, (96, 128, 3), dtype=np.uint8)
    Picture.fromarray(pixels).save(tmp_path / "truth.png")
    decoded = viewer.layers["x decoded JPEG"]
    widget.pick(viewer.layers["x rendered sRGB"], decoded)
    widget.open_ground_truth(tmp_path / "truth.png")
    finish()
    truth = viewer.layers["truth"]
    assert widget.pair == (truth, decoded)
    np.testing.assert_array_equal(truth.affine, decoded.affine)
    widget.show_map()
    finish()
    assert text(widget, "rgb_psnr") == f"{rgb_psnr(pixels, decoded.data[0]):.2f} dB"


def test_a_file_that_cannot_be_read_is_said(
    viewer: ViewerModel,
    widget: ErrorMapsDock,
    finish: Callable[[], None],
    said: list[str],
    tmp_path: Path,
) -> None:
    widget.open_ground_truth(tmp_path / "missing.png")
    finish()
    (sentence,) = said
    assert sentence.startswith("error: ")
    assert "missing.png does not exist" in sentence


def test_layers_may_be_deleted_or_renamed_at_any_time(
    qtbot: QtBot,
    viewer: ViewerModel,
    widget: ErrorMapsDock,
    finish: Callable[[], None],
    record: RawRecord,
) -> None:
    add_run(viewer, record)
    viewer.layers["x mosaic"].name = "Fido"
    assert widget.reference.native.currentText() == "Fido"
    viewer.layers["x RAW error"].name = "mine"
    widget.show_map()
    viewer.layers.remove("mine")  # while it is painted, but it was asked for
    finish()
    assert viewer.layers[-1].name == "Fido RAW error"
    viewer.layers.remove("Fido RAW error")
    widget.form["metric"].value = "E"
    finish()
    assert widget.map_layer is None
    assert text(widget, "mean") == "–"
    widget.show_map()
    finish()
    assert viewer.layers[-1].name == "Fido RAW error (E, DN)"

    widget.form["metric"].value = "SE"
    viewer.layers.remove("x recovered RAW")
    finish()
    assert "render the RAW first" in widget.note.text()
    assert text(widget, "mean") == "–"
    viewer.layers.clear()
    assert widget.note.text() == "Open a camera RAW or a picture to begin."


def test_the_newest_run_is_turned_to_until_a_pair_is_picked(
    viewer: ViewerModel,
    widget: ErrorMapsDock,
    finish: Callable[[], None],
    record: RawRecord,
) -> None:
    add_run(viewer, record)
    add_run(viewer, make_smooth_record((96, 128)), "y")
    assert widget.candidate.value.name == "y recovered RAW"
    viewer.layers.selection.active = viewer.layers["x"]
    assert widget.candidate.value.name == "x recovered RAW"
    widget.candidate.value = viewer.layers["x decoded JPEG"]
    viewer.layers.selection.active = viewer.layers["y"]
    assert widget.candidate.value.name == "x decoded JPEG"
    viewer.layers.remove("x decoded JPEG")
    assert widget.candidate.value.name == "y recovered RAW"
    finish()


def test_the_dock_may_be_closed_while_it_paints(
    qtbot: QtBot, viewer: ViewerModel, record: RawRecord
) -> None:
    widget = ErrorMapsDock(viewer)
    add_run(viewer, record)
    widget.show_map()
    runners = (widget._painter, widget._measurer, widget._opener)
    candidate = viewer.layers["x recovered RAW"]
    before = len(candidate.events.data.callbacks)
    with qtbot.waitSignal(widget.destroyed):
        widget.deleteLater()
    assert not any(runner.running for runner in runners)
    assert len(candidate.events.data.callbacks) == before - 1
    qtbot.waitUntil(lambda: not any(runner._busy for runner in runners))
    candidate.events.data(value=candidate.data)
    viewer.layers.clear()


def test_every_part_of_the_widget_has_a_name(widget: ErrorMapsDock) -> None:
    parts = [*vars(widget).values(), *widget.figures.values(), *widget._titles.values()]
    for part in parts:
        if isinstance(part, QWidget):
            assert part.objectName().startswith("napari-invisp.")
            assert (
                part is widget.note
                or part.toolTip()
                or "heading" in part.objectName()
                or (part is widget.form)
            )


@pytest.mark.usefixtures("display")
def test_a_map_is_seen_in_the_window(
    qtbot: QtBot, make_napari_viewer: Callable[..., napari.Viewer], record: RawRecord
) -> None:
    viewer = make_napari_viewer(show=True, strict_qt="raise")
    _, widget = viewer.window.add_plugin_dock_widget("napari-invisp", "Error maps")
    add_run(viewer, record)
    widget.show_map()
    qtbot.waitUntil(lambda: not widget.running, timeout=LONG)
    shown = viewer.screenshot(flash=False).astype(int)
    widget.map_layer.visible = False
    assert np.abs(viewer.screenshot(flash=False) - shown).mean() > 5
    widget.map_layer.visible = True
    contents = widget.findChild(QWidget, "napari-invisp.errors.contents")
    assert contents.width() <= widget.width()
    for label in widget.figures.values():
        if label.isVisible():
            assert label.width() >= label.sizeHint().width()

    widget.form["marked"].value = True
    widget.form["threshold"].value = 0.0
    qtbot.waitUntil(lambda: not widget.running, timeout=LONG)
    marked = viewer.screenshot(flash=False)[..., :3].reshape(-1, 3).astype(int)
    green = (marked[:, 1] > 200) & (marked[:, 0] < 100) & (marked[:, 2] < 100)
    assert green.sum() > 1000
    viewer.window.remove_dock_widget(widget)
