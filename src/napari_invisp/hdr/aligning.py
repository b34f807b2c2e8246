"""How frames of a bracket lie on one another, and how they were exposed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log2

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.filters import window
from skimage.registration import phase_cross_correlation

from napari_invisp.errors import RawFileError
from napari_invisp.sensor.cfa import channel_sites, normalise
from napari_invisp.sensor.record import RawRecord

# Frames are compared where both are brighter than this share of white and darker than that.
_DARK, _BRIGHT = 0.01, 0.8
# Fewer sites than this tell nothing.
_ENOUGH = 500
# Standard deviations in sites of the two blurs whose difference shows edges.
_EDGES = (1.0, 4.0)
# Fractions of a site that a shift is found in.
_FINENESS = 20
# Shifts in pixels that are not worth interpolating for, and the share of the shorter side that
# nobody shakes a camera by.
_STILL, _FARTHEST = 0.25, 0.1


@dataclass(frozen=True)
class Match:
    """How a frame compares with the reference.

    Attributes
    ----------
    shift
        ``(rows, columns)`` in pixels that bring it onto the reference; ``None`` if that cannot be
        told.
    ratio
        Its exposure in EV against the reference; ``None`` if too little is well exposed in both.
    """

    shift: tuple[float, float] | None
    ratio: float | None


def exposures_of(records: Sequence[RawRecord]) -> tuple[float, ...]:
    """Return exposures from EXIF, in EV: log2 of time × ISO / f-number².

    Raises
    ------
    RawFileError
        A frame does not say how it was exposed.
    """
    captures = [record.capture for record in records]
    settings = {"f_number": "f-number", "iso": "ISO"}
    for number, capture in enumerate(captures, 1):
        if capture.exposure_time is None:
            raise RawFileError(f"frame {number} does not say how long it was exposed")
        for name, words in settings.items():
            # A lens without contacts tells no f-number in any frame: then it was the same.
            if getattr(capture, name) is None and any(getattr(c, name) for c in captures):
                raise RawFileError(f"frame {number} does not say its {words}, as others do")
    return tuple(
        log2((c.exposure_time or 1) * (c.iso or 1) / (c.f_number or 1) ** 2) for c in captures
    )


def matched(frame: RawRecord, reference: RawRecord, exposure: float) -> Match:
    """Compare a frame with the reference by the greens in red's rows.

    Both are divided by their exposure and cut to the range of light that both recorded well, so
    that they show the same; correlation of their edges then finds the shift.

    Parameters
    ----------
    frame, reference
        Of the same size and pattern.
    exposure
        In EV against the reference, as EXIF says.
    """
    fixed, moving = _greens(reference), _greens(frame) / np.float32(2**exposure)
    low, high = _DARK * max(1, 2**-exposure), _BRIGHT * min(1, 2**-exposure)
    if low >= high:
        return Match(None, None)
    shift = _shift(*(np.log2(np.clip(plane, low, high)) for plane in (fixed, moving)))
    if shift is None:
        return Match(None, None)
    moved = np.roll(moving, [round(length / 2) for length in shift], axis=(0, 1))
    good = (np.minimum(fixed, moved) > low) & (np.maximum(fixed, moved) < high)
    if np.count_nonzero(good) < _ENOUGH:
        return Match(shift, None)
    ratio = exposure + log2(float(np.median(moved[good] / fixed[good])))
    return Match(shift, ratio)


def _greens(record: RawRecord) -> NDArray[np.float32]:
    row, column = channel_sites(record.pattern)["G1"]
    return normalise(record)[row::2, column::2]


def _edges(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    fine, coarse = (cv2.GaussianBlur(plane, (0, 0), sigma) for sigma in _EDGES)
    return np.asarray(fine - coarse, np.float32)


def _shift(fixed: NDArray[np.float32], moving: NDArray[np.float32]) -> tuple[float, float] | None:
    """Find by how many pixels of the frame one plane of every other site is to be moved."""
    if min(float(fixed.std()), float(moving.std())) == 0:
        return None
    taper = window("hann", fixed.shape).astype(np.float32)  # type: ignore[no-untyped-call]
    # Neither noise nor shading. All frequencies alike, as phase correlation has them, would be
    # mostly noise.
    planes = [taper * _edges(plane) for plane in (fixed, moving)]
    sites, _, _ = phase_cross_correlation(  # type: ignore[no-untyped-call]
        *planes, upsample_factor=_FINENESS, normalization=None
    )
    rows, columns = (2 * float(length) for length in sites)
    if max(abs(rows), abs(columns)) > _FARTHEST * 2 * min(fixed.shape):
        return None
    if max(abs(rows), abs(columns)) < _STILL:
        return 0.0, 0.0
    return rows, columns
