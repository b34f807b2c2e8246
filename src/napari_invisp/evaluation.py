"""How faithful renderings and recovered RAW files are: one file's figures, and whole tables."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_invisp.flow.zoo import load_model
from napari_invisp.jpeg.codec import decode_jpeg, encode_jpeg
from napari_invisp.metrics import (
    bits_per_pixel,
    compare_raw,
    compression_ratio,
    rgb_psnr,
    rgb_ssim,
)
from napari_invisp.pipeline import Pipeline, Rendering
from napari_invisp.sensor.libraw import reference_srgb, reference_srgb_file
from napari_invisp.sensor.reading import read_raw
from napari_invisp.sensor.record import RawRecord
from napari_invisp.settings import ComputeSettings, RenderSettings
from napari_invisp.tiling import CancelCheck, Progress

# -- one comparison ----------------------------------------------------------------------------


@dataclass(frozen=True)
class RgbFidelity:
    """How far a picture is from LibRaw's rendering of the same file.

    Attributes
    ----------
    rgb_psnr, rgb_ssim
        The rendering, 8 bit, before JPEG. In dB; up to 1.
    rgb_psnr_jpeg
        dB after JPEG, the reference having gone through the same codec settings.
    """

    rgb_psnr: float
    rgb_ssim: float
    rgb_psnr_jpeg: float


def rgb_psnr_through_jpeg(
    reference: NDArray[np.uint8], jpeg: bytes, quality: int, subsampling: str
) -> float:
    """PSNR between a decoded JPEG and the reference after the same codec settings.

    Parameters
    ----------
    reference
        ``(H, W, 3)`` uint8 reference sRGB.
    jpeg
        The rendering's file.
    quality, subsampling
        What it was written with.
    """
    coded = encode_jpeg(reference, quality, subsampling)
    return rgb_psnr(decode_jpeg(coded).rgb, decode_jpeg(jpeg).rgb)


def reference_of(path: Path, record: RawRecord) -> NDArray[np.uint8]:
    """Return LibRaw's rendering of a RAW file, ``(H, W, 3)`` uint8, pixel for pixel as the record.

    Raises
    ------
    RawFileError
        LibRaw cannot develop the file.
    """
    rgb = reference_srgb_file(path)
    if rgb.shape[:2] == record.mosaic.shape:
        return rgb
    return reference_srgb(record)  # LibRaw has stretched it, since the sensor's pixels are oblong


def compare_rgb(path: Path, rendering: Rendering, jpeg: bytes) -> RgbFidelity:
    """Compare a rendering and its JPEG with LibRaw's rendering of the RAW file.

    Parameters
    ----------
    path
        The RAW file that was rendered.
    rendering, jpeg
        What became of it, with the quality and subsampling of ``rendering.settings``.

    Raises
    ------
    RawFileError
        LibRaw cannot develop the file.
    """
    reference = reference_of(path, rendering.record)
    settings = rendering.settings
    return RgbFidelity(
        rgb_psnr=rgb_psnr(reference, rendering.rgb),
        rgb_ssim=rgb_ssim(reference, rendering.rgb),
        rgb_psnr_jpeg=rgb_psnr_through_jpeg(
            reference, jpeg, settings.quality, settings.subsampling
        ),
    )


# -- a table -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """One file, rendered by one model, kept as one kind of JPEG, and recovered.

    Attributes
    ----------
    file, camera
        Name of the RAW file, and what took it.
    model, quality, subsampling, headroom
        How it was rendered; ``model`` is a file name where the weights are from a file.
    width, height
        In pixels.
    rgb_psnr, rgb_ssim, rgb_psnr_jpeg
        See :class:`RgbFidelity`.
    raw_psnr, raw_psnr_linear
        See :class:`~napari_invisp.metrics.RawFidelity`.
    bpp, compression_ratio
        Of the JPEG file (paper Eq. 11 and 10).
    seconds_render, seconds_recover
        RAW record → sRGB, and JPEG bytes → RAW record.
    peak_memory_mb
        Most MiB of main memory that the whole process took during either, where the system tells.
    """

    file: str
    camera: str
    model: str
    quality: int
    subsampling: str
    headroom: float
    width: int
    height: int
    rgb_psnr: float
    rgb_ssim: float
    rgb_psnr_jpeg: float
    raw_psnr: float
    raw_psnr_linear: float
    bpp: float
    compression_ratio: float
    seconds_render: float
    seconds_recover: float
    peak_memory_mb: float | None


@dataclass(frozen=True)
class Mean:
    """Means over the files of one model and kind of JPEG; those of PSNRs are means of dB."""

    model: str
    quality: int
    subsampling: str
    headroom: float
    files: int
    rgb_psnr: float
    rgb_ssim: float
    rgb_psnr_jpeg: float
    raw_psnr: float
    raw_psnr_linear: float
    bpp: float
    compression_ratio: float
    seconds_render: float
    seconds_recover: float


#: What distinguishes the renderings of one file.
SETTINGS = ("model", "quality", "subsampling", "headroom")
_AVERAGED = tuple(f.name for f in fields(Mean) if f.name not in (*SETTINGS, "files"))


class Evaluation:
    """Renders and recovers files with every combination of some settings.

    Parameters
    ----------
    models, headrooms, qualities, subsamplings
        What to combine. A file is rendered once for each model and headroom.
    compute
        Device and tile size.
    progress, cancelled, notify
        As for :class:`~napari_invisp.pipeline.Pipeline`.

    Raises
    ------
    SettingsError, CheckpointError
        One of the values cannot be used; found before any file is touched.
    """

    def __init__(
        self,
        models: Sequence[str],
        headrooms: Sequence[float],
        qualities: Sequence[int],
        subsamplings: Sequence[str],
        compute: ComputeSettings,
        *,
        progress: Progress | None = None,
        cancelled: CancelCheck | None = None,
        notify: Callable[[str], None] | None = None,
    ) -> None:
        self._kinds = list(product(qualities, subsamplings))
        for quality, subsampling in self._kinds:
            RenderSettings(quality=quality, subsampling=subsampling)  # raises if out of range
        self._pipelines: list[Pipeline] = []
        for model in models:
            load_model(model)  # hours of other models may come before its first turn
            for headroom in headrooms:
                settings = RenderSettings(
                    device=compute.device, tile=compute.tile, model=model, headroom=headroom
                )
                self._pipelines.append(
                    Pipeline(settings, progress=progress, cancelled=cancelled, notify=notify)
                )

    def rows(self, path: Path) -> Iterator[Row]:
        """Work on one file.

        Yields
        ------
        Row
            Models in their order, of each the headrooms, qualities and subsamplings.

        Raises
        ------
        RawFileError
            The file cannot be used.
        """
        record = read_raw(path)
        reference = reference_of(path, record)
        for pipeline in self._pipelines:
            with _Cost() as render:
                rendering = pipeline.render(record)
            psnr = rgb_psnr(reference, rendering.rgb)
            ssim = rgb_ssim(reference, rendering.rgb)
            given = pipeline.settings.model if rendering.model.checkpoint else None
            for quality, subsampling in self._kinds:
                jpeg = pipeline.encode(rendering, quality, subsampling)
                with _Cost() as recover:
                    recovered = pipeline.recover(jpeg, path.name, given).record
                raw = compare_raw(record, recovered)
                peaks = [cost.peak for cost in (render, recover) if cost.peak is not None]
                yield Row(
                    file=path.name,
                    camera=record.camera,
                    model=rendering.model.checkpoint or rendering.model.name,
                    quality=quality,
                    subsampling=subsampling,
                    headroom=pipeline.settings.headroom,
                    width=record.width,
                    height=record.height,
                    rgb_psnr=psnr,
                    rgb_ssim=ssim,
                    rgb_psnr_jpeg=rgb_psnr_through_jpeg(reference, jpeg, quality, subsampling),
                    raw_psnr=raw.raw_psnr,
                    raw_psnr_linear=raw.raw_psnr_linear,
                    bpp=bits_per_pixel(len(jpeg), record),
                    compression_ratio=compression_ratio(len(jpeg), record),
                    seconds_render=render.seconds,
                    seconds_recover=recover.seconds,
                    peak_memory_mb=max(peaks, default=None),
                )


class _Cost:
    """Time and main memory that a block takes."""

    seconds: float
    peak: float | None = None

    def __enter__(self) -> _Cost:
        try:
            # proc(5): 5 resets the peak of the resident set. Only Linux has it.
            Path("/proc/self/clear_refs").write_text("5")
            self._status: Path | None = Path("/proc/self/status")
        except OSError:
            self._status = None
        self._start = time.perf_counter()
        return self

    def __exit__(self, *exception: object) -> None:
        self.seconds = time.perf_counter() - self._start
        if self._status is not None:
            lines = self._status.read_text().splitlines()
            facts = dict(line.split(":", 1) for line in lines)
            if "VmHWM" in facts:
                self.peak = int(facts["VmHWM"].split()[0]) / 1024


def means(rows: Iterable[Row]) -> list[Mean]:
    """Average over files, for each combination of model, quality, subsampling and headroom.

    Combinations come in the order in which they first occur.
    """
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(getattr(row, name) for name in SETTINGS), []).append(row)
    averages = []
    for key, group in groups.items():
        values: dict[str, Any] = dict(zip(SETTINGS, key, strict=True), files=len(group))
        values |= {name: fmean(getattr(row, name) for row in group) for name in _AVERAGED}
        averages.append(Mean(**values))
    return averages
