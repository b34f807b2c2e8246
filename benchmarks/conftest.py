"""What the timings are of, and how they are told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from napari_invisp.samples import sample_path

#: What others are compared with.
LIBRAW, PAPER = "LibRaw", "invisp"


def pytest_addoption(parser: pytest.Parser) -> None:
    options = parser.getgroup("napari-invisp")
    options.addoption(
        "--raw", nargs="+", type=Path, default=[sample_path()], help="RAW files to take the time of"
    )
    options.addoption("--rounds", type=int, default=5, help="how often each job is done")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "raw_file" in metafunc.fixturenames:
        files = metafunc.config.getoption("--raw")
        ids = [path.name for path in files]
        metafunc.parametrize("raw_file", files, ids=ids, scope="session")


@pytest.fixture
def timed(benchmark: BenchmarkFixture, request: pytest.FixtureRequest) -> Callable[..., None]:
    """Take the time of a job, and keep what it is about."""

    def timed(work: Callable[[], object], **about: object) -> None:
        benchmark.group = str(about["file"])
        benchmark.extra_info.update(about)
        once = about["model"] == PAPER  # it takes a minute
        rounds = 1 if once else request.config.getoption("--rounds")
        benchmark.pedantic(work, rounds=rounds, warmup_rounds=0 if once else 1)

    return timed


def rows(benchmarks: list[Any]) -> list[dict[str, Any]]:
    """Return the median time of each job, against LibRaw's of the file and the paper's network."""
    found = [
        {
            **each.extra_info,
            "seconds": each.stats.median,
            "rounds": each.stats.rounds,
            "seconds_per_megapixel": each.stats.median / each.extra_info["megapixels"],
        }
        for each in benchmarks
    ]
    libraw = {row["file"]: row for row in found if row["model"] == LIBRAW}
    paper = {(row["file"], row["job"]): row for row in found if row["model"] == PAPER}
    for row in found:
        if row["model"] == PAPER:
            continue
        if row["model"] != LIBRAW and (other := libraw.get(row["file"])):
            row["times_libraw"] = row["seconds"] / other["seconds"]
        if other := paper.get((row["file"], row["job"])):
            each = row["seconds_per_megapixel"]
            row["faster_than_paper"] = other["seconds_per_megapixel"] / each
    return found


def pytest_benchmark_update_json(
    config: pytest.Config, benchmarks: list[Any], output_json: dict[str, Any]
) -> None:
    """Keep what the documentation needs, and nothing about the machine but its processor."""
    processor = output_json["machine_info"]["cpu"]
    about = {"processor": processor["brand_raw"], "cores": processor["count"]}
    output_json.clear()
    output_json.update(about, rows=rows(benchmarks))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Say how jobs compare."""
    for row in rows(config._benchmarksession.benchmarks):  # type: ignore[attr-defined]
        line = f"{row['file']}: {row['job']} with {row['model']}, {row['megapixels']:.1f} MP: "
        line += f"{row['seconds']:.2f} s"
        if "times_libraw" in row:
            line += f", {row['times_libraw']:.2f} x LibRaw"
        if "faster_than_paper" in row:
            line += f", 1/{row['faster_than_paper']:.0f} of the paper's network a pixel"
        terminalreporter.write_line(line)
