from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import napari
import numpy as np
import pytest
import tifffile
from dropping import drop
from napari.components import ViewerModel
from napari.utils.notifications import notification_manager
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication, QFileDialog
from skimage.data import astronaut

from napari_invisp.inspection.unprocessing import approximate_raw
from napari_invisp.jpeg.capsule import Capsule, embed, from_jpeg
from napari_invisp.jpeg.codec import encode_jpeg
from napari_invisp.jpeg.exif import build_exif
from napari_invisp.jpeg.segments import JpegStream
from napari_invisp.pipeline import Pipeline
from napari_invisp.sensor.original import Original
from napari_invisp.sensor.reading import read_raw
from napari_invisp.sensor.record import RawRecord
from napari_invisp.sensor.tiff import Entry
from napari_invisp.settings import ArchiveSettings, RenderSettings
from napari_invisp.viewer.docks.jpeg import JpegDock
from napari_invisp.viewer.docks.opening import dock
from napari_invisp.viewer.docks.render import RenderDock
from napari_invisp.viewer.layers import KIND, RECORD, SOURCE, Kind, base_name, facts_of
from napari_invisp.viewer.layers.provenance import in_words, known_of
from napari_invisp.viewer.work.worker import THREAD_NAME

MAKER_NOTE = Entry(37500, 7, b"known to the maker alone")
PHOTOGRAPH = astronaut()[:120, :160]


@pytest.fixture
def capsule(record: RawRecord, tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    pipeline = Pipeline(RenderSettings(model="physics", quality=81, headroom=0.25))
    path.write_bytes(pipeline.encode(pipeline.render(record)))
    return path


@pytest.fixture
def keep(record: RawRecord, tmp_path: Path) -> Callable[..., Path]:
    """Writes a JPEG that carries more than its capsule."""

    def keep(**archive: Any) -> Path:
        path = tmp_path / "kept.jpg"
        pipeline = Pipeline(RenderSettings(model="physics"))
        original = Original(exif=(MAKER_NOTE,))
        rendering, carried = pipeline.render(record), ArchiveSettings(**archive)
        path.write_bytes(pipeline.encode(rendering, archive=carried, original=original))
        return path

    return keep


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    path = tmp_path / "foreign.jpg"
    exif = build_exif(
        orientation=6, make="Canon", model="Canon EOS 5D", taken="2005:07:06 12:00:00"
    )
    path.write_bytes(encode_jpeg(PHOTOGRAPH, 77, "4:2:0", exif=exif))
    return path


@pytest.fixture
def widget(qtbot: QtBot, viewer: ViewerModel) -> JpegDock:
    widget = JpegDock(viewer)
    qtbot.addWidget(widget)
    return widget


@pytest.fixture
def looked(qtbot: QtBot, widget: JpegDock) -> Callable[[Path], None]:
    def look(path: Path) -> None:
        widget.look_at(path)
        qtbot.waitUntil(lambda: not widget.running)

    return look


def shown(widget: JpegDock) -> dict[str, str]:
    """What the table says, row by row."""
    return {
        name: value.text()
        for name, value in widget.values.items()
        if value.isVisibleTo(widget.table)
    }


def test_without_a_file_it_invites(widget: JpegDock) -> None:
    assert widget.name.text() == "Drop a JPEG here, open one, or select its layer."
    for button in (widget.recover_button, widget.guess_button, widget.save_button):
        assert not (button.isEnabled() and button.isVisibleTo(widget))


def test_a_jpeg_that_holds_its_raw(
    widget: JpegDock, looked: Callable[[Path], None], capsule: Path
) -> None:
    looked(capsule)
    assert widget.name.text() == "photo.jpg"
    assert widget.statement.text() == "A napari-invisp JPEG: its RAW can be recovered"
    values = shown(widget)
    assert values["camera"] == "Maker Model One"
    assert values["taken"] == "2021:06:05 04:03:02"
    assert values["model"] == "physics"
    assert values["settings"] == "quality 81, 4:2:2, headroom 0.25"
    assert values["carries"] == "nothing more"
    assert values["since"] == "unchanged"
    assert values["frame"].startswith("128 × 96, ")
    assert widget.recover_button.isEnabled()
    assert not widget.guess_button.isVisibleTo(widget)
    assert not widget.note.isVisibleTo(widget)


def test_it_says_what_a_jpeg_carries(
    widget: JpegDock, looked: Callable[[Path], None], keep: Callable[..., Path]
) -> None:
    path = keep(side_info=2048)
    sections = from_jpeg(path.read_bytes()).sections
    looked(path)
    size = len(sections["correction"])
    assert shown(widget)["carries"] == f"{size:,} bytes of side information"
    assert f"{size:,} bytes of side information" in str(widget.facts)

    looked(keep(exact=True))
    assert widget.statement.text() == "A napari-invisp JPEG: an exact archive of its RAW"
    assert shown(widget)["carries"] == "exact archive"
    # What another program has saved again no longer fits what it carries.
    segments = JpegStream.parse(path.read_bytes()).application(9)
    again = JpegStream.parse(encode_jpeg(PHOTOGRAPH[:96, :128], 60)).with_application(segments)
    path.write_bytes(again.to_bytes())
    looked(path)
    assert widget.statement.text() == "A napari-invisp JPEG: its RAW can be recovered"
    assert shown(widget)["carries"] == "exact archive, which fits no longer"
    assert "exact archive" not in str(widget.facts)


@pytest.mark.parametrize("archive", [{"exact": True}, {"side_info": 2048}])
def test_what_is_recovered_knows_what_it_was_recovered_by(
    qtbot: QtBot,
    viewer: ViewerModel,
    widget: JpegDock,
    looked: Callable[[Path], None],
    keep: Callable[..., Path],
    record: RawRecord,
    archive: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = keep(**archive)
    looked(path)
    render = RenderDock(viewer)
    qtbot.addWidget(render)
    render.recover_files([path])
    qtbot.waitUntil(lambda: not render.running, timeout=20_000)
    saved = path.with_name("saved.dng")
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(saved), ""))
    widget.save_button.click()
    qtbot.waitUntil(lambda: not widget.running)
    viewer.open(saved, plugin="napari-invisp")
    words = ", with an exact archive" if "exact" in archive else f" {widget.facts.inside.carries}"
    for name in ("kept recovered RAW", "saved recovered RAW"):
        assert in_words(known_of(viewer.layers[name])).endswith(words)
    exact = "exact" in archive
    assert np.array_equal(read_raw(saved).mosaic, record.mosaic) == exact
    assert (MAKER_NOTE in Original.of(saved.read_bytes()).exif) == exact


