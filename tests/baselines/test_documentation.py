"""The figures in the documentation are those of the models."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from napari_invisp.baselines import CycleIsp, InvertibleGrayscale, UNetPair

PAGE = Path(__file__).parents[2] / "docs" / "baselines.md"
KINDS = (CycleIsp, InvertibleGrayscale, UNetPair)
SIDE = 16


def _multiplications(model: nn.Module, direction: str) -> float:
    """Count those of convolutions, for each pixel."""
    total = 0

    def count(layer: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        nonlocal total
        # Each input of a transposed convolution, and each output of another one, meets a kernel.
        values = inputs[0] if isinstance(layer, nn.ConvTranspose2d) else output
        weight = layer.get_parameter("weight")
        total += values.numel() * weight[0].numel()

    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            layer.register_forward_hook(count)
    with torch.inference_mode():
        getattr(model, direction)(torch.rand(1, 3, SIDE, SIDE))
    return total / SIDE**2


@pytest.mark.parametrize("size", ["", "-small"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_table_is_measured(kind: type, size: str) -> None:
    model = kind(**kind.SMALL) if size else kind()  # type: ignore[attr-defined]
    parameters = sum(each.numel() for each in model.parameters())
    rendering, recovering = (_multiplications(model, each) for each in ("forward", "inverse"))
    row = (
        f"| `{model.name}{size}` | {parameters:,} | {rendering:,.0f} | {recovering:,.0f} "
        f"| {model.halo} |"
    )
    assert row in PAGE.read_text("utf-8").splitlines()
