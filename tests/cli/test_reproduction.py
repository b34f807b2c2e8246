"""The paper from its download to its figures, by the commands of docs/reproduce.md, in small."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from cli_helpers import Facts
from fivek_helpers import make_fivek

SHORT = "--steps 2 --batch 1 --patch 32 --device cpu --pictures 1 --crop 64"
PAPER = "--schedule halved --warmup 0 --clip 0 --average 0"


@pytest.fixture(scope="module")
def download(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_fivek(tmp_path_factory.mktemp("download"), 96, 96)


def test_from_download_to_table(facts: Facts, folder: Path, download: Path) -> None:
    prepared = facts("prepare", "fivek", download, "-o", "data", "--workers", "2")
    sets = [Path(each["output"]) for each in prepared["sets"]]
    assert [each.name for each in sets] == ["canon", "nikon"]
    assert prepared["failed"] == 0

    weights = {}
    for each in sets:
        run = f"runs/{each.name}"
        trained = facts("train", "invisp", each, "-o", run, *SHORT.split(), *PAPER.split())
        assert trained["finished"]
        weights[each.name] = trained["weights"]

    for each in sets:
        table = f"{each.name}.json"
        facts(
            *("evaluate", "--protocol", "paper", each, "-o", table),
            *("--models", "upi", weights[each.name]),
        )
        rows = json.loads(Path(table).read_text())["rows"]
        held_out = 0.15 * (prepared["train"] + prepared["test"]) / 2
        assert len(rows) >= 2 * math.floor(held_out)
        assert {row["protocol"] for row in rows} == {"paper"}
        by_model: dict[str, list[float]] = {}
        for row in rows:
            by_model.setdefault(row["model"], []).append(row["rgb_psnr"])
        assert len(by_model) == 2
        # Two steps teach nothing, metadata know a lot.
        assert min(by_model["upi"]) > 25
        assert all(math.isfinite(value) for values in by_model.values() for value in values)
