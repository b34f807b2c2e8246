from __future__ import annotations

import io
from pathlib import Path

import matplotlib
import numpy as np
import OpenEXR
import pytest
import tifffile
from PIL import Image, ImageCms
from records import make_record, make_smooth_record

from napari_invisp.errors import InvispError, OutputError
from napari_invisp.inspection.exports import (
    MapLook,
    Values,
    balanced_rgb,
    bilinear_16_bit,
    error_values,
    frame_of,
    map_picture,
    normalised_mosaic,
    read_exr,
    sensor_counts,
    srgb_16_bit,
    srgb_linear,
    write_exr,
    write_map,
    write_tiff,
)
from napari_invisp.inspection.provenance import Provenance, recall
from napari_invisp.sensor.record import RawRecord

MADE = Provenance("rendered", source="Büro.CR2", model="universal", quality=90)
LOOK = MapLook("photo RAW error", "AE, DN", (0.0, 50.0), matplotlib.colormaps["inferno"])


@pytest.fixture
def record() -> RawRecord:
    """A frame on its side: the stored left column is its top row."""
    return make_smooth_record((60, 90), "GBRG").replace(orientation=6)


@pytest.fixture
def codes() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (60, 90, 3), dtype=np.uint8)


def test_pictures_become_16_bit_srgb(record: RawRecord, codes: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "photo.tif"
    write_tiff(path, srgb_16_bit(codes, record), MADE)
    expected = np.rot90(codes, -1).astype(int) * 257
    np.testing.assert_array_equal(tifffile.imread(path), expected)
    assert expected.max() == 65535
    with Image.open(path) as image:
        assert image.size == (60, 90)  # upright
        profile = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
        assert "sRGB" in ImageCms.getProfileDescription(profile)
        assert image.getexif().get(0x0112, 1) == 1
    known = recall(path)
    assert known == MADE.replace(values="gamma-encoded sRGB, 8-bit codes times 257")


def test_linear_light_is_that_of_the_srgb_curve(record: RawRecord, tmp_path: Path) -> None:
    codes = np.zeros((60, 90, 3), np.uint8)
    codes[..., 0], codes[..., 1] = 255, 188
    light = srgb_linear(codes, record).array
    assert light.dtype == np.float32
    # 188 is the code that is nearest to half of the light (IEC 61966-2-1).
    np.testing.assert_allclose(light[0, 0], [1, 0.5029, 0], atol=1e-4)


def test_the_bilinear_picture_keeps_more_than_8_bits(record: RawRecord) -> None:
    values = bilinear_16_bit(record)
    light = np.clip(balanced_rgb(record).array, 0, 1) ** (1 / 2.2)
    np.testing.assert_allclose(values.array, light * 65535, atol=0.6)
    assert values.array.shape == (90, 60, 3)
    assert not values.srgb  # the camera's own colours
    assert len(np.unique(values.array)) > 256


def test_balanced_light_is_not_clipped() -> None:
    record = make_record((40, 40))  # some samples lie beyond white, and below black
    light = balanced_rgb(record).array
    scaled = record.balance[record.channels[1, 0]]
    black = record.black[1, 0]
    expected = scaled * (record.mosaic[1::2, ::2] - black) / (record.white - black)
    measured = light[1::2, ::2, record.channels[1, 0]]
    np.testing.assert_allclose(measured, expected, rtol=1e-5, atol=1e-6)
    assert measured.max() > scaled
    assert measured.min() < 0


@pytest.mark.parametrize("shape", [(7, 9), (7, 9, 3)])
def test_floats_survive_openexr(shape: tuple[int, ...], tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(0, 3, shape).astype(np.float32)
    path = tmp_path / "light.exr"
    write_exr(path, Values(values, "light"), MADE)
    np.testing.assert_array_equal(read_exr(path), values)
    assert recall(path) == MADE.replace(values="light")
    with OpenEXR.File(str(path)) as file:
        assert list(file.channels()) == (["RGB"] if len(shape) == 3 else ["Y"])
        assert file.header()["comments"] == "light"


def test_other_openexr_files_are_explained(tmp_path: Path) -> None:
    plane = np.zeros((4, 4), np.float32)
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    OpenEXR.File(header, {"U": plane, "V": plane}).write(str(tmp_path / "flow.exr"))
    with pytest.raises(InvispError, match=r"flow\.exr has the channels U, V"):
        read_exr(tmp_path / "flow.exr")
    (tmp_path / "text.exr").write_text("no light")
    with pytest.raises(InvispError, match=r"text\.exr is not an OpenEXR file"):
        read_exr(tmp_path / "text.exr")


def test_mosaics_stay_as_the_sensor_stored_them(record: RawRecord, tmp_path: Path) -> None:
    write_tiff(tmp_path / "counts.tif", sensor_counts(record), MADE)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "counts.tif"), record.mosaic)
    write_tiff(tmp_path / "light.tif", normalised_mosaic(record), MADE)
    light = tifffile.imread(tmp_path / "light.tif")
    black = np.tile(record.black, (30, 45))
    np.testing.assert_allclose(
        light, (record.mosaic - black) / (record.white - black), rtol=1e-5, atol=1e-6
    )
    known = recall(tmp_path / "light.tif")
    assert known is not None
    assert known.values is not None
    assert "GBRG" in known.values


def test_an_error_map_has_title_and_colour_bar(record: RawRecord, tmp_path: Path) -> None:
    errors = np.linspace(0, 80, 60 * 90).reshape(60, 90)
    values = error_values(errors, record, "errors")
    path = tmp_path / "error.png"
    write_map(path, values, LOOK, MADE)
    with Image.open(path) as image:
        picture = np.asarray(image)
        assert image.info["Title"] == "photo RAW error"
    known = recall(path)
    assert known is not None
    assert known.values == "AE, DN; colours from 0 to 50"
    frame = frame_of(values.array.shape)
    shown = picture[frame : frame + 90, frame : frame + 60]
    expected = LOOK.colormap(np.clip(values.array / 50, 0, 1), bytes=True)[..., :3]
    np.testing.assert_array_equal(shown, expected)
    title, beside = picture[:frame], picture[frame : frame + 90, frame + 60 :]
    assert (title < 128).any()  # letters on white
    assert (picture[0] == 255).all()  # none of them cut
    # The bar holds the colours, the highest on top.
    saturated = np.abs(np.ptp(beside.astype(int), axis=2)).argmax(axis=1)
    bar = beside[np.arange(90), saturated]
    assert bar[2].sum() > bar[45].sum() > bar[87].sum()


def test_what_is_beyond_the_limits_can_have_its_own_colour() -> None:
    colours = matplotlib.colormaps["inferno"].with_extremes(over="lime")
    look = MapLook("map", "AE, DN", (0.0, 10.0), colours)
    picture = map_picture(np.array([[5.0, 11.0]] * 30), look)
    frame = frame_of((30, 2))
    assert picture[frame, frame + 1].tolist() == [0, 255, 0]
    assert picture[frame, frame].tolist() != [0, 255, 0]


def test_nothing_is_left_behind_where_writing_fails(record: RawRecord, tmp_path: Path) -> None:
    values = normalised_mosaic(record)
    for write, name in ((write_tiff, "a.tif"), (write_exr, "a.exr")):
        with pytest.raises(OutputError, match="cannot write"):
            write(tmp_path / "missing" / name, values, MADE)
    with pytest.raises(ValueError, match="made of float32"):
        write_exr(tmp_path / "a.exr", sensor_counts(record), MADE)
    assert list(tmp_path.iterdir()) == []
