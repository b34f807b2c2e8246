"""Between settings, a filter's parameters as numbers, and numbers without bounds to optimise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from napari_invisp.retouching.settings import FILTERS, RetouchSettings
from napari_invisp.settings import control_of

# Unbounded numbers start at least this share of a range away from its ends, where the slope is 0.
_INSIDE = 0.05
# Digits after the point that settings keep.
_DIGITS = 4


@dataclass(frozen=True, eq=False)
class Bounds:
    """The ranges of a filter's parameters.

    Attributes
    ----------
    low, high
        ``(P,)``, ends included.
    neutral
        ``(P,)``, where the filter changes nothing.
    geometric
        ``(P,)`` bool: whether the middle of a range is the geometric mean of its ends.
    """

    low: Tensor
    high: Tensor
    neutral: Tensor
    geometric: Tensor

    def bounded(self, free: Tensor) -> Tensor:
        """Map ``(…, P)`` numbers without bounds into the ranges, by a logistic curve."""
        share = torch.sigmoid(free)
        even = self.low + (self.high - self.low) * share
        # Of ranges that begin at 0 or below, no ratio is taken.
        low = torch.where(self.geometric, self.low, 1.0)
        ratio = torch.where(self.geometric, self.high / low, 1.0)
        return torch.where(self.geometric, low * ratio**share, even)

    def free(self, values: Tensor) -> Tensor:
        """Undo :meth:`bounded`; values at the end of a range are moved inside by a little."""
        even = (values - self.low) / (self.high - self.low)
        low = torch.where(self.geometric, self.low, 1.0)
        high = torch.where(self.geometric, self.high, 2.0)
        powers = torch.where(self.geometric, values, 1.0)
        share = torch.where(self.geometric, (powers / low).log() / (high / low).log(), even)
        return torch.logit(share.clamp(_INSIDE, 1 - _INSIDE))


@lru_cache
def bounds_of(name: str) -> Bounds:
    """Return the ranges of a filter of :data:`~napari_invisp.retouching.settings.FILTERS`."""
    known = {each.name: each for each in fields(RetouchSettings)}
    low: list[float | None] = []
    high: list[float | None] = []
    neutral: list[float] = []
    for field in FILTERS[name]:
        control, default = control_of(known[field]), known[field].default
        values = default if isinstance(default, tuple) else (default,)
        low += [control.minimum] * len(values)
        high += [control.maximum] * len(values)
        neutral += values
    lowest = torch.tensor(low, dtype=torch.float32)
    return Bounds(
        lowest,
        torch.tensor(high, dtype=torch.float32),
        torch.tensor(neutral, dtype=torch.float32),
        lowest > 0,
    )


def values_of(settings: RetouchSettings, name: str) -> list[float]:
    """Give the parameters of a filter, curves slope by slope."""
    found: list[float] = []
    for field in FILTERS[name]:
        value = getattr(settings, field)
        found += value if isinstance(value, tuple) else (value,)
    return found


def with_values(
    settings: RetouchSettings, name: str, values: Sequence[float] | Tensor
) -> RetouchSettings:
    """Return settings with other parameters of a filter, rounded to four digits.

    Parameters
    ----------
    settings
        What the rest is taken from.
    name
        Of the filter.
    values
        ``(P,)``, as from :func:`values_of`.
    """
    numbers = [round(float(value), _DIGITS) for value in values]
    changes: dict[str, Any] = {}
    for field in FILTERS[name]:
        if isinstance(getattr(RetouchSettings, field), tuple):
            count = len(getattr(RetouchSettings, field))
            changes[field] = tuple(numbers[:count])
        else:
            count = 1
            changes[field] = numbers[0]
        numbers = numbers[count:]
    return replace(settings, **changes)
