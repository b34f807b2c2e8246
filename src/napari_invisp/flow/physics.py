"""`physics`: the chain from sensor to sRGB, each step made invertible instead of clipping.

Balanced camera RGB → white balance rolled off so that sensor saturation becomes white → camera
matrix → gamma → compression of what lies below black or above white → 8-bit scale. All parameters
come from the file's metadata, one setting (``headroom``) and, where a picture is at hand, from what
its own highlights and saturated colours need.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from napari_invisp.errors import CheckpointError
from napari_invisp.flow.base import InvertibleISP
from napari_invisp.flow.profiles import PROFILES
from napari_invisp.flow.scene import Scene, Triple
from napari_invisp.flow.tone import (
    GamutCompression,
    RollOff,
    decode_gamma,
    encode_gamma,
)

# LibRaw stores floor(256·y). The module gives (256·y − ½)/255, which rounds to just that, and
# white is the centre of the last code, so that saturation survives storage.
_LEVELS = 256.0
WHITE = 255.5 / 256.0


@dataclass(frozen=True)
class PhysicsParameters:
    """All that the chain needs for its inverse; the capsule carries it.

    Attributes
    ----------
    scene
        The file's metadata.
    knees, shapes
        Of each channel's white-balance roll-off (see :class:`~napari_invisp.flow.tone.RollOff`).
    low, high
        Compression of colours below black, and of colours above white.
    scale
        Factor on the finished picture: below 1 it makes room above white.
    snap
        A channel of a decoded JPEG within this distance of white counts as saturated.
    trust
        How far the inverse of each compression (white balance, low, high) is believed when JPEG
        noise stands on what it expands: 1 is the exact inverse, 0 takes the value as it is.
    """

    scene: Scene
    knees: Triple = (0.9, 0.9, 0.9)
    shapes: Triple = (1.0, 1.0, 1.0)
    low: tuple[float, float] = (0.95, 2.0)
    high: tuple[float, float] = (0.97, 2.0)
    scale: float = 1.0
    snap: float = 0.0
    trust: Triple = (1.0, 1.0, 1.0)

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Any) -> PhysicsParameters:
        """From what :meth:`to_dict` gave.

        Raises
        ------
        CheckpointError
            A field is missing, unknown, of the wrong shape or not finite.
        """
        try:
            matrix = np.asarray(values["scene"]["camera_to_srgb"], dtype=np.float64)
            scene = Scene(
                white_balance=_floats(values["scene"]["white_balance"], 3),
                camera_to_srgb=tuple(_floats(row, 3) for row in matrix.reshape(3, 3)),
                saturation=_floats(values["scene"]["saturation"], 3),
            )
            parameters = cls(
                scene=scene,
                knees=_floats(values["knees"], 3),
                shapes=_floats(values["shapes"], 3),
                low=_floats(values["low"], 2),
                high=_floats(values["high"], 2),
                scale=_floats([values["scale"]], 1)[0],
                snap=_floats([values["snap"]], 1)[0],
                trust=_floats(values["trust"], 3),
            )
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise CheckpointError(
                f"the parameters of the physics model are damaged: {error}"
            ) from None
        if min(scene.white_balance) <= 0 or abs(np.linalg.det(matrix)) < 1e-6:
            raise CheckpointError("the parameters of the physics model cannot be inverted")
        return parameters


def _floats(values: Any, count: int) -> Any:
    numbers = tuple(float(v) for v in values)
    if len(numbers) != count or not np.isfinite(numbers).all():
        raise ValueError(f"expected {count} finite numbers, found {values!r}")
    return numbers


#: Parameters of a camera that sees as sRGB does.
NEUTRAL = PhysicsParameters(
    Scene((1.0, 1.0, 1.0), ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)))
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
        from napari_invisp.flow.headroom import fit

        return type(self)(fit(scene, sample, headroom), self.residual)

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
        y: Tensor = z * (self.chain.scale * _LEVELS / 255) - 0.5 / 255
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
        z = (y.flatten(2) + 0.5 / 255) * (255 / _LEVELS / self.chain.scale)
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
