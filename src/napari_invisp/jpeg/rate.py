"""How many bytes a JPEG would take, as far as a gradient needs to know."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from napari_invisp.jpeg.dct import BLOCK, dct_matrix
from napari_invisp.jpeg.tables import quantization_tables, sampling_factors

# ITU-T T.871 (JFIF).
_TO_YCBCR = (
    (0.299, 0.587, 0.114),
    (-0.168736, -0.331264, 0.5),
    (0.5, -0.418688, -0.081312),
)


def detail_bits(rgb: Tensor, quality: int, subsampling: str) -> Tensor:
    """Estimate what the detail of pictures costs in a JPEG, differentiably.

    Every coefficient but the mean of a block counts log2(1 + |c| / q): next to nothing where it is
    quantized to zero, a bit more for each doubling. That is no prediction of a file's size, but it
    grows as the size does.

    Parameters
    ----------
    rgb
        ``(N, 3, H, W)`` sRGB, 0 … 1. What is beyond whole blocks is left out.
    quality, subsampling
        Of the JPEG.

    Returns
    -------
    torch.Tensor
        ``(N,)`` bits a pixel.

    Raises
    ------
    SettingsError
        Quality or subsampling is unknown.
    """
    horizontal, vertical = sampling_factors(subsampling)
    height = rgb.shape[-2] // (BLOCK * vertical) * BLOCK * vertical
    width = rgb.shape[-1] // (BLOCK * horizontal) * BLOCK * horizontal
    matrix = torch.tensor(_TO_YCBCR).to(rgb)
    planes = torch.einsum("oc,nchw->nohw", matrix, rgb[..., :height, :width] * 255)
    chroma = functional.avg_pool2d(planes[:, 1:], (vertical, horizontal))
    tables = torch.from_numpy(quantization_tables(quality)).to(rgb)
    bits = _bits(planes[:, :1], tables[0]) + _bits(chroma, tables[1])
    return bits / (height * width)


def _bits(planes: Tensor, table: Tensor) -> Tensor:
    n, channels, height, width = planes.shape
    dct = dct_matrix().to(planes)
    blocks = planes.reshape(n, channels, height // BLOCK, BLOCK, width // BLOCK, BLOCK)
    coefficients = torch.einsum("ux,ncixjy,vy->ncijuv", dct, blocks, dct)
    details = (coefficients / table).flatten(-2)[..., 1:].abs()
    return torch.log2(1 + details).flatten(1).sum(1)
