"""What all docks have in common."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, ClassVar

import napari.viewer
from napari.layers import Layer
from napari.plugins import menu_item_template
from napari.settings import get_settings
from qtpy.compat import isalive
from qtpy.QtCore import QEvent, QSize, Qt, QTimer
from qtpy.QtWidgets import (
    QDockWidget,
    QHBoxLayout,
    QLabel,
    QMainWindow,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_invisp.viewer import shortcuts
from napari_invisp.viewer.canvas import draw_here
from napari_invisp.viewer.controls import OBJECT_NAME, named
from napari_invisp.viewer.layers import KIND, facts_of
from napari_invisp.viewer.layers.provenance import recall_layer
from napari_invisp.viewer.layers.thumbnails import show_thumbnail
from napari_invisp.viewer.proxy import unproxied

#: What napari's menus call the plugin.
PLUGIN_TITLE = "InvISP"

# Widths of a dock in pixels: the least, so that nothing is cut off, and what it asks for.
_WIDTH, _GOOD_WIDTH = 375, 400


class Dock(QWidget):
    """A widget that works on a viewer's layers, and lets go of them when it is closed.

    Docks that share a side of the window lie there as tabs, strips beside them. As long as a
    viewer has a dock, the keys of :mod:`~napari_invisp.viewer.shortcuts` work in it, layers that
    are opened from files that this program wrote know what they are, and hidden ones of its own
    have a thumbnail.

    Attributes
    ----------
    menu_title
        What the Plugins menu calls it; the same as in the manifest.
    tab_title
        What its tab says, if that is to be shorter.
    area
        The side of the window that it is put on until the user puts it elsewhere.
    strip
        Whether it is a line or two that should always be seen.
    contents
        Where derived classes put their widgets; it scrolls where the screen is too small.

    Parameters
    ----------
    napari_viewer
        A :class:`napari.components.ViewerModel` will do, unless a dock says otherwise.
    name
        What object names of the dock's own parts begin with.
    """

    menu_title: ClassVar[str]
    tab_title: ClassVar[str | None] = None
    area: ClassVar[str] = "right"
    strip: ClassVar[bool] = False

    _all: ClassVar[weakref.WeakSet[Dock]] = weakref.WeakSet()

    def __init__(self, napari_viewer: napari.viewer.Viewer, name: str) -> None:
        super().__init__()
        named(self, name)
        self._viewer = unproxied(napari_viewer)
        self._heard: list[tuple[Any, Callable[..., None]]] = []
        self._docked = self._placed = False
        # napari puts docks on the right unless it remembers another side.
        get_settings().application.plugin_widget_positions.setdefault(self.dock_name(), self.area)
        self._all.add(self)
        shortcuts.bind(self._viewer)
        self._viewer.layers.events.inserted.connect(_on_inserted)
        self.listen(self._viewer.layers.events.removing, self._on_removing)
        for layer in self._viewer.layers:
            _thumbnail(layer)
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

    @classmethod
    def dock_name(cls) -> str:
        """Return what napari calls the dock: its title and the plugin's."""
        return menu_item_template.format(PLUGIN_TITLE, cls.menu_title)

    @classmethod
    def all_of(cls, viewer: napari.viewer.Viewer) -> list[Dock]:
        """Return the docks of a viewer that are not closed."""
        return [dock for dock in cls._all if dock._viewer is viewer]

    def listen(self, event: Any, slot: Callable[..., None]) -> None:
        """Connect one of napari's events for as long as the dock is open."""
        event.connect(slot)
        self._heard.append((event, slot))

    def window_shown(self) -> QWidget | None:
        """Return the window that this is part of, as long as there is one."""
        return self.window() if isalive(self) else None

    def detach(self) -> None:
        """Let go of the viewer and stop what runs; the Qt side of this widget may be gone."""
        for event, slot in self._heard:
            event.disconnect(slot)
        self._heard.clear()
        if self in self._all:
            self._all.discard(self)
            if not self.all_of(self._viewer):
                shortcuts.unbind(self._viewer)
                self._viewer.layers.events.inserted.disconnect(_on_inserted)

    def _on_removing(self, event: Any) -> None:
        draw_here(self._viewer)

    def sizeHint(self) -> QSize:  # noqa: N802
        """Leave to the canvas what the dock has no need of."""
        return QSize(_GOOD_WIDTH, super().sizeHint().height())

    def event(self, event: QEvent | None) -> bool:
        """Find a place when shown; let go for good when closed, when napari unparents it."""
        handled: bool = super().event(event)
        if event is None:
            return handled
        if event.type() == QEvent.Type.ParentChange:
            if self.parent() is not None:
                self._docked = True
            elif self._docked:
                self.detach()
                self.deleteLater()
        elif event.type() == QEvent.Type.Show and not event.spontaneous():
            self._come_forward()
        elif event.type() == QEvent.Type.Hide:
            self._stay_if_behind()
        return handled

    def _come_forward(self) -> None:
        """Lie in front of other tabs; the first time, find a place beside docks of ours."""
        docked = self.parentWidget()
        if not isinstance(docked, QDockWidget):
            return
        window = docked.parentWidget()
        if not self._placed and isinstance(window, QMainWindow):
            self._placed = True
            docked.setWindowTitle(self.tab_title or self.menu_title)
            self._join(window, docked)
        docked.raise_()

    def _join(self, window: QMainWindow, docked: QDockWidget) -> None:
        area = window.dockWidgetArea(docked)
        heights = {docked: min(self.contents.sizeHint().height(), window.height() // 3)}
        for other in window.findChildren(QDockWidget):
            widget = other.widget()
            if widget is self or not isinstance(widget, Dock) or other.isFloating():
                continue
            if window.dockWidgetArea(other) != area:
                continue
            if self.strip or widget.strip:
                heights[other] = other.height()
                window.splitDockWidget(other, docked, Qt.Orientation.Vertical)
            else:
                window.tabifyDockWidget(other, docked)
                break
        if area == Qt.DockWidgetArea.BottomDockWidgetArea:
            window.resizeDocks([*heights], [*heights.values()], Qt.Orientation.Vertical)

    def _stay_if_behind(self) -> None:
        """Come forward where napari's menu would hide what is open, but not seen."""
        docked = self.parentWidget()
        # Qt moves what lies behind other tabs away.
        if isinstance(docked, QDockWidget) and docked.isHidden() and docked.geometry().right() < 0:
            QTimer.singleShot(0, docked.show)


def _on_inserted(event: Any) -> None:
    recall_layer(event.value)
    _thumbnail(event.value)


def _thumbnail(layer: Layer) -> None:
    """Give a layer of ours its thumbnail if it is hidden, where napari leaves it black."""
    if KIND in facts_of(layer) and not layer.visible and layer.multiscale:
        show_thumbnail(layer)


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


def button_row(*buttons: QPushButton) -> QHBoxLayout:
    """Lay buttons side by side, so that they share the room equally."""
    made = QHBoxLayout()
    for each in buttons:
        each.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        made.addWidget(each)
    return made
