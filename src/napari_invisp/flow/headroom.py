"""Choosing the parameters of `physics`: how much of what LibRaw clips is kept, and at what price.

Whatever is kept beyond white or outside the gamut has to be hidden just inside, which changes the
picture. ``headroom`` is the exchange rate: 0 renders as close to LibRaw's clipping as an invertible
chain can, 1 keeps every RAW value at any price. Between the two, the parameters minimise

    R + λ · (P / 2 + P₀ · (P / P₀)ⁿ)

where R is the mean squared error of the recovered RAW (as ``balanced RGB ^ (1/2.2)``, after noise
such as JPEG leaves) over a sample of the picture, P the mean squared change of the rendering
against LibRaw's clipping, and λ falls from ∞ to 0 as headroom grows. The power is there because a
change is the less acceptable the larger it already is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import torch
from torch import Tensor

from napari_invisp.errors import SettingsError
from napari_invisp.flow.base import InvertibleISP
from napari_invisp.flow.parameters import WHITE, PhysicsParameters
from napari_invisp.flow.scene import Scene, Triple
from napari_invisp.flow.tone import encode_gamma

#: λ at the usual headroom.
_BALANCED = 0.07
_USUAL = 0.5
#: λ at headroom 1: enough to choose the better looking of two that keep as much.
_LEAST = 3e-6
#: Pixels that a fit looks at, and the least share of a picture that is worth one.
_SAMPLE = 4000
_WORTHWHILE = 1e-3
#: Scale of what JPEG at Q 90, 4:2:2 leaves on R, G, B, in codes of 255, tails as of Student's t
#: with three degrees of freedom.
_NOISE = (1.4, 0.9, 1.3)

_KNEES = (0.4, 0.5, 0.6, 0.7, 0.76, 0.82, 0.86, 0.89, 0.91, 0.93, 0.95, 0.97, 0.985)
_STEPS = (-0.05, -0.025, -0.012, 0.012, 0.025, 0.05)
_SHAPES = (0.3, 0.6, 0.8, 1.0)
_THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.94, 0.97, 1.0)
# Shares of what sensor values can lead to; with less, float32 would not bring the rest back.
_LIMITS = (0.5, 0.625, 0.75, 1.0)
_SCALES = (0.9, 0.925, 0.95, 0.975, 1.0)
_SNAPS = (0.0, 0.004, 0.008, 0.012, 0.016)
_TRUSTS = (0.0, 0.25, 0.5, 0.75, 1.0)


def price(headroom: float) -> float:
    """Return λ of the module's description; a little at headroom 1, much at 0."""
    return _BALANCED * ((1 - headroom) / max(headroom, 0.01)) ** 2 + _LEAST


@dataclass(frozen=True)
class Style:
    """What a model finds acceptable.

    Attributes
    ----------
    neutral
        See :class:`~napari_invisp.flow.parameters.PhysicsParameters`; not searched.
    limit, power
        P₀ and n of the module's description: where changes become dear, and how suddenly.
    fine
        Whether the knees are moved together in small steps too.
    noise
        Share of JPEG's usual noise that is expected on the way back.
    """

    neutral: float = 0.0
    limit: float = 1e-4
    power: int = 2
    fine: bool = False
    noise: float = 1.0

    def price_of(self, change: float) -> float:
        """Return P/2 + P₀·(P/P₀)ⁿ."""
        return change / 2 + self.limit * (change / self.limit) ** self.power

    def rate_at(self, change: float) -> float:
        """Return what a little more change costs where there is so much already."""
        return 0.5 + self.power * (change / self.limit) ** (self.power - 1)


def from_metadata(
    scene: Scene, headroom: float = _USUAL, style: Style = Style()
) -> PhysicsParameters:
    """Parameters that cover every value that the sensor can give, from metadata alone.

    Parameters
    ----------
    scene
        The file's metadata.
    headroom
        0…1, see the module.
    style
        What is acceptable.

    Raises
    ------
    SettingsError
        ``headroom`` is outside 0…1.
    """
    if not 0 <= headroom <= 1:
        raise SettingsError(f"headroom {headroom:g} is not between 0 and 1")
    knee = 1 - 0.02 * 25**headroom
    threshold = 1 - 0.01 * 40**headroom
    low, high = _limits(scene)
    return PhysicsParameters(
        scene, (knee,) * 3, neutral=style.neutral, low=(threshold, low), high=(threshold, high)
    )


