"""Local Laplacian filters: detail and large-scale contrast apart, without halos.

Every coefficient of the result's Laplacian pyramid is that of a copy of the picture whose values
were bent about the local value g: differences from g of up to σ are detail, those beyond are edges
(Paris, Hasinoff and Kautz, "Local Laplacian Filters", 2011, Eq. 1 to 3). The fast form bends the
picture about a few values only and interpolates between their pyramids (Aubry et al., "Fast Local
Laplacian Filters", 2014, section 4).

Values are log2 of luminance, differences are in EV. With β for the contrast of edges, bending is

    r(i) = β·i + (1 − β)·g + b(i − g)

where b is odd and constant beyond σ: it alone depends on g, so that it alone is sampled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from math import ceil, floor

import cv2
import numpy as np
from numpy.typing import NDArray

from napari_invisp.errors import Cancelled
from napari_invisp.hdr.settings import ToneSettings
from napari_invisp.sensor.libraw import Step
from napari_invisp.tiling import CancelCheck

Plane = NDArray[np.float32]

# Distance of the sampled values in σ, where detail is left and where it is changed, which bends
# more sharply; and in EV, at least.
_SPACING, _FINE_SPACING = 0.5, 0.25
_LEAST_SPACING = 0.15
# Differences in EV that may be noise, and those that are none: enhancing begins between them
# (section 4 of the paper).
_NOISE = (0.02, 0.1)
# Base of the exponent of detail: from a quarter to four.
_STRENGTH = 4.0
# Pixels that are worked on at a time.
_CACHED = 32768


def report(step: Step | None, cancelled: CancelCheck | None, done: int, total: int) -> None:
    """Tell of progress, and stop if asked to.

    Raises
    ------
    Cancelled
        The caller asked to stop.
    """
    if step is not None:
        step(done, total)
    if cancelled is not None and cancelled():
        raise Cancelled("tone mapping")


# -- pyramids -----------------------------------------------------------------------------------


def depth(shape: tuple[int, int]) -> int:
    """Return how many times a plane can be halved before a side of it is a single pixel."""
    return (min(shape) - 1).bit_length()


def gaussian_pyramid(plane: Plane, levels: int) -> list[Plane]:
    """Halve a plane again and again: ``levels + 1`` planes, itself first.

    The kernel is that of Burt and Adelson, (1 4 6 4 1)/16 along either side; borders are mirrored.
    """
    pyramid = [plane]
    for _ in range(levels):
        pyramid.append(_halved(pyramid[-1]))
    return pyramid


def laplacian_pyramid(plane: Plane, levels: int) -> list[Plane]:
    """Take a plane apart into ``levels`` bands, the finest first, and what remains, halved.

    :func:`collapsed` puts them together again.
    """
    gaussian = gaussian_pyramid(plane, levels)
    bands = [fine - _expanded(coarse, fine.shape) for fine, coarse in pairwise(gaussian)]
    return [*bands, gaussian[-1]]


def collapsed(pyramid: Sequence[Plane]) -> Plane:
    """Put a Laplacian pyramid together."""
    plane = pyramid[-1]
    for band in reversed(pyramid[:-1]):
        plane = _expanded(plane, band.shape)
        plane += band
    return plane


def _halved(plane: Plane) -> Plane:
    halved: Plane = cv2.pyrDown(plane)  # type: ignore[assignment]
    return halved


def _expanded(plane: Plane, shape: tuple[int, ...]) -> Plane:
    height, width = shape
    expanded: Plane = cv2.pyrUp(plane, dstsize=(width, height))  # type: ignore[assignment]
    return expanded


# -- bending ------------------------------------------------------------------------------------


def bent(plane: Plane, middle: float, settings: ToneSettings) -> Plane:
    """Bend values about ``middle``: r of the paper, Eq. 1 to 3.

    Parameters
    ----------
    plane
        ``(h, w)`` float32, log2 of luminance.
    middle
        g: the value that stays.
    settings
        Detail, contrast and threshold.
    """
    beta = np.float32(settings.contrast)
    bump = np.empty_like(plane)
    _bump(plane, middle, settings, bump)
    return beta * plane + (1 - beta) * np.float32(middle) + bump


def _bump(plane: Plane, middle: float, settings: ToneSettings, bump: Plane) -> None:
    """Fill in b(i − g): what bending does beyond scaling by β."""
    sigma, beta = np.float32(settings.threshold), np.float32(settings.contrast)
    np.subtract(plane, np.float32(middle), out=bump)
    np.clip(bump, -sigma, sigma, out=bump)
    if settings.detail == 0:
        bump *= 1 - beta
    else:
        curved = _curved(bump, settings)
        bump *= beta
        np.subtract(curved, bump, out=bump)


def _curved(within: Plane, settings: ToneSettings) -> Plane:
    """Return sign(d)·σ·f(|d|/σ) for differences d of up to σ, f(x) = x^α."""
    sigma, alpha = settings.threshold, _STRENGTH**-settings.detail
    size = np.abs(within)
    curved = np.asarray(cv2.pow(size, alpha), np.float32)
    curved *= np.float32(sigma ** (1 - alpha))
    if alpha < 1:
        low, high = _NOISE
        sure = smooth_step(size, low, high)
        curved -= size
        curved *= sure
        curved += size
    np.copysign(curved, within, out=curved)
    return curved


def smooth_step(values: Plane, low: float, high: float) -> Plane:
    """Rise smoothly from 0 at ``low`` to 1 at ``high``."""
    t = values - np.float32(low)
    t *= np.float32(1 / (high - low))
    np.clip(t, 0, 1, out=t)
    smooth: Plane = t * t * (3 - 2 * t)
    return smooth


# -- the filter ---------------------------------------------------------------------------------


def _kept(residual: Plane) -> Plane:
    return residual


def local_laplacian(
    log_luminance: Plane,
    settings: ToneSettings,
    samples: int | None = None,
    *,
    levels: int | None = None,
    coarsest: Callable[[Plane], Plane] = _kept,
    step: Step | None = None,
    cancelled: CancelCheck | None = None,
) -> Plane:
    """Filter log luminance, by the fast form.

    Parameters
    ----------
    log_luminance
        ``(h, w)`` float32, log2 of luminance, finite.
    settings
        Detail, contrast and threshold.
    samples
        How many values the picture is bent about, evenly from its darkest to its brightest; by
        default multiples of a share of σ that its values lie between, the same in every part of a
        frame.
    levels
        Depth of the pyramids; as deep as they can be by default.
    coarsest
        What becomes of the pyramid's residual; kept as it is by default, as in the paper.
    step, cancelled
        Told of samples done; asked between them.

    Returns
    -------
    numpy.ndarray
        ``(h, w)`` float32.

    Raises
    ------
    Cancelled
        The caller asked to stop.
    """
    levels = depth(log_luminance.shape) if levels is None else levels
    values, spacing = _sampled(log_luminance, settings, samples)
    gaussian = gaussian_pyramid(log_luminance, levels)
    result = laplacian_pyramid(log_luminance, levels)
    result[-1] = coarsest(gaussian[-1])
    for band in result[:-1]:
        band *= np.float32(settings.contrast)
    bump = np.empty_like(log_luminance)
    for done, value in enumerate(values):
        report(step, cancelled, done, len(values))
        for rows in _rows(bump):
            _bump(log_luminance[rows], value, settings, bump[rows])
        fine = bump
        for local, band in zip(gaussian[:-1], result[:-1], strict=True):
            coarse = _halved(fine)
            smooth = _expanded(coarse, fine.shape)
            for rows in _rows(band):
                _add_share(band[rows], fine[rows], smooth[rows], local[rows], value, spacing)
            fine = coarse
    report(step, cancelled, len(values), len(values))
    return collapsed(result)


def _add_share(
    band: Plane, fine: Plane, smooth: Plane, local: Plane, value: float, spacing: float
) -> None:
    """Add a sample's detail by its share: 1 where the local value is its own, 0 at the next."""
    share = local - np.float32(value)
    np.abs(share, out=share)
    share *= np.float32(-1 / spacing)
    share += 1
    np.maximum(share, 0, out=share)
    share *= fine - smooth
    band += share


