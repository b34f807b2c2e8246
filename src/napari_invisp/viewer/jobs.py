"""What runs beside the window: pipeline, figures, and the layers that show what came out.

Free of Qt. Each job is a generator of results, and takes a report object with the callbacks
``progress``, ``cancelled``, ``notify`` and ``focus`` of :class:`~napari_invisp.pipeline.Pipeline`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from napari_invisp.development import QUICK_SAMPLE, Demosaiced, preview
from napari_invisp.errors import Cancelled, CapsuleError, InvispError
from napari_invisp.evaluation.fidelity import rgb_psnr_through_jpeg
from napari_invisp.files import read_whole
from napari_invisp.flow.base import InvertibleISP
from napari_invisp.flow.coded import Coded
from napari_invisp.inspection.rate import Line, RatePoint
from napari_invisp.jpeg.capsule import from_jpeg
from napari_invisp.jpeg.codec import decode_jpeg, encode_jpeg
from napari_invisp.live import Live, Source, rendered_anew
from napari_invisp.metrics import (
    RawFidelity,
    bits_per_pixel,
    compare_raw,
    compression_ratio,
    raw_psnr,
    rgb_psnr,
)
from napari_invisp.pipeline import Pipeline, Rendering
from napari_invisp.sensor.libraw import reference_srgb
from napari_invisp.sensor.record import RawRecord
from napari_invisp.settings import RenderSettings
from napari_invisp.tiling import Part, Tile, Watcher
from napari_invisp.viewer.frames import RECOVERY, RESULTS, Frames
from napari_invisp.viewer.layers import (
    FIGURES,
    HEADROOM,
    MODEL,
    QUALITY,
    RENDERING,
    SOURCE,
    SUBSAMPLING,
    Kind,
    LayerData,
)
from napari_invisp.zoo import MODELS

# Larger tiles are faster, but to cancel would take longer than people wait.
_LARGEST_TILE = 512
# What takes no longer, in seconds, is shown when all of it is there: to draw takes time, too.
_AT_ONCE = 0.3


class Callbacks(Protocol):
    """Where a job reports to."""

    def progress(self, stage: str, done: int, total: int) -> None:
        """Take a :data:`~napari_invisp.tiling.Progress` report."""

    def cancelled(self) -> bool:
        """Tell whether to stop."""

    def notify(self, sentence: str) -> None:
        """Take a sentence that the user should read."""

    def focus(self) -> Part | None:
        """Tell what the user looks at."""


@dataclass(eq=False)
class Bench:
    """What is kept of one RAW, so that no later run has to find it again.

    Attributes
    ----------
    record
        The RAW.
    demosaiced
        The same, demosaiced.
    reference
        ``(H, W, 3)`` uint8, LibRaw's rendering.
    fidelity
        ``rgb_psnr`` of a rendering.
    tried
        The models of a rendering as they stand for its JPEG files, by quality and subsampling; the
        latest last.
    overhead
        Bytes of that JPEG that are not picture.
    """

    record: RawRecord
    demosaiced: Demosaiced | None = None
    reference: NDArray[np.uint8] | None = None
    fidelity: tuple[Rendering, float] | None = None
    tried: tuple[Rendering, dict[tuple[int, str], InvertibleISP]] | None = None
    overhead: int = 0

    def demosaiced_by(self, pipeline: Pipeline) -> Demosaiced:
        """Demosaic for the model of a pipeline, unless that was done for another one like it."""
        if self.demosaiced is None or self.demosaiced.profile != pipeline.load().profile:
            self.demosaiced = pipeline.demosaic(self.record)
        return self.demosaiced

    def rendered_by_libraw(self, watcher: Watcher) -> NDArray[np.uint8]:
        """Return the reference sRGB."""
        if self.reference is None:
            self.reference = reference_srgb(self.record, partial(watcher.step, "measuring"))
        return self.reference

    def fidelity_of(self, rendering: Rendering, watcher: Watcher) -> float:
        """Return the ``rgb_psnr`` of a rendering."""
        if self.fidelity is None or self.fidelity[0] is not rendering:
            self.fidelity = rendering, rgb_psnr(self.rendered_by_libraw(watcher), rendering.rgb)
        return self.fidelity[1]

    def networks_of(self, rendering: Rendering) -> dict[tuple[int, str], InvertibleISP]:
        """Return the models of a rendering as they stand for the JPEG files that are known."""
        if self.tried is None or self.tried[0] is not rendering:
            self.tried = rendering, {}
        return self.tried[1]


@dataclass(frozen=True)
class Figures:
    """How good a JPEG and the RAW recovered from it are.

    Attributes
    ----------
    model, headroom
        How it was rendered; ``None`` where that is not known.
    quality, subsampling
        Of the JPEG; ``None`` where they are not known.
    jpeg_bytes, bpp, compression_ratio
        Its size; bits for each pixel; how many times smaller it is than the packed RAW samples.
    raw
        How far the recovered RAW is from the original; ``None`` where there is no original.
    rgb_psnr, rgb_psnr_jpeg
        dB between the rendered sRGB and LibRaw's, before JPEG, and after both went through it;
        ``None`` where nothing was rendered.
    part
        The part of the frame that ``raw`` is of, if it is not the whole one: then a slider is
        being moved, and the size may be estimated.
    """

    model: str | None
    headroom: float | None
    quality: int | None
    subsampling: str | None
    jpeg_bytes: int
    bpp: float
    compression_ratio: float
    raw: RawFidelity | None = None
    rgb_psnr: float | None = None
    rgb_psnr_jpeg: float | None = None
    part: Part | None = None

    def point(self) -> RatePoint | None:
        """Return these figures as a point of a rate-distortion curve, if they are whole."""
        if self.raw is None or self.rgb_psnr_jpeg is None or self.part is not None:
            return None
        line = Line(str(self.model), float(self.headroom or 0), str(self.subsampling))
        psnr = self.raw.raw_psnr, self.rgb_psnr_jpeg
        return RatePoint(line, int(self.quality or 0), self.bpp, *psnr)


@dataclass(frozen=True, eq=False)
class Result:
    """What a job hands to the window.

    Attributes
    ----------
    layers
        To add, or to put in place of earlier ones; lowest first.
    frames
        What is painted in them.
    """

    layers: list[LayerData]
    frames: Frames = field(repr=False)


@dataclass(frozen=True, eq=False)
class Glimpse:
    """Something was painted in ``frames`` that should be seen at once."""

    frames: Frames


@dataclass(frozen=True, eq=False)
class Moved:
    """Where a slider was moved to, and what was in view then."""

    settings: RenderSettings
    part: Part


def render(
    bench: Bench, frames: Frames, settings: RenderSettings, report: Callbacks
) -> Iterator[Result]:
    """Render a RAW, encode it, recover it, and measure both.

    Parameters
    ----------
    bench
        What is known of the RAW.
    frames
        What to paint.
    settings
        Of the run.
    report
        Where to report to.
    """
    facts = _made(settings)
    pipeline = _pipeline(settings, report, frames)
    pipeline.load()  # if that fails, nothing is to be seen
    report.progress("preview", 0, 1)
    frames[Kind.RENDERED].sketch(*preview(bench.record, settings.headroom))
    yield Result(frames.layers([Kind.RENDERED], facts, partial=True), frames)
    rendering = pipeline.render(bench.record, bench.demosaiced_by(pipeline))
    yield Result(frames.layers([Kind.RENDERED], facts | {RENDERING: rendering}, True), frames)
    yield from encode(bench, frames, rendering, settings, report)


def encode(
    bench: Bench,
    frames: Frames,
    rendering: Rendering,
    settings: RenderSettings,
    report: Callbacks,
) -> Iterator[Result]:
    """Encode a rendering, recover its RAW from the JPEG alone, and measure that.

    Parameters
    ----------
    bench
        What is known of the RAW.
    frames
        What to paint.
    rendering
        What was rendered before.
    settings
        Quality, subsampling, device and tiles; the rest is the rendering's own.
    report
        Where to report to.
    """
    original = rendering.record
    coding = settings.quality, settings.subsampling
    facts = _made(settings) | {
        MODEL: rendering.settings.model,
        HEADROOM: rendering.settings.headroom,
    }
    pipeline = _pipeline(settings, report, frames)
    jpeg = pipeline.encode(rendering, *coding)
    frames.whole(Kind.RENDERED, rendering.rgb)
    frames.whole(Kind.DECODED, decode_jpeg(jpeg).rgb)
    yield Result(frames.layers(RECOVERY, facts, partial=True), frames)
    recovery = pipeline.recover(jpeg, "the JPEG", _checkpoint(rendering.settings.model))
    frames.finish_errors()
    bench.networks_of(rendering)[coding] = recovery.network
    bench.overhead = len(jpeg) - len(encode_jpeg(rendering.rgb, *coding))

    watcher = Watcher(report.progress, report.cancelled)
    watcher.step("measuring", 0, 3)
    raw = compare_raw(original, recovery.record, partial(watcher.step, "measuring", 0, 3))
    watcher.step("measuring", 1, 3)
    fidelity = bench.fidelity_of(rendering, watcher)
    watcher.step("measuring", 2, 3)
    figures = Figures(
        rendering.settings.model,
        rendering.settings.headroom,
        settings.quality,
        settings.subsampling,
        *_size(len(jpeg), original),
        raw,
        fidelity,
        rgb_psnr_through_jpeg(bench.rendered_by_libraw(watcher), jpeg, *coding),
    )
    watcher.step("measuring", 3, 3)
    facts |= {RENDERING: rendering, FIGURES: figures}
    yield Result(frames.layers(RESULTS, facts, partial=False), frames)


def live(
    newest: Callable[[], Moved],
    bench: Bench,
    frames: Frames,
    rendering: Rendering,
    report: Callbacks,
) -> Iterator[Result | Glimpse | Figures]:
    """Show a moved slider's effect on the part in view, again and again until it rests.

    Parameters
    ----------
    newest
        Tells where the slider is now. A place that it has left is given up after one tile.
    bench
        What is known of the RAW.
    frames
        What to paint.
    rendering
        What was rendered before.
    report
        Where to report to.
    """
    while True:
        moved = newest()
        with suppress(Cancelled):
            yield from _live(moved, newest, bench, frames, rendering, report)
        if report.cancelled():
            raise Cancelled("live")
        if newest() is moved:
            return


def _live(
    moved: Moved,
    newest: Callable[[], Moved],
    bench: Bench,
    frames: Frames,
    rendering: Rendering,
    report: Callbacks,
) -> Iterator[Result | Glimpse | Figures]:
    settings, record = moved.settings, bench.record
    pipeline = _pipeline(settings, report)
    device = pipeline.device()
    same = (settings.model, settings.headroom) == (
        rendering.settings.model,
        rendering.settings.headroom,
    )
    known = bench.networks_of(rendering)
    latest = next(reversed(known.values()), rendering.model)
    coding = settings.quality, settings.subsampling
    source: Source
    if same:
        network = known.get(coding, latest)
        source = partial(_cut_out, rendering.rgb)
    else:
        demosaiced = bench.demosaiced_by(pipeline)
        model = demosaiced.conditioned(pipeline.load(), settings.headroom, device, QUICK_SAMPLE)
        network = model.adopting(latest)
        source = rendered_anew(demosaiced, network, device)
    live = Live(source, network, record, Coded(*coding), device)
    first, *others = live.tiles(moved.part)
    sizes: list[tuple[int, int]] = []

    def through(tile: Tile) -> None:
        excerpt = live.through(tile)
        frames.excerpt(excerpt)
        sizes.append((excerpt.pixels, excerpt.jpeg_bytes))

    def stale() -> bool:
        return report.cancelled() or newest() is not moved

    workers = min(torch.get_num_threads(), len(others))
    start = time.perf_counter()
    through(first)
    elapsed = time.perf_counter() - start
    if elapsed * _outer_area(others) / _outer_area([first]) / workers > _AT_ONCE:
        yield Glimpse(frames)
    watcher = Watcher(cancelled=stale)
    watcher.step("live", 0, len(others))
    if same and coding not in known:
        known[coding] = pipeline.tried(rendering, *coding)
        live = Live(source, known[coding], record, Coded(*coding), device)
    watcher.through("live", others, through, workers)
    yield Glimpse(frames)
    # Not before: to tell the layers costs time, too.
    kinds = RECOVERY if same else RESULTS
    yield Result(frames.layers(kinds, _made(settings), partial=True), frames)
    if same:
        size = len(encode_jpeg(rendering.rgb, settings.quality, settings.subsampling))
    else:
        pixels, encoded = map(sum, zip(*sizes, strict=True))
        size = round(encoded / pixels * record.mosaic.size)
    yield Figures(
        settings.model,
        settings.headroom,
        settings.quality,
        settings.subsampling,
        *_size(size + bench.overhead, record),
        compare_raw(_cut(record, moved.part), _cut(frames.recovered, moved.part)),
        part=moved.part,
    )


def sweep(
    bench: Bench,
    rendering: Rendering,
    qualities: Sequence[int],
    settings: RenderSettings,
    report: Callbacks,
) -> Iterator[RatePoint]:
    """Measure a rendering at several qualities; no layer changes.

    Parameters
    ----------
    bench
        What is known of the RAW.
    rendering
        What was rendered before.
    qualities
        Of JPEG.
    settings
        Subsampling, device and tiles; the rest is the rendering's own.
    report
        Where to report to.
    """
    watcher = Watcher(report.progress, report.cancelled)
    pipeline = Pipeline(settings, cancelled=report.cancelled, notify=report.notify)
    record, subsampling = rendering.record, settings.subsampling
    line = Line(rendering.settings.model, rendering.settings.headroom, subsampling)
    for done, quality in enumerate(qualities):
        watcher.step("sweep", done, len(qualities))
        jpeg = pipeline.encode(rendering, quality, subsampling)
        recovered = pipeline.recover(jpeg, "the JPEG", _checkpoint(rendering.settings.model))
        yield RatePoint(
            line,
            quality,
            bits_per_pixel(len(jpeg), record),
            raw_psnr(record, recovered.record),
            rgb_psnr_through_jpeg(bench.rendered_by_libraw(watcher), jpeg, quality, subsampling),
        )


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
        What comes of each file, or why nothing did.
    """
    for path in paths:
        try:
            yield from _recover_file(path, settings, report)
        except InvispError as error:
            yield error


