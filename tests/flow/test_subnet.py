"""The dense block: what it computes, and that its fast path computes the same."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.ndimage import correlate
from torch import nn

from napari_invisp.flow import subnet
from napari_invisp.flow.subnet import DenseBlock


@pytest.fixture(scope="module")
def block(randomise: Callable[[nn.Module, int], None]) -> DenseBlock:
    block = DenseBlock(2, 3)
    randomise(block, 5)
    return block


def _by_scipy(block: DenseBlock, x: np.ndarray) -> np.ndarray:
    state = {name: tensor.double().numpy() for name, tensor in block.state_dict().items()}
    seen = list(x)
    for layer in range(1, 6):
        made = [
            bias
            + sum(
                correlate(plane, kernel, mode="constant")
                for plane, kernel in zip(seen, kernels, strict=True)
            )
            for kernels, bias in zip(
                state[f"conv{layer}.weight"], state[f"conv{layer}.bias"], strict=True
            )
        ]
        if layer < 5:
            seen += [np.where(plane > 0, plane, 0.2 * plane) for plane in made]
    return np.stack(made)


def test_computes_five_dense_convolutions(block: DenseBlock) -> None:
    x = torch.randn(1, 2, 9, 7, generator=torch.Generator().manual_seed(0))
    expected = _by_scipy(block, x[0].double().numpy())
    assert np.abs(expected).max() > 0.05
    for gradients in (True, False):
        with torch.set_grad_enabled(gradients):
            result = block(x)
        np.testing.assert_allclose(result.detach().numpy()[0], expected, rtol=0, atol=1e-5)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    n=st.integers(1, 3),
    height=st.integers(1, 40),
    width=st.integers(1, 12),
    band=st.integers(1, 200),
    seed=st.integers(0, 100),
)
def test_bands_of_rows_change_nothing(
    block: DenseBlock,
    monkeypatch: pytest.MonkeyPatch,
    n: int,
    height: int,
    width: int,
    band: int,
    seed: int,
) -> None:
    monkeypatch.setattr(subnet, "_BAND_PIXELS", band)
    monkeypatch.setattr(subnet, "_BAND_MINIMUM", 1)
    x = torch.randn(n, 2, height, width, generator=torch.Generator().manual_seed(seed))
    plain = block(x).detach()
    with torch.no_grad():
        fast = block(x)
    assert fast.shape == plain.shape == (n, 3, height, width)
    assert (fast - plain).abs().max() <= 1e-5


def test_an_image_of_several_bands_of_the_usual_size(block: DenseBlock) -> None:
    x = torch.randn(1, 2, 150, 512, generator=torch.Generator().manual_seed(0))
    plain = block(x).detach()
    with torch.no_grad():
        assert (block(x) - plain).abs().max() <= 1e-5


def test_a_fresh_block_gives_zero() -> None:
    x = torch.randn(1, 1, 6, 6)
    assert torch.equal(DenseBlock(1, 2)(x), torch.zeros(1, 2, 6, 6))


def test_sees_as_far_as_it_says_and_no_further(block: DenseBlock) -> None:
    x = torch.zeros(1, 2, 1, 21)
    dot = x.clone()
    dot[..., 10] = 1
    with torch.no_grad():
        changed = (block(dot) - block(x)).abs().amax(dim=(0, 1, 2)) > 0
    reached = torch.nonzero(changed).flatten() - 10
    assert block.reach == 5
    assert (reached.min(), reached.max()) == (-block.reach, block.reach)


def test_gradients_reach_every_parameter(block: DenseBlock) -> None:
    block.zero_grad()
    block(torch.rand(1, 2, 5, 5)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in block.parameters())
    block.zero_grad()
