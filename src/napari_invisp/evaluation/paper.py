"""The protocol of the paper's authors, step by step as their public code has it.

Its figures are for comparison with the paper's alone; they differ from those of
:mod:`~napari_invisp.evaluation.frames` in nearly every respect:

1. Everything happens upright. The ground truth is LibRaw's rendering with its defaults, as JPEG of
   quality 90, 4:2:2, decoded.
2. The network's input is demosaiced bilinearly with zeros beyond the edge (the authors' library
   with the repair that they describe), levels and pattern as the model's profile says.
3. Input and ground truth are cut into 3×3 patches. Each is rendered, clipped to [0, 1], truncated
   to 8 bit and written as JPEG of quality 90, 4:2:2. The ground truth is written likewise, so it
   has been compressed twice.
4. RGB PSNR and SSIM compare the two decoded files. The SSIM is scikit-image's with its uniform 7×7
   window, over the range of the ground truth's patch.
5. RAW is recovered from the decoded file and clipped to [0, 1]. RAW PSNR compares it with the
   network's input: three channels, demosaiced, white-balanced, gamma-encoded.
6. A PSNR is 100 dB where the mean squared error is below 1e-10. Figures are means over patches.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import convolve
from skimage.metrics import structural_similarity
from torch import Tensor

from napari_invisp.conversion import as_seen_by, scene_of, to_network
from napari_invisp.devices import choose_device
from napari_invisp.errors import RawFileError
from napari_invisp.evaluation.rows import FileMean, TableMean, TableRow
from napari_invisp.flow.base import InvertibleISP
from napari_invisp.flow.profiles import Profile
from napari_invisp.jpeg.codec import decode_jpeg, encode_jpeg
from napari_invisp.pictures import upright
from napari_invisp.sensor.cfa import channel_index, normalise
from napari_invisp.sensor.libraw import demosaic
from napari_invisp.sensor.record import RawRecord
from napari_invisp.settings import ComputeSettings, RenderSettings
from napari_invisp.tiling import CancelCheck, Progress, Tile, Watcher, tiles
from napari_invisp.zoo import load_model

#: How the authors write all their JPEG files.
QUALITY, SUBSAMPLING = 90, "4:2:2"
#: Patches a side.
PATCHES = 3

_GAMMA = 2.2
# Patches narrower than SSIM's window have none.
_LEAST_SIDE = 7 * PATCHES
# Pixels a side that a model may look at before it adapts to a picture.
_SAMPLES = 450


@dataclass(frozen=True)
class _PaperFigures:
    """What is averaged over pictures.

    Attributes
    ----------
    protocol
        ``"paper"``, lest its figures be taken for those of full frames.
    rgb_psnr, rgb_ssim
        Between decoded JPEG files.
    raw_psnr
        On the network's input.
    bpp
        Bits of the rendered patches' files for each pixel (paper Eq. 11).
    """

    protocol: str
    rgb_psnr: float
    rgb_ssim: float
    raw_psnr: float
    bpp: float


@dataclass(frozen=True)
class PaperMean(_PaperFigures, TableMean):
    """Means of :class:`PaperRow`."""


@dataclass(frozen=True)
class PaperRow(_PaperFigures, TableRow):
    """One picture: means over its patches."""

    mean_type: ClassVar[type[FileMean]] = PaperMean


class PaperProtocol:
    """Evaluates models as the paper's authors do.

    Parameters
    ----------
    models, headrooms
        What to combine; headroom matters to models that have it, which the paper's has not.
    compute
        Device and tile size. Tiles give what whole patches would.
    progress, cancelled, notify
        As for :class:`~napari_invisp.pipeline.Pipeline`.

    Raises
    ------
    SettingsError, CheckpointError
        One of the values cannot be used; found before any picture is touched.
    """

    def __init__(
        self,
        models: Sequence[str],
        headrooms: Sequence[float],
        compute: ComputeSettings,
        *,
        progress: Progress | None = None,
        cancelled: CancelCheck | None = None,
        notify: Callable[[str], None] | None = None,
    ) -> None:
        for headroom in headrooms:
            RenderSettings(headroom=headroom)  # raises if out of range
        self._models = [load_model(model).eval() for model in models]
        self._headrooms = list(headrooms)
        self._tile = compute.tile
        self._watcher = Watcher(progress, cancelled)
        self._device, note = choose_device(compute.device)
        if note is not None and notify is not None:
            notify(note)

    def rows(
        self, name: str, record: RawRecord, rendering: NDArray[np.uint8]
    ) -> Iterator[PaperRow]:
        """Work on one picture.

        Parameters
        ----------
        name
            What to call it.
        record
            The RAW.
        rendering
            ``(H, W, 3)`` uint8, LibRaw's rendering with its defaults, before any JPEG, not turned.

        Yields
        ------
        PaperRow
            Models in their order, of each the headrooms.

        Raises
        ------
        RawFileError
            The picture is too small.
        """
        if min(record.height, record.width) < _LEAST_SIDE:
            raise RawFileError(f"{name} is too small to be cut into {PATCHES}x{PATCHES} patches")
        truth = _through_jpeg(upright(rendering, record))[0]
        for model in self._models:
            seen = as_seen_by(record, model.profile)
            balanced = torch.from_numpy(upright(_balanced(seen, model.profile), record))
            inputs = to_network(balanced, model.profile)
            step = max(1, min(inputs.shape[:2]) // _SAMPLES)
            sample = inputs[::step, ::step].reshape(-1, 3).T.contiguous()
            for headroom in self._headrooms:
                adapted = model.conditioned(scene_of(seen), sample, headroom).to(self._device)
                patches = [
                    self._patch(adapted, inputs[place], truth[place])
                    for place in _patches(*truth.shape[:2])
                ]
                yield PaperRow(
                    file=name,
                    camera=record.camera,
                    model=model.checkpoint or model.name,
                    quality=QUALITY,
                    subsampling=SUBSAMPLING,
                    headroom=headroom,
                    width=record.width,
                    height=record.height,
                    protocol="paper",
                    rgb_psnr=fmean(patch.rgb_psnr for patch in patches),
                    rgb_ssim=fmean(patch.rgb_ssim for patch in patches),
                    raw_psnr=fmean(patch.raw_psnr for patch in patches),
                    bpp=8 * sum(patch.bytes for patch in patches) / record.mosaic.size,
                )

    def _patch(self, model: InvertibleISP, inputs: Tensor, truth: NDArray[np.uint8]) -> _Patch:
        rendered = (
            self._through("rendering", model, model.halo, model.forward, inputs)
            .clamp_(0, 1)
            .mul_(255)
        )
        if model.profile.rounding == "round":
            rendered.round_()
        decoded, size = _through_jpeg(rendered.to(torch.uint8).numpy())
        twice = _through_jpeg(truth)[0]
        given = torch.from_numpy(decoded).float().div_(255)
        recovered = self._through("recovering", model, model.recovery_halo, model.recover, given)
        raw, original = (
            x.clamp(0, 1).double() ** (model.profile.gamma / _GAMMA) for x in (recovered, inputs)
        )
        return _Patch(
            rgb_psnr=_psnr(np.square(twice / 255 - decoded / 255).mean()),
            rgb_ssim=_ssim(twice, decoded),
            raw_psnr=_psnr((raw - original).square().mean().item()),
            bytes=size,
        )

    def _through(
        self,
        stage: str,
        model: InvertibleISP,
        halo: int,
        run: Callable[[Tensor], Tensor],
        pixels: Tensor,
    ) -> Tensor:
        """Send ``(H, W, 3)`` through a model in tiles."""
        result = torch.empty_like(pixels)

        def work(tile: Tile) -> None:
            piece = pixels[tile.outer_rows, tile.outer_columns].permute(2, 0, 1)[None]
            done = run(piece.contiguous().to(self._device))[0].cpu()
            result[tile.rows, tile.columns] = done[:, *tile.inner].permute(1, 2, 0)

        height, width = pixels.shape[:2]
        pieces = tiles(height, width, self._tile or model.tile, halo, model.grid)
        self._watcher.through(stage, pieces, torch.inference_mode()(work))
        return result


@dataclass(frozen=True)
class _Patch:
    rgb_psnr: float
    rgb_ssim: float
    raw_psnr: float
    bytes: int


def _patches(height: int, width: int) -> list[tuple[slice, slice]]:
    rows, columns = (
        [slice(i * side // PATCHES, (i + 1) * side // PATCHES) for i in range(PATCHES)]
        for side in (height, width)
    )
    return [(row, column) for row in rows for column in columns]


def _through_jpeg(picture: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], int]:
    data = encode_jpeg(picture, QUALITY, SUBSAMPLING)
    return decode_jpeg(data).rgb, len(data)


def _balanced(record: RawRecord, profile: Profile) -> NDArray[np.float32]:
    """Give balanced RGB, ``(H, W, 3)`` float32, nothing of it below 0."""
    if profile.demosaicing != "bilinear":
        return demosaic(record, profile.demosaicing)
    values = np.maximum(normalise(record), 0)
    sites = channel_index(record.channels, values.shape)
    cross = np.array([[0, 1, 0], [1, 4, 1], [0, 1, 0]], np.float32) / 4
    square = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]], np.float32) / 4
    channels = [
        convolve(np.where(sites == channel, values, 0), kernel, mode="constant") * balance
        for channel, (kernel, balance) in enumerate(
            zip((square, cross, square), record.balance.astype(np.float32), strict=True)
        )
    ]
    return np.stack(channels, axis=-1)


def _psnr(mean_squared_error: float) -> float:
    return 100.0 if mean_squared_error < 1e-10 else -10 * math.log10(mean_squared_error)


def _ssim(truth: NDArray[np.uint8], picture: NDArray[np.uint8]) -> float:
    span = int(truth.max()) - int(truth.min())
    with np.errstate(invalid="ignore"):  # a patch of one colour has no range, and no SSIM
        similarity: float = structural_similarity(  # type: ignore[no-untyped-call]
            truth, picture, channel_axis=2, data_range=span
        )
    return similarity
