from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import cv2
import numpy as np
import pytest

from napari_invisp.errors import Cancelled
from napari_invisp.hdr.settings import OPERATORS, ToneSettings, used_by
from napari_invisp.hdr.toning import anchor_of, toned
from napari_invisp.linear import codes_from_linear

NEUTRAL = ToneSettings(contrast=1, detail=0)


def scene(height: int = 384, width: int = 576) -> np.ndarray:
    """A dark room of coloured surfaces and texture, and a bright window 5 EV above white."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:height, :width]
    light = 0.05 * 2 ** (np.sin(rows / 40) + np.cos(columns / 60))
    light = light * 2 ** (0.2 * rng.standard_normal(light.shape))
    window = (abs(rows - height / 3) < height / 8) & (abs(columns - width / 2) < width / 6)
    light[window] = (8 * (1 + columns / width))[window]
    colour = np.stack([1 + 0.3 * np.sin(columns / 90), np.ones_like(light), 0.8 + 0 * light], -1)
    colour[window] = 1
    return (light[..., None] * colour).astype(np.float32)


def luminance(linear: np.ndarray) -> np.ndarray:
    return linear @ np.array([0.2126, 0.7152, 0.0722])


def test_neutral_settings_change_nothing_that_can_be_shown() -> None:
    rng = np.random.default_rng(0)
    picture = cv2.GaussianBlur(rng.random((96, 96, 3)).astype(np.float32), None, 3)
    picture[:16, :16] = 1
    np.testing.assert_allclose(toned(picture, NEUTRAL), picture, atol=2e-3)


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("exposure", [-1.0, 0.0, 1.0])
def test_any_light_can_be_shown(operator: str, exposure: float) -> None:
    light = scene()
    light[:20, :20] = [5, -0.4, 0.1]  # beyond sRGB, and beyond white
    light[:20, 30:50] = 0
    shown = toned(light, ToneSettings(operator=operator, exposure=exposure))
    assert shown.dtype == np.float32
    assert np.isfinite(shown).all()
    assert shown.min() >= 0
    assert shown.max() <= 1
    assert not shown[:20, 30:50].any()


@pytest.mark.parametrize("operator", OPERATORS)
def test_the_brightest_light_is_white(operator: str) -> None:
    shown = toned(scene(), ToneSettings(operator=operator))
    brightest = shown[128, 576 // 2 + 90]
    assert brightest.min() > 0.9
    assert np.ptp(brightest) < 1e-3


def test_the_local_operator_shows_room_and_window() -> None:
    light = scene()
    shown = toned(light, ToneSettings(contrast=0.4))
    inside = luminance(shown[250:])
    assert np.median(inside) > 1.3 * np.median(luminance(light[250:]))
    # The window's gradient, 1 to 1.6 here, is all clipped in the light as it is.
    window = codes_from_linear(shown)[110:146, 200:376].mean(axis=(0, 2))
    assert window.max() < 256
    assert np.ptp(window) > 10
    assert np.diff(window).min() > -0.5


def test_hue_stays_where_light_is_beyond_what_can_be_shown() -> None:
    light = np.full((64, 64, 3), 0.2, np.float32)
    light[16:48, 16:48] = [3.0, 0.6, 0.3]
    shown = toned(light, ToneSettings())[32, 32].astype(float)
    before, after = (each - luminance(each) for each in (light[32, 32].astype(float), shown))
    cosine = before @ after / np.linalg.norm(before) / np.linalg.norm(after)
    assert cosine > 0.9999
    assert np.linalg.norm(after) > 0.05


def test_saturation() -> None:
    light = scene()
    chroma = {
        value: np.ptp(toned(light, ToneSettings(saturation=value))[300], axis=-1).mean()
        for value in (0, 0.5, 1)
    }
    assert chroma[0] < 1e-6
    assert chroma[0.5] == pytest.approx(0.5 * chroma[1], rel=0.1)


def test_a_gradient_stays_smooth() -> None:
    """A sky from middle grey to two stops beyond white: no steps, no reversals."""
    ramp = np.tile((0.18 * 2 ** np.linspace(0, 4.5, 1024))[:, None], (256, 1, 3))
    codes = codes_from_linear(toned(ramp.astype(np.float32), ToneSettings()))[128, :, 1]
    steps = np.diff(codes.astype(int))
    assert set(steps) <= {0, 1}
    assert np.ptp(codes) > 80


def test_a_part_looks_as_in_the_whole() -> None:
    light = scene()
    anchor = anchor_of(light)
    settings = ToneSettings(contrast=0.5, detail=0.3)
    whole = codes_from_linear(toned(light, settings, anchor=anchor)).astype(int)
    part = np.s_[100:340, 60:420]
    alone = codes_from_linear(toned(light[part].copy(), settings, anchor=anchor)).astype(int)
    difference = np.abs(alone - whole[part])[20:-20, 20:-20]
    assert difference.mean() < 4
    # What an anchor is for: by itself the part would be another picture.
    itself = codes_from_linear(toned(light[250:370, 60:420].copy(), settings)).astype(int)
    assert np.abs(itself - whole[250:370, 60:420]).mean() > 2 * difference.mean()


def test_a_preview_looks_as_the_whole() -> None:
    light = scene()
    anchor = anchor_of(light)
    whole = toned(light, ToneSettings(), anchor=anchor)

    def halved(each: np.ndarray) -> np.ndarray:
        return each.reshape(192, 2, 288, 2, 3).mean(axis=(1, 3))

    preview = toned(halved(light), ToneSettings(), scale=2, anchor=anchor)
    codes = [codes_from_linear(each).astype(int) for each in (preview, halved(whole))]
    assert np.abs(codes[0] - codes[1]).mean() < 4


def test_a_dark_frame_is_brightened_until_it_reaches_white() -> None:
    light = scene()[250:] * np.float32(0.5)
    shown = toned(light, ToneSettings())
    assert luminance(light).max() < 0.4
    assert 0.8 < np.quantile(luminance(shown), 0.998) <= 1
    # As it is where nobody asks for an operator.
    np.testing.assert_allclose(toned(light, ToneSettings(operator="none")), light, atol=1e-4)


def test_exposure_makes_it_brighter() -> None:
    light = scene()
    for operator in OPERATORS:
        darker, brighter = (
            toned(light, ToneSettings(operator=operator, exposure=exposure)).mean()
            for exposure in (0, 1)
        )
        assert brighter > 1.1 * darker


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (7, 2), (300, 5)])
@pytest.mark.parametrize("operator", OPERATORS)
def test_any_shape(shape: tuple[int, int], operator: str) -> None:
    light = np.full((*shape, 3), 0.5, np.float32)
    shown = toned(light, ToneSettings(operator=operator))
    assert shown.shape == light.shape
    assert np.isfinite(shown).all()


@pytest.mark.parametrize("operator", OPERATORS)
def test_progress_and_stopping(operator: str) -> None:
    settings = ToneSettings(operator=operator)
    told: list[tuple[int, int]] = []
    toned(scene(), settings, step=lambda done, total: told.append((done, total)))
    assert told[0][0] == 0
    assert told[-1][0] == told[-1][1]
    assert told == sorted(told)
    with pytest.raises(Cancelled):
        toned(scene(), settings, cancelled=lambda: True)


def test_every_setting_is_used_by_an_operator() -> None:
    used = set().union(*(used_by(operator) for operator in OPERATORS))
    assert used == {each.name for each in fields(ToneSettings)}


@pytest.mark.parametrize("operator", OPERATORS)
def test_what_an_operator_does_not_use_changes_nothing(operator: str) -> None:
    light = scene(96, 96)
    others = {
        "contrast": 0.1,
        "detail": 1.0,
        "threshold": 3.0,
        "adaptation": 0.1,
        "bias": 0.6,
        "saturation": 0.3,
        "exposure": 0.5,
    }
    plain = toned(light, ToneSettings(operator=operator))
    for name, value in others.items():
        changed = toned(light, ToneSettings(operator=operator, **{name: value}))
        assert np.array_equal(plain, changed) == (name not in used_by(operator)), name


def test_camera_files_get_a_full_range(shared_raw: Path) -> None:
    from napari_invisp.hdr.highlights import linear_srgb_hdr
    from napari_invisp.sensor.reading import read_raw

    light = linear_srgb_hdr(read_raw(shared_raw / "sample1.dng").middle(1200))
    codes = codes_from_linear(toned(light, ToneSettings()))
    low, middle, high = np.quantile(codes, [0.01, 0.5, 0.99])
    assert low < 60
    assert 80 < middle < 180
    assert high > 200
    assert (codes == 255).all(axis=2).mean() < 0.02
