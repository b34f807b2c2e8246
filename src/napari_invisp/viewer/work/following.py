"""Following a slider that is being moved, in the part in view. Free of Qt."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from napari_invisp.development import QUICK_SAMPLE
from napari_invisp.errors import Cancelled
from napari_invisp.flow.coded import Coded
from napari_invisp.inspection.figures import Figures
from napari_invisp.jpeg.codec import encode_jpeg
from napari_invisp.live import Anew, Live, Source
from napari_invisp.metrics import (
    compare_raw,
)
from napari_invisp.pipeline import Rendering
from napari_invisp.sensor.record import RawRecord
from napari_invisp.settings import RenderSettings
from napari_invisp.tiling import Part, Tile, Watcher
from napari_invisp.viewer.work.bench import (
    Bench,
    Callbacks,
    Result,
    made_with,
    pipeline_of,
    size_of,
)
from napari_invisp.viewer.work.frames import RECOVERY, RESULTS, Frames

# What takes no longer, in seconds, is shown when all of it is there: to draw takes time, too.
_AT_ONCE = 0.3


@dataclass(frozen=True, eq=False)
class Glimpse:
    """Something was painted in ``frames`` that should be seen at once."""

    frames: Frames


@dataclass(frozen=True, eq=False)
class Moved:
    """Where a slider was moved to, and what was in view then."""

    settings: RenderSettings
    part: Part


def follow(
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
            yield from _followed(moved, newest, bench, frames, rendering, report)
        if report.cancelled():
            raise Cancelled("live")
        if newest() is moved:
            return


def _followed(
    moved: Moved,
    newest: Callable[[], Moved],
    bench: Bench,
    frames: Frames,
    rendering: Rendering,
    report: Callbacks,
) -> Iterator[Result | Glimpse | Figures]:
    settings, record = moved.settings, bench.record
    pipeline = pipeline_of(settings, report)
    device = pipeline.device()
    same = (settings.model, settings.headroom) == (
        rendering.settings.model,
        rendering.settings.headroom,
    )
    known = bench.networks_of(rendering)
    latest = next(reversed(known.values()), rendering.model)
    coding = settings.quality, settings.subsampling
    source: Source
    anew: Anew | None = None
    if same:
        network = known.get(coding, latest)
        source = partial(_cut_out, rendering.rgb)
    else:
        demosaiced = bench.demosaiced_by(pipeline)
        model = demosaiced.conditioned(pipeline.load(), settings.headroom, device, QUICK_SAMPLE)
        network = model.adopting(latest)
        source = anew = Anew(demosaiced, network, device)
    live = Live(source, network, record, Coded(*coding), device)
    first, *others = live.tiles(moved.part)
    sizes: list[tuple[int, int]] = []

    def through(tile: Tile) -> None:
        excerpt = live.through(tile)
        frames.excerpt(excerpt)
        sizes.append((excerpt.pixels, excerpt.jpeg_bytes))

    def stale() -> bool:
        return report.cancelled() or newest() is not moved

    workers = torch.get_num_threads()
    start = time.perf_counter()
    through(first)
    # Of what was never followed before it is too high: a small tile is slower than large ones.
    guess = (time.perf_counter() - start) / _outer_area([first]) / workers
    kind = settings.model, same
    if bench.paces.get(kind, guess) * _outer_area(others) > _AT_ONCE:
        yield Glimpse(frames)
    start = time.perf_counter()
    watcher = Watcher(cancelled=stale)
    watcher.step("live", 0, len(others))
    if same and coding not in known:
        known[coding] = pipeline.tried(rendering, *coding)
        live = Live(source, known[coding], record, Coded(*coding), device)
    if anew is not None:
        pieces = anew.prepare([live.encoded(tile) for tile in others])
        watcher.through("live", pieces, anew.render, workers)
    watcher.through("live", others, through, workers)
    bench.paces[kind] = (time.perf_counter() - start) / _outer_area(others)
    yield Glimpse(frames)
    # Not before: to tell the layers costs time, too.
    kinds = RECOVERY if same else RESULTS
    yield Result(frames.layers(kinds, made_with(settings), partial=True), frames)
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
        *size_of(size + bench.overhead, record),
        compare_raw(_cut(record, moved.part), _cut(frames.recovered, moved.part)),
        part=moved.part,
    )


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
