from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rawpy
import tifffile
from PIL import Image
from records import XYZ_TO_CAMERA, make_record, make_smooth_record, write_dng_of

from napari_invisp.errors import RawFileError
from napari_invisp.sensor.dng import encode_dng
from napari_invisp.sensor.libraw import reference_srgb, reference_srgb_file
from napari_invisp.sensor.reading import RAW_EXTENSIONS, is_raw_name, read_raw
from napari_invisp.sensor.record import CFA_PATTERNS, camera_to_srgb_from

RNG = np.random.default_rng(0)
MOSAIC = RNG.integers(0, 4096, (60, 72), dtype=np.uint16)
FULL_COLOR = RNG.integers(0, 4096, (60, 72, 3), dtype=np.uint16)
RGGB = [[0, 1], [1, 2]]
FACTS: dict[str, Any] = {
    "cfa": RGGB,
    "white": 4000,
    "neutral": [0.5, 1.0, 0.7],
    "matrix": XYZ_TO_CAMERA,
}


def cfa_of(pattern: str) -> list[list[int]]:
    numbers = ["RGB".index(letter) for letter in pattern]
    return [numbers[:2], numbers[2:]]


# What is read


@pytest.mark.parametrize("pattern", CFA_PATTERNS)
def test_all_phases(pattern: str, tmp_path: Path) -> None:
    path = write_dng_of(tmp_path / "a.dng", MOSAIC, **(FACTS | {"cfa": cfa_of(pattern)}))
    record = read_raw(path)
    assert record.pattern == pattern
    np.testing.assert_array_equal(record.mosaic, MOSAIC)


@pytest.mark.parametrize("top", [0, 1, 2, 3])
@pytest.mark.parametrize("left", [0, 1, 4, 5])
def test_a_visible_area_at_any_offset_keeps_its_phase(top: int, left: int, tmp_path: Path) -> None:
    """The DNG pattern starts at the active area; LibRaw may move an odd start by one."""
    area = [top, left, 55, 66]
    record = read_raw(write_dng_of(tmp_path / "a.dng", MOSAIC, area=area, **FACTS))
    down, right = top % 2, left % 2
    assert record.mosaic.shape == (55 - top - down, 66 - left - right)
    np.testing.assert_array_equal(record.mosaic, MOSAIC[top + down : 55, left + right : 66])
    expected = np.roll(np.array(RGGB), (-down, -right), (0, 1))
    np.testing.assert_array_equal(record.channels, expected)


@pytest.mark.parametrize("pattern", CFA_PATTERNS)
def test_black_of_each_site_is_what_libraw_subtracts(pattern: str, tmp_path: Path) -> None:
    black = [[100, 110], [120, 130]]
    facts = FACTS | {"cfa": cfa_of(pattern), "black": black}
    path = write_dng_of(tmp_path / "a.dng", MOSAIC, **facts)
    record = read_raw(path)
    assert record.black.tolist() == black
    with rawpy.imread(str(path)) as raw:
        linear = raw.postprocess(
            no_auto_scale=True,
            no_auto_bright=True,
            gamma=(1, 1),
            output_bps=16,
            output_color=rawpy.ColorSpace.raw,
        )
    for row in (0, 1):
        for column in (0, 1):
            site = MOSAIC[row::2, column::2].astype(int) - black[row][column]
            channel = record.channels[row, column]
            np.testing.assert_array_equal(linear[row::2, column::2, channel], np.maximum(site, 0))


def test_one_black_for_all(tmp_path: Path) -> None:
    path = write_dng_of(tmp_path / "a.dng", MOSAIC, black=77, **FACTS)
    assert read_raw(path).black.tolist() == [[77, 77], [77, 77]]


def test_levels_balance_and_matrix(tmp_path: Path) -> None:
    record = read_raw(write_dng_of(tmp_path / "a.dng", MOSAIC, make="Maker", **FACTS))
    assert record.white == 4000
    assert record.bit_depth == 12
    assert record.make == "Maker"
    np.testing.assert_allclose(record.balance, np.array([2, 1, 1 / 0.7]) / 2, rtol=1e-6)
    np.testing.assert_allclose(record.xyz_to_camera, XYZ_TO_CAMERA, rtol=1e-9)
    np.testing.assert_allclose(record.camera_to_srgb, camera_to_srgb_from(XYZ_TO_CAMERA))


@pytest.mark.parametrize(
    ("exif", "expected"), [(1, 1), (3, 3), (6, 6), (8, 8), (2, 1), (4, 1), (5, 1), (7, 1)]
)
def test_orientation(exif: int, expected: int, tmp_path: Path) -> None:
    path = write_dng_of(tmp_path / "a.dng", MOSAIC, orientation=exif, **FACTS)
    assert read_raw(path).orientation == expected


