from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from records import make_record, make_smooth_record
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.metrics import structural_similarity

from napari_invisp.errors import RawFileError, SettingsError
from napari_invisp.inspection.maps import (
    beyond,
    error_map,
    limits_of,
    matched,
    summary,
    title_of,
    unit_of,
)
from napari_invisp.metrics import compare_raw, network_raw, rgb_psnr, rgb_ssim
from napari_invisp.sensor.record import RawRecord
from napari_invisp.settings import (
    ERROR_CHANNELS,
    ERROR_METRICS,
    ERROR_UNITS,
    ErrorMapSettings,
)

PATTERNS = ("RGGB", "GBRG", "GRBG", "BGGR")


def pair(
    shape: tuple[int, int] = (37, 50), pattern: str = "GBRG", seed: int = 0
) -> tuple[RawRecord, RawRecord]:
    """Two records that differ everywhere, with another black level at each site."""
    first = make_smooth_record(shape, pattern)
    rng = np.random.default_rng(seed)
    noisy = first.mosaic.astype(int) + rng.integers(-300, 301, shape)
    return first, first.replace(mosaic=noisy.clip(0, 4095).astype(np.uint16))


def pictures(shape: tuple[int, int] = (37, 50), seed: int = 0) -> tuple[NDArray, NDArray]:
    rng = np.random.default_rng(seed)
    first = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
    noisy = first.astype(int) + rng.integers(-20, 21, first.shape)
    return first, noisy.clip(0, 255).astype(np.uint8)


def planes(shape: tuple[int, int] = (37, 50)) -> tuple[NDArray, NDArray]:
    rng = np.random.default_rng(0)
    return rng.random(shape, np.float32), rng.random(shape, np.float32)


def by_sites(levels: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.float64]:
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    return levels[rows % 2, columns % 2]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_metrics_of_mosaics_are_what_they_say(pattern: str) -> None:
    first, second = pair(pattern=pattern)
    r, c = (each.mosaic.astype(np.float64) for each in (first, second))
    black = by_sites(first.black, r.shape)
    signal = np.maximum(r - black, 1)
    stops = np.log2(np.maximum(c - black, 1) / signal)
    percent = 100 * (c - r) / (first.white - black)
    expected = {
        ("E", "DN"): c - r,
        ("AE", "DN"): np.abs(c - r),
        ("SE", "DN"): (c - r) ** 2,
        ("E", "% of white"): percent,
        ("AE", "% of white"): np.abs(percent),
        ("SE", "% of white"): percent**2,
        ("E", "EV"): stops,
        ("AE", "EV"): np.abs(stops),
        ("SE", "EV"): stops**2,
        ("relative AE", "DN"): np.abs(c - r) / signal,
        ("relative SE", "DN"): ((c - r) / signal) ** 2,
    }
    for (metric, unit), values in expected.items():
        found = error_map(first, second, ErrorMapSettings(metric=metric, unit=unit))
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, values, rtol=2e-5, atol=1e-4, err_msg=f"{metric} {unit}")


