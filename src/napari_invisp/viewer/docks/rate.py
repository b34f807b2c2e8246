"""The dock of rate-distortion curves: what each quality costs in bits, and keeps."""

from __future__ import annotations

from typing import Any

import napari.viewer
import pyqtgraph as pg
from napari.layers import Layer
from qtpy.compat import isalive
from qtpy.QtCore import Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QHBoxLayout, QHeaderView, QTableWidget, QTableWidgetItem

from napari_invisp.inspection.rate import SWEEP, RateCurves, RatePoint
from napari_invisp.pipeline import Rendering
from napari_invisp.viewer.controls import named
from napari_invisp.viewer.docks.base import Dock, button, label
from napari_invisp.viewer.docks.opening import dock
from napari_invisp.viewer.docks.plots import COLOURS, TEXT, Plot
from napari_invisp.viewer.docks.render import RenderDock
from napari_invisp.viewer.layers import FIGURES, RENDERING
from napari_invisp.viewer.work.bench import line_of

_HEIGHT = 200
_PANELS = {
    "raw_psnr": ("RAW PSNR (dB)", "recovered against original RAW"),
    "rgb_psnr": ("RGB PSNR after JPEG (dB)", "decoded JPEG against LibRaw's after the same JPEG"),
}
_COLUMNS = ("quality", "bpp", "RAW PSNR", "RGB PSNR", "curve")
_CURVE = _COLUMNS.index("curve")


class RateDock(Dock):
    """Plots RAW PSNR and RGB PSNR of every JPEG of the picked RAW against its bits a pixel.

    Qualities come in as they are visited; **Sweep** measures the standard ones.

    Parameters
    ----------
    napari_viewer
        Whose layers it works on.
    render
        The dock that renders; by default that of the viewer's window, which is opened if need be.
    """

    menu_title = "Rate and distortion"
    tab_title = "Rate"

    def __init__(
        self, napari_viewer: napari.viewer.Viewer, render: RenderDock | None = None
    ) -> None:
        super().__init__(napari_viewer, "rate")
        if render is None:
            render = dock(self._viewer)
        self._render = render
        self.plots = {name: self._plot(name, title) for name, (title, _) in _PANELS.items()}
        self.sweep_button = button(
            "rate.sweep",
            "Sweep",
            self._sweep,
            "measure the rendering at the standard qualities that were not visited yet: "
            + ", ".join(map(str, SWEEP)),
        )
        self.clear_button = button("rate.clear", "Clear", self._clear, "forget all points")
        self.note = label("rate.note", "")
        self.note.setWordWrap(True)
        self.table = QTableWidget(0, len(_COLUMNS))
        named(self.table, "rate.table", "every JPEG that was measured; PSNR in dB")
        self.table.setHorizontalHeaderLabels(_COLUMNS)
        self.table.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        self.table.setWordWrap(False)
        across, down = self.table.horizontalHeader(), self.table.verticalHeader()
        if across is not None and down is not None:
            across.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
            across.setSectionResizeMode(_CURVE, QHeaderView.ResizeMode.Stretch)
            down.hide()
        buttons = QHBoxLayout()
        buttons.setObjectName("napari-invisp.rate.buttons")
        buttons.addWidget(self.sweep_button)
        buttons.addWidget(self.clear_button)
        for plot in self.plots.values():
            self.contents.addWidget(plot)
        self.contents.addLayout(buttons)
        self.contents.addWidget(self.note)
        self.contents.addWidget(self.table, 1)
        runs = render.runs
        runs.measured.connect(self.refresh)
        runs.began.connect(self.refresh)
        runs.ended.connect(self.refresh)
        render.controls.changed.connect(self.refresh)
        render.picker.changed.connect(self.refresh)
        self.listen(self._viewer.layers.events.removed, self.refresh)
        self.refresh()

    @staticmethod
    def _plot(name: str, title: str) -> Plot:
        plot = Plot(f"rate.{name}", _HEIGHT)
        plot.title(title, "bits a pixel")
        plot.setToolTip(f"{_PANELS[name][1]}; the ring marks the present JPEG")
        return plot

    @property
    def _raw(self) -> Layer | None:
        return self._render.raw_layer if isalive(self._render) else None

    def _curves(self) -> RateCurves:
        return self._render.runs.curves(self._raw) if self._raw is not None else RateCurves()

    def _present(self) -> RatePoint | None:
        """Return the point of the JPEG that the layers show."""
        if self._raw is None:
            return None
        figures = self._render.runs.fact(self._raw, FIGURES)
        point: RatePoint | None = figures.point() if figures is not None else None
        return point

    def refresh(self, _: Any = None) -> None:
        """Draw the points of the picked RAW anew."""
        curves, present = self._curves(), self._present()
        for name, plot in self.plots.items():
            plot.clear()
            for n, (line, points) in enumerate(curves):
                places = [(point.bpp, getattr(point, name)) for point in points]
                plot.curve(places, COLOURS[n % len(COLOURS)], str(line))
            if present is not None:
                ring = pg.mkPen(TEXT, width=2)
                plot.plot(
                    [present.bpp],
                    [getattr(present, name)],
                    pen=None,
                    symbol="o",
                    symbolSize=14,
                    symbolBrush=None,
                    symbolPen=ring,
                )
        self._fill(curves, present)
        self._refresh_buttons(curves)

    def _fill(self, curves: RateCurves, present: RatePoint | None) -> None:
        rows = [
            (line, COLOURS[n % len(COLOURS)], point)
            for n, (line, points) in enumerate(curves)
            for point in points
        ]
        self.table.setRowCount(len(rows))
        for row, (line, colour, point) in enumerate(rows):
            texts = (
                f"{point.quality}",
                f"{point.bpp:.2f}",
                f"{point.raw_psnr:.2f}",
                f"{point.rgb_psnr:.2f}",
                str(line),
            )
            for column, text in enumerate(texts):
                item = QTableWidgetItem(text)
                if column == _CURVE:  # told by its colour where its name has no room
                    item.setForeground(QColor(colour))
                    item.setToolTip(text)
                else:
                    item.setTextAlignment(
                        Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
                    )
                font = item.font()
                font.setBold(point == present)
                item.setFont(font)
                self.table.setItem(row, column, item)

    def _refresh_buttons(self, curves: RateCurves) -> None:
        rendering: Rendering | None = None
        missing: list[int] = []
        if self._raw is not None:
            rendering = self._render.runs.fact(self._raw, RENDERING)
        if rendering is not None:
            subsampling = self._render.controls.settings().subsampling
            missing = curves.missing(line_of(rendering, subsampling))
        idle = not self._render.running
        self.sweep_button.setEnabled(bool(missing) and idle)
        self.clear_button.setEnabled(any(True for _ in curves) and idle)
        if rendering is None:
            self.note.setText("Render a RAW to see what each quality costs and keeps.")
        elif not idle:
            self.note.setText("Points come in as they are measured.")
        elif missing:
            qualities = ", ".join(map(str, missing))
            self.note.setText(f"Not measured yet: quality {qualities}.")
        else:
            self.note.setText("All standard qualities are measured.")

    def _sweep(self) -> None:
        self._render.sweep()

    def _clear(self) -> None:
        self._curves().clear()
        self.refresh()
