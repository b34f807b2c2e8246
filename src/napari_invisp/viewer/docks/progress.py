"""A line and a bar that say how far a run is."""

from __future__ import annotations

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QProgressBar, QVBoxLayout, QWidget

from napari_invisp.viewer.controls import named
from napari_invisp.viewer.docks.base import label

# Least time between two reports: each redraws the window.
_SAYING_MS = 200


class ProgressLine(QWidget):
    """Says what is being done and how far that is, but not more often than people read.

    Attributes
    ----------
    stage, bar
        The line and the bar.

    Parameters
    ----------
    name
        What object names of its parts begin with.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        named(self, f"{name}.progress")
        self.stage = label(f"{name}.stage", "Ready")
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        named(self.bar, f"{name}.bar")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.stage)
        layout.addWidget(self.bar)
        self._latest: tuple[str, int, int] | None = None
        self._saying = QTimer(self)
        self._saying.setObjectName(f"napari-invisp.{name}.saying")
        self._saying.setSingleShot(True)
        self._saying.setInterval(_SAYING_MS)
        self._saying.timeout.connect(self._say_latest)

    def progress(self, stage: str, done: int, total: int) -> None:
        """Take a report of progress; it is said a moment later."""
        self._latest = stage, done, total
        if not self._saying.isActive():
            self._saying.start()

    def say(self, text: str, done: int = 0, total: int = 1) -> None:
        """Say something at once, instead of what was reported before."""
        self._saying.stop()
        self._latest = None
        self._show(text, done, total)

    def _say_latest(self) -> None:
        if self._latest is not None:
            stage, done, total = self._latest
            share = f": {100 * done // total} %" if total > 1 else ""
            self._show(f"{stage.capitalize()}{share}", done, max(total, 1))

    def _show(self, text: str, done: int, total: int) -> None:
        self.stage.setText(text)
        if total != self.bar.maximum():
            self.bar.setRange(0, total)
        self.bar.setValue(done)
