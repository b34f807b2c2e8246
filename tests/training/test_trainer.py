"""Training goes on from anywhere, in any number of processes, as if nothing had happened."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import runs
import torch
from torch import Tensor

from napari_invisp.errors import OutputError, SettingsError, TrainingError
from napari_invisp.flow.checkpoints import load_checkpoint, read_card
from napari_invisp.metrics import raw_psnr, rgb_psnr
from napari_invisp.pipeline import Pipeline
from napari_invisp.settings import RenderSettings
from napari_invisp.training.bidirectional import Bidirectional
from napari_invisp.training.log import read_log
from napari_invisp.training.objectives import OBJECTIVES
from napari_invisp.training.run import Run
from napari_invisp.training.settings import TrainSettings
from napari_invisp.training.trainer import Outcome, train
from napari_invisp.training.validation import central

TESTS = Path(__file__).resolve().parents[1]


def tensors(values: Any, name: str = "") -> dict[str, Tensor]:
    """Give all tensors in nested mappings by their path."""
    if isinstance(values, Tensor):
        return {name: values}
    if not isinstance(values, dict):
        return {}
    found = (tensors(each, f"{name}.{key}") for key, each in values.items())
    return {path: tensor for part in found for path, tensor in part.items()}


def assert_same(one: Run, other: Run) -> None:
    """Assert that two runs came to the same weights, averages, moments, logs and models."""
    ours, theirs = (tensors(run.read_state()) for run in (one, other))
    assert ours.keys() == theirs.keys()
    assert len(ours) > 20
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    for name in ("model", "best"):
        models = [load_checkpoint(getattr(run, name)).state_dict() for run in (one, other)]
        assert all(torch.equal(models[0][key], models[1][key]) for key in models[0])
    assert timeless(one) == timeless(other)


def timeless(run: Run) -> list[dict[str, str]]:
    lines = read_log(run.log)
    for line in lines:
        del line["seconds"], line["cpu_seconds"]
    return lines


@pytest.fixture
def begin(tmp_path: Path, memory: runs.Memory) -> Callable[..., tuple[Run, Outcome]]:
    def begin(name: str, **changes: Any) -> tuple[Run, Outcome]:
        run = Run.begin(tmp_path / name, runs.settings(**changes))
        return run, train(run, memory)

    return begin


Begin = Callable[..., tuple[Run, Outcome]]


def test_learns(begin: Begin) -> None:
    run, outcome = begin("run", steps=120, average=0.9)
    lines = read_log(run.log)
    losses = [float(line["loss"]) for line in lines]
    assert sum(losses[-5:]) < 0.5 * sum(losses[:5])
    figures = [line for line in lines if line["raw_psnr"]]
    assert float(figures[-1]["rgb_psnr"]) > float(figures[0]["rgb_psnr"]) + 3
    assert (outcome.steps, outcome.finished) == (120, True)


def test_validates_the_saved_model_by_real_jpeg_files(begin: Begin, memory: runs.Memory) -> None:
    run, outcome = begin("run", crop=48)
    picture = central(memory.held_out()[0], 48)
    assert picture.reference.shape == (48, 48, 3)
    pipeline = Pipeline(RenderSettings(model=str(run.model), device="cpu"))
    rendering = pipeline.render(picture.record)
    recovered = pipeline.recover(pipeline.encode(rendering, 90, "4:2:2"), model=str(run.model))
    expected = {
        "step": 30,
        "raw_psnr": raw_psnr(picture.record, recovered.record),
        "rgb_psnr": rgb_psnr(picture.reference, rendering.rgb),
    }
    assert outcome.figures == expected
    assert read_card(run.model)["validation"] == expected
    last = read_log(run.log)[-1]
    assert (float(last["raw_psnr"]), float(last["rgb_psnr"])) == (
        expected["raw_psnr"],
        expected["rgb_psnr"],
    )


def test_keeps_what_did_best(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    class Ruined(Bidirectional):
        """Loses in step 18, for good, what it has learned."""

        step = 0

        def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
            self.step += 1
            if self.step == 18:
                with torch.no_grad():
                    self.model.get_parameter("shift.bias").fill_(9)
            return super().forward(batch)

    monkeypatch.setitem(OBJECTIVES, "tiny", lambda s, source: Ruined(runs.Tiny(), s))
    run, outcome = begin("run", learning_rate=0.02, validate_every=5, average=0)
    scores = {
        int(line["step"]): float(line["raw_psnr"]) + float(line["rgb_psnr"])
        for line in read_log(run.log)
        if line["raw_psnr"]
    }
    best = max(scores, key=scores.__getitem__)
    assert 5 < best < 20  # neither the first nor the last
    assert outcome.best["step"] == best == read_card(run.best)["steps"]
    assert outcome.best == read_card(run.best)["validation"]
    assert read_card(run.model)["steps"] == 30


def test_the_card_tells_the_recipe_and_no_places(begin: Begin, tmp_path: Path) -> None:
    run, outcome = begin("run", data=(str(tmp_path / "some set"),))
    card = read_card(run.model)
    assert card["data"] == ["some set"]
    assert card["settings"]["learning_rate"] == 5e-3
    assert card["steps"] == 30
    assert 0 < card["cpu_seconds"] <= outcome.cpu_seconds
    assert str(tmp_path) not in json.dumps(card)


def test_a_killed_run_goes_on_as_if_it_had_not_been(begin: Begin, tmp_path: Path) -> None:
    whole, _ = begin("whole", steps=200)
    killed = Run.begin(tmp_path / "killed", whole.settings)
    killed.write_settings()
    moment = random.randrange(1, 100)
    process = subprocess.Popen(
        [sys.executable, TESTS / "runs.py", killed.folder], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process, process.stdout:
        for line in process.stdout:
            if int(line) == moment:
                break
        process.kill()
    assert process.returncode == -signal.SIGKILL
    outcome = train(Run.resume(killed.folder), runs.memory())
    assert outcome.finished
    assert_same(whole, killed)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_stop_it_finishes_the_step_and_saves(
    begin: Begin, tmp_path: Path, memory: runs.Memory, number: signal.Signals
) -> None:
    whole, _ = begin("whole")
    run = Run.begin(tmp_path / "stopped", whole.settings)

    def interrupt(stage: str, done: int, total: int) -> None:
        if done == 7:
            os.kill(os.getpid(), number)

    before = signal.getsignal(number)
    outcome = train(run, memory, progress=interrupt)
    assert (outcome.steps, outcome.finished) == (8, False)
    assert signal.getsignal(number) == before
    assert train(Run.resume(run.folder), memory).finished
    assert_same(whole, run)


def test_two_processes_do_what_one_does_with_twice_the_batch(begin: Begin, tmp_path: Path) -> None:
    # With JPEG, the last bit of a sum could decide which way a coefficient is rounded.
    one, _ = begin("one", batch=4, jpeg="none")
    two = Run.begin(tmp_path / "two", runs.settings(batch=2, jpeg="none"))
    two.write_settings()
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [sys.executable, *launch, TESTS / "runs.py", two.folder], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    for ours, theirs in zip(read_log(one.log), read_log(two.log), strict=True):
        for name in ("step", "learning_rate", "loss", "rgb", "raw"):
            assert float(ours[name]) == pytest.approx(float(theirs[name]), abs=1e-5)
    ours, theirs = (load_checkpoint(run.model).state_dict() for run in (one, two))
    for name in ours:
        torch.testing.assert_close(ours[name], theirs[name], rtol=0, atol=1e-5)


def test_a_finished_run_can_be_made_longer(begin: Begin, memory: runs.Memory) -> None:
    run, first = begin("run")
    assert train(Run.resume(run.folder), memory).steps == 30  # nothing to do
    longer = Run.resume(run.folder, {"steps": 40, "model": "tiny"})
    outcome = train(longer, memory)
    assert (outcome.steps, outcome.finished) == (40, True)
    assert outcome.seconds > first.seconds
    steps = [int(line["step"]) for line in read_log(run.log)]
    assert steps == sorted(set(steps))
    assert Run.resume(run.folder).settings.steps == 40


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"learning_rate": 0.1}, "begun with learning_rate 0.005 and cannot go on with 0.1"),
        ({"quality": (90,)}, "begun with quality 60 98 and cannot go on with 90"),
        ({"model": "invisp"}, "begun with model tiny and cannot go on with invisp"),
    ],
)
def test_other_settings_are_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    run = Run.begin(tmp_path / "run", runs.settings())
    run.write_settings()
    with pytest.raises(TrainingError, match=message):
        Run.resume(run.folder, change)
    assert Run.resume(run.folder).settings == run.settings


def test_folders_are_neither_overwritten_nor_made_up(tmp_path: Path) -> None:
    run = Run.begin(tmp_path / "run", runs.settings())
    run.write_settings()
    with pytest.raises(OutputError, match="holds a run already; go on with it by --resume"):
        Run.begin(run.folder, runs.settings())
    with pytest.raises(TrainingError, match=r"there is no run in .*nowhere to go on with"):
        Run.resume(tmp_path / "nowhere")
    (run.folder / "settings.json").write_text("{")
    with pytest.raises(TrainingError, match="damaged: it is no JSON"):
        Run.resume(run.folder)
    (run.folder / "settings.json").write_text('{"colour": 1}')
    with pytest.raises(TrainingError, match="do not belong to this version"):
        Run.resume(run.folder)


@pytest.mark.parametrize("damage", ["cut", "other"])
def test_a_damaged_state_is_named(begin: Begin, memory: runs.Memory, damage: str) -> None:
    run, _ = begin("run")
    if damage == "cut":
        run.state.write_bytes(run.state.read_bytes()[:1000])
    else:
        torch.save({"step": 3, "objective": {}}, run.state)
    with pytest.raises(TrainingError, match=r"state\.pt"):
        train(Run.resume(run.folder), memory)


def test_a_loss_that_is_no_number_ends_the_run_and_spoils_nothing(
    tmp_path: Path, memory: runs.Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Doomed(Bidirectional):
        def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
            losses = super().forward(batch)
            self.count = getattr(self, "count", 0) + 1
            return losses if self.count < 14 else {n: v * torch.nan for n, v in losses.items()}

    monkeypatch.setitem(OBJECTIVES, "tiny", lambda s, source: Doomed(runs.Tiny(), s))
    run = Run.begin(tmp_path / "run", runs.settings())
    with pytest.raises(TrainingError, match="fell apart at step 15"):
        train(run, memory)
    state = run.read_state()
    assert state is not None
    assert state["step"] == 10
    assert all(tensor.isfinite().all() for tensor in tensors(state).values())


def test_starts_from_a_checkpoint(begin: Begin, memory: runs.Memory, tmp_path: Path) -> None:
    first, _ = begin("first", steps=60, average=0)
    changes = {"steps": 1, "learning_rate": 0.0, "average": 0.0}
    second, _ = begin("second", start=str(first.model), **changes)
    assert torch.equal(
        load_checkpoint(first.model).state_dict()["shift.weight"],
        load_checkpoint(second.model).state_dict()["shift.weight"],
    )
    run = Run.begin(tmp_path / "other", runs.settings(model="invisp", start=str(first.model)))
    with pytest.raises(TrainingError, match="holds weights of tiny, not of invisp"):
        train(run, memory)


def test_unknown_models_are_named(tmp_path: Path, memory: runs.Memory) -> None:
    run = Run.begin(tmp_path / "run", runs.settings(model="nosuch"))
    with pytest.raises(TrainingError, match=r"no model 'nosuch' to train; models: .*invisp"):
        train(run, memory)


def test_without_held_out_pictures_it_says_so(
    tmp_path: Path, memory: runs.Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "held_out", list)
    notes: list[str] = []
    run = Run.begin(tmp_path / "run", runs.settings())
    outcome = train(run, memory, notify=notes.append)
    assert outcome.figures == {}
    assert notes == ["no pictures are held out, so there is nothing to validate by"]
    assert run.model.exists()
    assert not run.best.exists()


def test_tensorboard_is_asked_for_by_name(
    tmp_path: Path, memory: runs.Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    run = Run.begin(tmp_path / "run", runs.settings(tensorboard=True))
    with pytest.raises(SettingsError, match="--tensorboard needs the package tensorboard"):
        train(run, memory)


def test_tensorboard_gets_what_the_log_gets(begin: Begin) -> None:
    pytest.importorskip("tensorboard")
    run, _ = begin("run", tensorboard=True)
    assert list((run.folder / "tensorboard").glob("events.*"))


def test_bfloat16_learns_too(begin: Begin) -> None:
    run, _ = begin("run", steps=120, precision="bfloat16", average=0.9)
    losses = [float(line["loss"]) for line in read_log(run.log)]
    assert sum(losses[-5:]) < 0.5 * sum(losses[:5])


def test_settings_survive_json(tmp_path: Path) -> None:
    given = runs.settings(analytic=True, data=("a", "b"), shares=(1.0, 3.0))
    Run.begin(tmp_path / "run", given).write_settings()
    assert Run.resume(tmp_path / "run").settings == given


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"patch": 33}, "patch 33 is odd"),
        ({"quality": (90, 60)}, "quality 90 60 is neither one number nor the lowest and"),
        ({"quality": (10, 20, 30)}, "neither one number"),
        ({"quality": ()}, "not one value or more"),
        ({"quality": 90}, "not one value or more"),
        ({"subsampling": ("4:1:1",)}, "'4:1:1' is not one of"),
        ({"shares": (1.0, 2.0)}, "1 folders of data, but 2 shares"),
        ({"shares": (0.0,)}, "must be above 0"),
        ({"analytic": 1}, "analytic 1 is neither true nor false"),
        ({"analytic": True, "start": "x"}, "not both"),
        ({"steps": 0}, "steps 0 is not 1 or more"),
    ],
)
def test_settings_that_cannot_be(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        TrainSettings(**changes)
