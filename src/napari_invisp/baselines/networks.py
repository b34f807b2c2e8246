"""What the learned baselines share: networks that correct their input, and how far they see."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_invisp.errors import CheckpointError
from napari_invisp.flow.base import InvertibleISP
from napari_invisp.flow.profiles import PROFILES, Profile


def conv3x3(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    """Make a 3x3 convolution that keeps the size, but for its stride."""
    return nn.Conv2d(inputs, outputs, 3, stride, padding=1)


def check_sizes(**sizes: object) -> None:
    """Refuse sizes that no network can have.

    Raises
    ------
    CheckpointError
        One of them is not a whole number between 1 and 1024.
    """
    for name, size in sizes.items():
        if not isinstance(size, int) or isinstance(size, bool) or not 1 <= size <= 1024:
            raise CheckpointError(f"{name} of a network must be between 1 and 1024, not {size!r}")


class Correction(nn.Module, ABC):
    """A network whose output is its input and a correction; none at all when it is new.

    Parameters
    ----------
    last
        Its last layer, which has three outputs.

    Attributes
    ----------
    reach
        Receptive half-width in pixels.
    grid
        Sides that are multiples of it go through the network as they are; others are continued
        by their last pixel for the time being.
    """

    reach: int
    grid: int = 1

    def __init__(self, last: nn.Conv2d) -> None:
        super().__init__()
        self.last = last
        for parameter in last.parameters():
            nn.init.zeros_(parameter)

    @abstractmethod
    def features(self, x: Tensor) -> Tensor:
        """Return what the last layer sees: ``(N, C, H, W)`` of ``(N, 3, H, W)``."""

    def forward(self, x: Tensor) -> Tensor:
        """Correct ``(N, 3, H, W)``."""
        height, width = x.shape[-2:]
        beyond = (0, -width % self.grid, 0, -height % self.grid)
        padded = functional.pad(x, beyond, mode="replicate") if any(beyond) else x
        correction: Tensor = self.last(self.features(padded))
        return x + correction[..., :height, :width]


class Pair(InvertibleISP):
    """Two networks, one for each direction; that they are inverse to each other has to be learned.

    Parameters
    ----------
    encoder, decoder
        Network RAW → sRGB, and back.
    profile
        How RAW is prepared.
    """

    def __init__(
        self, encoder: Correction, decoder: Correction, profile: Profile = PROFILES["paper"]
    ) -> None:
        super().__init__()
        self.profile = profile
        self.encoder = encoder
        self.decoder = decoder
        self.halo = max(encoder.reach, decoder.reach)
        self.grid = max(2, encoder.grid, decoder.grid)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor) -> Tensor:
        """Render network RAW, ``(N, 3, H, W)``, as gamma-encoded sRGB."""
        y: Tensor = self.encoder(x)
        return y

    def inverse(self, y: Tensor) -> Tensor:
        """Estimate network RAW, ``(N, 3, H, W)``, from sRGB."""
        x: Tensor = self.decoder(y)
        return x


def u_shaped_reach(
    before: Sequence[int],
    joining: Sequence[int],
    after: Sequence[int],
    bottom: int,
    down: tuple[int, int],
) -> int:
    """Receptive half-width of a network that halves its resolution and doubles it again.

    Where a pixel lies against the coarse grids matters, so every position is followed back.

    Parameters
    ----------
    before, joining, after
        For each level, finest first, how many 3x3 convolutions stand before the skip connection
        leaves, between the doubling from below and the skip connection's arrival, and after that.
    bottom
        How many stand at the coarsest level, below all of these.
    down
        First and last fine pixel, from twice its own position, that a coarse pixel is made of.

    Returns
    -------
    int
        In pixels of the finest level.
    """
    depth = len(before)

    def seen(level: int, first: int, last: int) -> tuple[int, int]:
        """Input of a level that an interval of its output is made of."""
        if level == depth:
            return first - bottom, last + bottom
        first, last = first - after[level], last + after[level]
        between = joining[level]
        coarse = seen(level + 1, (first - between) // 2, (last + between) // 2)
        first, last = min(first, 2 * coarse[0] + down[0]), max(last, 2 * coarse[1] + down[1])
        return first - before[level], last + before[level]

    intervals = [(position, seen(0, position, position)) for position in range(2**depth)]
    return max(max(at - first, last - at) for at, (first, last) in intervals)