def _recover_file(path: Path, settings: RenderSettings, report: Callbacks) -> Iterator[Result]:
    data = read_whole(path, "a JPEG file", CapsuleError)
    wanted: Any = from_jpeg(data, str(path)).header.get("model")
    asks = isinstance(wanted, dict) and wanted.get("checkpoint") is not None
    pipeline = _pipeline(settings, report)
    unpacked = pipeline.unpack(data, str(path), _checkpoint(settings.model) if asks else None)
    record, jpeg = unpacked.record, unpacked.jpeg
    frames = Frames(record, path.stem, has_original=False)
    facts: dict[str, Any] = {
        SOURCE: str(path),
        MODEL: unpacked.network.name,
        HEADROOM: unpacked.render.get("headroom"),
        QUALITY: jpeg.quality,
        SUBSAMPLING: jpeg.subsampling,
    }
    figures = Figures(
        unpacked.network.name,
        facts[HEADROOM],
        jpeg.quality,
        jpeg.subsampling,
        *_size(len(data), record),
    )
    frames.whole(Kind.JPEG, jpeg.rgb)
    picture = frames.layers([Kind.JPEG], facts | {FIGURES: figures}, partial=False)
    kinds = (Kind.RECOVERED_MOSAIC, Kind.RECOVERED)
    yield Result(frames.layers(kinds, facts, partial=True) + picture, frames)
    _pipeline(settings, report, frames).recover_unpacked(unpacked)
    yield Result(frames.layers(kinds, facts, partial=False) + picture, frames)


