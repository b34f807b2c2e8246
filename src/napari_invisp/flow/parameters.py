"""What the physics chain needs to know of a file: the part of the capsule that is its own."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from napari_invisp.errors import CheckpointError
from napari_invisp.flow.scene import Scene, Triple

# LibRaw stores floor(256·y). The module gives (256·y − ½)/255, which rounds to just that, and
# white is the centre of the last code, so that saturation survives storage.
LEVELS = 256.0
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
    neutral
        How far the channel that saturates first bends down with the others where they near white:
        0 not at all, as LibRaw clips it; 1 so far that grey stays grey.
    low, high
        Compression of colours below black, and of colours above white.
    scale
        Factor on the finished picture: below 1 it makes room above white.
    snap
        A channel of a decoded JPEG within this distance of white counts as saturated.
    trust
        How far the inverse of each compression (white balance, low, high) is believed when JPEG
        noise stands on what it expands: 1 is the exact inverse, 0 takes the value as it is.
    departure
        Mean squared distance of the rendering from LibRaw's, as far as it is meant: about 0 where
        nothing clips.
    """

    scene: Scene
    knees: Triple = (0.9, 0.9, 0.9)
    shapes: Triple = (1.0, 1.0, 1.0)
    neutral: float = 0.0
    low: tuple[float, float] = (0.95, 2.0)
    high: tuple[float, float] = (0.97, 2.0)
    scale: float = 1.0
    snap: float = 0.0
    trust: Triple = (1.0, 1.0, 1.0)
    departure: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Any) -> PhysicsParameters:
        """From what :meth:`to_dict` gave.

        Raises
        ------
        CheckpointError
            A field is missing, unknown, of the wrong shape, not finite or impossible.
        """
        try:
            if unknown := set(values) - {field.name for field in fields(cls)}:
                raise ValueError(f"unknown fields {', '.join(sorted(map(str, unknown)))}")
            parameters = cls(
                scene=Scene.from_dict(values["scene"]),
                knees=floats(values["knees"], 3),
                shapes=floats(values["shapes"], 3),
                neutral=floats([values["neutral"]], 1)[0],
                low=floats(values["low"], 2),
                high=floats(values["high"], 2),
                scale=floats([values["scale"]], 1)[0],
                snap=floats([values["snap"]], 1)[0],
                trust=floats(values["trust"], 3),
                departure=floats([values["departure"]], 1)[0],
            )
            if parameters.scale <= 0:
                raise ValueError(f"a scale of {parameters.scale:g} leaves no picture")
            if parameters.departure < 0:
                raise ValueError(f"a departure of {parameters.departure:g} is no distance")
            return parameters
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise CheckpointError(
                f"the parameters of the physics model are damaged: {error}"
            ) from None


def floats(values: Any, count: int) -> Any:
    """Return as many finite numbers as there should be, as a tuple.

    Raises
    ------
    TypeError, ValueError, OverflowError
        They are something else.
    """
    numbers = tuple(float(v) for v in values)
    if len(numbers) != count or not np.isfinite(numbers).all():
        raise ValueError(f"expected {count} finite numbers, found {values!r}")
    return numbers


#: Parameters of a camera that sees as sRGB does.
NEUTRAL = PhysicsParameters(
    Scene((1.0, 1.0, 1.0), ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)))
)
