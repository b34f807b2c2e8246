from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel
from records import make_record
from result_layers import add_raw
from skimage.draw import ellipse, polygon

from napari_invisp.viewer.layers.shapes import selected_region, shapes_layer

SHAPE = (96, 128)


def held(region: object) -> np.ndarray:
    """Mark the sites that a region holds."""
    found = np.zeros(SHAPE, bool)
    found[region.rows, region.columns] = True if region.mask() is None else region.mask()
    return found


def on_canvas(points: np.ndarray, orientation: int) -> np.ndarray:
    """Turn (row, column) of the sensor into (row, column) on the upright canvas."""
    row, column = np.transpose(points)
    last_row, last_column = SHAPE[0] - 1, SHAPE[1] - 1
    turned = {
        1: (row, column),
        3: (last_row - row, last_column - column),
        6: (column, last_row - row),
        8: (last_column - column, row),
    }
    return np.stack(turned[orientation], axis=1)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize("kind", ["rectangle", "polygon", "ellipse"])
def test_shapes_hold_the_sites_that_they_are_drawn_around(
    viewer: ViewerModel, orientation: int, kind: str
) -> None:
    mosaic, _ = add_raw(viewer, make_record(SHAPE).replace(orientation=orientation))
    corners = np.array([(20.3, 30.4), (20.3, 90.4), (70.3, 90.4), (70.3, 30.4)])
    if kind == "polygon":
        corners = corners[:3]
    shapes = viewer.add_shapes([on_canvas(corners, orientation)], shape_type=kind)
    region = selected_region(shapes, mosaic, SHAPE)
    expected = np.zeros(SHAPE, bool)
    if kind == "ellipse":
        expected[ellipse(45.3, 60.4, 25, 30, SHAPE)] = True
    else:
        expected[polygon(*corners.T, SHAPE)] = True
    assert (held(region) != expected).mean() < (2e-3 if kind == "ellipse" else 1e-9)
    assert region.name == f"Shapes: {kind} 1"


def test_a_layer_of_shapes_may_be_scaled_and_moved(viewer: ViewerModel) -> None:
    mosaic, _ = add_raw(viewer, make_record(SHAPE))
    box = np.array([(0, 0), (0, 10), (10, 10), (10, 0)])
    shapes = viewer.add_shapes(
        [box], shape_type="rectangle", scale=(2, 3), translate=(10.5, 20.5), rotate=0
    )
    expected = np.zeros(SHAPE, bool)
    expected[11:31, 21:51] = True
    np.testing.assert_array_equal(held(selected_region(shapes, mosaic, SHAPE)), expected)


def test_the_selected_shapes_count_and_else_the_last(viewer: ViewerModel) -> None:
    mosaic, _ = add_raw(viewer, make_record(SHAPE))
    boxes = [np.array([(0, 0), (0, 5), (5, 5), (5, 0)]) + 10.5 * i for i in range(3)]
    shapes = viewer.add_shapes(boxes, shape_type="rectangle", name="Shapes")
    shapes.selected_data = set()
    assert selected_region(shapes, mosaic, SHAPE).name == "Shapes: rectangle 3"
    shapes.selected_data = {0, 1}
    region = selected_region(shapes, mosaic, SHAPE)
    assert region.name == "Shapes: rectangle 1 + rectangle 2"
    assert 25 <= held(region)[:6, :6].sum() <= 36
    assert held(region).sum() == held(region)[:17, :17].sum()


def test_lines_hold_nothing(viewer: ViewerModel) -> None:
    mosaic, _ = add_raw(viewer, make_record(SHAPE))
    assert selected_region(None, mosaic, SHAPE) is None
    shapes = viewer.add_shapes()
    assert selected_region(shapes, mosaic, SHAPE) is None
    shapes.add([[(0, 0), (9, 9)]], shape_type="line")
    assert selected_region(shapes, mosaic, SHAPE) is None


def test_which_layer_of_shapes_is_meant(viewer: ViewerModel) -> None:
    box = [np.array([(0, 0), (0, 5), (5, 5), (5, 0)])]
    assert shapes_layer(viewer.layers, None) is None
    first, second, empty = viewer.add_shapes(box), viewer.add_shapes(box), viewer.add_shapes()
    for layer in (first, second):
        layer.selected_data = set()
    assert shapes_layer(viewer.layers, empty) is empty
    assert shapes_layer(viewer.layers, None) is second
    first.selected_data = {0}
    assert shapes_layer(viewer.layers, None) is first
