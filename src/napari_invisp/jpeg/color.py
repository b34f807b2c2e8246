"""Colour conversion and chroma sampling in the fixed-point arithmetic of libjpeg, on float tensors.

Every function takes ``floor``, which rounds down: ``torch.floor``, or a stand-in with a gradient.
All numbers are integers below 2^24, so float32 holds them exactly and the results are libjpeg's
own.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from napari_invisp.jpeg.rounding import Rounding

# Coefficients of ITU-T T.871 (JFIF) in units of 2^-16, as libjpeg rounds them.
_TO_YCBCR = ((19595, 38470, 7471), (-11059, -21709, 32768), (32768, -27439, -5329))
_TO_YCBCR_BIAS = (32768, (128 << 16) + 32767, (128 << 16) + 32767)
_RED_FROM_CR, _BLUE_FROM_CB = 91881, 116130
_GREEN_FROM_CB, _GREEN_FROM_CR = -22554, -46802
_UNIT = 2.0**-16


def rgb_to_ycbcr(rgb: Tensor, floor: Rounding) -> Tensor:
    """Convert ``(N, 3, H, W)`` RGB to YCbCr, both in whole numbers 0 … 255."""
    red, green, blue = rgb.unbind(1)
    planes = [
        floor((r * red + g * green + b * blue + bias) * _UNIT)
        for (r, g, b), bias in zip(_TO_YCBCR, _TO_YCBCR_BIAS, strict=True)
    ]
    return torch.stack(planes, 1)


def ycbcr_to_rgb(luma: Tensor, chroma: Tensor, floor: Rounding) -> Tensor:
    """Convert ``(N, 1, H, W)`` Y and ``(N, 2, H, W)`` CbCr to RGB, not yet clipped to 0 … 255."""
    cb, cr = torch.split(chroma - 128, 1, 1)
    red = luma + floor((_RED_FROM_CR * cr + 32768) * _UNIT)
    green = luma + floor((_GREEN_FROM_CB * cb + _GREEN_FROM_CR * cr + 32768) * _UNIT)
    blue = luma + floor((_BLUE_FROM_CB * cb + 32768) * _UNIT)
    return torch.cat((red, green, blue), 1)


def rgb_from_components(components: Tensor) -> Tensor:
    """Convert YCbCr to RGB as it is defined (ITU-T T.871), without rounding.

    Parameters
    ----------
    components
        ``(N, 3, H, W)`` of a floating type, 0 … 255.

    Returns
    -------
    torch.Tensor
        ``(N, 3, H, W)``, clipped to 0 … 255.
    """
    luma, cb, cr = components.unbind(1)
    cb, cr = cb - 128, cr - 128
    red, blue = luma + 1.402 * cr, luma + 1.772 * cb
    green = luma - 0.344136 * cb - 0.714136 * cr
    return torch.stack((red, green, blue), 1).clamp(0, 255)


def downsample(planes: Tensor, factors: tuple[int, int], floor: Rounding) -> Tensor:
    """Average the samples under each chroma sample as libjpeg's encoder does.

    Parameters
    ----------
    planes
        ``(N, C, H, W)``, 0 … 255. The last column is repeated up to whole blocks of 8 chroma
        samples, the last row up to whole chroma samples.
    factors
        ``(horizontal, vertical)``: (1, 1), (2, 1) or (2, 2).
    floor
        Rounds down.

    Returns
    -------
    torch.Tensor
        ``(N, C, ⌈H/vertical⌉, 8·⌈W/(8·horizontal)⌉)``, 0 … 255 (4:4:4: ``planes``). What is added
        before rounding down alternates from column to column, so that halves go up as often as
        down.
    """
    horizontal, vertical = factors
    if horizontal == 1:
        return planes
    height, width = planes.shape[-2:]
    margins = (0, -width % (8 * horizontal), 0, -height % vertical)
    planes = functional.pad(planes, margins, mode="replicate")
    count, channels, height, width = planes.shape
    rows, columns = height // vertical, width // horizontal
    total = planes.reshape(count, channels, rows, vertical, columns, horizontal).sum((3, 5))
    bias = torch.arange(columns, device=planes.device) % 2 + (1 if vertical == 2 else 0)
    return floor((total + bias) / (horizontal * vertical))


def upsample(planes: Tensor, factors: tuple[int, int], floor: Rounding | None) -> Tensor:
    """Interpolate chroma as libjpeg's decoder does by default ("fancy upsampling").

    Each sample of the result is 3/4 of the nearest and 1/4 of the next chroma sample in each
    direction that was subsampled. Beyond the edges, the last sample is repeated. Planes of one or
    two columns are repeated instead.

    Parameters
    ----------
    planes
        ``(N, C, h, w)``, 0 … 255.
    factors
        ``(horizontal, vertical)``: (1, 1), (2, 1) or (2, 2).
    floor
        Rounds down; none leaves the result as it is interpolated.

    Returns
    -------
    torch.Tensor
        ``(N, C, h·vertical, w·horizontal)``, 0 … 255.
    """
    horizontal, vertical = factors
    if horizontal == 1:
        return planes
    if planes.shape[-1] <= 2:
        return planes.repeat_interleave(vertical, -2).repeat_interleave(horizontal, -1)
    # Rounding happens once, at the end: sums of quarters (4:2:2) or sixteenths (4:2:0).
    even_bias, odd_bias = (1.0, 2.0) if vertical == 1 else (8.0, 7.0)
    if floor is None:
        even_bias = odd_bias = 0.0
    if vertical == 2:
        above = torch.cat((planes[..., :1, :], planes[..., :-1, :]), -2)
        below = torch.cat((planes[..., 1:, :], planes[..., -1:, :]), -2)
        planes = _interleave(3 * planes + above, 3 * planes + below, -2)
    left = torch.cat((planes[..., :1], planes[..., :-1]), -1)
    right = torch.cat((planes[..., 1:], planes[..., -1:]), -1)
    even, odd = 3 * planes + left + even_bias, 3 * planes + right + odd_bias
    whole = _interleave(even, odd, -1) / (4 if vertical == 1 else 16)
    return whole if floor is None else floor(whole)


def _interleave(even: Tensor, odd: Tensor, dim: int) -> Tensor:
    return torch.stack((even, odd), dim).flatten(dim - 1, dim)
