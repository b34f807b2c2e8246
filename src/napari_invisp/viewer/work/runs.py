"""The runs of one viewer: rendering, recovering, following a slider; and the layers they fill."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from enum import Enum, auto
from functools import partial
from pathlib import Path
from typing import Any

import napari.viewer
import numpy as np
from napari.layers import Layer
from napari.utils.notifications import show_warning
from qtpy.compat import isalive
from qtpy.QtCore import QObject, QTimer, Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QWidget

from napari_invisp.errors import InvispError
from napari_invisp.inspection.figures import Figures
from napari_invisp.inspection.rate import RateCurves, RatePoint
from napari_invisp.sensor.record import RawRecord
from napari_invisp.settings import RenderSettings
from napari_invisp.tiling import Part
from napari_invisp.viewer.failures import report_failure
from napari_invisp.viewer.layers import (
    CURVES,
    FIGURES,
    KEPT,
    KIND,
    MAP,
    METADATA_KEY,
    ORIGINAL,
    PARTIAL,
    RENDERING,
    Kind,
    LayerData,
    base_name,
    facts_of,
    raw_of,
)
from napari_invisp.viewer.layers.family import fact_of_results
from napari_invisp.viewer.layers.thumbnails import show_thumbnail
from napari_invisp.viewer.layers.view import part_in_view
from napari_invisp.viewer.work import jobs
from napari_invisp.viewer.work.adding import Adder
from napari_invisp.viewer.work.bench import Bench, Result, line_of
from napari_invisp.viewer.work.following import Glimpse, Moved, follow
from napari_invisp.viewer.work.frames import RESULTS, Frames
from napari_invisp.viewer.work.worker import Runner, Work

# How often painted parts are shown, and what is looked at is asked for; while a slider is followed
# that is done when something is worth showing, besides.
_REFRESH_MS, _LIVE_REFRESH_MS = 200, 400


class Run(Enum):
    """What a run is for."""

    RENDER = auto()
    ENCODE = auto()
    LIVE = auto()
    SWEEP = auto()
    FILES = auto()


class Runs(QObject):
    """Runs jobs one at a time, and shows what they paint while they paint it.

    The layers are all the memory it has, besides what would take long to find again (see
    :class:`~.bench.Bench`): a rendered layer carries its rendering and figures in its metadata,
    results replace those that were made of the same RAW before, whatever their layers are called
    now, and a layer that is deleted is forgotten. A layer that is partial keeps the rendering that
    it showed before, from which a moved slider starts.

    Attributes
    ----------
    progressed
        Stage, steps done, steps in all.
    began
        A run has begun.
    ended
        A run is over, for good or ill: what there is to say.
    changed
        Layers or figures have changed.
    moved
        The figures of the part in view, while a slider is moved.
    measured
        A point was added to the curves of the RAW that is worked on.

    Parameters
    ----------
    viewer
        Whose layers it works on.
    window
        Returns the window that shows them, if there is one.
    """

    progressed = Signal(str, int, int)
    began = Signal()
    ended = Signal(str)
    changed = Signal()
    moved = Signal(object)
    measured = Signal()

    def __init__(
        self, viewer: napari.viewer.Viewer, window: Callable[[], QWidget | None] = lambda: None
    ) -> None:
        super().__init__()
        self._viewer = viewer
        self._runner = Runner(focus=lambda: self._part)
        self._run: Run | None = None
        self._raw: Layer | None = None
        self._started = 0.0
        self._bench: Bench | None = None
        self._frames: Frames | None = None
        self._part: Part | None = None
        self._moved: Moved | None = None
        # What is to be done when the present run is over.
        self._next: Callable[[], None] | None = None
        self._adder = Adder(viewer, window)
        self._dismissed: set[Kind] = set()
        self._timer = QTimer()  # without a parent: it may be stopped after Qt has ended
        self._timer.timeout.connect(self._look)
        runner = self._runner
        runner.progressed.connect(self.progressed)
        runner.noticed.connect(show_warning)
        runner.produced.connect(self._on_produced)
        runner.failed.connect(self._on_failed)
        runner.finished.connect(self._on_finished)
        runner.cancelled.connect(self._on_cancelled)

    # -- what is going on ----------------------------------------------------------------------

    @property
    def running(self) -> bool:
        """Whether a run is going on, or its layers are still being added."""
        return self._run is not None

    @property
    def kind(self) -> Run | None:
        """What the run that is going on is for."""
        return self._run

    @property
    def adding(self) -> bool:
        """Whether layers are being added, which selects them for a moment."""
        return self._adder.adding

    @property
    def busy(self) -> bool:
        """Whether threads are at work that a cancelled run has left behind."""
        return self._runner.busy

    def cancel(self) -> None:
        """Stop what is going on; what was painted stays."""
        self._next = None
        self._runner.cancel()

    def dismiss(self, layer: Layer) -> None:
        """Do not bring back, before the next run, a result that the user has deleted."""
        facts = facts_of(layer)
        ours = self._raw is not None and raw_of(layer) is raw_of(self._raw)
        if ours and ORIGINAL in facts and KEPT not in facts:
            self._dismissed.add(facts[KIND])

    def abandon(self) -> None:
        """Stop for good, without a word."""
        self._next = None
        if isalive(self._timer):  # it is not where the whole program ends
            self._timer.stop()
        self._adder.abandon()
        self._run = None
        gc.unfreeze()
        self._runner.abandon()

    # -- what can be run -----------------------------------------------------------------------

    def render(self, raw: Layer, settings: RenderSettings) -> None:
        """Render a RAW layer, encode it and recover it."""
        record = raw_of(raw)
        if record is not None:
            work = partial(jobs.render, self._bench_of(record), settings=settings)
            self._start(Run.RENDER, self._painting(work, raw, record), raw)

    def encode(self, raw: Layer, settings: RenderSettings) -> None:
        """Encode a RAW layer's rendering with these settings, and recover it."""
        rendering = self.fact(raw, RENDERING)
        if rendering is not None:
            record = rendering.record
            work = partial(
                jobs.encode, self._bench_of(record), rendering=rendering, settings=settings
            )
            self._start(Run.ENCODE, self._painting(work, raw, record), raw)

    def move(self, raw: Layer, settings: RenderSettings) -> None:
        """Show at once, in the part in view, what other settings would do to a rendering."""
        rendering = self.fact(raw, RENDERING)
        if rendering is None or self._run is Run.FILES:
            return
        self._moved = Moved(settings, part_in_view(self._viewer, raw))
        if self._run is not Run.LIVE:
            record = rendering.record
            work = partial(follow, self._newest, self._bench_of(record), rendering=rendering)
            self._start(Run.LIVE, self._painting(work, raw, record), raw)

    def sweep(self, raw: Layer, settings: RenderSettings) -> None:
        """Measure a RAW layer's rendering at all standard qualities that are not known yet."""
        rendering = self.fact(raw, RENDERING)
        if rendering is not None:
            missing = self.curves(raw).missing(line_of(rendering, settings.subsampling))
            bench = self._bench_of(rendering.record)
            work = partial(jobs.sweep, bench, rendering, missing, settings)
            self._start(Run.SWEEP, work, raw)

    def recover_files(self, paths: Sequence[Path], settings: RenderSettings) -> None:
        """Recover the RAW of JPEG files."""
        self._start(Run.FILES, partial(jobs.recover_files, paths, settings), None)

    def afterwards(self, action: Callable[[], None]) -> None:
        """Do something when the present run is over; at once if there is none."""
        if self.running:
            self._next = action
        else:
            action()

    # -- what is known of a RAW ------------------------------------------------------------------

    def fact(self, raw: Layer, key: str) -> Any:
        """Look up what the results of a RAW layer know; ``None`` if there are none."""
        return fact_of_results(self._viewer.layers, raw, key)

    def result(self, raw: Layer, *kinds: Kind) -> Layer | None:
        """Find the newest result of one of some kinds that belongs to a RAW layer."""
        for layer in self._viewer.layers:
            facts = facts_of(layer)
            if facts.get(KIND) in kinds and KEPT not in facts and raw_of(layer) is raw_of(raw):
                return layer
        return None

    def partial(self, raw: Layer) -> bool:
        """Tell whether a RAW layer has results that are not of one piece."""
        return any(
            PARTIAL in facts_of(layer)
            and facts_of(layer)[KIND] in RESULTS
            and raw_of(layer) is raw_of(raw)
            for layer in self._viewer.layers
        )

    def curves(self, raw: Layer) -> RateCurves:
        """Return the rate-distortion curves of a RAW layer, which its metadata keep."""
        facts = facts_of(raw)
        curves: RateCurves = facts.setdefault(CURVES, RateCurves())
        return curves

    def _bench_of(self, record: RawRecord) -> Bench:
        if self._bench is None or self._bench.record is not record:
            self._bench = Bench(record)
        return self._bench

    def _painting(self, work: Callable[..., Iterator[Any]], raw: Layer, record: RawRecord) -> Work:
        """Let work paint over what earlier results show, where there are some."""
        found, settings = {}, None
        for kind in RESULTS:
            layer = self.result(raw, kind)
            if layer is not None and layer.multiscale:
                found[kind] = [np.asarray(level) for level in layer.data]
                settings = facts_of(layer).get(MAP, settings)
        blank = partial(Frames, record, base_name(raw), found, map_settings=settings)
        # Made in the work's own thread: memory for whole frames can take tenths of a second.
        return lambda report: work(frames=blank(), report=report)

    # -- the run that is going on ------------------------------------------------------------------

    def _start(self, run: Run, work: Work, raw: Layer | None) -> None:
        if self._run is not None:
            self._runner.abandon()
            for layer in self._painted():
                self._tell(layer)
            self._settle()
        self._next = None
        self._run, self._raw = run, raw
        self._dismissed.clear()
        # To look for garbage among all that is there would hold up the window for too long.
        gc.freeze()
        self._started = time.perf_counter()
        self._look()
        self._timer.start(_LIVE_REFRESH_MS if run is Run.LIVE else _REFRESH_MS)
        self.began.emit()
        self._runner.start(work)  # last, so that the window need not wait for its threads

    def _newest(self) -> Moved:
        assert self._moved is not None
        return self._moved

    def _look(self) -> None:
        """Show what was painted since, and see what is looked at."""
        self._part = part_in_view(self._viewer, self._raw) if self._raw is not None else None
        for layer in self._freshly_painted():
            if layer.visible:
                layer.refresh(thumbnail=False, highlight=False, extent=False)

    def _freshly_painted(self) -> list[Layer]:
        frames = self._frames
        if frames is None:
            return []
        painted = {kind: frames[kind].levels[0] for kind in frames.taken()}
        return [
            layer
            for layer in self._viewer.layers
            if facts_of(layer).get(KIND) in painted
            and layer.multiscale
            and layer.data[0] is painted[facts_of(layer)[KIND]]
        ]

    def _on_produced(
        self,
        result: Result | Glimpse | Figures | RatePoint | InvispError,
    ) -> None:
        match result:
            case Result():
                self._frames = result.frames
                self._adder.then(
                    *(partial(self._add, layer) for layer in result.layers), self._added
                )
            case Glimpse():
                self._frames = result.frames
                self._look()
            case Figures():
                self._look()
                self.moved.emit(result)
            case RatePoint():
                self._add_point(result)
            case InvispError():
                report_failure(result)

    def _add(self, made: LayerData) -> None:
        """Show one result, and what was measured of it."""
        facts = made[1]["metadata"][METADATA_KEY]
        if facts[KIND] in self._dismissed:
            return
        self._adder.put(made)
        figures = facts.get(FIGURES)
        point = figures.point() if figures is not None else None
        if point is not None:
            self._add_point(point)

    def _added(self) -> None:
        self._look()
        self.changed.emit()
        self._runner.catch_up()

    def _add_point(self, point: RatePoint) -> None:
        if self._raw is not None:
            self.curves(self._raw).add(point)
            self.measured.emit()

    # -- its end -------------------------------------------------------------------------------

    def _on_failed(self, error: Exception) -> None:
        report_failure(error)
        self._finish("Failed")

    def _on_finished(self) -> None:
        self._finish(f"Done in {time.perf_counter() - self._started:.1f} s")

    def _on_cancelled(self) -> None:
        self._finish("Cancelled")

    def _finish(self, text: str) -> None:
        """End the run once all its layers are there, and those who follow them know."""

        def wind_up() -> None:
            self._timer.stop()
            self._look()
            self._adder.then(*(partial(self._tell, layer) for layer in self._painted()))
            self._adder.then(partial(self._end, text))

        self._adder.then(wind_up)

    def _end(self, text: str) -> None:
        self._settle()
        self.ended.emit(text)
        action, self._next = self._next, None
        if action is not None and not self.running:
            action()

    def _settle(self) -> None:
        self._timer.stop()
        self._adder.settle()
        self._look()
        self._run = None
        gc.unfreeze()

    def _painted(self) -> list[Layer]:
        """Return the layers that the run has painted."""
        if self._frames is None or self._run is Run.SWEEP:
            return []
        levels = [self._frames[kind].levels[0] for kind in RESULTS]
        return [
            layer
            for layer in self._viewer.layers
            if layer.multiscale and any(layer.data[0] is each for each in levels)
        ]

    def _tell(self, layer: Layer) -> None:
        """Show a layer's thumbnail, and tell those who follow it that it has new pixels."""
        if layer not in self._viewer.layers:  # it was removed meanwhile
            return
        if layer.visible:
            layer.refresh(data_displayed=False, highlight=False, extent=False)
        else:
            show_thumbnail(layer)
        layer.events.data(value=layer.data)
