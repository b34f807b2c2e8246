"""Closed-form invertible tone operations on tensors: gamma, roll-off, gamut compression."""

from __future__ import annotations

from collections.abc import Callable
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
    bent = magnitude.clamp(min=_KNEE_LINEAR).pow(_POWER) * (1 + _OFFSET) - _OFFSET
    return torch.where(magnitude < _KNEE_LINEAR, linear * _SLOPE, bent.copysign_(linear))


def decode_gamma(encoded: Tensor) -> Tensor:
    """Inverse of :func:`encode_gamma`."""
    magnitude = encoded.abs()
    bent = ((magnitude.clamp(min=_KNEE_ENCODED) + _OFFSET) * (1 / (1 + _OFFSET))).pow(1 / _POWER)
    return torch.where(magnitude < _KNEE_ENCODED, encoded * (1 / _SLOPE), bent.copysign_(encoded))


def encode_gamma_of(linear: float) -> float:
    """:func:`encode_gamma` of one number."""
    return float(encode_gamma(torch.tensor(linear, dtype=torch.float64)).item())


# Fewer values are faster all computed than picked out.
_MANY = 50_000


def changed_where(
    chosen: Tensor, change: Callable[..., Tensor], value: Tensor, *others: Tensor
) -> Tensor:
    """Change some columns of a tensor, without computing the others where they are many.

    Parameters
    ----------
    chosen
        ``(M,)`` bool.
    change
        Takes columns of ``value`` and of the ``others``, and returns new ones of ``value``.
    value, others
        ``(…, M)``.
    """
    count = int(chosen.count_nonzero())
    if count == 0:
        return value
    if len(chosen) < _MANY or 2 * count > len(chosen):
        return torch.where(chosen, change(value, *others), value)
    index = chosen.nonzero().squeeze(1)
    part = change(*(each.index_select(-1, index) for each in (value, *others)))
    return value.index_copy(-1, index, part)


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
    lowest
        Where the ceiling differs from value to value, the lowest that it can be.
    """

    knee: float
    top: float
    shape: float = 1.0
    ceiling: float = 1.0
    lowest: float | None = None

    @property
    def active(self) -> bool:
        """Whether there is anything to do."""
        return self.lowest is not None or self.top != self.ceiling

    @property
    def start(self) -> float:
        """The knee that is used."""
        lowest = self.ceiling if self.lowest is None else self.lowest
        if self.top < lowest:
            return min(self.knee, self.top - 2 * (lowest - self.top))
        return min(self.knee, lowest - (self.top - lowest) / (STEEPEST - 1))

    def apply(self, x: Tensor, ceiling: float | Tensor | None = None) -> Tensor:
        """Compress; any shape.

        Parameters
        ----------
        x
            Gamma domain.
        ceiling
            Another ceiling than usual, for each value if it likes, above :attr:`start`.
        """
        if not self.active:
            return x
        c = self.ceiling if ceiling is None else ceiling
        start = self.start
        bend = _bend((self.top - start) / (c - start), self.shape)
        t = ((x - start) * (1 / (self.top - start))).clamp(min=0)
        return torch.where(x <= start, x, t * bend * (c - start) / (t * (bend - 1) + 1) + start)

    def undo(self, y: Tensor, ceiling: float | Tensor | None = None) -> Tensor:
        """Expand again; any shape, with the same ceiling."""
        if not self.active:
            return y
        c = self.ceiling if ceiling is None else ceiling
        start = self.start
        bend = _bend((self.top - start) / (c - start), self.shape)
        q = ((y - start) * (1 / (c - start))).clamp(min=0)
        q = q.minimum(1 + 0.5 / (bend - 1).clamp(min=1e-6))  # the hyperbola never reaches a/(a − 1)
        t = q / (q * (1 - bend) + bend)
        return torch.where(y <= start, y, t * (self.top - start) + start)


def _bend(extent: float | Tensor, shape: float) -> Tensor:
    """Give ``a`` of the hyperbola: the slope at the knee against that of a straight line."""
    extent = torch.as_tensor(extent)
    smooth = (extent**shape).minimum(STEEPEST / extent)
    return extent.minimum(smooth.clamp(min=1))


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
        clear = ((m - self.noise) * (1 / (3 * self.noise))).clamp(0, 1)
        least = (self.limit - 1) / (STEEPEST - 1)
        room = (clear * clear * (3 - 2 * clear) * (1 - self.threshold)).clamp(min=least)
        extent = (room + (self.limit - 1)) / room
        return room, extent, extent.minimum(STEEPEST / extent).clamp(min=1)

    def concerned(self, smallest: Tensor, largest: Tensor) -> Tensor:
        """Tell which pixels can lie beyond their knee; cheap, and true rather too often.

        Parameters
        ----------
        smallest, largest
            Of each pixel's channels.
        """
        room = max(1 - self.threshold, (self.limit - 1) / (STEEPEST - 1))
        return smallest < largest * room

    def apply(self, z: Tensor) -> Tensor:
        """Compress ``(…, 3, N)`` values; 0 is black."""
        if not self.active:
            return z
        m, safe, room, extent, a, beyond = self._measured(z)
        t = (beyond / (room * extent)).clamp(min=0)
        rolled = t * a * room / (t * (a - 1) + 1) + (1 - room)
        return torch.where((beyond > 0) & (m > _BLACK), m - rolled * safe, z)

    def undo(self, z: Tensor) -> Tensor:
        """Expand again."""
        if not self.active:
            return z
        m, safe, room, extent, a, beyond = self._measured(z)
        q = (beyond / room).clamp(min=0)
        q = q.minimum(1 + 0.5 / (a - 1).clamp(min=1e-3))  # as in RollOff.undo
        t = q / (q * (1 - a) + a) * (room * extent) + (1 - room)
        return torch.where((beyond > 0) & (m > _BLACK), m - t * safe, z)

    def _measured(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Largest channel, the same safe to divide by, the shoulder, distances beyond its knee."""
        m = z.amax(-2, keepdim=True)
        safe = m.clamp(min=_BLACK)
        room, extent, a = self._shoulder(m)
        return m, safe, room, extent, a, (m - z) / safe - (1 - room)
