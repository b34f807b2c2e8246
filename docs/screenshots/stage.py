"""A real window with the bundled sample, driven as a user would, and pictures of it."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

os.environ.setdefault("QT_QPA_PLATFORM", "xcb")
# napari's own settings are neither read nor written.
os.environ["NAPARI_CONFIG"] = ""

import napari
import numpy as np
from napari.layers import Layer
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from qtpy.QtCore import QPoint, QSize, Qt
from qtpy.QtGui import QImage, QPainter
from qtpy.QtPdf import QPdfDocument
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QWidget

from napari_invisp.files import write_bytes_atomic
from napari_invisp.samples import sample_path
from napari_invisp.viewer.docks.base import Dock
from napari_invisp.viewer.docks.opening import dock
from napari_invisp.viewer.docks.render import RenderDock

Picture = NDArray[np.uint8]
_D = TypeVar("_D", bound=Dock)

SIZE = (1500, 950)
LIMIT_S = 300
LARGEST_BYTES = 250_000
_ARROW = ((0, 0), (0, 17), (4, 13), (7, 20), (10, 19), (7, 12), (12, 12))
# Of JPEG files: the best that makes them small enough is taken.
QUALITIES = range(90, 40, -4)


class Stage:
    """A window that shows the sample.

    Parameters
    ----------
    empty
        Whether to leave the sample out.
    """

    def __init__(self, empty: bool = False) -> None:
        self.viewer = napari.Viewer(title="napari-invisp", show_welcome_screen=False)
        self.viewer.window.resize(*SIZE)
        if not empty:
            self.viewer.open(sample_path(), plugin="napari-invisp")
        self.settle()

    def __enter__(self) -> Stage:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.viewer.close()
        self.settle()

    def dock(self, kind: type[_D]) -> _D:
        """Open a dock, and put it in front of others."""
        widget: _D = dock(self.viewer, kind)
        self.settle()
        return widget

    def rendered(self, quality: int = 90, **settings: Any) -> RenderDock:
        """Render the sample and wait until it is recovered."""
        widget = self.dock(RenderDock)
        for name, value in {"quality": quality, **settings}.items():
            widget.controls[name].value = value
        widget.render_button.click()
        self.idle(widget)
        return widget

    def idle(self, widget: RenderDock) -> None:
        """Wait until the whole frame is of one setting."""

        def busy() -> bool:
            runs, raw = widget.runs, widget.raw_layer
            return widget.running or runs.busy or (raw is not None and runs.partial(raw))

        self.until(lambda: not busy())
        self.settle()

    def layer(self, name: str) -> Layer:
        """Return a layer of the sample by the rest of its name."""
        return self.viewer.layers[f"dog {name}".strip()]

    def look_at(self, row: float, column: float, zoom: float) -> None:
        """Show a place of the frame, with so many screen pixels to a pixel."""
        self.viewer.scene.camera.center = (0, row, column)
        self.viewer.scene.camera.zoom = zoom
        self.settle()

    def point_at(self, row: float, column: float) -> tuple[int, int]:
        """Move the mouse to a place of the frame; return where that is in the window."""
        camera, canvas = self.viewer.scene.camera, self.viewer.window._qt_viewer.canvas.native
        offset = (np.asarray((column, row)) - camera.center[:-3:-1]) * camera.zoom
        at = QPoint(*(np.asarray((canvas.width(), canvas.height())) / 2 + offset).astype(int))
        for step in (QPoint(2, 2), QPoint(0, 0)):
            QTest.mouseMove(canvas, at + step)
            self.settle()
        inside = canvas.mapTo(self.viewer.window._qt_window, at)
        return inside.x(), inside.y()

    def until(self, condition: Callable[[], bool]) -> None:
        """Let the window work until a condition holds."""
        deadline = time.monotonic() + LIMIT_S
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError("the window did not get there in time")
            QApplication.processEvents()
            time.sleep(0.01)

    def settle(self, seconds: float = 0.6) -> None:
        """Let pending draws, deferred events and figures happen."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            QApplication.processEvents()
            time.sleep(0.01)

    def shot(self) -> Picture:
        """Take a picture of the window."""
        picture: Picture = self.viewer.screenshot(canvas_only=False, flash=False)
        return picture[..., :3]

    def over(self, picture: Picture, *others: QWidget) -> Picture:
        """Put windows of their own, menus for example, over a picture of the window."""
        image, window = Image.fromarray(picture), self.viewer.window._qt_window
        for other in others:
            at = other.mapToGlobal(QPoint(0, 0)) - window.mapToGlobal(QPoint(0, 0))
            image.paste(Image.fromarray(of_image(other.grab().toImage())), (at.x(), at.y()))
        return np.asarray(image)


def with_pointer(picture: Picture, at: tuple[int, int]) -> Picture:
    """Draw the mouse pointer, which pictures of a window leave out."""
    image = Image.fromarray(picture)
    arrow = [(at[0] + x, at[1] + y) for x, y in _ARROW]
    ImageDraw.Draw(image).polygon(arrow, fill="white", outline="black")
    return np.asarray(image)


def of_image(image: QImage) -> Picture:
    """Return Qt's image as an array."""
    image = image.convertToFormat(QImage.Format.Format_RGB888)
    bits = image.constBits()
    bits.setsize(image.sizeInBytes())
    lines = np.frombuffer(bits, np.uint8).reshape(image.height(), image.bytesPerLine())
    return lines[:, : 3 * image.width()].reshape(image.height(), image.width(), 3).copy()


def of_pdf(path: Path) -> Picture:
    """Return the first page of a PDF file."""
    document = QPdfDocument(None)
    document.load(str(path))
    size = document.pagePointSize(0)
    page = document.render(0, QSize(1000, round(1000 * size.height() / size.width())))
    paper = QImage(page.size(), QImage.Format.Format_RGB32)
    paper.fill(Qt.GlobalColor.white)
    painter = QPainter(paper)
    painter.drawImage(0, 0, page)
    painter.end()
    return of_image(paper)


def save(picture: Picture, path: Path) -> int:
    """Write a picture as its suffix says, as small as the repository wants it; return its bytes."""
    image = Image.fromarray(picture)
    if path.suffix == ".png":
        tries: list[dict[str, Any]] = [{"optimize": True}]
    else:
        tries = [{"quality": q, "subsampling": "4:2:0", "optimize": True} for q in QUALITIES]
    for options in tries:
        stream = io.BytesIO()
        image.save(stream, "png" if path.suffix == ".png" else "jpeg", **options)
        if len(stream.getvalue()) <= LARGEST_BYTES:
            break
    write_bytes_atomic(path, stream.getvalue())
    return len(stream.getvalue())
