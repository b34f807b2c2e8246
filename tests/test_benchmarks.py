"""The benchmarks still run, and tell what they have measured."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def test_speed_is_told_beside_libraw(tmp_path: Path) -> None:
    pytest.importorskip("pytest_benchmark")
    result = tmp_path / "speed.json"
    command = [sys.executable, "-m", "pytest", "benchmarks", "-p", "no:cacheprovider"]
    command += ["-k", "libraw or physics", "--rounds", "1", "--benchmark-json", str(result)]
    # It is a run of its own, whether or not these tests are shared out.
    alone = {name: value for name, value in os.environ.items() if "XDIST" not in name}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=alone)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = {(row["model"], row["job"]): row for row in json.loads(result.read_text())["rows"]}
    assert set(rows) == {("LibRaw", "render"), ("physics", "render"), ("physics", "recover")}
    libraw, render = rows["LibRaw", "render"], rows["physics", "render"]
    assert render["file"] == "dog.dng"
    assert render["times_libraw"] == pytest.approx(render["seconds"] / libraw["seconds"])
    assert render["seconds_per_megapixel"] == pytest.approx(render["seconds"] / 2.048, rel=0.01)
    assert f"{render['times_libraw']:.2f} x LibRaw" in done.stdout
