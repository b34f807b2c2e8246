from __future__ import annotations

import csv
import io
import threading
from collections.abc import Callable

import napari
import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Labels
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtGui import QGuiApplication
from records import make_record, make_smooth_record
from result_layers import add_raw, add_results, paint

from napari_invisp.inspection.statistics import Frame, as_csv, survey
from napari_invisp.sensor.record import RawRecord
from napari_invisp.settings import AXES, REGIONS
from napari_invisp.viewer.docks import histogram, histogram_plots
from napari_invisp.viewer.docks.histogram import HistogramDock
from napari_invisp.viewer.docks.histogram_plots import HistogramPlot
from napari_invisp.viewer.layers import PARTIAL, RECORD, facts_of, raw_layers
from napari_invisp.viewer.layers.view import part_in_view

FRAME, VIEW, SHAPE = REGIONS
EV, DN = AXES


@pytest.fixture
def record() -> RawRecord:
    """A RAW of noise, with clipped sites, stored on its side."""
    return make_record((96, 128), "GRBG").replace(orientation=6)


@pytest.fixture
def dock(qtbot: QtBot, viewer: ViewerModel, monkeypatch: pytest.MonkeyPatch) -> HistogramDock:
    monkeypatch.setattr(histogram, "_PAUSE_MS", 1)
    monkeypatch.setattr(histogram, "_PAINTING_MS", 1)
    made = HistogramDock(viewer)
    qtbot.addWidget(made)
    made.show()
    return made


@pytest.fixture
def settled(qtbot: QtBot, dock: HistogramDock) -> Callable[[], None]:
    """Wait until everything that was asked for is shown."""

    def quiet() -> bool:
        return not dock._timer.isActive() and not dock._runner.running

    return lambda: qtbot.waitUntil(quiet, timeout=20_000)


def drawn(plot: HistogramPlot) -> tuple[np.ndarray, np.ndarray]:
    """Return edges, and the heights of all curves."""
    data = [curve.getData() for curve in plot.curves]
    return data[0][0], np.stack([y for _, y in data])


def means(dock: HistogramDock, frame: int = 0) -> list[float]:
    return [channel.mean for channel in dock.survey.statistics[frame].channels]


def test_without_a_raw_it_says_what_to_do(dock: HistogramDock, settled: Callable[[], None]) -> None:
    settled()
    assert dock.survey is None
    assert "Open a camera RAW file" in dock.note.text()
    assert not dock.plots.isVisible()
    assert not any(box.isEnabled() for box in dock.clipping.values())


def test_a_raw_is_counted_and_drawn(
    viewer: ViewerModel, dock: HistogramDock, settled: Callable[[], None], record: RawRecord
) -> None:
    add_raw(viewer, record)
    settled()
    assert list(dock.survey.counts) == [Frame.ORIGINAL]
    green = record.mosaic[::2, ::2]  # of GRBG, beside red
    assert means(dock)[1] == pytest.approx(green.mean())
    assert "scene" in dock.title.text()
    assert "12,288 sites" in dock.title.text()
    assert f"{green.mean():.1f}" in dock.table.text()
    assert not dock.note.isVisible()
    plots = dock.plots.plots
    assert [plots[frame].isVisible() for frame in Frame] == [True, False, False]
    edges, heights = drawn(plots[Frame.ORIGINAL])
    above = green[green > 60]
    ev = np.log2((above - 60.0) / (3900 - 60))
    np.testing.assert_array_equal(heights[1], np.histogram(ev, edges)[0])


def test_axes_and_bins_are_as_the_settings_say(
    viewer: ViewerModel, dock: HistogramDock, settled: Callable[[], None], record: RawRecord
) -> None:
    add_raw(viewer, record)
    settled()
    plot = dock.plots.plots[Frame.ORIGINAL]
    dock.form["bins_per_stop"].value = 2
    assert np.diff(drawn(plot)[0]) == pytest.approx(0.5)
    assert dock.form["bins_per_stop"].visible
    assert not dock.form["bin_width"].visible
    dock.form["axis"].value = DN
    dock.form["bin_width"].value = 100
    assert dock.form["bin_width"].visible
    edges, heights = drawn(plot)
    assert np.diff(edges) == pytest.approx(100)
    red = np.histogram(record.mosaic[::2, 1::2], edges)[0]
    np.testing.assert_array_equal(heights[0], red)
    dock.form["counts"].value = "log"
    np.testing.assert_allclose(10 ** drawn(plot)[1][0], np.maximum(red, 0.5))
    labels = {mark.label.format: mark.value() for mark in plot._marks}
    assert labels["black 60–66"] == 66
    assert labels["white 3900"] == 3900
    dock.form["axis"].value = EV
    assert {mark.label.format: mark.value() for mark in plot._marks}["white 3900"] == 0


