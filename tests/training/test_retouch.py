"""A policy learns a style from photographs of other scenes, and goes on from anywhere."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR
import pytest
import tifffile
import torch
from PIL import Image
from records import make_record
from skimage.data import astronaut, chelsea, coffee

from napari_invisp.errors import DataError, TrainingError
from napari_invisp.linear import codes_from_linear, linear_from_codes
from napari_invisp.retouching.filters import retouched
from napari_invisp.retouching.policy import load_policy, policy_settings
from napari_invisp.sensor.dng import write_dng
from napari_invisp.sensor.libraw import reference_srgb
from napari_invisp.training.log import read_log
from napari_invisp.training.prepared import write_picture, write_set
from napari_invisp.training.retouch import trainer
from napari_invisp.training.retouch.judging import distance
from napari_invisp.training.retouch.pictures import COPY, Pictures, gather
from napari_invisp.training.retouch.run import PolicyRun
from napari_invisp.training.retouch.settings import PolicySettings
from napari_invisp.training.retouch.trainer import PolicyOutcome, train_policy

SMALL = {"batch": 4, "pool": 12, "validate_every": 5, "log_every": 2, "save_every": 4, "threads": 1}


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photographs as they are, and others at a quarter of their light."""
    folder = tmp_path_factory.mktemp("album")
    (folder / "retouched").mkdir()
    (folder / "light").mkdir()
    rng = np.random.default_rng(0)
    for number in range(24):
        photograph = (astronaut(), chelsea(), coffee())[number % 3]
        top, left = (int(rng.integers(length - 200)) for length in photograph.shape[:2])
        crop = np.ascontiguousarray(photograph[top : top + 200, left : left + 200])
        if number % 2:
            Image.fromarray(crop).save(folder / "retouched" / f"{number:02}.png")
        else:
            light = linear_from_codes(crop) / np.float32(4)
            OpenEXR.File({}, {"RGB": light}).write(str(folder / "light" / f"{number:02}.exr"))
    return folder


Begin = Callable[..., tuple[PolicyRun, PolicyOutcome]]


@pytest.fixture
def begin(tmp_path: Path, album: Path) -> Begin:
    def begin(name: str, **changes: Any) -> tuple[PolicyRun, PolicyOutcome]:
        where = {"retouched": (str(album / "retouched"),), "light": (str(album / "light"),)}
        run = PolicyRun.begin(tmp_path / name, PolicySettings(**where | SMALL | changes))
        return run, train_policy(run)

    return begin


def tensors(values: Any, name: str = "") -> dict[str, torch.Tensor]:
    if isinstance(values, torch.Tensor):
        return {name: values}
    parts = values.items() if isinstance(values, dict) else ()
    found = (tensors(each, f"{name}.{key}") for key, each in parts)
    return {path: tensor for part in found for path, tensor in part.items()}


