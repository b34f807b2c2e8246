"""Learned baselines in sizes that a test can afford, with weights that do something."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from napari_invisp.baselines import CycleIsp, InvertibleGrayscale, UNetPair
from napari_invisp.flow.base import InvertibleISP

TINY: dict[str, Callable[[], InvertibleISP]] = {
    "cycleisp": lambda: CycleIsp(width=8, groups=1, blocks=2, context=3),
    "invertible-grayscale": lambda: InvertibleGrayscale(width=4, middle=1, decoder=2),
    "unet": lambda: UNetPair(width=4, depth=3),
}


@pytest.fixture(autouse=True, scope="module")
def _one_thread(one_thread: None) -> None:
    """Run every test here on one thread."""


@pytest.fixture(params=list(TINY))
def fresh(request: pytest.FixtureRequest) -> InvertibleISP:
    """Each learned baseline in turn, as it begins to learn."""
    torch.manual_seed(0)
    return TINY[request.param]().eval()


@pytest.fixture
def learned(fresh: InvertibleISP) -> InvertibleISP:
    """Each learned baseline in turn, as if it had learned to change its input by a little."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in fresh.named_parameters():
            noise = torch.rand(parameter.shape, generator=generator) - 0.5
            if ".last." in name or name.endswith("bias"):
                parameter.copy_(0.1 * noise)
    return fresh
