import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from napari_invisp.errors import SettingsError
from napari_invisp.jpeg.rounding import (
    ROUNDINGS,
    FourierRounding,
    SoftRounding,
    hard,
    make_rounding,
    saturate,
    straight_through,
    straight_through_floor,
)

VALUES = torch.linspace(-40.3, 40.3, 1001, dtype=torch.float64)


def gradient(function, values):
    values = values.clone().requires_grad_()
    function(values).sum().backward()
    return values.grad


@pytest.mark.parametrize("terms", [1, 2, 9, 10])
def test_fourier_is_equation_9(terms: int) -> None:
    x = VALUES.numpy()
    expected, slope = x.copy(), np.ones_like(x)
    for k in range(1, terms + 1):
        expected -= (-1) ** (k + 1) / (math.pi * k) * np.sin(2 * math.pi * k * x)
        slope -= 2 * (-1) ** (k + 1) * np.cos(2 * math.pi * k * x)
    rounding = FourierRounding(terms)
    np.testing.assert_allclose(rounding(VALUES), expected, atol=1e-12)
    np.testing.assert_allclose(gradient(rounding, VALUES), slope, atol=1e-10)


def test_fourier_nears_rounding_with_more_terms() -> None:
    away_from_halves = VALUES[((VALUES % 1) - 0.5).abs() > 0.1]
    errors = [
        (FourierRounding(terms)(away_from_halves) - hard(away_from_halves)).abs().mean()
        for terms in (2, 10, 50)
    ]
    assert errors[0] > 2 * errors[1] > 4 * errors[2]


def test_fourier_holds_the_phase_of_large_float32_values() -> None:
    whole = torch.tensor([1000.0, -1016.0, 4096.0])
    torch.testing.assert_close(FourierRounding()(whole), whole, rtol=0, atol=0)


@pytest.mark.parametrize("alpha", [0.05, 0.2, 0.6])
def test_soft_rounding_is_dsq(alpha: float) -> None:
    x = VALUES.numpy()
    k = math.log(2 / alpha - 1)
    middle = np.floor(x) + 0.5
    expected = middle + 0.5 * np.tanh(k * (x - middle)) / math.tanh(k / 2)
    rounding = SoftRounding(alpha)
    np.testing.assert_allclose(rounding(VALUES), expected, atol=1e-12)
    whole = torch.arange(-5.0, 6.0)
    torch.testing.assert_close(rounding(whole), whole)
    assert (gradient(rounding, VALUES) > 0).all(), "it rises everywhere"


@pytest.mark.parametrize("rounding", [FourierRounding(10), FourierRounding(3), SoftRounding(0.2)])
def test_smooth_roundings_have_their_true_gradient(rounding) -> None:
    values = VALUES[::25].clone().requires_grad_()
    assert torch.autograd.gradcheck(rounding, values)


@given(st.lists(st.floats(-1e4, 1e4, width=32), min_size=1))
def test_hard_rounding_takes_halves_away_from_zero(numbers: list[float]) -> None:
    values = torch.tensor(numbers, dtype=torch.float64)
    expected = [math.copysign(math.floor(abs(x) + 0.5), x) for x in numbers]
    np.testing.assert_array_equal(hard(values), expected)
    torch.testing.assert_close(straight_through(values), hard(values), rtol=0, atol=0)


def test_halves() -> None:
    assert hard(torch.tensor([-2.5, -0.5, 0.5, 2.5])).tolist() == [-3, -1, 1, 3]


def test_gradients_of_hard_and_straight_through() -> None:
    assert (gradient(hard, VALUES) == 0).all()
    assert (gradient(straight_through, VALUES) == 1).all()
    assert (gradient(straight_through_floor, VALUES) == 1).all()
    torch.testing.assert_close(straight_through_floor(VALUES), VALUES.floor(), rtol=0, atol=0)


def test_saturation_lets_only_gradients_towards_the_range_pass() -> None:
    values = torch.tensor([-3.0, -3.0, 0.5, 0.5, 9.0, 9.0], requires_grad=True)
    clipped = saturate(values, 0, 1)
    assert clipped.tolist() == [0, 0, 0.5, 0.5, 1, 1]
    # A step against the gradient raises the value where the gradient is negative.
    clipped.backward(torch.tensor([-1.0, 1.0, -1.0, 1.0, -1.0, 1.0]))
    assert values.grad.tolist() == [-1, 0, -1, 1, 0, 1]


def test_each_name_makes_a_rounding() -> None:
    near_whole = torch.tensor([-1.02, 0.01, 3.0])
    for name in ROUNDINGS:
        torch.testing.assert_close(
            make_rounding(name)(near_whole), torch.tensor([-1.0, 0.0, 3.0]), rtol=0, atol=0.06
        )
    assert make_rounding("fourier", terms=4) == FourierRounding(4)
    assert make_rounding("dsq", alpha=0.4) == SoftRounding(0.4)


def test_bad_choices_are_named() -> None:
    with pytest.raises(SettingsError, match="'nearest' is not one of fourier"):
        make_rounding("nearest")
    with pytest.raises(SettingsError, match="at least 1 term"):
        FourierRounding(0)
    with pytest.raises(SettingsError, match="between 0 and 1"):
        SoftRounding(1.0)
