"""What all plots of the docks look like."""

from __future__ import annotations

from typing import Any

import pyqtgraph as pg
from qtpy.QtCore import QSize
from qtpy.QtWidgets import QSizePolicy

from napari_invisp.viewer.controls import named

# Colours are told apart best on dark ground, whatever the theme of the window.
BACKGROUND, TEXT = "#1b1d23", "#e4e4e4"
_AXIS_WIDTH = 52


class Plot(pg.PlotWidget):
    """A plot with a grid, no menus and no buttons.

    Parameters
    ----------
    name
        Of the widget.
    height
        In pixels, at least.
    axes
        Axis items of pyqtgraph, by side.
    """

    def __init__(self, name: str, height: int, **axes: Any) -> None:
        super().__init__(background=BACKGROUND, axisItems=axes)
        named(self, name, "scroll or drag to zoom, double-click to see all")
        self._height = height
        self.setMinimumHeight(height)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self.setFrameShape(self.Shape.NoFrame)
        self.hideButtons()
        # Axis names would lose what hangs below the line.
        self.plotItem.layout.setContentsMargins(1, 1, 1, 5)
        self.setMenuEnabled(False)
        self.showGrid(x=True, y=True, alpha=0.15)
        self.getAxis("left").setWidth(_AXIS_WIDTH)
        for side in ("left", "bottom"):
            self.getAxis(side).setPen(TEXT)
            self.getAxis(side).setTextPen(TEXT)
            # A factor in the label would be read as part of the unit.
            self.getAxis(side).enableAutoSIPrefix(False)

    def sizeHint(self) -> QSize:  # noqa: N802
        """Leave room for other parts of the dock."""
        return QSize(super().sizeHint().width(), self._height)
