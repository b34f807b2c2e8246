"""`universal`: the physics of any Bayer camera, with a learned flow and a learned restoration.

Rendering is the chain of :mod:`~napari_invisp.flow.physics` with joint highlights (grey stays grey
where channels saturate one after the other), then a small invertible flow that readies the picture
for JPEG. Recovering first takes away what it can tell of JPEG's noise, then runs everything back.
One set of weights serves all cameras: what differs between them is in the chain.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from napari_invisp.errors import CheckpointError
from napari_invisp.flow.base import InvertibleISP
from napari_invisp.flow.coded import Coded, Trial
from napari_invisp.flow.confidence import Confidence
from napari_invisp.flow.headroom import Style, fit
from napari_invisp.flow.parameters import NEUTRAL, WHITE, PhysicsParameters
from napari_invisp.flow.physics import Physics
from napari_invisp.flow.profiles import PROFILES, Profile
from napari_invisp.flow.residual import ResidualFlow
from napari_invisp.flow.restoration import Restoration, places_on_grid
from napari_invisp.flow.scene import Scene

_SUBSAMPLINGS = ("4:4:4", "4:2:2", "4:2:0")
#: Grey stays grey, below 39 dB changes become very dear, and restoration takes noise away.
STYLE = Style(neutral=1.0, limit=1.1e-4, power=3, fine=True, noise=0.8)
#: Numbers that :func:`about_chain` and :func:`about_coding` give.
CHAIN_NUMBERS, CODING_NUMBERS = 9, 1 + len(_SUBSAMPLINGS)


class Universal(InvertibleISP):
    """The physics chain of one file between learned parts that all files share.

    Parameters
    ----------
    profile
        How RAW becomes its input.
    width, depth
        Of the flow's networks.
    restoration_width, restoration_depth
        Of the restoration's network.
    """

    name = "universal"
    grid = ResidualFlow.cell
    tile = 768

    def __init__(
        self,
        profile: Profile = PROFILES["physics"],
        *,
        width: int = 24,
        depth: int = 1,
        restoration_width: int = 32,
        restoration_depth: int = 3,
    ) -> None:
        super().__init__()
        self.profile = profile
        self._configuration = {
            "width": width,
            "depth": depth,
            "restoration_width": restoration_width,
            "restoration_depth": restoration_depth,
        }
        self.flow = ResidualFlow(CHAIN_NUMBERS, width, depth)
        self.restoration = Restoration(
            CHAIN_NUMBERS + CODING_NUMBERS, restoration_width, restoration_depth
        )
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.halo = self.flow.reach
        self._physics = Physics(NEUTRAL)
        self._confidence = Confidence()

    @property
    def recovery_halo(self) -> int:
        """Of :meth:`recover`, which looks around before the flow does."""
        return self.halo + self.restoration.reach

    def configuration(self) -> dict[str, Any]:
        """Return widths and depths."""
        return dict(self._configuration)

    def conditioned(self, scene: Scene, sample: Tensor, headroom: float) -> Universal:
        """Return the model of one file (see :mod:`~napari_invisp.flow.headroom`)."""
        chain = fit(scene, sample, headroom, Physics, style=STYLE)
        return self._with(chain, Confidence())

    def tried(self, attempt: Callable[[], Trial | None]) -> Universal:
        """Return the model that believes its restoration as far as it helps in a JPEG."""
        trial = attempt()
        if trial is None:
            return self
        full = self._with(self._physics.chain, Confidence())
        z = self._physics.taken_out(trial.decoded)
        plain = trial.network_raw(self._physics.expanded(self._flow_inverse(z)))
        restored = trial.network_raw(full.recover(trial.decoded, trial.coded))
        confidence = Confidence.fitted(
            _brightness(z)[0, 0][trial.inner].to(plain),
            (restored - plain)[trial.inner],
            (trial.truth - plain)[trial.inner],
        )
        return self._with(self._physics.chain, confidence)

    def adopting(self, other: InvertibleISP) -> Universal:
        """Return the model that believes its restoration as another one does."""
        confidence = other._confidence if isinstance(other, Universal) else Confidence()
        return self._with(self._physics.chain, confidence)

    def memo(self) -> dict[str, Any]:
        """Return the chain's parameters, and the confidence in restoration."""
        return {"chain": self._physics.memo(), "confidence": list(self._confidence.levels)}

    def remembering(self, memo: Any) -> Universal:
        """Return the model with the chain and the confidence that a capsule kept."""
        try:
            chain, confidence = memo["chain"], memo["confidence"]
        except (KeyError, TypeError) as error:
            raise CheckpointError(f"the parameters of universal are damaged: {error}") from None
        return self._with(PhysicsParameters.from_dict(chain), Confidence.from_list(confidence))

    def _with(self, chain: PhysicsParameters, confidence: Confidence) -> Universal:
        other = copy.copy(self)  # with the same weights
        other._modules = dict(self._modules)
        other._physics = Physics(chain)
        other._confidence = confidence
        return other

    def forward(self, x: Tensor) -> Tensor:
        """Render linear balanced RGB as sRGB; 255 times the result rounds to its codes."""
        z = self._physics.compressed(x)
        about = self._about_chain(z)
        return self._physics.stored(
            _replaced(z, self._cells(z), lambda cells: self.flow(cells, about))
        )

    def inverse(self, y: Tensor) -> Tensor:
        """Take rendered sRGB back to linear balanced RGB: the exact inverse of :meth:`forward`."""
        z = self._physics.taken_out(y)
        return self._physics.expanded(self._flow_inverse(z), exact=True)

    def recover(self, y: Tensor, coded: Coded | None = None) -> Tensor:
        """As :meth:`inverse`, for decoded JPEG: the best estimate under its noise."""
        coded = coded or Coded()
        z = self._physics.taken_out(y)
        region = self._cells(z)
        top, left = (
            start + (cells.start or 0)
            for start, cells in zip(coded.origin, region[2:], strict=True)
        )
        conditions = torch.cat((self._about_chain(z), about_coding(coded).to(z)[None]), 1)

        def restored(cells: Tensor) -> Tensor:
            places = places_on_grid(top, left, cells.shape[-2] // 2, cells.shape[-1] // 2)
            estimate: Tensor = self.restoration(cells, places.to(cells)[None], conditions)
            confidence = self._confidence.at(_brightness(cells))
            return believed(cells, estimate, [self._physics.chain], confidence)

        return self._physics.expanded(self._flow_inverse(_replaced(z, region, restored)))

    def _flow_inverse(self, z: Tensor) -> Tensor:
        about = self._about_chain(z)
        return _replaced(z, self._cells(z), lambda cells: self.flow.inverse(cells, about))

    def _about_chain(self, like: Tensor) -> Tensor:
        return about_chain(self._physics.chain).to(like)[None]

    def _cells(self, z: Tensor) -> tuple[slice, slice, slice, slice]:
        """Return the part that whole cells cover, the first beginning at a red site."""
        starts = divmod(self._physics.chain.scene.pattern.index("R"), 2)
        rows, columns = (
            slice(start, start + (length - start) // self.grid * self.grid)
            for start, length in zip(starts, z.shape[-2:], strict=True)
        )
        return slice(None), slice(None), rows, columns


def believed(
    z: Tensor,
    restored: Tensor,
    chains: Sequence[PhysicsParameters],
    confidence: Tensor | float = 1.0,
) -> Tensor:
    """Take a restoration for what it is worth: the less, the nearer to white.

    Between the knee and white the chain's inverse magnifies every error, and what is likely there
    in other pictures says little about this one.

    Parameters
    ----------
    z, restored
        ``(N, 3, H, W)`` of the gamma domain, before and after restoration.
    chains
        Of each picture.
    confidence
        Factor on what is left of the correction, ``(N, 1, H, W)`` or the same everywhere.
    """
    knees = torch.tensor([min(chain.knees) for chain in chains]).to(z)[:, None, None, None]
    room = (WHITE - z.amax(1, keepdim=True)) / (WHITE - knees)
    return z + confidence * (room.clamp(0, 1) * (restored - z))


def _brightness(z: Tensor) -> Tensor:
    """Return what confidence goes by, ``(N, 1, H, W)``."""
    return z.mean(1, keepdim=True)


def about_chain(chain: PhysicsParameters) -> Tensor:
    """Return what the networks are told about a chain: where it bends, and how far that leads."""
    knees = [5 * (knee - 0.9) for knee in chain.knees]
    tops = [2 * (top - 1.2) for top in chain.scene.tops]
    sides = [5 * (min(threshold, 1.0) - 0.9) for threshold, _ in (chain.low, chain.high)]
    departure = math.log10(chain.departure + 1e-6) + 5
    return torch.tensor([*knees, *tops, *sides, departure])


def about_coding(coded: Coded) -> Tensor:
    """Return what the restoration is told about a JPEG: how coarse, and which subsampling."""
    quality = coded.quality
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    kinds = [float(coded.subsampling == kind) for kind in _SUBSAMPLINGS]
    return torch.tensor([math.log(scale / 20 + 0.1), *kinds])


def _replaced(z: Tensor, region: tuple[slice, ...], change: Callable[[Tensor], Tensor]) -> Tensor:
    """Return ``z`` with a part of it changed: what lies beyond whole cells stays as it is."""
    part = z[region]
    if not part.numel():  # convolutions take no empty picture
        return z
    result = z.clone()
    result[region] = change(part)
    return result
