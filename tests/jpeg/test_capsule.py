import io
import struct
import zlib
from dataclasses import replace

import exifread
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage import data

from napari_invisp.errors import CapsuleError
from napari_invisp.jpeg.capsule import (
    MAX_HEADER,
    Capsule,
    check_coding,
    coding_fingerprint,
    embed,
    from_jpeg,
    to_segments,
)
from napari_invisp.jpeg.codec import decode_jpeg, encode_jpeg, srgb_profile
from napari_invisp.jpeg.exif import build_exif
from napari_invisp.jpeg.segments import MAX_PAYLOAD, JpegStream, Segment

PHOTOGRAPH = data.coffee()[150:214, 200:296]
PLAIN = encode_jpeg(PHOTOGRAPH, exif=build_exif(orientation=8, model="D5000"), icc=srgb_profile())
CAPSULE = Capsule({"model": "invisp", "white": 3692.5, "matrix": [[1, 0.5], [0, 2]]}, {"a": b"xyz"})

finite = st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | finite | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=20,
)


def with_segments(segments: list[Segment]) -> bytes:
    return JpegStream.parse(PLAIN).with_application(segments).to_bytes()


def with_payload(payload: bytes, major: int = 1, minor: int = 0) -> bytes:
    """Give a file whose capsule has a good checksum and any payload."""
    checked = struct.pack(">BBHI", major, minor, 1, len(payload)) + payload
    prefix = struct.pack(">BBHHII", major, minor, 0, 1, len(payload), zlib.crc32(checked))
    return with_segments([Segment(0xE9, b"napari-invisp\0" + prefix + payload)])


def with_json(text: bytes) -> bytes:
    header = zlib.compress(text)
    return with_payload(struct.pack(">I", len(header)) + header)


@settings(deadline=None, max_examples=60)
@given(
    st.dictionaries(st.text(max_size=12), json_values, max_size=6),
    st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=12), st.binary()),
    st.sampled_from([0, 65_000, 65_531, 200_000]),
)
def test_round_trip(header: dict, sections: dict[str, bytes], large: int) -> None:
    sections["large"] = np.random.default_rng(large).bytes(large)
    capsule = Capsule(header, sections)
    data = with_segments(to_segments(capsule))
    assert from_jpeg(data) == capsule
    assert len(JpegStream.parse(data).application(9)) > large // MAX_PAYLOAD


def test_the_picture_is_the_same_with_a_capsule() -> None:
    data = embed(PLAIN, replace(CAPSULE, sections={"large": bytes(100_000)}))
    with Image.open(io.BytesIO(data)) as with_it, Image.open(io.BytesIO(PLAIN)) as without:
        np.testing.assert_array_equal(with_it, without)
        assert with_it.getexif()[0x0112] == 8
        assert with_it.info["icc_profile"] == srgb_profile()
    tags = exifread.process_file(io.BytesIO(data))
    assert str(tags["Image Orientation"]) == "Rotated 90 CCW"
    assert str(tags["Image Model"]) == "D5000"
    np.testing.assert_array_equal(decode_jpeg(data).rgb, decode_jpeg(PLAIN).rgb)


def test_embedding_again_replaces_the_capsule() -> None:
    first = embed(PLAIN, replace(CAPSULE, sections={"large": bytes(100_000)}))
    second = embed(first, CAPSULE)
    assert second == embed(PLAIN, CAPSULE)
    assert from_jpeg(second).sections == {"a": b"xyz"}


def test_segments_may_come_in_any_order() -> None:
    capsule = replace(CAPSULE, sections={"large": np.random.default_rng(0).bytes(150_000)})
    assert from_jpeg(with_segments(to_segments(capsule)[::-1])) == capsule


