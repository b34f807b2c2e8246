from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image
from pytestqt.qtbot import QtBot
from stacks import add_raw, add_results

from napari_invisp.sensor.record import RawRecord
from napari_invisp.settings import CompareSettings
from napari_invisp.viewer.compare.comparing import Comparison, Mode

A, B = "scene", "scene recovered RAW (bilinear)"
# On a model without a window.
MODES = (Mode.BLINK, Mode.SIDE_BY_SIDE)
# Of a layer's name on the canvas, what a comparison changes.
NAME = ("visible", "position", "font_size")


@pytest.fixture
def viewer(viewer: ViewerModel, record: RawRecord) -> ViewerModel:
    add_raw(viewer, record)
    add_results(viewer, record)
    viewer.add_points(np.zeros((1, 2)), name="points")
    viewer.layers[A].visible = False
    viewer.layers[B].name_overlay.position = "bottom_center"
    viewer.reset_view()
    return viewer


@pytest.fixture
def comparison(qtbot: QtBot, viewer: ViewerModel) -> Iterator[Comparison]:
    comparison = Comparison(viewer)
    yield comparison
    comparison.stop()


@pytest.fixture
def pair(viewer: ViewerModel) -> tuple[Image, Image]:
    return viewer.layers[A], viewer.layers[B]


def looks(viewer: ViewerModel) -> dict[str, object]:
    """All that a comparison may change, and has to put back."""
    layers = {
        x.name: (x.visible, *(getattr(x.name_overlay, what) for what in NAME))
        for x in viewer.layers
    }
    camera, grid = viewer.scene.camera, viewer.canvas.grid
    return layers | {
        "camera": (camera.center, camera.zoom),
        "grid": (grid.enabled, grid.stride, grid.shape, grid.spacing),
    }


def visible(viewer: ViewerModel) -> set[str]:
    return {layer.name for layer in viewer.layers if layer.visible}


def test_blinking_shows_the_two_in_turns_and_nothing_else(
    qtbot: QtBot, viewer: ViewerModel, comparison: Comparison, pair: tuple[Image, Image]
) -> None:
    comparison.settings = CompareSettings(rate=10)
    before = looks(viewer)
    comparison.start(Mode.BLINK, *pair)
    turns = []
    for _ in range(4):
        turns.append(visible(viewer))
        assert turns[-1] == {comparison.shown.name}
        with qtbot.waitSignal(comparison.changed):
            pass
    # B was seen before, so A comes first.
    assert turns == [{A}, {B}, {A}, {B}]
    assert all(layer.name_overlay.visible for layer in pair)
    comparison.stop()
    assert comparison.mode is comparison.pair is comparison.shown is None
    assert not comparison.automatic
    assert looks(viewer) == before


def test_the_rate_counts_at_once(
    qtbot: QtBot, comparison: Comparison, pair: tuple[Image, Image]
) -> None:
    comparison.settings = CompareSettings(rate=0.5)
    comparison.start(Mode.BLINK, *pair)
    assert comparison._timer.interval() == 2000
    comparison.settings = CompareSettings(rate=10)
    with qtbot.waitSignal(comparison.changed, timeout=1000):
        pass
    assert comparison.automatic
    comparison.stop()
    comparison.settings = CompareSettings(rate=5)
    assert not comparison.automatic


def test_flipping_by_hand_stops_the_clock(
    viewer: ViewerModel, comparison: Comparison, pair: tuple[Image, Image]
) -> None:
    comparison.start(Mode.BLINK, *pair, automatic=False)
    assert not comparison.automatic
    assert visible(viewer) == {A}
    comparison.flip()
    assert visible(viewer) == {B}
    comparison.start(Mode.BLINK, *pair)
    assert visible(viewer) == {A}
    comparison.flip()
    assert visible(viewer) == {B}
    assert not comparison.automatic


@pytest.mark.parametrize(("split", "shape"), [("left | right", (1, 2)), ("top | bottom", (2, 1))])
def test_side_by_side_a_comes_first(
    viewer: ViewerModel,
    comparison: Comparison,
    pair: tuple[Image, Image],
    split: str,
    shape: tuple[int, int],
) -> None:
    before = looks(viewer)
    grid, layers = viewer.canvas.grid, viewer.layers
    comparison.settings = CompareSettings(split=split)

    def cells() -> list[tuple[int, int]]:
        return [grid.position(layers.index(layer), layers) for layer in pair]

    first_and_last = [(0, 0), (shape[0] - 1, shape[1] - 1)]
    comparison.start(Mode.SIDE_BY_SIDE, *pair)
    assert grid.enabled
    assert grid.actual_shape(layers) == shape
    assert visible(viewer) == {A, B}
    assert cells() == first_and_last
    layers.move(layers.index(pair[1]), 0)
    assert cells() == first_and_last
    comparison.stop()
    assert looks(viewer) == before


