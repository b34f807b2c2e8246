"""A small invertible flow that readies a picture for JPEG: it is the identity until it has learned.

JPEG stores fine detail coarsely. The flow strengthens, where it pays, what would be lost otherwise,
and its inverse weakens it again, together with the noise that JPEG has put on it. It works on the
bands of 2x2 and 4x4 cells: details are scaled and shifted by what a network makes of the means,
then the means are shifted by what another makes of the details, so each step can be taken back.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from napari_invisp.flow.bands import DETAILS, MEANS, Bands
from napari_invisp.flow.stack import Conditions, Stack

# Bound of the log scale of a detail.
_CLAMP = 1.2
# Means and details have other sizes than networks like to see and make.
_MEANS_SEEN, _DETAILS_SEEN, _SHIFT_MADE = 4.0, 8.0, 0.1


class _Scaling(nn.Module):
    """Scale and shift of details, by their means."""

    def __init__(self, conditions: int, width: int, depth: int) -> None:
        super().__init__()
        self.stack = Stack(MEANS, 2 * DETAILS, conditions, width, depth)
        self.everywhere = Conditions(conditions, DETAILS, neutral=True)

    def forward(self, means: Tensor, conditions: Tensor) -> tuple[Tensor, Tensor]:
        scale, shift = self.stack(means * _MEANS_SEEN, conditions).chunk(2, dim=1)
        return _CLAMP * torch.tanh(scale + self.everywhere(conditions)), shift * _SHIFT_MADE

    def apply_to(self, details: Tensor, means: Tensor, conditions: Tensor) -> Tensor:
        scale, shift = self(means, conditions)
        scaled: Tensor = details * scale.exp() + shift
        return scaled

    def take_from(self, details: Tensor, means: Tensor, conditions: Tensor) -> Tensor:
        scale, shift = self(means, conditions)
        taken: Tensor = (details - shift) * (-scale).exp()
        return taken


class ResidualFlow(nn.Module):
    """Invertible, on ``(N, 3, H, W)`` with sides that are multiples of :attr:`cell`.

    Parameters
    ----------
    conditions
        Numbers about each picture.
    width, depth
        Of its networks (see :class:`~napari_invisp.flow.stack.Stack`).

    Attributes
    ----------
    cell
        Sides of what it looks at as one.
    reach
        Receptive half-width in pixels, in either direction.
    """

    cell = 4

    def __init__(self, conditions: int, width: int, depth: int) -> None:
        super().__init__()
        self.bands = Bands()
        self.coarse = _Scaling(conditions, width, depth)
        self.fine = _Scaling(conditions, width, depth)
        self.update = Stack(DETAILS, MEANS, conditions, width, depth)
        self.finish = _Scaling(conditions, width, depth)
        cells = self.update.reach
        self.reach = 4 * cells + 3 + 3 * (2 * cells + 1)

    def forward(self, z: Tensor, conditions: Tensor) -> Tensor:
        """Change a gamma-domain picture, ``(N, 3, H, W)``, given ``(N, conditions)``."""
        means, details = self.bands.split_apart(z - 0.5)
        coarse_means, coarse = self.bands.split_apart(means)
        coarse = self.coarse.apply_to(coarse, coarse_means, conditions)
        means = self.bands.join(torch.cat((coarse_means, coarse), 1))
        details = self.fine.apply_to(details, means, conditions)
        means = means + self._update(details, conditions)
        details = self.finish.apply_to(details, means, conditions)
        joined: Tensor = self.bands.join(torch.cat((means, details), 1))
        return joined + 0.5

    def inverse(self, z: Tensor, conditions: Tensor) -> Tensor:
        """Take :meth:`forward` back."""
        means, details = self.bands.split_apart(z - 0.5)
        details = self.finish.take_from(details, means, conditions)
        means = means - self._update(details, conditions)
        details = self.fine.take_from(details, means, conditions)
        coarse_means, coarse = self.bands.split_apart(means)
        coarse = self.coarse.take_from(coarse, coarse_means, conditions)
        means = self.bands.join(torch.cat((coarse_means, coarse), 1))
        joined: Tensor = self.bands.join(torch.cat((means, details), 1))
        return joined + 0.5

    def _update(self, details: Tensor, conditions: Tensor) -> Tensor:
        shift: Tensor = self.update(details * _DETAILS_SEEN, conditions)
        return shift * _SHIFT_MADE
