from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from bright_scenes import record_of, smooth_scene
from records import CAPTURE

from napari_invisp.applications.brackets import merged_pictures
from napari_invisp.hdr.merging import merge
from napari_invisp.linear import codes_from_linear, linear_from_codes, linear_srgb
from napari_invisp.sensor.record import RawRecord

TIMES = (1.0, 0.25, 4.0)


def scene() -> np.ndarray:
    """Surfaces from a hundredth of white to twice as much, white-balanced camera RGB."""
    tiles = np.random.default_rng(1).uniform(-5, 1, (10, 12))
    sharp = smooth_scene(160, 192) * 2 ** np.kron(tiles, np.ones((16, 16)))[..., None]
    return cv2.GaussianBlur(sharp.clip(0.01, 2), None, 1.5)  # as lenses do


def frame(time: float) -> RawRecord:
    capture = replace(CAPTURE, exposure_time=time / 100)
    return record_of(scene(), time=time, noise=1e-4, seed=round(time * 4), capture=capture)


@pytest.fixture(scope="module")
def frames() -> list[RawRecord]:
    return [frame(time) for time in TIMES]


def test_pictures_are_merged_to_the_light_of_the_scene(frames: list[RawRecord]) -> None:
    pictures = [codes_from_linear(linear_srgb(each)) for each in frames]
    merged = merge(frames)
    light = merged_pictures(pictures, merged)
    truth = scene() @ frames[0].camera_to_srgb.T
    shown = (truth > 0.002).all(axis=2) & (pictures[1] < 250).all(axis=2)
    assert shown.mean() > 0.9
    assert np.median(np.abs(light / truth - 1)[shown]) < 0.05
    highlights, shadows = (truth[shown].mean(axis=1) > 1.2), (truth[shown].mean(axis=1) < 0.1)
    ours, single = (
        np.abs(each[shown] / truth[shown] - 1) for each in (light, linear_from_codes(pictures[0]))
    )
    assert ours[highlights].mean() < 0.2 * single[highlights].mean()
    assert ours[shadows].mean() < 0.7 * single[shadows].mean()


def test_what_is_white_in_all_pictures_is_white_of_the_shortest(frames: list[RawRecord]) -> None:
    white = np.full((160, 192, 3), 255, np.uint8)
    light = merged_pictures([white] * 3, merge(frames))
    np.testing.assert_allclose(light, 4, rtol=0.1)


def test_pictures_are_moved_as_the_raw_files_were(frames: list[RawRecord]) -> None:
    merged = replace(merge(frames), shifts=((0.0, 0.0), (0.0, 0.0), (3.0, -2.0)))
    pictures = [codes_from_linear(linear_srgb(each)) for each in frames]
    away = [*pictures[:2], np.roll(pictures[2], (-3, 2), axis=(0, 1))]
    inside = np.s_[16:-16, 16:-16]
    placed = merged_pictures(away, merged)[inside]
    np.testing.assert_allclose(
        placed, merged_pictures(pictures, merge(frames))[inside], rtol=0.02, atol=0.01
    )
