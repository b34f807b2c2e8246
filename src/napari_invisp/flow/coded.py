"""What is known of a picture that comes out of a JPEG file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor


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


@dataclass(frozen=True, eq=False)
class Trial:
    """Windows of a rendering, side by side as one picture, that went through JPEG.

    Attributes
    ----------
    decoded
        ``(1, 3, H, W)`` gamma-encoded sRGB, 0…1, as recovery sees it. All windows lie on JPEG's
        grid of blocks as they do in the frame, and begin at the same CFA site.
    coded
        The JPEG.
    truth
        ``(H, W, 3)`` network RAW of the original, 0…1, that RAW figures are made of.
    network_raw
        Makes the same of what a model recovers, ``(1, 3, H, W)``.
    inner
        ``(H, W)`` bool: far enough from where windows meet.
    """

    decoded: Tensor
    coded: Coded
    truth: Tensor
    network_raw: Callable[[Tensor], Tensor]
    inner: Tensor
