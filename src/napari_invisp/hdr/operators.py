"""Global tone curves to compare with: OpenCV's Reinhard and Drago operators.

Both look at the whole picture and then bend every pixel by its luminance alone, so that the curve
can be read off a small picture of the frame and put on any part of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from napari_invisp.hdr.settings import REINHARD, ToneSettings

# Points of the curve; few beside the pixels of the small picture, whose averages they enter.
_POINTS = 256
# What the curve begins at: log2 of nothing.
_FLOOR = np.float32(2.0**-16)


@dataclass(frozen=True, eq=False)
class Curve:
    """A global tone curve.

    Attributes
    ----------
    before, after
        ``(n,)`` float32, log2 of luminance, ascending; 0 is white after.
    """

    before: NDArray[np.float32]
    after: NDArray[np.float32]

    def __call__(self, log_luminance: NDArray[np.float32]) -> NDArray[np.float32]:
        """Bend log luminance; beyond the ends it goes on at slope 1 below, level above."""
        bent = np.interp(log_luminance, self.before, self.after).astype(np.float32)
        bent += np.minimum(log_luminance - self.before[0], 0)
        return bent


def global_curve(luminance: NDArray[np.float32], settings: ToneSettings) -> Curve:
    """Read the curve of an operator off a small picture.

    Parameters
    ----------
    luminance
        ``(h, w)`` float32, linear, positive, of the whole frame.
    settings
        Operator, adaptation and bias.
    """
    low, high = np.log2(luminance.min()), np.log2(luminance.max())
    before = np.linspace(low, max(high, low + 1), _POINTS, dtype=np.float32)
    column = np.concatenate([np.exp2(before), luminance.ravel(), before[:1]])[:, None]
    grey = np.repeat(column[..., None], 3, axis=2).astype(np.float32)
    # OpenCV stretches its input to begin at 0, and divides by luminance: one channel of one
    # pixel is the 0, so that no luminance is.
    grey[-1] = 0, luminance.min(), luminance.min()
    with _quiet():
        shown = _operator(settings).process(grey)[:_POINTS, 0, 1]
    after = np.log2(np.maximum(shown, _FLOOR)).astype(np.float32)
    return Curve(before, np.maximum.accumulate(after))


def _operator(settings: ToneSettings) -> cv2.Tonemap:
    # Gamma 1: both leave light as it is, to be encoded as all of our pictures are.
    if settings.operator == REINHARD:
        return cv2.createTonemapReinhard(1.0, 0.0, settings.adaptation, 0.0)
    return cv2.createTonemapDrago(1.0, 1.0, settings.bias)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep off the standard error stream what OpenCV says about its own code."""
    level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(level)
