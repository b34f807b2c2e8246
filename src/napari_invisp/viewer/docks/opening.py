"""Where a viewer's docks are: open one, or find it."""

from __future__ import annotations

from typing import Any, TypeVar, overload

from napari import Viewer
from qtpy.QtWidgets import QDockWidget

from napari_invisp.viewer.docks.base import Dock
from napari_invisp.viewer.docks.render import RenderDock
from napari_invisp.viewer.proxy import unproxied

_D = TypeVar("_D", bound=Dock)


@overload
def dock(viewer: Viewer) -> RenderDock: ...


@overload
def dock(viewer: Viewer, kind: type[_D]) -> _D: ...


def dock(viewer: Viewer, kind: Any = RenderDock) -> Any:
    """Show a dock, the one that the Plugins menu shows, in front of others, and return it."""
    viewer = unproxied(viewer)
    widget = open_dock(viewer, kind)
    if widget is None:
        # napari's add_plugin_dock_widget would call it otherwise than its menu does.
        widget = kind(viewer)
        viewer.window.add_dock_widget(widget, name=kind.dock_name())
    docked = widget.parentWidget()
    if isinstance(docked, QDockWidget):
        docked.show()
        docked.raise_()
    return widget


def open_dock(viewer: Viewer, kind: type[_D]) -> _D | None:
    """Return a dock of a viewer, if it is open."""
    found = (each for each in Dock.all_of(unproxied(viewer)) if isinstance(each, kind))
    return next(found, None)
