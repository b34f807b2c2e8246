"""The work that fills error maps, beside the window. Free of Qt."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

import npe2
import numpy as np
from numpy.typing import NDArray

from napari_invisp.errors import RawFileError
from napari_invisp.files import read_whole
from napari_invisp.inspection.maps import (
    Frame,
    Summary,
    beyond,
    error_map,
    limits_of,
    summary,
)
from napari_invisp.sensor.reading import is_raw_name
from napari_invisp.sensor.record import RawRecord
from napari_invisp.settings import ErrorMapSettings
from napari_invisp.tiling import Part, distance, tiles
from napari_invisp.viewer.files.readers import read_layers
from napari_invisp.viewer.layers import LayerData, Levels
from napari_invisp.viewer.layers.painting import Painting
from napari_invisp.viewer.layers.pyramids import peaks, pyramid

# Side of the tiles that maps are painted in, in pixels.
_TILE = 256
# Least time between two showings of what has been painted, in seconds.
_REST = 0.15

# One at a time, so that a run that was cancelled never paints over the next one.
_painting = Lock()


class Cancelling(Protocol):
    """What tells whether to stop."""

    def cancelled(self) -> bool:
        """Tell whether to stop."""


@dataclass(frozen=True, eq=False)
class Painted:
    """What has been painted so far.

    Attributes
    ----------
    levels
        Of the map.
    marks
        Levels of the marks; ``None`` if there are to be none.
    limits
        The map's contrast limits.
    done
        Whether this is all.
    """

    levels: Levels
    marks: Levels | None
    limits: tuple[float, float]
    done: bool


@dataclass(frozen=True)
class Job:
    """What to paint.

    Attributes
    ----------
    reference, candidate
        The frames, which match.
    settings
        Metric, channel, unit, limits, and whether to mark what is off by more.
    view
        What the user looks at, which is painted first.
    levels, marks
        Painted in place if given, and if they fit; otherwise new ones are.
    anew
        Whether what the levels hold is of other settings and has to go.
    view_only
        Whether the rest of the frame has to wait.
    """

    reference: Frame
    candidate: Frame
    settings: ErrorMapSettings
    view: Part
    levels: Levels | None = None
    marks: Levels | None = None
    anew: bool = True
    view_only: bool = False

    def run(self, report: Cancelling) -> Iterator[Painted | Summary]:
        """Paint the map, what is looked at first, then sum it up.

        Yields
        ------
        Painted or Summary
            As soon as what is looked at is painted, now and then, and when all is; in the end
            the figures of the frame.
        """
        shape = _shape(self.reference)
        painting = Painting.over(self.levels, shape, np.float32)
        levels, marks = painting.levels, None
        if self.settings.marked:
            marks = Painting.over(self.marks, shape, np.uint8, peaks)
        anew = self.anew or self.levels is None or levels[0] is not self.levels[0]
        waiting = sorted(tiles(*shape, _TILE, 0), key=lambda tile: distance(tile, self.view))
        seen = sum(distance(tile, self.view)[0] == 0 for tile in waiting)
        if self.view_only:
            waiting = waiting[:seen]
        shown, limits = time.monotonic(), None
        for n, tile in enumerate(waiting, start=1):
            part = (tile.rows, tile.columns)
            values = error_map(self.reference, self.candidate, self.settings, part)
            off = beyond(self.reference, self.candidate, self.settings, part) if marks else None
            with _painting:
                if report.cancelled():
                    return
                if anew:
                    _clear(painting, marks)
                    anew = False
                painting.paint(part, values)
                if marks is not None and off is not None:
                    marks.paint(part, off)
            if n == len(waiting):
                break
            if n == seen or time.monotonic() - shown > _REST:
                if limits is None or n == seen:
                    limits = self._limits(levels[0][self.view])
                yield Painted(levels, _levels(marks), limits, done=False)
                shown = time.monotonic()
        looked_at = levels[0][self.view] if self.view_only else levels[0]
        yield Painted(levels, _levels(marks), self._limits(looked_at), done=True)
        if not self.view_only and not report.cancelled():
            yield summary(self.reference, self.candidate, self.settings, values=levels[0])

    def _limits(self, values: NDArray[np.float32]) -> tuple[float, float]:
        return limits_of(self.settings, self.reference, values)


def summed_up(
    reference: Frame, candidate: Frame, settings: ErrorMapSettings, part: Part
) -> Iterator[Summary]:
    """Sum up the error of a part of the frame."""
    yield summary(reference, candidate, settings, part)


def read_frame(path: Path, report: Cancelling) -> Iterator[list[LayerData]]:
    """Read a RAW or a picture as layers, in whatever way napari knows.

    Raises
    ------
    RawFileError
        The file cannot be read.
    """
    if is_raw_name(path):
        yield read_layers(path)
        return
    data = read_whole(path, "a RAW or a picture", RawFileError)
    try:
        layers = npe2.read([str(path)], stack=False) if data else []
    except Exception as error:  # of whatever reader it was
        raise RawFileError(f"{path} cannot be opened as a picture: {error}") from error
    if not layers:
        raise RawFileError(f"{path} is empty")
    yield [_with_levels(layer, path.stem) for layer in layers]


def _with_levels(layer: Sequence[Any], name: str) -> LayerData:
    """Give a picture levels, so that a large one is shown at once, and a name."""
    missing: tuple[Any, ...] = ({}, "image")[len(layer) - 1 :]
    data, arguments, kind = (*layer, *missing)
    arguments = {"name": name} | arguments
    flat = isinstance(data, np.ndarray) and (data.ndim == 2 or data.shape[2:] in ((3,), (4,)))
    if kind == "image" and flat and data.dtype in (np.uint8, np.uint16, np.float32):
        arguments |= {"rgb": data.ndim == 3, "multiscale": True}
        data = pyramid(data)
    return data, arguments, kind


def _shape(frame: Frame) -> tuple[int, int]:
    height, width = (frame.mosaic if isinstance(frame, RawRecord) else frame).shape[:2]
    return height, width


def _levels(painting: Painting | None) -> Levels | None:
    return painting.levels if painting is not None else None


def _clear(painting: Painting, marks: Painting | None) -> None:
    """Make transparent what is not painted yet."""
    for level in painting.levels:
        level[...] = np.nan
    for level in marks.levels if marks is not None else ():
        level[...] = 0
