"""``train``: from prepared pictures to weights that render, in one command or after a break."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
import runs
from cli_helpers import Facts, Run, refused

from napari_invisp.flow.checkpoints import ARCHITECTURES
from napari_invisp.training.log import read_log
from napari_invisp.training.objectives import OBJECTIVES
from napari_invisp.training.prepared import write_picture, write_set
from napari_invisp.training.splitting import Split

OPTIONS = "--steps 12 --batch 2 --patch 24 --save-every 4 --log-every 2 --device cpu --crop 64"


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ARCHITECTURES, "tiny", runs.Tiny)
    monkeypatch.setitem(OBJECTIVES, "tiny", runs.tiny)


@pytest.fixture
def data(folder: Path) -> Path:
    splits: dict[str, Split] = {}
    for number, picture in enumerate(runs.memory()._pictures):
        splits[picture.name] = "test" if number == 2 else "train"
        write_picture(
            folder / "set", picture.name, picture.record, picture.reference, splits[picture.name]
        )
    write_set(folder / "set", "raw", {}, splits)
    return folder / "set"


def test_the_weights_render_and_recover(facts: Facts, data: Path, folder: Path) -> None:
    trained = facts("train", "tiny", data, "-o", "run", *OPTIONS.split())
    assert {"model", "seconds", "cpu_seconds", "figures"} <= trained.keys()
    assert (trained["run"], trained["steps"], trained["finished"]) == ("run", 12, True)
    assert trained["best"]["raw_psnr"] == trained["figures"]["raw_psnr"] > 0
    weights = trained["weights"]
    rendered = facts("render", "photo.dng", "-o", "own.jpg", "--model", weights, "--no-metrics")
    assert rendered["model"] == "tiny"
    assert facts("recover", "own.jpg", "-o", "own.dng", "--model", weights)["width"] > 0


def test_people_read_lines(run: Run, data: Path) -> None:
    status, out, err = run("train", "tiny", data, "-o", "run", *OPTIONS.split())
    assert (status, err) == (0, "")
    assert out.startswith("tiny: 12 of 12 steps in ")
    assert "at best, after step 12: RGB" in out
    assert out.endswith(f"weights: {Path('run/best.safetensors')}\n")


def test_options_reach_the_run(facts: Facts, data: Path, folder: Path) -> None:
    options = "--quality 60 98 --subsampling 4:4:4 4:2:0 --no-white-balance --shares 1"
    facts("train", "tiny", "set", "-o", "run", *OPTIONS.split(), *options.split())
    stored = json.loads((folder / "run" / "settings.json").read_text())
    assert stored["quality"] == [60, 98]
    assert stored["subsampling"] == ["4:4:4", "4:2:0"]
    assert stored["white_balance"] is False
    assert stored["data"] == [str(data)]


def test_an_interrupted_run_says_how_to_go_on(
    run: Run, facts: Facts, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = runs.Bidirectional.example
    calls: list[int] = []

    def interrupting(*arguments: object) -> object:
        calls.append(0)
        if len(calls) == 9:  # within step 5
            os.kill(os.getpid(), signal.SIGINT)
        return draw(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(runs.Bidirectional, "example", interrupting)
    status, out, err = run("train", "tiny", data, "-o", "run", *OPTIONS.split(), "--json")
    assert (status, json.loads(out)["finished"]) == (0, False)
    sentence = "interrupted after step 5 of 12; go on with: napari-invisp train --resume run\n"
    assert err == f"napari-invisp: {sentence}"
    assert facts("train", "--resume", "run")["steps"] == 12
    assert facts("train", "--resume", "run", "--steps", 14, "--threads", 1)["steps"] == 14
    assert [int(line["step"]) for line in read_log(Path("run/log.csv"))] == [*range(2, 15, 2)]


def test_what_cannot_be_trained(run: Run, data: Path, folder: Path) -> None:
    facts = ("train", "tiny", data, "-o", "run", *OPTIONS.split())
    assert run(*facts)[0] == 0
    refused(run, folder, "run holds a run already; go on with it by --resume run", *facts)
    for message, *arguments in (
        ("a new run needs a model and folders of data", "-o", "new"),
        ("a new run needs a model and folders of data", "tiny", "-o", "new"),
        ("one of the arguments -o/--output --resume is required", "tiny", "set"),
        ("photo.dng is not a folder of training data", "tiny", "photo.dng", "-o", "new"),
        ("there is no run in set to go on with", "--resume", "set"),
        ("batch 2 and cannot go on with 3", "--resume", "run", "--batch", "3"),
        ("jpeg 'real' is not one of simulated, none", "tiny", "set", "-o", "new", "--jpeg", "real"),
    ):
        refused(run, folder, message, "train", *arguments)


def test_unknown_models_are_named_before_anything_is_written(
    run: Run, data: Path, folder: Path
) -> None:
    refused(run, folder, "there is no model 'nosuch' to train", "train", "nosuch", data, "-o", "r")
