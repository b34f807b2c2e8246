"""Plots of RAW histograms: original, recovered and how they differ."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from qtpy.QtCore import Qt
from qtpy.QtGui import QMouseEvent, QResizeEvent
from qtpy.QtWidgets import QBoxLayout, QWidget

from napari_invisp.inspection.statistics import (
    Counts,
    Frame,
    Histogram,
    Levels,
    Survey,
    ev_histogram,
    linear_histogram,
)
from napari_invisp.sensor.cfa import CHANNELS
from napari_invisp.settings import AXES, HistogramSettings
from napari_invisp.viewer.controls import named
from napari_invisp.viewer.docks.plots import TEXT, Plot

#: A colour for each of :data:`~napari_invisp.sensor.cfa.CHANNELS`.
COLOURS = ("#ff6b6b", "#3ddc6f", "#5aa9ff", "#c3e04a")
#: What is plotted, by frame.
TITLES = {
    Frame.ORIGINAL: "Original",
    Frame.RECOVERED: "Recovered",
    Frame.DIFFERENCE: "Recovered − original",
}

_KEY = " ".join(
    f'<span style="color: {colour}">{channel}</span>'
    for channel, colour in zip(CHANNELS, COLOURS, strict=True)
)
# Plots lie beside each other where there is room for it, else below each other.
_ROOM = 800
_HEIGHT = 190
# Of differences, so many sites are in sight while counts are linear.
_IN_SIGHT = 0.999
# Where a bin without sites lies when counts are logarithmic.
_NONE = math.log10(0.5)


class _SitesAxis(pg.AxisItem):
    """Numbers of sites, in thousands and millions."""

    def tickStrings(self, values: list[float], scale: float, spacing: float) -> list[str]:  # noqa: N802
        if self.logMode:
            return super().tickStrings(values, scale, spacing)
        return [_short(value) for value in values]


class HistogramPlot(Plot):
    """One histogram, a curve for each channel."""

    def __init__(self, frame: Frame) -> None:
        super().__init__(f"histogram.{frame}", _HEIGHT, left=_SitesAxis("left"))
        self.frame = frame
        self.curves = [self.plot(stepMode="center", pen=pg.mkPen(c, width=1)) for c in COLOURS]
        self._marks: list[pg.InfiniteLine] = []
        self._all = ((0.0, 1.0), (0.0, 1.0))
        self._zoomed = False
        #: Those that show the same range, this one among them.
        self.linked = [self]
        self.getViewBox().sigRangeChangedManually.connect(self._on_zoomed)

    def show_histogram(self, histogram: Histogram, axis: str, log: bool) -> None:
        """Draw the counts."""
        self.setTitle(f"{TITLES[self.frame]}: {_KEY}", color=TEXT, size="10pt")
        self.setLabel("bottom", axis, color=TEXT)
        self.setLabel("left", "sites", color=TEXT)
        self.getAxis("left").setLogMode(log)
        for curve, counts in zip(self.curves, histogram.counts, strict=True):
            curve.setData(histogram.edges, _heights(counts, log))

    def mark(self, marks: list[tuple[float, str, str | None]]) -> None:
        """Draw lines across: where, what it says, and in which colour if not that of text."""
        for mark in self._marks:
            self.removeItem(mark)
        self._marks = []
        for place, text, colour in marks:
            pen = pg.mkPen(
                colour or TEXT,
                width=1,
                style=Qt.PenStyle.DotLine if colour else Qt.PenStyle.DashLine,
            )
            # White stands at the right end, where its name has room on the left only.
            side = 1 if text.startswith("white") else 0
            options = {"position": 0.93, "color": TEXT, "anchors": [(side, 0.5)] * 2}
            self._marks.append(pg.InfiniteLine(place, pen=pen, label=text, labelOpts=options))
            self.addItem(self._marks[-1])

    def set_range(self, across: tuple[float, float], up: tuple[float, float]) -> None:
        """Say what there is to see, and show that unless the user has zoomed."""
        self._all = (across, up)
        if not self._zoomed:
            self.setRange(xRange=across, yRange=up, padding=0.02)

    def see_all(self) -> None:
        """Undo the user's zoom."""
        for plot in self.linked:
            plot._zoomed = False
            plot.set_range(*plot._all)

    def mouseDoubleClickEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        """See all of it again."""
        self.see_all()

    def _on_zoomed(self, _: Any = None) -> None:
        for plot in self.linked:
            plot._zoomed = True


