from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import OpenEXR
import pytest
import tifffile
from bright_scenes import record_of, smooth_scene
from cli_helpers import Facts, Run, refused
from PIL import Image, ImageCms
from records import CAPTURE, make_record, make_smooth_record

from napari_invisp.hdr.highlights import linear_srgb_hdr
from napari_invisp.hdr.merging import merge
from napari_invisp.hdr.settings import ToneSettings
from napari_invisp.hdr.toning import toned
from napari_invisp.inspection.exports import read_exr
from napari_invisp.inspection.provenance import recall
from napari_invisp.jpeg.codec import decode_jpeg
from napari_invisp.linear import codes_from_linear
from napari_invisp.sensor.dng import write_dng
from napari_invisp.sensor.reading import read_raw


@pytest.fixture
def bracket(folder: Path) -> Path:
    """``short.dng``, ``middle.dng`` and ``long.dng`` of a scene beyond white, beside the photo."""
    for name, time in (("short", 0.25), ("middle", 1), ("long", 2)):
        capture = replace(CAPTURE, exposure_time=time / 100)
        record = record_of(0.5 * smooth_scene(96, 128), time=time, noise=1e-4, capture=capture)
        write_dng(folder / f"{name}.dng", record)
    return folder


def test_help_shows_how(run: Run) -> None:
    status, out, _ = run("tonemap", "--help")
    assert status == 0
    assert "napari-invisp tonemap IMG_1234.CR2 -o IMG_1234-toned.jpg --contrast 0.5" in out
    assert "--detail DETAIL" in out
    assert "short.NEF middle.NEF long.NEF -o scene.exr" in run("merge", "--help")[1]
    assert "    merge " in run("--help")[1]


def test_a_raw_becomes_a_jpeg(folder: Path, facts: Facts) -> None:
    record = make_smooth_record().replace(orientation=6)
    write_dng(folder / "turned.dng", record)
    told = facts("tonemap", "turned.dng", "-o", "out.jpg", "--contrast", "0.4", "--detail", "0.5")
    assert (told["input"], told["output"]) == ("turned.dng", "out.jpg")
    assert (told["width"], told["height"]) == (96, 128)
    assert told["settings"]["contrast"] == 0.4
    assert told["settings"]["operator"] == "local Laplacian"
    assert told["seconds"] > 0
    assert told["warnings"] == []
    settings = ToneSettings(contrast=0.4, detail=0.5)
    light = linear_srgb_hdr(read_raw(folder / "turned.dng"))
    expected = codes_from_linear(np.rot90(toned(light, settings), 3).copy())
    jpeg = decode_jpeg(folder / "out.jpg")
    assert np.abs(jpeg.rgb.astype(int) - expected).mean() < 2
    profile = ImageCms.ImageCmsProfile(io.BytesIO(jpeg.icc))
    assert "sRGB" in ImageCms.getProfileDescription(profile)
    with Image.open("out.jpg") as image:
        exif = image.getexif()
        assert exif.get(274, 1) == 1  # already upright
        assert exif[272] == "Model One"


def test_the_same_as_tiff_and_exr(folder: Path, facts: Facts) -> None:
    facts("tonemap", "photo.dng", "-o", "out.tif")
    facts("tonemap", "photo.dng", "-o", "out.exr")
    tiff, light = tifffile.imread("out.tif"), read_exr(folder / "out.exr")
    assert tiff.dtype == np.uint16
    assert light.max() <= 1
    np.testing.assert_allclose(tiff / 257, codes_from_linear(light), atol=0.51)
    made = recall(folder / "out.tif")
    assert made is not None
    assert (made.kind, made.source) == ("tone_mapped", "photo.dng")
    assert made.figures["operator"] == "local Laplacian"


