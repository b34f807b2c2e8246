"""A JPEG codec that gradients can pass: what libjpeg-turbo does to pixels, differentiably."""

from __future__ import annotations

from typing import SupportsIndex

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_invisp.errors import SettingsError
from napari_invisp.jpeg.color import downsample, rgb_to_ycbcr, upsample, ycbcr_to_rgb
from napari_invisp.jpeg.rounding import (
    Rounding,
    RoundingName,
    hard,
    make_rounding,
    saturate,
    straight_through_floor,
)
from napari_invisp.jpeg.tables import check_quality, quantization_tables, sampling_factors

# libjpeg's accurate integer DCT ("islow", after Loeffler, Ligtenberg and Moschytz 1989) as a
# matrix: √8 times the orthonormal DCT in units of 2^-13. These are sums of its rounded constants,
# so some are one off the rounded cosine. Row u holds frequency u at the first four samples; the
# other four mirror them, negated where u is odd.
_ISLOW_HALF = (
    (8192, 8192, 8192, 8192),
    (11363, 9633, 6437, 2260),
    (10703, 4433, -4433, -10703),
    (9633, -2259, -11362, -6436),
    (8192, -8192, -8192, 8192),
    (6437, -11362, 2261, 9633),
    (4433, -10704, 10704, -4433),
    (2260, -6436, 9633, -11363),
)
# libjpeg rounds after each of the two passes; between them it keeps two more bits, and it hands the
# quantizer coefficients in eighths.
_SHIFTS_FORWARD = (2.0**-11, 2.0**-15)
_SHIFTS_INVERSE = (2.0**-11, 2.0**-18)


