from __future__ import annotations

import io
import math
from typing import Any

import exifread
import numpy as np
import pytest
import rawpy
import tifffile
from photographs import photograph
from PIL import Image
from records import make_smooth_record

from napari_invisp.errors import RawFileError
from napari_invisp.metrics import raw_psnr
from napari_invisp.sensor.libraw import reference_srgb
from napari_invisp.sensor.lossy_dng import CameraCodes
from napari_invisp.sensor.reading import read_raw
from napari_invisp.sensor.record import CFA_PATTERNS, RawRecord


def coded(codes: np.ndarray, quality: int = 95) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(codes).save(stream, "JPEG", quality=quality, subsampling=0)
    return stream.getvalue()


def written(record: RawRecord, quality: int = 95) -> tuple[bytes, np.ndarray, CameraCodes]:
    """A lossy DNG, what its JPEG decodes to by Pillow, and what was encoded."""
    encoded = CameraCodes.of(record)
    jpeg = coded(encoded.codes, quality)
    return encoded.dng(jpeg), np.asarray(Image.open(io.BytesIO(jpeg))), encoded


def camera_colours(data: bytes) -> np.ndarray:
    """What LibRaw makes of the file, before it develops anything; 1 is its white."""
    with rawpy.imread(io.BytesIO(data)) as raw:
        assert raw.raw_type == rawpy.RawType.Stack
        return raw.raw_image_visible[..., :3] / 65535


@pytest.mark.parametrize("beyond", [False, True], ids=["within white", "beyond white"])
@pytest.mark.parametrize("pattern", CFA_PATTERNS)
def test_libraw_reads_the_camera_colours_that_were_encoded(pattern: str, beyond: bool) -> None:
    record = photograph(120, 160, pattern)
    if beyond:
        record = record.replace(white=1500)
    data, codes, encoded = written(record)
    assert (encoded.scale > 1) is beyond
    # On a scale that code 255 of the channel with the smallest multiplier fills.
    expected = (codes / 255) ** 2.2 / record.balance * record.balance.min()
    seen = camera_colours(data)
    assert seen.shape == (120, 160, 3)
    # LibRaw rounds down to 16 bits, and the polynomial comes close to the power.
    np.testing.assert_allclose(seen, expected, atol=3e-4)
    # In the dark, where the power is flat, to a fraction of a code.
    as_codes = (seen * record.balance / record.balance.min()) ** (1 / 2.2) * 255
    shown = codes >= 8
    np.testing.assert_allclose(as_codes[shown], codes[shown], atol=0.2)


def test_what_libraw_reads_is_as_close_to_the_raw_as_what_we_take_back() -> None:
    record = photograph(120, 160, "GBRG")
    data, codes, encoded = written(record)
    rows, columns = np.indices(record.mosaic.shape)
    channel = record.channels[rows % 2, columns % 2]
    brightest = encoded.scale / record.balance.min()
    values = camera_colours(data)[rows, columns, channel] * brightest
    black = record.black[rows % 2, columns % 2]
    counts = np.rint(black + values * (record.white - black)).astype(np.uint16)
    ours = raw_psnr(record, encoded.recovered(codes))
    assert raw_psnr(record, record.replace(mosaic=counts)) == pytest.approx(ours, abs=0.05)
    assert ours > 40


def test_every_code_is_read_in_order_and_none_wraps_around() -> None:
    ramp = np.repeat(np.arange(256, dtype=np.uint8), 8)
    codes = np.broadcast_to(ramp[None, :, None], (32, ramp.size, 3)).copy()
    record = make_smooth_record((32, ramp.size))
    data = CameraCodes(codes, 1.0, record).dng(coded(codes, 100))
    jpeg = np.asarray(Image.open(io.BytesIO(coded(codes, 100))))
    seen = camera_colours(data)
    for channel in range(3):
        order = np.argsort(jpeg[..., channel], axis=None, kind="stable")
        assert (np.diff(seen[..., channel].ravel()[order]) >= 0).all()
    assert seen.max() > 0.9999


def test_libraw_develops_it_as_it_develops_the_raw() -> None:
    record = make_smooth_record().replace(orientation=6)
    data, _, encoded = written(record, 98)
    with rawpy.imread(io.BytesIO(data)) as raw:
        assert raw.sizes.flip == 6
        white_balance = np.array(raw.camera_whitebalance[:3])
        rgb = raw.postprocess(
            use_camera_wb=True,
            no_auto_bright=True,
            adjust_maximum_thr=0.0,
            user_flip=0,
            # What BaselineExposure asks for.
            bright=encoded.scale / record.balance.min(),
        )
    np.testing.assert_allclose(white_balance / white_balance.max(), record.balance, rtol=1e-5)
    reference = reference_srgb(record)
    unclipped = reference.max(axis=-1) < 250
    error = (rgb.astype(int) - reference)[unclipped]
    assert abs(error.mean()) < 0.3
    assert np.abs(error).mean() < 1.5


def test_another_reader_finds_the_same_jpeg_and_the_facts() -> None:
    record = photograph(60, 80)
    data, codes, encoded = written(record)
    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        page = tiff.pages.first
        np.testing.assert_array_equal(page.asarray(), codes)
        tags: dict[int, Any] = {tag.code: tag.value for tag in page.tags}
    assert tags[262] == 34892  # LinearRaw
    assert tags[50717] == (255, 255, 255)  # WhiteLevel
    assert not {33421, 33422, 50710, 50711} & set(tags)  # no CFA
    numerator, denominator = tags[50730]  # BaselineExposure
    assert numerator / denominator == pytest.approx(
        math.log2(encoded.scale / record.balance.min()), abs=1e-6
    )
    exif = exifread.process_file(io.BytesIO(data))
    assert str(exif["Image Model"]) == record.model
    assert str(exif["EXIF ISOSpeedRatings"]) == str(record.capture.iso)


def test_it_is_no_mosaic_and_says_so(tmp_path: Any) -> None:
    (tmp_path / "a.dng").write_bytes(written(photograph(60, 80))[0])
    with pytest.raises(RawFileError, match="full colour at every pixel"):
        read_raw(tmp_path / "a.dng")
