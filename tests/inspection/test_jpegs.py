from __future__ import annotations

import io
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from records import make_smooth_record
from skimage import data

from napari_invisp.errors import CapsuleError
from napari_invisp.inspection.jpegs import describe
from napari_invisp.jpeg.capsule import Capsule, embed, from_jpeg
from napari_invisp.jpeg.codec import encode_jpeg
from napari_invisp.jpeg.exif import build_exif
from napari_invisp.jpeg.segments import JpegStream
from napari_invisp.pipeline import Pipeline
from napari_invisp.settings import RenderSettings

PHOTOGRAPH = data.coffee()[100:228, 200:360]
EXIF = build_exif(
    orientation=6,
    make="NIKON CORPORATION",
    model="NIKON D5000",
    taken="2014:03:09 13:25:51",
    software="Ufraw",
)


@pytest.fixture(scope="module")
def capsule() -> bytes:
    settings = RenderSettings(model="physics", quality=83, subsampling="4:2:0", headroom=0.25)
    pipeline = Pipeline(settings)
    return pipeline.encode(pipeline.render(make_smooth_record()))


def with_header(jpeg: bytes, **changes: object) -> bytes:
    return embed(jpeg, Capsule({**from_jpeg(jpeg).header, **changes}))


def saved_again(jpeg: bytes, picture: Image.Image, **options: object) -> bytes:
    """Save as an editor does that keeps metadata that it does not know."""
    stream = io.BytesIO()
    picture.save(stream, "JPEG", **options)
    capsule = JpegStream.parse(jpeg).application(9)
    return JpegStream.parse(stream.getvalue()).with_application(capsule).to_bytes()


def test_a_jpeg_that_holds_its_raw(capsule: bytes, tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(capsule)
    facts = describe(path)
    assert not facts.foreign
    assert facts.problem is None
    assert (facts.width, facts.height, facts.size) == (128, 96, len(capsule))
    assert (facts.camera, facts.capture.taken) == ("Maker Model One", "2021:06:05 04:03:02")
    assert facts.software.startswith("napari-invisp ")
    inside = facts.inside
    assert (inside.model, inside.checkpoint, inside.known) == ("physics", None, True)
    assert (inside.quality, inside.subsampling, inside.headroom) == (83, "4:2:0", 0.25)
    assert (facts.quality, facts.exact, facts.subsampling) == (83, True, "4:2:0")
    assert inside.resaved is None
    assert str(facts) == (
        "napari-invisp JPEG: Maker Model One, physics, quality 83, taken 2021:06:05 04:03:02"
    )


def test_camera_and_date_are_known_where_a_program_dropped_the_exif(capsule: bytes) -> None:
    stream = JpegStream.parse(capsule)
    bare = JpegStream(
        tuple(s for s in stream.segments if not s.is_application(1)), stream.scans
    ).to_bytes()
    facts = describe(bare)
    assert (facts.camera, facts.capture.taken) == ("Maker Model One", "2021:06:05 04:03:02")
    assert facts.software == ""


def test_a_jpeg_that_was_saved_again_says_so(capsule: bytes) -> None:
    picture = Image.open(io.BytesIO(capsule))
    facts = describe(saved_again(capsule, picture, quality=60, subsampling="4:4:4"))
    assert facts.inside.resaved.requantized
    assert facts.inside.resaved.resampled
    assert (facts.quality, facts.subsampling) == (60, "4:4:4")
    assert (facts.inside.quality, facts.inside.subsampling) == (83, "4:2:0")


def test_a_raw_that_is_lost_is_told_from_none(capsule: bytes) -> None:
    picture = Image.open(io.BytesIO(capsule))
    facts = describe(saved_again(capsule, picture.resize((64, 48))), "small.jpg")
    assert facts.inside is None
    assert not facts.foreign
    assert "resized, cropped or rotated from 128x96 to 64x48" in facts.problem
    assert str(facts).startswith("napari-invisp JPEG whose RAW is lost: small.jpg has been resized")


@pytest.mark.parametrize(
    "raw",
    [{}, None, [], 3, {"make": 3}],
)
def test_a_damaged_capsule_is_a_problem_and_no_crash(capsule: bytes, raw: object) -> None:
    facts = describe(with_header(capsule, raw=raw))
    assert facts.inside is None
    assert "its capsule is damaged" in facts.problem


def test_weights_that_are_not_here(capsule: bytes) -> None:
    model = from_jpeg(capsule).header["model"]
    for changes, checkpoint in (
        ({"name": "of tomorrow"}, None),
        ({"weights": "0123456789abcdef"}, None),
        ({"checkpoint": "canon.pth"}, "canon.pth"),
    ):
        inside = describe(with_header(capsule, model=model | changes)).inside
        assert not inside.known
        assert inside.checkpoint == checkpoint


def test_a_jpeg_of_another_program() -> None:
    facts = describe(encode_jpeg(PHOTOGRAPH, 71, "4:2:0", exif=EXIF), "a.jpg")
    assert facts.foreign
    assert (facts.make, facts.model) == ("NIKON CORPORATION", "NIKON D5000")
    assert (facts.orientation, facts.software) == (6, "Ufraw")
    assert (facts.quality, facts.exact, facts.subsampling) == (71, True, "4:2:0")
    assert str(facts) == (
        "a JPEG of another program: no RAW inside, NIKON D5000, quality 71, "
        "taken 2014:03:09 13:25:51"
    )


def test_tables_of_another_encoder_have_the_nearest_quality() -> None:
    stream = io.BytesIO()
    tables = [[max(1, 2 + n // 3)] * 64 for n in (6, 9)]
    Image.fromarray(PHOTOGRAPH).save(stream, "JPEG", qtables=tables, subsampling=1)
    facts = describe(stream.getvalue())
    assert not facts.exact
    assert 90 <= facts.quality <= 98
    assert f"quality about {facts.quality}" in str(facts)
    assert (facts.camera, facts.capture.taken, facts.orientation) == ("", None, 1)


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0" + b"\xff" * 40]
)
def test_broken_exif_tells_nothing(exif: bytes) -> None:
    facts = describe(encode_jpeg(PHOTOGRAPH, exif=exif))
    assert (facts.camera, facts.software, facts.orientation) == ("", "", 1)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "a.jpg is empty"),
        (b"II*\0 no JPEG", "a.jpg is not a JPEG file"),
        (encode_jpeg(PHOTOGRAPH)[:-500], "a.jpg is cut short"),
        (encode_jpeg(PHOTOGRAPH)[:100], "a.jpg is cut short"),
    ],
)
def test_what_is_no_jpeg(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    with pytest.raises(CapsuleError, match=message):
        describe(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CapsuleError, match="does not exist"):
        describe(tmp_path / "a.jpg")


def test_a_large_file_is_described_at_once() -> None:
    """No pixel is decoded."""
    picture = np.random.default_rng(0).integers(0, 256, (3000, 4000, 3), dtype=np.uint8)
    jpeg = encode_jpeg(picture, 60)
    describe(jpeg)
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        describe(jpeg)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.05
