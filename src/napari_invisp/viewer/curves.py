"""A small widget to bend curves of straight segments with the mouse or the keys."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from qtpy.QtCore import QPointF, QRectF, QSize, Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_invisp.viewer.controls import named
from napari_invisp.viewer.docks.plots import BACKGROUND

_HEIGHT = 132
_BORDER = 7
# Of a handle, in pixels.
_RADIUS = 4
# Knots on either side that a moved one takes along.
_REACH = 3
# How far one press of a key moves a knot.
_NUDGE = 0.01
_GRID, _PLAIN = QColor(255, 255, 255, 28), QColor(255, 255, 255, 70)


@dataclass(frozen=True)
class Limits:
    """Of the slopes of a curve."""

    minimum: float
    maximum: float


class CurveEdit(QWidget):
    """Curves from (0, 0) to (1, 1) of segments of equal width; one of them can be bent.

    A curve is given by the slopes of its segments, of which only the ratios count. A knot between
    two segments is dragged up or down and takes its neighbours along; with Shift, it goes alone.
    Arrow keys do the same. Slopes stay within their limits.

    Attributes
    ----------
    changed
        The curve that can be bent has another shape.

    Parameters
    ----------
    name
        Of the widget.
    help_text
        What the curves are for.
    colours
        Of each curve.
    limits
        Of the slopes.
    segments
        Of each curve.
    magnified
        So many times as large as it is, a curve's distance from a straight line is drawn.
    """

    changed = Signal()

    def __init__(
        self,
        name: str,
        help_text: str,
        colours: Sequence[str],
        limits: Limits,
        segments: int,
        magnified: float = 1.0,
    ) -> None:
        super().__init__()
        named(
            self,
            name,
            f"{help_text}; drag a knot, with Shift it goes alone; double-click for a straight line",
        )
        self._colours = [QColor(colour) for colour in colours]
        self._limits, self._magnified = limits, magnified
        self._slopes = [(1.0,) * segments for _ in colours]
        self._knot: int | None = None
        self.active = 0
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setCursor(Qt.CursorShape.PointingHandCursor)

    # -- what others may call ------------------------------------------------------------------

    def slopes(self, curve: int = 0) -> tuple[float, ...]:
        """Return the slopes of a curve."""
        return self._slopes[curve]

    def load(self, curve: int, slopes: Sequence[float]) -> None:
        """Show other slopes, without a signal."""
        self._slopes[curve] = tuple(slopes)
        self.update()

    def choose(self, curve: int) -> None:
        """Let this curve be bent."""
        self.active = curve
        self._knot = None
        self.update()

    def move_knot(self, knot: int, distance: float, alone: bool = False) -> None:
        """Move a knot up, or down, as far as the limits of the slopes let it.

        Parameters
        ----------
        knot
            1 … segments − 1.
        distance
            In parts of the whole height.
        alone
            Whether its neighbours stay where they are.
        """
        slopes = self._slopes[self.active]
        count = len(slopes)
        reach = 1 if alone else _REACH
        weights = [0.0] * (count + 1)
        for other in range(1, count):  # the ends stay
            off = abs(other - knot)
            weights[other] = 0.5 + 0.5 * math.cos(math.pi * off / reach) if off < reach else 0.0
        total = sum(slopes)
        # How the slope of each segment goes with the distance.
        rates = [total * (after - before) for before, after in pairwise(weights)]
        room = abs(distance)
        for slope, rate in zip(slopes, rates, strict=True):
            towards = math.copysign(rate, rate * distance)
            end = self._limits.maximum if towards > 0 else self._limits.minimum
            if rate:
                room = min(room, max(0.0, (end - slope) / towards))
        moved = math.copysign(room, distance)
        low, high = self._limits.minimum, self._limits.maximum
        self._bend(
            tuple(
                min(max(slope + rate * moved, low), high)
                for slope, rate in zip(slopes, rates, strict=True)
            )
        )

    def straighten(self) -> None:
        """Make the curve that can be bent a straight line."""
        self._bend((1.0,) * len(self._slopes[self.active]))

    def heights(self, curve: int) -> list[float]:
        """Return how high a curve is at its ends and knots, from 0 to 1."""
        total, heights = 0.0, [0.0]
        for slope in self._slopes[curve]:
            total += slope
            heights.append(total)
        return [height / total for height in heights]

    # -- parts ---------------------------------------------------------------------------------

    def _bend(self, slopes: tuple[float, ...]) -> None:
        if slopes != self._slopes[self.active]:
            self._slopes[self.active] = slopes
            self.update()
            self.changed.emit()

    def _area(self) -> QRectF:
        return QRectF(self.rect()).adjusted(_BORDER, _BORDER, -_BORDER, -_BORDER)

    def _points(self, curve: int) -> list[QPointF]:
        area, heights = self._area(), self.heights(curve)
        points = []
        for n, height in enumerate(heights):
            across = n / (len(heights) - 1)
            up = across + self._magnified * (height - across)
            points.append(
                QPointF(area.left() + across * area.width(), area.bottom() - up * area.height())
            )
        return points

    # -- Qt ------------------------------------------------------------------------------------

    def sizeHint(self) -> QSize:  # noqa: N802
        """Take the width of the dock."""
        return QSize(200, _HEIGHT)

    def paintEvent(self, event: QPaintEvent | None) -> None:  # noqa: N802
        """Draw the curves, with handles on the one that can be bent."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.fillRect(self.rect(), QColor(BACKGROUND))
        area, count = self._area(), len(self._slopes[0])
        painter.setPen(QPen(_GRID, 1))
        for n in range(count + 1):
            x = area.left() + n / count * area.width()
            painter.drawLine(QPointF(x, area.top()), QPointF(x, area.bottom()))
        for n in range(5):
            y = area.top() + n / 4 * area.height()
            painter.drawLine(QPointF(area.left(), y), QPointF(area.right(), y))
        painter.setPen(QPen(_PLAIN, 1, Qt.PenStyle.DashLine))
        painter.drawLine(area.bottomLeft(), area.topRight())
        painter.setClipRect(self.rect())
        # The one that can be bent last, so that it is on top.
        for curve in sorted(range(len(self._slopes)), key=lambda n: n == self.active):
            chosen = curve == self.active
            colour = QColor(self._colours[curve])
            colour.setAlpha(255 if chosen else 120)
            painter.setPen(QPen(colour, 2 if chosen else 1))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            points = self._points(curve)
            painter.drawPolyline(QPolygonF(points))
            if chosen:
                for n, point in enumerate(points[1:-1], start=1):
                    held = n == self._knot
                    painter.setBrush(colour if held else QColor(BACKGROUND))
                    painter.drawEllipse(point, _RADIUS, _RADIUS)
        if self._magnified != 1:
            painter.setPen(_PLAIN)
            corner = area.adjusted(4, 2, -4, -2)
            align = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignBottom
            painter.drawText(corner, align, f"bend drawn × {self._magnified:g}")
        painter.end()

    def mousePressEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        """Take the knot that is nearest from left to right."""
        if event is not None and event.button() == Qt.MouseButton.LeftButton:
            self._knot = self._nearest(event.position())
            self.update()

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        """Take the knot to where the mouse is."""
        if event is None or self._knot is None:
            return
        now = self._points(self.active)[self._knot].y()
        distance = (now - event.position().y()) / self._area().height() / self._magnified
        alone = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        self.move_knot(self._knot, distance, alone)

    def mouseDoubleClickEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        """Go back to a straight line."""
        self.straighten()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802
        """Choose a knot with left and right, move it with up and down."""
        if event is None:
            return
        last = len(self._slopes[0]) - 1
        step = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}.get(Qt.Key(event.key()))
        away = {Qt.Key.Key_Down: -_NUDGE, Qt.Key.Key_Up: _NUDGE}.get(Qt.Key(event.key()))
        if step is not None:
            self._knot = min(max((self._knot or 0) + step, 1), last)
            self.update()
        elif away is not None and self._knot is not None:
            alone = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
            self.move_knot(self._knot, away / self._magnified, alone)
        else:
            super().keyPressEvent(event)

    def _nearest(self, place: QPointF) -> int:
        points = self._points(self.active)[1:-1]
        return 1 + min(range(len(points)), key=lambda n: abs(points[n].x() - place.x()))
