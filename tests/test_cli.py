from __future__ import annotations

import io
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest
import torch
from PIL import Image
from records import make_record, make_smooth_record, write_dng_of
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from napari_invisp.cli import main
from napari_invisp.cli.progress import ProgressBar
from napari_invisp.jpeg.codec import decode_jpeg
from napari_invisp.jpeg.segments import JpegStream
from napari_invisp.metrics import compare_raw
from napari_invisp.pipeline import Pipeline
from napari_invisp.sensor.dng import write_dng
from napari_invisp.sensor.libraw import reference_srgb_file
from napari_invisp.sensor.reading import read_raw
from napari_invisp.settings import RenderSettings

SCRIPT = Path(sys.executable).with_name("napari-invisp")


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Starting threads takes longer than such small frames."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a RAW and its JPEG."""
    folder = tmp_path_factory.mktemp("originals")
    write_dng(folder / "photo.dng", make_smooth_record())
    settings = RenderSettings(device="cpu")
    pipeline = Pipeline(settings)
    jpeg = pipeline.encode(pipeline.render(read_raw(folder / "photo.dng")))
    (folder / "photo.jpg").write_bytes(jpeg)
    return folder


@pytest.fixture
def folder(originals: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with ``photo.dng``, ``photo.jpg`` and nothing else."""
    for path in originals.iterdir():
        shutil.copy(path, tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def contents(folder: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    """Run a command: exit status, stdout and stderr, of the process too and not just Python's."""

    def run(*arguments: object) -> tuple[int, str, str]:
        capfd.readouterr()
        status = main([str(each) for each in arguments])
        return status, *capfd.readouterr()

    return run


@pytest.fixture
def facts(run: Run) -> Callable[..., dict[str, Any]]:
    """Run a command that succeeds with ``--json``, and return its object."""

    def facts(*arguments: object) -> dict[str, Any]:
        status, out, err = run(*arguments, "--json")
        assert (status, err) == (0, "")
        return strict(out)

    return facts


Facts = Callable[..., dict[str, Any]]


def strict(text: str) -> dict[str, Any]:
    def refuse(constant: str) -> float:
        raise AssertionError(f"{constant} is not JSON")

    value = json.loads(text, parse_constant=refuse)
    assert isinstance(value, dict)
    return value


# The main job


def test_a_raw_goes_to_jpeg_and_back(folder: Path, facts: Facts) -> None:
    rendered = facts("render", "photo.dng", "-o", "out.jpg")
    assert set(rendered) >= {
        *("input", "output", "model", "device", "width", "height", "quality", "subsampling"),
        *("jpeg_bytes", "bpp", "compression_ratio", "rgb_psnr", "rgb_ssim", "rgb_psnr_jpeg"),
        *("seconds", "headroom", "camera", "warnings"),
    }
    assert (rendered["input"], rendered["output"]) == ("photo.dng", "out.jpg")
    assert (rendered["width"], rendered["height"]) == (128, 96)
    defaults = RenderSettings()
    for name in ("model", "quality", "subsampling", "headroom"):
        assert rendered[name] == getattr(defaults, name)
    assert rendered["camera"] == "Maker Model One"
    assert rendered["warnings"] == []
    assert rendered["seconds"] >= rendered["seconds_render"] > 0

    (folder / "photo.dng").rename("original.dng")
    recovered = facts("recover", "out.jpg", "-o", "back.dng")
    assert set(recovered) >= {"input", "output", "model", "width", "height", "seconds"}
    assert (recovered["width"], recovered["height"]) == (128, 96)
    assert recovered["model"] == "physics"
    assert recovered["dng_bytes"] == (folder / "back.dng").stat().st_size

    compared = facts("compare", "original.dng", "back.dng")
    assert set(compared) >= {
        *("raw_psnr", "raw_psnr_linear", "mean_abs_error", "max_abs_error", "identical")
    }
    assert compared["raw_psnr"] > 30
    assert compared["identical"] is False
    assert compared["note"] is None


def test_render_figures_are_those_of_independent_tools(folder: Path, facts: Facts) -> None:
    options = ("--quality", 80, "--subsampling", "4:2:0", "--headroom", 1, "--device", "cpu")
    rendered = facts("render", "photo.dng", "-o", "out.jpg", *options)
    size = (folder / "out.jpg").stat().st_size
    assert rendered["jpeg_bytes"] == size
    assert rendered["bpp"] == pytest.approx(8 * size / (128 * 96))
    assert rendered["compression_ratio"] == pytest.approx(128 * 96 * 12 / 8 / size)
    assert rendered["raw_bytes"] == (folder / "photo.dng").stat().st_size

    reference = reference_srgb_file(folder / "photo.dng")
    stream = io.BytesIO()
    Image.fromarray(reference).save(stream, "JPEG", quality=80, subsampling="4:2:0")
    with Image.open(stream) as coded, Image.open(folder / "out.jpg") as written:
        expected = peak_signal_noise_ratio(np.asarray(coded), np.asarray(written))
    assert rendered["rgb_psnr_jpeg"] == pytest.approx(expected)
    settings = RenderSettings(device="cpu", headroom=1)
    rgb = Pipeline(settings).render(read_raw(folder / "photo.dng")).rgb
    assert rendered["rgb_psnr"] == pytest.approx(peak_signal_noise_ratio(reference, rgb))
    assert rendered["rgb_ssim"] == pytest.approx(
        structural_similarity(reference, rgb, channel_axis=2)
    )
    assert rendered["device"] == "cpu"

    jpeg = decode_jpeg(folder / "out.jpg")
    assert (jpeg.quality, jpeg.subsampling) == (80, "4:2:0")
    recovered = facts("recover", "out.jpg", "-o", "back.dng")
    wanted = {"quality": 80, "subsampling": "4:2:0", "headroom": 1}
    assert {name: recovered[name] for name in wanted} == wanted


def test_no_metrics(folder: Path, facts: Facts) -> None:
    rendered = facts("render", "photo.dng", "-o", "out.jpg", "--no-metrics")
    for name in ("rgb_psnr", "rgb_ssim", "rgb_psnr_jpeg"):
        assert rendered[name] is None
    assert rendered["jpeg_bytes"] == (folder / "out.jpg").stat().st_size


def test_metrics_do_not_change_the_file(folder: Path, facts: Facts) -> None:
    facts("render", "photo.dng", "-o", "with.jpg")
    facts("render", "photo.dng", "-o", "without.jpg", "--no-metrics")
    assert (folder / "with.jpg").read_bytes() == (folder / "without.jpg").read_bytes()


def test_tiles_do_not_change_the_files(folder: Path, facts: Facts) -> None:
    facts("render", "photo.dng", "-o", "small.jpg", "--tile", 32, "--no-metrics")
    facts("render", "photo.dng", "-o", "whole.jpg", "--no-metrics")
    assert (folder / "small.jpg").read_bytes() == (folder / "whole.jpg").read_bytes()
    facts("recover", "whole.jpg", "-o", "small.dng", "--tile", 32)
    facts("recover", "whole.jpg", "-o", "whole.dng")
    assert compare_raw(read_raw("small.dng"), read_raw("whole.dng")).identical


def test_the_raw_of_the_jpeg_is_that_of_the_pipeline(folder: Path, facts: Facts) -> None:
    facts("recover", "photo.jpg", "-o", "back.dng")
    expected = Pipeline().recover((folder / "photo.jpg").read_bytes()).record
    np.testing.assert_array_equal(read_raw(folder / "back.dng").mosaic, expected.mosaic)


def test_comparing_a_file_with_itself(folder: Path, facts: Facts) -> None:
    compared = facts("compare", "photo.dng", "photo.dng")
    assert compared["identical"] is True
    assert (compared["raw_psnr"], compared["raw_psnr_linear"]) == (None, None)
    assert (compared["mean_abs_error"], compared["max_abs_error"]) == (0, 0)
    assert "infinite" in compared["note"]


def test_comparing_files_with_other_levels(folder: Path, facts: Facts) -> None:
    record = read_raw(folder / "photo.dng")
    write_dng(folder / "other.dng", record.replace(white=3800))
    compared = facts("compare", "photo.dng", "other.dng")
    assert compared["identical"] is True
    assert math.isfinite(compared["raw_psnr"])
    assert compared["note"] == "the files differ in black or white level"


def test_compare_figures(folder: Path, facts: Facts) -> None:
    record = read_raw(folder / "photo.dng")
    mosaic = record.mosaic.copy()
    mosaic[10, 10] += 96
    write_dng(folder / "other.dng", record.replace(mosaic=mosaic))
    compared = facts("compare", "photo.dng", "other.dng")
    assert compared["max_abs_error"] == 96
    assert compared["mean_abs_error"] == pytest.approx(96 / (96 * 128))
    span = record.white - record.black[0, 0]
    expected = 10 * math.log10(96 * 128 * (span / 96) ** 2)
    assert compared["raw_psnr_linear"] == pytest.approx(expected, abs=1e-3)
    assert compared["bit_depth"] == 12


# For people


def test_lines_for_people(folder: Path, run: Run) -> None:
    status, out, err = run("render", "photo.dng", "-o", "out.jpg")
    assert (status, err) == (0, "")
    assert out.startswith("photo.dng -> out.jpg\n")
    for part in ("Maker Model One", "128 x 96", "physics", "quality 90", "4:2:2", "dB", "SSIM"):
        assert part in out
    status, out, err = run("render", "photo.dng", "-o", "out.jpg", "--no-metrics")
    assert "dB" not in out
    status, out, err = run("recover", "out.jpg", "-o", "back.dng")
    assert (status, err) == (0, "")
    assert out.startswith("out.jpg -> back.dng\n")
    status, out, err = run("compare", "photo.dng", "back.dng")
    assert (status, err) == (0, "")
    assert "DN" in out
    assert "dB" in out
    status, out, err = run("compare", "photo.dng", "photo.dng")
    assert "every sample is the same" in out
    assert "infinite" in out


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_shows_on_a_terminal_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with ProgressBar() as bar:
        bar.subject = "photo.dng"
        bar("rendering", 0, 2)
        bar("rendering", 1, 2)
        bar("encoding", 0, 1)
    assert "photo.dng: rendering" in terminal.getvalue()
    assert "photo.dng: encoding" in terminal.getvalue()
    assert terminal.getvalue().split("\r")[-2].strip() == ""


def test_progress_stays_out_of_files(monkeypatch: pytest.MonkeyPatch) -> None:
    log = io.StringIO()
    monkeypatch.setattr(sys, "stderr", log)
    with ProgressBar() as bar:
        bar("rendering", 0, 2)
        bar("rendering", 2, 2)
    assert log.getvalue() == ""


COMMANDS = ("render", "recover", "compare", "evaluate", "demo", "view")


def test_help_names_every_command(run: Run) -> None:
    status, out, err = run("--help")
    assert (status, err) == (0, "")
    assert all(f"    {command} " in out for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_has_an_example(command: str, run: Run) -> None:
    status, out, err = run(command, "--help")
    assert (status, err) == (0, "")
    assert f"napari-invisp {command} " in out.split("example:")[1]
    assert "--json" in out
    if command in ("render", "recover", "evaluate"):
        assert "--device" in out
        assert "auto, cpu, cuda, mps; default auto" in " ".join(out.split())


def test_version(run: Run) -> None:
    from importlib.metadata import version

    assert run("--version") == (0, f"napari-invisp {version('napari-invisp')}\n", "")


# Several files


@pytest.fixture
def album(folder: Path) -> Path:
    """``one.dng`` and ``two.dng``, a text called ``bad.dng``, and a folder ``out``."""
    (folder / "photo.dng").rename("one.dng")
    write_dng(folder / "two.dng", make_record((30, 40), "GBRG"))
    (folder / "bad.dng").write_text("no RAW")
    (folder / "photo.jpg").unlink()
    (folder / "out").mkdir()
    return folder


def test_a_folder_takes_any_number_of_files(album: Path, facts: Facts) -> None:
    result = facts("render", "one.dng", "two.dng", "-o", "out")
    assert [each["output"] for each in result["files"]] == [
        str(Path("out", "one.jpg")),
        str(Path("out", "two.jpg")),
    ]
    assert result["errors"] == []
    result = facts("recover", "out/one.jpg", "out/two.jpg", "-o", "out")
    assert [each["width"] for each in result["files"]] == [128, 40]
    for name in ("one", "two"):
        read = read_raw(album / "out" / f"{name}.dng")
        assert compare_raw(read_raw(album / f"{name}.dng"), read).raw_psnr > 20


def test_one_file_may_go_to_a_folder(album: Path, facts: Facts) -> None:
    assert facts("render", "one.dng", "-o", "out")["output"] == str(Path("out", "one.jpg"))
    assert (album / "out" / "one.jpg").exists()


def test_a_bad_file_among_many_is_left_out(album: Path, run: Run) -> None:
    status, out, err = run("render", "one.dng", "bad.dng", "two.dng", "-o", "out", "--json")
    assert status == 2
    result = strict(out)
    assert [each["input"] for each in result["files"]] == ["one.dng", "two.dng"]
    (error,) = result["errors"]
    assert error["input"] == "bad.dng"
    assert err == f"napari-invisp: {error['error']}\n"
    assert {path.name for path in (album / "out").iterdir()} == {"one.jpg", "two.jpg"}

    (album / "out" / "bad.jpg").write_bytes((album / "out" / "one.jpg").read_bytes()[:99])
    status, out, err = run("recover", *sorted((album / "out").iterdir()), "-o", "out")
    assert status == 2
    assert err.count("\n") == 1
    assert "bad.jpg is cut short" in err
    assert out.count(" -> ") == 2
    assert {path.name for path in (album / "out").glob("*.dng")} == {"one.dng", "two.dng"}


def test_missing_weights_are_not_reported_for_each_file(album: Path, run: Run) -> None:
    status, out, err = run("render", "one.dng", "two.dng", "-o", "out", "--model", "x.pth")
    assert (status, out) == (2, "")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("one.dng", "two.dng", "-o", "out.jpg"), "out.jpg is not a folder; 2 files need one"),
        (("one.dng", "two.dng", "-o", "one.dng"), "one.dng is not a folder"),
        (("one.dng", "sub/one.dng", "-o", "out"), "would both be written to"),
    ],
)
def test_outputs_that_would_clash(
    arguments: tuple[str, ...], message: str, album: Path, run: Run
) -> None:
    (album / "sub").mkdir()
    shutil.copy(album / "two.dng", album / "sub" / "one.dng")
    refused(run, album, message, "render", *arguments)


