from __future__ import annotations

import csv
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel
from napari.utils.notifications import notification_manager
from pytestqt.qtbot import QtBot
from qtpy.QtWidgets import QFileDialog
from stacks import add_results

from napari_invisp.inspection.provenance import recall
from napari_invisp.metrics import compare_raw
from napari_invisp.sensor.reading import read_raw
from napari_invisp.sensor.record import RawRecord
from napari_invisp.viewer.files.exporting import (
    FORMATS,
    export,
    export_layer,
    export_report,
    export_statistics,
    formats_of,
)
from napari_invisp.viewer.layers import (
    METADATA_KEY,
    ORIGINAL,
    PARTIAL,
    RECORD,
    Kind,
    facts_of,
    layer_data,
)
from napari_invisp.viewer.layers.errors import error_layer
from napari_invisp.viewer.work.worker import THREAD_NAME

PLUGIN = "napari-invisp"


@pytest.fixture
def said() -> Iterator[list[str]]:
    sentences: list[str] = []
    note = lambda event: sentences.append(event.message)  # noqa: E731
    notification_manager.notification_ready.connect(note)
    yield sentences
    notification_manager.notification_ready.disconnect(note)


@pytest.fixture
def stack(qtbot: QtBot, viewer: ViewerModel, dng: Path) -> ViewerModel:
    """A RAW and what came of it, the recovered mosaic selected."""
    mosaic, _ = viewer.open(dng, plugin=PLUGIN)
    record = facts_of(mosaic)[RECORD]
    add_results(viewer, record)
    recovered = viewer.layers["scene recovered RAW"]
    facts = {ORIGINAL: record}
    data, arguments, _ = error_layer(record, facts_of(recovered)[RECORD], "scene", facts)
    viewer.add_image(data, **arguments)
    viewer.layers.selection.active = recovered
    return viewer


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path, str], list[tuple[str, str]]]:
    """Answer the file dialog, and tell what it proposed: its file, and its filters."""

    def answer(path: Path, words: str) -> list[tuple[str, str]]:
        proposed: list[tuple[str, str]] = []

        def dialog(parent: object, title: str, name: str, filters: str, first: str) -> object:
            proposed.append((name, filters))
            chosen = [each for each in filters.split(";;") if words in each]
            return str(path), chosen[0] if chosen else first

        monkeypatch.setattr(QFileDialog, "getSaveFileName", dialog)
        return proposed

    return answer


def saved(qtbot: QtBot, said: list[str], path: Path) -> None:
    qtbot.waitUntil(lambda: f"saved {path}" in said, timeout=20_000)
    assert path.exists()


def test_each_kind_of_layer_has_its_formats(stack: ViewerModel) -> None:
    names = {layer.name: [each.suffix for each in formats_of(layer)] for layer in stack.layers}
    of_raw = [".dng", ".tif", ".tif", ".exr"]
    assert names == {
        "scene mosaic": of_raw,
        "scene": of_raw,
        "scene recovered RAW": of_raw,
        "scene recovered RAW (bilinear)": of_raw,
        "scene decoded JPEG": [".tif", ".tif", ".exr"],
        "scene rendered sRGB": [".tif", ".tif", ".exr"],  # its rendering is gone
        "scene RAW error": [".png", ".tif", ".exr"],
    }
    assert formats_of(stack.add_image(np.zeros((9, 9)))) == []
    assert len({each.filter for each in FORMATS}) == len(FORMATS)


def test_a_recovered_raw_is_exported_with_all_that_is_known(
    qtbot: QtBot, stack: ViewerModel, said: list[str], asked: Callable, tmp_path: Path
) -> None:
    proposed = asked(tmp_path / "out", "DNG")
    export_layer(stack)
    saved(qtbot, said, tmp_path / "out.dng")
    ((name, _),) = proposed
    assert name == str(tmp_path / "scene recovered RAW.dng")  # beside its RAW
    expected = facts_of(stack.layers["scene recovered RAW"])[RECORD]
    np.testing.assert_array_equal(read_raw(tmp_path / "out.dng").mosaic, expected.mosaic)
    known = recall(tmp_path / "out.dng")
    assert known is not None
    assert (known.kind, known.source, known.quality) == ("recovered_mosaic", "scene.dng", 90)


def test_the_format_chosen_counts_not_the_suffix(
    qtbot: QtBot, stack: ViewerModel, said: list[str], asked: Callable, tmp_path: Path
) -> None:
    asked(tmp_path / "out.dng", "float32 TIFF")
    export_layer(stack)
    saved(qtbot, said, tmp_path / "out.tif")
    assert tifffile.imread(tmp_path / "out.tif").dtype == np.float32


