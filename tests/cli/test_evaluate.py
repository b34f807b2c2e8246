from __future__ import annotations

from pathlib import Path

import pytest
from cli_helpers import Facts, Run, refused, strict
from records import make_smooth_record

from napari_invisp.sensor.dng import write_dng
from napari_invisp.sensor.libraw import reference_srgb
from napari_invisp.training.prepared import write_picture, write_set


@pytest.fixture
def prepared(folder: Path) -> Path:
    """A set with one picture to train on and two that are held out."""
    record = make_smooth_record((64, 80))
    splits = {"a": "test", "b": "train", "c": "test"}
    for name, split in splits.items():
        write_picture(folder / "set", name, record, reference_srgb(record), split)  # type: ignore[arg-type]
    write_set(folder / "set", "fivek", {}, splits)  # type: ignore[arg-type]
    return folder / "set"


def test_yardstick_and_plot(folder: Path, facts: Facts) -> None:
    options = ("--models", "physics", "--quality", 75, 90, "--yardstick", "--plot", "t.svg")
    result = facts("evaluate", "photo.dng", *options, "-o", "t.json")
    assert result["plot"] == "t.svg"
    for row in result["rows"]:
        # So small a JPEG is mostly capsule, which a lossy DNG of its size may spend on pixels.
        assert row["lossy_dng_raw_psnr"] > row["raw_psnr"] > 30
    assert "lossy DNG" in (folder / "t.svg").read_text()
    written = strict((folder / "t.json").read_text())
    assert written["models"]["physics"]["weights"] is None
    assert all(result[name] == values for name, values in written.items())


def test_plots_that_cannot_be_are_refused_before_any_work(folder: Path, run: Run) -> None:
    command = ("evaluate", "photo.dng", "-o", "t.json", "--plot")
    several = ("--quality", 75, 90, "--headroom", 0, 1)
    refused(run, folder, "let its name end in .svg, .png", *command, "t.pdf")
    refused(run, folder, "not both", *command, "t.svg", *several)
    refused(run, folder, "there is no folder", *command, "none/t.svg")
    (folder / "photo.dng").rename("photo.png")
    command = ("evaluate", "photo.png", "-o", "t.json", "--plot")
    refused(run, folder, "would replace an input file", *command, "photo.png")


def test_the_papers_protocol_measures_what_is_held_out(
    prepared: Path, facts: Facts, run: Run
) -> None:
    result = facts("evaluate", "--protocol", "paper", "set", "--models", "physics", "-o", "t.json")
    assert [row["file"] for row in result["rows"]] == ["a", "c"]
    assert {row["protocol"] for row in result["rows"]} == {"paper"}
    (mean,) = result["means"]
    assert mean["files"] == 2
    assert mean["raw_psnr"] > 30
    status, out, err = run("evaluate", "--protocol", "paper", "set", "-o", "t.md")
    assert (status, err) == (0, "")
    assert "mean of 2 files" in out


def test_the_papers_protocol_refuses_what_it_has_not(prepared: Path, run: Run) -> None:
    command = ("evaluate", "--protocol", "paper", "-o", "t.json")
    folder = prepared.parent
    refused(run, folder, "quality 90 and subsampling 4:2:2", *command, "set", "--quality", 80)
    refused(run, folder, "leave them out", *command, "set", "--yardstick")
    refused(run, folder, "leave them out", *command, "set", "--plot", "t.svg")
    refused(run, folder, "is not a folder of training data", *command, "photo.dng")


def test_a_set_without_held_out_pictures_is_refused(folder: Path, run: Run) -> None:
    record = make_smooth_record((64, 80))
    write_picture(folder / "set", "b", record, reference_srgb(record), "train")
    write_set(folder / "set", "raw", {}, {"b": "train"})
    refused(run, folder, "no pictures that were held out", "evaluate", "--protocol", "paper", "set",
            "-o", "t.json")  # fmt: skip


