"""Small copies of pictures, to look at them as a whole."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

_Value = TypeVar("_Value", bound="np.generic[Any]")

# Samples along a side of an averaged square, at most: more would not change the mean to be seen.
_SAMPLES = 4


def sampled(picture: NDArray[_Value], height: int, width: int) -> NDArray[_Value]:
    """Leave out rows and columns that an average over a smaller picture's pixels can do without.

    Parameters
    ----------
    picture
        ``(H, W, 3)``.
    height, width
        Of the smaller picture.
    """
    down = max(1, picture.shape[0] // (_SAMPLES * height))
    across = max(1, picture.shape[1] // (_SAMPLES * width))
    return picture[::down, ::across]


def reduced(linear: NDArray[np.float32], height: int, width: int) -> Tensor:
    """Average linear light over the pixels of a smaller picture.

    Parameters
    ----------
    linear
        ``(H, W, 3)``.
    height, width
        Of the copy, in pixels, proportions as one likes.

    Returns
    -------
    torch.Tensor
        ``(1, 3, height, width)`` float32.
    """
    samples = sampled(linear, height, width).transpose(2, 0, 1)
    samples = np.array(samples, np.float32, order="C")
    return functional.adaptive_avg_pool2d(torch.from_numpy(samples)[None], (height, width))
