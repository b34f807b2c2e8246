from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from records import make_record, make_smooth_record
from scipy.ndimage import convolve
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from napari_invisp.errors import RawFileError
from napari_invisp.metrics import (
    absolute_error,
    bits_per_pixel,
    compare_raw,
    compression_ratio,
    network_raw,
    psnr,
    raw_psnr,
    raw_psnr_linear,
    rgb_psnr,
    rgb_ssim,
)
from napari_invisp.sensor.record import CFA_PATTERNS, RawRecord

AXIS = np.array([[0, 1, 0], [1, 4, 1], [0, 1, 0]]) / 4
ALL = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 4


def normalised(record: RawRecord) -> np.ndarray:
    rows, columns = np.indices(record.mosaic.shape) % 2
    black = record.black[rows, columns]
    return (record.mosaic - black) / (record.white - black)


def network_raw_by_convolution(record: RawRecord, white_balance: np.ndarray) -> np.ndarray:
    """The definition, in float64, with whole-frame convolutions."""
    rows, columns = np.indices(record.mosaic.shape) % 2
    channel = record.channels[rows, columns]
    values = normalised(record)
    planes = [
        convolve(np.where(channel == c, values, 0), AXIS if c == 1 else ALL, mode="mirror")
        for c in range(3)
    ]
    balanced = np.stack(planes, -1) * white_balance / white_balance.max()
    return np.clip(balanced, 0, 1) ** (1 / 2.2)


def noisy(record: RawRecord, size: int, seed: int = 1) -> RawRecord:
    noise = np.random.default_rng(seed).integers(-size, size + 1, record.mosaic.shape)
    return record.replace(mosaic=np.clip(record.mosaic + noise, 0, 4095).astype(np.uint16))


@pytest.mark.parametrize("pattern", CFA_PATTERNS)
def test_network_raw_is_balanced_bilinear_rgb_to_the_gamma(pattern: str) -> None:
    record = make_record((37, 50), pattern)
    expected = network_raw_by_convolution(record, record.white_balance)
    np.testing.assert_allclose(network_raw(record), expected, atol=2e-6)


@pytest.mark.parametrize("pattern", CFA_PATTERNS)
@pytest.mark.parametrize("height", [22, 255, 256, 257, 600])
def test_raw_psnr_in_bands_is_that_of_whole_frames(pattern: str, height: int) -> None:
    record = make_smooth_record((height, 31), pattern)
    other = noisy(record, 40)
    expected = peak_signal_noise_ratio(
        network_raw_by_convolution(record, record.white_balance),
        network_raw_by_convolution(other, record.white_balance),
        data_range=1,
    )
    assert raw_psnr(record, other) == pytest.approx(expected, abs=1e-3)
    expected = peak_signal_noise_ratio(normalised(record), normalised(other), data_range=1)
    assert raw_psnr_linear(record, other) == pytest.approx(expected, abs=1e-3)


def test_each_raw_is_scaled_with_its_own_levels_but_balanced_alike() -> None:
    record = make_smooth_record()
    # The same light, measured with other levels, and with another idea of white.
    finer = record.replace(
        mosaic=(record.mosaic * 4).astype(np.uint16),
        black=record.black * 4,
        white=record.white * 4,
        white_balance=[1.0, 3.0, 1.0],
    )
    assert raw_psnr(record, finer) > 120
    assert raw_psnr_linear(record, finer) > 120


def test_differences_beyond_white_only_count_on_the_linear_scale() -> None:
    record = make_record(mosaic=np.full((24, 24), 3990, np.uint16), white_balance=[1, 1, 1])
    brighter = record.replace(mosaic=np.full((24, 24), 4095, np.uint16))
    assert raw_psnr(record, brighter) == math.inf
    assert raw_psnr_linear(record, brighter) < 35


