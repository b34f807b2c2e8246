"""Auto: settings found by gradient descent through the filters, on a small copy of the picture.

With a reference, the picture is to look like it; without, to be well exposed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from napari_invisp.errors import SettingsError
from napari_invisp.flow.tone import encode_gamma
from napari_invisp.linear import linear_from_codes
from napari_invisp.retouching.filters import filtered, luminance
from napari_invisp.retouching.looks import clipped, colourfulness
from napari_invisp.retouching.parameters import bounds_of, values_of, with_values
from napari_invisp.retouching.reduction import reduced, sampled
from napari_invisp.retouching.settings import RetouchSettings
from napari_invisp.sensor.preview import camera_preview
from napari_invisp.tiling import CancelCheck, Progress, Watcher, single_threaded

__all__ = ["camera_preview", "fit"]

_Loss = Callable[[Tensor], Tensor]

# Longest side of the copy that is fitted on, in pixels.
_SIDE = 192
_STEPS, _RATE = 120, 0.08
# Proportions may differ by as much as cameras crop their previews, and a little more.
_CROPPED = 1.5

# Sides of the squares that are averaged before a picture is compared with its reference: what is
# smaller may be out of place, by lens correction or a crop.
_SQUARES = (2, 4, 8, 16)
# How much quantiles count, which do not know of places, and differences of colour.
_BY_QUANTILE, _BY_COLOUR = 0.5, 1.5
# How much moving away from neutral costs: enough to choose between filters that do the same.
_PULL, _BEND = 2e-4, 2e-3

# Display values of photographs: mean and spread of brightness from lowest to highest, difference of
# channels of what is coloured, and where clipping begins and gives way to light that can be brought
# back. Differences below that share of the largest channel may be those of something grey.
_MEAN, _SPREAD, _COLOURFUL = (0.40, 0.58), (0.19, 0.26), 0.25
_DARK, _WHITE, _BEYOND = 0.008, 0.97, 1.25
_NEARLY_GREY = 0.15

# What is fitted without a reference. Curves would bend to suit the averages alone.
_UNGUIDED = ("exposure", "white-balance", "gamma", "contrast", "saturation")


def fit(
    linear: NDArray[np.float32],
    reference_codes: NDArray[np.uint8] | None = None,
    start: RetouchSettings | None = None,
    *,
    progress: Progress | None = None,
    cancelled: CancelCheck | None = None,
) -> RetouchSettings:
    """Find settings for a picture.

    Parameters
    ----------
    linear
        ``(H, W, 3)`` linear sRGB, 1 at white.
    reference_codes
        ``(h, w, 3)`` uint8 sRGB of the same scene in the same orientation, of any size; if its
        proportions differ, the middles are compared. Fitted are all filters, to a multi-scale L1
        distance of display values, brightness and two colour differences, and to the distance of
        their quantiles. Without a reference, exposure, white balance, gamma, contrast and
        saturation are fitted to what photographs have in common, see :func:`_well_exposed`.
    start
        Where to begin, neutral by default. Its order is kept, and filters that are not fitted.
    progress, cancelled
        Told of the steps, and asked between them.

    Returns
    -------
    RetouchSettings
        Rounded to four digits.

    Raises
    ------
    SettingsError
        The reference is of other proportions altogether.
    Cancelled
        The caller asked to stop.
    """
    watcher = Watcher(progress, cancelled)
    watcher.step("fitting", 0, _STEPS)
    settings = RetouchSettings() if start is None else start
    with single_threaded():  # at this size a second thread costs more than it brings
        if reference_codes is None:
            small = reduced(linear, *_size(linear))
            names = [name for name in settings.order if name in _UNGUIDED]
            loss = _well_exposed(encode_gamma(small))
        else:
            linear = _cut_like(linear, reference_codes)
            small = reduced(linear, *_size(linear))
            names = list(settings.order)
            size = small.shape[2], small.shape[3]
            wanted = reduced(linear_from_codes(sampled(reference_codes, *size)), *size)
            loss = _like(encode_gamma(wanted))
        return _descended(small, settings, names, loss, watcher)


def _descended(
    small: Tensor, settings: RetouchSettings, names: Iterable[str], loss: _Loss, watcher: Watcher
) -> RetouchSettings:
    """Optimise the parameters of some filters by Adam."""
    fixed = {name: torch.tensor([values_of(settings, name)]) for name in settings.order}
    free = {name: bounds_of(name).free(fixed[name]).requires_grad_() for name in names}
    neutral = {name: bounds_of(name).free(bounds_of(name).neutral) for name in free}
    optimizer = torch.optim.Adam(free.values(), lr=_RATE)
    for step in range(_STEPS):
        watcher.step("fitting", step, _STEPS)
        optimizer.param_groups[0]["lr"] = _RATE * (1 - step / _STEPS) ** 0.5
        now = {name: bounds_of(name).bounded(each) for name, each in free.items()}
        result = filtered(small, [(name, now.get(name, fixed[name])) for name in settings.order])
        cost = loss(encode_gamma(result)) + _strain(free, neutral)
        optimizer.zero_grad()
        cost.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    watcher.step("fitting", _STEPS, _STEPS)
    for name, each in free.items():
        settings = with_values(settings, name, bounds_of(name).bounded(each.detach())[0])
    return settings


def _strain(free: dict[str, Tensor], neutral: dict[str, Tensor]) -> Tensor:
    """Price being away from neutral, and bending curves sharply."""
    cost = torch.zeros(())
    for name, each in free.items():
        cost = cost + _PULL * (each - neutral[name]).square().mean()
        if name == "tone-curve":
            cost = cost + _BEND * each.diff().square().mean()
        elif name == "colour-curves":
            cost = cost + _BEND * each.reshape(3, -1).diff().square().mean()
    return cost


def _like(reference: Tensor) -> _Loss:
    """Measure how far display values are from those of a reference of the same size."""
    wanted = _opponent(reference)
    squares = [n for n in _SQUARES if n <= min(reference.shape[2:])]
    pooled = [functional.avg_pool2d(wanted, n) for n in squares]
    ordered = _ordered(pooled[0])

    def loss(display: Tensor) -> Tensor:
        found = _opponent(clipped(display))
        ours = [functional.avg_pool2d(found, n) for n in squares]
        apart = torch.stack([(a - b).abs().mean() for a, b in zip(ours, pooled, strict=True)])
        quantiles = (_ordered(ours[0]) - ordered).abs().mean()
        return apart.mean() + _BY_QUANTILE * quantiles

    return loss


def _well_exposed(untouched: Tensor) -> _Loss:
    """Measure how far a picture is from what photographs have in common.

    These are: brightness of medium mean and spread, next to nothing clipped, what is nearly grey
    grey on average (the grey world, but of those colours alone: a forest stays green), and
    colours that are not dull. Each is a squared distance that is 0 within what is usual.
    """
    largest = untouched.amax(1, keepdim=True)
    grey = torch.exp(-((colourfulness(untouched) / (_NEARLY_GREY * largest.clamp(min=0.01))) ** 2))
    middle = _within(luminance(untouched), 0.05, 0.9)
    trusted = grey * middle
    trusted = trusted / trusted.sum().clamp(min=1)
    # What the sensor has clipped stays white: darker, it would be a grey patch.
    kept = 1 - _within(largest, _WHITE, _BEYOND)

    def loss(display: Tensor) -> Tensor:
        shown = clipped(display)
        light = luminance(shown)
        mean, spread = light.mean(), light.std()
        beyond = kept * (display - _WHITE).clamp(min=0) + (_DARK - display).clamp(min=0)
        cast = (trusted * (shown - light)).sum((2, 3))
        dull = (middle * (1 - grey) * (_COLOURFUL - colourfulness(shown)).clamp(min=0)).mean()
        return (
            _outside(mean, *_MEAN).square()
            + _outside(spread, *_SPREAD).square()
            + beyond.mean()
            + 4 * cast.square().sum()
            + 0.5 * dull.square()
        )

    return loss


def _outside(value: Tensor, low: float, high: float) -> Tensor:
    return (low - value).clamp(min=0) + (value - high).clamp(min=0)


def _within(values: Tensor, low: float, high: float) -> Tensor:
    return ((values > low) & (values < high)).float()


def _opponent(shown: Tensor) -> Tensor:
    """Brightness and two differences of colour, ``(N, 3, H, W)``: near to how one sees them."""
    red, green, blue = shown[:, 0:1], shown[:, 1:2], shown[:, 2:3]
    colour = _BY_COLOUR * torch.cat((red - green, (red + green) / 2 - blue), dim=1)
    return torch.cat((luminance(shown), colour), dim=1)


def _ordered(planes: Tensor) -> Tensor:
    return planes.flatten(2).sort(dim=2).values


def _size(linear: NDArray[np.float32]) -> tuple[int, int]:
    """Height and width of the copy that is fitted on."""
    height, width = linear.shape[:2]
    scale = max(1.0, max(height, width) / _SIDE)
    return max(1, round(height / scale)), max(1, round(width / scale))


def _cut_like(linear: NDArray[np.float32], codes: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Cut the middle out of a picture that has the proportions of a reference."""
    height, width = linear.shape[:2]
    wanted = codes.shape[1] / codes.shape[0]
    if not 1 / _CROPPED <= wanted * height / width <= _CROPPED:
        raise SettingsError(
            f"the reference has the proportions {wanted:.2f}:1 and the picture "
            f"{width / height:.2f}:1; they cannot show the same"
        )
    rows = max(1, min(height, round(width / wanted)))
    columns = max(1, min(width, round(height * wanted)))
    top, left = (height - rows) // 2, (width - columns) // 2
    return linear[top : top + rows, left : left + columns]
