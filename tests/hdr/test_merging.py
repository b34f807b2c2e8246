from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from bright_scenes import record_of
from records import CAPTURE, make_record

from napari_invisp.errors import Cancelled, RawFileError
from napari_invisp.hdr.merging import merge
from napari_invisp.hdr.noise import measured_noise
from napari_invisp.linear import linear_srgb
from napari_invisp.sensor.record import RawRecord

# Variance of a sample at white.
NOISE = 1e-4


def hdr_scene(height: int = 192, width: int = 256, pad: int = 16) -> np.ndarray:
    """Coloured surfaces with edges and texture from 1/64 to 3 times white."""
    rng = np.random.default_rng(5)
    shape = height + 2 * pad, width + 2 * pad
    tiles = rng.uniform(-6, 1, (shape[0] // 16 + 1, shape[1] // 16 + 1))
    brightness = 2.0 ** np.kron(tiles, np.ones((16, 16)))[: shape[0], : shape[1]]
    brightness[64:128, 64:128] = 3
    colour = 1 + 0.2 * np.kron(rng.uniform(-1, 1, (*tiles.shape, 3)), np.ones((16, 16, 1)))
    sharp = brightness[..., None] * colour[: shape[0], : shape[1]]
    return cv2.GaussianBlur(sharp, None, 1.5)  # as lenses do


def frame(time: float, shift: tuple[int, int] = (0, 0), **facts: Any) -> RawRecord:
    scene = hdr_scene()
    top, left = 16 - shift[0], 16 - shift[1]
    capture = replace(CAPTURE, exposure_time=time / 100)
    given = {"capture": capture, "noise": NOISE, "seed": round(100 * time)} | facts
    return record_of(scene[top : top + 192, left : left + 256], time=time, **given)


def truth() -> np.ndarray:
    return hdr_scene()[16:-16, 16:-16] @ frame(1).camera_to_srgb.T


def test_a_bracket_shows_highlights_and_shadows() -> None:
    frames = [frame(1), frame(0.25), frame(4)]
    merged = merge(frames)
    assert merged.record is frames[0]
    assert merged.reference == 0
    assert merged.exposures == pytest.approx((0, -2, 2))
    assert merged.measured == pytest.approx((0, -2, 2), abs=0.03)
    assert merged.shifts == ((0, 0),) * 3
    assert merged.notes == ()
    assert sum(merged.shares) == pytest.approx(1)
    assert min(merged.shares) > 0
    true, single = truth(), linear_srgb(frames[0])
    highlights = np.s_[50:98, 50:98]
    assert np.abs(merged.linear[highlights] / true[highlights] - 1).mean() < 0.05
    assert np.abs(single[highlights] / true[highlights] - 1).mean() > 0.4
    # 5.25 times the light: less than half the noise, but for what demosaicing adds.
    again = [frame(1, seed=7), frame(0.25, seed=8), frame(4, seed=9)]
    dark = (true.max(axis=2) < 0.1) & (true.min(axis=2) > 0.01)
    noise = [
        np.std((first - second)[dark])
        for first, second in (
            (merged.linear, merge(again).linear),
            (single, linear_srgb(again[0])),
        )
    ]
    assert noise[0] < 0.6 * noise[1]


def test_a_frame_that_moved_is_put_in_place() -> None:
    still, moved = merge([frame(1), frame(4)]), merge([frame(1), frame(4, shift=(5, -8))])
    assert moved.shifts[0] == (0, 0)
    assert moved.shifts[1] == pytest.approx((-5, 8), abs=0.3)
    assert "frame 2 was moved by -" in moved.notes[0]
    inner = np.s_[12:-12, 12:-12]
    errors = [np.abs(each.linear - truth())[inner].mean() for each in (still, moved)]
    assert errors[1] < 1.5 * errors[0]


def test_exposures_count_with_iso_and_aperture() -> None:
    capture = replace(CAPTURE, exposure_time=0.01, iso=1600, f_number=11.2)
    merged = merge([frame(1), frame(1, capture=capture)])
    # Four times the ISO, a quarter of the light.
    assert merged.exposures == pytest.approx((0, 0), abs=0.01)


def test_what_the_frames_show_goes_before_exif() -> None:
    wrong = replace(CAPTURE, exposure_time=0.01 / 2)
    merged = merge([frame(1), frame(0.25, capture=wrong)])
    reference = merged.reference
    other = 1 - reference
    assert abs(merged.exposures[other]) == pytest.approx(1)
    assert merged.measured[other] is not None
    assert abs(merged.measured[other]) == pytest.approx(2, abs=0.05)
    assert "what it shows was used" in merged.notes[0]


def test_frames_of_different_white_balance() -> None:
    merged = merge([frame(1), frame(0.25)])
    other = merge([frame(1), frame(0.25).replace(white_balance=[1.8, 1.1, 1.7])])
    # Balance is that of the reference; the other frame's is put aside.
    reference = (merged.reference, other.reference)
    assert reference == (1, 1)
    swapped = merge([frame(1).replace(white_balance=[1.8, 1.1, 1.7]), frame(0.25)])
    np.testing.assert_array_equal(swapped.linear, merged.linear)


def test_what_cannot_be_merged() -> None:
    one = frame(1)
    capture = one.capture

    def refuse(message: str, *others: RawRecord) -> None:
        with pytest.raises(RawFileError, match=message):
            merge([one, *others])

    refuse("a bracket is two RAW files or more")
    refuse("differ in size", make_record((60, 60)))
    refuse("differ in CFA pattern", make_record((192, 256), "BGGR"))
    refuse(
        r"frame 2 is from another camera \(Maker Model Two\) than the first \(Maker Model One\)",
        one.replace(model="Model Two"),
    )
    refuse(
        "frame 3 does not say how long it was exposed",
        one,
        one.replace(capture=replace(capture, exposure_time=None)),
    )
    refuse(
        "frame 2 does not say its f-number, as others do",
        one.replace(capture=replace(capture, f_number=None)),
    )
    refuse(
        "frame 2 does not say its ISO, as others do",
        one.replace(capture=replace(capture, iso=None)),
    )


def test_a_lens_without_contacts_is_no_obstacle() -> None:
    frames = [
        each.replace(capture=replace(each.capture, f_number=None)) for each in (frame(1), frame(4))
    ]
    assert merge(frames).exposures == pytest.approx((0, 2))


def test_progress_and_stopping() -> None:
    told: list[tuple[int, int]] = []
    merge([frame(1), frame(4)], step=lambda done, total: told.append((done, total)))
    assert told == [(done, 5) for done in range(6)]
    with pytest.raises(Cancelled):
        merge([frame(1), frame(4)], cancelled=lambda: len(told) > 0)


def test_noise_is_measured() -> None:
    rows = np.mgrid[:400, :400][0]
    flat = np.repeat((0.02 + 0.6 * rows / 400)[..., None], 3, axis=2)
    found = {}
    for variance in (1e-4, 4e-4):
        record = record_of(flat, noise=variance, white_balance=[1, 1, 1])
        found[variance] = measured_noise(record)
        # The smoothest blocks: less than the truth by a factor, and always the same one.
        assert 0.4 < found[variance].gain / variance < 1.1
    assert found[4e-4].gain / found[1e-4].gain == pytest.approx(4, rel=0.15)
    silent = measured_noise(record_of(flat, white_balance=[1, 1, 1]))
    assert silent.gain < 1e-6
    assert silent.floor == pytest.approx(1 / 4031**2 / 12, rel=0.01)


def test_a_real_bracket(shared_raw: Path) -> None:
    """Two hand-held frames of sample1–3, in crops."""
    from napari_invisp.sensor.reading import read_raw

    crop = np.s_[600:1240, 2200:3000]
    frames = [
        record.replace(mosaic=record.mosaic[crop].copy())
        for record in (read_raw(shared_raw / f"sample{number}.dng") for number in (1, 2, 3))
    ]
    merged = merge(frames)
    assert merged.exposures == pytest.approx((0, -2, 2), abs=0.01)
    assert merged.measured == pytest.approx((0, -2, 2), abs=0.15)
    # They moved by 2.3 and 3.8, 6.2 and 2.3 pixels, as found in the whole frames.
    assert merged.shifts[1] == pytest.approx((2.3, 3.8), abs=0.6)
    # Shared detail stays as sharp as in the reference: where that is well exposed, they agree.
    single = linear_srgb(frames[0])
    inner = np.s_[20:-20, 20:-20]
    good = (single[inner].min(axis=2) > 0.05) & (single[inner].max(axis=2) < 0.6)
    ratio = merged.linear[inner][good] / single[inner][good]
    assert np.median(ratio) == pytest.approx(1, abs=0.03)
    assert np.quantile(np.abs(np.log2(np.maximum(ratio, 0.01))), 0.9) < 0.3
