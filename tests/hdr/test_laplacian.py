from __future__ import annotations

import numpy as np
import pytest

from napari_invisp.errors import Cancelled
from napari_invisp.hdr.laplacian import (
    collapsed,
    depth,
    laplacian_pyramid,
    local_laplacian,
    local_laplacian_direct,
)
from napari_invisp.hdr.settings import ToneSettings


@pytest.fixture(scope="module")
def small() -> np.ndarray:
    """A step of 3 EV with texture on both sides."""
    rng = np.random.default_rng(0)
    plane = np.where(np.arange(23) < 11, -4.0, -1.0) + 0.3 * rng.standard_normal((18, 23))
    return plane.astype(np.float32)


def step_edge(height: float) -> np.ndarray:
    row = np.where(np.arange(96) < 48, -4, -4 + height)
    return np.tile(row, (64, 1)).astype(np.float32)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (2, 3), (33, 20), (64, 47)])
def test_a_pyramid_goes_together_again(shape: tuple[int, int]) -> None:
    plane = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    pyramid = laplacian_pyramid(plane, depth(shape))
    assert min(pyramid[-1].shape) == 1
    np.testing.assert_allclose(collapsed(pyramid), plane, atol=1e-5)


@pytest.mark.parametrize(
    "settings",
    [
        ToneSettings(contrast=0.4, detail=0),
        ToneSettings(contrast=0.7, detail=0.6),
        ToneSettings(contrast=1.2, detail=-0.5, threshold=0.6),
    ],
)
def test_the_fast_form_is_the_definition(small: np.ndarray, settings: ToneSettings) -> None:
    direct = local_laplacian_direct(small, settings)
    # Both differ by the interpolation between samples alone, so by less the denser these are:
    # 500 over a range of 5 EV are 0.01 EV apart.
    dense, denser = (
        float(np.abs(local_laplacian(small, settings, samples) - direct).max())
        for samples in (500, 4000)
    )
    assert dense < 0.01
    assert denser < 0.002
    # The samples that are taken when nobody asks for a number are near enough for a picture.
    assert np.sqrt(np.mean((local_laplacian(small, settings) - direct) ** 2)) < 0.05


def test_nothing_changes_by_default_strengths(small: np.ndarray) -> None:
    neutral = ToneSettings(contrast=1, detail=0)
    np.testing.assert_allclose(local_laplacian(small, neutral), small, atol=1e-5)
    np.testing.assert_allclose(local_laplacian_direct(small, neutral), small, atol=1e-5)


def test_large_steps_become_smaller_and_small_ones_stay() -> None:
    settings = ToneSettings(contrast=0.5, threshold=1)

    def after(before: float) -> float:
        result = local_laplacian(step_edge(before), settings)
        return float(np.ptp(result.mean(axis=0)[[4, -4]]))

    assert after(0.9) == pytest.approx(0.9, abs=1e-3)
    # Eq. 3 of the paper: what is beyond σ is multiplied by β; the residual, two pixels here, keeps
    # some of it.
    assert 1 + 0.5 * 3 < after(4) < 1 + 0.7 * 3


def test_a_step_has_no_halo() -> None:
    result = local_laplacian(step_edge(4), ToneSettings(contrast=0.3))
    across = result[32]
    assert np.diff(across).min() > -0.03
    # A filter that smooths brightness without regard to edges overshoots by many times that.
    assert across.max() - across[-1] < 0.06
    assert across[0] - across.min() < 0.06


def test_detail_goes_up_and_down() -> None:
    rng = np.random.default_rng(1)
    texture = (0.3 * rng.standard_normal((64, 64)) - 3).astype(np.float32)
    spread = {
        detail: local_laplacian(texture, ToneSettings(contrast=1, detail=detail)).std()
        for detail in (-0.8, 0, 0.5)
    }
    assert spread[-0.8] < 0.7 * spread[0]
    assert spread[0.5] > 1.3 * spread[0]


def test_noise_is_no_detail() -> None:
    rng = np.random.default_rng(1)
    noise = (0.005 * rng.standard_normal((64, 64)) - 3).astype(np.float32)
    enhanced = local_laplacian(noise, ToneSettings(contrast=1, detail=1))
    assert enhanced.std() < 1.2 * noise.std()


def test_progress_and_stopping(small: np.ndarray) -> None:
    told: list[tuple[int, int]] = []
    local_laplacian(small, ToneSettings(), step=lambda done, total: told.append((done, total)))
    total = told[0][1]
    assert told == [(done, total) for done in range(total + 1)]
    with pytest.raises(Cancelled):
        local_laplacian(small, ToneSettings(), cancelled=lambda: True)
