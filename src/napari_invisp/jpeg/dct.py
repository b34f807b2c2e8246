"""The discrete cosine transform of JPEG's blocks, as it is defined."""

from __future__ import annotations

import math

import torch
from torch import Tensor

#: Samples a side of a block.
BLOCK = 8


def dct_matrix() -> Tensor:
    """Return ``(8, 8)`` float32: frequencies by samples, orthonormal (ITU-T T.81, A.3.3)."""
    frequency, sample = torch.meshgrid(torch.arange(BLOCK), torch.arange(BLOCK), indexing="ij")
    matrix = 0.5 * torch.cos((2 * sample + 1) * frequency * (math.pi / (2 * BLOCK)))
    matrix[0] /= math.sqrt(2)
    return matrix
