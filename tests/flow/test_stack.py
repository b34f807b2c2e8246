"""The networks inside `universal`: what they see, and what they are told."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from napari_invisp.flow.stack import Conditions, Stack, _has_bfloat16

Fill = Callable[[nn.Module, int], None]


@pytest.fixture(params=[0, 2])
def stack(request: pytest.FixtureRequest, randomise: Fill) -> Stack:
    stack = Stack(2, 3, conditions=4, width=8, depth=request.param)
    randomise(stack, 3)
    return stack


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_a_fresh_stack_gives_zero() -> None:
    fresh = Stack(2, 3, conditions=4, width=8, depth=1)
    assert torch.equal(fresh(noise(2, 2, 5, 6), noise(2, 4)), torch.zeros(2, 3, 5, 6))


def test_only_neutral_conditions_begin_without_a_meaning() -> None:
    told = noise(3, 4)
    assert torch.equal(Conditions(4, 5, neutral=True)(told), torch.zeros(3, 5, 1, 1))
    assert Conditions(4, 5)(told).std() > 0


@pytest.fixture
def exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_invisp.flow.stack._has_bfloat16", lambda: False)


@pytest.mark.usefixtures("exact")
def test_each_picture_has_conditions_of_its_own(stack: Stack) -> None:
    x, told = noise(1, 2, 6, 7).repeat(2, 1, 1, 1), noise(2, 4)
    with torch.no_grad():
        both = stack(x, told)
        alone = [stack(x[:1], told[n : n + 1]) for n in range(2)]
    assert (both[0] - both[1]).abs().max() > 1e-3
    torch.testing.assert_close(both, torch.cat(alone))


@pytest.mark.usefixtures("exact")
def test_the_way_without_gradients_computes_the_same(stack: Stack) -> None:
    for count in (1, 2):
        x, told = noise(count, 2, 6, 7), noise(count, 4)
        seen = x.clone()
        with torch.no_grad():
            fast = stack(x, told)
        assert torch.equal(x, seen)
        assert fast.abs().max() > 0.01
        torch.testing.assert_close(fast, stack(x, told).detach())


def test_sees_as_far_as_it_says_and_no_further(stack: Stack) -> None:
    x, told = noise(1, 2, 1, 21), noise(1, 4)
    dot = x.clone()
    dot[..., 10] += 5
    with torch.no_grad():
        changed = (stack(dot, told) - stack(x, told)).abs().amax((0, 1, 2)) > 0
    reached = changed.nonzero().flatten() - 10
    assert (reached.min(), reached.max()) == (-stack.reach, stack.reach)


def test_gradients_reach_every_parameter(stack: Stack) -> None:
    stack(noise(2, 2, 5, 5), noise(2, 4)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in stack.parameters())


@pytest.mark.parametrize("native", [True, False])
def test_bfloat16_where_the_processor_has_it_changes_next_to_nothing(
    stack: Stack, native: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_invisp.flow.stack._has_bfloat16", lambda: native)
    x, told = noise(1, 2, 40, 50), noise(1, 4)
    learning = stack(x, told).detach()
    with torch.inference_mode():
        working = stack(x, told)
    assert working.dtype == torch.float32
    difference = (working - learning).square().mean().sqrt()
    assert (difference > 1e-5 * learning.std()) == native
    assert difference < 0.02 * learning.std()


def test_the_processor_says_whether_it_has_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    for said, expected in (
        ({"avx512_bf16": True}, True),
        ({"amx_bf16": True}, True),
        ({"avx512_f": True, "avx512_bf16": False}, False),
        ({"architecture": "aarch64"}, False),
    ):
        monkeypatch.setattr("torch.cpu.get_capabilities", said.copy, raising=False)
        assert _has_bfloat16() == expected
    monkeypatch.delattr("torch.cpu.get_capabilities")
    assert not _has_bfloat16()
