from __future__ import annotations

import io
import zlib

import imagecodecs
import numpy as np
import pytest
from archive_helpers import any_picture
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from records import make_record

from napari_invisp.archive.exact import pack, unpack
from napari_invisp.errors import CapsuleError


@settings(max_examples=25, deadline=None)
@given(
    height=st.integers(2, 70),
    width=st.integers(2, 70),
    levels=st.sampled_from([1, 2, 40, 65536]),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_mosaic_comes_back(height: int, width: int, levels: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    mosaic = rng.choice(rng.integers(0, 65536, levels, dtype=np.uint16), (height, width))
    picture = any_picture(height, width)
    assert np.array_equal(unpack(pack(make_record(mosaic=mosaic), picture), picture), mosaic)


def test_what_the_jpeg_tells_is_not_stored_again(dog) -> None:
    """The archive is smaller than the mosaic in JPEG XL alone."""
    mosaic = dog.record.mosaic
    alone = sum(
        len(imagecodecs.jpegxl_encode(mosaic[i::2, j::2].copy(), lossless=True, effort=7))
        for i in (0, 1)
        for j in (0, 1)
    )
    assert len(pack(dog.record, dog.picture)) < alone


def test_levels_that_do_not_occur_cost_nothing(dog) -> None:
    """As in lossy NEF: every third level only."""
    dense = dog.record.replace(mosaic=dog.record.mosaic // 3)
    sparse = dense.replace(mosaic=dense.mosaic * 3, white=dense.white * 3, black=dense.black * 3)
    sizes = [len(pack(each, dog.picture)) for each in (dense, sparse)]
    assert sizes[1] < 1.01 * sizes[0]


def test_decoders_agree_on_the_picture(dog) -> None:
    with Image.open(io.BytesIO(dog.jpeg)) as image:
        pillow = np.asarray(image.convert("RGB"))
    assert np.array_equal(pillow, dog.picture)
    assert np.array_equal(imagecodecs.jpeg8_decode(dog.jpeg), dog.picture)


def test_another_picture_is_told(dog) -> None:
    data = pack(dog.record, dog.picture)
    picture = dog.picture.copy()
    picture[5, 5] ^= 1
    with pytest.raises(CapsuleError, match="pixels are not those"):
        unpack(data, picture)


def test_a_newer_archive_is_told(dog) -> None:
    data = bytearray(pack(dog.record, dog.picture))
    data[0] += 1
    with pytest.raises(CapsuleError, match="needs a newer napari-invisp"):
        unpack(bytes(data), dog.picture)


@settings(max_examples=60, deadline=None)
@given(place=st.integers(0, 10**9), flip=st.integers(1, 255), cut=st.booleans())
def test_damage_is_told(place: int, flip: int, cut: bool) -> None:
    record, picture = make_record((24, 26)), any_picture(24, 26)
    data = bytearray(pack(record, picture))
    place = 9 + place % (len(data) - 9)  # behind what was asked for above
    if cut:
        del data[place:]
    else:
        data[place] ^= flip
    try:
        mosaic = unpack(bytes(data), picture)
    except CapsuleError:
        return
    # Bits of no meaning may change; samples never.
    assert zlib.crc32(mosaic) == zlib.crc32(record.mosaic)
