import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms
from skimage import data

from napari_invisp.errors import CapsuleError, InvispError, SettingsError
from napari_invisp.jpeg.codec import decode_jpeg, encode_jpeg, srgb_profile
from napari_invisp.jpeg.segments import Segment
from napari_invisp.jpeg.tables import quantization_tables

PHOTOGRAPH = data.chelsea()[:123, :157]


def pillow_bytes(image: Image.Image, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", **options)
    return file.getvalue()


@pytest.mark.parametrize("quality", [1, 60, 90, 100])
@pytest.mark.parametrize(("number", "subsampling"), [(0, "4:4:4"), (1, "4:2:2"), (2, "4:2:0")])
def test_files_are_what_pillow_writes_and_reads(
    quality: int, number: int, subsampling: str
) -> None:
    ours = encode_jpeg(PHOTOGRAPH, quality, subsampling)
    image = Image.fromarray(PHOTOGRAPH)
    theirs = pillow_bytes(image, quality=quality, subsampling=number)
    with Image.open(io.BytesIO(ours)) as opened, Image.open(io.BytesIO(theirs)) as expected:
        assert opened.mode == "RGB"
        np.testing.assert_array_equal(opened, expected)
        np.testing.assert_array_equal(decode_jpeg(theirs).rgb, expected)
    decoded = decode_jpeg(ours)
    assert (decoded.quality, decoded.subsampling) == (quality, subsampling)
    assert decoded.size == (157, 123)
    luminance, chrominance = quantization_tables(quality)
    np.testing.assert_array_equal(decoded.tables, [luminance, chrominance, chrominance])


def test_a_view_is_encoded_like_its_copy() -> None:
    view = PHOTOGRAPH[::-1, ::2]
    assert encode_jpeg(view) == encode_jpeg(view.copy())


def test_metadata_come_back() -> None:
    exif, extra = b"Exif\0\0" + b"abc", Segment(0xE9, b"mine")
    large = bytes(range(256)) * 600  # more than two segments hold
    encoded = encode_jpeg(PHOTOGRAPH, exif=exif, icc=large, segments=[extra])
    decoded = decode_jpeg(encoded)
    assert (decoded.exif, decoded.icc) == (exif, large)
    assert extra in decoded.segments
    with Image.open(io.BytesIO(encoded)) as opened:
        assert (opened.info["exif"], opened.info["icc_profile"]) == (exif, large)
        np.testing.assert_array_equal(opened, decode_jpeg(encode_jpeg(PHOTOGRAPH)).rgb)
    bare = decode_jpeg(encode_jpeg(PHOTOGRAPH))
    assert bare.exif is bare.icc is None


def test_srgb_profile_is_one_and_the_same_and_valid() -> None:
    first = srgb_profile()
    srgb_profile.cache_clear()
    assert srgb_profile() == first
    profile = ImageCms.ImageCmsProfile(io.BytesIO(first))
    assert "sRGB" in ImageCms.getProfileDescription(profile)
    image = Image.fromarray(PHOTOGRAPH)
    same = ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"))
    assert same is not None
    np.testing.assert_allclose(np.asarray(same, int), PHOTOGRAPH, atol=1)


def test_pixels_are_not_turned_by_the_orientation() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    encoded = encode_jpeg(PHOTOGRAPH, exif=exif.tobytes())
    assert decode_jpeg(encoded).size == (157, 123)


def test_from_a_path(tmp_path: Path) -> None:
    path = tmp_path / "cat.jpg"
    path.write_bytes(encode_jpeg(PHOTOGRAPH, 95))
    np.testing.assert_array_equal(decode_jpeg(path).rgb, decode_jpeg(path.read_bytes()).rgb)
    path.write_bytes(b"")
    with pytest.raises(CapsuleError, match=r"^cat\.jpg is empty"):
        decode_jpeg(path)
    with pytest.raises(CapsuleError, match=r"^cannot read gone\.jpg: No such file"):
        decode_jpeg(tmp_path / "gone.jpg")


def test_foreign_tables_and_sampling_are_not_guessed() -> None:
    image = Image.fromarray(PHOTOGRAPH)
    tables = [[3] * 64, [5] * 64]
    decoded = decode_jpeg(pillow_bytes(image, qtables=tables, subsampling="4:1:1"))
    assert decoded.quality is None
    assert decoded.subsampling == "4:2:0"  # what Pillow means by 4:1:1
    np.testing.assert_array_equal(decoded.tables, np.repeat([3, 5, 5], 64).reshape(3, 8, 8))
    stored_as_rgb = decode_jpeg(pillow_bytes(image, keep_rgb=True, quality=100))
    assert np.abs(stored_as_rgb.rgb.astype(int) - PHOTOGRAPH).max() <= 2


@pytest.mark.parametrize(("mode", "kind"), [("L", "8-bit greyscale"), ("CMYK", "8-bit CMYK")])
def test_other_kinds_of_jpeg_are_named(mode: str, kind: str) -> None:
    with pytest.raises(CapsuleError, match=rf"^odd\.jpg is a {kind} JPEG"):
        decode_jpeg(pillow_bytes(Image.fromarray(PHOTOGRAPH).convert(mode)), "odd.jpg")


def test_what_cannot_be_decoded_is_refused() -> None:
    encoded = encode_jpeg(PHOTOGRAPH)
    with pytest.raises(CapsuleError, match=r"^half\.jpg is cut short"):
        decode_jpeg(encoded[: len(encoded) // 2], "half.jpg")
    with pytest.raises(CapsuleError, match="the JPEG is not a JPEG file"):
        decode_jpeg(b"GIF89a")
    huffman = encoded.index(b"\xff\xc4")
    broken = encoded[: huffman + 5] + b"\xff" * 16 + encoded[huffman + 21 :]
    with pytest.raises(CapsuleError, match="cannot be decoded"):
        decode_jpeg(broken)


def test_settings_out_of_range() -> None:
    with pytest.raises(SettingsError, match="quality 0"):
        encode_jpeg(PHOTOGRAPH, 0)
    with pytest.raises(SettingsError, match="'4:1:1'"):
        encode_jpeg(PHOTOGRAPH, 90, "4:1:1")
    for shape in ((1, 65501, 3), (65501, 1, 3), (0, 5, 3)):
        with pytest.raises(SettingsError, match="sides are 1 to 65500"):
            encode_jpeg(np.zeros(shape, np.uint8))
    with pytest.raises(InvispError, match="do not fit"):
        encode_jpeg(PHOTOGRAPH, exif=bytes(70_000))
    with pytest.raises(SettingsError, match="does not fit a JPEG"):
        encode_jpeg(PHOTOGRAPH, icc=bytes(17_000_000))
    with pytest.raises(ValueError, match="float64"):
        encode_jpeg(PHOTOGRAPH / 255)  # type: ignore[arg-type]


def test_longest_side() -> None:
    wide = np.full((1, 65500, 3), 200, np.uint8)
    assert decode_jpeg(encode_jpeg(wide)).size == (65500, 1)
