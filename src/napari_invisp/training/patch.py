"""What training draws: a window of a RAW picture with LibRaw's rendering of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_invisp.sensor.record import RawRecord

#: The flips and rotations of a square: its symmetries, the identity first.
ORIENTATIONS = 8


@dataclass(frozen=True, eq=False)
class Patch:
    """A square window of a RAW picture.

    Attributes
    ----------
    record
        The window as a RAW record: ``(S, S)`` mosaic, S even, the pattern as at its first site.
    reference
        ``(S, S, 3)`` uint8, the sRGB that goes with it, pixel for pixel.
    picture
        Name of the picture in its set.
    margin
        Width of the frame around what is learned from: context for demosaicing and networks.
    """

    record: RawRecord
    reference: NDArray[np.uint8]
    picture: str
    margin: int = 0

    @property
    def side(self) -> int:
        """S less the margins: pixels a side that are learned from."""
        return self.record.height - 2 * self.margin

    def turned(self, orientation: int) -> Patch:
        """Flip or rotate, sensor, pattern and picture together.

        Parameters
        ----------
        orientation
            0…7: quarter turns, from 4 on of the mirrored patch; 0 leaves it as it is.
        """
        sites = _turned(self.record.channels, orientation)
        pattern: Any = "".join("RGB"[channel] for channel in sites.ravel())
        record = self.record.replace(
            mosaic=np.ascontiguousarray(_turned(self.record.mosaic, orientation)),
            black=_turned(self.record.black, orientation),
            pattern=pattern,
        )
        reference = np.ascontiguousarray(_turned(self.reference, orientation))
        return replace(self, record=record, reference=reference)


def _turned(plane: NDArray[Any], orientation: int) -> NDArray[Any]:
    mirrored = plane[:, ::-1] if orientation >= 4 else plane
    return np.rot90(mirrored, orientation % 4)


@dataclass(frozen=True, eq=False)
class Picture:
    """A whole prepared picture.

    Attributes
    ----------
    name
        Its name in its set.
    record
        The RAW, its mosaic read from disk as it is touched.
    reference
        ``(H, W, 3)`` uint8, the sRGB that goes with it.
    """

    name: str
    record: RawRecord
    reference: NDArray[np.uint8]


class PatchSource(Protocol):
    """Where patches come from: a prepared set, or several."""

    def draw(self, rng: np.random.Generator, side: int, margin: int = 0) -> Patch:
        """Cut a window of ``side + 2 * margin`` from a picture of the training part, at random."""
        ...

    def picture(self, name: str) -> Picture:
        """Return a whole picture, by the name that its patches carry."""
        ...

    def held_out(self) -> Sequence[Picture]:
        """Return the pictures that nothing is learned from."""
        ...