def test_side_by_side_keeps_the_whole_frame_in_view(
    viewer: ViewerModel, comparison: Comparison, pair: tuple[Image, Image]
) -> None:
    camera = viewer.scene.camera
    whole = camera.center, camera.zoom
    comparison.start(Mode.SIDE_BY_SIDE, *pair)
    assert camera.zoom < whole[1]
    comparison.stop()
    assert (camera.center, camera.zoom) == whole

    # Where the user went meanwhile, the view stays.
    comparison.start(Mode.SIDE_BY_SIDE, *pair)
    camera.zoom = 30
    comparison.stop()
    assert camera.zoom == 30

    # A detail stays as large as it is.
    comparison.start(Mode.SIDE_BY_SIDE, *pair)
    assert camera.zoom == 30


def test_another_mode_takes_over_and_the_first_look_comes_back(
    viewer: ViewerModel, comparison: Comparison, pair: tuple[Image, Image]
) -> None:
    viewer.canvas.grid.enabled = True
    viewer.canvas.grid.stride = 2
    before = looks(viewer)
    comparison.start(Mode.SIDE_BY_SIDE, *pair)
    comparison.start(Mode.BLINK, *pair)
    assert not viewer.canvas.grid.enabled
    assert viewer.scene.camera.zoom == before["camera"][1]
    comparison.start(Mode.SIDE_BY_SIDE, pair[1], viewer.layers["scene decoded JPEG"])
    assert visible(viewer) == {B, "scene decoded JPEG"}
    assert comparison.mode is Mode.SIDE_BY_SIDE
    comparison.stop()
    assert looks(viewer) == before


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("gone", [A, B])
def test_deleting_a_layer_ends_it(
    viewer: ViewerModel, comparison: Comparison, pair: tuple[Image, Image], mode: Mode, gone: str
) -> None:
    before = looks(viewer)
    comparison.start(mode, *pair)
    del viewer.layers[gone]
    assert comparison.mode is None
    assert not comparison.automatic
    del before[gone]
    assert looks(viewer) == before


@pytest.mark.parametrize("mode", MODES)
def test_other_layers_come_and_go(
    viewer: ViewerModel, comparison: Comparison, pair: tuple[Image, Image], mode: Mode
) -> None:
    comparison.start(mode, *pair)
    seen = visible(viewer)
    del viewer.layers["scene mosaic"]
    added = viewer.add_image(np.zeros((4, 4)), name="new result")
    assert visible(viewer) == seen
    viewer.add_shapes(name="by hand")
    assert visible(viewer) == seen | {"by hand"}
    pair[0].name = "renamed"
    viewer.layers.reverse()
    assert comparison.mode is mode
    comparison.stop()
    assert added.visible
    assert not viewer.layers["renamed"].visible
    assert viewer.layers["scene rendered sRGB"].visible


def test_emptying_the_viewer_ends_it(
    viewer: ViewerModel, comparison: Comparison, pair: tuple[Image, Image]
) -> None:
    comparison.start(Mode.BLINK, *pair)
    viewer.layers.clear()
    assert comparison.mode is None


def test_switching_the_grid_by_hand_ends_it(
    viewer: ViewerModel, comparison: Comparison, pair: tuple[Image, Image]
) -> None:
    before = looks(viewer)
    comparison.start(Mode.SIDE_BY_SIDE, *pair)
    viewer.canvas.grid.enabled = False
    assert comparison.mode is None
    assert looks(viewer) == before
    comparison.start(Mode.BLINK, *pair)
    viewer.canvas.grid.enabled = True
    assert comparison.mode is None
    assert viewer.canvas.grid.enabled
    assert visible(viewer) == {name for name, look in before.items() if look[0] is True} - {"grid"}


def test_there_is_no_comparing_in_3d(
    viewer: ViewerModel, comparison: Comparison, pair: tuple[Image, Image]
) -> None:
    comparison.start(Mode.BLINK, *pair)
    viewer.dims.ndisplay = 3
    assert comparison.mode is None


def test_viewers_do_not_share_a_comparison(
    viewer: ViewerModel, comparison: Comparison, pair: tuple[Image, Image], record: RawRecord
) -> None:
    other = ViewerModel()
    add_raw(other, record)
    before = looks(other)
    comparison.start(Mode.SIDE_BY_SIDE, *pair)
    assert looks(other) == before
    other.layers.clear()
    assert comparison.mode is Mode.SIDE_BY_SIDE
