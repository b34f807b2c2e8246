"""Roundings for training: the steps of JPEG whose derivative is zero, and what stands in for it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, Protocol, cast

import torch
from torch import Tensor

from napari_invisp.errors import SettingsError

RoundingName = Literal["fourier", "dsq", "straight-through", "hard"]
ROUNDINGS: tuple[RoundingName, ...] = ("fourier", "dsq", "straight-through", "hard")


class Rounding(Protocol):
    """Rounds a tensor of any shape, or does nearly so."""

    def __call__(self, values: Tensor, /) -> Tensor:
        """Return a tensor of the same shape."""
        ...


def make_rounding(name: str, *, terms: int = 10, alpha: float = 0.2) -> Rounding:
    """Return the rounding called ``name``.

    Parameters
    ----------
    name
        ``"fourier"`` (:class:`FourierRounding`), ``"dsq"`` (:class:`SoftRounding`),
        ``"straight-through"`` (:func:`straight_through`) or ``"hard"`` (:func:`hard`).
    terms
        Of the Fourier series, K.
    alpha
        Softness of the soft rounding.

    Raises
    ------
    SettingsError
        There is no such rounding, or its parameter is out of range.
    """
    match name:
        case "fourier":
            return FourierRounding(terms)
        case "dsq":
            return SoftRounding(alpha)
        case "straight-through":
            return straight_through
        case "hard":
            return hard
    raise SettingsError(f"rounding {name!r} is not one of {', '.join(ROUNDINGS)}")


def hard(values: Tensor) -> Tensor:
    """Round to the nearest integer, halves away from zero as libjpeg does; the gradient is zero."""
    return torch.trunc(values + 0.5 * torch.sign(values))


def straight_through(values: Tensor) -> Tensor:
    """Round as :func:`hard` does; the gradient passes as if nothing had happened."""
    return _apply(_StraightThrough, values, hard)


def straight_through_floor(values: Tensor) -> Tensor:
    """Round down; the gradient passes as if nothing had happened."""
    return _apply(_StraightThrough, values, torch.floor)


def saturate(values: Tensor, low: float, high: float) -> Tensor:
    """Clip to ``[low, high]`` with a gradient that can bring values back.

    Inside the range the gradient passes. Outside, it passes where a step against it moves the value
    towards the range and is zero where it would move it further out, so that what has been clipped
    is not lost to training.
    """
    return _apply(_Saturate, values, low, high)


@dataclass(frozen=True)
class FourierRounding:
    """The truncated Fourier series of rounding (Invertible ISP, CVPR 2021, Eq. 9).

    ``Q(I) = I − (1/π) Σ_{k=1..K} (−1)^{k+1}/k · sin(2πkI)``, with its true gradient.

    Attributes
    ----------
    terms
        K, at least 1. The paper uses 10.
    """

    terms: int = 10

    def __post_init__(self) -> None:
        if self.terms < 1:
            raise SettingsError(f"a Fourier rounding needs at least 1 term, not {self.terms}")

    def __call__(self, values: Tensor) -> Tensor:
        """Round ``values``, of any shape."""
        return _apply(_Fourier, values, self.terms)


@dataclass(frozen=True)
class SoftRounding:
    """Differentiable soft quantization (DSQ, Gong et al., ICCV 2019) with steps of 1.

    On each interval between neighbouring integers, with m its middle, ``Q(x) = m + s/2 · tanh(κ(x −
    m))`` where ``s = 1/tanh(κ/2)`` and ``κ = ln(2/α − 1)``, so that integers stay what they are.

    Attributes
    ----------
    alpha
        Softness, above 0 (rounding) and below 1 (nothing).
    """

    alpha: float = 0.2

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1:
            raise SettingsError(f"alpha of a soft rounding lies between 0 and 1, not {self.alpha}")

    def __call__(self, values: Tensor) -> Tensor:
        """Round ``values``, of any shape."""
        steepness = math.log(2 / self.alpha - 1)
        middle = torch.floor(values.detach()) + 0.5
        curve = torch.tanh(steepness * (values - middle)) / math.tanh(steepness / 2)
        return middle + 0.5 * curve


def _apply(function: type[torch.autograd.Function], *arguments: Any) -> Tensor:
    return cast(Tensor, function.apply(*arguments))  # type: ignore[no-untyped-call]


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, function: Any) -> Tensor:
        return cast(Tensor, function(values))

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Any, None]:
        return gradients[0], None


class _Saturate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, low: float, high: float) -> Tensor:
        ctx.save_for_backward(values)
        ctx.bounds = low, high
        return values.clamp(low, high)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor, None, None]:
        (values,), (low, high), (gradient,) = ctx.saved_tensors, ctx.bounds, gradients
        outwards = ((values < low) & (gradient > 0)) | ((values > high) & (gradient < 0))
        return gradient.masked_fill(outwards, 0), None, None


class _Fourier(torch.autograd.Function):
    # Clenshaw's recurrence sums the series with one sine and one cosine, and the backward pass does
    # so again, which keeps one tensor for it in place of 2K.
    @staticmethod
    def forward(ctx: Any, values: Tensor, terms: int) -> Tensor:
        ctx.save_for_backward(values)
        ctx.terms = terms
        sine, cosine = _turn(values)
        first, _ = _clenshaw(cosine, [(-1) ** (k + 1) / k for k in range(1, terms + 1)])
        return values - first * sine / math.pi

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor, None]:
        _, cosine = _turn(ctx.saved_tensors[0])
        first, second = _clenshaw(cosine, [(-1) ** (k + 1) for k in range(1, ctx.terms + 1)])
        slope = 1 - 2 * (first * cosine - second)
        return gradients[0] * slope, None


def _turn(values: Tensor) -> tuple[Tensor, Tensor]:
    angle = 2 * math.pi * (values - torch.round(values))  # keeps the phase of large values exact
    return torch.sin(angle), torch.cos(angle)


def _clenshaw(cosine: Tensor, weights: list[float]) -> tuple[Tensor, Tensor]:
    # Σ w_k sin kθ = first · sin θ and Σ w_k cos kθ = first · cos θ − second, k = 1 … K.
    first = second = torch.zeros_like(cosine)
    for weight in reversed(weights):
        first, second = weight + 2 * cosine * first - second, first
    return first, second