def test_no_capsule() -> None:
    with pytest.raises(CapsuleError, match=r"^a\.jpg carries no RAW capsule"):
        from_jpeg(PLAIN, "a.jpg")
    with pytest.raises(CapsuleError, match=r"^a\.png is not a JPEG"):
        from_jpeg(b"\x89PNG", "a.png")
    foreign = with_segments([Segment(0xE9, b"Media Jukebox\0")])
    with pytest.raises(CapsuleError, match="carries no RAW capsule"):
        from_jpeg(foreign)


def test_every_flipped_byte_is_noticed() -> None:
    data = embed(PLAIN, CAPSULE)
    (segment,) = JpegStream.parse(data).application(9)
    start = data.index(segment.payload)
    for position in range(start, start + len(segment.payload)):
        for flip in (0x01, 0x80, 0xFF):
            damaged = bytearray(data)
            damaged[position] ^= flip
            with pytest.raises(CapsuleError):
                from_jpeg(bytes(damaged))


@given(st.data())
def test_flips_in_a_capsule_of_several_segments_are_noticed(choice: st.DataObject) -> None:
    segments = to_segments(replace(CAPSULE, sections={"large": bytes(140_000)}))
    number = choice.draw(st.integers(0, len(segments) - 1))
    payload = bytearray(segments[number].payload)
    payload[choice.draw(st.integers(0, len(payload) - 1))] ^= choice.draw(st.integers(1, 255))
    segments[number] = Segment(0xE9, bytes(payload))
    with pytest.raises(CapsuleError):
        from_jpeg(with_segments(segments))


def test_lost_and_doubled_segments_are_noticed() -> None:
    segments = to_segments(replace(CAPSULE, sections={"large": bytes(140_000)}))
    assert len(segments) == 3
    with pytest.raises(CapsuleError, match=r"of a\.jpg is broken: 2 of its 3 segments are there"):
        from_jpeg(with_segments([segments[0], segments[2]]), "a.jpg")
    with pytest.raises(CapsuleError, match="is broken"):
        from_jpeg(with_segments([*segments, segments[0]]))
    with pytest.raises(CapsuleError, match="contradict each other"):
        from_jpeg(with_segments([*segments[:2], *to_segments(CAPSULE)]))
    with pytest.raises(CapsuleError, match="cut short"):
        from_jpeg(with_segments([Segment(0xE9, segments[0].payload[:20])]))


def test_a_capsule_of_a_newer_format_asks_for_a_newer_program() -> None:
    with pytest.raises(CapsuleError, match=r"a\.jpg has format 2, .*newer napari-invisp"):
        from_jpeg(with_payload(b"anything", major=2), "a.jpg")
    header = zlib.compress(b'{"new": 1}')
    minor = with_payload(struct.pack(">I", len(header)) + header, minor=7)
    assert from_jpeg(minor).header == {"new": 1}


@pytest.mark.parametrize(
    "text",
    [
        b"[1, 2]",
        b"{'a': 1}",
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"a": 1e999}',
        b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"a": ' + b"1" * 5000 + b"}",
        b"\xff\xfe{}x",
        b'{"a": "' + b" " * MAX_HEADER + b'"}',
    ],
    ids=["list", "syntax", "nan", "infinity", "overflow", "deep", "digits", "encoding", "bomb"],
)
def test_headers_that_are_no_plain_json_are_refused(text: bytes) -> None:
    with pytest.raises(CapsuleError, match="cannot be decoded"):
        from_jpeg(with_json(text))


@given(st.binary(max_size=60))
def test_any_payload_is_decoded_or_refused(payload: bytes) -> None:
    header = zlib.compress(b"{}")
    for whole in (payload, struct.pack(">I", len(header)) + header + payload):
        try:
            from_jpeg(with_payload(whole))
        except CapsuleError as error:
            assert "cannot be decoded" in str(error)  # noqa: PT017 - either is right


def test_what_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        to_segments(Capsule({"a": float("nan")}))
    with pytest.raises(CapsuleError, match="larger than"):
        to_segments(Capsule({"a": "x" * MAX_HEADER}))


