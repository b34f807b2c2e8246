from __future__ import annotations

from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from bright_scenes import record_of, smooth_scene

from napari_invisp.errors import SettingsError
from napari_invisp.hdr.highlights import linear_srgb_hdr, saturation_levels
from napari_invisp.linear import linear_srgb


def test_what_does_not_saturate_is_as_before() -> None:
    record = record_of(0.25 * smooth_scene(96, 128))
    np.testing.assert_allclose(linear_srgb_hdr(record), linear_srgb(record), atol=1e-6)


def test_clip_is_libraws_way() -> None:
    record = record_of(smooth_scene(96, 128))
    np.testing.assert_array_equal(linear_srgb_hdr(record, "clip"), linear_srgb(record))
    with pytest.raises(SettingsError, match="'blend' is not one of reconstruct, clip"):
        linear_srgb_hdr(record, "blend")


def test_lost_channels_come_back() -> None:
    light = smooth_scene(128, 192)
    record = record_of(light)
    ends = saturation_levels(record)
    np.testing.assert_allclose(ends, [2, 1, 1.5])  # green needs least of white balance
    truth = light @ record.camera_to_srgb.T
    lost = (light > 1.1 * ends).any(axis=2) & (light < 0.8 * ends).any(axis=2)
    assert lost.mean() > 0.1
    found, cut = linear_srgb_hdr(record)[lost], linear_srgb(record)[lost]
    true = truth[lost]

    def brightness_error(values: np.ndarray) -> float:
        return float(np.sqrt(np.mean(np.log2(values.mean(axis=1) / true.mean(axis=1)) ** 2)))

    def colour_error(values: np.ndarray) -> float:
        shares = [each / each.sum(axis=1, keepdims=True) for each in (values, true)]
        return float(np.sqrt(np.mean((shares[0] - shares[1]) ** 2)))

    assert brightness_error(found) < 0.35 * brightness_error(cut)
    assert colour_error(found) < 0.6 * colour_error(cut)


@pytest.mark.parametrize("balance", list(permutations([1.0, 1.5, 2.2])))
def test_grey_stays_grey_through_saturation(balance: tuple[float, ...]) -> None:
    ramp = np.tile(np.linspace(0.2, 4, 160)[:, None], (64, 1, 3))
    found = linear_srgb_hdr(record_of(ramp, white_balance=balance))[3:-3, 3:-3]
    assert np.abs(found / found.mean(axis=2, keepdims=True) - 1).max() < 0.03
    # It goes on beyond white as far as the last channel tells, without a step on the way.
    along = found[30, :, 1]
    assert along.max() == pytest.approx(2.2, rel=0.03)
    assert np.diff(along).min() > -0.02
    assert np.diff(along).max() < 0.08


def test_a_saturated_patch_of_any_colour_is_not_magenta() -> None:
    light = np.full((96, 96, 3), 0.3)
    light[:, 48:] *= [1.2, 0.7, 1.2]  # purple beside it
    light[24:72, 24:72] = 30
    found = linear_srgb_hdr(record_of(light))[30:66, 30:66]
    assert np.abs(found / found.mean() - 1).max() < 0.02


def test_two_exposures_of_one_scene_agree(shared_raw: Path) -> None:
    """The sky of sample1 is beyond white; sample2, two stops shorter, shows all of it."""
    from napari_invisp.hdr.aligning import matched
    from napari_invisp.sensor.reading import read_raw

    bright, dark = (read_raw(shared_raw / f"sample{number}.dng") for number in (1, 2))
    match = matched(dark, bright, -2)
    assert match.shift is not None
    assert match.ratio == pytest.approx(-2, abs=0.05)
    down, right = np.rint(match.shift).astype(int)
    crop = np.s_[0:600, 2200:3000]
    # Even offsets keep the pattern; what is left of the shift is blurred away.
    moved = np.s_[0:600, 2200 - right // 2 * 2 : 3000 - right // 2 * 2]
    light, clipped = (
        develop(bright.replace(mosaic=bright.mosaic[crop].copy()))
        for develop in (linear_srgb_hdr, linear_srgb)
    )
    truth = 2**-match.ratio * linear_srgb_hdr(dark.replace(mosaic=dark.mosaic[moved].copy()))
    blocks = [each.reshape(30, 20, 40, 20, 3).mean(axis=(1, 3)) for each in (light, clipped, truth)]
    beyond = blocks[2].max(axis=2) > 1.1
    assert beyond.mean() > 0.2
    errors = [np.abs(np.log2(each[beyond] / blocks[2][beyond])).mean() for each in blocks[:2]]
    assert down < 8
    assert errors[0] < 0.5 * errors[1]