def test_errors_in_counts_have_no_sign_and_do_not_wrap() -> None:
    first = make_record(mosaic=np.array([[0, 4095], [7, 5]] * 12, np.uint16))
    second = first.replace(mosaic=np.array([[4095, 0], [5, 7]] * 12, np.uint16))
    for error in (absolute_error(first, second), absolute_error(second, first)):
        np.testing.assert_array_equal(error, [[4095, 4095], [2, 2]] * 12)


def test_a_comparison_has_all_figures() -> None:
    record = make_smooth_record()
    other = noisy(record, 9)
    difference = np.abs(record.mosaic.astype(int) - other.mosaic)
    assert asdict(compare_raw(record, other)) == {
        "raw_psnr": raw_psnr(record, other),
        "raw_psnr_linear": raw_psnr_linear(record, other),
        "mean_abs_error": pytest.approx(difference.mean()),
        "max_abs_error": 9,
        "identical": False,
    }
    assert asdict(compare_raw(record, record)) == {
        "raw_psnr": math.inf,
        "raw_psnr_linear": math.inf,
        "mean_abs_error": 0,
        "max_abs_error": 0,
        "identical": True,
    }


@pytest.mark.parametrize("compared", [raw_psnr, raw_psnr_linear, absolute_error, compare_raw])
def test_frames_of_different_kinds_are_not_compared(compared: Callable[..., object]) -> None:
    record = make_record((48, 64))
    with pytest.raises(RawFileError, match="differ in size: 64x48 and 48x64"):
        compared(record, make_record((64, 48)))
    with pytest.raises(RawFileError, match="differ in CFA pattern: RGGB and BGGR"):
        compared(record, make_record((48, 64), "BGGR"))


def picture(shape: tuple[int, int]) -> np.ndarray:
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    waves = [np.sin(rows / 9), np.cos(columns / 7), np.sin((rows + columns) / 11)]
    return np.rint(127 + 100 * np.stack(waves, -1)).astype(np.uint8)


@given(st.integers(7, 700), st.integers(7, 24), st.integers(1, 60))
@settings(max_examples=25, deadline=None)
def test_picture_figures_in_bands_are_those_of_whole_pictures(
    height: int, width: int, size: int
) -> None:
    reference = picture((height, width))
    noise = np.random.default_rng(size).integers(-size, size + 1, reference.shape)
    other = np.clip(reference + noise, 0, 255).astype(np.uint8)
    assert rgb_psnr(reference, other) == pytest.approx(
        peak_signal_noise_ratio(reference, other, data_range=255)
    )
    whole = structural_similarity(reference, other, channel_axis=2, data_range=255)
    assert rgb_ssim(reference, other) == pytest.approx(whole, abs=1e-12)


def test_equal_pictures() -> None:
    reference = picture((300, 40))
    assert rgb_psnr(reference, reference) == math.inf
    assert rgb_ssim(reference, reference) == pytest.approx(1)


def test_a_picture_smaller_than_the_window_has_no_similarity() -> None:
    assert math.isnan(rgb_ssim(picture((6, 40)), picture((6, 40))))


def test_psnr_by_hand() -> None:
    assert psnr(0.01) == pytest.approx(20)
    assert psnr(255**2 / 1e4, peak=255) == pytest.approx(40)
    assert psnr(0) == math.inf


def test_file_sizes_by_hand() -> None:
    record = make_record((40, 50), bit_depth=12)  # 2000 samples, packed 3000 bytes
    assert bits_per_pixel(500, record) == 2
    assert compression_ratio(500, record) == 6
    assert compression_ratio(500, record.replace(bit_depth=14)) == 7
    # Eq. 10 and 11 say the same in two ways.
    assert bits_per_pixel(777, record) * compression_ratio(777, record) == pytest.approx(12)


def test_figures_do_not_change_what_they_compare() -> None:
    record = make_record()
    before = record.mosaic.copy()
    compare_raw(record, noisy(record, 3))
    np.testing.assert_array_equal(record.mosaic, before)
