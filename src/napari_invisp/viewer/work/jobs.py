"""What runs beside the window: rendering, encoding, recovering, measuring. Free of Qt.

Each job is a generator of results.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from napari_invisp.development import preview
from napari_invisp.errors import CapsuleError, InvispError
from napari_invisp.evaluation.fidelity import rgb_psnr_through_jpeg
from napari_invisp.files import read_whole
from napari_invisp.inspection.figures import Figures
from napari_invisp.inspection.rate import RatePoint
from napari_invisp.jpeg.capsule import from_jpeg
from napari_invisp.jpeg.codec import encode_jpeg
from napari_invisp.metrics import (
    bits_per_pixel,
    compare_raw,
    raw_psnr,
)
from napari_invisp.pipeline import Pipeline, Rendering, asks_for_checkpoint
from napari_invisp.settings import RenderSettings
from napari_invisp.tiling import Watcher
from napari_invisp.viewer.layers import (
    FIGURES,
    HEADROOM,
    MODEL,
    QUALITY,
    RENDERING,
    SOURCE,
    SUBSAMPLING,
    Kind,
)
from napari_invisp.viewer.work.bench import (
    Bench,
    Callbacks,
    Result,
    from_archive,
    line_of,
    made_with,
    pipeline_of,
    size_of,
)
from napari_invisp.viewer.work.frames import RECOVERY, RESULTS, Frames
from napari_invisp.zoo import checkpoint_of


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
    facts = made_with(settings)
    pipeline = pipeline_of(settings, report, frames)
    pipeline.load()  # if that fails, nothing is to be seen
    report.progress("preview", 0, 1)
    frames[Kind.RENDERED].sketch(*preview(bench.record, settings.headroom))
    yield Result(frames.layers([Kind.RENDERED], facts, partial=True), frames)
    report.wait_for_window()
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
    facts = made_with(settings) | {
        MODEL: rendering.settings.model,
        HEADROOM: rendering.settings.headroom,
    }
    pipeline = pipeline_of(settings, report, frames)
    jpeg = pipeline.encode(rendering, *coding)
    unpacked = pipeline.unpack(jpeg, model=checkpoint_of(rendering.settings.model))
    frames.whole(Kind.RENDERED, rendering.rgb)
    frames.whole(Kind.DECODED, unpacked.jpeg.rgb)
    yield Result(frames.layers(RECOVERY, facts, partial=True), frames)
    report.wait_for_window()
    recovery = pipeline.recover_unpacked(unpacked)
    frames.finish_errors()
    assert recovery.network is not None
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
        *size_of(len(jpeg), original),
        raw,
        fidelity,
        rgb_psnr_through_jpeg(bench.rendered_by_libraw(watcher), jpeg, *coding),
    )
    watcher.step("measuring", 3, 3)
    facts |= {RENDERING: rendering, FIGURES: figures}
    yield Result(frames.layers(RESULTS, facts, partial=False), frames)


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
    line = line_of(rendering, subsampling)
    for done, quality in enumerate(qualities):
        watcher.step("sweep", done, len(qualities))
        jpeg = pipeline.encode(rendering, quality, subsampling)
        recovered = pipeline.recover(jpeg, "the JPEG", checkpoint_of(rendering.settings.model))
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
    asks = asks_for_checkpoint(from_jpeg(data, str(path)))
    pipeline = pipeline_of(settings, report)
    unpacked = pipeline.unpack(data, str(path), checkpoint_of(settings.model) if asks else None)
    record, jpeg = unpacked.record, unpacked.jpeg
    frames = Frames(record, path.stem, has_original=False)
    facts: dict[str, Any] = {
        SOURCE: str(path),
        MODEL: unpacked.model,
        HEADROOM: unpacked.render.get("headroom"),
        QUALITY: jpeg.quality,
        SUBSAMPLING: jpeg.subsampling,
    }
    figures = Figures(
        unpacked.model,
        facts[HEADROOM],
        jpeg.quality,
        jpeg.subsampling,
        *size_of(len(data), record),
    )
    frames.whole(Kind.JPEG, jpeg.rgb)
    picture = frames.layers([Kind.JPEG], facts | {FIGURES: figures}, partial=False)
    kinds = (Kind.RECOVERED_MOSAIC, Kind.RECOVERED)
    yield Result(frames.layers(kinds, facts, partial=True) + picture, frames)
    report.wait_for_window()
    recovery = pipeline_of(settings, report, frames).recover_unpacked(unpacked)
    facts |= from_archive(recovery)
    yield Result(frames.layers(kinds, facts, partial=False) + picture, frames)
