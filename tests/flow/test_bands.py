"""The change of basis that the learned parts work in."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from napari_invisp.flow.bands import DETAILS, MEANS, Bands


def picture(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def test_the_basis_is_orthonormal() -> None:
    every_sample = torch.eye(12, dtype=torch.float64).reshape(12, 3, 2, 2)
    matrix = Bands().split(every_sample).flatten(1)
    assert matrix.shape == (12, MEANS + DETAILS)
    torch.testing.assert_close(matrix @ matrix.T, torch.eye(12, dtype=torch.float64))


@given(
    n=st.integers(1, 3),
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    seed=st.integers(0, 99),
)
def test_round_trip(n: int, height: int, width: int, seed: int) -> None:
    bands = Bands()
    z = picture(n, 3, 2 * height, 2 * width, seed=seed)
    split = bands.split(z)
    assert split.shape == (n, 12, height, width)
    assert (bands.join(split) - z).abs().max() < 1e-14
    assert float(split.square().sum()) == pytest.approx(float(z.square().sum()))
    other = picture(n, 12, height, width, seed=seed + 1)
    assert (bands.split(bands.join(other)) - other).abs().max() < 1e-14
    single = z.float()
    assert (bands.join(bands.split(single)) - single).abs().max() < 1e-6


def test_float64_is_exact_after_a_life_in_float32() -> None:
    z = picture(1, 3, 4, 4)
    bands = Bands().float().double()
    assert (bands.join(bands.split(z)) - z).abs().max() < 1e-14


def test_means_hold_what_a_cell_shares_and_details_the_rest() -> None:
    bands = Bands()
    colour = torch.tensor([0.2, 0.5, 0.9], dtype=torch.float64)
    flat = bands.split(colour[:, None, None].expand(1, 3, 2, 2))[0, :, 0, 0]
    assert flat[MEANS:].abs().max() < 1e-15
    expected = [1.6 / math.sqrt(3), -0.7 / math.sqrt(2), -0.1 / math.sqrt(6)]
    assert (flat[:MEANS] / 2).tolist() == pytest.approx(expected)
    uneven = picture(1, 3, 2, 2)
    uneven -= uneven.mean((2, 3), keepdim=True)
    assert bands.split(uneven)[0, :MEANS].abs().max() < 1e-15


def test_means_and_details_come_apart() -> None:
    z = picture(2, 3, 6, 10)
    means, details = Bands().split_apart(z)
    assert (means.shape[1], details.shape[1]) == (MEANS, DETAILS)
    torch.testing.assert_close(torch.cat((means, details), 1), Bands().split(z))


def test_grey_has_luma_alone() -> None:
    grey = picture(1, 1, 6, 8).expand(1, 3, 6, 8)
    split = Bands().split(grey).reshape(1, 4, 3, 3, 4)  # four bands of three colours
    assert split[:, :, 0].abs().min() > 0
    assert split[:, :, 1:].abs().max() < 1e-15


def test_a_cell_depends_on_its_own_pixels() -> None:
    z = picture(1, 3, 8, 8)
    dot = z.clone()
    dot[0, 1, 5, 2] += 1
    changed = (Bands().split(dot) - Bands().split(z)).abs().amax((0, 1)) > 0
    assert changed.nonzero().tolist() == [[2, 1]]
