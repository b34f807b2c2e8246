"""What the baselines learn, and that they do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from photographs import photograph

from napari_invisp.baselines import CycleIsp
from napari_invisp.flow.profiles import PROFILES
from napari_invisp.jpeg.codec import decode_jpeg, encode_jpeg
from napari_invisp.sensor.cfa import demosaic_bilinear, normalise
from napari_invisp.sensor.libraw import reference_srgb
from napari_invisp.training.baselines import Inversion
from napari_invisp.training.bidirectional import Bidirectional
from napari_invisp.training.objective import Example, Objective
from napari_invisp.training.objectives import OBJECTIVES
from napari_invisp.training.patch import Patch
from napari_invisp.training.settings import TrainSettings

NAMES = ["cycleisp", "invertible-grayscale", "unet"]
SOURCE: Any = None  # baselines look at no picture before they begin
MARGIN = 2


@pytest.fixture(scope="module")
def patch() -> Patch:
    record = photograph(68, 68)
    return Patch(record, reference_srgb(record), "astronaut", MARGIN)


def _objective(name: str, **changes: Any) -> Objective:
    torch.manual_seed(0)
    return OBJECTIVES[name](TrainSettings(model=name, **changes), SOURCE)


def _batch(objective: Objective, patch: Patch, count: int = 2) -> Example:
    rng = np.random.default_rng(0)
    examples = [objective.example(patch.turned(k), rng) for k in range(count)]
    return {name: torch.stack([each[name] for each in examples]) for name in examples[0]}


@pytest.mark.parametrize("name", NAMES)
def test_examples_are_what_the_paper_trains_on(name: str, patch: Patch) -> None:
    objective = _objective(f"{name}-small")
    assert objective.margin == MARGIN
    example = objective.example(patch, np.random.default_rng(0))
    record = patch.record
    balanced = demosaic_bilinear(normalise(record), record.channels) * record.balance
    inner = slice(MARGIN, -MARGIN)
    raw = (balanced.clip(min=0) ** (1 / 2.2))[inner, inner].transpose(2, 0, 1)
    np.testing.assert_allclose(example["raw"].numpy(), raw, atol=1e-4)
    rgb = patch.reference[inner, inner].transpose(2, 0, 1) / 255
    np.testing.assert_allclose(example["rgb"].numpy(), rgb, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_steps_lower_the_loss(name: str, patch: Patch) -> None:
    objective = _objective(f"{name}-small", rounding="straight-through")
    batch = _batch(objective, patch)
    optimizer = torch.optim.Adam(objective.parameters(), 1e-4)
    losses = []
    for _ in range(20):
        loss = objective(batch)["loss"]
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        for group in optimizer.param_groups:
            group["lr"] = 1e-3
    assert losses[1] < losses[0]
    assert losses[-1] < 0.7 * losses[0]
    # After the first steps everything learns, the encoder by way of the JPEG too.
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in objective.parameters())


def test_cycleisp_learns_from_the_camera_s_jpeg(patch: Patch) -> None:
    objective = _objective("cycleisp-small", quality=(70,), subsampling=("4:2:0",))
    assert isinstance(objective, Inversion)
    batch = _batch(objective, patch, 1)
    inner = slice(MARGIN, -MARGIN)
    reference = np.ascontiguousarray(patch.reference[inner, inner])
    decoded = decode_jpeg(encode_jpeg(reference, 70, "4:2:0")).rgb.transpose(2, 0, 1) / 255
    # A new network leaves its input as it is.
    expected = np.abs(decoded - batch["raw"][0].numpy()).mean()
    assert objective(batch)["loss"].item() == pytest.approx(expected, rel=0.02)
    # Its scene stays out of it.
    assert objective.model.memo() == CycleIsp().memo()


@pytest.mark.parametrize("name", NAMES[1:])
def test_pairs_learn_both_directions(name: str, patch: Patch) -> None:
    one, both = (_objective(f"{name}-small", lam=lam, jpeg="none") for lam in (0.0, 1.0))
    assert isinstance(both, Bidirectional)
    batch = _batch(both, patch)
    costs = both(batch)
    assert costs["loss"].item() == pytest.approx((costs["rgb"] + costs["raw"]).item())
    assert one(batch)["loss"].item() == pytest.approx(costs["rgb"].item())


@pytest.mark.parametrize("name", NAMES)
def test_both_sizes_can_be_trained(name: str) -> None:
    published, small = _objective(name), _objective(f"{name}-small")
    assert type(published.model) is type(small.model)
    count: Callable[[Objective], int] = lambda o: sum(p.numel() for p in o.parameters())  # noqa: E731
    assert count(small) < count(published) / 10


@pytest.mark.parametrize("name", NAMES[1:])
def test_the_variant_without_white_balance(name: str) -> None:
    objective = _objective(f"{name}-small", white_balance=False)
    assert objective.model.profile == PROFILES["paper-unbalanced"]
