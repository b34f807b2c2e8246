"""What napari draws a viewer's layers on; it has no public way there."""

from __future__ import annotations

from typing import Any

import napari.viewer


def canvas_of(viewer: napari.viewer.Viewer) -> Any:
    """Return the canvas of a viewer with a window: ``native`` is its widget.

    Raises
    ------
    AttributeError
        The viewer has no window, or it was closed.
    """
    return viewer.window._qt_viewer.canvas


def canvas_lives(viewer: napari.viewer.Viewer) -> bool:
    """Tell whether what a viewer shows can still be changed: its window may be gone already."""
    try:
        canvas_of(viewer).native.isVisible()
    except RuntimeError:  # Qt's side of it is gone
        return False
    except AttributeError:  # closed, unless it never had a window
        return not hasattr(viewer, "window")
    return True


def draw_here(viewer: napari.viewer.Viewer) -> None:
    """Make the OpenGL context of a viewer's canvas the current one, if it has a window.

    napari deletes what drew a layer when the layer is removed, in whatever context is current:
    most often that of the window, which Qt puts together in a context of its own. Mesa then
    unbinds the shader that the canvas draws with, and the next drawing crashes.
    """
    try:
        canvas_of(viewer).native.makeCurrent()
    except (AttributeError, RuntimeError):
        return
