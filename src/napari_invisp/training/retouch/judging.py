"""What tells how well a policy does: the discriminator, the value of a state, and a distance."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from napari_invisp.retouching.filters import luminance
from napari_invisp.retouching.looks import colourfulness
from napari_invisp.retouching.policy import SIDE, Trunk
from napari_invisp.retouching.settings import FILTERS

# A picture that is another by a tenth of the range everywhere is worth a difference of 1 at most.
_STEEPEST = 10.0
# How much a slope of the discriminator other than that costs (Gulrajani et al. 2017).
_SLOPE_PRICE = 10.0

_QUANTILES = torch.linspace(0.02, 0.98, 33)


def make_discriminator() -> Trunk:
    """Make the judge of how much a picture looks like a retouched one; ``(N, 1)``."""
    return Trunk(0, 1)


def make_value() -> Trunk:
    """Make the judge of what a state will bring until the end; ``(N, 1)``."""
    value = Trunk(len(FILTERS) + 1, 1)
    last = value.judge[-1]
    assert isinstance(last, nn.Linear)
    nn.init.zeros_(last.weight)  # nothing is known of any state
    nn.init.zeros_(last.bias)
    return value


def discriminator_cost(judge: Trunk, real: Tensor, fake: Tensor) -> Tensor:
    """Cost of a Wasserstein critic with gradient penalty (*Exposure*, section 5.4).

    Parameters
    ----------
    judge
        From :func:`make_discriminator`.
    real, fake
        ``(N, 3, SIDE, SIDE)`` display values.
    """
    part = torch.rand(len(real), 1, 1, 1)
    between = torch.lerp(fake, real, part).requires_grad_()
    (slope,) = torch.autograd.grad(judge(between).sum(), between, create_graph=True)
    # In units of the root mean square over all values of a picture.
    steepness = slope.flatten(1).norm(dim=1) * (math.sqrt(3 * SIDE * SIDE) / _STEEPEST)
    penalty = (steepness - 1).square().mean()
    cost: Tensor = judge(fake).mean() - judge(real).mean() + _SLOPE_PRICE * penalty
    return cost


def distance(ours: Tensor, theirs: Tensor) -> float:
    """Tell how far two sets of pictures are apart at a glance, 0 if alike.

    The mean over brightness, contrast, colourfulness and two differences of colour, each a mean
    over a picture, of the Wasserstein distance between both sets.

    Parameters
    ----------
    ours, theirs
        ``(N, 3, H, W)`` display values, any number of each.
    """
    one, other = (torch.quantile(_glance(each), _QUANTILES, dim=0) for each in (ours, theirs))
    return float((one - other).abs().mean())


def _glance(display: Tensor) -> Tensor:
    shown = display.clamp(0, 1)
    light = luminance(shown).flatten(1)
    red, green, blue = shown.flatten(2).mean(2).unbind(1)
    return torch.stack(
        (
            light.mean(1),
            light.std(1),
            colourfulness(shown).flatten(1).mean(1),
            red - green,
            (red + green) / 2 - blue,
        ),
        dim=1,
    )
