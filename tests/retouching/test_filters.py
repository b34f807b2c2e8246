"""The filters against their formulas, written once more in numpy, a pixel at a time."""

from __future__ import annotations

import colorsys
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from napari_invisp.errors import SettingsError
from napari_invisp.retouching.filters import filtered, retouched
from napari_invisp.retouching.parameters import bounds_of, values_of
from napari_invisp.retouching.settings import FILTERS, RetouchSettings

UNEVEN = (1.9, 1.3, 0.6, 1.0, 0.8, 1.2, 0.7, 0.5)
TINTED = (1.1, 1.05, 1.0, 0.95, 0.9, 1.0, 1.02, 0.93)
#: A strong setting of every filter.
ALL: dict[str, dict[str, Any]] = {
    "exposure": {"exposure": 1.3},
    "white-balance": {"white_red": 0.3, "white_green": -0.1, "white_blue": -0.4},
    "gamma": {"gamma": 0.6},
    "tone-curve": {"tone_curve": UNEVEN},
    "contrast": {"contrast": 0.7},
    "saturation": {"saturation": 0.8},
    "colour-curves": {"red_curve": TINTED, "blue_curve": TINTED[::-1]},
    "black-and-white": {"black_and_white": 0.4},
}
EVERYTHING = {name: value for each in ALL.values() for name, value in each.items()}


@pytest.fixture
def light() -> NDArray[np.float32]:
    """Linear light within [0, 0.3], so that no filter takes it beyond white."""
    return np.random.default_rng(0).uniform(0.002, 0.3, (13, 17, 3)).astype(np.float32)


def shown(linear: NDArray[np.float64]) -> NDArray[np.float64]:
    """BT.709 as LibRaw has it."""
    linear = np.asarray(linear, np.float64)
    return np.where(linear < 0.01805397, 4.5 * linear, 1.0992968 * linear**0.45 - 0.0992968)


def changed(pixel: NDArray[np.float64], name: str) -> Any:
    """What a filter of :data:`ALL` makes of a pixel: of light, or of display values."""
    settings = RetouchSettings(**ALL[name])
    luma = float(pixel @ (0.27, 0.67, 0.06))
    if name == "exposure":
        return pixel * 2**1.3
    if name == "white-balance":
        gains = np.exp((0.3, -0.1, -0.4))
        return pixel * gains / (gains @ (0.27, 0.67, 0.06))
    if name == "gamma":
        return pixel**0.6
    if name == "tone-curve":
        return curve(pixel, UNEVEN)
    if name == "colour-curves":
        curves = settings.red_curve, settings.green_curve, settings.blue_curve
        return [float(curve(v, slopes)) for v, slopes in zip(pixel, curves, strict=True)]
    if name == "contrast":
        return 0.3 * pixel + 0.7 * pixel * (0.5 - 0.5 * math.cos(math.pi * luma)) / luma
    if name == "black-and-white":
        return 0.6 * pixel + 0.4 * luma
    hue, s, v = colorsys.rgb_to_hsv(*pixel)
    more = s + (1 - s) * s * (2 - s) * (0.5 - abs(0.5 - v)) * 0.8
    return 0.2 * pixel + 0.8 * np.array(colorsys.hsv_to_rgb(hue, more, v))


def curve(value: Any, slopes: tuple[float, ...]) -> NDArray[np.float64]:
    total = np.cumsum((0, *slopes)) / np.sum(slopes)
    return np.interp(value, np.linspace(0, 1, 9), total)


@pytest.mark.parametrize("name", FILTERS)
def test_formulas(light: NDArray[np.float32], name: str) -> None:
    result = retouched(light, RetouchSettings(**ALL[name]))
    on_light = name in ("exposure", "white-balance")
    before, after = (each if on_light else shown(each) for each in (light, result))
    expected = [[changed(pixel, name) for pixel in row] for row in before.astype(np.float64)]
    np.testing.assert_allclose(after, expected, atol=2e-5)
    assert np.abs(result - light).max() > 0.01


def test_neutral_is_exactly_the_same(light: NDArray[np.float32]) -> None:
    light[0, 0] = (-0.1, 0, 3)
    result = retouched(light, RetouchSettings())
    np.testing.assert_array_equal(result, light)
    assert result is not light
    even = RetouchSettings(tone_curve=(0.7,) * 8, red_curve=(1.05,) * 8)
    np.testing.assert_array_equal(retouched(light, even), light)
    assert even.active == ()


@pytest.mark.parametrize("name", FILTERS)
def test_neutral_parameters_change_nothing(light: NDArray[np.float32], name: str) -> None:
    pixels = torch.from_numpy(light).permute(2, 0, 1)[None]
    result = filtered(pixels, [(name, bounds_of(name).neutral[None])])
    torch.testing.assert_close(result, pixels, atol=1e-6, rtol=0)


