"""What `universal` learns: to lose less of the RAW in JPEG, for little change and few bytes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import fields
from typing import Any
from zlib import crc32

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from napari_invisp.flow.coded import Coded
from napari_invisp.flow.headroom import fit
from napari_invisp.flow.parameters import PhysicsParameters
from napari_invisp.flow.physics import Physics
from napari_invisp.flow.restoration import places_on_grid
from napari_invisp.flow.scene import Scene
from napari_invisp.flow.universal import NEUTRAL_HIGHLIGHTS, Universal, about_chain, about_coding
from napari_invisp.jpeg.rate import detail_bits
from napari_invisp.pipeline import scene_of
from napari_invisp.sensor.libraw import demosaic
from napari_invisp.training.channel import JpegChannel
from napari_invisp.training.objective import Example, Objective
from napari_invisp.training.patch import Patch, PatchSource
from napari_invisp.training.settings import TrainSettings

# AHD looks a few pixels around.
_MARGIN = 8
# The networks see zeros beyond a patch's edge, so nothing is learned from this close to it.
_EDGE = 8
# Chains of each picture: at the usual headroom, and at others all over the dial.
_USUAL, _CHAINS = 0.5, 2
_SAMPLED = 100_000
_GAMMA = 1 / 2.2
_DARKEST = 1e-4
# 70 dB: below this, error counts for less and less.
_LEAST_ERROR = 1e-7
# 50 dB, the unit of the picture's price.
_CHANGE = 1e-5
# So many bits a pixel are in every file.
_LEAST_BITS = 0.05


class UniversalObjective(Objective):
    """The logarithm of the RAW's squared error, with prices on changing the picture and on bytes.

    The logarithm makes a dB count the same in every patch. Changes of the picture are paid for by
    their squares, so that only small ones are worth it. Bytes are paid for at about the rate at
    which a higher JPEG quality would buy the same gain: mere sharpening does not pay.

    Parameters
    ----------
    settings
        Prices, and the JPEG.
    source
        Where patches come from: chains are fitted to its whole pictures.
    """

    margin = _MARGIN
    model: Universal

    def __init__(self, settings: TrainSettings, source: PatchSource) -> None:
        super().__init__()
        self.model = Universal()
        self._lam = settings.lam
        self._picture_price = settings.picture_price
        self._bytes_price = settings.bytes_price
        self._subsamplings = settings.subsampling
        self._channel = JpegChannel(settings)
        self._chains = _Chains(source, settings.seed)

    def example(self, patch: Patch, rng: np.random.Generator) -> Example:
        """Return what a chain makes of a patch, with all that the way back needs to know."""
        chain = self._chains.of(patch.picture, int(rng.integers(_CHAINS)))
        inner = slice(patch.margin, patch.record.height - patch.margin)
        rgb = torch.from_numpy(demosaic(patch.record)).permute(2, 0, 1)[:, inner, inner]
        return {
            "compressed": Physics(chain).compressed(rgb[None].contiguous())[0],
            "raw": rgb.clamp(_DARKEST, 1) ** _GAMMA,
            "chain": torch.from_numpy(packed(chain)),
            "red": torch.from_numpy(np.argwhere(patch.record.channels == 0)[0]),
            **self._channel.draw(rng),
        }

    def forward(self, batch: Example) -> dict[str, Tensor]:
        """Return ``loss``, and in dB ``raw`` and ``change``, and the growth of ``bytes``."""
        physics = [Physics(unpacked(each)) for each in batch["chain"].cpu().numpy()]
        z = batch["compressed"]
        side = (z.shape[-1] - 2) // 4 * 4
        starts: list[tuple[int, int]] = [(row, column) for row, column in batch["red"].tolist()]
        codings = [
            Coded(quality, self._subsamplings[kind], start)
            for quality, kind, start in zip(
                batch["quality"].tolist(), batch["subsampling"].tolist(), starts, strict=True
            )
        ]
        chains = torch.stack([about_chain(each.chain) for each in physics]).to(z)
        coding = torch.stack([about_coding(each) for each in codings]).to(z)

        changed = self.model.flow(_windows(z, starts, side), chains)
        rendered = _each(Physics.stored, physics, _pasted(z, changed, starts))
        decoded = _each(Physics.taken_out, physics, self._channel(rendered, batch))
        places = torch.stack(
            [places_on_grid(row, column, side // 2, side // 2) for row, column in starts]
        )
        seen = _windows(decoded, starts, side)
        restored = self.model.restoration(seen, places.to(z), torch.cat((chains, coding), 1))
        recovered = _each(Physics.expanded, physics, self.model.flow.inverse(restored, chains))

        raw = _measured(recovered.clamp(_DARKEST, 1) ** _GAMMA)
        truth = _measured(_windows(batch["raw"], starts, side))
        error = _mean_square((raw - truth)[..., _EDGE:-_EDGE, _EDGE:-_EDGE])
        plain = _each(Physics.stored, physics, z)
        change = _mean_square(rendered - plain)
        growth = torch.log(self._bits(rendered, codings) / self._bits(plain, codings)).mean()
        log_error = torch.log(error + _LEAST_ERROR).mean()
        loss = self._lam * log_error + self._bytes_price * growth
        loss = loss + self._picture_price * change.mean() / _CHANGE
        return {
            "loss": loss,
            "raw": -10 / math.log(10) * log_error,
            "change": -10 * torch.log10(change.mean() + _LEAST_ERROR),
            "bytes": growth,
        }

    def _bits(self, rgb: Tensor, codings: Sequence[Coded]) -> Tensor:
        clipped = rgb.clamp(0, 1)
        bits = [
            detail_bits(clipped[n : n + 1], coded.quality, coded.subsampling)
            for n, coded in enumerate(codings)
        ]
        return torch.cat(bits) + _LEAST_BITS


class _Chains:
    """Chains fitted to whole pictures, made when they are first asked for."""

    def __init__(self, source: PatchSource, seed: int) -> None:
        self._source, self._seed = source, seed
        self._known: dict[tuple[str, int], PhysicsParameters] = {}

    def of(self, picture: str, number: int) -> PhysicsParameters:
        """Return one of a picture's chains, the first at the usual headroom."""
        key = picture, number
        if key not in self._known:
            record = self._source.picture(picture).record
            rng = np.random.default_rng((self._seed, crc32(picture.encode()), number))
            headroom = float(rng.uniform(0, 1)) if number else _USUAL
            step = max(1, round((record.mosaic.size / _SAMPLED) ** 0.5))
            pixels = demosaic(record)[step // 2 :: step, step // 2 :: step].reshape(-1, 3)
            sample = torch.from_numpy(np.ascontiguousarray(pixels.T))
            self._known[key] = fit(
                scene_of(record), sample, headroom, Physics, neutral=NEUTRAL_HIGHLIGHTS
            )
        return self._known[key]


def universal(settings: TrainSettings, source: PatchSource) -> UniversalObjective:
    """Make the objective of `universal`, with fresh weights."""
    return UniversalObjective(settings, source)


# -- chains as tensors -------------------------------------------------------------------------

_SHAPES = {"white_balance": (3,), "camera_to_srgb": (3, 3), "saturation": (3,)} | {
    f.name: np.shape(getattr(Physics().chain, f.name))
    for f in fields(PhysicsParameters)
    if f.name != "scene"
}


def packed(chain: PhysicsParameters) -> NDArray[np.float64]:
    """Return the numbers of a chain in one row; the CFA pattern is not among them."""
    values = [
        getattr(chain.scene if hasattr(chain.scene, name) else chain, name) for name in _SHAPES
    ]
    return np.concatenate([np.ravel(np.asarray(value, np.float64)) for value in values])


def unpacked(row: NDArray[np.float64]) -> PhysicsParameters:
    """Take :func:`packed` back."""
    values: dict[str, Any] = {}
    for name, shape in _SHAPES.items():
        count = math.prod(shape)
        part, row = row[:count].reshape(shape), row[count:]
        values[name] = tuple(part.tolist()) if shape else float(part)
    scene = Scene.of(
        values.pop("white_balance"), values.pop("camera_to_srgb"), values.pop("saturation")
    )
    return PhysicsParameters(scene, **values)


# -- windows -----------------------------------------------------------------------------------


def _each(method: Any, physics: Sequence[Physics], pictures: Tensor) -> Tensor:
    """Run each picture through its own chain."""
    return torch.cat([method(p, x[None]) for p, x in zip(physics, pictures, strict=True)])


def _windows(pictures: Tensor, starts: Sequence[tuple[int, int]], side: int) -> Tensor:
    """Cut a window that begins at a red site out of each picture."""
    return torch.stack(
        [
            picture[:, top : top + side, left : left + side]
            for picture, (top, left) in zip(pictures, starts, strict=True)
        ]
    )


def _pasted(pictures: Tensor, windows: Tensor, starts: Sequence[tuple[int, int]]) -> Tensor:
    """Put windows back to where they are from."""
    side = windows.shape[-1]
    whole = []
    for picture, window, (top, left) in zip(pictures, windows, starts, strict=True):
        bottom, right = (
            n - side - start for n, start in zip(picture.shape[1:], (top, left), strict=True)
        )
        inside = functional.pad(torch.ones_like(window), (left, right, top, bottom))
        padded = functional.pad(window, (left, right, top, bottom))
        whole.append(torch.where(inside > 0, padded, picture))
    return torch.stack(whole)


def _measured(rgb: Tensor) -> Tensor:
    """Take the mosaic, as four planes, out of RGB that begins at a red site."""
    sites = functional.pixel_unshuffle(rgb, 2)  # R at four sites, G at four, B at four
    return sites[:, [0, 5, 6, 11]]


def _mean_square(difference: Tensor) -> Tensor:
    return difference.square().mean((1, 2, 3))
