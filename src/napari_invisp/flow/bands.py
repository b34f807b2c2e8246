"""Pixels as the bands of 2x2 cells: what all share, and how they differ."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

# Luma and two chroma directions, each of unit length.
_COLOURS = torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 2.0, -1.0]], dtype=torch.float64)
# Haar's mean and three differences over a cell in reading order.
_CELL = torch.tensor(
    [[1.0, 1.0, 1.0, 1.0], [1.0, -1.0, 1.0, -1.0], [1.0, 1.0, -1.0, -1.0], [1.0, -1.0, -1.0, 1.0]],
    dtype=torch.float64,
)

#: Channels that hold the cells' means, and those that hold the differences inside them.
MEANS, DETAILS = 3, 9


class Bands(nn.Module):
    """An orthonormal change of basis: three colours at four sites ↔ twelve bands of a cell.

    The first three bands are means over the cell, of luma and two chroma directions; the other nine
    are differences along rows, columns and diagonals, of the same three.
    """

    def __init__(self) -> None:
        super().__init__()
        colours = _COLOURS / _COLOURS.norm(dim=1, keepdim=True)
        basis = torch.einsum("bk,oc->bock", _CELL / 2, colours).reshape(12, 3, 2, 2)
        # No buffer: it stays float64, and is cast to the dtype of whatever comes in.
        self._basis = basis.contiguous(memory_format=torch.channels_last)

    def split(self, z: Tensor) -> Tensor:
        """Return ``(N, 12, H/2, W/2)`` bands of ``(N, 3, H, W)``, sides even."""
        return functional.conv2d(z, self._basis.to(z), stride=2)

    def join(self, bands: Tensor) -> Tensor:
        """Take :meth:`split` back."""
        return functional.conv_transpose2d(bands, self._basis.to(bands), stride=2)

    def split_apart(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return the means and the details of :meth:`split`, each with memory of its own."""
        basis = self._basis.to(z)
        means, details = basis[:MEANS], basis[MEANS:]
        return functional.conv2d(z, means, stride=2), functional.conv2d(z, details, stride=2)
