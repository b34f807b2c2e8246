from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_invisp.viewer.layers.pyramids import pyramid
from napari_invisp.viewer.layers.thumbnails import show_thumbnail


@pytest.mark.parametrize("shape", [(1300, 700, 3), (700, 1300)])
def test_a_hidden_layer_looks_like_a_visible_one(
    viewer: ViewerModel, shape: tuple[int, ...]
) -> None:
    rows, columns = np.indices(shape[:2], np.float32)
    picture = np.rint(255 * rows / shape[0] * (0.3 + 0.7 * columns / shape[1])).astype(np.uint8)
    if len(shape) == 3:
        picture = np.stack((picture, picture // 2, 255 - picture), 2)
    look = {"multiscale": True, "contrast_limits": (0, 200), "rgb": len(shape) == 3}
    if len(shape) == 2:
        look |= {"colormap": "inferno", "gamma": 0.5}
        look.pop("rgb")
    visible = viewer.add_image(pyramid(picture), **look)
    hidden = viewer.add_image(pyramid(picture), visible=False, **look)
    assert not hidden.thumbnail[..., :3].any()
    show_thumbnail(hidden)
    if len(shape) == 2:  # of RGB napari ignores the limits
        there = (visible.thumbnail[..., 3] > 0) & (hidden.thumbnail[..., 3] > 0)
        off = np.abs(visible.thumbnail[there].astype(int) - hidden.thumbnail[there])
        assert off.mean() < 16
    assert hidden.thumbnail[..., :3].std() > 20