def test_a_jpeg_of_another_program(
    widget: JpegDock, looked: Callable[[Path], None], foreign: Path
) -> None:
    looked(foreign)
    assert widget.statement.text() == "A JPEG of another program: no RAW inside"
    assert shown(widget) == {
        "camera": "Canon EOS 5D",
        "taken": "2005:07:06 12:00:00",
        "frame": f"160 × 120, {foreign.stat().st_size / 1e6:.2f} MB",
        "coding": "quality 77, 4:2:0",
        "software": "–",
    }
    assert not widget.recover_button.isVisibleTo(widget)
    assert widget.guess_button.isEnabled()
    assert "a guess" in widget.note.text()
    assert widget.note.isVisibleTo(widget)


def test_what_stands_in_the_way_of_recovery_is_said(
    widget: JpegDock, looked: Callable[[Path], None], capsule: Path
) -> None:
    original = capsule.read_bytes()
    header = from_jpeg(original).header

    def rewritten(**model: object) -> None:
        capsule.write_bytes(
            embed(original, Capsule({**header, "model": {**header["model"], **model}}))
        )
        looked(capsule)

    rewritten(checkpoint="mine.pth")
    assert "the file mine.pth: choose that as the model" in widget.details.text()
    rewritten(weights="0123456789abcdef")
    assert widget.statement.text() == "A napari-invisp JPEG of another version"
    assert "weights that are not here" in widget.details.text()
    # Another program saved it again, and kept the segments that it does not know.
    segments = JpegStream.parse(original).application(9)
    again = JpegStream.parse(encode_jpeg(PHOTOGRAPH[:96, :128], 60)).with_application(segments)
    capsule.write_bytes(again.to_bytes())
    looked(capsule)
    assert widget.statement.text() == "A napari-invisp JPEG: its RAW can be recovered"
    assert "saved again with another quality since" in widget.details.text()
    assert shown(widget)["since"] == "saved again"
    assert shown(widget)["coding"] == "quality 60, 4:2:2"
    assert shown(widget)["settings"] == "quality 81, 4:2:2, headroom 0.25"


