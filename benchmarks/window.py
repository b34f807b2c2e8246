"""A real napari window, and how long it lets one wait."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "xcb")
# napari's own settings are neither read nor written.
os.environ["NAPARI_CONFIG"] = ""

import napari
from qtpy.QtCore import QEventLoop, QTimer

# Leaves about a megapixel for the canvas.
SIZE = (1780, 1120)
LIMIT_S = 120
# The longest wait is told to so many milliseconds.
PULSE_MS = 5


class Pulse:
    """A timer in the event loop that tells how long it was kept from ticking."""

    def __init__(self) -> None:
        self.worst = 0.0
        self._last = 0.0
        self._timer = QTimer()
        self._timer.setInterval(PULSE_MS)
        self._timer.timeout.connect(self._tick)

    def __enter__(self) -> Pulse:
        self.worst, self._last = 0.0, time.perf_counter()
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._tick()
        self._timer.stop()

    def _tick(self) -> None:
        now = time.perf_counter()
        self.worst, self._last = max(self.worst, now - self._last), now


class Window:
    """A window that shows one file."""

    def __init__(self, path: Path) -> None:
        self.viewer = napari.Viewer(title="napari-invisp", show_welcome_screen=False)
        self.viewer.window.resize(*SIZE)
        self.viewer.open(path, plugin="napari-invisp")
        self.canvas = self.viewer.window._qt_viewer.canvas.native

    def until(self, *signals: Any, holds: Callable[[], bool] = lambda: True) -> None:
        """Let the window work until a signal comes and a condition holds, for a while at most."""
        loop = QEventLoop()
        slots = []
        for signal in signals:
            slots.append(lambda *_: loop.quit() if holds() else None)
            signal.connect(slots[-1])
        QTimer.singleShot(int(1000 * LIMIT_S), loop.quit)
        loop.exec()
        for signal, slot in zip(signals, slots, strict=True):
            signal.disconnect(slot)
        if not holds():
            raise TimeoutError("the window did not get there in time")

    def rest(self, seconds: float = 0.5) -> None:
        """Let the window finish what it has to draw."""
        loop = QEventLoop()
        QTimer.singleShot(int(1000 * seconds), loop.quit)
        loop.exec()

    def drawn(self) -> None:
        """Wait for the canvas to be drawn."""
        self.until(self.canvas.frameSwapped)


def tell(rows: Iterable[dict[str, Any]], output: Path | None) -> None:
    """Print rows as they are measured, and write all of them to a JSON file if there is one."""
    kept = []
    for row in rows:
        kept.append(row)
        for name, value in row.items():
            print(f"{name:22} {f'{value:.3f}' if isinstance(value, float) else value}", flush=True)
    result = {"cores": os.cpu_count(), "python": platform.python_version(), "rows": kept}
    if output is not None:
        output.write_text(json.dumps(result, indent=1) + "\n")
