"""`invisp`: the network of "Invertible Image Signal Processing" (CVPR 2021)."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from napari_invisp.flow.base import InvertibleISP
from napari_invisp.flow.coupling import CouplingBlock
from napari_invisp.flow.profiles import PROFILES, Profile

_BLOCKS = 8


class Invisp(InvertibleISP):
    """Eight coupling blocks: 1,413,760 parameters, 1,410,552 multiplications a pixel each way.

    A fresh network is a random rotation of the channels; the couplings start as the identity. Its
    ``state_dict`` has the names and shapes of the authors' checkpoints.

    Parameters
    ----------
    profile
        How the weights expect their input to be prepared.
    generator
        Source of the random weights; the global one by default.

    Notes
    -----
    Weights are kept in ``channels_last`` order, which convolutions on a CPU prefer. Without
    gradients the CPU takes a faster way to the same result, up to rounding (see
    :class:`~napari_invisp.flow.subnet.DenseBlock`).
    """

    name = "invisp"
    halo = _BLOCKS * CouplingBlock.reach

    def __init__(
        self, profile: Profile = PROFILES["paper"], generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.profile = profile
        blocks = [CouplingBlock(generator=generator) for _ in range(_BLOCKS)]
        self.operations = nn.Sequential(*blocks)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor) -> Tensor:
        """Render network RAW, ``(N, 3, H, W)``, as gamma-encoded sRGB."""
        y: Tensor = self.operations(x)
        return y

    def inverse(self, y: Tensor) -> Tensor:
        """Take gamma-encoded sRGB, ``(N, 3, H, W)``, back to network RAW."""
        for operation in reversed(cast("list[CouplingBlock]", list(self.operations))):
            y = operation.inverse(y)
        return y
