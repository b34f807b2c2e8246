from __future__ import annotations

import csv
import io
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.settings import get_plugin_settings
from npe2 import PluginManager, PluginManifest
from photographs import photograph
from pytestqt.qtbot import QtBot
from qtpy.QtWidgets import QApplication, QFileDialog

import napari_invisp
from napari_invisp.inspection.jpegs import describe
from napari_invisp.metrics import bits_per_pixel, compression_ratio, raw_psnr
from napari_invisp.pipeline import Pipeline
from napari_invisp.sensor.dng import write_dng
from napari_invisp.sensor.original import Original
from napari_invisp.sensor.reading import read_raw
from napari_invisp.sensor.record import RawRecord
from napari_invisp.sensor.tiff import Entry
from napari_invisp.viewer.docks.archive import ArchiveDock
from napari_invisp.viewer.docks.render import RenderDock
from napari_invisp.viewer.files.writers import write_dng_layer
from napari_invisp.viewer.layers import ORIGINAL_TAGS, facts_of

pytestmark = pytest.mark.usefixtures("one_thread")

PLUGIN = "napari-invisp"
LONG = 30_000
MAKER_NOTE = Entry(37500, 7, b"known to the maker alone")


@pytest.fixture
def record() -> RawRecord:
    return photograph(96, 128)


@pytest.fixture
def dng(record: RawRecord, tmp_path: Path) -> Path:
    """A file with a tag that no other would have."""
    path = tmp_path / "scene.dng"
    write_dng(path, record, original=Original(exif=(MAKER_NOTE,)))
    return path


@pytest.fixture
def dock(qtbot: QtBot, viewer: ViewerModel, dng: Path) -> ArchiveDock:
    viewer.open(dng, plugin=PLUGIN)
    dock = ArchiveDock(viewer)
    dock.form["model"].value = "physics"
    qtbot.addWidget(dock)
    return dock


@pytest.fixture
def finish(qtbot: QtBot, dock: ArchiveDock) -> Callable[[], None]:
    return lambda: qtbot.waitUntil(lambda: not dock.running, timeout=LONG)


@pytest.fixture
def chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The file that whoever is asked for one to write chooses."""
    path = tmp_path / "kept.jpg"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path), ""))
    return path


class Gate:
    """Holds a run back when it is about to recover, until it is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.open, self.reached = threading.Event(), threading.Event()
        original = Pipeline.recover_unpacked

        def recover(pipeline: Pipeline, *arguments: object):
            self.reached.set()
            assert self.open.wait(20)
            return original(pipeline, *arguments)

        monkeypatch.setattr(Pipeline, "recover_unpacked", recover)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    return Gate(monkeypatch)


def shown(dock: ArchiveDock) -> dict[str, str]:
    return {name: value.text() for name, value in dock.saved.items()}


def rows(dock: ArchiveDock) -> list[list[str]]:
    table = dock.table
    return [
        [table.item(row, column).text() for column in range(table.columnCount())]
        for row in range(table.rowCount())
    ]


# -- saving ------------------------------------------------------------------------------------


def test_without_a_raw_there_is_nothing_to_keep(qtbot: QtBot, viewer: ViewerModel) -> None:
    dock = ArchiveDock(viewer)
    qtbot.addWidget(dock)
    for button in (dock.save_button, dock.compare_button, dock.cancel_button):
        assert not button.isEnabled()
    assert dock.note.text().startswith("Open a camera RAW file to begin")
    assert not dock.saved_box.isVisibleTo(dock)
    assert not dock.table.isVisibleTo(dock)


def test_an_exact_archive_brings_back_every_sample_and_all_tags(
    dock: ArchiveDock, dng: Path, chosen: Path, record: RawRecord, finish: Callable[[], None]
) -> None:
    dock.archive_form["exact"].value = True
    assert not dock.archive_form["side_info"].enabled
    dock.save_button.click()
    assert not dock.save_button.isEnabled()
    assert dock.cancel_button.isEnabled()
    finish()
    data = chosen.read_bytes()
    recovery = Pipeline().recover(data)
    np.testing.assert_array_equal(recovery.record.mosaic, record.mosaic)
    assert recovery.original == Original.of(dng.read_bytes())
    assert MAKER_NOTE in recovery.original.exif
    assert shown(dock) == {
        "file": "kept.jpg",
        "size": f"{len(data):,} bytes",
        "bpp": f"{bits_per_pixel(len(data), record):.2f}",
        "ratio": f"{compression_ratio(len(data), record):.1f} : 1",
        "raw_psnr": "infinite: every sample comes back",
        "carries": "exact archive with the tags of the RAW's file",
    }
    assert dock.progress.stage.text() == "Done"
    assert dock.save_button.isEnabled()


