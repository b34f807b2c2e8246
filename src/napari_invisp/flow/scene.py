"""What a file's metadata say about its light: all that a model may know of a picture beforehand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_invisp.flow.tone import encode_gamma_of

Triple = tuple[float, float, float]


def _triple(values: ArrayLike) -> Triple:
    r, g, b = map(float, np.asarray(values))
    return r, g, b


@dataclass(frozen=True)
class Scene:
    """What a file's metadata say about its light.

    Attributes
    ----------
    white_balance
        As-shot multipliers of R, G, B, any scale.
    camera_to_srgb
        3x3, rows sum to 1.
    saturation
        Where each channel saturates, on the scale on which the file's white level is 1.
    """

    white_balance: Triple
    camera_to_srgb: tuple[Triple, Triple, Triple]
    saturation: Triple = (1.0, 1.0, 1.0)

    @classmethod
    def of(
        cls, white_balance: ArrayLike, camera_to_srgb: ArrayLike, saturation: ArrayLike
    ) -> Scene:
        """Make one of arrays: ``(3,)``, ``(3, 3)`` and ``(3,)``."""
        return cls(
            _triple(white_balance),
            tuple(map(_triple, np.asarray(camera_to_srgb))),  # type: ignore[arg-type]
            _triple(saturation),
        )

    @property
    def gain(self) -> float:
        """From balanced RGB (largest multiplier 1) to LibRaw's exposure (smallest multiplier 1)."""
        return max(self.white_balance) / min(self.white_balance)

    @property
    def matrix(self) -> NDArray[np.float64]:
        """``camera_to_srgb`` as an array."""
        return np.array(self.camera_to_srgb)

    @property
    def tops(self) -> Triple:
        """Where each channel saturates in the gamma domain, at LibRaw's exposure."""
        least = min(self.white_balance)
        r, g, b = (
            encode_gamma_of(w / least * s)
            for w, s in zip(self.white_balance, self.saturation, strict=True)
        )
        return r, g, b