@torch.inference_mode()
def fit(
    scene: Scene,
    sample: Tensor,
    headroom: float,
    build: Callable[[PhysicsParameters], InvertibleISP],
    style: Style = Style(),
) -> PhysicsParameters:
    """Parameters for one picture.

    Parameters
    ----------
    scene
        The file's metadata.
    sample
        ``(3, n)`` linear balanced RGB of pixels from all over the picture.
    headroom
        0…1, see the module.
    build
        Makes the chain of parameters that are to be tried.
    style
        What is acceptable.

    Raises
    ------
    SettingsError
        ``headroom`` is outside 0…1.
    """
    parameters = from_metadata(scene, headroom, style)
    sample = sample.to(torch.float32)
    target, beyond = _clipped(scene, sample)
    if float(beyond.to(torch.float32).mean()) < _WORTHWHILE:
        # There is nothing to keep: shoulders lower than usual would only cost.
        return from_metadata(scene, min(headroom, _USUAL), style)
    # Only these pixels can depend on what is chosen here.
    concerned = beyond | (encode_gamma(sample * scene.gain).amax(0) > _KNEES[0])
    search = _Search(
        scene,
        sample[:, concerned],
        target[:, concerned],
        headroom,
        float(concerned.to(torch.float32).mean()),
        build,
        style,
    )
    return search.run(parameters)


def _limits(scene: Scene) -> tuple[float, float]:
    """Largest distances below black and above white that sensor values can lead to."""
    axis = np.linspace(0, 1, 17)
    cube = torch.from_numpy(np.stack(np.meshgrid(axis, axis, axis)).reshape(3, -1))
    z = encode_gamma(torch.from_numpy(scene.matrix) @ (cube * WHITE))
    return tuple(  # type: ignore[return-value]
        max(1.05, float(((m - v) / m)[:, m[0] > 0.05].max()))
        for v in (z, WHITE - z)
        for m in (v.amax(0, keepdim=True),)
    )


