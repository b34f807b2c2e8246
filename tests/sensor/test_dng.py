from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import exifread
import numpy as np
import pytest
import rawpy
import tifffile
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image
from records import CAPTURE, make_record

from napari_invisp.errors import OutputError, SettingsError
from napari_invisp.sensor.dng import encode_dng, read_private, write_dng
from napari_invisp.sensor.reading import read_raw
from napari_invisp.sensor.record import (
    CFA_PATTERNS,
    Capture,
    RawRecord,
    camera_to_srgb_from,
)

COMPRESSIONS = ("lossless-jpeg", "none")


def mosaic_that_libraw_sees(data: bytes) -> np.ndarray:
    with rawpy.imread(io.BytesIO(data)) as raw:
        return np.array(raw.raw_image_visible)


def through_a_file(record: RawRecord, path: Path, **options: Any) -> RawRecord:
    write_dng(path, record, **options)
    return read_raw(path)


def assert_same(one: RawRecord, other: RawRecord) -> None:
    np.testing.assert_allclose(one.balance, other.balance, rtol=1e-6)
    np.testing.assert_allclose(one.xyz_to_camera, other.xyz_to_camera, rtol=1e-6)
    np.testing.assert_allclose(one.camera_to_srgb, other.camera_to_srgb, rtol=1e-6, atol=1e-9)
    carried_but_for_rounding = {
        name: getattr(one, name) for name in ("white_balance", "xyz_to_camera", "camera_to_srgb")
    }
    assert one == other.replace(**carried_but_for_rounding)


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.integers(22, 300), st.integers(22, 300)),
    st.sampled_from(CFA_PATTERNS),
    st.integers(8, 16),
    st.sampled_from(COMPRESSIONS),
)
@example((200, 256), "RGGB", 14, "lossless-jpeg")  # twice the usual tile
@example((22, 512), "GRBG", 16, "lossless-jpeg")
@example((250, 250), "BGGR", 12, "lossless-jpeg")  # four tiles, which once meant something else
@example((22, 22), "GBRG", 16, "lossless-jpeg")
@example((23, 33), "GBRG", 16, "lossless-jpeg")
def test_libraw_reads_every_sample_as_it_was(
    shape: tuple[int, int], pattern: str, bits: int, compression: Any
) -> None:
    rng = np.random.default_rng(bits)
    mosaic = rng.integers(0, 2**bits, shape, dtype=np.uint16)
    mosaic[0, 0], mosaic[-1, -1] = 0, 2**bits - 1
    record = make_record(mosaic=mosaic, pattern=pattern, white=200, bit_depth=bits)
    np.testing.assert_array_equal(mosaic_that_libraw_sees(encode_dng(record, compression)), mosaic)


@pytest.mark.parametrize("width", [511, 512, 513, 640, 1023, 1024, 1025])
def test_wide_frames(width: int) -> None:
    record = make_record((130, width))
    np.testing.assert_array_equal(mosaic_that_libraw_sees(encode_dng(record)), record.mosaic)


def test_another_reader_decodes_the_tiles() -> None:
    record = make_record((150, 200), "GBRG")
    with tifffile.TiffFile(io.BytesIO(encode_dng(record))) as tiff:
        decoded = tiff.pages[0].asarray()
    np.testing.assert_array_equal(decoded, record.mosaic)


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("pattern", CFA_PATTERNS)
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_record_comes_back_as_it_was(
    compression: Any, pattern: str, orientation: int, tmp_path: Path
) -> None:
    record = make_record((41, 55), pattern, orientation=orientation)
    assert_same(record, through_a_file(record, tmp_path / "a.dng", compression=compression))


