from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cli_helpers import Facts, Run, garbled, refused, strict
from PIL import Image
from records import make_record, write_dng_of

from napari_invisp.jpeg.segments import JpegStream
from napari_invisp.sensor.dng import write_dng

X_TRANS = [
    [1, 1, 0, 1, 1, 2],
    [1, 1, 2, 1, 1, 0],
    [2, 0, 1, 0, 2, 1],
    [1, 1, 2, 1, 1, 0],
    [1, 1, 0, 1, 1, 2],
    [0, 2, 1, 2, 0, 1],
]

BAD_RAW: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda path: None, "does not exist"),
    "empty": (lambda path: path.write_bytes(b""), "is empty"),
    "a folder": (lambda path: path.mkdir(), "is a folder"),
    "text": (lambda path: path.write_text("This is no RAW.\n" * 99), "is not a camera RAW file"),
    "cut short": (
        lambda path: path.write_bytes(Path("photo.dng").read_bytes()[:-5000]),
        "is cut short",
    ),
    "only a beginning": (
        lambda path: path.write_bytes(Path("photo.dng").read_bytes()[:300]),
        "bad.NEF",
    ),
    "garbled": (
        lambda path: path.write_bytes(garbled(Path("photo.dng").read_bytes())),
        "is damaged",
    ),
    "a JPEG": (lambda path: shutil.copy("photo.jpg", path), "bad.NEF"),
    "X-Trans": (
        lambda path: write_dng_of(path, np.zeros((60, 60), np.uint16), cfa=X_TRANS),
        "is from an X-Trans sensor; only RAW files of Bayer sensors",
    ),
}


@pytest.mark.parametrize(("make", "message"), BAD_RAW.values(), ids=BAD_RAW)
def test_a_bad_raw(make: Callable[[Path], object], message: str, folder: Path, run: Run) -> None:
    make(folder / "bad.NEF")
    refused(run, folder, message, "render", "bad.NEF", "-o", "out.jpg")
    refused(run, folder, message, "compare", "photo.dng", "bad.NEF", "--json")
    refused(run, folder, message, "compare", "bad.NEF", "photo.dng")
    refused(run, folder, message, "evaluate", "bad.NEF", "-o", "out.csv", "--json")


def capsule_changed(data: bytes, offset: int, change: Callable[[int], int]) -> bytes:
    """Change the byte that lies ``offset`` bytes behind the capsule's identifier."""
    changed = bytearray(data)
    identifier = b"napari-invisp\0"
    position = data.index(identifier) + len(identifier) + offset
    changed[position] = change(changed[position])
    return bytes(changed)


def saved_again(data: bytes, *, scale: float = 1, **options: Any) -> bytes:
    """Do what a program does that edits a JPEG and keeps the segments that it does not know."""
    stream = io.BytesIO()
    with Image.open(io.BytesIO(data)) as image:
        size = (round(image.width * scale), round(image.height * scale))
        image.resize(size).save(stream, "JPEG", **options)
    kept = JpegStream.parse(data).application(9)
    return JpegStream.parse(stream.getvalue()).with_application(kept).to_bytes()


def plain_jpeg(**options: Any) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (64, 48)).save(stream, "JPEG", **options)
    return stream.getvalue()


