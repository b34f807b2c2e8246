"""How noisy a RAW is, from the frame itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from napari_invisp.sensor.cfa import SITES, normalise
from napari_invisp.sensor.record import RawRecord

# Side in sites of one colour of the blocks that noise is measured in.
_BLOCK = 8
# Blocks are sorted by brightness into so many groups; of each, the smoothest are taken for flat.
_GROUPS = 24
_FLAT = 0.1
# Blocks brighter than this hold saturated samples; a group has at least so many blocks.
_BRIGHTEST = 0.8
_FEWEST = 50


@dataclass(frozen=True)
class Noise:
    """Poisson-Gaussian noise: the variance of a sample x is ``gain * x + floor``.

    Attributes
    ----------
    gain, floor
        In light of which black is 0 and the white level 1.
    """

    gain: float
    floor: float


def measured_noise(record: RawRecord) -> Noise:
    """Fit the noise model to the flat parts of a frame (after Foi et al., 2008).

    In each block of sites of one colour, diagonal differences, which are blind to gradients, give
    a variance. Among blocks of like brightness the smoothest show what is noise alone; taking
    the smoothest is biased by a factor that is the same for all, and weights do not depend on it.

    Returns
    -------
    Noise
        At least what rounding to whole DN adds.
    """
    values = normalise(record)
    step = 1 / (record.white - record.black.max())
    means, variances = zip(*(_blocks(values[r::2, c::2]) for r, c in SITES), strict=True)
    mean, variance = np.concatenate(means), np.concatenate(variances)
    usable = (mean > 0) & (mean < _BRIGHTEST)
    order = np.flatnonzero(usable)[np.argsort(mean[usable])]
    groups = [
        group
        for group in np.array_split(order, max(1, min(_GROUPS, len(order) // _FEWEST)))
        if len(group) >= _FEWEST
    ]
    rounding = step**2 / 12
    if not groups:
        return Noise(gain=step, floor=rounding)
    light = np.array([mean[group].mean() for group in groups])
    spread = np.array([np.quantile(variance[group], _FLAT) for group in groups])
    # Relative errors count: the brightest group is not worth more than the darkest.
    weight = 1 / np.maximum(spread, rounding)
    design = np.stack([light, np.ones_like(light)], axis=1)
    (gain, floor), _ = nnls(design * weight[:, None], spread * weight)
    return Noise(gain=float(gain), floor=max(float(floor), rounding))


def _blocks(plane: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and variance of the noise of each whole block of a plane."""
    rows, columns = (length // _BLOCK for length in plane.shape)
    blocks = plane[: rows * _BLOCK, : columns * _BLOCK].reshape(rows, _BLOCK, columns, _BLOCK)
    pairs = blocks[:, ::2] - blocks[:, 1::2]
    diagonal = (pairs[..., ::2] - pairs[..., 1::2]) / 2
    return (
        blocks.mean(axis=(1, 3), dtype=np.float64).ravel(),
        np.square(diagonal).mean(axis=(1, 3), dtype=np.float64).ravel(),
    )
