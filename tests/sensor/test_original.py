from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile
from records import make_record

from napari_invisp.sensor.dng import encode_dng
from napari_invisp.sensor.original import Original
from napari_invisp.sensor.reading import read_raw
from napari_invisp.sensor.tiff import Entry, read_directory, write_directory

MAKER_NOTE = bytes(range(256)) * 3


def raw_file(order: str) -> bytes:
    """A TIFF with the tags of a camera in either byte order, and a picture."""
    stream = io.BytesIO()
    tags = [
        (271, "s", 0, "Acme", True),
        (33432, "s", 0, "Jo", True),
        (65000, "I", 3, (1, 2, 70000), True),
        (65001, "2i", 1, (-3, 7), True),
        (65002, "d", 1, 2.5, True),
        (65003, "B", 5, bytes(range(5)), True),
    ]
    picture = np.zeros((32, 32), np.uint16)
    with tifffile.TiffWriter(stream, byteorder=order) as tiff:
        tiff.write(picture, photometric="minisblack", extratags=tags)
    data = bytearray(stream.getvalue())
    # An EXIF directory with a maker note goes behind.
    place = len(data) + len(data) % 2
    data.extend(b"\0" * (place - len(data)))
    exif = [(33434, 5, 1), (37500, 7, len(MAKER_NOTE))]
    values = place + 2 + 12 * len(exif) + 4
    data += struct.pack(order + "H", len(exif))
    for tag, kind, count in exif:
        data += struct.pack(order + "HHII", tag, kind, count, values)
        values += 8
    data += struct.pack(order + "III", 0, 10, 3200) + MAKER_NOTE
    first = struct.unpack_from(order + "I", data, 4)[0]
    count = struct.unpack_from(order + "H", data, first)[0]
    entries = data[first + 2 : first + 2 + 12 * count]
    moved = len(data) + len(data) % 2
    data.extend(b"\0" * (moved - len(data)))
    data += struct.pack(order + "H", count + 1) + entries
    data += struct.pack(order + "HHII", 34665, 4, 1, place) + b"\0" * 4
    struct.pack_into(order + "I", data, 4, moved)
    return bytes(data)


@pytest.mark.parametrize("order", ["<", ">"])
def test_all_tags_but_those_of_the_image_are_kept(order: str) -> None:
    original = Original.of(raw_file(order))
    image = {entry.tag: entry for entry in original.image}
    assert image[271].data == b"Acme\0"
    assert image[65000].integers() == (1, 2, 70000)
    assert struct.unpack("<2i", image[65001].data) == (-3, 7)
    assert struct.unpack("<d", image[65002].data) == (2.5,)
    assert not {256, 257, 258, 259, 262, 273, 277, 279} & image.keys()
    exif = {entry.tag: entry for entry in original.exif}
    # As it stands in the file: not reduced to 1/320.
    assert struct.unpack("<2I", exif[33434].data) == (10, 3200)
    assert exif[37500].data == MAKER_NOTE


@pytest.mark.parametrize("order", ["<", ">"])
def test_they_come_back(order: str) -> None:
    original = Original.of(raw_file(order))
    assert Original.of(original.to_bytes()) == original


def test_a_dng_takes_them_over(tmp_path: Path) -> None:
    original, record = Original.of(raw_file(">")), make_record()
    path = tmp_path / "all.dng"
    path.write_bytes(encode_dng(record, original=original))
    kept = Original.of(path.read_bytes())
    assert set(original.image) <= set(kept.image)
    assert set(original.exif) == set(kept.exif)
    read = read_raw(path)
    assert np.array_equal(read.mosaic, record.mosaic)
    assert read.make == "Acme"
    with tifffile.TiffFile(path) as tiff:  # another reader finds its way, too
        assert tiff.pages.first.tags[34665].value["MakerNote"] == MAKER_NOTE


@pytest.mark.parametrize("data", [b"", b"II*\0", b"no TIFF at all", raw_file("<")[:60]])
def test_what_is_no_tiff_has_no_tags(data: bytes) -> None:
    assert Original.of(data) == Original()


def test_directories_hold_what_was_written() -> None:
    entries = [Entry(1, 3, b"\1\0"), Entry(2, 2, b"text\0"), Entry(9, 12, b"\0" * 16)]
    data = b"II*\0\x08\0\0\0" + write_directory(reversed(entries), 8)
    assert read_directory(data, 8) == (entries, 0)
    with_pillow = tifffile.TiffFile  # its own parser has to agree
    with with_pillow(io.BytesIO(data)) as tiff:
        assert tiff.pages.first.tags[2].value == "text"
