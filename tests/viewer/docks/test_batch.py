from __future__ import annotations

import csv
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import napari
import numpy as np
import pytest
from dropping import drop
from napari.components import ViewerModel
from napari.settings import get_plugin_settings
from napari.utils.notifications import notification_manager
from npe2 import PluginManager, PluginManifest
from pytestqt.qtbot import QtBot
from qtpy.QtWidgets import QApplication, QBoxLayout, QFileDialog

import napari_invisp
from napari_invisp.batch import State
from napari_invisp.inspection.jpegs import describe
from napari_invisp.pipeline import Pipeline
from napari_invisp.sensor.reading import read_raw
from napari_invisp.sensor.record import RawRecord
from napari_invisp.settings import RenderSettings
from napari_invisp.viewer.docks.batch import BatchDock
from napari_invisp.viewer.docks.opening import dock
from napari_invisp.viewer.work.worker import THREAD_NAME, Runner

COLUMNS = (
    "File",
    "Job",
    "State",
    "JPEG bytes",
    "bpp",
    "Ratio",
    "Carries",
    "RAW PSNR",
    "Seconds",
)


@pytest.fixture
def widget(qtbot: QtBot, viewer: ViewerModel, tmp_path: Path) -> BatchDock:
    widget = BatchDock(viewer)
    qtbot.addWidget(widget)
    widget.form["model"].value = "physics"
    widget.folder = tmp_path / "out"
    widget.folder.mkdir()
    return widget


@pytest.fixture
def finish(qtbot: QtBot, widget: BatchDock) -> Callable[[], None]:
    def wait() -> None:
        qtbot.waitUntil(lambda: not widget.running, timeout=20_000)

    return wait


@pytest.fixture
def files(dng: Path, tmp_path: Path) -> list[Path]:
    """Three RAW files, the second of which is broken."""
    paths = [tmp_path / f"{name}.dng" for name in ("one", "two", "three")]
    for path in paths:
        shutil.copy(dng, path)
    paths[1].write_bytes(b"no RAW")
    return paths


@pytest.fixture
def said() -> Iterator[list[str]]:
    sentences: list[str] = []

    def note(event: object) -> None:
        sentences.append(event.message)

    notification_manager.notification_ready.connect(note)
    yield sentences
    notification_manager.notification_ready.disconnect(note)