def test_a_broken_file_is_explained_in_the_dock(
    widget: JpegDock, looked: Callable[[Path], None], tmp_path: Path, capsule: Path
) -> None:
    path = tmp_path / "broken.jpg"
    path.write_bytes(capsule.read_bytes()[:1000])
    looked(path)
    assert widget.statement.text() == "It cannot be read."
    assert "is cut short: its end is missing." in widget.details.text()
    assert not widget.table.isVisibleTo(widget)
    assert not widget.recover_button.isEnabled()
    # The next file is not held responsible.
    looked(capsule)
    assert widget.details.text() == ""
    assert widget.recover_button.isEnabled()


def test_it_follows_the_selected_layer(
    qtbot: QtBot, viewer: ViewerModel, widget: JpegDock, foreign: Path, capsule: Path, dng: Path
) -> None:
    viewer.open(foreign, plugin="napari")
    qtbot.waitUntil(lambda: widget.facts is not None and widget.path == foreign)
    viewer.open(capsule, plugin="napari")
    qtbot.waitUntil(lambda: widget.facts is not None and widget.path == capsule)
    # A layer that is no JPEG changes nothing.
    viewer.open(dng, plugin="napari-invisp")
    assert widget.path == capsule
    viewer.layers.selection.active = viewer.layers["foreign"]
    qtbot.waitUntil(lambda: widget.facts is not None and widget.path == foreign)


def test_a_file_can_be_dropped(qtbot: QtBot, widget: JpegDock, capsule: Path, dng: Path) -> None:
    assert not drop(widget, dng)
    assert widget.path is None
    assert drop(widget, dng, capsule)
    qtbot.waitUntil(lambda: widget.facts is not None)
    assert widget.path == capsule


def test_a_file_can_be_chosen(
    qtbot: QtBot, widget: JpegDock, foreign: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(foreign), ""))
    widget.open_button.click()
    qtbot.waitUntil(lambda: widget.facts is not None)
    assert widget.path == foreign
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: ("", ""))
    widget.open_button.click()
    assert widget.path == foreign


