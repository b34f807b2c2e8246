"""What runs beside the window: pipeline, figures, and the layers that show what came out.

Free of Qt. Each job is a generator of :class:`Result`, and takes a report object with the
callbacks ``progress``, ``cancelled`` and ``notify`` of :class:`~napari_invisp.pipeline.Pipeline`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from napari_invisp.errors import CapsuleError, InvispError
from napari_invisp.files import read_whole
from napari_invisp.jpeg.capsule import from_jpeg
from napari_invisp.metrics import bits_per_pixel, compression_ratio, raw_psnr, rgb_psnr
from napari_invisp.pipeline import Pipeline, Rendering
from napari_invisp.sensor.libraw import reference_srgb
from napari_invisp.sensor.record import RawRecord
from napari_invisp.settings import RenderSettings
from napari_invisp.tiling import Watcher
from napari_invisp.viewer.layers import (
    FIGURES,
    HEADROOM,
    MODEL,
    ORIGINAL,
    QUALITY,
    RENDERING,
    SOURCE,
    SUBSAMPLING,
    Kind,
    LayerData,
    error_layer,
    error_limit,
    picture_layer,
    raw_layers,
)
from napari_invisp.zoo import MODELS


class Callbacks(Protocol):
    """Where a job reports to."""

    def progress(self, stage: str, done: int, total: int) -> None:
        """Take a :data:`~napari_invisp.tiling.Progress` report."""

    def cancelled(self) -> bool:
        """Tell whether to stop."""

    def notify(self, sentence: str) -> None:
        """Take a sentence that the user should read."""


@dataclass(frozen=True)
class Figures:
    """How good a JPEG and the RAW recovered from it are.

    Attributes
    ----------
    quality, subsampling
        Of the JPEG; ``None`` where they are not known.
    jpeg_bytes, bpp, compression_ratio
        Its size; bits for each pixel; how many times smaller it is than the packed RAW samples.
    raw_psnr
        dB between original and recovered RAW; ``None`` where there is no original.
    rgb_psnr
        dB between the rendered sRGB and LibRaw's; ``None`` where nothing was rendered.
    error_limit
        DN that are brightest in the error map; ``None`` where there is none.
    """

    quality: int | None
    subsampling: str | None
    jpeg_bytes: int
    bpp: float
    compression_ratio: float
    raw_psnr: float | None = None
    rgb_psnr: float | None = None
    error_limit: float | None = None


@dataclass(frozen=True, eq=False)
class Result:
    """What a job hands to the window.

    Attributes
    ----------
    layers
        To add, or to put in place of earlier ones; lowest first. The top one holds the figures.
    """

    layers: list[LayerData]


@dataclass(frozen=True)
class Saved:
    """A file was written to ``path``."""

    path: Path


def render(
    record: RawRecord, base: str, settings: RenderSettings, report: Callbacks
) -> Iterator[Result]:
    """Render a RAW, encode it, recover it, and measure both.

    Parameters
    ----------
    record
        The RAW.
    base
        What layer names begin with.
    settings
        Of the run.
    report
        Where to report to.
    """
    rendering = _pipeline(settings, report).render(record)
    watcher = Watcher(report.progress, report.cancelled)
    watcher.step("measuring", 0, 1)
    fidelity = rgb_psnr(reference_srgb(record), rendering.rgb)
    yield from encode(rendering, base, settings, fidelity, report)


def encode(
    rendering: Rendering, base: str, settings: RenderSettings, fidelity: float, report: Callbacks
) -> Iterator[Result]:
    """Encode a rendering, recover its RAW from the JPEG alone, and measure that.

    Parameters
    ----------
    rendering
        What was rendered before.
    base
        What layer names begin with.
    settings
        Quality, subsampling, device and tiles; the rest is the rendering's own.
    fidelity
        The rendering's ``rgb_psnr``.
    report
        Where to report to.
    """
    original = rendering.record
    pipeline = _pipeline(settings, report)
    jpeg = pipeline.encode(rendering, settings.quality, settings.subsampling)
    recovery = pipeline.recover(jpeg, "the JPEG", _checkpoint(rendering.settings.model))

    watcher = Watcher(report.progress, report.cancelled)
    watcher.step("measuring", 0, 1)
    figures = Figures(
        settings.quality,
        settings.subsampling,
        len(jpeg),
        bits_per_pixel(len(jpeg), original),
        compression_ratio(len(jpeg), original),
        raw_psnr(original, recovery.record),
        fidelity,
        error_limit(original),
    )
    watcher.step("measuring", 1, 1)
    made: dict[str, Any] = {
        ORIGINAL: original,
        MODEL: rendering.settings.model,
        HEADROOM: rendering.settings.headroom,
        QUALITY: settings.quality,
        SUBSAMPLING: settings.subsampling,
    }
    rendered = made | {RENDERING: rendering, FIGURES: figures}
    layers = [
        error_layer(original, recovery.record, base, made),
        *raw_layers(recovery.record, base, made, recovered=True),
        picture_layer(recovery.jpeg.rgb, original, base, Kind.DECODED, made),
        picture_layer(rendering.rgb, original, base, Kind.RENDERED, rendered),
    ]
    watcher.step("measuring", 1, 1)
    yield Result(layers)


def recover_files(
    paths: Sequence[Path], settings: RenderSettings, report: Callbacks
) -> Iterator[Result | InvispError]:
    """Recover the RAW of JPEG files, one after the other.

    Parameters
    ----------
    paths
        JPEG files that this program wrote.
    settings
        Device and tiles, and the checkpoint if a file asks for one.
    report
        Where to report to.

    Yields
    ------
    Result or InvispError
        What came of each file, or why nothing did.
    """
    for path in paths:
        try:
            yield _recover_file(path, settings, report)
        except InvispError as error:
            yield error


def _recover_file(path: Path, settings: RenderSettings, report: Callbacks) -> Result:
    data = read_whole(path, "a JPEG file", CapsuleError)
    wanted: Any = from_jpeg(data, str(path)).header.get("model")
    asks = isinstance(wanted, dict) and wanted.get("checkpoint") is not None
    recovery = _pipeline(settings, report).recover(
        data, str(path), _checkpoint(settings.model) if asks else None
    )
    record, jpeg = recovery.record, recovery.jpeg
    made: dict[str, Any] = {
        SOURCE: str(path),
        MODEL: recovery.model,
        HEADROOM: recovery.render.get("headroom"),
        QUALITY: jpeg.quality,
        SUBSAMPLING: jpeg.subsampling,
    }
    figures = Figures(
        jpeg.quality,
        jpeg.subsampling,
        len(data),
        bits_per_pixel(len(data), record),
        compression_ratio(len(data), record),
    )
    return Result(
        [
            *raw_layers(record, path.stem, made, recovered=True),
            picture_layer(jpeg.rgb, record, path.stem, Kind.JPEG, made | {FIGURES: figures}),
        ]
    )


def save(
    write: Callable[[str, Any, dict[str, Any]], list[str]],
    path: Path,
    layer: LayerData,
    report: Callbacks,
) -> Iterator[Saved]:
    """Write a layer to a file.

    Parameters
    ----------
    write
        One of :mod:`~napari_invisp.viewer.writers`.
    path
        The file to write or replace.
    layer
        What to write.
    report
        Where to report to.
    """
    Watcher(report.progress, report.cancelled).step("saving", 0, 1)
    data, arguments, _ = layer
    write(str(path), data, arguments)
    yield Saved(path)


def _pipeline(settings: RenderSettings, report: Callbacks) -> Pipeline:
    return Pipeline(
        settings, progress=report.progress, cancelled=report.cancelled, notify=report.notify
    )


def _checkpoint(model: str) -> str | None:
    """Return the path of a checkpoint, if that is what the model is."""
    return None if model in MODELS else model
