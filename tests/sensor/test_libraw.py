from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import rawpy
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from records import make_record, make_smooth_record, write_dng_of

from napari_invisp.errors import RawFileError, SettingsError
from napari_invisp.sensor.cfa import demosaic_bilinear, mosaic_from_rgb, normalise
from napari_invisp.sensor.dng import encode_dng, write_dng
from napari_invisp.sensor.libraw import (
    DEMOSAICING,
    demosaic,
    demosaic_uint16,
    known_camera_matrix,
    reference_srgb,
    reference_srgb_file,
)
from napari_invisp.sensor.reading import read_raw
from napari_invisp.sensor.record import CFA_PATTERNS, RawRecord

sizes = st.tuples(st.integers(2, 60), st.integers(2, 60))


def balanced_mosaic(record: RawRecord) -> np.ndarray:
    rows, columns = np.indices(record.mosaic.shape) % 2
    gain = record.balance[record.channels[rows, columns]]
    return np.maximum(normalise(record) * gain, 0)


@pytest.mark.parametrize("algorithm", DEMOSAICING)
@pytest.mark.parametrize("pattern", CFA_PATTERNS)
def test_every_algorithm_keeps_the_measured_samples(algorithm: str, pattern: str) -> None:
    record = make_record((37, 45), pattern)
    rgb = demosaic(record, algorithm)
    assert rgb.shape == (37, 45, 3)
    assert rgb.dtype == np.float32
    taken_out = mosaic_from_rgb(rgb, record.channels)
    np.testing.assert_allclose(taken_out, balanced_mosaic(record), rtol=2e-7, atol=1e-9)


@settings(max_examples=25, deadline=None)
@given(sizes, st.sampled_from(CFA_PATTERNS), st.sampled_from(["ahd", "ppg", "bilinear"]))
def test_any_size_and_phase(size: tuple[int, int], pattern: str, algorithm: str) -> None:
    record = make_record(size, pattern)
    rgb = demosaic(record, algorithm)
    assert rgb.shape == (*size, 3)
    taken_out = mosaic_from_rgb(rgb, record.channels)
    np.testing.assert_allclose(taken_out, balanced_mosaic(record), rtol=2e-7, atol=1e-9)


@pytest.mark.parametrize("algorithm", DEMOSAICING)
def test_a_smooth_scene_is_much_the_same_with_every_algorithm(algorithm: str) -> None:
    record = make_smooth_record()
    difference = demosaic(record, algorithm) - demosaic(record, "bilinear")
    assert np.abs(difference[8:-8, 8:-8]).max() < 0.02
    assert np.abs(difference[8:-8, 8:-8]).mean() < 5e-4


def test_bilinear_is_our_own() -> None:
    record = make_record((9, 11), "BGGR")
    expected = demosaic_bilinear(balanced_mosaic(record), record.channels)
    np.testing.assert_allclose(demosaic(record, "bilinear"), expected, rtol=1e-6)


@pytest.mark.parametrize("algorithm", ["ahd", "bilinear"])
def test_data_beyond_white_are_kept_and_noise_below_black_is_cut(algorithm: str) -> None:
    mosaic = np.full((40, 40), 50, np.uint16)  # below every black level
    mosaic[10:30, 10:30] = 4095  # beyond the white level of 3900
    record = make_record(mosaic=mosaic, white_balance=[1, 1, 1])
    rgb = demosaic(record, algorithm)
    assert rgb.min() == 0
    black = 60
    assert rgb[20, 20, 0] == pytest.approx((4095 - black) / (3900 - black), rel=1e-6)


@pytest.mark.parametrize("algorithm", ["ahd", "bilinear"])
def test_flat_grey_is_balanced(algorithm: str) -> None:
    record = make_record(
        mosaic=np.full((32, 32), 1000, np.uint16), black=np.zeros((2, 2)), white=4000
    )
    rgb = demosaic(record, algorithm)
    expected = np.array([2.0, 1.0, 1.5]) / 2 / 4
    np.testing.assert_allclose(rgb, np.broadcast_to(expected, rgb.shape), atol=1e-5)


@pytest.mark.parametrize("algorithm", DEMOSAICING)
def test_the_integer_variant_is_the_same_to_half_a_count(algorithm: str) -> None:
    record = make_record((31, 40), "GBRG")
    counts, scale = demosaic_uint16(record, algorithm)
    assert counts.dtype == np.uint16
    np.testing.assert_allclose(
        counts * np.float64(scale), demosaic(record, algorithm), atol=0.51 * scale
    )