class Gate:
    """Holds runs back when they are about to render, until it is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.open, self.reached = threading.Event(), threading.Event()
        original = Pipeline.render

        def render(pipeline: Pipeline, *arguments: object):
            self.reached.set()
            assert self.open.wait(20)
            return original(pipeline, *arguments)

        monkeypatch.setattr(Pipeline, "render", render)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    return Gate(monkeypatch)


def texts(widget: BatchDock, row: int) -> dict[str, str]:
    cells = (widget.table.item(row, column).text() for column in range(len(COLUMNS)))
    return dict(zip(COLUMNS, cells, strict=True))


def states(widget: BatchDock) -> list[State]:
    return [task.state for task in widget.tasks()]


def test_an_empty_queue_offers_nothing_but_to_add(widget: BatchDock) -> None:
    titles = tuple(widget.table.horizontalHeaderItem(n).text() for n in range(len(COLUMNS)))
    assert titles == COLUMNS
    for button in (widget.start_button, widget.cancel_button, widget.clear_button):
        assert not button.isEnabled()
    assert widget.add_button.isEnabled()
    assert widget.stage.text() == "Add files, or drop them here."


def test_files_are_rendered_one_after_the_other(
    widget: BatchDock, files: list[Path], finish: Callable[[], None]
) -> None:
    widget.form["quality"].value = 70
    widget.form["subsampling"].value = "4:4:4"
    widget.form["measure"].value = True
    widget.add(files)
    assert [texts(widget, row)["State"] for row in range(3)] == ["waiting"] * 3
    widget.start_button.click()
    assert not widget.form.isEnabled()
    finish()
    assert widget.form.isEnabled()
    assert states(widget) == [State.DONE, State.FAILED, State.DONE]
    assert sorted(path.name for path in widget.folder.iterdir()) == ["one.jpg", "three.jpg"]
    jpeg = widget.folder / "one.jpg"
    facts, cells = widget.tasks()[0].facts, texts(widget, 0)
    assert describe(jpeg).inside.quality == 70
    assert describe(jpeg).subsampling == "4:4:4"
    assert cells["JPEG bytes"] == str(jpeg.stat().st_size)
    assert cells["bpp"] == f"{8 * jpeg.stat().st_size / (96 * 128):.2f}"
    assert cells["Ratio"] == f"{96 * 128 * 12 / 8 / jpeg.stat().st_size:.2f}"
    assert cells["RAW PSNR"] == f"{facts['raw_psnr']:.2f}"
    assert texts(widget, 1)["State"] == "failed"
    assert "two.dng is not a camera RAW file" in widget.table.item(1, 2).toolTip()
    assert widget.stage.text() == "Done, but for 1: double-click to see why"
    assert (widget.bar.value(), widget.bar.maximum()) == (3, 3)


def test_jpeg_files_are_recovered(
    widget: BatchDock, record: RawRecord, tmp_path: Path, finish: Callable[[], None]
) -> None:
    pipeline = Pipeline(RenderSettings(model="physics"))
    path = tmp_path / "photo.jpeg"
    path.write_bytes(pipeline.encode(pipeline.render(record)))
    widget.add([path])
    assert texts(widget, 0)["Job"] == "recover to DNG"
    widget.start()
    finish()
    assert read_raw(widget.folder / "photo-recovered.dng").mosaic.shape == record.mosaic.shape


def test_archives_and_side_information_are_written_and_read(
    widget: BatchDock, files: list[Path], record: RawRecord, finish: Callable[[], None]
) -> None:
    widget.form["measure"].value = True
    widget.form["side_info"].value = 4096
    widget.add(files[:1])
    widget.start()
    finish()
    assert texts(widget, 0)["Carries"] == "4,096 bytes"
    assert 0 < describe(widget.folder / "one.jpg").inside.side_info <= 4096
    widget.form["exact"].value = True
    widget.add(files[2:])
    widget.start()
    finish()
    cells = texts(widget, 1)
    assert (cells["Carries"], cells["RAW PSNR"]) == ("exact archive", "infinite")
    jpeg = widget.folder / "three.jpg"
    assert describe(jpeg).inside.exact
    widget.add([jpeg])
    widget.start()
    finish()
    assert texts(widget, 2)["Carries"] == "exact archive"
    again = read_raw(widget.folder / "three-recovered.dng")
    np.testing.assert_array_equal(again.mosaic, record.mosaic)


def test_only_what_is_not_done_is_worked_on_again(
    widget: BatchDock, files: list[Path], dng: Path, finish: Callable[[], None]
) -> None:
    widget.add(files)
    widget.start()
    finish()
    before = widget.tasks()
    shutil.copy(dng, files[1])
    widget.start()
    finish()
    assert widget.tasks()[0] is before[0]
    assert states(widget) == [State.DONE] * 3
    assert widget.stage.text() == "Done"
    # With nothing left, all are done once more, beside what is there.
    widget.start()
    finish()
    names = sorted(path.name for path in widget.folder.iterdir())
    assert names == sorted(f"{n}{x}.jpg" for n in ("one", "two", "three") for x in ("", "-2"))


def test_files_of_other_kinds_and_twice_the_same_are_left_out(
    widget: BatchDock, files: list[Path], said: list[str], tmp_path: Path
) -> None:
    widget.add([files[0], tmp_path / "notes.txt", files[0]])
    widget.add(files[:2])
    assert [task.source for task in widget.tasks()] == files[:2]
    (sentence,) = said
    assert "notes.txt is neither a camera RAW file nor a JPEG" in sentence


def test_files_can_be_dropped_and_chosen(
    widget: BatchDock, files: list[Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert not drop(widget, tmp_path / "a.txt")
    assert drop(widget, *files[:2], tmp_path / "a.txt")
    assert [task.source for task in widget.tasks()] == files[:2]
    monkeypatch.setattr(QFileDialog, "getOpenFileNames", lambda *_: ([str(files[2])], ""))
    widget.add_button.click()
    assert [task.source for task in widget.tasks()] == files


def test_rows_can_be_taken_out_but_for_the_one_in_work(
    qtbot: QtBot, widget: BatchDock, files: list[Path], gate: Gate, finish: Callable[[], None]
) -> None:
    widget.add(files)
    widget.start()
    qtbot.waitUntil(gate.reached.is_set)
    widget.table.selectRow(1)
    widget.remove_button.click()
    assert [task.source for task in widget.tasks()] == [files[0], files[2]]
    widget.clear_button.click()
    assert [task.source for task in widget.tasks()] == files[:1]
    # What is added now is worked on, too.
    widget.add(files[2:])
    gate.open.set()
    finish()
    assert states(widget) == [State.DONE] * 2
    widget.clear_button.click()
    assert widget.tasks() == []


def test_cancelling_leaves_nothing_of_the_file_in_work(
    qtbot: QtBot, widget: BatchDock, files: list[Path], gate: Gate, finish: Callable[[], None]
) -> None:
    widget.add([files[0], files[2]])
    widget.start()
    qtbot.waitUntil(gate.reached.is_set)
    widget.cancel_button.click()
    assert not widget.running
    assert states(widget) == [State.CANCELLED, State.WAITING]
    assert widget.stage.text() == "Cancelled"
    gate.open.set()
    qtbot.waitUntil(lambda: all(t.name != THREAD_NAME for t in threading.enumerate()))
    assert list(widget.folder.iterdir()) == []
    assert states(widget) == [State.CANCELLED, State.WAITING]
    widget.start()
    finish()
    assert states(widget) == [State.DONE] * 2


def test_progress_of_the_file_in_work_is_shown(
    qtbot: QtBot, widget: BatchDock, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    say = widget.table.say

    def spy(first: object, text: str) -> None:
        say(first, text)
        seen.append(texts(widget, 0)["State"])

    monkeypatch.setattr(widget.table, "say", spy)
    widget.form["measure"].value = True
    widget.add(files[:1])
    widget.start()
    qtbot.waitUntil(lambda: not widget.running, timeout=20_000)
    assert any(text.startswith("rendering") for text in seen)
    assert any(text.startswith("recovering") for text in seen)


def test_a_defect_is_told_and_the_rest_goes_on(
    widget: BatchDock,
    files: list[Path],
    finish: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
    said: list[str],
) -> None:
    original = Pipeline.encode
    once = iter([True])

    def encode(pipeline: Pipeline, *arguments: object, **named: object):
        if next(once, False):
            raise ZeroDivisionError("a defect")
        return original(pipeline, *arguments, **named)

    monkeypatch.setattr(Pipeline, "encode", encode)
    widget.add([files[0], files[2]])
    widget.start()
    finish()
    assert states(widget) == [State.FAILED, State.DONE]
    assert widget.tasks()[0].problem == "ZeroDivisionError: a defect"
    assert said == ["a defect"]


def test_a_run_elsewhere_gets_its_turn_between_two_files(
    qtbot: QtBot, widget: BatchDock, files: list[Path], gate: Gate, finish: Callable[[], None]
) -> None:
    widget.add([files[0], files[2]])
    widget.start()
    qtbot.waitUntil(gate.reached.is_set)
    seen: list[list[State]] = []
    other = Runner()
    other.produced.connect(lambda _: seen.append(states(widget)))
    other.start(lambda report: iter([None]))
    gate.open.set()
    finish()
    qtbot.waitUntil(lambda: bool(seen))
    assert seen[0] != [State.DONE, State.DONE]


def test_the_table_becomes_a_file(
    widget: BatchDock,
    files: list[Path],
    finish: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    widget.add(files[:1])
    assert not widget.csv_button.isEnabled()
    widget.start()
    finish()
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "a"), ""))
    widget.csv_button.click()
    with (tmp_path / "a.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["jpeg_bytes"] == texts(widget, 0)["JPEG bytes"]
    assert row["file"] == str(files[0])


def test_a_folder_can_be_chosen_and_given_up(
    widget: BatchDock,
    files: list[Path],
    finish: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = str(widget.folder)
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: folder)
    widget.folder = None
    widget.folder_button.click()
    assert (str(widget.folder), widget.folder_label.text()) == (folder, f"Results go to {folder}")
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: "")
    widget.folder_button.click()
    assert widget.folder_label.text() == "Results go beside each file"
    widget.add(files[:1])
    widget.start()
    finish()
    assert files[0].with_suffix(".jpg").exists()


def test_a_double_click_tells_what_went_wrong_or_opens_the_result(
    qtbot: QtBot,
    viewer: ViewerModel,
    widget: BatchDock,
    files: list[Path],
    record: RawRecord,
    said: list[str],
    finish: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    widget.add(files[:2])
    widget.table.doubleClicked.emit(widget.table.model().index(0, 0))
    assert (said, len(viewer.layers)) == ([], 0)
    widget.start()
    finish()
    widget.table.doubleClicked.emit(widget.table.model().index(1, 0))
    assert said == [widget.tasks()[1].problem]

    opened: list[Path] = []

    class Dock:
        recover_files = staticmethod(opened.extend)

    monkeypatch.setattr("napari_invisp.viewer.docks.batch.dock", lambda viewer: Dock)
    widget.table.doubleClicked.emit(widget.table.model().index(0, 3))
    assert opened == [widget.folder / "one.jpg"]

    widget.clear()
    widget.add(opened)
    widget.start()
    finish()
    widget.table.doubleClicked.emit(widget.table.model().index(0, 0))
    qtbot.waitUntil(lambda: len(viewer.layers) == 2)
    recovered = read_raw(widget.folder / "one-recovered.dng")
    np.testing.assert_array_equal(viewer.layers[0].data[0], recovered.mosaic)


def test_it_begins_with_what_the_user_prefers(
    qtbot: QtBot, plugin_settings: None, npe2pm: PluginManager, tmp_path: Path
) -> None:
    manifest = Path(napari_invisp.__file__).parent / "napari.yaml"
    npe2pm.register(PluginManifest.from_file(manifest))
    preferences = get_plugin_settings("napari-invisp")
    checkpoint = tmp_path / "mine.safetensors"
    checkpoint.touch()
    preferences.rendering.model = str(checkpoint)
    preferences.rendering.quality = 66
    preferences.computing.tile = 128
    widget = BatchDock(ViewerModel())
    qtbot.addWidget(widget)
    assert widget.form["quality"].value == 66
    assert widget.form["model"].value == str(checkpoint)
    # Where the model runs has no control here, but counts.
    assert (widget.form.settings().tile, widget.form.settings().quality) == (128, 66)


def test_table_and_settings_stand_side_by_side_where_there_is_room(
    widget: BatchDock, has_display: bool
) -> None:
    widget.resize(1000, 300)
    widget.show()
    assert widget._halves.direction() is QBoxLayout.Direction.LeftToRight
    widget.resize(360, 700)
    assert widget._halves.direction() is QBoxLayout.Direction.TopToBottom


@pytest.mark.usefixtures("display")
@pytest.mark.parametrize("what", ["dock", "viewer"])
def test_closing_it_in_the_middle_of_a_run_leaves_nothing(
    qtbot: QtBot,
    make_napari_viewer: Callable[..., napari.Viewer],
    files: list[Path],
    gate: Gate,
    tmp_path: Path,
    what: str,
) -> None:
    viewer = make_napari_viewer(show=True)
    outer, widget = viewer.window.add_plugin_dock_widget("napari-invisp", "Batch")
    widget.folder = tmp_path
    widget.add(files)
    widget.start()
    qtbot.waitUntil(gate.reached.is_set)
    if what == "dock":
        viewer.window.remove_dock_widget(outer)
    else:
        viewer.close()
    gate.open.set()
    qtbot.waitUntil(lambda: all(t.name != THREAD_NAME for t in threading.enumerate()))
    QApplication.processEvents()
    assert not list(tmp_path.glob("*.jpg"))


@pytest.mark.usefixtures("display")
def test_a_jpeg_is_opened_with_the_raw_that_it_holds(
    qtbot: QtBot,
    make_napari_viewer: Callable[..., napari.Viewer],
    files: list[Path],
    tmp_path: Path,
) -> None:
    viewer = make_napari_viewer(show=True)
    _, widget = viewer.window.add_plugin_dock_widget("napari-invisp", "Batch")
    widget.form["model"].value = "physics"
    widget.folder = tmp_path / "out"
    widget.folder.mkdir()
    widget.add([files[0]])
    widget.start()
    qtbot.waitUntil(lambda: not widget.running, timeout=20_000)
    widget.open_result(0)
    assert dock(viewer).running
    qtbot.waitUntil(lambda: not dock(viewer).running, timeout=60_000)
    assert "one recovered RAW" in viewer.layers
    assert "one JPEG" in viewer.layers