def test_goes_on_as_if_nothing_had_happened(
    begin: Begin, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    whole, outcome = begin("whole", steps=9)
    assert (outcome.steps, outcome.finished) == (9, True)
    cost, calls = trainer.discriminator_cost, list[int]()

    def interrupting(*arguments: Any) -> torch.Tensor:
        calls.append(0)
        if len(calls) == 10:
            os.kill(os.getpid(), signal.SIGINT)
        return cost(*arguments)

    monkeypatch.setattr(trainer, "discriminator_cost", interrupting)
    halves, outcome = begin("halves", steps=9)
    assert not outcome.finished
    assert outcome.steps < 9
    halves = PolicyRun.resume(halves.folder)
    assert train_policy(halves).steps == 9
    ours, theirs = (tensors(run.read_state()) for run in (whole, halves))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    logs = [read_log(run.log) for run in (whole, halves)]
    for line in (*logs[0], *logs[1]):
        del line["seconds"]
    assert logs[0] == logs[1]
    assert whole.best.read_bytes() == halves.best.read_bytes()


def test_what_a_run_leaves_behind(begin: Begin, album: Path) -> None:
    run, outcome = begin("run", steps=10)
    stored = json.loads((run.folder / "settings.json").read_text())
    assert stored["steps"] == 10
    lines = read_log(run.log)
    assert [int(line["step"]) for line in lines] == [2, 4, 5, 6, 8, 10]
    assert all(float(line["entropy"]) <= np.log(8) + 1e-6 for line in lines)
    assert [line["step"] for line in lines if line["distance"]] == ["5", "10"]
    assert outcome.best["distance"] == min(float(x["distance"]) for x in lines if x["distance"])
    light = np.random.default_rng(0).random((50, 60, 3), dtype=np.float32)
    assert len(policy_settings(run.best, light)) == 5
    # The best policy is as good as the run says.
    pictures = Pictures.load(run.pictures)
    held_out = trainer.middles(pictures.held_out)
    result = trainer.encode_gamma(load_policy(run.best).finished(held_out))
    again = distance(result, trainer.middles(pictures.retouched))
    assert again == pytest.approx(outcome.best["distance"], abs=1e-5)
    with pytest.raises(TrainingError, match="with batch 4 and cannot go on with 8"):
        PolicyRun.resume(run.folder, {"batch": 8})


def test_learns_the_style(begin: Begin) -> None:
    run, outcome = begin("run", steps=40, batch=8, pool=32, validate_every=20)
    # The photographs are two stops brighter than the light. Seeds, and other processors' rounding,
    # give 0.66 to 0.83 of the distance; untrained policies leave 0.95 to 1.02.
    assert outcome.best["distance"] < 0.9 * outcome.untouched
    assert outcome.best["step"] > 0
    light = Pictures.load(run.pictures).held_out[:1]
    settings = policy_settings(run.best, light[0].permute(1, 2, 0).numpy())
    before = trainer.encode_gamma(light).mean()
    after = retouched(light[0].permute(1, 2, 0).numpy(), settings[-1])
    assert codes_from_linear(after).mean() / 255 > 1.15 * before


def test_what_is_held_out_does_not_depend_on_where_it_lies(tmp_path: Path, album: Path) -> None:
    shutil.copytree(album, tmp_path / "elsewhere")
    one, other = (
        gather([each / "retouched"], [each / "light"], 0, 0.5)
        for each in (album, tmp_path / "elsewhere")
    )
    assert torch.equal(one.held_out, other.held_out)
    assert torch.equal(one.light, other.light)


def test_every_kind_of_picture_is_read(tmp_path: Path) -> None:
    codes = (np.random.default_rng(0).random((90, 100, 3)) * 255).astype(np.uint8)
    (tmp_path / "shown").mkdir()
    Image.fromarray(codes).save(tmp_path / "shown" / "a.jpg")
    Image.fromarray(codes[..., 0]).save(tmp_path / "shown" / "b.png")
    tifffile.imwrite(tmp_path / "shown" / "c.tif", codes.astype(np.uint16) * 257)
    (tmp_path / "shown" / "d.jpg").write_text("no picture")
    record = make_record((96, 96))
    (tmp_path / "light").mkdir()
    write_dng(tmp_path / "light" / "a.dng", record)
    OpenEXR.File({}, {"RGB": np.full((90, 90, 3), 2, np.float32)}).write(
        str(tmp_path / "light" / "b.exr")
    )
    write_picture(tmp_path / "set", "one", record, reference_srgb(record), "train")
    write_set(tmp_path / "set", "raw", {}, {"one": "train"})
    notes: list[str] = []
    sources = [tmp_path / "light", tmp_path / "set"]
    found = gather([tmp_path / "shown"], sources, 0, 0.5, notify=notes.append)
    assert found.retouched.shape == (3, 3, COPY, COPY)
    assert len(found.light) + len(found.held_out) == 3
    everything = torch.cat((found.light, found.held_out))
    assert sorted(float(each.mean()) == 2 for each in everything) == [False, False, True]
    assert len(notes) == 1
    assert "d.jpg cannot be read as a photograph" in notes[0]
    for shown, light, message in (
        ("nosuch", "light", "nosuch does not exist"),
        ("light", "light", "there is no photograph"),
        ("shown", "shown", "there is no RAW file, EXR scene or prepared set"),
    ):
        with pytest.raises(DataError, match=message):
            gather([tmp_path / shown], [tmp_path / light], 0, 0.5)


def test_the_distance_is_one_of_looks() -> None:
    pictures = torch.rand(30, 3, 8, 8)
    assert distance(pictures, pictures) == 0
    near, far = (distance(pictures * factor, pictures) for factor in (0.9, 0.5))
    assert 0 < near < far
    reddish = pictures * torch.tensor([1.0, 0.8, 0.8])[:, None, None]
    assert distance(reddish, pictures) > 0
