"""The enhanced affine coupling, and the block that it forms with a 1×1 convolution."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from napari_invisp.flow.convolution import InvertibleConv1x1
from napari_invisp.flow.subnet import DenseBlock

_CHANNELS = 3


class CouplingBlock(nn.Module):
    """An invertible 1×1 convolution, then an enhanced affine coupling (paper Eq. 3–7).

    After the convolution the channels are split 1 | 2, and with dense blocks F, G, H::

        y1 = x1 + F(x2)
        s  = clamp · (2σ(H(y1)) − 1)
        y2 = x2 · exp(s) + G(y1)

    Parameters
    ----------
    clamp
        Bound of the log scale ``s``.
    generator
        Source of the random weights; the global one by default.

    Attributes
    ----------
    reach
        Receptive half-width in pixels, in either direction.
    """

    reach = 2 * DenseBlock.reach

    def __init__(self, clamp: float = 0.8, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.clamp = clamp
        self.F = DenseBlock(_CHANNELS - 1, 1, generator)
        self.G = DenseBlock(1, _CHANNELS - 1, generator)
        self.H = DenseBlock(1, _CHANNELS - 1, generator)
        self.invconv = InvertibleConv1x1(_CHANNELS, generator)

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output, ``(N, 3, H, W)`` as ``x``."""
        x1, x2 = _split(self.invconv(x))
        y1 = x1 + self.F(x2)
        y2 = x2 * self._log_scale(y1).exp() + self.G(y1)
        return torch.cat((y1, y2), dim=1)

    def inverse(self, y: Tensor) -> Tensor:
        """Return the input that :meth:`forward` maps to ``y``, ``(N, 3, H, W)``."""
        y1, y2 = _split(y)
        x2 = (y2 - self.G(y1)) * (-self._log_scale(y1)).exp()
        x1 = y1 - self.F(x2)
        return self.invconv.inverse(torch.cat((x1, x2), dim=1))

    def _log_scale(self, y1: Tensor) -> Tensor:
        return self.clamp * (2 * torch.sigmoid(self.H(y1)) - 1)


def _split(x: Tensor) -> tuple[Tensor, Tensor]:
    return x[:, :1], x[:, 1:]
