from __future__ import annotations

from collections.abc import Callable

import napari
import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Labels
from napari.utils.notifications import notification_manager
from pytestqt.qtbot import QtBot
from records import make_record
from result_layers import add_raw, add_results, paint

from napari_invisp.inspection.clipping import clipped, clipping_pyramid
from napari_invisp.inspection.statistics import Levels
from napari_invisp.sensor.record import RawRecord
from napari_invisp.viewer.layers import KIND, Kind, clipping, facts_of
from napari_invisp.viewer.layers.clipping import ClippingOverlay, overlay_of, toggle_clipping


@pytest.fixture
def record() -> RawRecord:
    """A RAW with clipped sites, stored on its side."""
    return make_record((96, 128), "GRBG").replace(orientation=6)


@pytest.fixture(autouse=True)
def _no_overlay_stays(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(clipping, "_PAUSE_MS", 1)
    yield
    while ClippingOverlay._all:
        ClippingOverlay._all[0].remove()


def overlays(viewer: ViewerModel) -> list[Labels]:
    """Return the overlays that are to be seen."""
    return [each for each in viewer.layers if isinstance(each, Labels) and each.visible]


@pytest.fixture
def toggle(qtbot: QtBot, viewer: ViewerModel) -> Callable[..., None]:
    """Call the command on a layer, and wait until so many overlays are there."""

    def call(layer: object, count: int) -> None:
        viewer.layers.selection.active = layer
        toggle_clipping(viewer)
        qtbot.waitUntil(lambda: len(overlays(viewer)) == count, timeout=20_000)

    return call


def expected(record: RawRecord, judge: RawRecord) -> list[np.ndarray]:
    return clipping_pyramid(clipped(record, Levels.of(judge)))


def test_the_command_shows_where_the_raw_clips_and_hides_it_again(
    viewer: ViewerModel, record: RawRecord, toggle: Callable[..., None]
) -> None:
    mosaic, picture = add_raw(viewer, record)
    toggle(picture, 1)
    (layer,) = overlays(viewer)
    assert layer.name == "scene clipping"
    assert facts_of(layer)[KIND] is Kind.CLIPPING
    assert viewer.layers.selection.active is picture
    for level, right in zip(layer.data, expected(record, record), strict=True):
        np.testing.assert_array_equal(level, right)
    np.testing.assert_allclose(layer.affine.affine_matrix, mosaic.affine.affine_matrix)
    toggle(mosaic, 0)
    toggle(picture, 1)
    assert overlays(viewer) == [layer]
    layer.visible = False  # by hand
    toggle(picture, 1)
    assert len(viewer.layers) == 3


def test_original_and_recovered_have_overlays_of_their_own(
    viewer: ViewerModel, record: RawRecord, toggle: Callable[..., None]
) -> None:
    _, picture = add_raw(viewer, record)
    recovered, shown, _, rendered = add_results(viewer, record)
    toggle(shown, 1)
    toggle(rendered, 2)
    second, first = overlays(viewer)[::-1]
    assert first.name == "scene recovered RAW clipping"
    assert second.name == "scene clipping"
    right = expected(record.replace(mosaic=recovered.data[0]), record)
    np.testing.assert_array_equal(first.data[0], right[0])
    assert (first.data[0] != second.data[0]).any()
    toggle(picture, 1)
    assert overlays(viewer) == [first]


def test_the_overlay_follows_new_pixels(
    qtbot: QtBot, viewer: ViewerModel, record: RawRecord, toggle: Callable[..., None]
) -> None:
    add_raw(viewer, record)
    recovered, *_ = add_results(viewer, record)
    toggle(recovered, 1)
    (layer,) = overlays(viewer)
    assert (layer.data[0] == 0).any()
    paint(recovered, 4000)
    qtbot.waitUntil(lambda: (layer.data[0] == 7).all())
    for _ in range(5):
        paint(recovered, 1000)
    qtbot.waitUntil(lambda: not layer.data[0].any())
    assert overlays(viewer) == [layer]


def test_the_overlay_goes_with_its_layer_and_by_hand(
    qtbot: QtBot, viewer: ViewerModel, record: RawRecord, toggle: Callable[..., None]
) -> None:
    mosaic, picture = add_raw(viewer, record)
    toggle(picture, 1)
    viewer.layers.remove(overlays(viewer)[0])
    assert overlay_of(mosaic) is None
    toggle(picture, 1)
    mosaic.name = "renamed"
    overlays(viewer)[0].name = "renamed too"
    viewer.layers.remove(mosaic)
    assert overlays(viewer) == []
    toggle(picture, 1)
    viewer.layers.clear()
    assert not ClippingOverlay._all


def test_what_is_hidden_before_it_is_there_does_not_come(
    qtbot: QtBot, viewer: ViewerModel, record: RawRecord
) -> None:
    add_raw(viewer, record)
    toggle_clipping(viewer)
    (overlay,) = ClippingOverlay._all
    runner = overlay._runner
    toggle_clipping(viewer)
    qtbot.waitUntil(lambda: not runner._busy)
    assert overlays(viewer) == []


def test_without_a_raw_the_command_says_so(viewer: ViewerModel) -> None:
    said: list[str] = []
    notification_manager.notification_ready.connect(note := lambda e: said.append(e.message))
    toggle_clipping(viewer)
    notification_manager.notification_ready.disconnect(note)
    assert said == ["open a camera RAW file first: clipping is shown from its samples"]


@pytest.mark.parametrize(
    ("bits", "colour"),
    [
        (0, (0, 0, 0, 0)),
        (1, (1, 0.1, 0.1, 1)),
        (1 | 2, (1, 0.9, 0.1, 1)),
        (7, (0, 0, 0, 1)),
        (56, (0.6, 0.6, 0.6, 1)),
        (2 | 32, (0.1, 0.9, 0.1, 1)),
    ],
)
def test_colours_say_which_channels_clip(bits: int, colour: tuple[float, ...]) -> None:
    shown = clipping._colours().map(np.array([bits], np.uint8))
    np.testing.assert_allclose(shown, [colour], atol=1e-6)


def test_the_menu_shows_the_overlay_in_the_window(
    display: None,
    qtbot: QtBot,
    make_napari_viewer: Callable[..., napari.Viewer],
) -> None:
    from napari._app_model import get_app_model

    viewer = make_napari_viewer(show=True)
    grey = np.full((300, 400), 1000, np.uint16)
    add_raw(viewer, make_record(mosaic=grey))
    before = viewer.screenshot(flash=False)
    mosaic = grey.copy()
    mosaic[101, 203] = 4000  # one site of blue
    viewer.layers.clear()
    add_raw(viewer, make_record(mosaic=mosaic))
    viewer.scene.camera.zoom = 0.8
    get_app_model().commands.execute_command("napari-invisp.clipping")
    qtbot.waitUntil(lambda: len(overlays(viewer)) == 1, timeout=20_000)

    def blue() -> bool:
        shot = viewer.screenshot(flash=False)[..., :3].astype(int)
        return bool((shot[..., 2] - shot[..., 0] > 150).any())

    assert not (before[..., 2].astype(int) - before[..., 0] > 150).any()
    qtbot.waitUntil(blue)
    menu = get_app_model().menus.get_menu("napari/layers/visualize")
    found = [item.command.id for item in menu if hasattr(item, "command")]
    assert "napari-invisp.clipping" in found
