"""Networks with weights that do something, yet keep the numbers tame."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from napari_invisp.flow.invisp import Invisp


@pytest.fixture(autouse=True, scope="module")
def _one_thread(one_thread: None) -> None:
    """Run every test here on one thread."""


@pytest.fixture(scope="session")
def randomise() -> Callable[[nn.Module, int], None]:
    """Fill a module's convolutions and scales with random numbers of a trained net's magnitude."""

    def fill(module: nn.Module, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for name, parameter in module.named_parameters():
                noise = torch.rand(parameter.shape, generator=generator) * 2 - 1
                kind = name.rpartition(".")[2]
                if kind == "weight":
                    parameter.copy_(noise / parameter[0].numel() ** 0.5)
                elif kind == "bias":
                    parameter.copy_(0.02 * noise)
                else:
                    parameter.add_(0.1 * noise)

    return fill


@pytest.fixture
def invisp(randomise: Callable[[nn.Module, int], None]) -> Invisp:
    """The paper's network with random weights."""
    model = Invisp(generator=torch.Generator().manual_seed(1))
    randomise(model, 1)
    return model.eval()