def test_original_recovered_and_difference_share_their_axes(
    qtbot: QtBot,
    viewer: ViewerModel,
    dock: HistogramDock,
    settled: Callable[[], None],
    record: RawRecord,
) -> None:
    add_raw(viewer, record)
    recovered, *_ = add_results(viewer, record)
    settled()
    right = survey(record, facts_of(recovered)[RECORD], dock.survey.region)
    assert as_csv(dock.survey.statistics) == as_csv(right.statistics)
    plots = dock.plots.plots
    assert all(plots[frame].isVisible() for frame in Frame)
    dock.form["axis"].value = DN
    boxes = [plots[each].getViewBox() for each in (Frame.ORIGINAL, Frame.RECOVERED)]
    # Linked axes follow when the plots are drawn.
    qtbot.waitUntil(lambda: np.testing.assert_allclose(*(box.viewRange() for box in boxes)))
    np.testing.assert_array_equal(*(drawn(plots[f])[0] for f in (Frame.ORIGINAL, Frame.RECOVERED)))
    edges, heights = drawn(plots[Frame.DIFFERENCE])
    assert edges[0] == -edges[-1] == pytest.approx(-7.5)
    error = recovered.data[0].astype(int) - record.mosaic
    np.testing.assert_array_equal(heights[0], np.histogram(error[::2, 1::2], edges)[0])
    assert "Recovered − original" in dock.table.text()


def test_figures_follow_the_selection(
    viewer: ViewerModel, dock: HistogramDock, settled: Callable[[], None], record: RawRecord
) -> None:
    other = make_smooth_record((64, 64))
    first, _ = add_raw(viewer, record)
    second, _ = add_raw(viewer, other, "other")
    settled()
    viewer.layers.selection.active = first
    settled()
    assert dock.survey.region.rows.stop == 96
    viewer.layers.selection.active = second
    second.name = "renamed mosaic"
    settled()
    assert dock.survey.region.rows.stop == 64
    assert "renamed" in dock.title.text()
    viewer.add_shapes()
    settled()
    assert dock.survey.region.rows.stop == 64
    viewer.layers.remove(second)
    viewer.layers.remove("other")
    settled()
    assert dock.survey.region.rows.stop == 96
    viewer.layers.clear()
    settled()
    assert dock.survey is None
    assert "Open a camera RAW file" in dock.note.text()


def test_new_pixels_are_counted(
    qtbot: QtBot,
    viewer: ViewerModel,
    dock: HistogramDock,
    settled: Callable[[], None],
    record: RawRecord,
) -> None:
    add_raw(viewer, record)
    recovered, *_ = add_results(viewer, record)
    settled()
    for _ in range(4):
        paint(recovered, 1234)
    qtbot.waitUntil(lambda: means(dock, 1) == [1234.0] * 4)
    settled()
    paint(recovered, 99)
    qtbot.waitUntil(lambda: means(dock, 1) == [99.0] * 4)


def test_unfinished_results_are_told(
    viewer: ViewerModel, dock: HistogramDock, settled: Callable[[], None], record: RawRecord
) -> None:
    add_raw(viewer, record)
    add_results(viewer, record, **{PARTIAL: True})
    settled()
    assert "still being worked on" in dock.note.text()