def test_a_picture_is_exported_as_it_was_when_asked_for(
    qtbot: QtBot, stack: ViewerModel, said: list[str], tmp_path: Path
) -> None:
    layer = stack.layers["scene decoded JPEG"]
    before = layer.data[0].copy()
    chosen = next(each for each in formats_of(layer) if each.name == "16-bit TIFF")
    export(stack, layer, tmp_path / "out.tif", chosen)
    layer.data[0][:] = 0  # a run begins
    stack.layers.remove(layer)
    saved(qtbot, said, tmp_path / "out.tif")
    written = tifffile.imread(tmp_path / "out.tif")
    np.testing.assert_array_equal(written, np.rot90(before, -1).astype(np.uint16) * 257)


def test_a_raw_picture_is_exported_as_it_was_when_asked_for(
    qtbot: QtBot, viewer: ViewerModel, record: RawRecord, said: list[str], tmp_path: Path
) -> None:
    mosaic = record.mosaic.copy()
    painted = record.replace(mosaic=mosaic)
    facts = {"kind": Kind.RECOVERED, ORIGINAL: record}
    data, arguments, _ = layer_data(np.zeros((96, 128, 3), np.uint8), painted, {"rgb": True}, facts)
    layer = viewer.add_image(data, **arguments)
    chosen = next(each for each in formats_of(layer) if each.suffix == ".dng")
    export(viewer, layer, tmp_path / "out.dng", chosen)
    mosaic[:] = 0
    saved(qtbot, said, tmp_path / "out.dng")
    np.testing.assert_array_equal(read_raw(tmp_path / "out.dng").mosaic, record.mosaic)


def test_what_cannot_be_exported_is_explained(
    qtbot: QtBot, stack: ViewerModel, said: list[str], asked: Callable, tmp_path: Path
) -> None:
    proposed = asked(tmp_path / "missing" / "out.dng", "DNG")
    layer = stack.layers.selection.active
    layer.metadata = {METADATA_KEY: facts_of(layer) | {PARTIAL: True}}
    for command in (export_layer, export_statistics, export_report):
        command(stack)
        assert "'scene recovered RAW' is not finished; wait for the run" in said.pop()
    layer.metadata = {METADATA_KEY: {**facts_of(layer), PARTIAL: False}}
    export_layer(stack)
    qtbot.waitUntil(lambda: bool(said))
    assert "cannot write" in said.pop()
    assert len(proposed) == 1
    asked(Path(), "")  # the dialog is cancelled: its answer is no file
    stack.layers.clear()
    for command, words in (
        (export_layer, "select a layer that napari-invisp made"),
        (export_statistics, "select a layer of a RAW first"),
        (export_report, "select a RAW that was rendered and recovered first"),
    ):
        command(stack)
        assert words in said.pop()


def test_a_dialog_that_is_cancelled_writes_nothing(
    stack: ViewerModel, said: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = set(tmp_path.iterdir())
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: ("", ""))
    for command in (export_layer, export_statistics, export_report):
        command(stack)
    assert all(thread.name != THREAD_NAME for thread in threading.enumerate())
    assert said == []
    assert set(tmp_path.iterdir()) == before


def test_statistics_become_a_table(
    qtbot: QtBot, stack: ViewerModel, said: list[str], asked: Callable, tmp_path: Path
) -> None:
    proposed = asked(tmp_path / "table.csv", "")
    export_statistics(stack)
    saved(qtbot, said, tmp_path / "table.csv")
    assert proposed[0][0] == str(tmp_path / "scene statistics.csv")
    rows = list(csv.DictReader((tmp_path / "table.csv").read_text().splitlines()))
    assert len(rows) == 3 * 4  # original, recovered, difference; R, G1, B, G2
    record = facts_of(stack.layers["scene"])[RECORD]
    green = record.mosaic[::2, ::2]  # GRBG
    assert float(rows[1]["mean"]) == pytest.approx(green.mean())
    assert int(rows[1]["maximum"]) == green.max()


@pytest.mark.parametrize("suffix", [".html", ".pdf"])
def test_a_report_is_written(
    qtbot: QtBot,
    stack: ViewerModel,
    said: list[str],
    asked: Callable,
    tmp_path: Path,
    suffix: str,
) -> None:
    asked(tmp_path / f"report{suffix}", suffix[1:].upper())
    export_report(stack)
    path = tmp_path / f"report{suffix}"
    saved(qtbot, said, path)
    if suffix == ".html":
        text = path.read_text(encoding="utf-8")
        original, recovered = (
            facts_of(stack.layers[name])[RECORD] for name in ("scene", "scene recovered RAW")
        )
        assert f"{compare_raw(original, recovered).raw_psnr:.2f} dB" in text
        assert "scene.dng: recovered RAW against the original" in text
        assert "model universal, headroom 0.5, JPEG quality 90, 4:2:2" in text
        assert "rendered sRGB" in text
