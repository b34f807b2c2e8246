"""What all plots of the docks look like."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyqtgraph as pg
from qtpy.QtCore import QSize
from qtpy.QtWidgets import QSizePolicy

from napari_invisp.viewer.controls import named

# Colours are told apart best on dark ground, whatever the theme of the window.
BACKGROUND, TEXT = "#1b1d23", "#e4e4e4"
#: Of curves: Okabe and Ito's, those that are bright enough for dark ground.
COLOURS = ("#56B4E9", "#E69F00", "#2ec99a", "#CC79A7", "#F0E442", "#D55E00")
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

    def title(self, left: str, bottom: str) -> None:
        """Name the axes, and make room for a legend."""
        self.setLabel("left", left, color=TEXT)
        self.setLabel("bottom", bottom, color=TEXT)
        self.addLegend(offset=(-8, -8), labelTextColor=TEXT, brush=f"{BACKGROUND}c0")

    def curve(self, places: Sequence[tuple[float, float]], colour: str, name: str) -> None:
        """Draw a line through points, across and up, each of which is marked."""
        self.plot(
            *zip(*places, strict=True),
            pen=pg.mkPen(colour, width=1.5),
            symbol="o",
            symbolSize=6,
            symbolBrush=colour,
            symbolPen=None,
            name=name,
        )

    def sizeHint(self) -> QSize:  # noqa: N802
        """Leave room for other parts of the dock."""
        return QSize(super().sizeHint().width(), self._height)
