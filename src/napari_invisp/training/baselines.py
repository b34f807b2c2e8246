"""What the baselines learn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from napari_invisp.baselines import CycleIsp, InvertibleGrayscale, UNetPair
from napari_invisp.flow.profiles import PROFILES
from napari_invisp.training.bidirectional import Bidirectional, network_input, target_srgb
from napari_invisp.training.channel import JpegChannel
from napari_invisp.training.objective import Example, Objective
from napari_invisp.training.patch import Patch, PatchSource
from napari_invisp.training.settings import TrainSettings


class Inversion(Objective):
    """L1 of the RAW that is recovered from a JPEG of the reference: rendering is not learned.

    The target is bilinearly demosaiced, as in the paper, whatever the model renders from.

    Parameters
    ----------
    model
        A model that takes sRGB back to network RAW.
    settings
        The JPEG.
    """

    margin = Bidirectional.margin

    def __init__(self, model: CycleIsp, settings: TrainSettings) -> None:
        super().__init__()
        self.model = model
        self._channel = JpegChannel(settings)

    def example(self, patch: Patch, rng: np.random.Generator) -> Example:
        """Return network RAW as ``raw``, the reference as ``rgb``, and a kind of JPEG."""
        raw = network_input(patch, PROFILES["paper"])
        return {"raw": raw, "rgb": target_srgb(patch), **self._channel.draw(rng)}

    def forward(self, batch: Example) -> dict[str, Tensor]:
        """Return ``loss`` and, the same, ``raw``."""
        with torch.no_grad():
            decoded = self._channel(batch["rgb"], batch)
        raw = functional.l1_loss(self.model.inverse(decoded), batch["raw"])
        return {"loss": raw, "raw": raw.detach()}


class Baseline:
    """Makes the objective of a baseline with fresh weights.

    Parameters
    ----------
    kind
        The model.
    sizes
        Its configuration; the published one by default.
    """

    def __init__(
        self,
        kind: type[CycleIsp | InvertibleGrayscale | UNetPair],
        sizes: Mapping[str, int] | None = None,
    ) -> None:
        self._kind = kind
        self._sizes: dict[str, Any] = dict(sizes or {})

    def __call__(self, settings: TrainSettings, source: PatchSource) -> Objective:
        """Make it, for the settings of a run."""
        if issubclass(self._kind, CycleIsp):
            return Inversion(self._kind(**self._sizes), settings)
        profile = PROFILES["paper" if settings.white_balance else "paper-unbalanced"]
        return Bidirectional(self._kind(profile, **self._sizes), settings)


_KINDS = (CycleIsp, InvertibleGrayscale, UNetPair)

#: Each baseline that learns, as published and (``…-small``) in a size for small budgets.
BASELINES = {kind.name: Baseline(kind) for kind in _KINDS} | {
    f"{kind.name}-small": Baseline(kind, kind.SMALL) for kind in _KINDS
}