def test_an_unknown_algorithm_is_named() -> None:
    with pytest.raises(SettingsError, match=r"'fancy' is not one of ahd"):
        demosaic(make_record(), "fancy")
    with pytest.raises(SettingsError, match="'fancy'"):
        demosaic_uint16(make_record(), "fancy")


def bt709(linear: np.ndarray) -> np.ndarray:
    return np.where(linear < 0.018, 4.5 * linear, 1.099 * linear ** (1 / 2.222) - 0.099)


@pytest.mark.parametrize(
    "color",
    [(0.1, 0.1, 0.1), (0.4, 0.5, 0.2), (0.05, 0.6, 0.3), (0.9, 0.95, 0.9), (0.002, 0.004, 0.003)],
)
def test_the_reference_is_the_published_formula(color: tuple[float, float, float]) -> None:
    black, white = 100, 16000
    levels = np.rint(black + np.array(color) * (white - black)).astype(np.uint16)
    record = make_record((30, 30), black=np.full((2, 2), black), white=white)
    rows, columns = np.indices((30, 30)) % 2
    record = record.replace(mosaic=levels[record.channels[rows, columns]])

    camera = (levels.astype(float) - black) / (white - black) * record.white_balance
    linear = record.camera_to_srgb @ np.minimum(camera / record.white_balance.min(), 1)
    expected = 255 * bt709(np.clip(linear, 0, 1))

    rgb = reference_srgb(record)
    assert rgb.shape == (30, 30, 3)
    assert rgb.dtype == np.uint8
    np.testing.assert_allclose(rgb, np.broadcast_to(expected, rgb.shape), atol=1.2)


@pytest.mark.parametrize("shape", [(2, 2), (5, 40), (22, 23), (33, 47)])
def test_the_reference_has_the_size_of_the_mosaic(shape: tuple[int, int]) -> None:
    assert reference_srgb(make_record(shape)).shape == (*shape, 3)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_nothing_is_turned(orientation: int) -> None:
    upright = make_smooth_record((30, 40))
    turned = upright.replace(orientation=orientation)
    np.testing.assert_array_equal(reference_srgb(turned), reference_srgb(upright))
    np.testing.assert_array_equal(demosaic(turned), demosaic(upright))


@pytest.mark.parametrize("pattern", CFA_PATTERNS)
def test_a_record_renders_like_its_file(pattern: str, tmp_path: Path) -> None:
    record = make_record((50, 61), pattern, orientation=6)
    write_dng(tmp_path / "a.dng", record)
    np.testing.assert_array_equal(reference_srgb(record), reference_srgb_file(tmp_path / "a.dng"))


def test_rendering_does_not_depend_on_scene_content() -> None:
    grey = np.full((40, 40), 1000, np.uint16)
    with_highlight = grey.copy()
    with_highlight[30:, 30:] = 3500  # would shift LibRaw's white by default
    first, second = (
        reference_srgb(make_record(mosaic=mosaic)) for mosaic in (grey, with_highlight)
    )
    np.testing.assert_array_equal(first[:20, :20], second[:20, :20])


def test_the_file_reference_names_a_bad_file(tmp_path: Path) -> None:
    bad = tmp_path / "text.nef"
    bad.write_text("not a RAW file")
    with pytest.raises(RawFileError, match=r"text\.nef is not a camera RAW"):
        reference_srgb_file(bad)


@pytest.mark.parametrize("name", ["IMG_5952.CR2", "sample2.dng"])
def test_camera_files_render_the_same_as_records(shared_raw: Path, name: str) -> None:
    path = shared_raw / name
    record = read_raw(path)
    ours, reference = reference_srgb(record), reference_srgb_file(path)
    assert ours.shape == reference.shape
    # Not all: where AHD's two directions tie, the last bit of a float decides.
    assert np.mean(ours != reference) < 1e-4


