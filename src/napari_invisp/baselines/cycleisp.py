"""`cycleisp`: the RGB → RAW branch of CycleISP (Zamir et al., CVPR 2020)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_invisp.baselines.conventional import PROFILE, Conventional
from napari_invisp.baselines.networks import Correction, check_sizes, conv3x3
from napari_invisp.flow.profiles import Profile

# Channels that squeeze to one in channel attention, as published.
_REDUCTION = 8


class SpatialAttention(nn.Module):
    """Scales pixels by what the largest and the mean feature around them say."""

    def __init__(self) -> None:
        super().__init__()
        self.weigh = nn.Conv2d(2, 1, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Scale ``(N, C, H, W)``."""
        pooled = torch.cat((x.amax(1, keepdim=True), x.mean(1, keepdim=True)), 1)
        return x * torch.sigmoid(self.weigh(pooled))


class ChannelAttention(nn.Module):
    """Scales channels by their means around each pixel.

    The publication takes the mean over whatever image or crop it is given, so that a pixel depends
    on all others. Here it is over a window, so that a frame can be worked on in tiles.

    Parameters
    ----------
    width
        Channels.
    context
        Half-width of the window in pixels.
    """

    def __init__(self, width: int, context: int) -> None:
        super().__init__()
        self.context = context
        squeezed = max(1, width // _REDUCTION)
        self.weigh = nn.Sequential(
            nn.Conv2d(width, squeezed, 1), nn.ReLU(), nn.Conv2d(squeezed, width, 1), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        """Scale ``(N, C, H, W)``."""
        side, margin = 2 * self.context + 1, self.context
        along = functional.avg_pool2d(x, (1, side), 1, (0, margin), count_include_pad=False)
        mean = functional.avg_pool2d(along, (side, 1), 1, (margin, 0), count_include_pad=False)
        scaled: Tensor = x * self.weigh(mean)
        return scaled


class DualAttentionBlock(nn.Module):
    """Two convolutions, both attentions side by side, their sum with the input (paper Fig. 3)."""

    def __init__(self, width: int, context: int) -> None:
        super().__init__()
        self.reach = 2 + max(1, context)
        self.body = nn.Sequential(conv3x3(width, width), nn.PReLU(width), conv3x3(width, width))
        self.spatial = SpatialAttention()
        self.channel = ChannelAttention(width, context)
        self.merge = nn.Conv2d(2 * width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Refine ``(N, C, H, W)``."""
        features = self.body(x)
        attended = torch.cat((self.spatial(features), self.channel(features)), 1)
        refined: Tensor = x + self.merge(attended)
        return refined


class RecursiveResidualGroup(nn.Module):
    """Dual attention blocks and a convolution, with a skip over them all."""

    def __init__(self, width: int, blocks: int, context: int) -> None:
        super().__init__()
        members = [DualAttentionBlock(width, context) for _ in range(blocks)]
        self.reach = sum(member.reach for member in members) + 1
        self.body = nn.Sequential(*members, conv3x3(width, width))

    def forward(self, x: Tensor) -> Tensor:
        """Refine ``(N, C, H, W)``."""
        refined: Tensor = x + self.body(x)
        return refined


class RgbToRaw(Correction):
    """The network of the branch.

    Parameters
    ----------
    width, groups, blocks, context
        As for :class:`CycleIsp`.
    """

    def __init__(self, width: int, groups: int, blocks: int, context: int) -> None:
        super().__init__(conv3x3(width, 3))
        self.head = conv3x3(3, width)
        members = [RecursiveResidualGroup(width, blocks, context) for _ in range(groups)]
        self.body = nn.Sequential(*members, conv3x3(width, width), nn.PReLU(width))
        self.reach = sum(member.reach for member in members) + 3

    def features(self, x: Tensor) -> Tensor:
        """Return the last features of ``(N, 3, H, W)`` sRGB."""
        features: Tensor = self.body(self.head(x))
        return features


class CycleIsp(Conventional):
    """A conventional rendering, and a network that learns to take its JPEG back to RAW.

    Parameters
    ----------
    profile
        How RAW is prepared.
    width, groups, blocks
        Features, recursive residual groups, and dual attention blocks in each: as published.
    context
        Half-width in pixels of the window of channel attention.

    Raises
    ------
    CheckpointError
        A size is impossible.
    """

    name = "cycleisp"
    #: A configuration for small budgets.
    SMALL = {"width": 32, "groups": 2, "blocks": 3, "context": 8}  # noqa: RUF012

    def __init__(
        self,
        profile: Profile = PROFILE,
        width: int = 96,
        groups: int = 3,
        blocks: int = 5,
        context: int = 8,
    ) -> None:
        super().__init__(profile)
        check_sizes(width=width, groups=groups, blocks=blocks, context=context)
        self._sizes = {"width": width, "groups": groups, "blocks": blocks, "context": context}
        self.network = RgbToRaw(width, groups, blocks, context)
        self.halo = self.network.reach
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def configuration(self) -> dict[str, Any]:
        """Return the sizes."""
        return dict(self._sizes)

    def inverse(self, y: Tensor) -> Tensor:
        """Estimate network RAW, ``(N, 3, H, W)``, from sRGB."""
        x: Tensor = self.network(y)
        return x
