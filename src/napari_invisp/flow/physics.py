"""`physics`: the chain from sensor to sRGB, each step made invertible instead of clipping.

Balanced camera RGB → white balance rolled off so that sensor saturation becomes white → camera
matrix → gamma → compression of what lies below black or above white → 8-bit scale. All parameters
come from the file's metadata, one setting (``headroom``) and, where a picture is at hand, from what
its own highlights and saturated colours need.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from napari_invisp.flow.base import InvertibleISP
from napari_invisp.flow.headroom import fit
from napari_invisp.flow.parameters import LEVELS, NEUTRAL, WHITE, PhysicsParameters
from napari_invisp.flow.profiles import PROFILES
from napari_invisp.flow.scene import Scene, Triple
from napari_invisp.flow.tone import (
    GamutCompression,
    RollOff,
    decode_gamma,
    encode_gamma,
)


class Residual(nn.Module, ABC):
    """A learned, invertible correction of what the chain renders, for models that build on it.

    Attributes
    ----------
    halo
        Receptive half-width in pixels, in either direction.
    """

    halo: int

    @abstractmethod
    def forward(self, z: Tensor) -> Tensor:
        """Correct ``(N, 3, H, W)`` of the gamma domain, white near 1; the identity when new."""

    @abstractmethod
    def inverse(self, z: Tensor) -> Tensor:
        """Take :meth:`forward` back."""


class Physics(InvertibleISP):
    """The invertible chain for one file.

    Parameters
    ----------
    chain
        See :class:`PhysicsParameters`; :meth:`conditioned` makes those of a file.
    residual
        Applied to the compressed picture, before it is stored; none in `physics` itself.

    Notes
    -----
    Input is linear balanced camera RGB, ``(N, 3, H, W)``, on the scale on which the white level
    times the largest multiplier is 1. The steps are those of the design: they leave colours that
    LibRaw does not clip as LibRaw renders them, and compress those that it does.
    """

    name = "physics"
    tile = 256
    profile = PROFILES["physics"]

    def __init__(
        self, chain: PhysicsParameters = NEUTRAL, residual: Residual | None = None
    ) -> None:
        super().__init__()
        self.residual = residual
        self.halo = residual.halo if residual is not None else 0
        self.chain = chain
        scene = chain.scene
        # Python numbers and float64 matrices: cast to the dtype of whatever comes in.
        self._matrix = torch.from_numpy(scene.matrix)
        self._inverse = torch.linalg.inv(self._matrix)
        self._roll_offs = [
            RollOff(knee, top, shape, ceiling=WHITE)
            for knee, top, shape in zip(chain.knees, scene.tops, chain.shapes, strict=True)
        ]
        self._knees = [
            float(decode_gamma(torch.tensor(r.start, dtype=torch.float64))) for r in self._roll_offs
        ]
        self._low = GamutCompression(*chain.low)
        self._high = GamutCompression(*chain.high)

    def conditioned(self, scene: Scene, sample: Tensor, headroom: float) -> Physics:
        """Return the chain of one file (see :mod:`~napari_invisp.flow.headroom`)."""
        return type(self)(fit(scene, sample, headroom, Physics), self.residual)

    def memo(self) -> dict[str, Any]:
        """Return the chain's parameters."""
        return self.chain.to_dict()

    def remembering(self, memo: Any) -> Physics:
        """Return the chain with the parameters that a capsule kept."""
        return type(self)(PhysicsParameters.from_dict(memo), self.residual)

    def forward(self, x: Tensor) -> Tensor:
        """Render linear balanced RGB as sRGB; 255 times the result rounds to LibRaw's code."""
        u = self._rolled_off(x.flatten(2) * self.chain.scene.gain)
        z = encode_gamma(self._matrix.to(u) @ u)
        smallest, largest = z.amin(-2, keepdim=True), z.amax(-2, keepdim=True)
        if self._low.concerns(smallest, largest):
            z = self._low.apply(z)
            smallest = z.amin(-2, keepdim=True)
        if self._high.concerns(WHITE - largest, WHITE - smallest):
            z = WHITE - self._high.apply(WHITE - z)
        if self.residual is not None:
            z = self.residual(z.view_as(x)).flatten(2)
        y: Tensor = z * (self.chain.scale * LEVELS / 255) - 0.5 / 255
        return y.view_as(x)

    def _rolled_off(self, u: Tensor) -> Tensor:
        """Roll each channel off towards white, in place."""
        for c, (roll_off, knee) in enumerate(zip(self._roll_offs, self._knees, strict=True)):
            channel = u[:, c]
            if roll_off.active and float(channel.amax()) > knee:
                u[:, c] = decode_gamma(roll_off.apply(encode_gamma(channel)))
        return u

    def inverse(self, y: Tensor) -> Tensor:
        """Take rendered sRGB back to linear balanced RGB: the exact inverse of :meth:`forward`."""
        return self._invert(y, (1.0, 1.0, 1.0), saturated_from=float("inf"))

    def recover(self, y: Tensor) -> Tensor:
        """As :meth:`inverse`, for decoded JPEG: the best estimate under its noise.

        No channel lies beyond its saturation, what lies within ``snap`` of it is saturated, and
        compressed values are expanded no further than they can be trusted.
        """
        return self._invert(y, self.chain.trust, saturated_from=WHITE - self.chain.snap)

    def _invert(self, y: Tensor, trust: Triple, saturated_from: float) -> Tensor:
        z = (y.flatten(2) + 0.5 / 255) * (255 / LEVELS / self.chain.scale)
        if self.residual is not None:
            z = self.residual.inverse(z.view_as(y)).flatten(2)
        smallest, largest = z.amin(-2, keepdim=True), z.amax(-2, keepdim=True)
        if trust[2] and self._high.concerns(WHITE - largest, WHITE - smallest):
            complement = WHITE - z
            z = z + (complement - self._high.undo(complement)) * trust[2]
            largest = z.amax(-2, keepdim=True)
        if trust[1] and self._low.concerns(smallest, largest):
            z = z + (self._low.undo(z) - z) * trust[1]
        u = self._inverse.to(z) @ decode_gamma(z)
        for c, (roll_off, knee) in enumerate(zip(self._roll_offs, self._knees, strict=True)):
            channel = u[:, c]
            if roll_off.active and float(channel.amax()) > knee:
                v = encode_gamma(channel)
                opened = v + (roll_off.undo(v) - v) * trust[0]
                opened = torch.where(v > saturated_from, roll_off.top, opened)
                u[:, c] = decode_gamma(opened)
        x: Tensor = u / self.chain.scene.gain
        return x.view_as(y)
