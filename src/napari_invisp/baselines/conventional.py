"""Rendering as raw developers do it, and its inversion step by step from metadata (UPI)."""

from __future__ import annotations

import copy
from dataclasses import asdict
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from napari_invisp.errors import CheckpointError
from napari_invisp.flow.base import InvertibleISP
from napari_invisp.flow.parameters import LEVELS, NEUTRAL
from napari_invisp.flow.profiles import Profile
from napari_invisp.flow.scene import Scene
from napari_invisp.flow.tone import decode_gamma, encode_gamma

#: LibRaw's own demosaicing, since the rendering is to be LibRaw's; the rest as in the paper.
PROFILE = Profile("conventional", demosaicing="ahd")

# A grey of this and more is taken for a highlight (Brooks et al., section on digital gains).
_INFLECTION = 0.9


class Conventional(InvertibleISP):
    """LibRaw's rendering: white balance, clip, camera matrix, clip, gamma. What it clips is lost.

    A baseline that only recovers RAW stands on this: the camera renders, and the baseline is given
    the camera's JPEG.

    Parameters
    ----------
    profile
        How the input is prepared.
    scene
        The file's metadata; :meth:`conditioned` sets that of a file.
    """

    def __init__(self, profile: Profile = PROFILE, scene: Scene = NEUTRAL.scene) -> None:
        super().__init__()
        self.profile = profile
        self.scene = scene

    def conditioned(self, scene: Scene, sample: Tensor, headroom: float) -> Self:
        """Return the rendering of one file. Nothing is kept of what clips, at any headroom."""
        return self._of(scene)

    def memo(self) -> dict[str, Any]:
        """Return the file's metadata."""
        return asdict(self.scene)

    def remembering(self, memo: Any) -> Self:
        """Return the model with the metadata that a capsule kept."""
        try:
            return self._of(Scene.from_dict(memo))
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"the metadata of the rendering are damaged: {error}") from None

    def forward(self, x: Tensor) -> Tensor:
        """Render; 255 times the result rounds to LibRaw's code."""
        u = (self._linear(x) * self.scene.gain).clamp(max=1).flatten(2)
        z = encode_gamma((_like(self.scene.matrix, u) @ u).clamp(0, 1))
        y: Tensor = z * (LEVELS / 255) - 0.5 / 255
        return y.view_as(x)

    def _linear(self, x: Tensor) -> Tensor:
        return x if self.profile.gamma == 1 else x.clamp(min=0) ** self.profile.gamma

    def _of(self, scene: Scene) -> Self:
        other = copy.copy(self)  # the same weights, other metadata
        other.scene = scene
        return other


class Upi(Conventional):
    """UPI (Brooks et al., "Unprocessing Images for Learned Raw Denoising", CVPR 2019).

    Each step of the rendering is undone in turn with the file's own metadata, where the publication
    draws metadata at random. Nothing is learned. Its inverse of the white balance leaves highlights
    bright: what was clipped at white comes back as sensor saturation.
    """

    name = "upi"
    halo = 0
    tile = 256

    def inverse(self, y: Tensor) -> Tensor:
        """Undo gamma, matrix and white balance."""
        # LibRaw stores floor(256·z); the last code is white and all that was beyond it.
        z = torch.where(y < 1, (y + 0.5 / 255) * (255 / LEVELS), 1.0).flatten(2)
        u = _like(np.linalg.inv(self.scene.matrix), y) @ decode_gamma(z.clamp(min=0))
        multipliers = _like(self.scene.white_balance, y)[:, None]
        camera = (u * safe_inverse_gains(u, multipliers.amin() / multipliers)).clamp(0, 1)
        balanced = camera * (multipliers / multipliers.amax())
        return (balanced ** (1 / self.profile.gamma)).view_as(y)


def safe_inverse_gains(u: Tensor, gains: Tensor) -> Tensor:
    """Gains that undo a white balance, but leave highlights bright.

    Parameters
    ----------
    u
        ``(N, 3, P)`` linear balanced RGB, clipped at 1.
    gains
        ``(3, 1)`` inverse multipliers, at most 1.

    Returns
    -------
    torch.Tensor
        ``(N, 3, P)``: ``gains``, going over to 1 as the grey of a pixel nears white (Brooks et al.,
        section on white balance and digital gain).
    """
    grey = u.mean(-2, keepdim=True)
    mask = ((grey - _INFLECTION) / (1 - _INFLECTION)).clamp(0, 1) ** 2
    return torch.maximum(mask + (1 - mask) * gains, gains)


def _like(values: Any, tensor: Tensor) -> Tensor:
    return torch.as_tensor(np.asarray(values), dtype=tensor.dtype, device=tensor.device)
