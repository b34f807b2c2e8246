from __future__ import annotations

from collections.abc import Callable

import napari
import numpy as np
import pytest
from napari.components import ViewerModel
from pytestqt.qtbot import QtBot

from napari_invisp.viewer.layers import upright
from napari_invisp.viewer.layers.pyramids import pyramid
from napari_invisp.viewer.layers.view import level_in_view, part_in_view


def test_after_opening_all_is_in_view(viewer: ViewerModel) -> None:
    layer = viewer.add_image(np.zeros((600, 800), np.uint8))
    assert part_in_view(viewer, layer) == (slice(0, 600), slice(0, 800))


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_the_part_in_view_is_the_one_around_the_middle(
    viewer: ViewerModel, orientation: int
) -> None:
    shape = (3000, 4000)
    layer = viewer.add_image(
        pyramid(np.zeros(shape, np.uint8)), multiscale=True, affine=upright(orientation, shape)
    )
    viewer.scene.camera.zoom = 2
    where = 1001, 2002
    viewer.scene.camera.center = layer.data_to_world(where)
    rows, columns = part_in_view(viewer, layer)
    height, width = np.asarray(viewer.canvas.viewbox_size(viewer.layers)) / 2
    if orientation in (6, 8):
        height, width = width, height
    assert (rows.start + rows.stop) / 2 == pytest.approx(where[0], abs=1)
    assert (columns.start + columns.stop) / 2 == pytest.approx(where[1], abs=1)
    assert rows.stop - rows.start == pytest.approx(height, abs=2)
    assert columns.stop - columns.start == pytest.approx(width, abs=2)


def test_what_is_out_of_view_counts_as_a_whole(viewer: ViewerModel) -> None:
    layer = viewer.add_image(np.zeros((60, 80), np.uint8))
    viewer.scene.camera.center = (10_000, 10_000)
    assert part_in_view(viewer, layer) == (slice(0, 60), slice(0, 80))


@pytest.mark.usefixtures("display")
def test_it_follows_a_real_canvas(
    qtbot: QtBot, make_napari_viewer: Callable[..., napari.Viewer]
) -> None:
    viewer = make_napari_viewer(show=True)
    layer = viewer.add_image(pyramid(np.zeros((1500, 2000), np.uint8)), multiscale=True)
    viewer.scene.camera.center = (700, 900)
    for zoom in (1.0, 8.0, 30.0):
        viewer.scene.camera.zoom = zoom
        canvas = viewer.window._qt_viewer.canvas
        corners = [layer.world_to_data(each[-2:]) for each in canvas._viewbox_corners_in_world]
        expected = np.clip(np.array(corners), 0, (1500, 2000))
        rows, columns = part_in_view(viewer, layer)
        found = np.array([[rows.start, columns.start], [rows.stop, columns.stop]])
        np.testing.assert_allclose(found, expected, atol=2)


@pytest.mark.parametrize("orientation", [1, 6])
def test_the_level_in_view_is_the_one_that_napari_draws(
    display: None, make_napari_viewer: Callable[..., napari.Viewer], orientation: int
) -> None:
    viewer = make_napari_viewer(show=True)
    shape = (3001, 4003)
    layer = viewer.add_image(
        pyramid(np.zeros(shape, np.uint8)), multiscale=True, affine=upright(orientation, shape)
    )
    seen = set()
    for zoom in (0.05, 0.13, 0.21, 0.4, 0.7, 1.5):
        viewer.scene.camera.zoom = zoom
        viewer.screenshot(flash=False)
        assert level_in_view(viewer, layer) == layer.data_level
        seen.add(layer.data_level)
    assert {0, 1, 2} <= seen