def _pipeline(
    settings: RenderSettings, report: Callbacks, frames: Frames | None = None
) -> Pipeline:
    return Pipeline(
        settings,
        progress=report.progress,
        cancelled=report.cancelled,
        notify=report.notify,
        focus=report.focus,
        arrived=frames.arrived if frames is not None else None,
        largest_tile=_LARGEST_TILE,
    )


def _made(settings: RenderSettings) -> dict[str, Any]:
    """Return what layers say about how they were made."""
    return {
        MODEL: settings.model,
        HEADROOM: settings.headroom,
        QUALITY: settings.quality,
        SUBSAMPLING: settings.subsampling,
    }


def _size(size: int, record: RawRecord) -> tuple[int, float, float]:
    return size, bits_per_pixel(size, record), compression_ratio(size, record)


def _outer_area(pieces: Sequence[Tile]) -> int:
    return sum(
        (tile.outer_rows.stop - tile.outer_rows.start)
        * (tile.outer_columns.stop - tile.outer_columns.start)
        for tile in pieces
    )


def _cut_out(rgb: NDArray[np.uint8], rows: slice, columns: slice) -> NDArray[np.uint8]:
    return rgb[rows, columns]


def _cut(record: RawRecord, part: Part) -> RawRecord:
    """Return a part of a frame, from an even site on."""
    rows, columns = (slice(each.start // 2 * 2, each.stop) for each in part)
    return record.replace(mosaic=np.ascontiguousarray(record.mosaic[rows, columns]))


def _checkpoint(model: str) -> str | None:
    """Return the path of a checkpoint, if that is what the model is."""
    return None if model in MODELS else model
