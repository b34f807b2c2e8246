from __future__ import annotations

from pathlib import Path

import pytest
from cli_helpers import Facts, Run, refused
from PIL import Image
from records import make_record
from skimage.metrics import peak_signal_noise_ratio

from napari_invisp.jpeg.codec import decode_jpeg, encode_jpeg
from napari_invisp.jpeg.segments import JpegStream
from napari_invisp.sensor.dng import write_dng
from napari_invisp.sensor.libraw import reference_srgb_file


def test_help_shows_how(run: Run) -> None:
    status, out, _ = run("report", "--help")
    assert status == 0
    assert "napari-invisp report IMG_1234.CR2 IMG_1234.jpg -o report.html" in out
    assert "    report " in run("--help")[1]


@pytest.mark.parametrize("name", ["report.html", "report.pdf"])
def test_a_report_on_a_jpeg(folder: Path, facts: Facts, name: str) -> None:
    told = facts("report", "photo.dng", "photo.jpg", "-o", name)
    assert (told["raw"], told["recovered"], told["output"]) == ("photo.dng", "photo.jpg", name)
    assert (folder / name).stat().st_size > 10_000
    facts("recover", "photo.jpg", "-o", "back.dng")
    compared = facts("compare", "photo.dng", "back.dng")
    for figure, value in compared.items():
        if figure not in ("raw", "recovered"):
            assert told[figure] == value
    assert told["jpeg_bytes"] == (folder / "photo.jpg").stat().st_size
    assert told["bpp"] == pytest.approx(8 * told["jpeg_bytes"] / (96 * 128))
    settings = (told["quality"], told["subsampling"], told["headroom"])
    assert settings == (90, "4:2:2", 0.5)
    reference = encode_jpeg(reference_srgb_file(folder / "photo.dng"), 90, "4:2:2")
    psnr = peak_signal_noise_ratio(
        decode_jpeg(reference).rgb, decode_jpeg(folder / "photo.jpg").rgb
    )
    assert told["rgb_psnr_jpeg"] == pytest.approx(psnr)


def test_a_report_on_a_dng(folder: Path, facts: Facts, run: Run) -> None:
    facts("recover", "photo.jpg", "-o", "back.dng")
    told = facts("report", "photo.dng", "back.dng", "-o", "report.html")
    assert told["jpeg_bytes"] is None
    # The DNG says how it was made.
    made = (told["model"], told["headroom"], told["quality"], told["subsampling"])
    assert made == ("universal", 0.5, 90, "4:2:2")
    status, out, err = run("report", "photo.dng", "back.dng", "-o", "report.html")
    assert (status, err) == (0, "")
    assert out.startswith("back.dng against photo.dng\n  error ")
    assert f"RAW PSNR {told['raw_psnr']:.2f} dB" in out
    assert out.endswith("report: report.html\n")
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert f"<td>{told['raw_psnr']:.2f} dB</td>" in page


def test_a_resaved_jpeg_is_mentioned(folder: Path, run: Run) -> None:
    capsule = JpegStream.parse((folder / "photo.jpg").read_bytes()).application(9)
    with Image.open("photo.jpg") as image:
        image.save("plain.jpg", quality=70)
    plain = JpegStream.parse((folder / "plain.jpg").read_bytes())
    (folder / "photo.jpg").write_bytes(plain.with_application(capsule).to_bytes())
    status, out, err = run("report", "photo.dng", "photo.jpg", "-o", "report.html", "--json")
    assert status == 0
    assert err.count("\n") == 1
    assert "warning: photo.jpg: the JPEG has been saved again" in err
    assert '"quality": 70' in out


def test_bad_input(folder: Path, run: Run) -> None:
    def refuse(message: str, *arguments: object) -> None:
        refused(run, folder, message, "report", *arguments)
        refused(run, folder, message, "report", *arguments, "--json")

    (folder / "plain.jpg").write_bytes(encode_jpeg(reference_srgb_file(folder / "photo.dng")))
    write_dng(folder / "other.dng", make_record((60, 60)))
    refuse("let its name end in .html or .pdf", "photo.dng", "photo.jpg", "-o", "report.txt")
    refuse("there is no folder", "photo.dng", "photo.jpg", "-o", "missing/report.html")
    refuse("missing.dng does not exist", "missing.dng", "photo.jpg", "-o", "report.html")
    refuse("missing.jpg does not exist", "photo.dng", "missing.jpg", "-o", "report.html")
    refuse("carries no RAW capsule", "photo.dng", "plain.jpg", "-o", "report.html")
    refuse("differ in size", "other.dng", "photo.jpg", "-o", "report.pdf")
    refuse("differ in size", "photo.dng", "other.dng", "-o", "report.pdf")
