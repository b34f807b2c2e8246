"""Thumbnails of layers that are hidden, which napari leaves black."""

from __future__ import annotations

import numpy as np
from napari.layers import Image
from numpy.typing import NDArray

# napari's own are 32x32; a thumbnail of another size is padded or cut.
_SIDE = 32


def show_thumbnail(layer: Image) -> None:
    """Give a multiscale image the thumbnail that it would have if it were visible."""
    pixels = np.asarray(layer.data[-1])
    step = max(1, -(-max(pixels.shape[:2]) // _SIDE))
    layer.thumbnail = _coloured(layer, pixels[::step, ::step])


def _coloured(layer: Image, pixels: NDArray[np.generic]) -> NDArray[np.uint8]:
    low, high = layer.contrast_limits
    values = np.clip((pixels.astype(np.float32) - low) / (high - low), 0, 1) ** layer.gamma
    if layer.rgb:
        rgba = np.ones((*values.shape[:2], 4), np.float32)
        rgba[..., : values.shape[2]] = values
    else:
        rgba = layer.colormap.map(values.ravel()).reshape(*values.shape, 4)
    codes: NDArray[np.uint8] = np.rint(255 * rgba).astype(np.uint8)
    return codes
