"""`invertible-grayscale`: the networks of Invertible Grayscale (Xia et al., SIGGRAPH Asia 2018).

There, an encoder hides a picture's colours in its grayscale version, and a decoder finds them
again. Here, as in the paper's comparison, the encoder hides RAW in sRGB.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from napari_invisp.baselines.networks import (
    Correction,
    Pair,
    check_sizes,
    conv3x3,
    u_shaped_reach,
)
from napari_invisp.flow.profiles import PROFILES, Profile

# Residual blocks at full resolution, before the first halving and after the last doubling.
_OUTER = 2


class ResidualBlock(nn.Module):
    """Two convolutions with a ReLU between them, and a skip over both."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(conv3x3(width, width), nn.ReLU(), conv3x3(width, width))

    def forward(self, x: Tensor) -> Tensor:
        """Refine ``(N, C, H, W)``."""
        refined: Tensor = x + self.body(x)
        return refined


def _residual(width: int, blocks: int) -> nn.Sequential:
    return nn.Sequential(*(ResidualBlock(width) for _ in range(blocks)))


def _halve(fine: int, coarse: int) -> nn.Sequential:
    return nn.Sequential(conv3x3(fine, coarse, stride=2), conv3x3(coarse, coarse), nn.ReLU())


def _double(coarse: int, fine: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Upsample(scale_factor=2), conv3x3(coarse, fine), conv3x3(fine, fine), nn.ReLU()
    )


class Encoder(Correction):
    """Residual blocks at full, half and quarter resolution, U-shaped, with added skips.

    Parameters
    ----------
    width, middle
        As for :class:`InvertibleGrayscale`.
    """

    grid = 4

    def __init__(self, width: int, middle: int) -> None:
        super().__init__(conv3x3(width, 3))
        self.begin = nn.Sequential(conv3x3(3, width), _residual(width, _OUTER))
        self.to_half = _halve(width, 2 * width)
        self.to_quarter = nn.Sequential(_halve(2 * width, 4 * width), _residual(4 * width, middle))
        self.from_quarter = _double(4 * width, 2 * width)
        self.from_half = _double(2 * width, width)
        self.end = _residual(width, _OUTER)
        ends = 2 * _OUTER + 1
        self.reach = u_shaped_reach([ends, 1], [2, 2], [ends, 0], 1 + 2 * middle, down=(-1, 1))

    def features(self, x: Tensor) -> Tensor:
        """Return the last features of ``(N, 3, H, W)``, sides multiples of 4."""
        full = self.begin(x)
        half = self.to_half(full)
        half = half + self.from_quarter(self.to_quarter(half))
        refined: Tensor = self.end(full + self.from_half(half))
        return refined


class Decoder(Correction):
    """Residual blocks at full resolution.

    Parameters
    ----------
    width, blocks
        ``width`` and ``decoder`` of :class:`InvertibleGrayscale`.
    """

    def __init__(self, width: int, blocks: int) -> None:
        super().__init__(nn.Conv2d(4 * width, 3, 1))
        self.body = nn.Sequential(
            conv3x3(3, width), _residual(width, blocks), conv3x3(width, 4 * width)
        )
        self.reach = 2 * blocks + 2

    def features(self, x: Tensor) -> Tensor:
        """Return the last features of ``(N, 3, H, W)``."""
        features: Tensor = self.body(x)
        return features


class InvertibleGrayscale(Pair):
    """The encoder renders RAW as sRGB, the decoder recovers it.

    Parameters
    ----------
    profile
        How RAW is prepared.
    width
        Features at full resolution; twice and four times as many at half and quarter.
    middle, decoder
        Residual blocks of the encoder at quarter resolution, and of the decoder. The defaults are
        those published.

    Raises
    ------
    CheckpointError
        A size is impossible.
    """

    name = "invertible-grayscale"
    #: A configuration for small budgets.
    SMALL = {"width": 16, "middle": 4, "decoder": 8}  # noqa: RUF012

    def __init__(
        self,
        profile: Profile = PROFILES["paper"],
        width: int = 64,
        middle: int = 4,
        decoder: int = 8,
    ) -> None:
        check_sizes(width=width, middle=middle, decoder=decoder)
        super().__init__(Encoder(width, middle), Decoder(width, decoder), profile)
        self._sizes = {"width": width, "middle": middle, "decoder": decoder}

    def configuration(self) -> dict[str, Any]:
        """Return the sizes."""
        return dict(self._sizes)
