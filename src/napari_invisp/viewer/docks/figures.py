"""The panel that says what a JPEG costs and what it keeps."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFormLayout, QGroupBox

from napari_invisp.inspection.figures import Figures
from napari_invisp.inspection.wording import decibels
from napari_invisp.viewer.controls import named
from napari_invisp.viewer.docks.base import label

_FIGURES = {
    "jpeg_bytes": ("JPEG file", "its size, with all that is needed to recover the RAW"),
    "bpp": ("Bits per pixel", "bits of the JPEG file for each pixel"),
    "compression_ratio": ("Compression", "how many times larger the packed RAW samples are"),
    "raw_psnr": ("RAW PSNR", "recovered against original RAW, white-balanced, bilinear, gamma 2.2"),
    "raw_psnr_linear": ("RAW PSNR, linear", "the same on the plain mosaic, black 0, white 1"),
    "raw_error": ("RAW error", "between recovered and original sensor counts"),
    "rgb_psnr": ("RGB PSNR", "rendered sRGB, before JPEG, against LibRaw's rendering"),
    "rgb_psnr_jpeg": ("RGB PSNR after JPEG", "the same after both went through the same JPEG"),
}
_NOTHING = "–"


class FiguresPanel(QGroupBox):
    """The figures of one JPEG, each with its name; dashes where there are none."""

    def __init__(self) -> None:
        super().__init__("Result")
        named(self, "group.Result")
        self.labels = {
            name: label(name, _NOTHING, help_text) for name, (_, help_text) in _FIGURES.items()
        }
        table = QFormLayout(self)
        for name, (title, _) in _FIGURES.items():
            self.labels[name].setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            table.addRow(title, self.labels[name])

    def show_figures(self, figures: Figures | None) -> None:
        """Show these figures, or none."""
        texts = dict.fromkeys(_FIGURES, _NOTHING)
        title = "Result"
        if figures is not None:
            texts["jpeg_bytes"] = f"{figures.jpeg_bytes:,} bytes"
            texts["bpp"] = f"{figures.bpp:.2f}"
            texts["compression_ratio"] = f"{figures.compression_ratio:.1f} : 1"
            if figures.raw is not None:
                raw = figures.raw
                texts["raw_psnr"] = decibels(raw.raw_psnr)
                texts["raw_psnr_linear"] = decibels(raw.raw_psnr_linear)
                texts["raw_error"] = f"{raw.mean_abs_error:.2f} DN mean, {raw.max_abs_error} most"
            if figures.rgb_psnr is not None:
                texts["rgb_psnr"] = decibels(figures.rgb_psnr)
            if figures.rgb_psnr_jpeg is not None:
                texts["rgb_psnr_jpeg"] = decibels(figures.rgb_psnr_jpeg)
            what = "Result" if figures.part is None else "In view"
            title = f"{what} at quality {figures.quality or '?'}, {figures.subsampling or '?'}"
        for name, text in texts.items():
            self.labels[name].setText(text)
        self.setTitle(title)
