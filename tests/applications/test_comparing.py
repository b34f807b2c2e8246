from __future__ import annotations

import math

import numpy as np
import pytest
from bright_scenes import record_of, smooth_scene
from records import make_record
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from napari_invisp.applications.comparing import SOURCES, compare_sources, differences
from napari_invisp.applications.operations import OPERATIONS, retouching
from napari_invisp.errors import Cancelled, RawFileError
from napari_invisp.hdr.highlights import linear_srgb_hdr
from napari_invisp.linear import codes_from_linear, linear_srgb
from napari_invisp.retouching.settings import RetouchSettings

pytestmark = pytest.mark.usefixtures("one_thread")

BY_NAME = {each.name: each for each in OPERATIONS}
ORIGINAL = record_of(smooth_scene(96, 128))
RECOVERED = record_of(smooth_scene(96, 128), noise=1e-4)
JPEG = codes_from_linear(linear_srgb(ORIGINAL))


def test_differences_are_those_of_scikit_image() -> None:
    rng = np.random.default_rng(0)
    ours = rng.integers(0, 256, (60, 80, 3), dtype=np.uint8)
    theirs = np.clip(ours + rng.integers(-9, 10, ours.shape), 0, 255).astype(np.uint8)
    result = differences(ours, theirs)
    assert result.psnr == pytest.approx(peak_signal_noise_ratio(ours, theirs))
    assert result.ssim == pytest.approx(structural_similarity(ours, theirs, channel_axis=2))
    colours = deltaE_ciede2000(rgb2lab(ours), rgb2lab(theirs))[::4, ::4]
    assert result.delta_e == pytest.approx(colours.mean(), rel=1e-4)
    assert result.delta_e_95 == pytest.approx(np.percentile(colours, 95), rel=1e-4)
    same = differences(ours, ours)
    assert (math.isinf(same.psnr), same.ssim, same.delta_e) == (True, 1, 0)


def test_results_of_all_sources_are_shown_in_eight_bits() -> None:
    results = compare_sources(ORIGINAL, RECOVERED, JPEG, BY_NAME["neutral"])
    assert tuple(results) == SOURCES[:3]
    for name, record in (("original RAW", ORIGINAL), ("recovered RAW", RECOVERED)):
        assert np.array_equal(results[name], codes_from_linear(linear_srgb_hdr(record)))
    assert np.array_equal(results["plain JPEG"], JPEG)


def test_highlights_are_there_in_raw_and_lost_in_a_jpeg() -> None:
    results = compare_sources(ORIGINAL, RECOVERED, JPEG, BY_NAME["exposure −2 EV"])
    light = linear_srgb_hdr(ORIGINAL)
    assert light.max() > 1.5
    assert np.array_equal(results["original RAW"], codes_from_linear(light / 4))
    ends = codes_from_linear(np.full((1, 1, 3), 0.25, np.float32)).max()
    assert results["plain JPEG"].max() == ends
    assert results["recovered RAW"].max() > ends + 20
    recovered, plain = (
        differences(results["original RAW"], results[name]).psnr for name in SOURCES[1:3]
    )
    assert recovered > plain + 10


def test_any_function_of_light_will_do() -> None:
    results = compare_sources(ORIGINAL, RECOVERED, JPEG, lambda light: light * 2)
    listed = compare_sources(
        ORIGINAL, RECOVERED, JPEG, retouching("mine", RetouchSettings(exposure=1))
    )
    for name in SOURCES[:3]:
        assert np.array_equal(results[name], listed[name])


def test_progress_is_told_and_work_can_be_stopped() -> None:
    stages: list[str] = []
    compare_sources(
        ORIGINAL,
        RECOVERED,
        JPEG,
        BY_NAME["tone mapping"],
        progress=lambda stage, done, total: stages.append(stage),
    )
    assert list(dict.fromkeys(stages)) == [
        "developing: original RAW",
        "tone mapping: original RAW",
        "developing: recovered RAW",
        "tone mapping: recovered RAW",
        "developing: plain JPEG",
        "tone mapping: plain JPEG",
    ]
    with pytest.raises(Cancelled):
        compare_sources(
            ORIGINAL, RECOVERED, JPEG, BY_NAME["neutral"], cancelled=lambda: len(stages) > 3
        )


def test_what_is_not_of_one_frame_is_refused() -> None:
    with pytest.raises(RawFileError, match="differ in size"):
        compare_sources(ORIGINAL, make_record((48, 64)), JPEG, BY_NAME["neutral"])
    with pytest.raises(RawFileError, match="JPEG is of another size"):
        compare_sources(ORIGINAL, RECOVERED, JPEG[:-8], BY_NAME["neutral"])
