"""Which part of a layer is on the screen."""

from __future__ import annotations

from itertools import product

import numpy as np
from napari.components import ViewerModel
from napari.layers import Layer
from napari.layers.utils.layer_utils import compute_multiscale_level
from numpy.typing import NDArray

from napari_invisp.tiling import Part
from napari_invisp.viewer.layers.pyramids import shapes


def part_in_view(viewer: ViewerModel, layer: Layer) -> Part:
    """Return the rows and columns of an image layer's level 0 that the canvas shows.

    Where none of the layer is on the canvas, that is the whole frame. The layer's own
    ``corner_pixels`` do not tell: they only grow while a level stays the same.
    """
    height, width = (layer.data[0] if layer.multiscale else layer.data).shape[:2]
    corners = _corners(viewer, layer)
    # Pixels are centred on whole numbers.
    first, last = np.floor(corners.min(0) + 0.5), np.ceil(corners.max(0) + 0.5)
    rows, columns = (
        slice(max(0, int(start)), min(length, int(stop)))
        for start, stop, length in zip(first, last, (height, width), strict=True)
    )
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return slice(0, height), slice(0, width)
    return rows, columns


def level_in_view(viewer: ViewerModel, layer: Layer) -> int:
    """Return the level that the canvas shows of a pyramid over an image layer's level 0."""
    sizes = np.array(
        [shape[:2] for shape in shapes(np.shape(layer.data[0] if layer.multiscale else layer.data))]
    )
    corners = _corners(viewer, layer)
    canvas = np.asarray(viewer.canvas.viewbox_size(viewer.layers))
    shown = np.ceil(corners.max(0)) - np.floor(corners.min(0))
    return int(compute_multiscale_level(shown, canvas, sizes[0] / sizes))


def _corners(viewer: ViewerModel, layer: Layer) -> NDArray[np.float64]:
    """Return the corners of the canvas in a layer's rows and columns, ``(4, 2)``."""
    camera = viewer.scene.camera
    middle = np.asarray(camera.center[-2:])
    half = np.asarray(viewer.canvas.viewbox_size(viewer.layers)) / camera.zoom / 2
    return np.array(
        [
            layer.world_to_data(corner)[-2:]
            for corner in product(*zip(middle - half, middle + half, strict=True))
        ]
    )
