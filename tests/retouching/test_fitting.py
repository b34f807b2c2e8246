"""Auto finds settings that a picture was made with, or makes it well exposed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from records import make_record
from skimage.data import astronaut, coffee
from skimage.transform import resize

from napari_invisp.errors import Cancelled, RawFileError, SettingsError
from napari_invisp.linear import codes_from_linear, linear_from_codes
from napari_invisp.retouching.filters import retouched
from napari_invisp.retouching.fitting import camera_preview, fit
from napari_invisp.retouching.settings import RetouchSettings
from napari_invisp.sensor.dng import write_dng

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def light() -> NDArray[np.float32]:
    """A photograph as the light of a sensor might be: darker by two stops."""
    return linear_from_codes(np.ascontiguousarray(astronaut()[::3, ::3])) / np.float32(4)


def apart(light: NDArray[np.float32], codes: NDArray[np.uint8]) -> float:
    return float(np.abs(codes_from_linear(light).astype(float) - codes).mean())


def test_a_reference_is_matched(light: NDArray[np.float32]) -> None:
    asked = RetouchSettings(exposure=1.6, white_red=0.15, white_blue=-0.1, contrast=0.3, gamma=0.9)
    reference = codes_from_linear(retouched(light, asked))
    found = fit(light, reference)
    assert apart(light, reference) > 40
    assert apart(retouched(light, found), reference) < 5


def test_a_reference_may_be_smaller_shifted_and_cropped(light: NDArray[np.float32]) -> None:
    asked = RetouchSettings(exposure=1.5, saturation=0.5, white_blue=0.2)
    wanted = codes_from_linear(retouched(light, asked))
    small = resize(wanted[20:-15, 3:], (90, 113), preserve_range=True, anti_aliasing=True)
    found = fit(light, np.rint(small).astype(np.uint8))
    assert apart(retouched(light, found), wanted) < 12


def test_a_reference_of_something_else_is_refused(light: NDArray[np.float32]) -> None:
    with pytest.raises(SettingsError, match="they cannot show the same"):
        fit(light, np.zeros((10, 40, 3), np.uint8))


@pytest.mark.parametrize("stops", [-3.0, 0.0])
def test_without_a_reference_it_is_well_exposed(stops: float) -> None:
    light = linear_from_codes(np.ascontiguousarray(coffee()[::3, ::3])) * np.float32(2**stops)
    codes = codes_from_linear(retouched(light, fit(light))).astype(float) / 255
    brightness = codes @ (0.27, 0.67, 0.06)
    assert 0.36 < brightness.mean() < 0.6
    assert 0.15 < brightness.std() < 0.30
    assert (codes.min(axis=2) >= 1).mean() < 0.01


def test_a_colour_cast_is_lessened() -> None:
    rng = np.random.default_rng(0)
    grey = rng.uniform(0.05, 0.5, (40, 60, 1)).astype(np.float32)
    cast = grey * np.array([1.12, 1.0, 0.88], np.float32)
    result = retouched(cast, fit(cast))
    before, after = (np.log(each[..., 0] / each[..., 2]).mean() for each in (cast, result))
    assert abs(after) < abs(before) / 2


def test_what_is_not_fitted_stays(light: NDArray[np.float32]) -> None:
    order = ("gamma", *(each for each in RetouchSettings.order if each != "gamma"))
    start = RetouchSettings(black_and_white=0.5, order=order)
    found = fit(light, None, start)
    assert (found.black_and_white, found.order, found.tone_curve) == (0.5, order, (1.0,) * 8)
    assert found.exposure != 0


def test_it_reports_and_stops(light: NDArray[np.float32]) -> None:
    told: list[tuple[str, int, int]] = []
    with pytest.raises(Cancelled):
        fit(light, progress=lambda *each: told.append(each), cancelled=lambda: len(told) > 3)
    assert [each[1] for each in told] == [0, 0, 1, 2]


def test_a_file_without_preview(tmp_path: Path) -> None:
    write_dng(tmp_path / "plain.dng", make_record())
    assert camera_preview(tmp_path / "plain.dng") is None
    with pytest.raises(RawFileError, match="is not a camera RAW file"):
        camera_preview(b"no RAW at all")


@pytest.mark.parametrize("name", ["IMG_5952.CR2", "sample2.dng"])
def test_the_camera_s_preview_shows_the_same_scene(shared_raw: Path, name: str) -> None:
    from napari_invisp.linear import linear_srgb
    from napari_invisp.sensor.reading import read_raw

    preview = camera_preview(shared_raw / name)
    assert preview is not None
    ours = linear_srgb(read_raw(shared_raw / name))
    small = [resize(each[..., 1].astype(float), (40, 60)) for each in (ours, preview)]
    assert np.corrcoef(small[0].ravel(), small[1].ravel())[0, 1] > 0.85