BAD_JPEG: dict[str, tuple[Callable[[bytes], bytes | None], str]] = {
    "missing": (lambda data: None, "does not exist"),
    "empty": (lambda data: b"", "is empty"),
    "text": (lambda data: b"no JPEG" * 50, "is not a JPEG file"),
    "a PNG": (lambda data: b"\x89PNG\r\n\x1a\n" + bytes(99), "is not a JPEG file"),
    "cut short": (lambda data: data[: len(data) * 2 // 3], "is cut short"),
    "cut in the capsule": (lambda data: data[: data.index(b"napari-invisp") + 99], "is cut short"),
    "without a capsule": (lambda data: plain_jpeg(), "carries no RAW capsule"),
    "a flipped byte": (
        lambda data: capsule_changed(data, 60, lambda byte: byte ^ 0x10),
        "its checksum does not match",
    ),
    "a newer version": (
        lambda data: capsule_changed(data, 0, lambda byte: byte + 1),
        "needs a newer napari-invisp",
    ),
    "resized": (lambda data: saved_again(data, scale=0.5), "has been resized, cropped or rotated"),
}


@pytest.mark.parametrize(("make", "message"), BAD_JPEG.values(), ids=BAD_JPEG)
def test_a_bad_jpeg(
    make: Callable[[bytes], bytes | None], message: str, folder: Path, run: Run
) -> None:
    data = make((folder / "photo.jpg").read_bytes())
    if data is not None:
        (folder / "bad.jpg").write_bytes(data)
    refused(run, folder, message, "recover", "bad.jpg", "-o", "out.dng")
    refused(run, folder, "bad.jpg", "recover", "bad.jpg", "-o", "out.dng", "--json")


def test_a_folder_instead_of_a_jpeg(folder: Path, run: Run) -> None:
    refused(run, folder, "is a folder", "recover", folder, "-o", "out.dng")


@pytest.mark.parametrize("name", ["nowhere.safetensors", "invisp", ""])
def test_missing_weights(name: str, folder: Path, run: Run) -> None:
    if name == "invisp" and not_missing("invisp"):
        pytest.skip("weights come with this version")
    refused(run, folder, "", "render", "photo.dng", "-o", "out.jpg", "--model", name)
    refused(run, folder, "", "evaluate", "photo.dng", "-o", "out.md", "--models", "physics", name)
    if name:
        refused(run, folder, name, "recover", "photo.jpg", "-o", "out.dng", "--model", name)


def not_missing(name: str) -> bool:
    from napari_invisp.flow.zoo import WEIGHTS

    return (WEIGHTS / f"{name}.safetensors").exists()


def test_weights_that_are_no_weights(folder: Path, run: Run) -> None:
    arguments = ("render", "photo.dng", "-o", "out.jpg", "--model", "photo.jpg")
    refused(run, folder, "photo.jpg is not a checkpoint", *arguments)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--quality", "0"), "quality 0 is not between 1 and 100"),
        (("--quality", "101"), "quality 101 is not between 1 and 100"),
        (("--quality", "abc"), "quality 'abc' is not a whole number"),
        (("--quality", "90.5"), "quality '90.5' is not a whole number"),
        (("--quality",), "expected"),
        (("--headroom", "1.5"), "headroom 1.5 is not between 0 and 1"),
        (("--headroom", "nan"), "headroom nan is not between 0 and 1"),
        (("--headroom", "much"), "headroom 'much' is not a number"),
        (("--subsampling", "4:1:1"), "subsampling '4:1:1' is not one of 4:4:4, 4:2:2, 4:2:0"),
        (("--device", "gpu"), "device 'gpu' is not one of auto, cpu, cuda, mps"),
        (("--tile", "-3"), "tile -3 is not between 0 and 8192"),
        (("--qual", "90"), "unrecognized arguments: --qual 90"),
    ],
)
def test_options_out_of_range(
    options: tuple[str, ...], message: str, folder: Path, run: Run
) -> None:
    refused(run, folder, message, "render", "photo.dng", "-o", "out.jpg", *options)
    refused(run, folder, message, "evaluate", "photo.dng", "-o", "out.md", "--json", *options)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "the following arguments are required: COMMAND"),
        (("develop",), "invalid choice: 'develop'"),
        (("render", "photo.dng"), "the following arguments are required: -o"),
        (("render", "-o", "out.jpg"), "the following arguments are required: RAW"),
        (("compare", "photo.dng"), "the following arguments are required: RECOVERED"),
    ],
)
def test_incomplete_commands(
    arguments: tuple[str, ...], message: str, folder: Path, run: Run
) -> None:
    refused(run, folder, message, *arguments)


def test_frames_of_different_size_are_not_compared(folder: Path, run: Run) -> None:
    write_dng(folder / "small.dng", make_record((30, 40)))
    refused(run, folder, "differ in size: 128x96 and 40x30", "compare", "photo.dng", "small.dng")


# Warnings


def test_a_jpeg_that_was_saved_again(folder: Path, run: Run, facts: Facts) -> None:
    data = saved_again((folder / "photo.jpg").read_bytes(), quality=70, subsampling="4:2:2")
    (folder / "again.jpg").write_bytes(data)
    status, out, err = run("recover", "again.jpg", "-o", "again.dng", "--json")
    assert status == 0
    (warning,) = strict(out)["warnings"]
    assert "saved again with another quality" in warning
    assert err == f"napari-invisp: warning: again.jpg: {warning}\n"

    facts("recover", "photo.jpg", "-o", "back.dng")
    exact = facts("compare", "photo.dng", "back.dng")["raw_psnr"]
    assert 25 < facts("compare", "photo.dng", "again.dng")["raw_psnr"] < exact


def test_a_device_that_is_not_there(
    folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    arguments = ("photo.dng", "-o", "out.jpg", "--device", "cuda", "--no-metrics", "--json")
    status, out, err = run("render", *arguments)
    assert status == 0
    assert strict(out)["device"] == "cpu"
    assert err.count("\n") == 1
    assert "warning: photo.dng: cuda is not available here" in err


@pytest.mark.parametrize("side", ["0", "63", "-100", "1.5", "all"])
def test_a_middle_that_is_none(side: str, folder: Path, run: Run) -> None:
    message = f"'{side}' is not a whole number of 64 pixels or more"
    refused(run, folder, message, "evaluate", "photo.dng", "-o", "out.md", f"--middle={side}")


def test_the_papers_protocol_has_no_middle(folder: Path, run: Run) -> None:
    options = ("--protocol", "paper", "--middle", "64")
    refused(run, folder, "leave them out", "evaluate", "photo.dng", "-o", "out.md", *options)