def test_a_guess_says_what_it_is_wherever_it_goes(
    qtbot: QtBot,
    viewer: ViewerModel,
    widget: JpegDock,
    looked: Callable[[Path], None],
    foreign: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked(foreign)
    widget.guess_button.click()
    qtbot.waitUntil(lambda: not widget.running)
    assert [layer.name for layer in viewer.layers] == [
        "foreign JPEG",
        "foreign approximate RAW",
        "foreign approximate RAW (bilinear)",
    ]
    picture, mosaic, bilinear = viewer.layers
    np.testing.assert_array_equal(
        mosaic.data[0], approximate_raw(picture.data[0], widget.facts).mosaic
    )
    assert facts_of(mosaic)[KIND] is Kind.APPROXIMATE_MOSAIC
    assert facts_of(bilinear)[KIND] is Kind.APPROXIMATE
    assert facts_of(mosaic)[RECORD].camera == "Canon EOS 5D (approximate RAW)"
    # What is made of it later bears the name, too.
    assert base_name(mosaic) == base_name(bilinear) == "foreign approximate"
    # Upright, as the photograph is.
    np.testing.assert_array_equal(mosaic.affine, picture.affine)
    np.testing.assert_array_equal(np.asarray(mosaic.affine)[:2, :2], [[0, 1], [-1, 0]])

    path = tmp_path / "guess.dng"
    asked: list[str] = []

    def choose(parent: object, title: str, proposal: str, filters: str) -> tuple[str, str]:
        asked.append(proposal)
        return str(path), ""

    monkeypatch.setattr(QFileDialog, "getSaveFileName", choose)
    widget.save_button.click()
    qtbot.waitUntil(lambda: not widget.running)
    assert asked == [str(tmp_path / "foreign-approximate.dng")]
    np.testing.assert_array_equal(read_raw(path).mosaic, mosaic.data[0])
    with tifffile.TiffFile(path) as tiff:
        tags = tiff.pages.first.tags
        assert tags["ImageDescription"].value.startswith("approximate RAW: a guess")
        assert tags["UniqueCameraModel"].value == "Canon EOS 5D (approximate RAW)"


def test_a_second_guess_takes_the_place_of_the_first(
    qtbot: QtBot, viewer: ViewerModel, widget: JpegDock, foreign: Path
) -> None:
    viewer.open(foreign, plugin="napari")
    qtbot.waitUntil(lambda: widget.facts is not None)
    for _ in range(2):
        widget.approximate()
        qtbot.waitUntil(lambda: not widget.running)
        # The picture is there already and is not shown twice.
        assert [layer.name for layer in viewer.layers] == [
            "foreign",
            "foreign approximate RAW",
            "foreign approximate RAW (bilinear)",
        ]
        viewer.layers[1].data = [np.zeros_like(level) for level in viewer.layers[1].data]
    assert facts_of(viewer.layers[1])[SOURCE] == str(foreign)
    assert widget.save_button.isEnabled()
    del viewer.layers["foreign approximate RAW"]
    assert not widget.save_button.isEnabled()


def test_a_guess_that_fails_is_told(
    qtbot: QtBot,
    viewer: ViewerModel,
    widget: JpegDock,
    looked: Callable[[Path], None],
    foreign: Path,
) -> None:
    looked(foreign)
    foreign.unlink()
    sentences: list[str] = []

    def note(event: object) -> None:
        sentences.append(event.message)

    notification_manager.notification_ready.connect(note)
    try:
        widget.approximate()
        qtbot.waitUntil(lambda: not widget.running)
    finally:
        notification_manager.notification_ready.disconnect(note)
    assert len(viewer.layers) == 0
    (sentence,) = sentences
    assert "cannot read" in sentence
    assert widget.guess_button.isEnabled()


def test_closing_it_in_the_middle_of_a_guess_leaves_nothing(
    qtbot: QtBot,
    viewer: ViewerModel,
    widget: JpegDock,
    looked: Callable[[Path], None],
    foreign: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked(foreign)
    reached, go_on = threading.Event(), threading.Event()

    def slow(*arguments: object) -> RawRecord:
        reached.set()
        assert go_on.wait(20)
        return approximate_raw(*arguments)

    monkeypatch.setattr("napari_invisp.viewer.docks.jpeg.approximate_raw", slow)
    widget.approximate()
    qtbot.waitUntil(reached.is_set)
    widget.detach()
    go_on.set()
    qtbot.waitUntil(lambda: all(t.name != THREAD_NAME for t in threading.enumerate()))
    QApplication.processEvents()
    assert len(viewer.layers) == 0


@pytest.mark.usefixtures("display")
def test_there_and_back_in_the_window(
    qtbot: QtBot,
    make_napari_viewer: Callable[..., napari.Viewer],
    capsule: Path,
    record: RawRecord,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    viewer = make_napari_viewer(show=True)
    _, widget = viewer.window.add_plugin_dock_widget("napari-invisp", "From a JPEG")
    widget.look_at(capsule)
    qtbot.waitUntil(lambda: widget.recover_button.isEnabled())
    assert not widget.save_button.isEnabled()
    qtbot.mouseClick(widget.recover_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(widget.save_button.isEnabled, timeout=60_000)
    qtbot.waitUntil(lambda: not dock(viewer).running, timeout=60_000)
    viewer.layers["photo recovered RAW"].name = "mine"
    path = tmp_path / "back.dng"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path), ""))
    qtbot.mouseClick(widget.save_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(path.exists, timeout=20_000)
    qtbot.waitUntil(lambda: not widget.running)
    assert read_raw(path).mosaic.shape == record.mosaic.shape
