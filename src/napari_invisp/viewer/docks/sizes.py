"""What a RAW takes when it is kept in several ways: a plot, and a table."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pyqtgraph as pg
from qtpy.QtCore import Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QHeaderView, QTableWidget, QTableWidgetItem

from napari_invisp.evaluation.compression import (
    CAMERA_FILE,
    CAPSULE_JPEG,
    EXACT,
    LOSSLESS_DNG,
    LOSSLESS_JPEGXL,
    LOSSY_DNG,
    SIDE_INFORMATION,
    CompressionRow,
)
from napari_invisp.viewer.controls import named
from napari_invisp.viewer.docks.plots import COLOURS, TEXT, Plot

# Curves have the clearest colours.
_COLOURS = dict(
    zip(
        (
            CAPSULE_JPEG,
            SIDE_INFORMATION,
            LOSSY_DNG,
            EXACT,
            LOSSLESS_JPEGXL,
            LOSSLESS_DNG,
            CAMERA_FILE,
        ),
        (*COLOURS, TEXT),
        strict=True,
    )
)
_HEIGHT = 240
# Of the span of the curves, what is left free below them, for the legend.
_BELOW = 0.75
# Bits a pixel of which the plot names any power of two.
_POWERS = range(-6, 7)
_COLUMNS = {
    "kind": ("kept as", "in which way, and what was asked for; colours are those of the plot"),
    "bytes": ("bytes", "of the whole file"),
    "bpp": ("bpp", "bits of the file for each pixel"),
    "compression_ratio": ("ratio", "how many times larger the packed RAW samples are"),
    "raw_psnr": (
        "RAW PSNR",
        "dB, recovered against original RAW; exact: every sample was found to come back",
    ),
}
_KIND = list(_COLUMNS).index("kind")


class SizePlot(Plot):
    """RAW PSNR against bits a pixel, each step of which is twice as many.

    A curve for each way that loses something, an upright line for each that loses nothing.
    """

    def __init__(self) -> None:
        super().__init__("archive.plot", _HEIGHT)
        self.title("RAW PSNR (dB)", "bits a pixel of the file")
        self.getAxis("bottom").setTicks([[(power, f"{2.0**power:g}") for power in _POWERS]])
        self.setToolTip(
            "curves: recovered against original RAW; upright lines: every sample comes back, in "
            "the colours of the table"
        )

    def show_rows(self, rows: Sequence[CompressionRow]) -> None:
        """Draw these rows, and no others."""
        self.clear()
        heights = [row.raw_psnr for row in rows if not _is_exact(row)]
        if heights:
            low, high = min(heights), max(heights)
            self.setYRange(low - _BELOW * max(high - low, 1), high)
        for kind, colour in _COLOURS.items():
            own = [row for row in rows if row.kind == kind]
            lossy = sorted((math.log2(r.bpp), r.raw_psnr) for r in own if not _is_exact(r))
            if lossy:
                self.curve(lossy, colour, kind)
            for row in own:
                if _is_exact(row):
                    pen = pg.mkPen(colour, width=1.5, style=Qt.PenStyle.DashLine)
                    self.addItem(pg.InfiniteLine(math.log2(row.bpp), pen=pen))


class SizeTable(QTableWidget):
    """The same as figures, a row a way."""

    def __init__(self) -> None:
        super().__init__(0, len(_COLUMNS))
        named(self, "archive.table", "the ways to keep this RAW that were measured")
        for column, (title, help_text) in enumerate(_COLUMNS.values()):
            head = QTableWidgetItem(title)
            head.setToolTip(help_text)
            self.setHorizontalHeaderItem(column, head)
        self.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        self.setWordWrap(True)
        across, down = self.horizontalHeader(), self.verticalHeader()
        if across is not None and down is not None:
            across.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
            across.setSectionResizeMode(_KIND, QHeaderView.ResizeMode.Stretch)
            down.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
            down.sectionResized.connect(self._fit)
            down.hide()
        # The dock scrolls.
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)

    def show_rows(self, rows: Sequence[CompressionRow]) -> None:
        """Show these rows, and no others."""
        self.setRowCount(len(rows))
        for number, row in enumerate(rows):
            texts = {
                "kind": "\n".join(filter(None, (row.kind, row.setting))),
                "bytes": f"{row.bytes:,}",
                "bpp": f"{row.bpp:.2f}",
                "compression_ratio": f"{row.compression_ratio:.2f}",
                "raw_psnr": "exact" if _is_exact(row) else f"{row.raw_psnr:.2f}",
            }
            for column, name in enumerate(_COLUMNS):
                item = QTableWidgetItem(texts[name])
                if column == _KIND:
                    item.setForeground(QColor(_COLOURS[row.kind]))
                else:
                    item.setTextAlignment(
                        Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
                    )
                self.setItem(number, column, item)
        self._fit()

    def _fit(self, *_: int) -> None:
        """Be as high as all rows."""
        across, down = self.horizontalHeader(), self.verticalHeader()
        if across is not None and down is not None:
            height = across.sizeHint().height() + down.length() + 2 * self.frameWidth()
            self.setFixedHeight(height)


def _is_exact(row: CompressionRow) -> bool:
    return math.isinf(row.raw_psnr)
