"""Which part of a layer is on the screen."""

from __future__ import annotations

from itertools import product

import numpy as np
from napari.components import ViewerModel
from napari.layers import Layer

from napari_invisp.tiling import Part


def part_in_view(viewer: ViewerModel, layer: Layer) -> Part:
    """Return the rows and columns of an image layer's level 0 that the canvas shows.

    Where none of the layer is on the canvas, that is the whole frame. The layer's own
    ``corner_pixels`` do not tell: they only grow while a level stays the same.
    """
    height, width = (layer.data[0] if layer.multiscale else layer.data).shape[:2]
    camera = viewer.scene.camera
    middle = np.asarray(camera.center[-2:])
    half = np.asarray(viewer.canvas.viewbox_size(viewer.layers)) / camera.zoom / 2
    corners = np.array(
        [
            layer.world_to_data(corner)[-2:]
            for corner in product(*zip(middle - half, middle + half, strict=True))
        ]
    )
    # Pixels are centred on whole numbers.
    first, last = np.floor(corners.min(0) + 0.5), np.ceil(corners.max(0) + 0.5)
    rows, columns = (
        slice(max(0, int(start)), min(length, int(stop)))
        for start, stop, length in zip(first, last, (height, width), strict=True)
    )
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return slice(0, height), slice(0, width)
    return rows, columns