def test_an_input_is_never_overwritten(folder: Path, run: Run) -> None:
    shutil.copy("photo.dng", "photo.jpeg")  # LibRaw does not mind the name
    refused(run, folder, "would replace an input file", "render", "photo.jpeg", "-o", "photo.jpeg")
    shutil.copy("photo.jpg", "jpeg.dng")
    refused(run, folder, "would replace an input file", "recover", "jpeg.dng", "-o", ".")
    (folder / "link.dng").symlink_to("jpeg.dng")
    refused(run, folder, "would replace an input file", "recover", "link.dng", "-o", "jpeg.dng")


# Bad input


def refused(run: Run, folder: Path, message: str, *arguments: object) -> None:
    """Assert that a command fails with one line, and changes nothing."""
    before = contents(folder)
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert err.startswith("napari-invisp: ")
    assert err.endswith("\n")
    assert err.count("\n") == 1
    assert message in err
    assert contents(folder) == before


X_TRANS = [
    [1, 1, 0, 1, 1, 2],
    [1, 1, 2, 1, 1, 0],
    [2, 0, 1, 0, 2, 1],
    [1, 1, 2, 1, 1, 0],
    [1, 1, 0, 1, 1, 2],
    [0, 2, 1, 2, 0, 1],
]


def garbled(data: bytes) -> bytes:
    rng = np.random.default_rng(0)
    middle = len(data) // 2
    return data[:middle] + rng.bytes(2000) + data[middle + 2000 :]


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