def test_compression_measures_bytes(folder: Path, facts: Facts, run: Run) -> None:
    options = ("--models", "physics", "--quality", 75, 90, "--compression", "--plot", "t.svg")
    result = facts("evaluate", "photo.dng", *options, "-o", "t.json")
    kinds = [row["kind"] for row in result["rows"]]
    assert kinds == [
        "camera's own file",
        "lossless DNG",
        "lossless JPEG XL of the CFA planes",
        *["JPEG with capsule"] * 2,
        *["JPEG with side information"] * 3,
        *["JPEG as exact archive"] * 2,
        *["lossy DNG"] * 2,
    ]
    camera, *lossless = result["rows"][:3]
    assert camera["bytes"] == (folder / "photo.dng").stat().st_size
    assert [row["raw_psnr"] for row in (camera, *lossless)] == [None] * 3
    assert all(
        row["raw_psnr"] is None if row["kind"] == "JPEG as exact archive" else row["raw_psnr"] > 30
        for row in result["rows"][3:]
    )
    assert "lossless DNG" in (folder / "t.svg").read_text()
    written = strict((folder / "t.json").read_text())
    assert list(written["models"]) == ["physics"]
    assert all(result[name] == values for name, values in written.items())

    status, out, err = run("evaluate", "photo.dng", *options, "-o", "t.md")
    assert (status, err) == (0, "")
    assert "lossless DNG, 1 file: " in out
    assert "every sample kept" in out
    assert "JPEG with capsule, quality 90, 4:2:2, headroom 0.5, 1 file: " in out


def test_compression_refuses_what_it_does_not_compare(folder: Path, run: Run) -> None:
    command = ("evaluate", "photo.dng", "-o", "t.json", "--compression")
    for several in (
        ("--models", "physics", "universal"),
        ("--headroom", 0, 1),
        ("--subsampling", "4:2:0", "4:4:4"),
    ):
        refused(run, folder, "give one model, one headroom and one subsampling", *command, *several)
    refused(run, folder, "leave --yardstick and --middle out", *command, "--yardstick")
    refused(run, folder, "leave --yardstick and --middle out", *command, "--middle", 64)
    refused(run, folder, "leave it out of the paper's protocol", *command, "--protocol", "paper")


def test_applications_measure_what_comes_of_raw_and_jpeg(
    folder: Path, facts: Facts, run: Run
) -> None:
    options = ("--models", "physics", "--applications", "--middle", 64)
    result = facts("evaluate", "photo.dng", *options, "--side-info", 0, 4096, "-o", "t.json")
    neutral = [row for row in result["rows"] if row["operation"] == "neutral"]
    assert [(row["source"], row["side_info"]) for row in neutral] == [
        ("recovered RAW", 0),
        ("recovered RAW", 4096),
        ("plain JPEG", None),
    ]
    assert all(row["psnr"] > 25 and row["width"] == 64 for row in neutral)
    written = strict((folder / "t.json").read_text())
    assert list(written["models"]) == ["physics"]
    assert all(result[name] == values for name, values in written.items())

    status, out, err = run("evaluate", "photo.dng", *options, "-o", "t.md")
    assert (status, err) == (0, "")
    assert "neutral: recovered RAW, quality 90, 1 file: " in out
    assert "exposure +2 EV: plain JPEG, filters on its codes, quality 90, 1 file: " in out


def test_a_bracket_is_one_row_of_files(folder: Path, facts: Facts, run: Run) -> None:
    record = make_smooth_record()
    write_dng(folder / "other.dng", record)
    files = ("photo.dng", "other.dng")
    options = ("--models", "physics", "--applications", "--bracket")
    result = facts("evaluate", *files, *options, "-o", "t.json")
    assert {row["file"] for row in result["rows"]} == {"photo.dng + other.dng"}
    assert {row["source"] for row in result["rows"]} == {"recovered RAW", "plain JPEG"}


def test_applications_refuse_what_they_do_not_compare(folder: Path, run: Run) -> None:
    command = ("evaluate", "photo.dng", "-o", "t.json", "--applications")
    for several in (
        ("--models", "physics", "universal"),
        ("--headroom", 0, 1),
        ("--subsampling", "4:2:0", "4:4:4"),
    ):
        refused(run, folder, "give one model, one headroom and one subsampling", *command, *several)
    for other in (("--compression",), ("--yardstick",), ("--plot", "t.svg")):
        refused(run, folder, "leave --compression, --yardstick and --plot out", *command, *other)
    refused(run, folder, "leave it out of the paper's protocol", *command, "--protocol", "paper")
    refused(run, folder, "a bracket is two RAW files or more", *command, "--bracket")
    command = command[:-1]
    refused(run, folder, "--side-info is for --applications", *command, "--side-info", 4096)
    refused(run, folder, "--bracket is for --applications", *command, "--bracket")
