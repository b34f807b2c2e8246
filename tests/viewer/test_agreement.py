"""What the window says is what the command line says of the same files, to the last digit."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from napari.components import ViewerModel
from pytestqt.qtbot import QtBot

from napari_invisp.cli import main
from napari_invisp.samples import sample_path
from napari_invisp.sensor.dng import write_dng
from napari_invisp.viewer.docks.errors import ErrorMapsDock
from napari_invisp.viewer.docks.render import RenderDock
from napari_invisp.viewer.layers import RECORD, facts_of


@pytest.fixture
def dock(qtbot: QtBot, viewer: ViewerModel) -> RenderDock:
    dock = RenderDock(viewer)
    qtbot.addWidget(dock)
    return dock


@pytest.fixture
def run(qtbot: QtBot, dock: RenderDock) -> Callable[[], None]:
    def wait() -> None:
        dock.render_raw()
        qtbot.waitUntil(lambda: not dock.running, timeout=120_000)

    return wait


@pytest.mark.parametrize("model", ["physics", "universal"])
def test_the_figures_are_those_of_evaluate_and_compare(
    qtbot: QtBot,
    viewer: ViewerModel,
    dock: RenderDock,
    run: Callable[[], None],
    model: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    viewer.open(sample_path(), plugin="napari-invisp")
    for name, value in (("model", model), ("quality", 85), ("subsampling", "4:4:4")):
        dock.controls[name].value = value
    run()
    shown = {name: label.text() for name, label in dock.figures.items()}

    table = tmp_path / "table.md"
    arguments = ["evaluate", str(sample_path()), "--models", model, "--quality", "85"]
    assert main([*arguments, "--subsampling", "4:4:4", "-o", str(table)]) == 0
    header, _, row, _mean = (
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in table.read_text().splitlines()
        if line.startswith("|")
    )
    told = dict(zip(header, row, strict=True))
    assert shown["rgb_psnr"] == f"{told['RGB PSNR']} dB"
    assert shown["rgb_psnr_jpeg"] == f"{told['RGB PSNR after JPEG']} dB"
    assert shown["raw_psnr"] == f"{told['RAW PSNR']} dB"
    assert shown["raw_psnr_linear"] == f"{told['RAW PSNR linear']} dB"
    assert shown["bpp"] == told["bpp"]

    recovered = tmp_path / "recovered.dng"
    write_dng(recovered, facts_of(viewer.layers["dog recovered RAW"])[RECORD])
    capsys.readouterr()
    assert main(["compare", str(sample_path()), str(recovered)]) == 0
    words = capsys.readouterr().out
    assert f"RAW PSNR {shown['raw_psnr']} (balanced" in words
    assert f"{shown['raw_psnr_linear']} (linear)" in words
    mean, most = re.search(r"error ([\d.]+) DN on average, (\d+) DN at most", words).groups()
    assert shown["raw_error"] == f"{mean} DN mean, {most} most"

    errors = ErrorMapsDock(viewer)
    qtbot.addWidget(errors)
    errors.show_button.click()
    figures = errors.figures
    qtbot.waitUntil(lambda: figures["raw_psnr", "frame"].text() != "–", timeout=60_000)
    assert figures["raw_psnr", "frame"].text() == shown["raw_psnr"]
    assert figures["raw_psnr_linear", "frame"].text() == shown["raw_psnr_linear"]
    assert figures["mean_abs_error", "frame"].text() == f"{mean} DN"
    assert figures["max_abs_error", "frame"].text() == f"{most} DN"
