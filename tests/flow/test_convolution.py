"""The invertible 1×1 convolution: what it computes, and that it never works with stale matrices."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from napari_invisp.flow.convolution import InvertibleConv1x1


def _seeded(seed: int, channels: int = 3) -> InvertibleConv1x1:
    return InvertibleConv1x1(channels, torch.Generator().manual_seed(seed))


@given(st.integers(0, 1000), st.integers(2, 6))
def test_starts_as_a_rotation(seed: int, channels: int) -> None:
    matrix = _seeded(seed, channels).matrix().detach().double()
    assert torch.allclose(matrix @ matrix.T, torch.eye(channels).double(), atol=1e-5)
    assert torch.linalg.det(matrix).item() == pytest.approx(1, abs=1e-5)


def test_the_generator_alone_decides_the_start() -> None:
    assert torch.equal(_seeded(3).matrix(), _seeded(3).matrix())
    assert not torch.equal(_seeded(3).matrix(), _seeded(4).matrix())


@given(st.integers(0, 1000))
def test_becomes_any_regular_matrix(seed: int) -> None:
    layer = _seeded(0)
    wanted = torch.randn(3, 3, generator=torch.Generator().manual_seed(seed)) + 2 * torch.eye(3)
    layer.become(wanted)
    torch.testing.assert_close(layer.matrix().detach(), wanted, rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        pixels = layer.inverse(layer(torch.eye(3).reshape(3, 3, 1, 1)))
    assert pixels.isfinite().all()


def test_keeps_float32_within_autocast() -> None:
    layer, pixels = _seeded(0), torch.rand(1, 3, 4, 4)
    with torch.autocast("cpu", torch.bfloat16):
        back = layer.inverse(layer(pixels))
    torch.testing.assert_close(back, pixels, rtol=0, atol=1e-5)


def test_multiplies_each_pixel_by_the_composed_matrix() -> None:
    layer = _seeded(0)
    rng = np.random.default_rng(0)
    full = {name: rng.normal(size=(3, 3)) for name in ("lower", "upper")}
    log_s = rng.normal(size=3)
    signs = np.array([1.0, -1.0, -1.0])
    order = np.eye(3)[[2, 0, 1]]
    layer.load_state_dict(
        {
            "lower": torch.tensor(full["lower"]),  # what lies above its diagonal must not count
            "log_s": torch.tensor(log_s),
            "upper": torch.tensor(full["upper"]),
            "p": torch.tensor(order),
            "sign_s": torch.tensor(signs),
        }
    )
    lower, upper = np.eye(3), np.diag(signs * np.exp(log_s))
    for row in range(3):
        for column in range(3):
            if column < row:
                lower[row, column] = full["lower"][row, column]
            if column > row:
                upper[row, column] = full["upper"][row, column]
    pixels = rng.normal(size=(2, 3, 4, 5))
    expected = np.einsum("ij,njhw->nihw", order @ lower @ upper, pixels)
    with torch.no_grad():
        result = layer.double()(torch.tensor(pixels))
    # The parameters went through float32.
    np.testing.assert_allclose(result.numpy(), expected, rtol=0, atol=1e-5)


@given(st.integers(0, 1000), st.booleans())
def test_inverse_takes_forward_back(seed: int, gradients: bool) -> None:
    layer = _seeded(seed)
    x = torch.rand(2, 3, 4, 5, generator=torch.Generator().manual_seed(seed))
    with torch.set_grad_enabled(gradients):
        assert torch.allclose(layer.inverse(layer(x)), x, atol=1e-5)


def _halve(layer: InvertibleConv1x1) -> None:
    with torch.no_grad():
        layer.log_s.sub_(np.log(2))


def _step(layer: InvertibleConv1x1) -> None:
    optimiser = torch.optim.SGD(layer.parameters(), lr=0.5)
    layer(torch.ones(1, 3, 1, 1)).sum().backward()
    optimiser.step()


def _load(layer: InvertibleConv1x1) -> None:
    layer.load_state_dict(_seeded(9).state_dict())


def _assign(layer: InvertibleConv1x1) -> None:
    layer.load_state_dict(_seeded(9).state_dict(), assign=True)


def _reorder(layer: InvertibleConv1x1) -> None:
    layer.p.copy_(layer.p.roll(1, 0))


@pytest.mark.parametrize("change", [_halve, _step, _load, _assign, _reorder])
def test_every_change_of_the_parameters_is_noticed(
    change: Callable[[InvertibleConv1x1], None],
) -> None:
    layer = _seeded(0)
    x = torch.rand(1, 3, 2, 2)
    with torch.no_grad():
        before = layer(x)
    change(layer)
    with torch.no_grad():
        after, back = layer(x), layer.inverse(x)
    assert not torch.allclose(after, before, atol=1e-3)
    with torch.enable_grad():
        assert torch.allclose(after, layer(x), atol=1e-6)
        assert torch.allclose(back, layer.inverse(x), atol=1e-5)


def test_follows_a_change_of_precision() -> None:
    layer = _seeded(0)
    x = torch.rand(1, 3, 2, 2)
    with torch.no_grad():
        single = layer(x)
        double = layer.double()(x.double())
    assert double.dtype == torch.float64
    assert torch.allclose(single.double(), double, atol=1e-6)


def test_works_when_made_in_inference_mode() -> None:
    x = torch.rand(1, 3, 2, 2)
    with torch.inference_mode():
        layer = _seeded(0)
        before = layer(x)
        layer.log_s.sub_(np.log(2))
        assert not torch.allclose(layer(x), before)
        assert torch.allclose(layer.inverse(layer(x)), x, atol=1e-5)


@pytest.mark.parametrize("direction", ["forward", "inverse"])
def test_gradients_are_those_of_the_function(direction: str) -> None:
    layer = _seeded(2).double()
    x = torch.rand(1, 3, 2, 2, dtype=torch.float64, requires_grad=True)

    def evaluate(x: torch.Tensor, *_: torch.Tensor) -> torch.Tensor:
        return getattr(layer, direction)(x)

    assert torch.autograd.gradcheck(evaluate, (x, layer.lower, layer.log_s, layer.upper))


def test_condition_tells_what_can_be_inverted() -> None:
    layer = _seeded(0)
    assert layer.condition() == pytest.approx(1, abs=1e-5)
    with torch.no_grad():
        layer.log_s[0] += np.log(1000)
    assert layer.condition() > 100
    with torch.no_grad():
        layer.sign_s[0] = 0
    assert layer.condition() > 1e12
    with torch.no_grad():
        layer.log_s[1] = 1000.0  # exp of it is infinite
    assert layer.condition() == float("inf")
