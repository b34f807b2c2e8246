"""What is known of a picture that comes out of a JPEG file."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Coded:
    """How a decoded picture was stored, and which part of it is at hand.

    Attributes
    ----------
    quality
        1…100, libjpeg's scale.
    subsampling
        ``"4:4:4"``, ``"4:2:2"`` or ``"4:2:0"``.
    origin
        Row and column of the first pixel in the frame: where it lies on JPEG's grid of blocks.
    """

    quality: int = 90
    subsampling: str = "4:2:2"
    origin: tuple[int, int] = (0, 0)
