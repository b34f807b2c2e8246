from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.transform import downscale_local_mean

from napari_invisp.viewer.pyramids import halved, pyramid


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
