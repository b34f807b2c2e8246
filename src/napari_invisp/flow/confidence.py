"""How far a correction is to be believed in one picture: measured where the truth is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from napari_invisp.errors import CheckpointError
from napari_invisp.flow.parameters import floats

#: Brightnesses at which it is told; linear in between.
_KNOTS = 6
_MOST = 2.0
# Mean squared change below which there is too little of a correction to judge it.
_PRIOR = 1e-8
_DIGITS = 2


@dataclass(frozen=True)
class Confidence:
    """A factor on a correction, by the brightness of the pixel.

    Attributes
    ----------
    levels
        At brightness 0, 0.2, … 1 of the gamma domain: 0 is no correction, 1 the whole of it.
    """

    levels: tuple[float, ...] = (1.0,) * _KNOTS

    @classmethod
    def fitted(cls, brightness: Tensor, correction: Tensor, error: Tensor) -> Confidence:
        """Return what leaves the least squared error.

        Parameters
        ----------
        brightness
            ``(n,)`` of pixels.
        correction
            ``(n, c)`` change of the values that matter, when the correction is made in full.
        error
            ``(n, c)`` truth less uncorrected value.
        """
        near = _weights(brightness.double())
        normal = near.T @ (near * correction.double().square().sum(1, keepdim=True))
        wanted = near.T @ (correction.double() * error.double()).sum(1)
        # Brightnesses that hardly occur stay at 1.
        prior = _PRIOR * len(brightness)
        normal += prior * torch.eye(_KNOTS, dtype=torch.float64)
        levels = torch.linalg.solve(normal, wanted + prior).clamp(0, _MOST)
        return cls(tuple(round(level, _DIGITS) for level in levels.tolist()))

    def at(self, brightness: Tensor) -> Tensor:
        """Return the factor at each brightness of a tensor of any shape."""
        levels = torch.tensor(self.levels).to(brightness)
        place = brightness.clamp(0, 1) * (_KNOTS - 1)
        below = place.floor().clamp(max=_KNOTS - 2)
        index = below.long()
        return torch.lerp(levels[index], levels[index + 1], place - below)

    @classmethod
    def from_list(cls, values: Any) -> Confidence:
        """From a list of :attr:`levels`.

        Raises
        ------
        CheckpointError
            It is something else, or a level is impossible.
        """
        try:
            return cls(floats(values, _KNOTS))
        except (TypeError, ValueError, OverflowError) as error:
            raise CheckpointError(f"the confidence in restoration is damaged: {error}") from None


def _weights(brightness: Tensor) -> Tensor:
    """``(n, knots)``: how much each knot has to say at ``(n,)`` brightnesses."""
    knots = torch.arange(_KNOTS, dtype=brightness.dtype, device=brightness.device)
    place = brightness.clamp(0, 1)[:, None] * (_KNOTS - 1)
    return (1 - (place - knots).abs()).clamp(min=0)
