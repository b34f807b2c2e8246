"""A divider on the canvas: one layer on this side of it, another on that."""

from __future__ import annotations

from typing import Any

import napari.viewer
from napari.layers import Layer
from qtpy.QtCore import QEvent, QObject, QRect, Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QPen, QRegion
from qtpy.QtWidgets import QWidget
from vispy.visuals.filters import Clipper

from napari_invisp.viewer.canvas import canvas_of
from napari_invisp.viewer.controls import named

# Sizes in pixels: how wide a strip around the line can be grabbed, and the grip across it.
_STRIP = 11
_GRIP_LENGTH, _GRIP_WIDTH = 48, 24
# Further than any canvas is wide, in its pixels.
_FAR = 1e6

# x, y, width and height in pixels of the frame buffer, from its bottom left.
_Area = tuple[float, float, float, float]


class Divider(QWidget):
    """A line across the canvas that can be dragged.

    Attributes
    ----------
    moved
        The divider is elsewhere now, or the canvas has another size.

    Parameters
    ----------
    canvas
        What it lies on.
    upright
        Whether it parts left from right, rather than top from bottom.
    """

    moved = Signal()

    def __init__(self, canvas: QWidget, upright: bool) -> None:
        super().__init__(canvas)
        named(self, "divider", "drag to see more of A or of B")
        self._canvas = canvas
        self._upright = upright
        self._share = 0.5
        self.setCursor(Qt.CursorShape.SplitHCursor if upright else Qt.CursorShape.SplitVCursor)
        canvas.installEventFilter(self)
        self._place()
        self.show()

    @property
    def share(self) -> float:
        """How much of the canvas, from its left or top, lies before the divider: 0 to 1."""
        return self._share

    @share.setter
    def share(self, share: float) -> None:
        self._share = min(max(share, 0.0), 1.0)
        self._place()

    def areas(self) -> tuple[_Area, _Area]:
        """Return what lies before and what lies behind the divider."""
        ratio = self._canvas.devicePixelRatioF()
        cut = round(self._share * self._extent() * ratio)
        if self._upright:
            return (cut - _FAR, -_FAR, _FAR, 2 * _FAR), (cut, -_FAR, _FAR, 2 * _FAR)
        cut = round(self._extent() * ratio) - cut
        return (-_FAR, cut, 2 * _FAR, _FAR), (-_FAR, cut - _FAR, 2 * _FAR, _FAR)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        """Follow the canvas when its size changes."""
        if event is not None and event.type() == QEvent.Type.Resize:
            self._place()
        return False

    def mousePressEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        """Keep the press from the canvas, which would pan."""
        if event is not None:
            event.accept()

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        """Follow the mouse."""
        if event is not None:
            at = self.mapToParent(event.position().toPoint())
            self.share = (at.x() if self._upright else at.y()) / max(1, self._extent())

    def paintEvent(self, event: QPaintEvent | None) -> None:  # noqa: N802
        """Draw a line that is seen on dark and bright, and a grip that says which side is whose."""
        line, grip = self._line(2), self._grip()
        painter = QPainter(self)
        painter.fillRect(line.adjusted(-1, -1, 1, 1), QColor("black"))
        painter.fillRect(line, QColor("white"))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor("black"), 1))
        painter.setBrush(QColor("white"))
        painter.drawRoundedRect(grip.adjusted(0, 0, -1, -1), 6, 6)
        a, b = QRect(grip), QRect(grip)
        if self._upright:
            a.setRight(grip.center().x())
            b.setLeft(grip.center().x())
        else:
            a.setBottom(grip.center().y())
            b.setTop(grip.center().y())
        painter.drawText(a, Qt.AlignmentFlag.AlignCenter, "A")
        painter.drawText(b, Qt.AlignmentFlag.AlignCenter, "B")
        painter.end()

    def _extent(self) -> int:
        return self._canvas.width() if self._upright else self._canvas.height()

    def _line(self, thickness: int) -> QRect:
        """Return a strip along the middle of this widget."""
        line = self.rect()
        if self._upright:
            line.setWidth(thickness)
        else:
            line.setHeight(thickness)
        line.moveCenter(self.rect().center())
        return line

    def _grip(self) -> QRect:
        across = (_GRIP_LENGTH, _GRIP_WIDTH)
        grip = QRect(0, 0, *(across if self._upright else across[::-1]))
        grip.moveCenter(self.rect().center())
        return grip

    def _place(self) -> None:
        """Lie where the share says; beside line and grip the mouse reaches the canvas."""
        begin = round(self._share * self._extent()) - _GRIP_LENGTH // 2
        if self._upright:
            self.setGeometry(begin, 0, _GRIP_LENGTH, self._canvas.height())
        else:
            self.setGeometry(0, begin, self._canvas.width(), _GRIP_LENGTH)
        self.setMask(QRegion(self._line(_STRIP)).united(QRegion(self._grip())))
        self.moved.emit()


class Swipe:
    """Shows one layer before a divider on the canvas and another behind it, until closed.

    The graphics card leaves out the other side; no pixels are copied when the divider moves.

    Parameters
    ----------
    viewer
        With a window.
    first, second
        The layers before and behind the divider; the canvas shows nothing else.
    upright
        Whether the divider parts left from right, rather than top from bottom.
    """

    def __init__(
        self, viewer: napari.viewer.Viewer, first: Layer, second: Layer, upright: bool
    ) -> None:
        # napari clips images in 3D only.
        self._nodes = [_node(viewer, layer) for layer in (first, second)]
        self._clippers = [Clipper() for _ in self._nodes]
        self.divider = Divider(canvas_of(viewer).native, upright)
        self._clip()
        for node, clipper in zip(self._nodes, self._clippers, strict=True):
            node.attach(clipper)
        self.divider.moved.connect(self._clip)

    def close(self) -> None:
        """Take the divider away and show both layers whole."""
        for node, clipper in zip(self._nodes, self._clippers, strict=True):
            node.detach(clipper)
            node.update()
        self.divider.hide()
        self.divider.deleteLater()

    def _clip(self) -> None:
        for node, clipper, area in zip(
            self._nodes, self._clippers, self.divider.areas(), strict=True
        ):
            clipper.bounds = area
            node.update()


def _node(viewer: napari.viewer.Viewer, layer: Layer) -> Any:
    return canvas_of(viewer).layer_to_visual[layer].node
