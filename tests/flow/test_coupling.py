"""The enhanced affine coupling: paper Eq. 3–7, and that it can be undone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from napari_invisp.flow.coupling import CouplingBlock


class _Mix(nn.Module):
    """A stand-in for a dense block: fixed weights from channel to channel."""

    def __init__(self, *rows: tuple[float, ...]) -> None:
        super().__init__()
        self.rows = torch.tensor(rows, dtype=torch.float64)

    def forward(self, x: Tensor) -> Tensor:
        return torch.einsum("ij,njhw->nihw", self.rows, x)


@pytest.fixture
def transparent() -> CouplingBlock:
    """A block whose parts are simple enough to be written out."""
    block = CouplingBlock().double()
    block.F, block.G, block.H = _Mix((0.5, 0.25)), _Mix((2.0,), (3.0,)), _Mix((1.0,), (-4.0,))
    return block


def test_follows_the_paper(transparent: CouplingBlock) -> None:
    x = torch.rand(1, 3, 4, 4, dtype=torch.float64)
    with torch.no_grad():
        y = transparent(x)
        a, b, c = torch.einsum("ij,njhw->inhw", transparent.invconv.matrix(), x)
    y1 = a + 0.5 * b + 0.25 * c
    scale_b = torch.exp(0.8 * (2 / (1 + torch.exp(-y1)) - 1))
    scale_c = torch.exp(0.8 * (2 / (1 + torch.exp(4 * y1)) - 1))
    expected = torch.stack((y1, b * scale_b + 2 * y1, c * scale_c + 3 * y1), dim=1)
    assert torch.allclose(y, expected, atol=1e-12)


def test_scales_stay_within_the_clamp(transparent: CouplingBlock) -> None:
    transparent.G = _Mix((0.0,), (0.0,))
    transparent.F = _Mix((0.0, 0.0))
    x = torch.full((1, 3, 1, 1), 1e3, dtype=torch.float64)
    with torch.no_grad():
        before = transparent.invconv(x)
        ratio = transparent(x)[:, 1:] / before[:, 1:]
    limit = torch.tensor(0.8, dtype=torch.float64).exp()
    up, down = (limit, 1 / limit) if before[0, 0] > 0 else (1 / limit, limit)
    assert torch.allclose(ratio.flatten(), torch.stack((up, down)))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 3), st.integers(1, 12), st.integers(1, 12))
def test_inverse_takes_forward_back(
    randomise: Callable[[nn.Module, int], None], seed: int, n: int, height: int, width: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    block = CouplingBlock(generator=generator).double()
    randomise(block, seed)
    x = torch.randn(n, 3, height, width, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        y = block(x)
        assert (block.inverse(y) - x).abs().max() < 1e-11
        assert (block(block.inverse(x)) - x).abs().max() < 1e-11


@pytest.mark.parametrize("direction", ["forward", "inverse"])
def test_gradients_are_those_of_the_function(
    randomise: Callable[[nn.Module, int], None], direction: str
) -> None:
    block = CouplingBlock(generator=torch.Generator().manual_seed(0)).double()
    randomise(block, 0)
    x = torch.rand(1, 3, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(getattr(block, direction), (x,))