def test_data_beyond_white_are_kept_and_count_for_the_bit_depth(tmp_path: Path) -> None:
    record = read_raw(write_dng_of(tmp_path / "a.dng", MOSAIC, **(FACTS | {"white": 1000})))
    np.testing.assert_array_equal(record.mosaic, MOSAIC)
    assert record.white == 1000
    assert record.bit_depth == 12


def test_without_a_white_balance_the_one_is_found_that_libraw_measures(tmp_path: Path) -> None:
    scene = make_smooth_record((64, 80))
    facts = {name: value for name, value in FACTS.items() if name != "neutral"}
    facts |= {"black": scene.black.astype(int), "white": 3900, "orientation": 6}
    path = write_dng_of(tmp_path / "a.dng", scene.mosaic, **facts)
    record = read_raw(path)
    assert record.orientation == 6
    assert record.mosaic.shape == (64, 80)
    assert not np.allclose(record.balance, 1, atol=0.05)
    # LibRaw measures the two greens apart, a record has one multiplier for both.
    with rawpy.imread(str(path)) as raw:
        raw.postprocess(use_camera_wb=True, no_auto_bright=True, adjust_maximum_thr=0.0)
        red, green, blue, green2 = raw.auto_whitebalance
    measured = np.array([red, (green + green2) / 2, blue])
    np.testing.assert_allclose(record.balance, measured / measured.max(), rtol=1e-5)
    difference = reference_srgb(record).astype(int) - reference_srgb_file(path)
    assert np.abs(difference).mean() < 1


def test_without_a_matrix_camera_colors_are_taken_as_they_are(tmp_path: Path) -> None:
    facts = {name: value for name, value in FACTS.items() if name != "matrix"}
    path = write_dng_of(tmp_path / "a.dng", MOSAIC, **facts)
    record = read_raw(path)
    np.testing.assert_array_equal(record.camera_to_srgb, np.eye(3))
    difference = reference_srgb(record).astype(int) - reference_srgb_file(path)
    assert np.abs(difference).max() <= 1


def test_a_matrix_that_the_file_calibrates(tmp_path: Path) -> None:
    calibration = np.array([[1.1, 0.05, 0.0], [0.0, 1.0, 0.1], [0.05, 0.0, 0.9]])
    path = write_dng_of(tmp_path / "a.dng", MOSAIC, calibration=calibration, **FACTS)
    record = read_raw(path)
    expected = camera_to_srgb_from(calibration @ XYZ_TO_CAMERA)
    np.testing.assert_allclose(record.camera_to_srgb, expected, atol=1e-5)
    np.testing.assert_allclose(record.xyz_to_camera, calibration @ XYZ_TO_CAMERA, atol=1e-5)
    np.testing.assert_array_equal(reference_srgb(record), reference_srgb_file(path))


# Camera files


@pytest.mark.parametrize(
    ("name", "pattern", "shape", "white", "black"),
    [
        ("IMG_5952.CR2", "RGGB", (2348, 3522), 4095, [[128, 128], [127, 128]]),
        ("sample2.dng", "GBRG", (2868, 4310), 3840, [[0, 0], [0, 0]]),
    ],
)
def test_camera_files(
    shared_raw: Path, name: str, pattern: str, shape: Any, white: int, black: Any
) -> None:
    record = read_raw(shared_raw / name)
    assert record.pattern == pattern
    assert record.mosaic.shape == shape
    assert record.white == white
    assert record.black.tolist() == black
    assert record.bit_depth == 12
    assert record.camera in ("Canon EOS 30D", "NIKON D5000")
    assert record.capture.taken is not None
    assert record.capture.iso in (200, 640)


@pytest.mark.parametrize("name", ["IMG_5952.CR2", "sample2.dng"])
def test_the_matrix_is_the_one_that_libraw_renders_with(shared_raw: Path, name: str) -> None:
    record = read_raw(shared_raw / name)
    with rawpy.imread(str(shared_raw / name)) as raw:
        camera, srgb = (
            raw.postprocess(
                output_color=space,
                gamma=(1, 1),
                output_bps=16,
                half_size=True,
                use_camera_wb=True,
                no_auto_bright=True,
                adjust_maximum_thr=0.0,
                user_flip=0,
            ).astype(float)
            for space in (rawpy.ColorSpace.raw, rawpy.ColorSpace.sRGB)
        )
    whole = ((srgb > 0) & (srgb < 65535) & (camera < 65535)).all(axis=-1)
    fitted, *_ = np.linalg.lstsq(camera[whole], srgb[whole], rcond=None)
    np.testing.assert_allclose(record.camera_to_srgb, fitted.T, atol=5e-4)


