from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.TiffImagePlugin import IFDRational
from records import CAPTURE, make_record

from napari_invisp.sensor.dng import encode_dng
from napari_invisp.sensor.exif import read_exif
from napari_invisp.sensor.record import Capture

FILE = encode_dng(make_record((24, 24)), "none")
HEADER = len(FILE) - 2 * 24 * 24


def written_by_pillow(**values: Any) -> bytes:
    """A picture with an Exif directory as another program writes it."""
    image = Image.fromarray(np.zeros((8, 8), np.uint8))
    exif = Image.Exif()
    exif[271], exif[272] = "Maker  ", "Model One\0junk"
    details = exif.get_ifd(34665)
    for tag, value in values.items():
        details[int(tag[1:])] = value
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", exif=exif)
    return buffer.getvalue()


def test_facts_written_by_another_program_are_read() -> None:
    data = written_by_pillow(
        _33434=IFDRational(1, 250),
        _33437=IFDRational(28, 10),
        _34855=1600,
        _36867="2020:02:03 04:05:06",
        _37380=IFDRational(-1, 3),
        _37386=IFDRational(85),
        _42036="85mm",
    )
    make, model, capture = read_exif(data)
    assert (make, model) == ("Maker", "Model One")
    assert capture == Capture(
        taken="2020:02:03 04:05:06",
        exposure_time=1 / 250,
        f_number=2.8,
        iso=1600,
        focal_length=85.0,
        exposure_bias=-1 / 3,
        lens="85mm",
    )


def test_our_own_files_tell_all() -> None:
    make, model, capture = read_exif(FILE)
    assert (make, model) == ("Maker", "Model One")
    assert capture == CAPTURE


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"_33434": IFDRational(0, 10)}, "exposure_time"),
        ({"_33437": IFDRational(5, 0)}, "f_number"),
        ({"_34855": 0}, "iso"),
        ({"_34855": 65535}, "iso"),
        ({"_36867": "0000:00:00 00:00:00"}, "taken"),
        ({"_36867": "yesterday"}, "taken"),
        ({"_42036": "   "}, "lens"),
    ],
)
def test_what_a_camera_did_not_know_is_left_out(values: dict[str, Any], field: str) -> None:
    _, model, capture = read_exif(written_by_pillow(**values))
    assert model == "Model One"
    assert getattr(capture, field) is None


def test_a_sensitivity_that_did_not_fit_is_found_in_its_other_tag() -> None:
    _, _, capture = read_exif(written_by_pillow(_34855=65535, _34866=102400))
    assert capture.iso == 102400


@pytest.mark.parametrize(
    "data",
    [b"", b"II", b"II*\0", b"MM\0*\0\0\0\x08\xff\xff", b"not a picture at all", bytes(4096)],
)
def test_without_exif_everything_is_empty(data: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    assert read_exif(data) == ("", "", Capture())
    assert capfd.readouterr() == ("", "")


@settings(deadline=None)
@given(st.integers(0, HEADER), st.binary(min_size=1, max_size=40))
def test_broken_exif_never_fails_and_says_nothing(start: int, noise: bytes) -> None:
    damaged = FILE[:start] + noise + FILE[start + len(noise) :]
    make, model, capture = read_exif(damaged)
    assert isinstance(make, str)
    assert isinstance(model, str)
    assert isinstance(capture, Capture)


@given(st.integers(0, len(FILE)))
def test_cut_files_never_fail(length: int) -> None:
    read_exif(FILE[:length])


def test_a_raf_is_described_by_its_preview() -> None:
    preview = written_by_pillow(_33437=IFDRational(28, 10))
    header = b"FUJIFILMCCD-RAW 0201".ljust(84, b"\0")
    data = header + (200).to_bytes(4, "big") + len(preview).to_bytes(4, "big")
    make, model, capture = read_exif(data.ljust(200, b"\0") + preview)
    assert (make, model, capture.f_number) == ("Maker", "Model One", 2.8)


def tiff(**values: Any) -> bytes:
    exif = Image.Exif()
    for tag, value in values.items():
        exif[int(tag[1:])] = value
    return exif.tobytes().removeprefix(b"Exif\0\0")


def box(name: bytes, content: bytes) -> bytes:
    return (len(content) + 8).to_bytes(4, "big") + name + content


def test_a_cr3_is_described_by_its_boxes() -> None:
    data = box(b"ftyp", b"crx \0\0\0\1crx isom") + box(
        b"moov",
        box(b"CMT1", tiff(_271="Canon", _272="Canon EOS R", _315="A. Person"))
        + box(b"CMT2", tiff(_33434=IFDRational(1, 250), _34855=400, _36867="2020:02:03 04:05:06")),
    )
    make, model, capture = read_exif(data)
    assert (make, model) == ("Canon", "Canon EOS R")
    assert capture == Capture(
        taken="2020:02:03 04:05:06", exposure_time=1 / 250, iso=400, artist="A. Person"
    )
    for end in range(0, len(data), 7):  # cut short, it says less, but never fails
        read_exif(data[:end])
