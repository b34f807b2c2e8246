"""A picture that follows sliders in the part in view, and what is kept for that. Free of Qt."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_invisp.linear import codes_from_linear, linear_from_codes
from napari_invisp.tiling import Part, Watcher
from napari_invisp.viewer.layers import LayerData
from napari_invisp.viewer.layers.painting import Painting
from napari_invisp.viewer.layers.pyramids import pyramid, shapes
from napari_invisp.viewer.layers.sources import Source, look_layer
from napari_invisp.viewer.work.looks import Light, Look

# Least time between two showings of a frame that is being filled, in seconds.
_REST_S = 0.2


class Callbacks(Protocol):
    """Where a preview reports to."""

    def progress(self, stage: str, done: int, total: int) -> None:
        """Take a :data:`~napari_invisp.tiling.Progress` report."""

    def cancelled(self) -> bool:
        """Tell whether to stop."""


@dataclass(frozen=True, eq=False)
class Wanted:
    """What is to be seen.

    Attributes
    ----------
    settings
        Of the look.
    part, level
        Rows and columns of the full size that are in view, and the level that they are shown at.
    resting
        Whether there is time to do it properly: nothing moves.
    """

    settings: Any
    part: Part
    level: int
    resting: bool = False


@dataclass(frozen=True, eq=False)
class Shown:
    """Something was painted.

    Attributes
    ----------
    sheet
        Where.
    settings
        By what.
    partial
        Whether parts of the frame are of other settings.
    done
        Whether that is all for now.
    """

    sheet: Sheet
    settings: Any
    partial: bool = True
    done: bool = False

    def layer(self) -> LayerData:
        """Make the layer that shows it."""
        sheet = self.sheet
        levels = sheet.painting.levels
        return look_layer(sheet.source, sheet.look.kind, levels, self.settings, self.partial)


@dataclass(frozen=True, eq=False)
class _Developed:
    """The light of a frame, at all levels."""

    settings: Any
    levels: Sequence[Light]
    anchor: Any


@dataclass(frozen=True, eq=False)
class _View:
    """What was made for the part in view."""

    settings: Any
    seen: Part
    level: int
    # Of the level.
    part: Part
    codes: NDArray[np.uint8]

    def serves(self, wanted: Wanted, level: int) -> bool:
        """Tell whether it is what is wanted, at this level or a finer one."""
        same = self.settings == wanted.settings and self.seen == wanted.part
        return same and self.level <= level


class Sheet:
    """The picture of one source, and its light, which is developed once.

    Parameters
    ----------
    source
        What the picture is made of.
    look
        How.
    levels
        To be painted over, if they fit.
    """

    def __init__(
        self, source: Source, look: Look, levels: Sequence[NDArray[Any]] | None = None
    ) -> None:
        self.source, self.look = source, look
        self.painting = Painting.over(levels, (*source.shape, 3), np.uint8)
        self._shapes = shapes(source.shape)
        self._blank = levels is None or self.painting.levels[0] is not levels[0]
        self._developed: _Developed | None = None
        self._developing = Lock()
        self._view: _View | None = None
        # What the frame around the view is of, as far as it is of one piece.
        self._rough: Any = None

    def pictures(self, wanted: Wanted, watcher: Watcher) -> Iterator[Shown]:
        """Paint the part in view: at once as finely as is quick, in the end as it is shown."""
        settings = wanted.settings
        if self._blank:  # a picture at once, if a rough one
            self._paint_roughly(settings, watcher)
            self._blank = False
        quick = self._quick_level(wanted)
        view = self._view
        if view is None or not view.serves(wanted, quick):
            view = self._made(wanted, quick, watcher)
            self.painting.paint_at(quick, view.part, view.codes, min(quick, wanted.level))
            if self._rough != settings:
                self._rough = None
            yield Shown(self, settings)
        if not wanted.resting:
            return
        if view.level > wanted.level:
            view = self._made(wanted, wanted.level, watcher)
        if self._rough != settings:  # so that no part is older
            self._paint_roughly(settings, watcher)
        self.painting.paint_at(view.level, view.part, view.codes)
        frame = tuple(slice(0, length) for length in self.source.shape)
        whole = view.level == 0 and view.part == frame
        yield Shown(self, settings, partial=not whole, done=True)

    def whole(self, settings: Any, watcher: Watcher) -> Iterator[Shown]:
        """Paint the whole frame."""
        shown = time.monotonic()
        self._view = self._rough = None
        for part, light in self.pieces(settings, watcher):
            self.painting.paint(part, codes_from_linear(light))
            if time.monotonic() - shown > _REST_S:
                yield Shown(self, settings)
                shown = time.monotonic()
        self._blank = False
        yield Shown(self, settings, partial=False, done=True)

    def pieces(self, settings: Any, watcher: Watcher) -> Iterator[tuple[Part, Light]]:
        """Make the whole frame in linear light, piece by piece, without painting it."""
        developed = self._light(settings, watcher)
        yield from self.look.pieces(developed.levels[0], settings, developed.anchor, watcher)

    def light(self, settings: Any, watcher: Watcher) -> Light:
        """Return the light of the whole frame, ``(H, W, 3)`` linear sRGB."""
        return self._light(settings, watcher).levels[0]

    def _light(self, settings: Any, watcher: Watcher) -> _Developed:
        """Develop the source, unless that was done."""
        with self._developing:
            known = self._developed
            if known is None or not self.look.develops_alike(known.settings, settings):
                self._developed = None  # or there would be room for both
                levels = pyramid(self._develop(settings, watcher))
                known = _Developed(settings, levels, self.look.anchor(levels[0]))
                self._developed = known
            return known

    def _develop(self, settings: Any, watcher: Watcher) -> Light:
        record, pixels = self.source.record, self.source.pixels
        watcher.step("developing", 0, 1)
        if record is not None:
            return self.look.develop(record, settings, watcher)
        assert pixels is not None
        if pixels.dtype == np.uint8:
            return linear_from_codes(pixels)
        return np.nan_to_num(pixels.astype(np.float32), nan=0.0)

    def _quick_level(self, wanted: Wanted) -> int:
        """Return the level at which the part in view is small enough to be done at once."""
        level = wanted.level
        while level + 1 < len(self._shapes):
            if _area(_at(wanted.part, level, self._shapes)) <= self.look.most:
                break
            level += 1
        return level

    def _made(self, wanted: Wanted, level: int, watcher: Watcher) -> _View:
        """Make the part in view at a level."""
        part = _at(wanted.part, level, self._shapes)
        developed = self._light(wanted.settings, watcher)
        light, margin = developed.levels[level], self.look.margin
        around = tuple(
            slice(max(0, each.start - margin), min(each.stop + margin, length))
            for each, length in zip(part, light.shape[:2], strict=True)
        )
        inner = tuple(
            slice(own.start - outer.start, own.stop - outer.start)
            for own, outer in zip(part, around, strict=True)
        )
        made = self.look.apply(
            np.ascontiguousarray(light[around]),
            wanted.settings,
            float(1 << level),
            developed.anchor,
            watcher,
        )
        codes = codes_from_linear(np.ascontiguousarray(made[inner]))
        self._view = _View(wanted.settings, wanted.part, level, part, codes)
        return self._view

    def _paint_roughly(self, settings: Any, watcher: Watcher) -> None:
        """Paint the whole frame as finely as its smallest level is."""
        developed = self._light(settings, watcher)
        last = len(self._shapes) - 1
        made = self.look.apply(
            developed.levels[last], settings, float(1 << last), developed.anchor, watcher
        )
        self._rough = settings
        height, width = self._shapes[last]
        self.painting.paint_at(last, (slice(0, height), slice(0, width)), codes_from_linear(made))


def follow(newest: Callable[[], Wanted], sheet: Sheet, report: Callbacks) -> Iterator[Shown]:
    """Show what is wanted, again and again until that does not change.

    Parameters
    ----------
    newest
        Tells what is wanted now; what is no longer wanted is given up after what is in work.
    sheet
        What to paint.
    report
        Where to report to.
    """
    watcher = Watcher(report.progress, report.cancelled)
    while True:
        wanted = newest()
        for shown in sheet.pictures(wanted, watcher):
            yield shown
            if newest() is not wanted:
                break
        if newest() is wanted:
            return


def fill(settings: Any, sheet: Sheet, report: Callbacks) -> Iterator[Shown]:
    """Paint the whole frame by these settings."""
    yield from sheet.whole(settings, Watcher(report.progress, report.cancelled))


def _at(part: Part, level: int, sizes: Sequence[tuple[int, ...]]) -> Part:
    """Return which rows and columns of a level a part of the full size covers."""
    rows, columns = (
        slice(min(each.start >> level, length - 1), min(-(-each.stop >> level), length))
        for each, length in zip(part, sizes[level], strict=True)
    )
    return rows, columns


def _area(part: Part) -> int:
    rows, columns = part
    return (rows.stop - rows.start) * (columns.stop - columns.start)