def test_a_record_knows_libraws_table_where_a_file_has_no_matrix(shared_raw: Path) -> None:
    record = read_raw(shared_raw / "IMG_5952.CR2")
    assert record.xyz_to_camera[0].tolist() == [0.6257, -0.0303, -0.1]
    np.testing.assert_allclose(record.camera_to_srgb.sum(axis=1), 1)


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9999])
@pytest.mark.parametrize("name", ["IMG_5952.CR2", "sample2.dng"])
def test_cut_camera_files_are_recognised(
    shared_raw: Path, name: str, part: float, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data = (shared_raw / name).read_bytes()
    path = tmp_path / name
    path.write_bytes(data[: int(part * len(data))])
    with pytest.raises(RawFileError, match="is cut short"):
        read_raw(path)
    assert capfd.readouterr() == ("", "")


# What cannot be read


def refused(path: Path) -> str:
    with pytest.raises(RawFileError) as caught:
        read_raw(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message.removeprefix(str(path)).strip()


def test_a_missing_file(tmp_path: Path) -> None:
    assert refused(tmp_path / "a.nef") == "does not exist"


def test_a_folder(tmp_path: Path) -> None:
    assert refused(tmp_path).startswith("is a folder")


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "a.nef").touch()
    assert refused(tmp_path / "a.nef") == "is empty"


def test_a_name_that_the_system_refuses(tmp_path: Path) -> None:
    assert "cannot be read" in refused(tmp_path / ("a" * 300 + ".nef"))


@pytest.mark.parametrize("text", ["hello", "hello, this is no picture\n" * 1000])
def test_text_with_a_raw_name(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.nef").write_text(text)
    assert "not a camera RAW file" in refused(tmp_path / "a.nef")


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
def test_ordinary_pictures(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.fromarray((FULL_COLOR >> 4).astype(np.uint8)).save(path)
    assert "not a camera RAW file" in refused(path)


def test_a_greyscale_tiff_which_libraw_would_take_for_a_mosaic(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", MOSAIC)
    assert "ordinary greyscale TIFF" in refused(tmp_path / "a.tif")


@pytest.mark.parametrize("compression", ["none", "lossless-jpeg"])
def test_a_dng_that_is_cut_anywhere(
    compression: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data = encode_dng(make_record((200, 200)), compression)
    path = tmp_path / "a.dng"
    for length in (1, 7, *range(8, 1200, 61), *range(1200, len(data), 9973), len(data) - 1):
        path.write_bytes(data[:length])
        assert "is cut short" in (message := refused(path)) or "beginning is damaged" in message
    assert capfd.readouterr() == ("", "")


def test_a_dng_with_garbage_in_its_image_data(tmp_path: Path) -> None:
    data = bytearray(encode_dng(make_record((200, 200))))
    middle = len(data) // 2
    data[middle : middle + 2000] = RNG.bytes(2000)
    (tmp_path / "a.dng").write_bytes(data)
    assert "is damaged or cut short" in refused(tmp_path / "a.dng")


X_TRANS = [
    [1, 1, 0, 1, 1, 2],
    [1, 1, 2, 1, 1, 0],
    [2, 0, 1, 0, 2, 1],
    [1, 1, 2, 1, 1, 0],
    [1, 1, 0, 1, 1, 2],
    [0, 2, 1, 2, 0, 1],
]


@pytest.mark.parametrize(
    ("facts", "kind"),
    [
        ({"cfa": X_TRANS}, "X-Trans"),
        ({"cfa": [[4, 5], [1, 3]], "planes": [1, 3, 4, 5]}, "four colours"),
        ({"cfa": [[0, 1], [7, 2]], "planes": [0, 1, 2, 7]}, "four colours"),
        ({}, "monochrome"),
        ({"cfa": RGGB, "layout": 2}, "Super CCD"),
        ({"cfa": [[0, 0], [1, 2]]}, r"unusual colour filter array (RRGB"),
        ({"cfa": np.kron(RGGB, np.ones((2, 2), int))}, "unusual colour filter array"),
    ],
)
def test_sensors_that_are_not_bayer(facts: dict[str, Any], kind: str, tmp_path: Path) -> None:
    message = refused(write_dng_of(tmp_path / "a.dng", MOSAIC, **facts))
    assert kind in message
    assert "only RAW files of Bayer sensors" in message


def test_full_color_dng(tmp_path: Path) -> None:
    path = write_dng_of(tmp_path / "a.dng", FULL_COLOR, photometric=34892)
    assert "full colour at every pixel" in refused(path)


def test_levels_that_make_no_sense(tmp_path: Path) -> None:
    path = write_dng_of(tmp_path / "a.dng", MOSAIC, black=500, **(FACTS | {"white": 400}))
    message = refused(path)
    assert message == "holds facts that make no sense: white level 400 is not above black 500"


# Names


def test_raw_names() -> None:
    assert is_raw_name("photo.NEF")
    assert is_raw_name(Path("folder.jpg") / "photo.dng")
    assert not is_raw_name("photo.jpg")
    assert not is_raw_name("photo")
    assert not is_raw_name("folder.dng/photo.tif")
    assert all(name == name.lower() and name.startswith(".") for name in RAW_EXTENSIONS)
