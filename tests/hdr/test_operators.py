from __future__ import annotations

import cv2
import numpy as np
import pytest

from napari_invisp.hdr.operators import global_curve
from napari_invisp.hdr.settings import ToneSettings


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    """Light over 8 EV."""
    rng = np.random.default_rng(0)
    light = 2 ** cv2.GaussianBlur(rng.uniform(-14, 10, (160, 200)).astype(np.float32), None, 2)
    return light.astype(np.float32)


@pytest.mark.parametrize(
    ("settings", "operator"),
    [
        (
            ToneSettings(operator="Reinhard", adaptation=0.6),
            lambda: cv2.createTonemapReinhard(1.0, 0.0, 0.6, 0.0),
        ),
        (
            ToneSettings(operator="Drago", bias=0.75),
            lambda: cv2.createTonemapDrago(1.0, 1.0, 0.75),
        ),
    ],
)
def test_the_curve_is_what_opencv_does(picture: np.ndarray, settings, operator, capfd) -> None:
    curve = global_curve(picture, settings)
    assert capfd.readouterr() == ("", "")
    # OpenCV stretches pictures to begin at 0, here that of a single channel.
    grey = np.repeat(picture[..., None], 3, axis=2)
    grey[0, 0] = 0, picture.min(), picture.min()
    expected = operator().process(grey)[..., 1]
    ours = 2 ** curve(np.log2(picture))
    np.testing.assert_allclose(ours.ravel()[1:], expected.ravel()[1:], atol=0.01)


def test_a_curve_rises(picture: np.ndarray) -> None:
    for operator in ("Reinhard", "Drago"):
        curve = global_curve(picture, ToneSettings(operator=operator))
        shown = curve(np.linspace(-14, 14, 500, dtype=np.float32))
        assert np.diff(shown).min() >= 0
        assert shown[-1] == pytest.approx(0, abs=0.02)
