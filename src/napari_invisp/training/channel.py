"""The lossy channel between rendering and recovering, as it is while training."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from napari_invisp.jpeg.rounding import RoundingName, saturate
from napari_invisp.jpeg.simulator import JpegSimulator
from napari_invisp.training.objective import Example
from napari_invisp.training.settings import TrainSettings


class JpegChannel(nn.Module):
    """JPEG of a quality and subsampling drawn for each example, or clipping alone.

    Parameters
    ----------
    settings
        ``jpeg``, ``rounding``, ``quality`` and ``subsampling`` of these.
    """

    def __init__(self, settings: TrainSettings) -> None:
        super().__init__()
        self._qualities = settings.quality[0], settings.quality[-1]
        self._subsamplings = settings.subsampling
        self._simulator = (
            JpegSimulator(cast("RoundingName", settings.rounding), exact=True)
            if settings.jpeg == "simulated"
            else None
        )

    def draw(self, rng: np.random.Generator) -> Example:
        """Return what :meth:`forward` has to find in the batch, for one example."""
        low, high = self._qualities
        return {
            "quality": torch.tensor(rng.integers(low, high, endpoint=True)),
            "subsampling": torch.tensor(rng.integers(len(self._subsamplings))),
        }

    def forward(self, rgb: Tensor, batch: Example) -> Tensor:
        """Return ``(N, 3, H, W)`` sRGB, 0 … 1, as it comes out of JPEG files."""
        if self._simulator is None:
            return saturate(rgb, 0, 1)
        if len(self._subsamplings) == 1:
            return cast(Tensor, self._simulator(rgb, batch["quality"], self._subsamplings[0]))
        decoded = torch.empty_like(rgb)
        for number, subsampling in enumerate(self._subsamplings):
            these = (batch["subsampling"] == number).nonzero().flatten()
            if len(these):
                part = self._simulator(rgb[these], batch["quality"][these], subsampling)
                decoded = decoded.index_copy(0, these, part)
        return decoded
