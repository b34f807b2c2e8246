"""`physics`: the chain from sensor to sRGB, each step made invertible instead of clipping.

Balanced camera RGB → white balance rolled off so that sensor saturation becomes white → camera
matrix → gamma → compression of what lies below black or above white → 8-bit scale. All parameters
come from the file's metadata, one setting (``headroom``) and, where a picture is at hand, from what
its own highlights and saturated colours need.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from napari_invisp.flow.base import InvertibleISP
from napari_invisp.flow.coded import Coded
from napari_invisp.flow.headroom import fit
from napari_invisp.flow.parameters import LEVELS, NEUTRAL, WHITE, PhysicsParameters
from napari_invisp.flow.profiles import PROFILES
from napari_invisp.flow.scene import Scene
from napari_invisp.flow.tone import (
    GamutCompression,
    RollOff,
    changed_where,
    decode_gamma,
    encode_gamma,
)


class Physics(InvertibleISP):
    """The invertible chain for one file.

    Parameters
    ----------
    chain
        See :class:`PhysicsParameters`; :meth:`conditioned` makes those of a file.

    Notes
    -----
    Input is linear balanced camera RGB, ``(N, 3, H, W)``, on the scale on which the white level
    times the largest multiplier is 1. The steps are those of the design: they leave colours that
    LibRaw does not clip as LibRaw renders them, and compress those that it does.
    """

    name = "physics"
    tile = 256
    profile = PROFILES["physics"]

    def __init__(self, chain: PhysicsParameters = NEUTRAL) -> None:
        super().__init__()
        self.halo = 0
        self.chain = chain
        scene = chain.scene
        # Python numbers and float64 matrices: cast to the dtype of whatever comes in.
        self._matrix = torch.from_numpy(scene.matrix)
        self._inverse = torch.linalg.inv(self._matrix)
        self._roll_offs = [
            RollOff(knee, top, shape, ceiling=WHITE)
            for knee, top, shape in zip(chain.knees, scene.tops, chain.shapes, strict=True)
        ]
        # The channel that saturates first, and the lowest ceiling that the others give it.
        self._first = int(np.argmin(scene.tops))
        self._others = [c for c in range(3) if c != self._first]
        one = torch.tensor(1.0, dtype=torch.float64)
        self._grey = min(WHITE, max(float(self._roll_offs[c].apply(one)) for c in self._others))
        self._lowest = WHITE - chain.neutral * (WHITE - self._grey)
        if self._lowest < WHITE:
            self._roll_offs[self._first] = replace(
                self._roll_offs[self._first], lowest=self._lowest
            )
        self._knees = [
            float(decode_gamma(torch.tensor(r.start, dtype=torch.float64))) for r in self._roll_offs
        ]
        self._low = GamutCompression(*chain.low)
        self._high = GamutCompression(*chain.high)

    def conditioned(self, scene: Scene, sample: Tensor, headroom: float) -> Physics:
        """Return the chain of one file (see :mod:`~napari_invisp.flow.headroom`)."""
        return type(self)(fit(scene, sample, headroom, Physics))

    def memo(self) -> dict[str, Any]:
        """Return the chain's parameters."""
        return self.chain.to_dict()

    def remembering(self, memo: Any) -> Physics:
        """Return the chain with the parameters that a capsule kept."""
        return type(self)(PhysicsParameters.from_dict(memo))

    def forward(self, x: Tensor) -> Tensor:
        """Render linear balanced RGB as sRGB; 255 times the result rounds to LibRaw's code."""
        return self.stored(self.compressed(x))

    def inverse(self, y: Tensor) -> Tensor:
        """Take rendered sRGB back to linear balanced RGB: the exact inverse of :meth:`forward`."""
        return self.expanded(self.taken_out(y), exact=True)

    def recover(self, y: Tensor, coded: Coded | None = None) -> Tensor:
        """As :meth:`inverse`, for decoded JPEG: the best estimate under its noise."""
        return self.expanded(self.taken_out(y))

    def stored(self, z: Tensor) -> Tensor:
        """Scale the compressed picture so that 255 times the result rounds to its codes."""
        return z * (self.chain.scale * LEVELS / 255) - 0.5 / 255

    def taken_out(self, y: Tensor) -> Tensor:
        """Undo :meth:`stored`."""
        return (y + 0.5 / 255) * (255 / LEVELS / self.chain.scale)

    def compressed(self, x: Tensor) -> Tensor:
        """Bring linear balanced RGB into sRGB's cube.

        Parameters
        ----------
        x
            ``(N, 3, H, W)``.

        Returns
        -------
        torch.Tensor
            ``(N, 3, H, W)`` of the gamma domain, black 0, white :data:`WHITE`.
        """
        u = self._rolled_off(_in_columns(x) * self.chain.scene.gain)
        z = encode_gamma(self._matrix.to(u) @ u)
        if self._low.active:
            z = changed_where(self._low.concerned(*z.aminmax(dim=0)), self._low.apply, z)
        if self._high.active:
            z = changed_where(self._above(z), lambda v: WHITE - self._high.apply(WHITE - v), z)
        return _as_pictures(z, x.shape)

    def _above(self, z: Tensor) -> Tensor:
        """Tell which pixels the compression of colours above white concerns."""
        smallest, largest = z.aminmax(dim=0)
        return self._high.concerned(WHITE - largest, WHITE - smallest)

    def _rolled_off(self, u: Tensor) -> Tensor:
        """Roll each channel off towards white."""
        channels = list(u)
        for c in (*self._others, self._first):
            if self._roll_offs[c].active:
                bright = channels[c] > self._knees[c]
                bend = partial(self._bent, c)
                channels[c] = changed_where(bright, bend, channels[c], *channels)
        return torch.stack(channels)

    def _bent(self, c: int, value: Tensor, *channels: Tensor) -> Tensor:
        """Roll channel ``c`` off."""
        ceiling = self._ceiling(c, channels)
        return decode_gamma(self._roll_offs[c].apply(encode_gamma(value), ceiling))

    def _straightened(
        self, c: int, trust: float, snap: float, value: Tensor, *channels: Tensor
    ) -> Tensor:
        """Undo :meth:`_bent`, see :meth:`expanded`."""
        roll_off, ceiling = self._roll_offs[c], self._ceiling(c, channels)
        v = encode_gamma(value)
        opened = v + (roll_off.undo(v, ceiling) - v) * trust
        saturated = v > (WHITE if ceiling is None else ceiling) - snap
        return decode_gamma(torch.where(saturated, roll_off.top, opened))

    def _ceiling(self, c: int, channels: Sequence[Tensor]) -> Tensor | None:
        """Where a channel ends: that which saturates first no brighter than grey would make it."""
        if c != self._first or self._lowest >= WHITE:
            return None
        p, q = (encode_gamma(channels[c]) for c in self._others)
        others = p.maximum(q).clamp(self._grey, WHITE)
        return WHITE - self.chain.neutral * (WHITE - others)

    def expanded(self, z: Tensor, exact: bool = False) -> Tensor:
        """Take :meth:`compressed` back.

        Parameters
        ----------
        z
            ``(N, 3, H, W)`` of the gamma domain.
        exact
            The exact inverse. Otherwise the best estimate under the noise of JPEG: no channel lies
            beyond its saturation, what lies within ``snap`` of it is saturated, and compressed
            values are expanded no further than they can be trusted.
        """
        trust = (1.0, 1.0, 1.0) if exact else self.chain.trust
        snap = -float("inf") if exact else self.chain.snap
        shape = z.shape
        z = _in_columns(z)
        if trust[2] and self._high.active:

            def darker(v: Tensor) -> Tensor:
                complement = WHITE - v
                return v + (complement - self._high.undo(complement)) * trust[2]

            z = changed_where(self._above(z), darker, z)
        if trust[1] and self._low.active:
            z = changed_where(
                self._low.concerned(*z.aminmax(dim=0)),
                lambda v: v + (self._low.undo(v) - v) * trust[1],
                z,
            )
        rolled = (self._inverse.to(z) @ decode_gamma(z)).unbind()
        channels = list(rolled)
        for c, knee in enumerate(self._knees):
            if self._roll_offs[c].active:
                straighten = partial(self._straightened, c, trust[0], snap)
                channels[c] = changed_where(rolled[c] > knee, straighten, rolled[c], *rolled)
        return _as_pictures(torch.stack(channels) / self.chain.scene.gain, shape)


def _in_columns(pictures: Tensor) -> Tensor:
    """``(N, 3, H, W)`` as ``(3, N·H·W)``, a view of one picture."""
    return pictures.transpose(0, 1).flatten(1)


def _as_pictures(columns: Tensor, shape: torch.Size) -> Tensor:
    """Undo :func:`_in_columns`."""
    count, channels, height, width = shape
    return columns.view(channels, count, height, width).transpose(0, 1)
