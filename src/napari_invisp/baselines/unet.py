"""`unet`: a pair of U-nets, as camera pipelines are learned with (Chen et al., CVPR 2018)."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_invisp.baselines.networks import (
    Correction,
    Pair,
    check_sizes,
    conv3x3,
    u_shaped_reach,
)
from napari_invisp.flow.profiles import PROFILES, Profile

_SLOPE = 0.2


def _twice(inputs: int, outputs: int) -> nn.Sequential:
    first, second = conv3x3(inputs, outputs), conv3x3(outputs, outputs)
    for convolution in (first, second):
        # PyTorch's own start lets the signal of so many layers in a row die away.
        nn.init.kaiming_normal_(convolution.weight, _SLOPE)
    return nn.Sequential(first, nn.LeakyReLU(_SLOPE), second, nn.LeakyReLU(_SLOPE))


class UNet(Correction):
    """A U-net: two convolutions a level, max pooling, transposed convolutions, concatenated skips.

    Parameters
    ----------
    width, depth
        As for :class:`UNetPair`.
    """

    def __init__(self, width: int, depth: int) -> None:
        super().__init__(nn.Conv2d(width, 3, 1))
        widths = [width * 2**level for level in range(depth + 1)]
        pairs = list(pairwise(widths))
        self.begin = _twice(3, width)
        self.down = nn.ModuleList(_twice(fine, coarse) for fine, coarse in pairs)
        self.widen = nn.ModuleList(nn.ConvTranspose2d(c, f, 2, stride=2) for f, c in pairs)
        self.up = nn.ModuleList(_twice(2 * fine, fine) for fine, _ in pairs)
        self.grid = 2**depth
        self.reach = u_shaped_reach([2] * depth, [0] * depth, [2] * depth, 2, down=(0, 1))

    def features(self, x: Tensor) -> Tensor:
        """Return the last features of ``(N, 3, H, W)``, sides multiples of ``grid``."""
        x = self.begin(x)
        skips = []
        for down in self.down:
            skips.append(x)
            x = down(functional.max_pool2d(x, 2))
        for level in reversed(range(len(skips))):
            x = self.up[level](torch.cat((self.widen[level](x), skips.pop()), 1))
        return x


class UNetPair(Pair):
    """One U-net renders, another recovers.

    Parameters
    ----------
    profile
        How RAW is prepared.
    width
        Features at the finest level; each coarser one has twice as many.
    depth
        How many times the resolution is halved.

    Raises
    ------
    CheckpointError
        A size is impossible.
    """

    name = "unet"
    #: A configuration for small budgets.
    SMALL = {"width": 16, "depth": 3}  # noqa: RUF012

    def __init__(
        self, profile: Profile = PROFILES["paper"], width: int = 32, depth: int = 4
    ) -> None:
        check_sizes(width=width, depth=depth)
        check_sizes(coarsest_width=width << depth)
        super().__init__(UNet(width, depth), UNet(width, depth), profile)
        self._sizes = {"width": width, "depth": depth}

    def configuration(self) -> dict[str, Any]:
        """Return the sizes."""
        return dict(self._sizes)