def test_header_of_the_largest_size_comes_back() -> None:
    capsule = Capsule({"a": "x" * (MAX_HEADER - len('{"a":""}'))})
    assert from_jpeg(with_segments(to_segments(capsule))) == capsule


def test_numbers_of_a_header() -> None:
    header = {"m": [[1, 2.5], [3, 4]], "n": 7, "text": "7", "flag": True, "ragged": [[1], [1, 2]]}
    header |= {"huge": 10**30, "nothing": None, "object": {"a": 1}, "mixed": [1.5, 10**400]}
    capsule = Capsule(header)
    np.testing.assert_array_equal(capsule.numbers("m", (2, 2)), [[1, 2.5], [3, 4]])
    assert capsule.numbers("n") == 7.0
    for key in ("text", "flag", "ragged", "huge", "nothing", "object", "mixed", "missing"):
        with pytest.raises(CapsuleError, match=f"its '{key}' should be a finite number"):
            capsule.numbers(key)
    with pytest.raises(CapsuleError, match=r"finite numbers of shape \(3, 3\)"):
        capsule.numbers("m", (3, 3))
    with pytest.raises(CapsuleError, match="'inf'"):
        Capsule({"inf": float("inf")}).numbers("inf")


def resaved(data: bytes, image: Image.Image | None = None, **options: object) -> bytes:
    """Save a file again as a program would that keeps the metadata it does not know."""
    capsule = JpegStream.parse(data).application(9)
    file = io.BytesIO()
    (image or Image.open(io.BytesIO(data))).save(file, "JPEG", **options)
    return JpegStream.parse(file.getvalue()).with_application(capsule).to_bytes()


def test_an_untouched_file_is_recognised() -> None:
    data = embed(PLAIN, CAPSULE)
    assert check_coding(from_jpeg(data), data) is None
    # Metadata may change: a caption, an EXIF block less, bytes after the end.
    stream = JpegStream.parse(data)
    changed = replace(
        stream,
        segments=(*stream.segments[1:], Segment(0xFE, b"caption")),
        trailer=b"phone",
    ).to_bytes()
    assert changed != data
    assert check_coding(from_jpeg(changed), changed) is None
    assert coding_fingerprint(changed) == coding_fingerprint(PLAIN)


@pytest.mark.parametrize(
    ("options", "requantized", "resampled", "words"),
    [
        ({"quality": 70, "subsampling": 1}, True, False, "with another quality since"),
        ({"quality": 90, "subsampling": 0}, False, True, "with another chroma subsampling since"),
        ({"quality": 85}, True, True, "with another quality and chroma subsampling since"),
        ({"quality": 90, "subsampling": 1, "progressive": True}, False, False, "saved again since"),
    ],
)
def test_a_file_saved_again_is_noticed(
    options: dict[str, object], requantized: bool, resampled: bool, words: str
) -> None:
    data = resaved(embed(PLAIN, CAPSULE), **options)
    result = check_coding(from_jpeg(data), data)
    assert result is not None
    assert (result.requantized, result.resampled) == (requantized, resampled)
    assert words in str(result)


def test_another_size_is_refused() -> None:
    data = embed(PLAIN, CAPSULE)
    image = Image.open(io.BytesIO(data))
    for changed, size in [
        (image.resize((48, 32)), "48x32"),
        (image.transpose(Image.Transpose.ROTATE_90), "64x96"),
        (image.crop((0, 0, 90, 64)), "90x64"),
    ]:
        again = resaved(data, changed)
        with pytest.raises(CapsuleError, match=rf"^a\.jpg has been .* from 96x64 to {size} pixels"):
            check_coding(from_jpeg(again), again, "a.jpg")


@pytest.mark.parametrize("written", [None, 5, {"width": 96}])
def test_a_capsule_without_a_fingerprint_is_refused(written: object) -> None:
    with pytest.raises(CapsuleError, match="does not say how"):
        check_coding(Capsule({"jpeg": written}), PLAIN)
