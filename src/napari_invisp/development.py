"""The steps between RAW and sRGB, for the whole frame or any part of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_invisp.conversion import (
    as_seen_by,
    from_network,
    scene_of,
    to_codes,
    to_mosaic,
    to_network,
)
from napari_invisp.devices import to_tensor
from napari_invisp.flow.base import InvertibleISP
from napari_invisp.flow.coded import Coded
from napari_invisp.flow.headroom import fit
from napari_invisp.flow.physics import Physics
from napari_invisp.flow.profiles import PROFILES, Profile
from napari_invisp.flow.universal import STYLE
from napari_invisp.sensor.libraw import Step, demosaic_uint16
from napari_invisp.sensor.record import RawRecord
from napari_invisp.tiling import Tile, single_threaded

T = TypeVar("T", bound="np.generic[Any]")

#: Pixels that a model may look at before it adapts to a picture.
SAMPLE = 200_000
#: The same where it has to be quick.
QUICK_SAMPLE = 50_000
# Pixels of a preview, at most.
_PREVIEW = 4_000_000


@dataclass(frozen=True, eq=False)
class Demosaiced:
    """A RAW that was demosaiced for the models of one profile, so that any part can be rendered.

    Attributes
    ----------
    record
        The RAW.
    seen
        The same as the models see it.
    profile
        What they take for true.
    counts, scale
        ``(H, W, 3)`` uint16; times ``scale`` linear balanced RGB.
    """

    record: RawRecord
    seen: RawRecord
    profile: Profile
    counts: NDArray[np.uint16]
    scale: float

    @classmethod
    def of(cls, record: RawRecord, profile: Profile, step: Step | None = None) -> Self:
        """Demosaic a RAW; ``step`` is told of progress."""
        seen = as_seen_by(record, profile)
        return cls(record, seen, profile, *demosaic_uint16(seen, profile.demosaicing, step))

    def conditioned(
        self,
        network: InvertibleISP,
        headroom: float,
        device: torch.device,
        sample: int = SAMPLE,
    ) -> InvertibleISP:
        """Return a model as it stands for this picture.

        Parameters
        ----------
        network
            As it was loaded, of the same profile.
        headroom
            0…1.
        device
            Where it is to run.
        sample
            Pixels that it may look at.
        """
        pixels = _as_input(from_all_over(self.counts, sample), self.scale)
        with single_threaded():  # thousands of operations on thousands of pixels
            adapted = network.conditioned(
                scene_of(self.seen), to_network(pixels, self.profile), headroom
            )
        return adapted.to(device)

    def rendered(self, model: InvertibleISP, tile: Tile, device: torch.device) -> NDArray[np.uint8]:
        """Render a tile: ``(h, w, 3)`` uint8 of its inner part."""
        counts = self.counts[tile.outer_rows, tile.outer_columns]
        x = to_tensor(counts, device).mul_(self.scale)
        y = model.forward(to_network(x, self.profile))
        return to_codes(y[..., *tile.inner], self.profile)


def recovered(
    model: InvertibleISP,
    window: Tensor,
    coded: Coded,
    tile: Tile,
    seen: RawRecord,
) -> NDArray[np.uint16]:
    """Recover a tile's part of the mosaic from decoded JPEG.

    Parameters
    ----------
    model
        As it stands for the file.
    window
        ``(1, 3, h, w)`` of the tile's outer part, 0 … 255.
    coded
        How the JPEG was written.
    tile
        Which part of the frame it is.
    seen
        The RAW's metadata as the model sees them.

    Returns
    -------
    numpy.ndarray
        ``(h, w)`` uint16 of its inner part.
    """
    origin = tile.outer_rows.start, tile.outer_columns.start
    x = model.recover(window / 255, replace(coded, origin=origin))[..., *tile.inner]
    return to_mosaic(from_network(x, model.profile), seen)


@torch.inference_mode()
def preview(record: RawRecord, headroom: float) -> tuple[NDArray[np.uint8], int]:
    """Render a RAW small and at once, about as ``universal`` would.

    Each 2x2 quad becomes one pixel, without demosaicing; of very large frames only some quads.

    Parameters
    ----------
    record
        The RAW.
    headroom
        0…1.

    Returns
    -------
    rgb : numpy.ndarray
        ``(h, w, 3)`` uint8 sRGB.
    factor
        How many times smaller than the frame it is along each side, an even number.
    """
    factor = 2
    while record.mosaic.size / factor**2 > _PREVIEW:
        factor += 2
    profile = PROFILES["physics"]
    balanced = _quads(record, factor)
    sample = _as_input(from_all_over(balanced, QUICK_SAMPLE), 1.0)
    scene = scene_of(record)
    with single_threaded():
        chain = Physics(fit(scene, sample, headroom, Physics, style=STYLE))
    rgb = np.empty(balanced.shape, np.uint8)
    for rows in _bands(len(rgb)):
        x = to_tensor(balanced[rows], torch.device("cpu"))
        rgb[rows] = to_codes(chain.forward(x), profile)
    return rgb, factor


def _quads(record: RawRecord, factor: int) -> NDArray[np.float32]:
    """Take a quad out of every ``factor × factor`` sites: ``(h, w, 3)`` balanced RGB."""
    height, width = (length // factor for length in record.mosaic.shape)
    rgb = np.zeros((height, width, 3), np.float32)
    greens = 0.5
    for row, column in ((0, 0), (0, 1), (1, 0), (1, 1)):
        channel = record.channels[row, column]
        black = record.black[row, column]
        gain = record.balance[channel] / (record.white - black)
        gain *= greens if channel == 1 else 1.0
        plane = record.mosaic[row::factor, column::factor][:height, :width]
        rgb[..., channel] += (plane - np.float32(black)) * np.float32(gain)
    return np.maximum(rgb, 0, out=rgb)


def _bands(height: int, rows: int = 128) -> Sequence[slice]:
    return [slice(top, top + rows) for top in range(0, height, rows)]


def from_all_over(picture: NDArray[T], count: int) -> NDArray[T]:
    """Return about ``count`` pixels of ``(H, W, 3)`` on a regular grid, as ``(n, 3)``."""
    height, width = picture.shape[:2]
    step = max(1, round((height * width / count) ** 0.5))
    return picture[step // 2 :: step, step // 2 :: step].reshape(-1, 3)


def _as_input(pixels: NDArray[Any], scale: float) -> Tensor:
    """``(n, 3)`` as ``(3, n)`` linear balanced RGB."""
    return torch.from_numpy(pixels.astype(np.float32) * np.float32(scale)).T.contiguous()