def test_the_part_in_view_is_counted(
    viewer: ViewerModel, dock: HistogramDock, settled: Callable[[], None], record: RawRecord
) -> None:
    _, picture = add_raw(viewer, record)
    dock.form["region"].value = VIEW
    settled()
    assert dock.survey.region.rows == slice(0, 96)
    viewer.scene.camera.zoom *= 3
    viewer.scene.camera.center = (60, 40)
    settled()
    rows, columns = part_in_view(viewer, picture)
    region = dock.survey.region
    assert (region.rows, region.columns) == (rows, columns)
    seen = np.zeros(record.mosaic.shape, bool)
    seen[rows, columns] = True
    assert 0 < seen.sum() < seen.size / 4
    red = record.mosaic[::2, 1::2][seen[::2, 1::2]]  # of GRBG
    assert means(dock)[0] == pytest.approx(red.mean())
    assert region.name in dock.title.text()


def test_shapes_are_counted_and_followed(
    viewer: ViewerModel, dock: HistogramDock, settled: Callable[[], None], record: RawRecord
) -> None:
    add_raw(viewer, record)
    dock.form["region"].value = SHAPE
    settled()
    assert dock.survey is None
    assert "Add a layer of shapes" in dock.note.text()
    assert not dock.plots.isVisible()
    # On the canvas, which shows the frame turned to the right: row 95 of it lies left.
    box = np.array([(10.5, 20.5), (10.5, 60.5), (50.5, 60.5), (50.5, 20.5)])
    shapes = viewer.add_shapes([box, box + 5], shape_type="rectangle", name="Shapes")
    shapes.selected_data = {0}
    settled()
    assert dock.survey.region.name == "Shapes: rectangle 1"
    sites = record.mosaic[95 - 60 : 95 - 20, 11:51]
    assert sum(c.sites for c in dock.survey.statistics[0].channels) == sites.size
    total = sum(c.mean * c.sites for c in dock.survey.statistics[0].channels)
    assert total == pytest.approx(sites.sum())
    shapes.selected_data = {1}
    settled()
    assert dock.survey.region.name == "Shapes: rectangle 2"
    shapes.data = [box + 500, box]
    shapes.selected_data = {0}
    settled()
    assert "No site of the frame" in dock.note.text()
    assert "–" in dock.table.text()
    viewer.layers.remove(shapes)
    settled()
    assert "Add a layer of shapes" in dock.note.text()


def test_a_jpeg_without_its_original_has_figures_too(
    viewer: ViewerModel, dock: HistogramDock, settled: Callable[[], None], record: RawRecord
) -> None:
    for data, arguments, _ in raw_layers(record, "photo", {}, recovered=True):
        viewer.add_image(data, **arguments)
    settled()
    assert list(dock.survey.counts) == [Frame.RECOVERED]
    assert "Open the original RAW" in dock.note.text()
    assert dock.plots.plots[Frame.RECOVERED].isVisible()
    assert dock.clipping["Recovered"].isEnabled()
    assert not dock.clipping["Original"].isEnabled()


def test_nothing_is_counted_while_the_dock_is_hidden(
    viewer: ViewerModel, dock: HistogramDock, settled: Callable[[], None], record: RawRecord
) -> None:
    dock.hide()
    add_raw(viewer, record)
    settled()
    assert dock.survey is None
    dock.show()
    settled()
    assert dock.survey is not None


def test_saturation_beside_the_white_level_is_told(
    viewer: ViewerModel, dock: HistogramDock, settled: Callable[[], None]
) -> None:
    add_raw(viewer, make_record((64, 64)))  # samples up to 4095, white at 3900
    settled()
    assert "white level is 3900 DN, but samples end at" in dock.saturation.text()
    viewer.layers.clear()
    add_raw(viewer, make_smooth_record((64, 64)))
    settled()
    assert not dock.saturation.isVisible()


def test_statistics_are_copied_in_full(
    qtbot: QtBot,
    viewer: ViewerModel,
    dock: HistogramDock,
    settled: Callable[[], None],
    record: RawRecord,
) -> None:
    add_raw(viewer, record)
    settled()
    qtbot.mouseClick(dock.copy_button, Qt.MouseButton.LeftButton)
    text = QGuiApplication.clipboard().text()
    rows = list(csv.DictReader(io.StringIO(text), delimiter="\t"))
    assert float(rows[0]["mean"]) == means(dock)[0]
    assert len(rows) == 4