def test_side_information_is_what_was_asked_for_and_helps(
    dock: ArchiveDock, chosen: Path, record: RawRecord, finish: Callable[[], None]
) -> None:
    sizes = {}
    for size in (0, 4096):
        dock.presets[size].click()
        assert dock.archive_form["side_info"].value == size
        assert [n for n, each in dock.presets.items() if each.isChecked()] == [size]
        dock.form["quality"].value = 60
        dock.save_button.click()
        finish()
        recovery = Pipeline().recover(chosen.read_bytes())
        psnr = raw_psnr(record, recovery.record)
        assert shown(dock)["raw_psnr"] == f"{psnr:.2f} dB"
        assert recovery.jpeg.quality == 60
        sizes[size] = chosen.stat().st_size, psnr
        carried = describe(chosen).inside.side_info
        assert shown(dock)["carries"] == (
            f"{carried:,} bytes of side information" if size else "nothing more"
        )
    assert 0 < carried <= 4096
    assert sizes[0][0] < sizes[4096][0] <= sizes[0][0] + 4096 + 1000
    assert sizes[4096][1] > sizes[0][1]


def test_a_number_that_is_no_preset_presses_none(dock: ArchiveDock) -> None:
    dock.archive_form["side_info"].value = 5000
    assert not any(each.isChecked() for each in dock.presets.values())


def test_what_was_rendered_is_not_rendered_again(
    qtbot: QtBot,
    viewer: ViewerModel,
    dock: ArchiveDock,
    chosen: Path,
    finish: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert "rendered first" in dock.note.text()
    render = RenderDock(viewer)
    qtbot.addWidget(render)
    for name, value in {"model": "physics", "headroom": 0.25, "quality": 71}.items():
        render.controls[name].value = value
    render.render_raw()
    qtbot.waitUntil(lambda: not render.running, timeout=LONG)
    viewer.layers.selection.active = viewer.layers["scene rendered sRGB"]
    assert "rendered first" in dock.note.text()  # it has another headroom
    dock.form["headroom"].value = 0.25
    assert dock.note.text() == ""
    calls: list[int] = []
    original = Pipeline.render
    monkeypatch.setattr(Pipeline, "render", lambda *a: (calls.append(1), original(*a))[1])
    dock.save_button.click()
    finish()
    assert chosen.is_file()
    assert not calls
    dock.form["headroom"].value = 0.75
    dock.save_button.click()
    finish()
    assert calls == [1]
    # One that is opened now begins with what the layers are of.
    again = ArchiveDock(viewer)
    qtbot.addWidget(again)
    settings = again.form.settings()
    assert (settings.model, settings.headroom, settings.quality) == ("physics", 0.25, 71)


def test_cancel_leaves_no_file_behind(
    qtbot: QtBot, dock: ArchiveDock, chosen: Path, gate: Gate, finish: Callable[[], None]
) -> None:
    before = set(chosen.parent.iterdir())
    dock.save_button.click()
    qtbot.waitUntil(gate.reached.is_set)
    dock.cancel_button.click()
    gate.open.set()
    finish()
    qtbot.waitUntil(lambda: not dock._runner.busy)
    assert dock.progress.stage.text() == "Cancelled"
    assert set(chosen.parent.iterdir()) == before
    assert not dock.saved_box.isVisibleTo(dock)


def test_a_file_that_cannot_be_written_is_said_before_any_work(
    dock: ArchiveDock, said: list[str], tmp_path: Path
) -> None:
    dock.save(tmp_path / "nowhere" / "kept.jpg")
    assert not dock.running
    (sentence,) = said
    assert "there is no folder" in sentence


def test_where_the_file_is_gone_the_archive_does_without_its_tags(
    dock: ArchiveDock,
    dng: Path,
    chosen: Path,
    record: RawRecord,
    viewer: ViewerModel,
    finish: Callable[[], None],
) -> None:
    dng.unlink()
    dock.archive_form["exact"].value = True
    assert "not the tags of the RAW's file, which is not there any more" in dock.note.text()
    assert not dock.compare_button.isEnabled()
    dock.save_button.click()
    finish()
    recovery = Pipeline().recover(chosen.read_bytes())
    np.testing.assert_array_equal(recovery.record.mosaic, record.mosaic)
    assert recovery.original is None
    assert shown(dock)["carries"] == "exact archive"


def test_what_came_out_of_an_archive_has_the_tags_of_the_original_again(
    qtbot: QtBot,
    viewer: ViewerModel,
    dock: ArchiveDock,
    dng: Path,
    chosen: Path,
    record: RawRecord,
    finish: Callable[[], None],
) -> None:
    """RAW → archive → layers → archive → layers → DNG, with no other file left."""
    original = Original.of(dng.read_bytes())
    dock.archive_form["exact"].value = True
    render = RenderDock(viewer)
    qtbot.addWidget(render)
    for _ in range(2):
        dock.save_button.click()
        finish()
        dng.unlink(missing_ok=True)
        viewer.layers.clear()
        render.recover_files([chosen])
        qtbot.waitUntil(lambda: not render.running, timeout=LONG)
        viewer.layers.selection.active = viewer.layers["kept recovered RAW"]
        assert dock.raw_layer is viewer.layers["kept recovered RAW (bilinear)"]
        chosen.unlink()
        assert "tags" not in dock.note.text()
    layer = viewer.layers["kept recovered RAW"]
    assert facts_of(layer)[ORIGINAL_TAGS] == original
    path = chosen.with_name("again.dng")
    data, arguments, _ = layer.as_layer_data_tuple()
    write_dng_layer(str(path), data, arguments)
    np.testing.assert_array_equal(read_raw(path).mosaic, record.mosaic)
    assert MAKER_NOTE in Original.of(path.read_bytes()).exif


# -- comparing ---------------------------------------------------------------------------------


def test_sizes_come_in_one_by_one_and_stay_with_their_raw(
    qtbot: QtBot,
    viewer: ViewerModel,
    dock: ArchiveDock,
    dng: Path,
    finish: Callable[[], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counts: list[int] = []
    dock._runner.produced.connect(lambda _: counts.append(dock.table.rowCount()))
    dock.form["quality"].value = 60
    dock.compare_button.click()
    assert not dock.save_button.isEnabled()
    finish()
    found = rows(dock)
    assert counts == list(range(1, len(found) + 1))
    assert found[0][:2] == ["camera's own file", f"{dng.stat().st_size:,}"]
    lossy = [row for row in found if row[0].startswith("JPEG with capsule\n")]
    assert [row[0].splitlines()[1] for row in lossy] == [
        f"quality {quality}, 4:2:2, headroom 0.5" for quality in (60, 75, 90, 95)
    ]
    exact = [row for row in found if row[0].startswith("JPEG as exact archive")]
    assert [row[-1] for row in exact] == ["exact"] * 4
    assert "physics, headroom 0.5, 4:2:2" in dock.sizes_note.text()

    curves = {curve.name(): curve.getData() for curve in dock.plot.listDataItems()}
    assert set(curves) == {"JPEG with capsule", "JPEG with side information", "lossy DNG"}
    across, up = curves["JPEG with capsule"]
    np.testing.assert_allclose(2**across, [float(row[2]) for row in lossy], atol=0.006)
    np.testing.assert_allclose(up, [float(row[4]) for row in lossy], atol=0.006)

    dock.copy_button.click()
    copied = list(csv.DictReader(io.StringIO(QApplication.clipboard().text())))
    assert [row["kind"] for row in copied] == [row[0].splitlines()[0] for row in found]
    assert [row["bytes"] for row in copied] == [row[1].replace(",", "") for row in found]
    path = tmp_path / "sizes.csv"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path), ""))
    dock.csv_button.click()
    qtbot.waitUntil(path.exists)
    assert path.read_text() == QApplication.clipboard().text()

    other = tmp_path / "other.dng"
    write_dng(other, photograph(48, 64))
    viewer.open(other, plugin=PLUGIN)
    assert dock.sizes is None
    assert not dock.table.isVisibleTo(dock)
    viewer.layers.selection.active = viewer.layers["scene"]
    assert rows(dock) == found


