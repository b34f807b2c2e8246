from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.transform import downscale_local_mean

from napari_invisp.viewer.layers.pyramids import halved, peaks, pyramid, rebuild


@given(
    st.integers(2, 150),
    st.integers(2, 40),
    st.sampled_from([(), (3,)]),
    st.sampled_from([np.uint8, np.uint16]),
    st.integers(0, 2**32 - 1),
)
def test_a_level_holds_the_means_of_2x2_blocks(
    height: int, width: int, channels: tuple[int, ...], dtype: type, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, np.iinfo(dtype).max, (height, width, *channels), dtype, endpoint=True)
    whole = pixels[: height // 2 * 2, : width // 2 * 2].astype(np.float64)
    expected = downscale_local_mean(whole, (2, 2) + (1,) * len(channels))
    level = halved(pixels)
    assert level.dtype == dtype
    assert level.shape == expected.shape
    np.testing.assert_allclose(level, expected, atol=0.5)


def test_means_of_floats_are_not_rounded() -> None:
    pixels = np.random.default_rng(0).normal(size=(131, 40)).astype(np.float32)
    level = halved(pixels)
    assert level.dtype == np.float32
    np.testing.assert_allclose(level, downscale_local_mean(pixels[:130], (2, 2)), atol=1e-6)


def test_one_bright_pixel_is_seen_from_afar() -> None:
    pixels = np.zeros((2000, 1100), np.uint8)
    pixels[1234, 567] = 1
    levels = pyramid(pixels, peaks)
    assert [level.shape for level in levels] == [(2000, 1100), (1000, 550), (500, 275)]
    for n, level in enumerate(levels):
        assert level[1234 >> n, 567 >> n] == level.sum() == 1


@given(st.integers(0, 1298), st.integers(0, 698), st.integers(1, 400), st.integers(1, 400))
def test_levels_follow_what_changes_below(top: int, left: int, height: int, width: int) -> None:
    rng = np.random.default_rng(0)
    for dtype, reduction in ((np.float32, halved), (np.uint8, peaks)):
        pixels = rng.integers(0, 255, (1299, 699)).astype(dtype)
        levels = pyramid(pixels, reduction)
        part = (slice(top, min(top + height, 1299)), slice(left, min(left + width, 699)))
        pixels[part] = 7
        rebuild(levels, *part, reduction)
        for found, expected in zip(levels, pyramid(pixels, reduction), strict=True):
            np.testing.assert_array_equal(found, expected)


def test_white_stays_white() -> None:
    for dtype in (np.uint8, np.uint16):
        white = np.full((8, 8), np.iinfo(dtype).max, dtype)
        assert (halved(white) == np.iinfo(dtype).max).all()


@pytest.mark.parametrize(
    ("shape", "levels"),
    [((512, 512), 1), ((513, 200), 2), ((3000, 4000), 4), ((2, 2), 1), ((3, 5000), 2)],
)
def test_levels_go_down_to_a_thumbnail(shape: tuple[int, int], levels: int) -> None:
    pixels = np.zeros(shape, np.uint8)
    built = pyramid(pixels)
    assert built[0] is pixels
    assert [level.shape for level in built] == [
        (shape[0] // 2**n, shape[1] // 2**n) for n in range(levels)
    ]
