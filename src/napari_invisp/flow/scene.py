"""What a file's metadata say about its light: all that a model may know of a picture beforehand."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_invisp.flow.tone import encode_gamma_of

Triple = tuple[float, float, float]

PATTERNS = ("RGGB", "GBRG", "GRBG", "BGGR")
_SINGULAR = 1e-6


def _triple(values: ArrayLike) -> Triple:
    r, g, b = map(float, np.asarray(values))
    return r, g, b


def _numbers(values: Any, shape: tuple[int, ...]) -> NDArray[np.float64]:
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.shape != shape or not np.isfinite(numbers).all():
        raise ValueError(f"expected finite numbers of shape {shape}, found {values!r}")
    return numbers


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
    pattern
        Colours of the top-left 2x2 sites of the CFA in reading order.
    """

    white_balance: Triple
    camera_to_srgb: tuple[Triple, Triple, Triple]
    saturation: Triple = (1.0, 1.0, 1.0)
    pattern: str = "RGGB"

    @classmethod
    def of(
        cls,
        white_balance: ArrayLike,
        camera_to_srgb: ArrayLike,
        saturation: ArrayLike,
        pattern: str = "RGGB",
    ) -> Scene:
        """Make one of arrays: ``(3,)``, ``(3, 3)`` and ``(3,)``."""
        return cls(
            _triple(white_balance),
            tuple(map(_triple, np.asarray(camera_to_srgb))),  # type: ignore[arg-type]
            _triple(saturation),
            pattern,
        )

    @classmethod
    def from_dict(cls, values: Any) -> Scene:
        """Make one of what :func:`dataclasses.asdict` gave.

        Raises
        ------
        KeyError, TypeError, ValueError
            A field is missing, of the wrong shape, not finite or impossible.
        """
        if unknown := set(values) - {field.name for field in fields(cls)}:
            raise ValueError(f"unknown fields {', '.join(sorted(map(str, unknown)))}")
        balance = _numbers(values["white_balance"], (3,))
        matrix = _numbers(values["camera_to_srgb"], (3, 3))
        saturation = _numbers(values["saturation"], (3,))
        pattern = str(values["pattern"])
        if pattern not in PATTERNS:
            raise ValueError(f"{pattern!r} is no Bayer pattern")
        if balance.min() <= 0 or abs(np.linalg.det(matrix)) < _SINGULAR:
            raise ValueError("white balance or matrix cannot be inverted")
        return cls.of(balance, matrix, saturation, pattern)

    @property
    def gain(self) -> float:
        """From balanced RGB (largest multiplier 1) to LibRaw's exposure (smallest multiplier 1)."""
        return max(self.white_balance) / min(self.white_balance)

    @property
    def matrix(self) -> NDArray[np.float64]:
        """``camera_to_srgb`` as an array."""
        return np.array(self.camera_to_srgb)

    @cached_property
    def tops(self) -> Triple:
        """Where each channel saturates in the gamma domain, at LibRaw's exposure."""
        least = min(self.white_balance)
        r, g, b = (
            encode_gamma_of(w / least * s)
            for w, s in zip(self.white_balance, self.saturation, strict=True)
        )
        return r, g, b
