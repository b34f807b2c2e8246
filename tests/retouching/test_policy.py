"""A policy's steps, its file, and what of it is refused."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from napari_invisp.errors import CheckpointError
from napari_invisp.retouching.filters import retouched
from napari_invisp.retouching.policy import (
    SIDE,
    Policy,
    State,
    bounded,
    load_policy,
    policy_settings,
    save_policy,
)
from napari_invisp.retouching.settings import FILTERS

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def policy() -> Policy:
    torch.manual_seed(3)
    policy = Policy(steps=4)
    with torch.no_grad():  # as if it had learned something
        for trunk in (policy.chooser, policy.adjuster):
            trunk.judge[-1].weight.mul_(30)
    return policy


def test_each_step_is_one_filter_more(tmp_path: Path, policy: Policy) -> None:
    save_policy(tmp_path / "policy.safetensors", policy)
    light = np.random.default_rng(0).random((80, 120, 3), dtype=np.float32)
    steps = policy_settings(tmp_path / "policy.safetensors", light)
    assert [len(each.active) for each in steps] == [1, 2, 3, 4]
    for before, after in pairwise(steps):
        assert after.active[:-1] == before.active
    assert policy_settings(str(tmp_path / "policy.safetensors"), light) == steps


def test_the_settings_do_what_the_policy_saw(tmp_path: Path, policy: Policy) -> None:
    save_policy(tmp_path / "policy.safetensors", policy)
    light = np.random.default_rng(0).random((SIDE, SIDE, 3), dtype=np.float32)
    settings = policy_settings(tmp_path / "policy.safetensors", light)[-1]
    expected = policy.finished(torch.from_numpy(light).permute(2, 0, 1)[None])
    result = torch.from_numpy(retouched(light, settings)).permute(2, 0, 1)[None]
    torch.testing.assert_close(result, expected, atol=5e-3, rtol=5e-3)


def test_a_fresh_policy_does_little() -> None:
    torch.manual_seed(0)
    policy = Policy()
    light = torch.rand(2, 3, SIDE, SIDE)
    _, free = policy(State.begin(light))
    after = State.begin(light).after(torch.tensor([0, 4]), bounded(free))
    assert after.used[:, [0, 4]].tolist() == [[1, 0], [0, 1]]
    assert after.step.tolist() == [1, 1]
    assert (after.light - light).abs().mean() < 0.1


def test_files_that_are_no_policies(tmp_path: Path, policy: Policy) -> None:
    path = tmp_path / "policy.safetensors"
    save_policy(path, policy, {"steps": 7})
    good = path.read_bytes()
    state = policy.state_dict()
    header: dict[str, Any] = {"format": 1, "filters": list(FILTERS), "steps": 4, "card": {}}

    def write(weights: dict[str, torch.Tensor], about: dict[str, Any] | None) -> None:
        metadata = None if about is None else {"napari_invisp_policy": json.dumps(about)}
        path.write_bytes(safetensors.torch.save(weights, metadata))

    def refuse(message: str) -> None:
        with pytest.raises(CheckpointError) as caught:
            load_policy(path)
        assert message in str(caught.value)
        assert str(caught.value).startswith(str(path))

    write(state, header)
    assert load_policy(path).steps == 4
    path.write_bytes(good[:-100])
    refuse("is not a policy, or it is damaged")
    path.write_text("no weights")
    refuse("is not a policy, or it is damaged")
    torch.save(state, path)
    refuse("is not a policy, or it is damaged")
    write(state, None)
    refuse("holds weights of something else than a retouching policy")
    write(state, header | {"format": 2})
    refuse("is of another version: format 2")
    write(state, header | {"filters": ["blur"]})
    refuse("is of another version")
    write(state, {"format": 1})
    refuse("its header makes no sense")
    write(state, header | {"steps": 9})
    refuse("it makes 9 steps")
    write({name: each for name, each in state.items() if "adjuster" not in name}, header)
    refuse("its weights are not those of a policy")
    write({name: each * torch.nan for name, each in state.items()}, header)
    refuse("holds NaN or infinity")
    path.unlink()
    refuse("does not exist")
