"""Regions of a frame that the user draws on a layer of shapes."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from napari.layers import Layer, Shapes
from numpy.typing import NDArray

from napari_invisp.inspection.regions import Region, ellipse

# Types of shapes that hold sites; a line or path holds none.
_AREAS = ("rectangle", "ellipse", "polygon")


def shapes_layer(layers: Iterable[Layer], active: Layer | None) -> Shapes | None:
    """Choose the layer to take shapes from: the selected one, or the topmost with a selection.

    Where nothing is selected on any of them, it is the topmost one that holds shapes.
    """
    if isinstance(active, Shapes):
        return active
    found = [each for each in layers if isinstance(each, Shapes) and each.nshapes]
    found.reverse()
    return max(found, key=lambda layer: bool(layer.selected_data), default=None)


def selected_region(shapes: Shapes | None, image: Layer, size: tuple[int, int]) -> Region | None:
    """Return the sites of an image layer that lie within the selected shapes.

    Parameters
    ----------
    shapes
        The layer of shapes. Where none of its shapes is selected, the one drawn last counts.
    image
        The layer that shows the frame; it may be turned.
    size
        Rows and columns of the frame.

    Returns
    -------
    Region or None
        ``None`` if there is no rectangle, ellipse or polygon.
    """
    if shapes is None or not shapes.nshapes:
        return None
    types = shapes.shape_type
    chosen = sorted(shapes.selected_data) or [shapes.nshapes - 1]
    chosen = [i for i in chosen if types[i] in _AREAS]
    if not chosen:
        return None
    outlines = []
    for i in chosen:
        corners = np.asarray(shapes.data[i])
        outline = ellipse(corners[:, -2:]) if types[i] == "ellipse" else corners[:, -2:]
        outlines.append(_onto(outline, shapes, image))
    name = " + ".join(f"{types[i]} {i + 1}" for i in chosen)
    return Region.within(f"{shapes.name}: {name}", outlines, size)


def _onto(points: NDArray[np.floating], shapes: Layer, image: Layer) -> NDArray[np.float64]:
    """Bring points of one layer onto another; both are affine, so three points tell how."""

    def moved(row: float, column: float) -> NDArray[np.float64]:
        lead = [0.0] * (shapes.ndim - 2)
        world = shapes.data_to_world([*lead, row, column])
        return np.asarray(image.world_to_data(world), np.float64)[-2:]

    origin = moved(0, 0)
    axes = np.stack([moved(1, 0) - origin, moved(0, 1) - origin])
    return np.asarray(points @ axes + origin, np.float64)