def test_outputs_that_cannot_be_written(folder: Path, run: Run) -> None:
    for target in ("nowhere/out", "photo.dng/out"):
        message = f"cannot write {Path(target)}"
        refused(run, folder, message, "render", "photo.dng", "-o", f"{target}.jpg")
        refused(run, folder, message, "recover", "photo.jpg", "-o", f"{target}.dng")
        refused(run, folder, message, "evaluate", "photo.dng", "-o", f"{target}.csv")
    refused(run, folder, "cannot make the folder", "demo", "--no-gui", "-o", "photo.dng/out")
    (folder / "taken").mkdir()
    (folder / "taken" / "photo.jpg").mkdir()
    refused(run, folder, "is a folder", "render", "photo.dng", "-o", "taken", "--no-metrics")


def test_names_that_do_not_fit_what_is_written(folder: Path, run: Run) -> None:
    refused(run, folder, "let its name end in .jpg", "render", "photo.dng", "-o", "out.png")
    refused(run, folder, "let its name end in .dng", "recover", "photo.jpg", "-o", "out.tif")
    refused(run, folder, "let its name end in .csv", "evaluate", "photo.dng", "-o", "out.txt")


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


# Stopping


class Stop:
    """Stands in for a job's last step, and does what may happen then."""

    def __init__(self, reason: BaseException) -> None:
        self.reason = reason

    def __call__(self, *arguments: object, **options: object) -> None:
        raise self.reason


