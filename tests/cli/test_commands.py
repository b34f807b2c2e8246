from __future__ import annotations

import io
import math
import sys
from pathlib import Path

import numpy as np
import pytest
from cli_helpers import Facts, Run, strict
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from napari_invisp.cli.progress import ProgressBar
from napari_invisp.jpeg.codec import decode_jpeg
from napari_invisp.metrics import compare_raw
from napari_invisp.pipeline import Pipeline
from napari_invisp.sensor.dng import write_dng
from napari_invisp.sensor.libraw import reference_srgb_file
from napari_invisp.sensor.reading import read_raw
from napari_invisp.settings import RenderSettings

# Figures


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
    assert recovered["model"] == defaults.model
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


def test_an_exact_archive_comes_back_identical(folder: Path, facts: Facts) -> None:
    rendered = facts("render", "photo.dng", "-o", "out.jpg", "--exact", "--no-metrics")
    assert rendered["exact"] is True
    assert facts("recover", "out.jpg", "-o", "back.dng")["exact"] is True
    compared = facts("compare", "photo.dng", "back.dng")
    assert compared["identical"] is True
    assert compared["raw_psnr"] is None


def test_side_information_takes_the_bytes_it_is_granted(folder: Path, facts: Facts) -> None:
    plain = facts("render", "photo.dng", "-o", "plain.jpg", "--no-metrics")
    options = ("--side-info", 6000, "--no-metrics")
    helped = facts("render", "photo.dng", "-o", "helped.jpg", *options)
    assert plain["jpeg_bytes"] < helped["jpeg_bytes"] <= plain["jpeg_bytes"] + 6100
    psnr = []
    for name in ("plain", "helped"):
        facts("recover", f"{name}.jpg", "-o", f"{name}.dng")
        psnr.append(facts("compare", "photo.dng", f"{name}.dng")["raw_psnr"])
    assert psnr[1] > psnr[0]


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
    # Pointwise; a network's sums may round to the neighbouring value (tests/test_pipeline.py).
    options = ("--model", "physics", "--no-metrics")
    facts("render", "photo.dng", "-o", "small.jpg", "--tile", 32, *options)
    facts("render", "photo.dng", "-o", "whole.jpg", *options)
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
    assert written == {name: result[name] for name in ("models", "rows", "means")}

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


# For people


def test_lines_for_people(folder: Path, run: Run) -> None:
    status, out, err = run("render", "photo.dng", "-o", "out.jpg")
    assert (status, err) == (0, "")
    assert out.startswith("photo.dng -> out.jpg\n")
    for part in ("Maker Model One", "128 x 96", "universal", "quality 90", "4:2:2", "dB", "SSIM"):
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
