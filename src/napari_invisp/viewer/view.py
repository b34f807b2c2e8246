"""Which part of a layer is on the screen."""

from __future__ import annotations

import numpy as np
from napari.layers import Layer

#: Rows and columns of a frame.
Part = tuple[slice, slice]


def part_in_view(layer: Layer) -> Part:
    """Return the rows and columns of an image layer's level 0 that the canvas shows.

    Where there is no canvas, or none of the layer is on it, that is the whole frame.
    """
    height, width = (layer.data[0] if layer.multiscale else layer.data).shape[:2]
    factors = layer.downsample_factors[layer.data_level][:2] if layer.multiscale else (1, 1)
    corners = layer.corner_pixels[:, :2] * np.asarray(factors)
    (top, left), (bottom, right) = corners[0], corners[1] + factors
    rows = slice(max(0, int(top)), min(height, int(np.ceil(bottom))))
    columns = slice(max(0, int(left)), min(width, int(np.ceil(right))))
    if not corners.any() or rows.start >= rows.stop or columns.start >= columns.stop:
        return slice(0, height), slice(0, width)
    return rows, columns