def test_ahd_is_that_of_libraw(shared_raw: Path) -> None:
    path = shared_raw / "IMG_5952.CR2"
    record = read_raw(path)
    with rawpy.imread(str(path)) as raw:
        expected = raw.postprocess(
            use_camera_wb=True,
            no_auto_bright=True,
            adjust_maximum_thr=0.0,
            user_flip=0,
            gamma=(1, 1),
            output_bps=16,
            output_color=rawpy.ColorSpace.raw,
            highlight_mode=rawpy.HighlightMode.Ignore,
        )
    error = demosaic(record) - expected / 65535
    assert -10 * np.log10(np.mean(error**2)) > 70


def test_libraw_reads_a_record_from_memory_without_the_name_of_the_camera() -> None:
    with rawpy.imread(io.BytesIO(encode_dng(make_record(), "none", named=False))) as raw:
        assert not raw.rgb_xyz_matrix.any()  # LibRaw looks that up by name
        assert raw.other.iso_speed == 0


def test_known_matrices_are_those_of_the_published_table() -> None:
    """dcraw's, in ten-thousandths."""
    published = {
        ("NIKON CORPORATION", "NIKON D5000"): "7309,-1403,-519,-8474,16008,2622,-2433,2826,8064",
        ("Canon", "Canon EOS 30D"): "6257,-303,-1000,-7880,15621,2396,-1714,1904,7046",
        ("SONY", "ILCE-7M3"): "7374,-2389,-551,-5435,13162,2519,-1006,1795,6552",
    }
    for (make, model), numbers in published.items():
        expected = np.array(numbers.split(","), float).reshape(3, 3) / 10_000
        matrix = known_camera_matrix(make, model)
        np.testing.assert_allclose(matrix, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("make", "model"), [("NIKON CORPORATION", "NIKON D3300"), ("FUJIFILM", "X100")]
)
def test_a_known_matrix_is_what_libraw_gives_a_file_without_one(
    make: str, model: str, tmp_path: Path
) -> None:
    image = np.full((30, 30), 500, np.uint16)
    cfa = [[0, 1], [1, 2]]
    path = write_dng_of(tmp_path / "a.dng", image, cfa=cfa, white=4095, make=make, model=model)
    with rawpy.imread(str(path)) as raw:
        expected = raw.rgb_xyz_matrix[:3]
    np.testing.assert_array_equal(known_camera_matrix(make, model), expected)


def test_nothing_is_known_of_unknown_cameras() -> None:
    assert known_camera_matrix("Maker", "Model One") is None
    assert known_camera_matrix("", "") is None


def test_a_file_need_not_say_what_the_colours_are() -> None:
    record = make_record(make="NIKON CORPORATION", model="NIKON D5000")
    with tifffile.TiffFile(io.BytesIO(encode_dng(record, coloured=False))) as file:
        assert "ColorMatrix1" not in file.pages[0].tags
        assert file.pages[0].tags["Model"].value == "NIKON D5000"
    with rawpy.imread(io.BytesIO(encode_dng(record, coloured=False))) as raw:
        assert np.array_equal(raw.raw_image_visible, record.mosaic)


def test_camera_files_have_the_known_matrix(shared_raw: Path) -> None:
    with rawpy.imread(str(shared_raw / "IMG_5952.CR2")) as raw:
        expected = raw.rgb_xyz_matrix[:3]
    np.testing.assert_allclose(known_camera_matrix("Canon", "Canon EOS 30D"), expected, atol=1e-6)


@pytest.mark.parametrize("algorithm", ["ahd", "ppg", "vng"])
@pytest.mark.parametrize("height", [200, 223])
def test_bands_have_no_seams(monkeypatch: pytest.MonkeyPatch, algorithm: str, height: int) -> None:
    rng = np.random.default_rng(7)
    smooth = make_smooth_record((height, 120), "GBRG")
    noisy = smooth.replace(
        mosaic=smooth.mosaic + rng.integers(0, 400, smooth.mosaic.shape, np.uint16)
    )
    whole, scale = demosaic_uint16(noisy, algorithm)
    reference = reference_srgb(noisy)
    monkeypatch.setattr("napari_invisp.sensor.libraw._LIBRAW_BAND", 64)
    steps: list[tuple[int, int]] = []
    banded, same_scale = demosaic_uint16(noisy, algorithm, lambda *step: steps.append(step))
    np.testing.assert_array_equal(banded, whole)
    assert same_scale == scale
    assert steps == [(0, 4), (1, 4), (2, 4), (3, 4)]
    np.testing.assert_array_equal(reference_srgb(noisy), reference)
