"""A table that says how far results are from that of the original RAW."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QGridLayout, QWidget

from napari_invisp.applications.comparing import PLAIN, RECOVERED, Differences
from napari_invisp.inspection.maps import limits_of
from napari_invisp.inspection.wording import decibels
from napari_invisp.viewer.controls import named
from napari_invisp.viewer.docks.base import label
from napari_invisp.viewer.work.comparing import DIFFERENCE_MAP

_FIGURES = {
    "psnr": ("PSNR", "over all channels, peak 255"),
    "ssim": ("SSIM", "structural similarity, 1 where alike"),
    "delta_e": ("ΔE2000", "mean colour difference, at every fourth pixel of every fourth row"),
}


class SourceFigures(QWidget):
    """Says how far the results of recovered RAW and plain JPEG are from the original's.

    Attributes
    ----------
    figures
        The labels by source and name of the figure.

    Parameters
    ----------
    name
        What object names of its parts begin with.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        named(self, f"{name}.comparison")
        table = QGridLayout(self)
        table.setContentsMargins(0, 0, 0, 0)
        against = "how far the results are from that of the original RAW"
        table.addWidget(label(f"{name}.comparison.heading", "Against original", against), 0, 0)
        self.figures = {}
        for column, (figure, (title, help_text)) in enumerate(_FIGURES.items(), start=1):
            heading = label(f"{name}.comparison.heading.{figure}", title, help_text)
            table.addWidget(heading, 0, column)
            for row, source in enumerate((RECOVERED, PLAIN), start=1):
                made = label(f"{name}.comparison.{figure}.{row}", "", help_text)
                made.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
                table.addWidget(made, row, column)
                self.figures[source, figure] = made
        for row, source in enumerate((RECOVERED, PLAIN), start=1):
            title = source[0].upper() + source[1:]
            table.addWidget(label(f"{name}.comparison.title.{row}", title), row, 0)
        low, high = limits_of(DIFFERENCE_MAP, np.zeros((1, 1, 3), np.uint8))
        scale = f"Error maps: {DIFFERENCE_MAP.metric}, colours from {low:g} to {high:g}"
        self.scale = label(f"{name}.comparison.scale", scale)
        table.addWidget(self.scale, 3, 0, 1, 1 + len(_FIGURES))
        self.hide()

    def show_figures(self, figures: Mapping[str, Differences] | None) -> None:
        """Show figures by source; hide the table if there are none."""
        for source, each in (figures or {}).items():
            self.figures[source, "psnr"].setText(decibels(each.psnr))
            self.figures[source, "ssim"].setText(f"{each.ssim:.4f}")
            self.figures[source, "delta_e"].setText(f"{each.delta_e:.2f}")
        self.setVisible(figures is not None)
