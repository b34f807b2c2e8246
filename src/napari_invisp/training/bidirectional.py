"""What the paper's network learns: to render, and to recover from the JPEG, at once."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from napari_invisp.conversion import as_seen_by, to_network
from napari_invisp.errors import TrainingError
from napari_invisp.flow.base import InvertibleISP
from napari_invisp.flow.convolution import InvertibleConv1x1
from napari_invisp.flow.invisp import Invisp
from napari_invisp.flow.profiles import PROFILES, Profile
from napari_invisp.sensor.libraw import demosaic
from napari_invisp.training.channel import JpegChannel
from napari_invisp.training.objective import Example, Objective
from napari_invisp.training.patch import Patch, PatchSource
from napari_invisp.training.sampling import beginning_rng
from napari_invisp.training.settings import TrainSettings

# Bilinear interpolation looks one pixel around, and a margin is even.
_MARGIN = 2
# Patches and their side that the analytic start is fitted to.
_FITTED, _FITTED_SIDE = 64, 64
_FITTED_AT_LEAST = 100


def network_input(patch: Patch, profile: Profile) -> Tensor:
    """Return a patch as the pipeline's network input, ``(3, S, S)``, without its margin."""
    balanced = demosaic(as_seen_by(patch.record, profile), profile.demosaicing)
    values = torch.from_numpy(balanced).permute(2, 0, 1)
    return to_network(_inner(values, patch.margin), profile)


def target_srgb(patch: Patch) -> Tensor:
    """Return a patch's reference as ``(3, S, S)`` sRGB, 0 … 1, without its margin."""
    return _inner(torch.from_numpy(patch.reference).permute(2, 0, 1), patch.margin) / 255


def _inner(values: Tensor, margin: int) -> Tensor:
    height, width = values.shape[-2:]
    return values[:, margin : height - margin, margin : width - margin].contiguous()


class Bidirectional(Objective):
    """L1 of the rendering, and λ times L1 of the RAW that is recovered from its JPEG (paper Eq. 8).

    Unlike the authors' code the rendering is not clipped before it is compared, so that values
    beyond the range always have a way back.

    Parameters
    ----------
    model
        Any model that adapts to no file.
    settings
        λ and the JPEG.
    """

    margin = _MARGIN

    def __init__(self, model: InvertibleISP, settings: TrainSettings) -> None:
        super().__init__()
        self.model = model
        self._lam = settings.lam
        self._channel = JpegChannel(settings)

    def example(self, patch: Patch, rng: np.random.Generator) -> Example:
        """Return network RAW as ``raw``, the reference as ``rgb``, and a kind of JPEG."""
        raw = network_input(patch, self.model.profile)
        return {"raw": raw, "rgb": target_srgb(patch), **self._channel.draw(rng)}

    def forward(self, batch: Example) -> dict[str, Tensor]:
        """Return ``loss``, and ``rgb`` and ``raw`` that it is made of."""
        rendered = self.model(batch["raw"])
        recovered = self.model.inverse(self._channel(rendered, batch))
        rgb = functional.l1_loss(rendered, batch["rgb"])
        raw = functional.l1_loss(recovered, batch["raw"])
        return {"loss": rgb + self._lam * raw, "rgb": rgb, "raw": raw}


def invisp(settings: TrainSettings, source: PatchSource) -> Bidirectional:
    """Make the objective of the paper's network, with fresh weights."""
    profile = PROFILES["paper" if settings.white_balance else "paper-unbalanced"]
    model = Invisp(profile)
    if settings.analytic:
        start_analytically(model, source, settings.seed)
    return Bidirectional(model, settings)


def start_analytically(model: Invisp, source: PatchSource, seed: int) -> None:
    """Let a fresh network be the 3x3 matrix that best takes its input to the reference.

    The couplings of a fresh network do nothing, so its 1×1 convolutions multiply. All but the first
    keep their random rotations, which mix the channels; the first makes up for them.

    Raises
    ------
    TrainingError
        The pictures determine no matrix.
    """
    rng = beginning_rng(seed)
    patches = [source.draw(rng, _FITTED_SIDE, _MARGIN) for _ in range(_FITTED)]
    raw = torch.cat([network_input(each, model.profile).flatten(1) for each in patches], dim=1)
    rgb = torch.cat([target_srgb(each).flatten(1) for each in patches], dim=1)
    linear = ((rgb > 0) & (rgb < 1)).all(0)
    inputs, outputs = raw[:, linear].double().T, rgb[:, linear].double().T
    if len(inputs) < _FITTED_AT_LEAST or torch.linalg.matrix_rank(inputs) < len(raw):
        raise TrainingError("the pictures hold too little colour for an analytic start")
    matrix = torch.linalg.lstsq(inputs, outputs).solution.T
    first, *others = (each for each in model.modules() if isinstance(each, InvertibleConv1x1))
    for other in reversed(others):
        matrix = torch.linalg.solve(other.matrix().detach().double(), matrix)
    first.become(matrix)