def _clipped(scene: Scene, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return what LibRaw makes of ``x``, and where that clips more than noise."""
    u = x * scene.gain
    z = encode_gamma(torch.from_numpy(scene.matrix).to(x) @ u.clamp(max=1))
    clear = 0.02
    beyond = (u.amax(0) > 1 + clear) | (z.amin(0) < -clear) | (z.amax(0) > 1 + clear)
    return z.clamp(0, 1), beyond


class _Search:
    """Coordinate descent over a handful of candidates for each parameter."""

    def __init__(
        self,
        scene: Scene,
        x: Tensor,
        target: Tensor,
        headroom: float,
        share: float,
        build: Callable[[PhysicsParameters], InvertibleISP],
        style: Style,
    ) -> None:
        self._build, self._style = build, style
        self._rendered: dict[PhysicsParameters, Tensor] = {}
        self._costs: dict[PhysicsParameters, tuple[float, float]] = {}
        generator = torch.Generator().manual_seed(0)
        if x.shape[1] > _SAMPLE:
            chosen = torch.randperm(x.shape[1], generator=generator)[:_SAMPLE]
            x, target = x[:, chosen], target[:, chosen]
        normal = torch.randn((4, *x.shape), generator=generator)
        student = normal[0] / normal[1:].square().mean(0).sqrt()
        self._noise = student * torch.tensor(_NOISE)[:, None] * style.noise
        self._x = x[None, :, None]
        self._target = (target * 256).floor().clamp(max=255)
        self._network_raw = x.clamp(0, 1) ** (1 / 2.2)
        self._share = share
        self._price = price(headroom)
        tops = scene.tops
        bright = encode_gamma(x * scene.gain).amax(1) > 0.9
        self._bright = [c for c in range(3) if tops[c] > 1.01 and bool(bright[c])]

    def cost(self, parameters: PhysicsParameters) -> tuple[float, float]:
        """Return the objective of the module's description, and P."""
        chain = replace(parameters, departure=0.0)
        if chain not in self._costs:
            self._costs[chain] = self._cost(chain)
        return self._costs[chain]

    def _cost(self, parameters: PhysicsParameters) -> tuple[float, float]:
        model = self._build(parameters)
        codes = self._codes(parameters, model)
        decoded = ((codes + self._noise).round_().clamp_(0, 255) / 255)[None, :, None]
        raw = model.recover(decoded)[0, :, 0].clamp_(0, 1) ** (1 / 2.2)
        loss = self._share * float((raw - self._network_raw).square_().mean())
        change = self._share * float((codes - self._target).div_(255).square_().mean())
        return loss + self._price * self._style.price_of(change), change

    def _codes(self, parameters: PhysicsParameters, model: InvertibleISP) -> Tensor:
        """Render, unless a chain that differs in the way back alone has done so."""
        way_there = replace(parameters, trust=(0.0, 0.0, 0.0), snap=0.0)
        if way_there not in self._rendered:
            codes = (model(self._x)[0, :, 0] * 255).round_().clamp_(0, 255)
            self._rendered[way_there] = codes
        return self._rendered[way_there]

    def run(self, start: PhysicsParameters) -> PhysicsParameters:
        """Find the best parameters from ``start`` on."""
        self._start = self._best = start
        self._least = float("inf")
        self._try(
            replace(start, trust=(balance, low, high))
            for balance, low, high in product((0.0, 1.0), repeat=3)
        )
        self._try(self._at(knees=(k, k, k), trust=_with(self._best.trust, 0, 1.0)) for k in _KNEES)
        for _ in range(2):
            self._side("low", 1)
            self._side("high", 2)
            self._try(self._at(scale=s) for s in _SCALES)
            if self._style.fine and self._bright:
                self._together()
            for c in self._bright:
                knee = self._best.knees[c]
                near = [_within(knee + step) for step in _STEPS]
                self._try(self._at(knees=_with(self._best.knees, c, k)) for k in near)
                self._try(self._at(shapes=_with(self._best.shapes, c, s)) for s in _SHAPES)
            if self._bright:
                self._try(self._at(snap=s) for s in _SNAPS)
                self._try(self._at(trust=_with(self._best.trust, 0, t)) for t in _TRUSTS)
        return self._best

    def _together(self) -> None:
        """Move all knees by the same step, as long as that helps."""
        for _ in range(4):
            before = self._least
            moved = (tuple(_within(k + step) for k in self._best.knees) for step in _STEPS)
            self._try(self._at(knees=knees) for knees in moved)
            if self._least == before:
                return

    def _side(self, side: str, index: int) -> None:
        """Choose the compression below black or above white."""
        widest = getattr(self._start, side)[1]
        limit = getattr(self._best, side)[1]
        trusting = _with(self._best.trust, index, 1.0)
        self._try(self._at(**{side: (t, limit)}, trust=trusting) for t in _THRESHOLDS)
        threshold = getattr(self._best, side)[0]
        if threshold < 1:
            limits = (1 + share * (widest - 1) for share in _LIMITS)
            self._try(self._at(**{side: (threshold, each)}) for each in limits)
        self._try(self._at(trust=_with(self._best.trust, index, t)) for t in _TRUSTS)

    def _at(self, **changes: Any) -> PhysicsParameters:
        return replace(self._best, **changes)

    def _try(self, candidates: Iterable[PhysicsParameters]) -> None:
        for candidate in list(candidates):
            cost, change = self.cost(candidate)
            if cost < self._least:
                self._best, self._least = replace(candidate, departure=change), cost


def _within(knee: float) -> float:
    return min(max(knee, _KNEES[0]), _KNEES[-1])


def _with(values: Triple, index: int, value: float) -> Triple:
    r, g, b = (value if c == index else v for c, v in enumerate(values))
    return r, g, b