def test_one_stop_more_light_is_one_ev_in_mosaics_and_in_pictures() -> None:
    record = make_record((8, 8), black=np.full((2, 2), 64), mosaic=np.full((8, 8), 564, np.uint16))
    brighter = record.replace(mosaic=np.full((8, 8), 1064, np.uint16))
    settings = ErrorMapSettings(metric="E", unit="EV")
    np.testing.assert_allclose(error_map(record, brighter, settings), 1, atol=1e-6)
    # Of sRGB codes, 188 is half as much light as 255.
    dark, bright = (np.full((8, 8, 3), code, np.uint8) for code in (188, 255))
    np.testing.assert_allclose(error_map(dark, bright, settings), 1, atol=0.01)


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("shape", [(8, 10), (7, 9)])
def test_a_channel_of_a_mosaic_is_repeated_over_its_quad(
    pattern: str, shape: tuple[int, int]
) -> None:
    first, second = pair(shape, pattern)
    errors = np.abs(first.mosaic.astype(int) - second.mosaic)
    row, column = divmod(pattern.index("R"), 2)
    sites = {
        "R": (row, column),
        "G1": (row, 1 - column),
        "G2": (1 - row, column),
        "B": (1 - row, 1 - column),
    }
    for channel, (y, x) in sites.items():
        found = error_map(first, second, ErrorMapSettings(channel=channel))
        assert found.shape == shape
        for i in range(shape[0] // 2 * 2):
            for j in range(shape[1] // 2 * 2):
                assert found[i, j] == errors[i // 2 * 2 + y, j // 2 * 2 + x]


def test_black_and_white_are_those_of_the_channel() -> None:
    first, second = pair((8, 8), "RGGB")
    c, r = (each.mosaic[0::2, 1::2].astype(np.float64) for each in (second, first))
    settings = ErrorMapSettings(metric="E", unit="EV", channel="G1")
    expected = np.log2((c - first.black[0, 1]) / (r - first.black[0, 1]))
    np.testing.assert_allclose(error_map(first, second, settings)[::2, ::2], expected, rtol=1e-4)


def test_pictures_are_measured_over_their_channels() -> None:
    first, second = pictures()
    errors = second.astype(np.float64) - first
    for metric, each in {"E": errors, "AE": np.abs(errors), "SE": errors**2}.items():
        found = error_map(first, second, ErrorMapSettings(metric=metric))
        np.testing.assert_allclose(found, each.mean(axis=2), rtol=1e-5, atol=1e-5)
    for channel, index in {"R": 0, "G1": 1, "G2": 1, "B": 2}.items():
        found = error_map(first, second, ErrorMapSettings(metric="E", channel=channel))
        np.testing.assert_array_equal(found, errors[..., index])
    found = error_map(first, second, ErrorMapSettings(unit="% of white"))
    np.testing.assert_allclose(found, np.abs(errors).mean(axis=2) / 2.55, rtol=1e-5)


def test_colours_are_compared_as_scikit_image_does() -> None:
    first, second = pictures()
    found = error_map(first, second, ErrorMapSettings(metric="ΔE2000"))
    expected = deltaE_ciede2000(rgb2lab(first), rgb2lab(second))
    np.testing.assert_allclose(found, expected, atol=0.02)


def test_similarity_is_that_of_scikit_image() -> None:
    first, second = pictures()
    _, full = structural_similarity(first, second, channel_axis=2, full=True)
    found = error_map(first, second, ErrorMapSettings(metric="SSIM"))
    np.testing.assert_allclose(found, full.mean(axis=2), atol=1e-6)
    found = error_map(first, second, ErrorMapSettings(metric="SSIM", channel="B"))
    np.testing.assert_allclose(found, full[..., 2], atol=1e-6)

    mosaics = pair()
    shown = (network_raw(each).astype(np.float64) for each in mosaics)
    _, full = structural_similarity(*shown, channel_axis=2, data_range=1, full=True)
    found = error_map(*mosaics, ErrorMapSettings(metric="SSIM"))
    np.testing.assert_allclose(found, full.mean(axis=2), atol=1e-6)


def cuts(length: int) -> st.SearchStrategy[slice]:
    ends = st.tuples(st.integers(0, length), st.integers(0, length)).filter(lambda e: e[0] != e[1])
    return ends.map(lambda e: slice(min(e), max(e)))


@pytest.mark.parametrize("metric", ERROR_METRICS)
@pytest.mark.parametrize("kind", ["mosaics", "pictures", "planes"])
@given(data=st.data())
def test_a_part_is_cut_out_of_the_whole_map(kind: str, metric: str, data: st.DataObject) -> None:
    frames = {"mosaics": pair, "pictures": pictures, "planes": planes}[kind]()
    if metric == "ΔE2000" and kind != "pictures":
        return
    alone = kind == "planes" or metric == "ΔE2000"
    settings = ErrorMapSettings(
        metric=metric,
        channel="combined" if alone else data.draw(st.sampled_from(ERROR_CHANNELS)),
        unit=data.draw(st.sampled_from(ERROR_UNITS)),
    )
    part = (data.draw(cuts(37)), data.draw(cuts(50)))
    whole = error_map(*frames, settings)
    assert whole.shape == (37, 50)
    # Logarithms and powers may differ in the last bit with where they lie in memory.
    np.testing.assert_allclose(
        error_map(*frames, settings, part), whole[part], rtol=1e-5, atol=1e-5
    )


def test_bands_have_no_seams() -> None:
    """The frame is higher than what is worked on at a time."""
    first, second = pair((700, 601))
    np.testing.assert_array_equal(
        error_map(first, second, ErrorMapSettings(metric="E")),
        second.mosaic.astype(np.float32) - first.mosaic,
    )
    tall = [np.tile(each, (12, 20, 1)) for each in pictures()]
    settings = ErrorMapSettings(metric="SSIM")
    _, full = structural_similarity(*tall, channel_axis=2, full=True)
    np.testing.assert_allclose(error_map(*tall, settings), full.mean(axis=2), atol=1e-6)


def test_a_plane_of_counts_is_compared_as_the_sensor_that_it_is_beside() -> None:
    first, second = pair()
    settings = ErrorMapSettings(metric="E", unit="EV")
    expected = error_map(first, second, settings)
    np.testing.assert_array_equal(error_map(first, second.mosaic, settings), expected)
    np.testing.assert_array_equal(error_map(first.mosaic, second, settings), expected)


@pytest.mark.parametrize(
    ("reference", "candidate", "words"),
    [
        (make_record((8, 10)), make_record((8, 12)), ["10x8", "12x8", "sizes"]),
        (make_record((8, 10)), make_record((10, 8)), ["10x8", "8x10", "turned"]),
        (make_record((8, 8)), make_record((8, 8), "BGGR"), ["RGGB", "BGGR"]),
        (make_record((8, 8)), np.zeros((8, 8, 3), np.uint8), ["a mosaic", "a picture of uint8"]),
        (np.zeros((8, 8), np.uint8), np.zeros((8, 8), np.float32), ["uint8", "float32"]),
        (np.zeros((8, 8)), np.zeros((8, 8, 5)), ["(8, 8, 5)"]),
    ],
)
def test_what_does_not_match_is_said_of_both(
    reference: Any, candidate: Any, words: list[str]
) -> None:
    with pytest.raises(RawFileError) as caught:
        matched(reference, candidate, ("mine.dng", "yours.dng"))
    for word in words:
        assert word in str(caught.value)
    if "(8, 8, 5)" not in words:
        assert "mine.dng" in str(caught.value)
        assert "yours.dng" in str(caught.value)
    with pytest.raises(RawFileError):
        error_map(reference, candidate, ErrorMapSettings())


@pytest.mark.parametrize(
    ("frame", "changes", "word"),
    [
        (make_record((8, 8)), {"metric": "ΔE2000"}, "sRGB"),
        (np.zeros((8, 8)), {"metric": "ΔE2000"}, "colours"),
        (np.zeros((8, 8)), {"channel": "R"}, "combined"),
        (np.zeros((8, 8, 3), np.uint8), {"metric": "ΔE2000", "channel": "R"}, "combined"),
        (np.zeros((6, 8)), {"metric": "SSIM"}, "7x7"),
    ],
)
def test_what_has_no_meaning_is_refused(frame: Any, changes: dict[str, str], word: str) -> None:
    with pytest.raises(SettingsError, match=word):
        error_map(frame, frame, ErrorMapSettings(**changes))


def test_maps_of_one_metric_and_unit_have_one_scale() -> None:
    first, second = pair()  # black 60 to 66, white 3900
    limits = {
        ("AE", "DN"): (0, 0.02 * 3840),
        ("E", "DN"): (-0.02 * 3840, 0.02 * 3840),
        ("SE", "DN"): (0, (0.02 * 3840) ** 2),
        ("AE", "% of white"): (0, 2),
        ("E", "EV"): (-0.5, 0.5),
        ("relative AE", "EV"): (0, 0.1),
        ("ΔE2000", "DN"): (0, 5),
        ("SSIM", "DN"): (0.8, 1),
    }
    for (metric, unit), expected in limits.items():
        settings = ErrorMapSettings(metric=metric, unit=unit)
        for frame in (first, second):
            assert limits_of(settings, frame) == pytest.approx(expected)
    assert limits_of(ErrorMapSettings(), pictures()[0]) == pytest.approx((0, 5.1))


def test_limits_may_be_fixed_or_percentiles_of_the_map() -> None:
    first, second = pair()
    fixed = ErrorMapSettings(limits="fixed", limit=30.0)
    assert limits_of(fixed, first) == (0, 30)
    assert limits_of(replace(fixed, metric="E"), first) == (-30, 30)
    assert limits_of(replace(fixed, metric="SSIM", limit=0.3), first) == pytest.approx((0.7, 1))

    for metric in ("AE", "E"):
        settings = ErrorMapSettings(metric=metric, limits="percentile", percentile=90)
        values = error_map(first, second, settings)
        values[0, 0] = np.nan
        low, high = limits_of(settings, first, values)
        share = (np.abs(values) <= high).mean()
        assert share == pytest.approx(0.9, abs=0.01)
        assert low == (0 if metric == "AE" else -high)
    same = error_map(first, first, settings)
    assert limits_of(settings, first, same)[1] > 0


def test_units_are_named() -> None:
    names = {
        ("AE", "DN"): "DN",
        ("SE", "EV"): "EV²",
        ("SE", "% of white"): "(% of white)²",
        ("relative AE", "DN"): "of the signal",
        ("SSIM", "DN"): "",
    }
    for (metric, unit), name in names.items():
        assert unit_of(ErrorMapSettings(metric=metric, unit=unit)) == name
    assert title_of(ErrorMapSettings(channel="G1", unit="EV")) == "AE, G1, EV"


def test_the_figures_are_those_of_the_command_line() -> None:
    first, second = pair((600, 50))
    for metric in ERROR_METRICS:
        if metric != "ΔE2000":
            figures = summary(first, second, ErrorMapSettings(metric=metric))
            assert figures.fidelity == compare_raw(first, second)
    errors = second.mosaic.astype(np.float64) - first.mosaic
    found = summary(first, second, ErrorMapSettings(metric="E", threshold=100))
    assert found.mean == pytest.approx(errors.mean(), abs=1e-6)
    assert abs(found.worst) == np.abs(errors).max() == found.fidelity.max_abs_error
    assert found.rms == pytest.approx(math.sqrt((errors**2).mean()))
    assert found.above == (np.abs(errors) > 100).mean()
    squared = summary(first, second, ErrorMapSettings(metric="SE"))
    assert squared.rms == pytest.approx(found.rms)
    assert squared.mean == pytest.approx(found.rms**2)


def test_pictures_have_figures_too() -> None:
    first, second = pictures((80, 60))
    found = summary(first, second, ErrorMapSettings(metric="SSIM", threshold=15))
    assert found.fidelity is None
    assert found.rms is None
    assert found.rgb_psnr == rgb_psnr(first, second)
    assert found.mean == pytest.approx(rgb_ssim(first, second), abs=1e-6)
    off = (np.abs(first.astype(int) - second) > 15).any(axis=2)
    assert found.above == off.mean()
    np.testing.assert_array_equal(
        beyond(first, second, ErrorMapSettings(threshold=15), (slice(3, 9), slice(5, 40))),
        off[3:9, 5:40],
    )


def test_figures_of_a_part_are_those_of_its_quads() -> None:
    first, second = pair((64, 80))
    cut = np.s_[10:31, 21:60]
    even = np.s_[10:32, 20:60]
    found = summary(first, second, ErrorMapSettings(), cut)
    parts = [
        each.replace(mosaic=np.ascontiguousarray(each.mosaic[even])) for each in (first, second)
    ]
    assert found.fidelity == compare_raw(*parts)
    assert found == summary(*parts, ErrorMapSettings())
    values = error_map(first, second, ErrorMapSettings(), even)
    assert summary(first, second, ErrorMapSettings(), cut, values) == found
