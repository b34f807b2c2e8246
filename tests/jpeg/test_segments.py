import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from napari_invisp.errors import CapsuleError, InvispError
from napari_invisp.jpeg.segments import MAX_PAYLOAD, Component, JpegStream, Segment


def jpeg(size: tuple[int, int] = (19, 13), mode: str = "RGB", **options: object) -> bytes:
    file = io.BytesIO()
    noise = np.random.default_rng(5).integers(0, 256, (size[1], size[0], 3), np.uint8)
    Image.fromarray(noise).convert(mode).save(file, "JPEG", **options)
    return file.getvalue()


def rgb(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 1}])
def test_a_file_comes_together_again(options: dict[str, object]) -> None:
    data = jpeg(exif=b"Exif\0\0" + b"x" * 40, comment=b"hello", **options)
    assert JpegStream.parse(data).to_bytes() == data
    assert JpegStream.parse(data + b"more").to_bytes() == data + b"more"
    assert JpegStream.parse(data + b"more").trailer == b"more"


@pytest.mark.parametrize(
    ("subsampling", "luma"),
    [(0, Component(1, 1, 0)), (1, Component(2, 1, 0)), (2, Component(2, 2, 0))],
)
@pytest.mark.parametrize("progressive", [False, True])
def test_frame(subsampling: int, luma: Component, progressive: bool) -> None:
    frame = JpegStream.parse(jpeg(subsampling=subsampling, progressive=progressive)).frame
    assert (frame.width, frame.height, frame.precision) == (19, 13, 8)
    assert frame.components == (luma, Component(1, 1, 1), Component(1, 1, 1))


@pytest.mark.parametrize("quality", [3, 40, 91])
def test_tables_are_those_that_pillow_reads(quality: int) -> None:
    data = jpeg(quality=quality)
    tables = JpegStream.parse(data).tables
    expected = Image.open(io.BytesIO(data)).quantization
    for table, number in zip(tables, (0, 1, 1), strict=True):
        np.testing.assert_array_equal(table.ravel(), expected[number])


def test_fill_bytes_between_segments_are_dropped() -> None:
    data = jpeg()
    filled = data[:2] + b"\xff\xff\xff" + data[2:20] + b"\xff" + data[20:]
    assert JpegStream.parse(filled).to_bytes() == data
    stray_restart = data[:2] + b"\xff\xd3" + data[2:]
    assert JpegStream.parse(stray_restart).to_bytes() == data


def test_segments_go_after_jfif_exif_and_icc() -> None:
    data = jpeg(exif=b"Exif\0\0abcd", icc_profile=b"profile", comment=b"note")
    added = [Segment(0xE9, b"one"), Segment(0xE9, b"two")]
    stream = JpegStream.parse(JpegStream.parse(data).with_application(added).to_bytes())
    assert [s.marker for s in stream.segments[:6]] == [0xE0, 0xE1, 0xE2, 0xE9, 0xE9, 0xFE]
    assert stream.application(9) == tuple(added)
    assert stream.application(9, b"tw") == (added[1],)
    np.testing.assert_array_equal(rgb(stream.to_bytes()), rgb(data))


def test_an_end_marker_inside_metadata_is_not_the_end() -> None:
    data = JpegStream.parse(jpeg()).with_application([Segment(0xE9, b"\xff\xd9" * 20)]).to_bytes()
    assert JpegStream.parse(data).trailer == b""
    with pytest.raises(CapsuleError, match="cut short"):
        JpegStream.parse(data[:-2])


@given(st.data())
def test_a_file_cut_anywhere_is_refused_in_one_sentence(data: st.DataObject) -> None:
    whole = jpeg(exif=b"Exif\0\0abcd")
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    with pytest.raises(CapsuleError, match=r"^cut\.jpg is (empty|not a JPEG file|cut short)"):
        JpegStream.parse(cut, "cut.jpg")


@given(st.binary(max_size=300))
def test_any_bytes_are_parsed_or_refused(tail: bytes) -> None:
    for data in (tail, b"\xff\xd8" + tail, b"\xff\xd8\xff\xdb" + tail, b"\xff\xd8\xff\xc0" + tail):
        try:
            stream = JpegStream.parse(data + b"\xff\xda\xff\xd9")
            assert stream.frame.width > 0
            assert all(table.shape == (8, 8) for table in stream.tables)
        except CapsuleError:
            pass


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"\x89PNG\r\n\x1a\n", "not a JPEG"),
        (b"\xff\xd8\xff\xe0\x00\x04ab\x12\x34", "byte 8: no marker"),
        (b"\xff\xd8\xff\xd9", "byte 2: no image data"),
        (b"\xff\xd8\xff\xe0\x00\x01", "byte 2: a segment has no length"),
    ],
)
def test_damage_is_located(data: bytes, complaint: str) -> None:
    with pytest.raises(CapsuleError, match=complaint):
        JpegStream.parse(data)


def test_missing_parts_are_named() -> None:
    stream = JpegStream.parse(jpeg())
    without_tables = JpegStream(tuple(s for s in stream.segments if s.marker != 0xDB), stream.scans)
    with pytest.raises(CapsuleError, match="table is missing"):
        without_tables.tables  # noqa: B018
    with pytest.raises(CapsuleError, match="its size"):
        JpegStream((), stream.scans).frame  # noqa: B018


def test_a_segment_holds_so_much_and_no_more() -> None:
    longest = Segment(0xE9, bytes(MAX_PAYLOAD))
    data = JpegStream.parse(jpeg()).with_application([longest]).to_bytes()
    assert JpegStream.parse(data).application(9) == (longest,)
    with pytest.raises(InvispError, match="65534 bytes"):
        Segment(0xE9, bytes(MAX_PAYLOAD + 1))
