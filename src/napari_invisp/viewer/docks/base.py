"""What all docks have in common."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import napari.viewer
from napari.utils.notifications import notification_manager, show_error
from qtpy.QtCore import QEvent, Qt
from qtpy.QtWidgets import QLabel, QPushButton, QScrollArea, QVBoxLayout, QWidget

from napari_invisp.errors import InvispError
from napari_invisp.viewer.controls import OBJECT_NAME, named

# Least width of a dock in pixels, so that its title can be read.
_WIDTH = 350


class Dock(QWidget):
    """A widget that works on a viewer's layers, and lets go of them when it is closed.

    Attributes
    ----------
    contents
        Where derived classes put their widgets; it scrolls where the screen is too small.

    Parameters
    ----------
    napari_viewer
        A :class:`napari.components.ViewerModel` will do, unless a dock says otherwise.
    name
        What object names of the dock's own parts begin with.
    """

    def __init__(self, napari_viewer: napari.viewer.Viewer, name: str) -> None:
        super().__init__()
        named(self, name)
        # Commands are given a proxy, whose layers are not the viewer's own.
        self._viewer = getattr(napari_viewer, "__wrapped__", napari_viewer)
        self._heard: list[tuple[Any, Callable[..., None]]] = []
        self._docked = False
        content = QWidget()
        named(content, f"{name}.contents")
        self.contents = QVBoxLayout(content)
        self.contents.setObjectName(f"{OBJECT_NAME}.{name}.layout")
        scroll = QScrollArea()
        named(scroll, f"{name}.scroll")
        scroll.setWidgetResizable(True)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setFrameShape(QScrollArea.Shape.NoFrame)
        scroll.setWidget(content)
        scroll.setMinimumWidth(_WIDTH)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(scroll)
        # Must not keep this widget alive.
        detach = weakref.WeakMethod(self.detach)
        self.destroyed.connect(lambda: (method := detach()) is not None and method())

    def listen(self, event: Any, slot: Callable[..., None]) -> None:
        """Connect one of napari's events for as long as the dock is open."""
        event.connect(slot)
        self._heard.append((event, slot))

    def detach(self) -> None:
        """Let go of the viewer and stop what runs; the Qt side of this widget may be gone."""
        for event, slot in self._heard:
            event.disconnect(slot)
        self._heard.clear()

    def event(self, event: QEvent | None) -> bool:
        """Let go for good when the dock is closed, which takes the widget out of the window."""
        if event is not None and event.type() == QEvent.Type.ParentChange:
            if self.parent() is not None:
                self._docked = True
            elif self._docked:
                self.detach()
                self.deleteLater()
        handled: bool = super().event(event)
        return handled


def report_failure(error: Exception) -> None:
    """Tell the user why work came to nothing; a defect goes to napari's own handler."""
    if isinstance(error, InvispError):
        show_error(str(error))
    else:
        notification_manager.receive_error(type(error), error, error.__traceback__)


def button(name: str, text: str, slot: Callable[[], None], help_text: str) -> QPushButton:
    """Make a button with an object name and a tooltip."""
    made = QPushButton(text)
    named(made, name, help_text)
    made.clicked.connect(lambda checked: slot())
    return made


def label(name: str, text: str, help_text: str = "") -> QLabel:
    """Make a label with an object name and a tooltip."""
    made = QLabel(text)
    named(made, name, help_text)
    return made
