import io

import exifread
import numpy as np
import pytest
from PIL import Image, ImageOps

from napari_invisp.jpeg.codec import encode_jpeg
from napari_invisp.jpeg.exif import build_exif

CAPTURE = {
    "orientation": 6,
    "make": "NIKON CORPORATION",
    "model": "NIKON D5000",
    "taken": "2010:07:04 12:34:56",
    "exposure_time": 0.00625,
    "f_number": 5.6,
    "iso": 200,
    "focal_length": 35.0,
    "exposure_bias": -0.333333,
    "lens": "35mm f/1.8",
    "artist": "José Núñez",
    "copyright": "© Núñez",
    "software": "napari-invisp 0.1.0",
}


def read(block: bytes) -> dict[str, str]:
    file = io.BytesIO(encode_jpeg(np.zeros((8, 16, 3), np.uint8), exif=block))
    return {name: str(value) for name, value in exifread.process_file(file).items()}


def test_exifread_finds_everything() -> None:
    tags = read(build_exif(**CAPTURE))
    expected = {
        "Image Orientation": "Rotated 90 CW",
        "Image Make": "NIKON CORPORATION",
        "Image Model": "NIKON D5000",
        "Image DateTime": "2010:07:04 12:34:56",
        "EXIF DateTimeOriginal": "2010:07:04 12:34:56",
        "EXIF ExposureTime": "1/160",
        "EXIF FNumber": "28/5",
        "EXIF ISOSpeedRatings": "200",
        "EXIF FocalLength": "35",
        "EXIF ExposureBiasValue": "-1/3",
        "EXIF LensModel": "35mm f/1.8",
        "Image Artist": "José Núñez",
        "Image Copyright": "© Núñez",
        "Image Software": "napari-invisp 0.1.0",
        "EXIF ColorSpace": "sRGB",
    }
    assert {name: tags.get(name) for name in expected} == expected


def test_pillow_finds_everything_and_turns_it_upright() -> None:
    encoded = encode_jpeg(np.zeros((8, 16, 3), np.uint8), exif=build_exif(**CAPTURE))
    with Image.open(io.BytesIO(encoded)) as image:
        exif = image.getexif()
        capture = exif.get_ifd(0x8769)
        assert (exif[0x0110], exif[0x0112]) == ("NIKON D5000", 6)
        assert capture[0x829A] == pytest.approx(1 / 160)
        assert capture[0x8827] == 200
        assert capture[0x9204] == pytest.approx(-1 / 3)
        assert capture[0xA434] == "35mm f/1.8"
        assert image.size == (16, 8)
        assert ImageOps.exif_transpose(image).size == (8, 16)


def test_what_is_unknown_is_left_out() -> None:
    tags = read(build_exif(orientation=3, make="", lens=""))
    assert set(tags) == {
        "Image Orientation",
        "Image ExifOffset",
        "EXIF ExifVersion",
        "EXIF ColorSpace",
    }


@pytest.mark.parametrize(
    ("seconds", "text"), [(1 / 8000, "1/8000"), (1 / 3, "1/3"), (0.3, "3/10"), (30.0, "30")]
)
def test_exposure_times_are_plain_fractions(seconds: float, text: str) -> None:
    assert read(build_exif(exposure_time=seconds))["EXIF ExposureTime"] == text


def test_sensitivity_beyond_16_bits() -> None:
    tags = read(build_exif(iso=204800))
    assert (tags["EXIF ISOSpeedRatings"], tags["EXIF ISOSpeed"]) == ("65535", "204800")