def _rows(plane: Plane) -> Iterator[slice]:
    """Give bands of rows, so that what is in work stays in the processor's cache."""
    height, width = plane.shape
    rows = max(1, _CACHED // width)
    for top in range(0, height, rows):
        yield slice(top, top + rows)


def local_laplacian_direct(log_luminance: Plane, settings: ToneSettings) -> Plane:
    """Filter log luminance by the definition, a pyramid for each coefficient.

    It takes time with the square of the number of pixels: it is for small pictures, to measure
    :func:`local_laplacian` by. Parameters and result are the same.
    """
    levels = depth(log_luminance.shape)
    gaussian = gaussian_pyramid(log_luminance, levels)
    result = [np.empty_like(level) for level in gaussian[:-1]]
    for level, band in enumerate(result):
        for place, middle in np.ndenumerate(gaussian[level]):
            copy = bent(log_luminance, float(middle), settings)
            band[place] = laplacian_pyramid(copy, level + 1)[level][place]
    return collapsed([*result, gaussian[-1]])


def _sampled(
    plane: Plane, settings: ToneSettings, samples: int | None
) -> tuple[list[float], float]:
    """Return the values to bend about, and their distance."""
    low, high = float(plane.min()), float(plane.max())
    if samples is None:
        share = _SPACING if settings.detail == 0 else _FINE_SPACING
        spacing = max(share * settings.threshold, _LEAST_SPACING)
        first, last = floor(low / spacing), ceil(high / spacing)
        return [number * spacing for number in range(first, last + 1)], spacing
    if samples < 2 or low == high:
        return [low], 1.0
    spacing = (high - low) / (samples - 1)
    return [low + number * spacing for number in range(samples)], spacing
