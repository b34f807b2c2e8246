"""What JPEG did to a picture, estimated and taken away before the way back to RAW."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from napari_invisp.flow.bands import DETAILS, MEANS, Bands
from napari_invisp.flow.stack import Conditions, Stack

_BANDS = MEANS + DETAILS
# Bands have other sizes than networks like to see; corrections are a few 8-bit codes.
_MEANS_SEEN, _DETAILS_SEEN, _CODES = 2.0, 8.0, 0.02
# A JPEG with subsampled chroma repeats every 16 pixels.
_PERIOD = 16
_PLACES = 8


class Restoration(nn.Module):
    """A correction of ``(N, 3, H, W)`` decoded pixels, sides even; none until it has learned.

    Parameters
    ----------
    conditions
        Numbers about each picture.
    width, depth
        See :class:`~napari_invisp.flow.stack.Stack`.

    Attributes
    ----------
    reach
        Receptive half-width in pixels.
    """

    def __init__(self, conditions: int, width: int, depth: int) -> None:
        super().__init__()
        self.bands = Bands()
        self.stack = Stack(_BANDS + _PLACES, _BANDS, conditions, width, depth)
        self.size = Conditions(conditions, _BANDS)
        self.reach = 2 * self.stack.reach + 1

    def forward(self, z: Tensor, places: Tensor, conditions: Tensor) -> Tensor:
        """Correct a decoded picture.

        Parameters
        ----------
        z
            ``(N, 3, H, W)`` of the gamma domain.
        places
            ``(N, 8, H/2, W/2)`` from :func:`places_on_grid`.
        conditions
            ``(N, conditions)``.
        """
        means, details = self.bands.split_apart(z - 0.5)
        seen = torch.cat((means * _MEANS_SEEN, details * _DETAILS_SEEN, places), 1)
        size = _CODES * (0.5 * self.size(conditions)).exp()
        correction: Tensor = self.stack(seen, conditions)
        return z + self.bands.join(correction * size)


def places_on_grid(row: int, column: int, height: int, width: int) -> Tensor:
    """Tell where on JPEG's grid the 2x2 cells of a picture lie, as a network can use it.

    Parameters
    ----------
    row, column
        Of the first pixel, in the frame.
    height, width
        In cells.

    Returns
    -------
    torch.Tensor
        ``(8, height, width)``: cosine and sine along the blocks and along their pairs.
    """

    def along(start: int, count: int) -> Tensor:
        angle = (start + 2 * torch.arange(count)) * (2 * math.pi / _PERIOD)
        return torch.stack([(2 * angle).cos(), (2 * angle).sin(), angle.cos(), angle.sin()])

    rows, columns = along(row, height), along(column, width)
    half = len(rows)
    return torch.cat(
        (
            rows[:, :, None].expand(half, height, width),
            columns[:, None, :].expand(half, height, width),
        )
    )
