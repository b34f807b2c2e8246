"""The physics chain: exact over all that a sensor can give, neutral where it saturates."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_invisp.errors import CheckpointError, SettingsError
from napari_invisp.flow.headroom import Style, fit, from_metadata
from napari_invisp.flow.parameters import PhysicsParameters
from napari_invisp.flow.physics import Physics
from napari_invisp.flow.scene import Scene
from napari_invisp.flow.tone import encode_gamma

# XYZ → camera of bodies at the ends of LibRaw's table (saturated and flat dyes, old and new).
MATRICES = {
    "Canon EOS 30D": [0.6257, -0.0303, -0.1, -0.788, 1.5621, 0.2396, -0.1714, 0.1904, 0.7046],
    "Nikon D5000": [0.7309, -0.1403, -0.0519, -0.8474, 1.6008, 0.2622, -0.2433, 0.2826, 0.8064],
    "Sony ILCE-7M3": [0.7374, -0.2389, -0.0551, -0.5435, 1.3162, 0.2519, -0.1006, 0.1795, 0.6552],
    "Panasonic GH5": [0.7641, -0.2336, -0.0605, -0.3218, 1.1299, 0.2187, -0.0485, 0.1338, 0.5121],
    "Kodak DCS460": [1.0592, -0.2206, -0.0967, -0.1944, 1.1685, 0.0230, 0.2206, 0.0670, 0.1273],
    "Leica M8": [0.7675, -0.2196, -0.0305, -0.5860, 1.4119, 0.1856, -0.2425, 0.4006, 0.6578],
}
SRGB_TO_XYZ = np.array(
    [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]
)


def camera_to_srgb(xyz_to_camera: list[float]) -> tuple[tuple[float, float, float], ...]:
    camera = np.array(xyz_to_camera).reshape(3, 3) @ SRGB_TO_XYZ
    camera /= camera.sum(1, keepdims=True)
    return tuple(map(tuple, np.linalg.inv(camera).tolist()))


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    red = draw(st.floats(0.9, 4.0))
    blue = draw(st.floats(0.9, 4.5))
    return Scene(
        white_balance=(red, 1.0, blue),
        camera_to_srgb=camera_to_srgb(MATRICES[draw(st.sampled_from(sorted(MATRICES)))]),
        saturation=tuple(draw(st.floats(0.9, 1.1)) for _ in range(3)),
    )


def sensor_cube(scene: Scene, points: int) -> torch.Tensor:
    """Every combination of sensor values from black to saturation, as balanced RGB."""
    axis = torch.linspace(0, 1, points, dtype=torch.float64)
    cube = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij")).reshape(1, 3, points, -1)
    wb = torch.tensor(scene.white_balance, dtype=torch.float64)
    return cube * (wb / wb.max() * torch.tensor(scene.saturation)).view(1, 3, 1, 1)


@settings(deadline=None, max_examples=60)
@given(scene=scenes(), headroom=st.floats(0, 1), neutral=st.floats(0, 1))
def test_exact_inverse_over_the_cube_of_sensor_values(
    scene: Scene, headroom: float, neutral: float
) -> None:
    model = Physics(from_metadata(scene, headroom, Style(neutral=neutral)))
    x = sensor_cube(scene, 13)
    assert (model.inverse(model(x)) - x).abs().max() < 1e-9
    single = x.float()
    assert (model.inverse(model(single)) - single).abs().max() < 1e-4


@settings(deadline=None, max_examples=25)
@given(scene=scenes(), headroom=st.floats(0, 1), neutral=st.floats(0, 1), seed=st.integers(0, 99))
def test_exact_inverse_with_parameters_fitted_to_a_picture(
    scene: Scene, headroom: float, neutral: float, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    x = sensor_cube(scene, 13)
    sample = x.reshape(3, -1).float() * torch.rand((1, x[0, 0].numel()), generator=generator)
    model = Physics(fit(scene, sample, headroom, Physics, Style(neutral=neutral)))
    assert model.chain.neutral == neutral
    assert (model.inverse(model(x)) - x).abs().max() < 1e-9
    assert (model.inverse(model(x.float())) - x.float()).abs().max() < 1e-4


@settings(deadline=None, max_examples=60)
@given(scene=scenes(), headroom=st.floats(0, 1), neutral=st.floats(0, 1))
def test_saturated_pixels_come_out_neutral(scene: Scene, headroom: float, neutral: float) -> None:
    model = Physics(from_metadata(scene, headroom, Style(neutral=neutral)))
    code = (model(saturated(scene)) * 255).round().flatten()
    assert code.tolist() == [255, 255, 255]


@settings(deadline=None, max_examples=10)
@given(scene=scenes(), headroom=st.floats(0, 1))
def test_saturated_pixels_come_out_neutral_in_a_picture_with_many(
    scene: Scene, headroom: float
) -> None:
    x = sensor_cube(scene, 9).float()
    sample = torch.cat([x.reshape(3, -1), saturated(scene).float().reshape(3, 1).expand(3, 300)], 1)
    model = Physics().conditioned(scene, sample, headroom)
    code = (model(saturated(scene)) * 255).round().flatten()
    assert code.max() == code.min()
    assert code.min() > 225


def saturated(scene: Scene) -> torch.Tensor:
    wb = torch.tensor(scene.white_balance, dtype=torch.float64)
    return (wb / wb.max() * torch.tensor(scene.saturation)).view(1, 3, 1, 1)


def grey(scene: Scene, light: torch.Tensor) -> torch.Tensor:
    """A grey ramp as the sensor sees it: all channels equal once balanced, up to white."""
    least = min(scene.white_balance) / max(scene.white_balance)
    return (light * least).expand(1, 3, 1, -1)


def greenness(model: Physics) -> torch.Tensor:
    """How many codes a grey ramp is greener than grey, on its way to where all is saturated."""
    scene = model.chain.scene
    least, most = min(scene.white_balance), max(scene.white_balance)
    light = torch.linspace(0, 1.1 * most / least, 500, dtype=torch.float64)
    ramp = grey(scene, light).minimum(saturated(scene))
    red, green, blue = (model(ramp) * 255)[0, :, 0]
    return green - (red + blue) / 2


@pytest.mark.parametrize("camera", sorted(MATRICES))
@pytest.mark.parametrize("headroom", [0.25, 0.5, 0.75])
@pytest.mark.parametrize("balance", [(2.0, 1.0, 2.0), (2.1, 1.0, 1.8), (1.7, 1.0, 2.0)])
def test_joint_highlights_keep_grey_grey(
    camera: str, headroom: float, balance: tuple[float, float, float]
) -> None:
    scene = Scene(balance, camera_to_srgb(MATRICES[camera]))
    apart, half, joint = (
        greenness(Physics(from_metadata(scene, headroom, Style(neutral=neutral)))).abs().max()
        for neutral in (0.0, 0.5, 1.0)
    )
    assert joint < 6
    assert joint < half < apart
    assert apart > 10


@pytest.mark.parametrize("headroom", [0.0, 0.5, 1.0])
def test_joint_highlights_are_just_grey_from_where_the_first_channel_saturates(
    headroom: float,
) -> None:
    scene = Scene((2.0, 1.0, 2.0), camera_to_srgb(MATRICES["Nikon D5000"]))
    light = torch.linspace(1, 2, 50, dtype=torch.float64)
    ramp = grey(scene, light).minimum(saturated(scene))
    model = Physics(from_metadata(scene, headroom, Style(neutral=1.0)))
    red, green, blue = (model(ramp) * 255)[0, :, 0]
    assert (green - red).abs().max() < 1e-3
    assert (green - blue).abs().max() < 1e-3


@settings(deadline=None, max_examples=40)
@given(scene=scenes(), headroom=st.floats(0, 1))
def test_joint_highlights_leave_alone_what_is_not_bright(scene: Scene, headroom: float) -> None:
    apart, joint = (
        Physics(from_metadata(scene, headroom, Style(neutral=neutral))) for neutral in (0.0, 1.0)
    )
    x = sensor_cube(scene, 9)
    knee = min(min(r.start for r in model._roll_offs) for model in (apart, joint))
    dim = (encode_gamma(x * scene.gain) <= knee).all(1, keepdim=True).expand_as(x)
    assert torch.equal(joint(x)[dim], apart(x)[dim])


@settings(deadline=None, max_examples=40)
@given(scene=scenes())
def test_grey_below_the_knee_is_rendered_as_libraw_does(scene: Scene) -> None:
    model = Physics(from_metadata(scene, 0.5))
    light = torch.linspace(0, 0.6, 50, dtype=torch.float64)
    code = (model(grey(scene, light)) * 255).round()
    reference = np.floor(256 * bt709(light.numpy()))
    assert np.abs(code.numpy() - reference).max() <= 1


def test_more_headroom_keeps_more_and_changes_more() -> None:
    scene = Scene((2.0, 1.0, 1.5), camera_to_srgb(MATRICES["Nikon D5000"]))
    generator = torch.Generator().manual_seed(1)
    light = torch.rand(20_000, generator=generator) * 2  # as far beyond white as the sensor goes
    tint = 0.8 + 0.2 * torch.rand((3, 20_000), generator=generator)
    saturated_at = torch.tensor(scene.white_balance)[:, None]
    u = (light * tint).minimum(saturated_at)  # at LibRaw's exposure
    rendered = torch.tensor(scene.matrix).float() @ u.clamp(max=1)
    reference = np.floor(256 * bt709(rendered.numpy().clip(0, 1))).clip(0, 255)
    sample = u / scene.gain
    changes, losses = [], []
    for headroom in (0.0, 0.3, 0.6, 1.0):
        model = Physics().conditioned(scene, sample, headroom)
        code = (model(sample[None, :, None]) * 255).round().clamp(0, 255)
        changes.append(float(np.square(code[0, :, 0].numpy() - reference).mean()))
        noisy = (code + torch.randn(code.shape, generator=generator)).clamp(0, 255)
        recovered = model.recover(noisy / 255)[0, :, 0].clamp(0, 1)
        losses.append(float((recovered ** (1 / 2.2) - sample ** (1 / 2.2)).square().mean()))
    assert changes == sorted(changes)
    assert losses == sorted(losses, reverse=True)


def bt709(light: np.ndarray) -> np.ndarray:
    return np.where(light < 0.018054, 4.5 * light, 1.0993 * light**0.45 - 0.0993)


def test_headroom_costs_nothing_where_nothing_clips() -> None:
    scene = Scene((2.0, 1.0, 1.5), camera_to_srgb(MATRICES["Nikon D5000"]))
    generator = torch.Generator().manual_seed(1)
    light = torch.rand(20_000, generator=generator) * 0.8
    u = light * (0.9 + 0.1 * torch.rand((3, 20_000), generator=generator))
    sample = u / scene.gain
    rendered = torch.tensor(scene.matrix).float() @ u
    reference = np.floor(256 * bt709(rendered.numpy()))
    for headroom in (0.0, 0.5, 1.0):
        model = Physics().conditioned(scene, sample, headroom)
        code = (model(sample[None, :, None])[0, :, 0] * 255).round().numpy()
        assert np.abs(code - reference).max() <= 1


@pytest.mark.parametrize("headroom", [-0.1, 1.1, float("nan")])
def test_headroom_out_of_range_is_refused(headroom: float) -> None:
    with pytest.raises(SettingsError, match="headroom"):
        from_metadata(Scene((1, 1, 1), camera_to_srgb(MATRICES["Leica M8"])), headroom)


def test_the_memo_brings_the_model_back() -> None:
    scene = Scene((2.0, 1.0, 1.5), camera_to_srgb(MATRICES["Leica M8"]), (1.0, 1.05, 0.95), "GRBG")
    model = Physics(from_metadata(scene, 0.7, Style(neutral=0.6)))
    again = Physics().remembering(json.loads(json.dumps(model.memo())))
    x = sensor_cube(scene, 5)
    assert torch.equal(again(x), model(x))


@pytest.mark.parametrize("field", sorted(Physics().memo()))
def test_a_memo_that_lacks_something_is_refused(field: str) -> None:
    memo = Physics().memo()
    del memo[field]
    with pytest.raises(CheckpointError, match=f"damaged: .*{field}"):
        PhysicsParameters.from_dict(memo)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("knees", (0.9, 0.9)),
        ("shapes", [1.0, 1.0, "round"]),
        ("neutral", float("nan")),
        ("neutral", None),
        ("low", 0.95),
        ("high", (0.97, float("inf"))),
        ("scale", 0.0),
        ("scale", -1.0),
        ("departure", -0.1),
        ("snap", "0.01 or so"),
        ("trust", {}),
        ("scene", None),
        ("scene", []),
        ("colour", "sRGB"),
    ],
)
def test_a_memo_with_something_impossible_is_refused(field: str, value: Any) -> None:
    with pytest.raises(CheckpointError, match="damaged"):
        Physics().remembering(Physics().memo() | {field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("white_balance", (2.0, 0.0, 1.5)),
        ("white_balance", (2.0, 1.0)),
        ("camera_to_srgb", ((1.0, 0.0, 0.0),) * 3),
        ("camera_to_srgb", (1.0, 0.0, 0.0)),
        ("saturation", (1.0, 1.0, float("nan"))),
        ("pattern", "RGBW"),
        ("pattern", None),
        ("lens", "50 mm"),
    ],
)
def test_a_memo_of_an_impossible_scene_is_refused(field: str, value: Any) -> None:
    memo = Physics().memo()
    with pytest.raises(CheckpointError, match="damaged"):
        Physics().remembering(memo | {"scene": memo["scene"] | {field: value}})


@pytest.mark.parametrize("memo", [None, 3, "physics", [], {}])
def test_what_is_no_memo_is_refused(memo: Any) -> None:
    with pytest.raises(CheckpointError, match="damaged"):
        Physics().remembering(memo)
