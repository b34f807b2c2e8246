from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from records import make_record
from scipy import ndimage

from napari_invisp.sensor.cfa import (
    channel_index,
    demosaic_bilinear,
    denormalise,
    mosaic_from_rgb,
    normalise,
    put_mosaic,
)
from napari_invisp.sensor.record import CFA_PATTERNS

patterns = st.sampled_from(CFA_PATTERNS)
sizes = st.tuples(st.integers(2, 9), st.integers(2, 9))
samples = st.floats(-0.25, 2.0, width=32)
mosaics = sizes.flatmap(lambda size: hnp.arrays(np.float32, size, elements=samples))


def channels_of(pattern: str) -> np.ndarray:
    return make_record(pattern=pattern).channels


def textbook_bilinear(mosaic: np.ndarray, channels: np.ndarray) -> np.ndarray:
    """Masks and kernels, as the method is usually written down."""
    index = channel_index(channels, mosaic.shape)
    cross = np.array([[0, 1, 0], [1, 4, 1], [0, 1, 0]]) / 4
    square = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 4
    planes = [
        ndimage.convolve(np.where(index == channel, mosaic, 0.0), kernel, mode="mirror")
        for channel, kernel in enumerate((square, cross, square))
    ]
    return np.stack(planes, axis=-1)


@pytest.mark.parametrize("pattern", CFA_PATTERNS)
def test_each_site_has_the_channel_that_the_pattern_names(pattern: str) -> None:
    index = channel_index(channels_of(pattern), (3, 5))
    letters = ["".join("RGB"[i] for i in row) for row in index]
    first, second = pattern[:2] * 3, pattern[2:] * 3
    assert letters == [first[:5], second[:5], first[:5]]


@given(mosaics, patterns)
def test_the_mosaic_comes_back_exactly(mosaic: np.ndarray, pattern: str) -> None:
    channels = channels_of(pattern)
    rgb = demosaic_bilinear(mosaic, channels)
    assert rgb.shape == (*mosaic.shape, 3)
    assert rgb.dtype == np.float32
    np.testing.assert_array_equal(mosaic_from_rgb(rgb, channels), mosaic)


@given(sizes, patterns, samples)
def test_flat_stays_flat_up_to_the_border(
    size: tuple[int, int], pattern: str, value: float
) -> None:
    flat = np.full(size, value, np.float32)
    np.testing.assert_array_equal(demosaic_bilinear(flat, channels_of(pattern)), np.float32(value))


@given(mosaics, patterns)
def test_agrees_with_the_textbook_kernels(mosaic: np.ndarray, pattern: str) -> None:
    channels = channels_of(pattern)
    np.testing.assert_allclose(
        demosaic_bilinear(mosaic, channels), textbook_bilinear(mosaic, channels), atol=1e-6
    )


@pytest.mark.parametrize("height", [15, 16, 17, 33, 50])
def test_agrees_with_the_textbook_kernels_over_many_rows(height: int) -> None:
    mosaic = np.random.default_rng(height).random((height, 37), np.float32)
    channels = channels_of("GBRG")
    np.testing.assert_allclose(
        demosaic_bilinear(mosaic, channels), textbook_bilinear(mosaic, channels), atol=1e-6
    )


def test_the_mosaic_of_integers_stays_integer() -> None:
    rgb = np.random.default_rng(0).integers(0, 65536, (5, 7, 3), dtype=np.uint16)
    mosaic = mosaic_from_rgb(rgb, channels_of("BGGR"))
    assert mosaic.dtype == np.uint16
    assert mosaic[0, 0] == rgb[0, 0, 2]
    assert mosaic[4, 6] == rgb[4, 6, 2]
    assert mosaic[3, 5] == rgb[3, 5, 0]


def test_put_mosaic_replaces_measured_samples_and_nothing_else() -> None:
    rng = np.random.default_rng(0)
    before = rng.random((7, 6, 3), np.float32)
    mosaic = rng.random((7, 6), np.float32)
    channels = channels_of("GRBG")
    after = before.copy()
    put_mosaic(after, mosaic, channels)
    np.testing.assert_array_equal(mosaic_from_rgb(after, channels), mosaic)
    assert np.count_nonzero(after != before) == mosaic.size


@pytest.mark.parametrize("shape", [(6, 8), (7, 9)])
def test_normalise_puts_black_at_0_and_white_at_1_at_each_site(shape: tuple[int, int]) -> None:
    black = np.array([[10.0, 20.0], [30.5, 40.0]])
    record = make_record(shape, black=black, white=1000)
    values = normalise(record)
    assert values.dtype == np.float32
    for row in range(shape[0]):
        for column in range(shape[1]):
            level = black[row % 2, column % 2]
            expected = (float(record.mosaic[row, column]) - level) / (1000 - level)
            assert values[row, column] == pytest.approx(expected, rel=1e-6, abs=1e-7)
    assert values.max() > 1


@given(
    hnp.arrays(np.uint16, st.tuples(st.integers(2, 6), st.integers(2, 6))),
    hnp.arrays(np.float64, (2, 2), elements=st.floats(0, 1023)),
    st.floats(1024, 65535),
)
def test_counts_survive_normalising(mosaic: np.ndarray, black: np.ndarray, white: float) -> None:
    record = make_record(mosaic=mosaic, black=black, white=white)
    np.testing.assert_array_equal(denormalise(normalise(record), black, white), mosaic)


def test_denormalise_rounds_and_clips_to_the_type_but_not_to_white() -> None:
    values = np.array([[-1.0, 1.2], [0.00026, 90.0]])
    counts = denormalise(values, np.full((2, 2), 100), 1100)
    assert counts.dtype == np.uint16
    np.testing.assert_array_equal(counts, [[0, 1300], [100, 65535]])
