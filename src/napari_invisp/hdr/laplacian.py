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

from collections.abc import Callable, Sequence
from math import ceil, floor

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_invisp.errors import Cancelled
from napari_invisp.hdr.settings import ToneSettings
from napari_invisp.sensor.libraw import Step
from napari_invisp.tiling import CancelCheck

Plane = NDArray[np.float32]

# Distance of the sampled values, in σ.
_SPACING = 1.0
# Differences in EV that may be noise, and those that are none: enhancing begins between them
# (section 4 of the paper).
_NOISE = (0.02, 0.1)
# Base of the exponent of detail: from a quarter to four.
_STRENGTH = 4.0


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
    bands = [
        fine - _expanded(coarse, fine.shape)
        for fine, coarse in zip(gaussian[:-1], gaussian[1:], strict=True)
    ]
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
    return beta * plane + (1 - beta) * np.float32(middle) + _bump(plane, middle, settings)


def _bump(plane: Plane, middle: float, settings: ToneSettings) -> Plane:
    """Return b(i − g): what bending does beyond scaling by β."""
    sigma, beta = settings.threshold, settings.contrast
    within = torch.from_numpy(plane).sub(middle).clamp_(-sigma, sigma)
    if settings.detail == 0:
        return within.mul_(1 - beta).numpy()
    return _curved(within, settings).sub_(within, alpha=beta).numpy()


def _curved(within: Tensor, settings: ToneSettings) -> Tensor:
    """Return sign(d)·σ·f(|d|/σ) for differences d of up to σ, f(x) = x^α."""
    sigma, alpha = settings.threshold, _STRENGTH**-settings.detail
    size = within.abs()
    curved = (size / sigma).pow_(alpha).mul_(sigma)
    if alpha < 1:
        low, high = _NOISE
        sure = size.sub(low).mul_(1 / (high - low)).clamp_(0, 1)
        sure *= sure * (3 - 2 * sure)
        curved = size.lerp_(curved, sure)
    return curved.copysign_(within)


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
        default the multiples of σ that its values lie between, the same in every part of a frame.
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
    bands = [torch.from_numpy(band).mul_(settings.contrast) for band in result[:-1]]
    for done, value in enumerate(values):
        report(step, cancelled, done, len(values))
        fine = _bump(log_luminance, value, settings)
        for level, band in enumerate(bands):
            coarse = _halved(fine)
            detail = torch.from_numpy(fine).sub_(torch.from_numpy(_expanded(coarse, fine.shape)))
            # The share of this sample: 1 where the local value is the sampled one, 0 at the next.
            share = torch.from_numpy(gaussian[level]).sub(value).abs_()
            share.mul_(-1 / spacing).add_(1).clamp_(min=0)
            band.addcmul_(share, detail)
            fine = coarse
    report(step, cancelled, len(values), len(values))
    return collapsed(result)


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
        spacing = _SPACING * settings.threshold
        first, last = floor(low / spacing), ceil(high / spacing)
        return [number * spacing for number in range(first, last + 1)], spacing
    if samples < 2 or low == high:
        return [low], 1.0
    spacing = (high - low) / (samples - 1)
    return [low + number * spacing for number in range(samples)], spacing