def test_a_comparison_that_is_cancelled_keeps_what_it_has(
    qtbot: QtBot, dock: ArchiveDock, gate: Gate
) -> None:
    dock.compare_button.click()
    qtbot.waitUntil(lambda: gate.reached.is_set() and dock.table.rowCount() == 3, timeout=LONG)
    dock.cancel_button.click()
    gate.open.set()
    qtbot.waitUntil(lambda: not dock._runner.busy, timeout=LONG)
    assert [row[0] for row in rows(dock)] == [
        "camera's own file",
        "lossless DNG",
        "lossless JPEG XL of the CFA planes",
    ]
    assert dock.compare_button.isEnabled()


# -- what is there and what is not -------------------------------------------------------------


def test_it_begins_with_what_is_preferred(
    qtbot: QtBot, plugin_settings: None, npe2pm: PluginManager
) -> None:
    manifest = Path(napari_invisp.__file__).parent / "napari.yaml"
    npe2pm.register(PluginManifest.from_file(manifest))
    preferences = get_plugin_settings(PLUGIN)
    preferences.rendering.quality = 77
    preferences.archive.side_info = 16384
    dock = ArchiveDock(ViewerModel())
    qtbot.addWidget(dock)
    assert dock.form["quality"].value == 77
    assert dock.archive_form["side_info"].value == 16384
    assert dock.presets[16384].isChecked()


def test_everything_fits_beside_the_canvas(dock: ArchiveDock, finish: Callable[[], None]) -> None:
    dock.resize(dock.sizeHint())
    dock.show()
    dock.compare()
    finish()
    header = dock.table.horizontalHeader()
    assert header.length() <= dock.table.viewport().width()
    assert dock.contents.minimumSize().width() <= dock.width()
    table = dock.table
    last = table.visualItemRect(table.item(table.rowCount() - 1, 0))
    assert table.viewport().rect().contains(last)
