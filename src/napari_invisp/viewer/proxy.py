"""What is different in a command that napari runs."""

from __future__ import annotations

import napari.viewer


def unproxied(viewer: napari.viewer.Viewer) -> napari.viewer.Viewer:
    """Return the viewer itself: commands are given a proxy, whose layers are not its own."""
    return getattr(viewer, "__wrapped__", viewer)