class JpegSimulator(nn.Module):
    """Encode to JPEG and decode again, differentiably in the pixels.

    Follows libjpeg-turbo with its default settings step by step: 8-bit input, fixed-point YCbCr,
    biased chroma averaging, integer DCT, floored tables, clipped components, triangle ("fancy")
    chroma upsampling, clipped RGB. With hard rounding and float64 input it returns the codec's own
    pixels; with float32 a few in a million differ. On CUDA, TF32 matrix products (which PyTorch
    leaves off) would spoil that.

    Gradients: only the quantization of DCT coefficients uses the rounding that is asked for, as in
    the paper. The codec's many roundings to integers are straight-through for every choice but
    ``"hard"``, since their true gradients would swamp the rest. Clipping passes those gradients
    that bring a value back into range.

    Parameters
    ----------
    rounding
        Rounds coefficients: a name from :data:`~napari_invisp.jpeg.rounding.ROUNDINGS`, or a
        function. ``"fourier"`` with ten terms is the paper's choice for `invisp`;
        ``"straight-through"`` is the codec itself forward and the identity backward.
    exact
        Decode as :class:`~napari_invisp.jpeg.exact.ExactDecoder` does, without libjpeg's roundings
        to 8 bit on the way back.

    Raises
    ------
    SettingsError
        There is no such rounding.
    """

    _tables: Tensor
    _dct: Tensor

    def __init__(self, rounding: RoundingName | Rounding = "fourier", exact: bool = False) -> None:
        super().__init__()
        self._exact = exact
        self.rounding = make_rounding(rounding) if isinstance(rounding, str) else rounding
        self._floor: Rounding = torch.floor if self.rounding is hard else straight_through_floor
        tables = np.stack([quantization_tables(quality) for quality in range(1, 101)])
        half = torch.tensor(_ISLOW_HALF, dtype=torch.float64)
        signs = torch.tensor([1.0, -1.0] * 4, dtype=torch.float64)[:, None]
        # Neither is a parameter, nor belongs in a checkpoint.
        self.register_buffer("_tables", torch.from_numpy(tables), persistent=False)
        self.register_buffer(
            "_dct", torch.cat((half, signs * half.flip(1)), 1).to(torch.float32), persistent=False
        )

    def forward(
        self, rgb: Tensor, quality: SupportsIndex | Tensor, subsampling: str = "4:2:2"
    ) -> Tensor:
        """Return ``rgb`` as it comes out of a JPEG file.

        Parameters
        ----------
        rgb
            ``(N, 3, H, W)`` sRGB, 0 … 1 (clipped to it), of any size. Half precision is computed in
            float32, with or without autocast.
        quality
            1 … 100 for all, or ``(N,)`` integers, one for each sample.
        subsampling
            ``"4:4:4"``, ``"4:2:2"`` or ``"4:2:0"``.

        Returns
        -------
        torch.Tensor
            ``(N, 3, H, W)``, 0 … 1, of the dtype of ``rgb``; multiples of 1/255 unless the rounding
            is soft or the decoder exact.

        Raises
        ------
        SettingsError
            Quality or subsampling is not one of those.
        """
        factors = sampling_factors(subsampling)
        height, width = rgb.shape[-2:]
        with torch.autocast(rgb.device.type, enabled=False):
            pixels = rgb if rgb.dtype == torch.float64 else rgb.float()
            tables = self._tables_for(quality, pixels)
            pixels = self._floor(saturate(255 * pixels, 0, 255) + 0.5)
            components = rgb_to_ycbcr(pixels, self._floor)
            luma = self._code(components[:, :1], tables[:, 0])[..., :height, :width]
            chroma = downsample(components[:, 1:], factors, self._floor)
            chroma = self._code(chroma, tables[:, 1])
            # The decoder does not look at what padded the last blocks.
            chroma = chroma[..., : -(-height // factors[1]), : -(-width // factors[0])]
            if self._exact:
                chroma = upsample(chroma, factors, None)[..., :height, :width]
                decoded = ycbcr_to_rgb(luma, chroma, _unrounded)
            else:
                chroma = upsample(chroma, factors, self._floor)[..., :height, :width]
                decoded = ycbcr_to_rgb(luma, chroma, self._floor)
            return (saturate(decoded, 0, 255) / 255).to(rgb.dtype)

    def _tables_for(self, quality: SupportsIndex | Tensor, like: Tensor) -> Tensor:
        """Give ``(N or 1, 2, 8, 8)`` tables of the device and dtype of ``like``."""
        if isinstance(quality, Tensor) and quality.ndim == 1:
            if quality.is_floating_point() or len(quality) != len(like):
                raise SettingsError(
                    f"{len(like)} images need as many whole numbers as quality, or one for all"
                )
            for bound in torch.aminmax(quality):
                check_quality(int(bound))
            index = quality.to(self._tables.device, torch.int64) - 1
        else:
            index = torch.tensor([check_quality(quality) - 1], device=self._tables.device)
        return self._tables[index].to(like)

    def _code(self, planes: Tensor, table: Tensor) -> Tensor:
        """Send ``(N, C, H, W)`` components, 0 … 255, through ``(N or 1, 8, 8)`` tables.

        The result is completed to whole blocks.
        """
        count, channels, height, width = planes.shape
        rows, columns = -(-height // 8), -(-width // 8)
        margins = (0, 8 * columns - width, 0, 8 * rows - height)
        planes = functional.pad(planes, margins, mode="replicate")
        blocks = planes.reshape(count, channels, rows, 8, columns, 8).transpose(-2, -3)
        steps = table[:, None, None, None]
        dct = self._dct.to(planes)
        # Every pass works along the last axis: rows then columns there, columns then rows back, as
        # libjpeg does.
        coefficients = blocks - 128
        for shift in _SHIFTS_FORWARD:
            coefficients = self._floor(coefficients @ (dct.mT * shift) + 0.5).mT
        coefficients = self.rounding(coefficients / (8 * steps)) * steps
        for shift in _SHIFTS_INVERSE:
            coefficients = coefficients.mT @ (dct * shift)
            if not self._exact:
                coefficients = self._floor(coefficients + 0.5)
        blocks = saturate(coefficients + 128, 0, 255)
        return blocks.transpose(-2, -3).flatten(-4, -3).flatten(-2, -1)


def _unrounded(values: Tensor) -> Tensor:
    # ycbcr_to_rgb adds one half of a code before it would round down.
    return values - 0.5