def test_clipping_is_shown_from_the_dock(
    qtbot: QtBot,
    viewer: ViewerModel,
    dock: HistogramDock,
    settled: Callable[[], None],
    record: RawRecord,
) -> None:
    def overlays() -> list[str]:
        return [each.name for each in viewer.layers if isinstance(each, Labels) and each.visible]

    add_raw(viewer, record)
    add_results(viewer, record)
    settled()
    assert not dock.legend.isVisible()
    dock.clipping["Original"].click()
    qtbot.waitUntil(lambda: overlays() == ["scene clipping"])
    dock.clipping["Recovered"].click()
    qtbot.waitUntil(lambda: len(overlays()) == 2)
    settled()
    assert dock.legend.isVisible()
    viewer.layers.remove("scene clipping")
    settled()
    assert not dock.clipping["Original"].isChecked()
    assert dock.clipping["Recovered"].isChecked()
    dock.clipping["Recovered"].click()
    assert overlays() == []
    viewer.layers["scene recovered RAW clipping"].visible = True
    qtbot.waitUntil(dock.clipping["Recovered"].isChecked)


def test_zooming_lasts_until_all_is_to_be_seen(
    viewer: ViewerModel, dock: HistogramDock, settled: Callable[[], None], record: RawRecord
) -> None:
    add_raw(viewer, record)
    recovered, *_ = add_results(viewer, record)
    settled()
    plot = dock.plots.plots[Frame.ORIGINAL]
    view = plot.getViewBox()
    everything = view.viewRange()
    view.setRange(xRange=(-3, -1), padding=0)
    view.sigRangeChangedManually.emit([True, True])
    paint(recovered, 500)
    settled()
    assert view.viewRange()[0] == pytest.approx([-3, -1])
    plot.see_all()
    assert view.viewRange()[0] == pytest.approx(everything[0])


def test_plots_lie_beside_each_other_where_there_is_room(
    qtbot: QtBot, viewer: ViewerModel, dock: HistogramDock, settled: Callable[[], None]
) -> None:
    add_results(viewer, add_raw(viewer, make_record())[0].metadata["napari_invisp"][RECORD])
    settled()
    first, second = (dock.plots.plots[f] for f in (Frame.ORIGINAL, Frame.RECOVERED))
    dock.resize(400, 900)
    qtbot.waitUntil(lambda: second.y() > first.y() and second.x() == first.x())
    dock.resize(histogram_plots._ROOM + 200, 500)
    qtbot.waitUntil(lambda: second.x() > first.x() and second.y() == first.y())


def test_it_may_be_closed_while_it_counts(
    qtbot: QtBot, viewer: ViewerModel, record: RawRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(*arguments: object) -> object:
        begun.set()
        assert go_on.wait(20)
        return survey(*arguments)

    monkeypatch.setattr(histogram, "survey", slow)
    dock = HistogramDock(viewer)
    dock.show()
    add_raw(viewer, record)
    add_results(viewer, record)
    qtbot.waitUntil(begun.is_set)
    runner = dock._runner
    with qtbot.waitSignal(dock.destroyed):
        dock.deleteLater()
    assert not runner.running
    go_on.set()
    qtbot.waitUntil(lambda: not runner._busy)
    paint(viewer.layers["scene recovered RAW"], 3)
    viewer.layers.clear()


def test_every_part_has_a_name_and_says_what_it_is(dock: HistogramDock) -> None:
    for part in (*vars(dock).values(), *dock.plots.plots.values(), *dock.clipping.values()):
        if hasattr(part, "objectName") and part not in (dock._runner, dock._timer):
            assert part.objectName().startswith("napari-invisp.")
    for part in (dock.copy_button, *dock.clipping.values(), *dock.plots.plots.values()):
        assert part.toolTip()


def test_two_windows_have_docks_of_their_own(
    display: None, qtbot: QtBot, make_napari_viewer: Callable[..., napari.Viewer]
) -> None:
    from napari._app_model import get_app_model

    docks = []
    for value in (700, 900):
        viewer = make_napari_viewer(show=True)
        get_app_model().commands.execute_command("napari-invisp.histogram")
        dock = viewer.window.dock_widgets[HistogramDock.dock_name()]
        add_raw(viewer, make_record(mosaic=np.full((64, 80), value, np.uint16)))
        docks.append(dock)
    for dock, value in zip(docks, (700, 900), strict=True):
        qtbot.waitUntil(lambda dock=dock: dock.survey is not None)
        assert means(dock) == [value] * 4