@settings(max_examples=30, deadline=None)
@given(
    black=st.lists(st.integers(0, 1000), min_size=4, max_size=4),
    white=st.integers(1001, 65535),
    white_balance=st.lists(st.floats(0.2, 8), min_size=3, max_size=3),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_levels_balance_and_matrix_come_back(
    black: list[int],
    white: int,
    white_balance: list[float],
    seed: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    noise = np.random.default_rng(seed).normal(0, 0.05, (3, 3))
    xyz_to_camera = make_record().xyz_to_camera + noise
    record = make_record(
        (30, 34),
        black=np.reshape(black, (2, 2)),
        white=white,
        white_balance=white_balance,
        xyz_to_camera=xyz_to_camera,
        camera_to_srgb=camera_to_srgb_from(xyz_to_camera),
    )
    record = record.replace(bit_depth=max(12, white.bit_length()))
    assert_same(record, through_a_file(record, tmp_path_factory.mktemp("dng") / "a.dng"))


def test_the_rendering_matrix_wins_where_the_two_disagree(tmp_path: Path) -> None:
    rendering = np.array([[1.8, -0.6, -0.2], [-0.1, 1.4, -0.3], [0.0, -0.5, 1.5]])
    record = make_record(camera_to_srgb=rendering, xyz_to_camera=np.eye(3))
    again = through_a_file(record, tmp_path / "a.dng")
    np.testing.assert_allclose(again.camera_to_srgb, rendering, atol=1e-6)
    singular = record.replace(xyz_to_camera=np.zeros((3, 3)))
    again = through_a_file(singular, tmp_path / "b.dng")
    np.testing.assert_allclose(again.camera_to_srgb, rendering, atol=1e-6)


def test_fractional_levels_are_rounded_and_libraw_subtracts_just_that(tmp_path: Path) -> None:
    record = make_record(black=[[60.4, 60.6], [61.5, 62.0]], white=3900.7)
    write_dng(tmp_path / "a.dng", record)
    assert read_raw(tmp_path / "a.dng").black.tolist() == [[60, 61], [62, 62]]
    assert read_raw(tmp_path / "a.dng").white == 3901
    with rawpy.imread(str(tmp_path / "a.dng")) as raw:
        linear = raw.postprocess(
            no_auto_scale=True,
            no_auto_bright=True,
            gamma=(1, 1),
            output_bps=16,
            output_color=rawpy.ColorSpace.raw,
            demosaic_algorithm=rawpy.DemosaicAlgorithm.LINEAR,
        )
    measured = record.mosaic.astype(int)
    np.testing.assert_array_equal(linear[::2, ::2, 0], np.maximum(measured[::2, ::2] - 60, 0))
    np.testing.assert_array_equal(linear[::2, 1::2, 1], np.maximum(measured[::2, 1::2] - 61, 0))
    np.testing.assert_array_equal(linear[1::2, ::2, 1], np.maximum(measured[1::2, ::2] - 62, 0))


@pytest.mark.parametrize(
    ("make", "model", "shape"),
    [
        ("Canon", "Canon EOS 30D", (60, 70)),
        ("NIKON CORPORATION", "NIKON D5000", (60, 70)),
        ("NIKON CORPORATION", "NIKON D200", (60, 70)),
        ("FUJIFILM", "FinePix S5Pro", (60, 70)),
        ("OLYMPUS CORPORATION", "E-M1", (60, 70)),
        ("Phase One", "IQ180", (60, 70)),
        ("Adobe", "dcraw", (60, 70)),
        ("", "", (60, 70)),
        # LibRaw crops DNGs of these cameras or sizes.
        ("LEICA CAMERA AG", "LEICA SL2", (60, 70)),
        ("LEICA CAMERA AG", "LEICA SL3", (24, 9536)),
        ("Panasonic", "DMC-LX100", (60, 70)),
        ("SONY", "DSLR-A700", (24, 4288)),
    ],
)
def test_what_libraw_knows_about_a_camera_changes_nothing(
    make: str, model: str, shape: tuple[int, int], tmp_path: Path
) -> None:
    record = make_record(shape, make=make, model=model)
    again = through_a_file(record, tmp_path / "a.dng")
    assert_same(record, again.replace(make=make, model=model))
    assert again.camera == record.camera


def test_unnamed_files_hold_neither_camera_nor_capture() -> None:
    data = encode_dng(make_record(), named=False)
    tags = exifread.process_file(io.BytesIO(data))
    assert not any(name.startswith("EXIF") for name in tags)
    assert not {"Image Make", "Image Model", "Image Artist"} & tags.keys()


def test_pillow_reads_the_capture_exif() -> None:
    exif = Image.Exif()
    exif.load_from_fp(io.BytesIO(encode_dng(make_record())))
    assert exif[ExifTags.Base.Make] == "Maker"
    assert exif[ExifTags.Base.Model] == "Model One"
    assert exif[ExifTags.Base.Software] == "napari-invisp"
    details = exif.get_ifd(ExifTags.IFD.Exif)
    assert float(details[ExifTags.Base.ExposureTime]) == CAPTURE.exposure_time
    assert float(details[ExifTags.Base.FNumber]) == CAPTURE.f_number
    assert details[ExifTags.Base.ISOSpeedRatings] == CAPTURE.iso
    assert float(details[ExifTags.Base.ExposureBiasValue]) == pytest.approx(-2 / 3)
    assert details[ExifTags.Base.DateTimeOriginal] == CAPTURE.taken
    assert details[ExifTags.Base.LensModel] == CAPTURE.lens


def test_libraw_reads_the_capture_exif() -> None:
    with rawpy.imread(io.BytesIO(encode_dng(make_record()))) as raw:
        assert raw.other.iso_speed == CAPTURE.iso
        assert raw.other.shutter_speed == pytest.approx(CAPTURE.exposure_time)
        assert raw.other.aperture == pytest.approx(CAPTURE.f_number)
        assert raw.other.focal_length == pytest.approx(CAPTURE.focal_length)
        assert f"{raw.other.timestamp:%Y:%m:%d %H:%M:%S}" == CAPTURE.taken
        assert raw.lens.model == CAPTURE.lens


@pytest.mark.parametrize("capture", [Capture(), Capture(iso=204800), Capture(exposure_time=1e12)])
def test_little_or_odd_capture_facts(capture: Capture, tmp_path: Path) -> None:
    again = through_a_file(make_record(capture=capture), tmp_path / "a.dng").capture
    assert again.iso == capture.iso
    assert again.f_number is None
    assert again.taken is None


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_the_bit_depth_is_carried(bits: int, tmp_path: Path) -> None:
    record = make_record(white=2**bits - 1, black=np.zeros((2, 2)), bit_depth=bits)
    record = record.replace(mosaic=record.mosaic >> (12 - min(bits, 12)))
    for compression in COMPRESSIONS:
        again = through_a_file(record, tmp_path / "a.dng", compression=compression)
        assert again.bit_depth == bits


def test_lossless_jpeg_is_smaller_on_real_structure(tmp_path: Path) -> None:
    rows, columns = np.mgrid[:256, :256]
    mosaic = (rows * 3 + columns * 5).astype(np.uint16)
    record = make_record(mosaic=mosaic)
    assert len(encode_dng(record)) < len(encode_dng(record, "none")) / 2


def test_an_unknown_compression_is_named() -> None:
    with pytest.raises(SettingsError, match="'zip' is not one of none, lossless-jpeg"):
        encode_dng(make_record(), "zip")  # type: ignore[arg-type]


def test_a_folder_that_is_not_there_is_reported(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"cannot write .*a\.dng"):
        write_dng(tmp_path / "missing" / "a.dng", make_record())


def test_nothing_but_the_file_is_left_behind(tmp_path: Path) -> None:
    (tmp_path / "a.dng").write_text("old")
    write_dng(tmp_path / "a.dng", make_record())
    assert [path.name for path in tmp_path.iterdir()] == ["a.dng"]
    assert read_raw(tmp_path / "a.dng") == read_raw(tmp_path / "a.dng")


@pytest.mark.parametrize("name", ["IMG_5952.CR2", "sample2.dng"])
def test_camera_files_survive(shared_raw: Path, name: str, tmp_path: Path) -> None:
    record = read_raw(shared_raw / name)
    assert_same(record, through_a_file(record, tmp_path / "a.dng"))


# Makers whose own DNGs carry private data that LibRaw takes to pieces, and others.
MAKERS = ("Maker", "SONY", "PENTAX", "SAMSUNG", "NIKON CORPORATION", "Konica Minolta", "Adobe")


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("make", MAKERS)
def test_private_data_change_nothing_else(make: str, compression: Any, tmp_path: Path) -> None:
    record = make_record((64, 96), make=make)
    private = b"napari-invisp\0" + bytes(range(256)) * 9
    plain = through_a_file(record, tmp_path / "plain.dng", compression=compression)
    path = tmp_path / "private.dng"
    assert through_a_file(record, path, compression=compression, private=private) == plain
    np.testing.assert_array_equal(mosaic_that_libraw_sees(path.read_bytes()), record.mosaic)
    assert read_private(path) == private
    assert read_private(tmp_path / "plain.dng") == b""


def test_what_is_no_dng_has_no_private_data(tmp_path: Path) -> None:
    path = tmp_path / "text.dng"
    path.write_text("no DNG")
    assert read_private(path) == b""
    assert read_private(tmp_path / "missing.dng") == b""
