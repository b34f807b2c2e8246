"""The learned flow of `universal`: nothing at first, invertible whatever it learns."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from napari_invisp.flow.residual import ResidualFlow

Fill = Callable[[nn.Module, int], None]
TOLD = 3


@pytest.fixture(scope="module")
def flow(randomise: Fill) -> ResidualFlow:
    flow = ResidualFlow(TOLD, width=8, depth=1).requires_grad_(False)
    randomise(flow, 2)
    return flow


def picture(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(shape, generator=generator, dtype=torch.float64)


def told(n: int, seed: int = 7) -> torch.Tensor:
    return picture(n, TOLD, seed=seed) * 2 - 1


@given(seed=st.integers(0, 99), depth=st.integers(0, 2))
def test_a_fresh_flow_is_the_identity(seed: int, depth: int) -> None:
    fresh = ResidualFlow(TOLD, 8, depth).double().requires_grad_(False)
    z = picture(2, 3, 8, 12, seed=seed)
    torch.testing.assert_close(fresh(z, told(2)), z)
    torch.testing.assert_close(fresh.inverse(z, told(2)), z)


@given(
    seed=st.integers(0, 99),
    n=st.integers(1, 2),
    height=st.integers(1, 8),
    width=st.integers(1, 8),
    spread=st.sampled_from([1.0, 1.5]),
)
def test_exact_inverse(
    flow: ResidualFlow, seed: int, n: int, height: int, width: int, spread: float
) -> None:
    z = 0.5 + spread * (picture(n, 3, 4 * height, 4 * width, seed=seed) - 0.5)
    conditions = told(n, seed)
    flow.double()
    changed = flow(z, conditions)
    assert changed.shape == z.shape
    assert (changed - z).abs().max() > 0.01
    assert (flow.inverse(changed, conditions) - z).abs().max() < 1e-12
    assert (flow(flow.inverse(z, conditions), conditions) - z).abs().max() < 1e-12
    flow.float()
    z, conditions = z.float(), conditions.float()
    assert (flow.inverse(flow(z, conditions), conditions) - z).abs().max() < 1e-5


def test_what_it_is_told_matters_to_each_picture_alone(flow: ResidualFlow) -> None:
    flow.double()
    z, conditions = picture(1, 3, 16, 16).repeat(2, 1, 1, 1), told(2)
    both = flow(z, conditions)
    assert (both[0] - both[1]).abs().max() > 1e-3
    alone = [flow(z[:1], conditions[n : n + 1]) for n in range(2)]
    torch.testing.assert_close(both, torch.cat(alone))


@pytest.mark.parametrize("way", ["forward", "inverse"])
@pytest.mark.parametrize("place", [80, 81, 82, 83])
def test_sees_no_further_than_it_says(flow: ResidualFlow, way: str, place: int) -> None:
    flow.double()
    z = picture(1, 3, 160, 160)
    dot = z.clone()
    dot[..., place, place] += 0.5
    run = getattr(flow, way)
    changed = (run(dot, told(1)) - run(z, told(1))).abs().amax((0, 1)) > 0
    for axis in (0, 1):
        reached = changed.any(axis).nonzero().flatten() - place
        assert reached.abs().max() <= flow.reach
        assert reached.abs().max() > flow.reach / 2


def test_gradients_reach_every_parameter(randomise: Fill) -> None:
    flow = ResidualFlow(TOLD, 8, 1).double()
    randomise(flow, 2)
    z = picture(2, 3, 16, 16)
    for run in (flow.forward, flow.inverse):
        flow.zero_grad()
        (run(z, told(2)) - z).square().sum().backward()
        assert all(p.grad is not None and p.grad.abs().max() > 0 for p in flow.parameters())