def test_ctrl_c_leaves_nothing(folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    before = contents(folder)
    monkeypatch.setattr(Pipeline, "encode", Stop(KeyboardInterrupt()))
    status, out, err = run("render", "photo.dng", "-o", "out.jpg")
    assert (status, out) == (130, "")
    assert err == "napari-invisp: interrupted; nothing unfinished was left behind\n"
    assert contents(folder) == before


@pytest.mark.parametrize(
    "reason",
    [
        MemoryError(),
        RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    ],
)
def test_too_little_memory(
    reason: Exception, folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Pipeline, "encode", Stop(reason))
    refused(run, folder, "not enough memory", "render", "photo.dng", "-o", "out.jpg")


def test_a_full_disk(folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "write_bytes", Stop(OSError(28, "No space left on device")))
    message = "cannot write out.jpg: No space left on device"
    refused(run, folder, message, "render", "photo.dng", "-o", "out.jpg", "--no-metrics")


def test_a_defect_is_not_hidden(folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pipeline, "encode", Stop(RuntimeError("shapes do not match")))
    with pytest.raises(RuntimeError, match="shapes do not match"):
        run("render", "photo.dng", "-o", "out.jpg")


# The other commands


def test_evaluate(album: Path, run: Run, facts: Facts) -> None:
    options = ("--quality", 75, 90, "--headroom", 0, 1, "--subsampling", "4:4:4")
    result = facts("evaluate", "one.dng", "two.dng", *options, "-o", "t.json")
    assert [(r["file"], r["headroom"], r["quality"]) for r in result["rows"]] == [
        (name, headroom, quality)
        for name in ("one.dng", "two.dng")
        for headroom in (0, 1)
        for quality in (75, 90)
    ]
    assert len(result["means"]) == 4
    assert {row["subsampling"] for row in result["rows"]} == {"4:4:4"}
    written = strict((album / "t.json").read_text())
    assert written == {"rows": result["rows"], "means": result["means"]}

    status, out, err = run("evaluate", "one.dng", "bad.dng", "-o", "t.md", "--models", "physics")
    assert status == 2
    assert err.count("\n") == 1
    assert "bad.dng is not a camera RAW file" in err
    assert "physics, quality 90" in out
    assert "| one.dng |" in (album / "t.md").read_text()


def test_evaluate_agrees_with_the_single_commands(folder: Path, facts: Facts) -> None:
    rendered = facts("render", "photo.dng", "-o", "out.jpg", "--quality", 85)
    facts("recover", "out.jpg", "-o", "back.dng")
    compared = facts("compare", "photo.dng", "back.dng")
    (row,) = facts("evaluate", "photo.dng", "--quality", 85, "-o", "t.csv")["rows"]
    for name in ("rgb_psnr", "rgb_ssim", "rgb_psnr_jpeg", "bpp", "compression_ratio"):
        assert row[name] == pytest.approx(rendered[name])
    for name in ("raw_psnr", "raw_psnr_linear"):
        assert row[name] == pytest.approx(compared[name], abs=0.01)


@pytest.fixture
def small_sample(originals: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = originals / "photo.dng"
    monkeypatch.setattr("napari_invisp.samples.sample_path", lambda: path)
    return path


def test_demo(small_sample: Path, folder: Path, run: Run, facts: Facts) -> None:
    result = facts("demo", "--no-gui", "-o", "results/here")
    assert result["compare"]["raw_psnr"] > 30
    assert result["render"]["output"] == result["recover"]["input"]
    assert result["recover"]["output"] == result["compare"]["recovered"]
    assert result["viewer"] is False
    written = {str(path) for path in Path("results/here").iterdir()}
    pictures = [result["pictures"][name] for name in ("original", "recovered", "error")]
    assert written == {result["render"]["output"], result["recover"]["output"], *pictures}
    for path in pictures:
        with Image.open(path) as picture:
            assert picture.size == (128, 96)

    status, out, err = run("demo", "--no-gui", "-o", "again")
    assert (status, err) == (0, "")
    assert [line[0] for line in out.splitlines() if line[0].isdigit()] == ["1", "2", "3", "4"]
    assert out.count("dB") == 4


def test_the_bundled_sample_is_what_demo_uses() -> None:
    from napari_invisp.samples import sample_path

    record = read_raw(sample_path())
    assert (record.pattern, record.width, record.height) == ("GRBG", 2592, 1968)


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> list[list[Path]]:
    """Stand in for the window; collects the files that each one was opened with."""
    calls: list[list[Path]] = []
    module = types.ModuleType("napari_invisp.viewer.launch")
    module.launch = lambda paths, block=True: calls.append(list(paths))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "napari_invisp.viewer.launch", module)
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    return calls


def test_view(launched: list[list[Path]], folder: Path, run: Run, facts: Facts) -> None:
    pytest.importorskip("napari")
    assert run("view", "photo.dng", "photo.jpg") == (0, "", "")
    assert facts("view", "photo.dng") == {"files": ["photo.dng"]}
    assert run("view") == (0, "", "")
    assert launched == [[Path("photo.dng"), Path("photo.jpg")], [Path("photo.dng")], []]


def test_view_a_missing_file(folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("napari")
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    refused(run, folder, "none.dng does not exist", "view", "photo.dng", "none.dng", "--json")


def test_demo_opens_its_results(
    small_sample: Path, launched: list[list[Path]], folder: Path, facts: Facts
) -> None:
    pytest.importorskip("napari")
    result = facts("demo")
    assert result["viewer"] is True
    assert result["folder"] == "demo-output"
    ((original, jpeg, recovered),) = launched
    assert original == small_sample
    assert [str(jpeg), str(recovered)] == [
        result["render"]["output"],
        result["recover"]["output"],
    ]


@pytest.mark.parametrize("missing", ["napari", "qtpy", "qtpy.QtWidgets"])
def test_view_without_napari_or_qt(
    missing: str,
    small_sample: Path,
    launched: list[list[Path]],
    folder: Path,
    run: Run,
    facts: Facts,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    refused(run, folder, 'pip install "napari-invisp[qt]"', "view", "photo.dng")
    assert facts("demo")["viewer"] is False
    assert launched == []


linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere there is one")


@linux
def test_view_without_a_display(
    launched: list[list[Path]], folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("napari")
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    refused(run, folder, "no display", "view", "photo.dng")
    assert launched == []


@linux
def test_view_with_a_display_that_does_not_answer(
    launched: list[list[Path]], folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("napari")
    monkeypatch.setenv("QT_QPA_PLATFORM", "xcb")
    monkeypatch.setenv("DISPLAY", "nowhere:99")
    refused(run, folder, "Qt cannot open a window here", "view", "photo.dng")
    assert launched == []


# The installed program

script = pytest.mark.skipif(not SCRIPT.exists(), reason="the package is not installed")
posix = pytest.mark.skipif(os.name != "posix", reason="for POSIX systems")


def program(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, text=True, stderr=subprocess.PIPE, timeout=60, **options)


@script
def test_the_program(folder: Path) -> None:
    result = program("render", "photo.dng", "-o", "out.jpg", "--json", stdout=subprocess.PIPE)
    assert (result.returncode, result.stderr) == (0, "")
    assert strict(result.stdout)["jpeg_bytes"] == (folder / "out.jpg").stat().st_size


@script
def test_the_program_says_what_is_wrong_in_one_line(folder: Path) -> None:
    (folder / "bad.dng").write_bytes(garbled((folder / "photo.dng").read_bytes()))
    before = contents(folder)
    result = program("compare", "bad.dng", "photo.dng", stdout=subprocess.PIPE)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1
    assert "bad.dng is damaged" in result.stderr
    assert contents(folder) == before


@script
@posix
def test_a_reader_that_has_gone(folder: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    result = program("compare", "photo.dng", "photo.dng", stdout=writing)
    os.close(writing)
    assert (result.returncode, result.stderr) == (141, "")


@script
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_figures_that_cannot_be_printed(folder: Path) -> None:
    with Path("/dev/full").open("w") as full:
        result = program("compare", "photo.dng", "photo.dng", "--json", stdout=full)
    assert result.returncode == 2
    assert result.stderr == "napari-invisp: No space left on device\n"


def until_opened_by(process: subprocess.Popen[str], pipe: Path) -> BinaryIO:
    """Open a named pipe for writing once the program has opened it for reading."""
    while True:
        try:
            return os.fdopen(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK), "wb")
        except OSError:  # nobody reads yet
            with suppress(subprocess.TimeoutExpired):
                raise AssertionError(f"the program ended with {process.wait(0.05)}") from None


@script
@posix
def test_ctrl_c_in_the_program(folder: Path) -> None:
    os.mkfifo("camera.dng")
    before = sorted(path.name for path in folder.iterdir())
    command = [SCRIPT, "render", "camera.dng", "-o", "out.jpg"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with process, until_opened_by(process, Path("camera.dng")):
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert err.count("\n") == 1
    assert "interrupted" in err
    assert sorted(path.name for path in folder.iterdir()) == before


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from napari_invisp.cli import main; main(['render', '--help']);"
        "heavy = {'torch', 'numpy', 'rawpy', 'PIL', 'tqdm', 'napari', 'qtpy'} & set(sys.modules);"
        "sys.exit(f'{heavy}' if heavy else 0)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")


def test_comparing_does_without_torch(folder: Path) -> None:
    code = (
        "import sys; from napari_invisp.cli import main;"
        "status = main(['compare', 'photo.dng', 'photo.dng']);"
        "sys.exit(status or 'torch' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")