def test_a_jpeg_that_holds_its_raw(folder: Path, facts: Facts, run: Run) -> None:
    facts("recover", "photo.jpg", "-o", "back.dng")
    facts("tonemap", "photo.jpg", "-o", "of-jpeg.exr")
    facts("tonemap", "back.dng", "-o", "of-dng.exr")
    first, second = (read_exr(folder / f"of-{name}.exr") for name in ("jpeg", "dng"))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("operator", ["Reinhard", "Drago", "none"])
def test_scene_light(folder: Path, facts: Facts, operator: str) -> None:
    light = smooth_scene(64, 80).astype(np.float16) * np.float16(4)
    light[0, 0] = np.inf
    OpenEXR.File({}, {"RGB": light}).write("scene.exr")
    told = facts("tonemap", "scene.exr", "-o", "out.tif", "--operator", operator)
    assert (told["width"], told["height"]) == (80, 64)
    picture = tifffile.imread("out.tif")
    assert picture[0, 0].min() > 65000
    assert picture[32].std() > 1000


def test_a_bracket(bracket: Path, facts: Facts, run: Run) -> None:
    names = ("short.dng", "middle.dng", "long.dng")
    told = facts("merge", *names, "-o", "scene.exr")
    assert told["inputs"] == list(names)
    assert told["reference"] == "middle.dng"
    assert told["exposures"] == pytest.approx([-2, 0, 1], abs=0.01)
    assert told["measured_exposures"] == pytest.approx([-2, 0, 1], abs=0.1)
    assert told["shifts"] == [[0, 0]] * 3
    assert sum(told["shares"]) == pytest.approx(1)
    assert told["settings"] is None
    assert (told["width"], told["height"]) == (128, 96)
    light = read_exr(bracket / "scene.exr")
    assert light.max() > 1.2
    np.testing.assert_array_equal(light, merge([read_raw(bracket / name) for name in names]).linear)
    told = facts("merge", *names, "-o", "scene.jpg", "--contrast", "0.3")
    assert told["settings"]["contrast"] == 0.3
    picture = decode_jpeg(bracket / "scene.jpg").rgb
    assert (picture == 255).all(axis=2).mean() < 0.1
    status, out, err = run("merge", *names, "-o", "scene.tif")
    assert (status, err) == (0, "")
    assert "3 frames -> scene.tif" in out
    assert "short.dng: -2.00 EV, counts " in out


def test_bad_input(bracket: Path, run: Run) -> None:
    def refuse(message: str, *arguments: object) -> None:
        refused(run, bracket, message, *arguments)
        refused(run, bracket, message, *arguments, "--json")

    OpenEXR.File({}, {"A": np.ones((8, 8), np.float32), "B": np.ones((8, 8), np.float32)}).write(
        "odd.exr"
    )
    OpenEXR.File({}, {"RGB": np.full((8, 8, 3), np.nan, np.float32)}).write("nan.exr")
    (bracket / "text.exr").write_text("no light")
    write_dng(bracket / "other.dng", make_record((60, 60)))
    refuse("let its name end in .jpg", "tonemap", "photo.dng", "-o", "out.png")
    refuse("would replace an input file", "tonemap", "photo.jpg", "-o", "photo.jpg")
    refuse("missing.dng does not exist", "tonemap", "missing.dng", "-o", "out.jpg")
    refuse("missing.exr does not exist", "tonemap", "missing.exr", "-o", "out.jpg")
    refuse("odd.exr has the channels", "tonemap", "odd.exr", "-o", "out.jpg")
    refuse("nan.exr holds no finite light", "tonemap", "nan.exr", "-o", "out.jpg")
    refuse("not an OpenEXR file", "tonemap", "text.exr", "-o", "out.jpg")
    wrong = ("--contrast", 2)
    refuse("contrast 2 is not between 0 and 1.5", "tonemap", "photo.dng", "-o", "a.jpg", *wrong)
    refuse("a bracket is two RAW files or more", "merge", "photo.dng", "-o", "out.exr")
    refuse("differ in size", "merge", "short.dng", "other.dng", "-o", "out.exr")
    refuse("there is no folder", "merge", "short.dng", "long.dng", "-o", "missing/out.exr")
