from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image
from records import make_smooth_record
from stacks import add_raw, add_results

from napari_invisp.sensor.record import RawRecord
from napari_invisp.viewer.compare.exposure import Exposure, response
from napari_invisp.viewer.layers import KIND, METADATA_KEY, Kind

NOISE = np.random.default_rng(0).random((16, 16))


@pytest.fixture
def exposure(viewer: ViewerModel, record: RawRecord) -> Exposure:
    add_raw(viewer, record)
    add_results(viewer, record)
    return Exposure(viewer.layers)


def shown(layer: Image, value: float) -> float:
    """What napari makes of a value: the fraction of the way from black to white, after gamma."""
    black, white = layer.contrast_limits
    return ((value - black) / (white - black)) ** layer.gamma


@pytest.mark.parametrize("ev", [-8.0, -1.5, 0.3, 2.0, 8.0])
def test_mosaics_and_pictures_brighten_by_the_same_light(
    viewer: ViewerModel, exposure: Exposure, record: RawRecord, ev: float
) -> None:
    mosaic, picture = viewer.layers["scene mosaic"], viewer.layers["scene rendered sRGB"]
    black = record.black.min()
    light = 0.001
    before = shown(mosaic, black + light * (record.white - black)), shown(picture, 100)
    exposure.ev = ev
    brighter = 2 ** (ev / 2.2)
    after = shown(mosaic, black + light * (record.white - black)), shown(picture, 100)
    assert after[0] / before[0] == pytest.approx(brighter)
    assert after[1] / before[1] == pytest.approx(brighter)
    assert mosaic.contrast_limits[0] == black


def test_pictures_keep_where_their_own_white_is(viewer: ViewerModel, exposure: Exposure) -> None:
    raw, rendered = viewer.layers["scene"], viewer.layers["scene rendered sRGB"]
    white = raw.contrast_limits[1]
    assert white < 255
    exposure.ev = 1.0
    assert raw.contrast_limits[1] == pytest.approx(white * 2 ** (-1 / 2.2))
    assert rendered.contrast_limits[1] == pytest.approx(255 * 2 ** (-1 / 2.2))


def test_no_exposure_is_exactly_what_was(viewer: ViewerModel, exposure: Exposure) -> None:
    before = [(x.contrast_limits, x.contrast_limits_range) for x in viewer.layers]
    for ev in (3.3, -8.0, 0.05, 0.0):
        exposure.ev = ev
        changed = [(x.contrast_limits, x.contrast_limits_range) for x in viewer.layers] != before
        assert changed == (ev != 0)


def test_sliders_reach_as_far_as_needed_and_no_further(
    viewer: ViewerModel, exposure: Exposure
) -> None:
    layer = viewer.layers["scene rendered sRGB"]
    exposure.ev = -8.0
    assert layer.contrast_limits_range[1] == layer.contrast_limits[1] > 3000
    exposure.ev = -1.0
    assert layer.contrast_limits_range[1] == layer.contrast_limits[1] < 500


def test_limits_set_by_hand_stay_and_count(viewer: ViewerModel, exposure: Exposure) -> None:
    layer = viewer.layers["scene mosaic"]
    layer.contrast_limits = 100, 1100
    exposure.ev = 1.0
    assert layer.contrast_limits == [100, 600]
    layer.contrast_limits = 200, 1200
    assert layer.contrast_limits == [200, 1200]
    exposure.ev = 2.0
    assert layer.contrast_limits == [200, 700]
    exposure.ev = 0.0
    assert layer.contrast_limits == [200, 2200]


def test_new_layers_get_the_exposure_and_removed_ones_lose_it(
    viewer: ViewerModel, exposure: Exposure
) -> None:
    exposure.ev = 1.0
    added = viewer.add_image(NOISE, contrast_limits=(0, 1))
    assert added.contrast_limits == [0, 0.5]
    viewer.layers.remove(added)
    assert added.contrast_limits == [0, 1]
    exposure.ev = 2.0
    assert added.contrast_limits == [0, 1]


def test_closing_leaves_no_trace(viewer: ViewerModel, exposure: Exposure) -> None:
    limits = [layer.contrast_limits for layer in viewer.layers]
    exposure.ev = 4.0
    exposure.close()
    assert [layer.contrast_limits for layer in viewer.layers] == limits
    exposure.ev = 1.0
    viewer.add_image(NOISE, contrast_limits=(0, 1))
    assert viewer.layers[-1].contrast_limits == [0, 1]
    assert [layer.contrast_limits for layer in viewer.layers[:-1]] == limits


def test_error_maps_are_left_alone(viewer: ViewerModel, exposure: Exposure) -> None:
    for kind in (Kind.ERROR, Kind.MAP):
        facts = {METADATA_KEY: {KIND: kind}}
        viewer.add_image(NOISE, contrast_limits=(0, 1), metadata=facts)
    viewer.add_image(NOISE, contrast_limits=(-1, 1), name="signed")
    viewer.add_labels(np.ones((4, 4), np.uint8))
    exposure.ev = 3.0
    assert [x.contrast_limits for x in viewer.layers[-4:-1]] == [[0, 1], [0, 1], [-1, 1]]


@pytest.mark.parametrize(
    ("dtype", "rgb", "power"),
    [
        (np.float32, False, 1),
        (np.float32, True, 1),
        (np.uint16, False, 1),
        (np.uint16, True, 1 / 2.2),
        (np.uint8, True, 1 / 2.2),
        (np.uint8, False, 1 / 2.2),
        (bool, False, None),
    ],
)
def test_layers_of_others_are_judged_by_their_type(
    dtype: type, rgb: bool, power: float | None
) -> None:
    pixels = np.arange(4 * 4 * 3).reshape(4, 4, 3).astype(dtype)
    assert response(Image(pixels if rgb else pixels[..., 0], rgb=rgb)) == power


def test_viewers_have_their_own_exposure(viewer: ViewerModel, exposure: Exposure) -> None:
    other = ViewerModel()
    add_raw(other, make_smooth_record())
    limits = other.layers["scene"].contrast_limits
    exposure.ev = 2.0
    assert other.layers["scene"].contrast_limits == limits


def test_hidden_layers_keep_a_thumbnail(viewer: ViewerModel, exposure: Exposure) -> None:
    hidden = viewer.layers["scene mosaic"]
    assert not hidden.visible
    exposure.ev = 1.0
    brighter = hidden.thumbnail[..., :3].mean()
    exposure.ev = 0.0
    assert 0 < hidden.thumbnail[..., :3].mean() < brighter
