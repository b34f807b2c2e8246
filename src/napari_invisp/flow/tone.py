"""Closed-form invertible tone operations on tensors: gamma, roll-off, gamut compression."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

# BT.709 transfer function in the exact form that LibRaw uses for gamma=(2.222, 4.5).
_POWER = 0.45
_SLOPE = 4.5
_OFFSET = 0.099296826809442
_KNEE_LINEAR = 0.018053968510807
_KNEE_ENCODED = _SLOPE * _KNEE_LINEAR


def encode_gamma(linear: Tensor) -> Tensor:
    """BT.709 gamma, odd-symmetric so that values below zero stay invertible.

    Linear light (1 is white) → gamma domain (1 is white), same shape. LibRaw's rendering uses this
    curve rather than the sRGB one.
    """
    magnitude = linear.abs()
    bent = magnitude.clamp(min=_KNEE_LINEAR).pow_(_POWER).mul_(1 + _OFFSET).sub_(_OFFSET)
    return torch.where(magnitude < _KNEE_LINEAR, linear * _SLOPE, bent.copysign_(linear))


def decode_gamma(encoded: Tensor) -> Tensor:
    """Inverse of :func:`encode_gamma`."""
    magnitude = encoded.abs()
    bent = magnitude.clamp(min=_KNEE_ENCODED).add(_OFFSET).mul_(1 / (1 + _OFFSET))
    bent = bent.pow_(1 / _POWER)
    return torch.where(magnitude < _KNEE_ENCODED, encoded * (1 / _SLOPE), bent.copysign_(encoded))


def encode_gamma_of(linear: float) -> float:
    """:func:`encode_gamma` of one number."""
    return float(encode_gamma(torch.tensor(linear, dtype=torch.float64)).item())


# Below this, all channels are black and have no colour.
_BLACK = 1e-6

#: Bound on the slope of an inverse: what rounding and noise are multiplied with at the worst.
STEEPEST = 16.0


@dataclass(frozen=True)
class RollOff:
    """A shoulder: identity up to ``knee``, then a hyperbola that takes ``top`` to ``ceiling``.

    With t = (x − knee)/(top − knee) it is knee + (ceiling − knee)·a·t/(1 + (a − 1)·t), inverted in
    closed form. It goes on beyond ``top``, so that nothing finite is lost before 8-bit storage.
    The knee is lowered where the inverse would be steeper than :data:`STEEPEST`. A ``top`` below
    the ceiling is lifted to it.

    Attributes
    ----------
    knee
        Where the shoulder begins.
    top
        The input that comes out as ``ceiling``.
    shape
        0 is a straight line from knee to top, 1 meets the identity with slope 1.
    ceiling
        Largest output that is stored.
    """

    knee: float
    top: float
    shape: float = 1.0
    ceiling: float = 1.0

    @property
    def active(self) -> bool:
        """Whether there is anything to do."""
        return self.top != self.ceiling

    @property
    def start(self) -> float:
        """The knee that is used."""
        if self.top < self.ceiling:
            return min(self.knee, self.top - 2 * (self.ceiling - self.top))
        return min(self.knee, self.ceiling - (self.top - self.ceiling) / (STEEPEST - 1))

    @property
    def bend(self) -> float:
        """``a`` of the hyperbola: the slope at the knee against that of a straight line."""
        extent = (self.top - self.start) / (self.ceiling - self.start)
        smooth: float = extent**self.shape
        return min(extent, max(1.0, min(smooth, STEEPEST / extent)))

    def apply(self, x: Tensor) -> Tensor:
        """Compress; any shape."""
        if not self.active:
            return x
        a, start = self.bend, self.start
        t = (x - start).mul_(1 / (self.top - start)).clamp_(min=0)
        shoulder = t.mul(a * (self.ceiling - start)).div_(t.mul_(a - 1).add_(1))
        return torch.where(x <= start, x, shoulder.add_(start))

    def undo(self, y: Tensor) -> Tensor:
        """Expand again; any shape."""
        if not self.active:
            return y
        a, start = self.bend, self.start
        q = (y - start).mul_(1 / (self.ceiling - start)).clamp_(min=0)
        if a > 1:  # the hyperbola never reaches a/(a − 1)
            q = q.clamp_(max=1 + 0.5 / (a - 1))
        t = q.div(q.mul(1 - a).add_(a)).mul_(self.top - start)
        return torch.where(y <= start, y, t.add_(start))


@dataclass(frozen=True)
class GamutCompression:
    """Bring colours outside the unit cube inside, keeping the channel farthest from black.

    As in the ACES reference gamut compression: with m the largest channel of a pixel, every channel
    lies at a distance d = (m − z)/m from it, and d > 1 is below zero. Distances from ``threshold``
    up to ``limit`` are rolled off into [threshold, 1]; m itself stays, so the step is inverted in
    closed form. Where m is within the noise near black, next to nothing is compressed: there noise
    alone looks out of gamut.

    Attributes
    ----------
    threshold
        Distance at which compression begins; 1 or more switches it off.
    limit
        The distance that comes out as 1.
    noise
        Up to this m nothing is compressed; from four times as much, everything is.
    """

    threshold: float
    limit: float
    noise: float = 0.01

    @property
    def active(self) -> bool:
        """Whether there is anything to compress."""
        return self.threshold < 1 < self.limit

    def _shoulder(self, m: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Room above the knee, extent and bend for each pixel, by how clear of noise it is."""
        clear = ((m - self.noise) * (1 / (3 * self.noise))).clamp_(0, 1)
        least = (self.limit - 1) / (STEEPEST - 1)
        room = (clear * clear * (3 - 2 * clear)).mul_(1 - self.threshold).clamp_(min=least)
        extent = (room + (self.limit - 1)) / room
        return room, extent, extent.minimum(STEEPEST / extent).clamp_(min=1)

    def concerns(self, smallest: Tensor, largest: Tensor) -> bool:
        """Whether any pixel can lie beyond its knee; cheap, and true rather too often.

        Parameters
        ----------
        smallest, largest
            Of each pixel's channels.
        """
        if not self.active:
            return False
        room = max(1 - self.threshold, (self.limit - 1) / (STEEPEST - 1))
        return bool((smallest < largest * room).any())

    def apply(self, z: Tensor) -> Tensor:
        """Compress ``(…, 3, N)`` values; 0 is black."""
        if not self.active:
            return z
        m, safe, room, extent, a, beyond = self._measured(z)
        t = beyond.div(room * extent).clamp_(min=0)
        rolled = t.mul(a * room).div_(t.mul_(a - 1).add_(1)).add_(1 - room)
        return torch.where((beyond > 0) & (m > _BLACK), m - rolled.mul_(safe), z)

    def undo(self, z: Tensor) -> Tensor:
        """Expand again."""
        if not self.active:
            return z
        m, safe, room, extent, a, beyond = self._measured(z)
        q = beyond.div(room).clamp_(min=0)
        q = q.minimum(1 + 0.5 / (a - 1).clamp(min=1e-3))  # as in RollOff.undo
        t = q.div(q.mul(1 - a).add_(a)).mul_(room * extent).add_(1 - room)
        return torch.where((beyond > 0) & (m > _BLACK), m - t.mul_(safe), z)

    def _measured(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Largest channel, the same safe to divide by, the shoulder, distances beyond its knee."""
        m = z.amax(-2, keepdim=True)
        safe = m.clamp(min=_BLACK)
        room, extent, a = self._shoulder(m)
        return m, safe, room, extent, a, (m - z).div_(safe).sub_(1 - room)