class HistogramPlots(QWidget):
    """The histograms of a survey, with shared axes, and how the two RAW files differ."""

    def __init__(self) -> None:
        super().__init__()
        named(self, "histogram.plots")
        self.plots = {frame: HistogramPlot(frame) for frame in Frame}
        self._layout = QBoxLayout(QBoxLayout.Direction.TopToBottom, self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        for plot in self.plots.values():
            self._layout.addWidget(plot)
        recovered, original = self.plots[Frame.RECOVERED], self.plots[Frame.ORIGINAL]
        recovered.linked = original.linked = [original, recovered]
        recovered.setXLink(original)
        recovered.setYLink(original)

    def see_all(self) -> None:
        """Undo the user's zoom."""
        for plot in self.plots.values():
            plot.see_all()

    def show_survey(self, survey: Survey, settings: HistogramSettings) -> None:
        """Draw what was counted."""
        log = settings.counts == "log"
        drawn = {
            frame: _difference(counts, log)
            if frame is Frame.DIFFERENCE
            else _histogram(counts, survey, settings)
            for frame, counts in survey.counts.items()
        }
        shared = [h for frame, h in drawn.items() if frame is not Frame.DIFFERENCE]
        for frame, plot in self.plots.items():
            plot.setVisible(frame in drawn)
            if frame not in drawn:
                continue
            alone = frame is Frame.DIFFERENCE
            together = [drawn[frame]] if alone else shared
            plot.show_histogram(drawn[frame], "DN" if alone else settings.axis, log)
            plot.mark([] if alone else _marks(survey.levels, settings.axis))
            plot.set_range(*_extent(together, log))

    def resizeEvent(self, event: QResizeEvent | None) -> None:  # noqa: N802
        """Put the plots beside each other where there is room."""
        across = self.width() >= _ROOM
        directions = QBoxLayout.Direction
        self._layout.setDirection(directions.LeftToRight if across else directions.TopToBottom)
        super().resizeEvent(event)


def _histogram(counts: Counts, survey: Survey, settings: HistogramSettings) -> Histogram:
    levels = survey.levels
    if settings.axis == AXES[0]:
        return ev_histogram(counts, levels, settings.bins_per_stop)
    # The same bins for original and recovered.
    ends = [math.floor(min(levels.black)), math.ceil(levels.white)]
    for frame, each in survey.counts.items():
        if frame is not Frame.DIFFERENCE:
            ends += each.span or ()
    return linear_histogram(counts, settings.bin_width, (min(ends), max(ends)))


def _difference(counts: Counts, log: bool) -> Histogram:
    limit = max(1, counts.reach(1 if log else _IN_SIGHT))
    return linear_histogram(counts.within(limit), span=(-limit, limit))


def _extent(
    histograms: list[Histogram], log: bool
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the ranges of the axes that hold all of some histograms."""
    edges = np.concatenate([h.edges for h in histograms])
    most = max(1, *(int(h.counts.max(initial=0)) for h in histograms))
    up = (_NONE, math.log10(most) + 0.3) if log else (0.0, 1.1 * most)
    return (float(edges.min()), float(edges.max())), up


def _marks(levels: Levels, axis: str) -> list[tuple[float, str, str | None]]:
    def place(channel: int, value: float) -> float:
        if axis != AXES[0]:
            return value
        black = levels.black[channel]
        return math.log2((value - black) / (levels.white - black))

    marks: list[tuple[float, str, str | None]] = [
        (place(0, levels.white), f"white {levels.white:g}", None)
    ]
    if axis != AXES[0]:
        blacks = sorted(set(levels.black))
        name = "–".join(f"{b:g}" for b in sorted({blacks[0], blacks[-1]}))
        marks += [(b, f"black {name}" if b is blacks[-1] else "", None) for b in blacks]
    marks += [
        (place(i, end), "", COLOURS[i])
        for i, end in enumerate(levels.saturation)
        if end != levels.white
    ]
    return marks


def _short(value: float) -> str:
    for factor, letter in ((10**6, "M"), (10**3, "k")):
        if abs(value) >= factor:
            return f"{value / factor:g} {letter}"
    return f"{value:g}"


def _heights(counts: NDArray[np.int64], log: bool) -> NDArray[np.float64]:
    """Return how high bins are drawn; those without sites lie below the axis if it is log."""
    heights = counts.astype(np.float64)
    if log:
        heights = np.log10(np.maximum(heights, 10**_NONE))
    return heights
