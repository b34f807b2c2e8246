"""What `universal` learns: to lose less of the RAW in JPEG, for little change and few bytes."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from torch.utils.data import get_worker_info

from napari_invisp.conversion import scene_of
from napari_invisp.development import from_all_over
from napari_invisp.errors import CheckpointError, SettingsError
from napari_invisp.files import write_bytes_atomic
from napari_invisp.flow.coded import Coded
from napari_invisp.flow.headroom import fit, price
from napari_invisp.flow.parameters import PhysicsParameters
from napari_invisp.flow.physics import Physics
from napari_invisp.flow.restoration import places_on_grid
from napari_invisp.flow.scene import Scene
from napari_invisp.flow.universal import STYLE, Universal, about_chain, about_coding, believed
from napari_invisp.jpeg.rate import detail_bits
from napari_invisp.sensor.libraw import demosaic
from napari_invisp.strictjson import dumps
from napari_invisp.training.bidirectional import network_input, target_srgb
from napari_invisp.training.channel import JpegChannel
from napari_invisp.training.objective import Example, Objective
from napari_invisp.training.patch import Patch, PatchSource
from napari_invisp.training.settings import TrainSettings

# AHD looks a few pixels around.
_MARGIN = 8
# The networks see zeros beyond a patch's edge, so nothing is learned from this close to it.
_EDGE = 8
# Cells of 2x2 that begin at a red site, their edges left out, and one block of four pixels more.
_SMALLEST = 4 * _EDGE + 4 + 2
# Chains of each picture: at the usual headroom, and at others all over the dial.
_USUAL, _CHAINS = 0.5, 2
_SAMPLED = 100_000
_KEPT_EVERY = 25
_GAMMA = 1 / 2.2
_DARKEST = 1e-4
# 70 dB: below this, error counts for less and less.
_LEAST_ERROR = 1e-7
# Units of the price of moving away: 50 dB before JPEG, 47 dB after it.
_AWAY, _AWAY_CODED = 1e-5, 2e-5
# The dial's price at headroom 0 is beyond all measure.
_HIGHEST_PRICE = 1.0
# So many bits a pixel are in every file.
_LEAST_BITS = 0.05


class UniversalObjective(Objective):
    """The logarithm of what the chain is fitted by, with prices on moving away and on bytes.

    That is the RAW's squared error, and the distance from LibRaw's picture at the rate that the
    headroom sets for the whole picture (see :mod:`~napari_invisp.flow.headroom`); the logarithm
    makes a dB count the same in every patch. To be further from LibRaw's picture than the chain is
    costs much more, measured by how far the chain departs from it: where nothing clips, that is
    nothing, and the picture stays as it is but for very little. Bytes are paid for at about the
    rate at which a higher JPEG quality would buy the same gain: mere sharpening does not pay.

    Parameters
    ----------
    settings
        Prices, and the JPEG.
    source
        Where patches come from: chains are fitted to its whole pictures.

    Raises
    ------
    SettingsError
        Nothing is left of patches without their edges.
    """

    margin = _MARGIN
    model: Universal

    def __init__(self, settings: TrainSettings, source: PatchSource) -> None:
        super().__init__()
        if settings.patch < _SMALLEST:
            raise SettingsError(
                f"patch {settings.patch} is too small to train universal with: "
                f"it takes {_SMALLEST} pixels or more"
            )
        self.model = Universal()
        self._lam = settings.lam
        self._picture_price = settings.picture_price
        self._bytes_price = settings.bytes_price
        self._subsamplings = settings.subsampling
        self._channel = JpegChannel(settings)
        self._chains = _Chains(source, settings.seed)

    def keep_in(self, folder: Path) -> None:
        """Keep the chains in ``chains.json``."""
        self._chains.keep_in(folder / "chains.json")

    def example(self, patch: Patch, rng: np.random.Generator) -> Example:
        """Return what a chain makes of a patch, with all that the way back needs to know."""
        headroom, chain = self._chains.of(patch.picture, int(rng.integers(_CHAINS)))
        rgb = network_input(patch, self.model.profile)
        return {
            "compressed": Physics(chain).compressed(rgb[None])[0],
            "raw": rgb.clamp(_DARKEST, 1) ** _GAMMA,
            "rgb": target_srgb(patch),
            "chain": torch.from_numpy(packed(chain)),
            "price": torch.tensor(
                min(price(headroom) * STYLE.rate_at(chain.departure), _HIGHEST_PRICE)
            ),
            "red": torch.from_numpy(np.argwhere(patch.record.channels == 0)[0]),
            **self._channel.draw(rng),
        }

    def forward(self, batch: Example) -> dict[str, Tensor]:
        """Return ``loss``, ``raw`` and ``rgb`` in dB, ``away`` and the growth of ``bytes``."""
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
        coded = self._channel(rendered, batch)
        decoded = _each(Physics.taken_out, physics, coded)
        places = torch.stack(
            [places_on_grid(row, column, side // 2, side // 2) for row, column in starts]
        )
        seen = _windows(decoded, starts, side)
        restored = self.model.restoration(seen, places.to(z), torch.cat((chains, coding), 1))
        restored = believed(seen, restored, [each.chain for each in physics])
        recovered = _each(Physics.expanded, physics, self.model.flow.inverse(restored, chains))

        raw = _measured(recovered.clamp(_DARKEST, 1) ** _GAMMA)
        truth = _measured(_windows(batch["raw"], starts, side))
        error = _mean_square((raw - truth)[..., _EDGE:-_EDGE, _EDGE:-_EDGE])
        plain = _each(Physics.stored, physics, z)
        reference = batch["rgb"]
        with torch.no_grad():
            plain_coded, reference_coded = (self._channel(y, batch) for y in (plain, reference))
        meant = torch.tensor([each.chain.departure for each in physics]).to(z)
        distance, before = _further(_seen(rendered), _seen(plain), reference)
        _, after = _further(coded, plain_coded, reference_coded)
        away = (before / (_AWAY + meant) + after / (_AWAY_CODED + meant)).mean() / 2
        growth = torch.log(self._bits(rendered, codings) / self._bits(plain, codings)).mean()
        cost = self._lam * error + batch["price"].to(error) * distance
        loss = torch.log(cost + _LEAST_ERROR).mean()
        loss = loss + self._picture_price * away + self._bytes_price * growth
        return {
            "loss": loss,
            "raw": _decibels(error),
            "rgb": _decibels(distance),
            "away": away,
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
        self._known: dict[str, PhysicsParameters] = {}
        self._file: Path | None = None

    def keep_in(self, file: Path) -> None:
        """Keep chains in a file from now on, and use those that it holds."""
        self._file = file
        try:
            kept = json.loads(file.read_text(encoding="utf-8"))
            if kept["seed"] == self._seed and kept["style"] == asdict(STYLE):
                chains = kept["chains"].items()
                self._known = {key: PhysicsParameters.from_dict(each) for key, each in chains}
        except (OSError, ValueError, LookupError, AttributeError, CheckpointError):
            pass  # there is none, or a kill came in between: they are fitted anew

    def _keep(self) -> None:
        if self._file is not None and get_worker_info() is None:
            chains = {key: each.to_dict() for key, each in self._known.items()}
            kept = {"seed": self._seed, "style": asdict(STYLE), "chains": chains}
            write_bytes_atomic(self._file, dumps(kept).encode())

    def of(self, picture: str, number: int) -> tuple[float, PhysicsParameters]:
        """Return one of a picture's chains with its headroom, the first at the usual one."""
        key = f"{number} {picture}"
        rng = np.random.default_rng((self._seed, crc32(picture.encode()), number))
        headroom = float(rng.uniform(0, 1)) if number else _USUAL
        if key not in self._known:
            record = self._source.picture(picture).record
            pixels = from_all_over(demosaic(record), _SAMPLED)
            sample = torch.from_numpy(np.ascontiguousarray(pixels.T))
            self._known[key] = fit(scene_of(record), sample, headroom, Physics, style=STYLE)
            if len(self._known) % _KEPT_EVERY == 0:
                self._keep()
        return headroom, self._known[key]


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
    whole = pictures.clone()
    for n, (top, left) in enumerate(starts):
        whole[n, :, top : top + side, left : left + side] = windows[n]
    return whole


def _measured(rgb: Tensor) -> Tensor:
    """Take the mosaic, as four planes, out of RGB that begins at a red site."""
    sites = functional.pixel_unshuffle(rgb, 2)  # R at four sites, G at four, B at four
    return sites[:, [0, 5, 6, 11]]


def _seen(rendered: Tensor) -> Tensor:
    """Return what a viewer sees of a rendering: clipped; 255 times it are its codes."""
    return rendered.clamp(0, 1)


def _further(rendered: Tensor, plain: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:
    """Return the squared distance from a reference, and by how much it is more than usual."""
    distance = _mean_square(rendered - reference)
    return distance, functional.relu(distance - _mean_square(plain - reference))


def _decibels(error: Tensor) -> Tensor:
    return -10 * torch.log10(error + _LEAST_ERROR).mean()


def _mean_square(difference: Tensor) -> Tensor:
    return difference.square().mean((1, 2, 3))
