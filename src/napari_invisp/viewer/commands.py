"""Commands for napari's menus and command palette."""

from __future__ import annotations

from typing import cast

from napari import Viewer
from napari.utils.notifications import show_error
from qtpy.QtWidgets import QDockWidget

from napari_invisp.viewer.docks.render import DOCK_NAME, RenderDock, ask_for_jpeg
from napari_invisp.viewer.layers import jpeg_path_of


def dock(viewer: Viewer) -> RenderDock:
    """Show the dock widget, the one that the Plugins menu shows, and return it."""
    widget = viewer.window.dock_widgets.get(DOCK_NAME)
    if widget is None:
        # napari's add_plugin_dock_widget would call it otherwise than its menu does.
        widget = RenderDock(viewer)
        viewer.window.add_dock_widget(widget, name=DOCK_NAME)
    docked = widget.parentWidget()
    while not isinstance(docked, QDockWidget):
        docked = docked.parentWidget()
    docked.show()
    docked.raise_()
    return cast(RenderDock, widget)


def recover_layer(viewer: Viewer) -> None:
    """Recover the RAW of the JPEG file that the selected layer was opened from."""
    active = viewer.layers.selection.active
    path = jpeg_path_of(active) if active is not None else None
    if path is None:
        show_error("select a layer that was opened from a JPEG file first")
    else:
        dock(viewer).recover_files([path])


def recover_file(viewer: Viewer) -> None:
    """Ask for a JPEG file and recover its RAW."""
    path = ask_for_jpeg(None)
    if path is not None:
        dock(viewer).recover_files([path])
