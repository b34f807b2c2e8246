"""What the documentation shows is what results/ holds."""

from __future__ import annotations

import importlib.util
import json
import math
import sys
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from application_rows import applied
from size_rows import sized
from table_rows import made

from napari_invisp.cli.parser import build_parser
from napari_invisp.evaluation.tables import table_values

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def figures() -> ModuleType:
    """The script that fills the documentation."""
    spec = importlib.util.spec_from_file_location("figures", ROOT / "scripts" / "figures.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["figures"] = module  # where dataclasses look
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def project(figures: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of its own, to fill."""
    monkeypatch.setattr(figures, "ROOT", tmp_path)
    (tmp_path / "results").mkdir()
    (tmp_path / "docs" / "images").mkdir(parents=True)
    (tmp_path / "README.md").write_text("No figures here.\n")
    return tmp_path


def measured(project: Path, result: str, rows: list[Any], models: dict[str, Any]) -> None:
    path = project / "results" / f"{result}.json"
    path.write_text(json.dumps(table_values(rows, models)))


def show(project: Path, figures: ModuleType, name: str) -> str:
    document = project / "docs" / "results.md"
    document.write_text(f"Before.\n\n<!-- figures: {name} -->\nold\n<!-- end -->\n\nAfter.\n")
    assert figures.main([]) == 0
    before, _, rest = document.read_text().partition(f"<!-- figures: {name} -->\n")
    inside, _, after = rest.partition("<!-- end -->")
    assert (before, after) == ("Before.\n\n", "\n\nAfter.\n")
    return inside


def test_documents_are_up_to_date(figures: ModuleType) -> None:
    blocks = 0
    for document in figures.documents():
        text = document.read_text(encoding="utf-8")
        assert figures.with_figures(document, text) == text, (
            f"{document.name} is not what results/ says: run python scripts/figures.py"
        )
        marks = figures.BLOCK.findall(text)
        assert len(marks) == text.count("<!-- figures:") == text.count("<!-- end -->")
        blocks += len(marks)
    assert blocks >= 5


def test_plots_are_up_to_date(figures: ModuleType) -> None:
    for plot in figures.FIGURES.values():
        if isinstance(plot, figures.Plot) and plot.measured:
            assert plot.source in plot.image.read_text(encoding="utf-8"), (
                f"{plot.image.name} is older than its figures: run python scripts/figures.py"
            )


def test_recipes_are_commands(figures: ModuleType) -> None:
    for recipe in figures.RECIPES.values():
        build_parser().parse_args(["evaluate", "a.dng", *recipe.split(), "-o", "t.json"])


def test_what_is_not_measured_says_so(project: Path, figures: ModuleType) -> None:
    for name in figures.FIGURES:
        assert "has not been measured yet" in show(project, figures, name)


def test_models_are_compared_by_file(project: Path, figures: ModuleType) -> None:
    rows = [
        made(),
        made(model="universal", raw_psnr=48.0, lossy_dng_raw_psnr=46.0),
        made(file="b.dng", raw_psnr=40.0),
    ]
    measured(project, "universal", rows, {})
    lines = show(project, figures, "universal").splitlines()
    assert lines[0].endswith("; quality 90, 4:2:2.")
    assert lines[2:] == [
        "| file | headroom | physics | universal |",
        "| --- | ---: | ---: | ---: |",
        "| a.dng | 0.5 | 50.00 / 45.00 / **47.12** | 50.00 / 45.00 / **48.00** [46.00] |",
        "| b.dng | 0.5 | 50.00 / 45.00 / **40.00** | – |",
        "| mean | 0.5 | 50.00 / 45.00 / **43.56** | 50.00 / 45.00 / **48.00** [46.00] |",
    ]


def test_plots_lie_beside_the_documents(project: Path, figures: ModuleType) -> None:
    measured(project, "headroom", [made(headroom=h) for h in (0.0, 0.5, 1.0)], {})
    text = show(project, figures, "headroom")
    assert text.startswith("![RAW PSNR against RGB PSNR")
    assert text.endswith("](images/headroom.svg)\n")
    plot = figures.FIGURES["headroom"]
    drawn = plot.image.read_text()
    assert plot.source in drawn
    measured(project, "headroom", [made(headroom=h) for h in (0.0, 0.5, 0.9)], {})
    assert plot.source not in drawn


def test_the_papers_table_has_all_its_rows(project: Path, figures: ModuleType) -> None:
    settings = {"jpeg": "simulated", "rounding": "dsq", "batch": 4, "patch": 128}
    card = {"steps": 12_000, "seconds": 5400.0, "cpu_seconds": 5400.0, "settings": settings}
    without = {**card, "settings": {**settings, "jpeg": "none"}}
    models = {
        "upi": {"name": "upi", "card": {}},
        "dsq.safetensors": {"name": "invisp", "card": card},
        "plain.safetensors": {"name": "invisp", "card": without},
    }
    rows = [made(model=model, raw_psnr=psnr) for psnr, model in enumerate(models, 30)]
    measured(project, "table1", rows, models)
    lines = show(project, figures, "table-1").splitlines()
    assert len(lines) == 2 + len(figures.TABLE_1)
    assert "| UPI | nothing to train | 50.00 | 0.9900 | 45.00 | 30.00 |" in lines
    trained = "12,000 steps of 4 × 128² pixels, 90 min | 50.00 | 0.9900 | 45.00"
    assert f"| InvISP with DSQ | {trained} | 31.00 |" in lines
    assert f"| InvISP without JPEG simulation | {trained} | 32.00 |" in lines
    assert "| InvISP with Fourier | not measured | – | – | – | – |" in lines

    quoted = {"columns": ["RAW PSNR"], "rows": {"upi": ["12.34"]}}
    (project / "results" / "paper-table1.json").write_text(json.dumps(quoted))
    lines = show(project, figures, "table-1").splitlines()
    assert lines[0].endswith("| paper, other data: RAW PSNR |")
    assert "| UPI | nothing to train | 50.00 | 0.9900 | 45.00 | 30.00 | 12.34 |" in lines
    assert f"| InvISP with DSQ | {trained} | 31.00 | – |" in lines


def test_parts_are_added_up(project: Path, figures: ModuleType) -> None:
    rows = [
        {"file": "a.dng", "headroom": 1.0, "part": part, "rgb_psnr": 40.0, "raw_psnr": psnr}
        | {"bytes": 1_500_000}
        for part, psnr in (("physics", 41.0), ("+ residual flow", 42.0))
    ]
    (project / "results" / "parts.json").write_text(json.dumps({"rows": rows}))
    assert show(project, figures, "parts").splitlines()[2:] == [
        "| file | headroom | physics | + residual flow |",
        "| --- | ---: | ---: | ---: |",
        "| a.dng | 1 | 40.00 / **41.00** / 1.50 MB | 40.00 / **42.00** / 1.50 MB |",
    ]


def test_models_of_one_budget_stand_side_by_side(project: Path, figures: ModuleType) -> None:
    settings = {"jpeg": "simulated", "rounding": "fourier", "batch": 2, "patch": 96}
    card = {"steps": 1600, "seconds": 3000.0, "cpu_seconds": 2700.0, "settings": settings}
    models = {
        "long.safetensors": {"name": "invisp", "card": card},
        "universal": {"name": "universal", "card": {**card, "steps": 4000}},
    }
    rows = [made(file=file, model=model) for file in ("a.dng", "b.dng") for model in models]
    measured(project, "same-budget", rows, models)
    _, _, *lines = show(project, figures, "same-budget").splitlines()
    assert [line.split(" | ")[:3] for line in lines[2:]] == [
        ["| b.dng", "`invisp`", "1,600 steps of 2 × 96² pixels, 45 min"],
        ["| b.dng", "`universal`", "4,000 steps of 2 × 96² pixels, 45 min"],
    ]
    assert "| 50.00 | 45.00 | 47.12 |" in lines[0]


def test_times_stand_beside_libraws(project: Path, figures: ModuleType) -> None:
    about = {"file": "a.dng", "megapixels": 12.0, "rounds": 3, "seconds_per_megapixel": 1.0}
    rows = [
        about | {"model": "LibRaw", "job": "render", "seconds": 1.25},
        about
        | {"model": "universal", "job": "render", "seconds": 5.0, "times_libraw": 4.0}
        | {"faster_than_paper": 80.4},
        about | {"model": "universal", "job": "recover", "seconds": 7.5, "times_libraw": 6.0},
        about | {"model": "invisp", "job": "render", "seconds": 60.0},
    ]
    measured = {"processor": "Some CPU", "cores": 2, "rows": rows}
    (project / "results" / "speed.json").write_text(json.dumps(measured))
    note, *lines = show(project, figures, "speed").splitlines()
    assert "2 cores, Some CPU" in note
    assert lines[1:] == [
        "| file | megapixels | LibRaw | `universal`, render | `universal`, recover |",
        "| --- | ---: | ---: | ---: | ---: |",
        "| a.dng | 12.0 | 1.25 s | 4.0 × (1/80) | 6.0 × |",
    ]


def test_ways_to_keep_raw_stand_below_each_other(project: Path, figures: ModuleType) -> None:
    rows = [
        sized(kind, bpp, psnr, file=file, setting=setting, quality=quality)
        for file, factor in (("a.dng", 1), ("b.dng", 2))
        for kind, setting, bpp, psnr, quality in (
            ("lossless DNG", "", 6.0 * factor, math.inf, None),
            ("lossy DNG", "bytes of quality 90", 1.5 * factor, 44.0 + factor, 91 + factor),
        )
    ]
    measured(project, "compression", rows, {})
    note, _, *lines = show(project, figures, "compression").splitlines()
    assert note.startswith("Bits a pixel / compression ratio / **RAW PSNR**")
    assert lines == [
        "| kept as | setting | a.dng | b.dng | mean |",
        "| --- | ---: | ---: | ---: | ---: |",
        "| lossless DNG |  | 6.00 / 2.00 | 12.00 / 1.00 | 9.00 / 1.50 |",
        "| lossy DNG | bytes of quality 90 | 1.50 / 8.00 / **45.00** [92] "
        "| 3.00 / 4.00 / **46.00** [93] | 2.25 / 6.00 / **45.50** |",
    ]
    text = show(project, figures, "compression-plot")
    assert text.endswith("](images/compression.svg)\n")
    drawn = figures.FIGURES["compression-plot"].image.read_text()
    assert figures.FIGURES["compression-plot"].source in drawn


def test_applications_stand_below_each_other(project: Path, figures: ModuleType) -> None:
    codes = "plain JPEG, filters on its codes"
    rows = [
        applied(operation, source, psnr + factor, side_info=side_info, quality=quality, file=file)
        for quality in (90, 95)
        for file, factor in (("a.dng", 1), ("b.dng", 2))
        for operation, source, side_info, psnr in (
            ("neutral", "recovered RAW", 0, 42.0),
            ("neutral", "recovered RAW", 65536, 44.0),
            ("neutral", "plain JPEG", None, 41.0),
            ("exposure +2 EV", "recovered RAW", 0, 38.0),
            ("exposure +2 EV", "recovered RAW", 65536, 39.0),
            ("exposure +2 EV", "plain JPEG", None, 37.0),
            ("exposure +2 EV", codes, None, 14.0),
        )
    ]
    measured(project, "applications", rows, {})
    assert show(project, figures, "applications-90").splitlines() == [
        "PSNR: **recovered RAW** / **recovered RAW with 64 KB of side information** / plain JPEG "
        "/ plain JPEG, filters on its codes; quality 90.",
        "",
        "| operation | a.dng | b.dng | mean |",
        "| --- | ---: | ---: | ---: |",
        "| neutral | **43.00** / **45.00** / 42.00 / – | **44.00** / **46.00** / 43.00 / – "
        "| **43.50** / **45.50** / 42.50 / – |",
        "| exposure +2 EV | **39.00** / **40.00** / 38.00 / 15.00 "
        "| **40.00** / **41.00** / 39.00 / 16.00 | **39.50** / **40.50** / 38.50 / 15.50 |",
    ]
    lines = show(project, figures, "applications-means").splitlines()
    assert lines[0] == "Quality 95; means of 2 files."
    assert lines[4:6] == [
        "| neutral | recovered RAW | 43.50 | 0.9800 | 1.50 | 3.00 |",
        "| neutral | recovered RAW with 64 KB of side information | 45.50 | 0.9800 | 1.50 | 3.00 |",
    ]


def test_measuring_is_evaluating_by_the_recipe(
    project: Path, figures: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []

    def evaluate(arguments: list[str]) -> int:
        asked.append(arguments)
        measured(project, "real-files", [made()], {})
        return 0

    monkeypatch.setattr(figures.cli, "main", evaluate)
    assert figures.main(["--measure", "real-files", "a.dng", "b.dng"]) == 0
    path = project / "results" / "real-files.json"
    options = figures.RECIPES["real-files"].split()
    assert asked == [["evaluate", "a.dng", "b.dng", *options, "-o", str(path)]]
    assert json.loads(path.read_text())["rows"] == [asdict(made())]
