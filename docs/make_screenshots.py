"""Drive the real window and save the pictures of the documentation.

Run it under an X server, a virtual one will do::

    xvfb-run -a -s "-screen 0 1600x1000x24" python docs/make_screenshots.py

napari's own settings are neither read nor written.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "xcb")
os.environ["NAPARI_CONFIG"] = ""

import napari
from qtpy.QtCore import QCoreApplication
from qtpy.QtWidgets import QApplication

from napari_invisp.samples import sample_path
from napari_invisp.viewer.commands import dock
from napari_invisp.viewer.docks.render import RenderDock
from napari_invisp.viewer.layers import Kind

IMAGES = Path(__file__).parent / "images"
SIZE = (1500, 950)
QUALITY = 90
LIMIT_S = 300


def wait_until(condition: Callable[[], bool]) -> None:
    """Let the window work until a condition holds."""
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("the window did not get there in time")
        QApplication.processEvents()
        time.sleep(0.01)


def settle() -> None:
    """Let pending draws and deferred events happen."""
    for _ in range(20):
        QCoreApplication.processEvents()
        time.sleep(0.02)


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    viewer = napari.Viewer(title="napari-invisp", show_welcome_screen=False)
    viewer.window.resize(*SIZE)
    viewer.open(sample_path(), plugin="napari-invisp")
    widget: RenderDock = dock(viewer)
    widget.controls["quality"].value = QUALITY
    widget.render_raw()
    wait_until(lambda: not widget.running)
    for kind in (Kind.ERROR, Kind.RECOVERED, Kind.DECODED, Kind.RENDERED):
        viewer.layers[f"dog {kind}"].visible = True
    viewer.layers["dog"].visible = False
    for layer in viewer.layers:
        layer.name_overlay.visible = True
    viewer.canvas.grid.enabled = True
    viewer.canvas.grid.stride = -1  # the topmost layer first
    settle()
    viewer.reset_view()
    settle()
    viewer.screenshot(IMAGES / "main-window.png", canvas_only=False, flash=False)
    viewer.close()


if __name__ == "__main__":
    main()