def test_the_order_counts(light: NDArray[np.float32]) -> None:
    settings = RetouchSettings(exposure=1, contrast=0.8)
    turned = replace(settings, order=settings.order[::-1])
    assert turned.active == ("contrast", "exposure")
    by_hand = retouched(
        retouched(light, RetouchSettings(contrast=0.8)), RetouchSettings(exposure=1)
    )
    np.testing.assert_allclose(retouched(light, turned), by_hand, atol=1e-6)
    assert np.abs(retouched(light, settings) - by_hand).max() > 0.02


def test_a_crop_of_the_result_is_the_result_of_the_crop() -> None:
    light = np.random.default_rng(1).normal(0.3, 0.4, (90, 2000, 3)).astype(np.float32)
    settings = RetouchSettings(**EVERYTHING)
    whole = retouched(light, settings)
    assert np.isfinite(whole).all()
    part = retouched(light[31:70, 500:1001], settings)
    np.testing.assert_allclose(part, whole[31:70, 500:1001], atol=1e-6)


def test_highlights_come_back() -> None:
    light = np.array([[[1.6, 2.4, 3.6]]], np.float32)
    back = retouched(light, RetouchSettings(exposure=-2))
    np.testing.assert_allclose(back, light / 4)
    late = RetouchSettings(tone_curve=UNEVEN, contrast=0.8, saturation=0.5, exposure=-2)
    late = replace(late, order=(*late.order[1:], "exposure"))
    red, green, blue = retouched(light, late)[0, 0]
    assert 0.25 < red < green < blue < 2


def test_white_grey_and_black_stay_neutral() -> None:
    light = np.repeat(np.array([0, 0.01, 0.2, 0.7, 1, 1.5], np.float32)[None, :, None], 3, axis=2)
    settings = RetouchSettings(
        gamma=0.7, tone_curve=UNEVEN, contrast=-0.6, saturation=1, black_and_white=0.3
    )
    result = retouched(light, settings)[0]
    np.testing.assert_allclose(result, result[:, :1].repeat(3, axis=1), atol=1e-6)
    np.testing.assert_allclose(result[[0, 4]], [[0] * 3, [1] * 3], atol=1e-5)
    assert (np.diff(result[:, 0]) > 0).all()


def test_colours_outside_srgb_do_no_harm() -> None:
    light = np.array([[[-0.05, 0.2, 0.9], [0.5, -0.2, 0.01], [-0.1, -0.1, -0.1]]], np.float32)
    for gamma in (0.34, 3):
        result = retouched(light, RetouchSettings(**EVERYTHING | {"gamma": gamma}))
        assert np.isfinite(result).all()
        assert np.abs(result).max() < 10


@pytest.mark.parametrize("name", FILTERS)
def test_gradients_are_those_of_small_differences(name: str) -> None:
    pixels = torch.rand(1, 3, 5, 5, dtype=torch.float64) * 0.5 + 0.05
    start = torch.tensor([values_of(RetouchSettings(**ALL[name]), name)], dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda x, p: filtered(x, [(name, p)]),
        (pixels.requires_grad_(), start.requires_grad_()),
        atol=1e-4,
    )


def test_a_read_only_picture_is_no_obstacle(light: NDArray[np.float32]) -> None:
    light.flags.writeable = False
    assert retouched(light[:1, :1], RetouchSettings(exposure=1)).shape == (1, 1, 3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"exposure": 3.6}, "exposure 3.6 is not between -3.5 and 3.5"),
        ({"tone_curve": (1.0,) * 7}, "tone_curve has 7 slopes, not 8"),
        ({"red_curve": (1.2,) * 8}, "red_curve 1.2 is not between 0.9 and 1.1"),
        ({"order": ("exposure", "gamma")}, "order exposure gamma does not name each of"),
        ({"order": ("gamma",) * 8}, "does not name each of"),
        ({"order": (*list(FILTERS)[:7], "blur")}, "order 'blur' is not one of exposure"),
    ],
)
def test_what_is_no_setting(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        RetouchSettings(**changes)
    assert message in str(caught.value)


def test_parameters_without_bounds_reach_every_range() -> None:
    for name in FILTERS:
        bounds = bounds_of(name)
        ends = bounds.bounded(torch.tensor([[-30.0], [30.0]]).expand(2, len(bounds.low)))
        torch.testing.assert_close(ends, torch.stack((bounds.low, bounds.high)))
        inside = bounds.bounded(torch.linspace(-2, 2, len(bounds.low)))
        torch.testing.assert_close(bounds.bounded(bounds.free(inside)), inside)
