"""``retouch`` and ``train-retouch``: settings in, a picture out."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import tifffile
from cli_helpers import Facts, Run, refused
from PIL import Image
from records import make_smooth_record

from napari_invisp.cli.parser import build_parser
from napari_invisp.jpeg.codec import decode_jpeg, srgb_profile
from napari_invisp.linear import codes_from_linear, encoded, linear_srgb
from napari_invisp.pictures import upright
from napari_invisp.retouching.filters import retouched
from napari_invisp.retouching.presets import load_preset, save_preset
from napari_invisp.retouching.settings import RetouchSettings
from napari_invisp.sensor.dng import write_dng
from napari_invisp.sensor.reading import read_raw


def test_sixteen_bit_tiff(folder: Path, facts: Facts) -> None:
    told = facts("retouch", "photo.dng", "-o", "out.tif", "--exposure", -1, "--contrast", 0.5)
    assert (told["input"], told["output"]) == ("photo.dng", "out.tif")
    assert (told["width"], told["height"]) == (128, 96)
    assert told["settings"]["exposure"] == -1
    assert told["seconds"] > 0
    picture = tifffile.imread("out.tif")
    assert picture.dtype == np.uint16
    expected = retouched(
        linear_srgb(read_raw("photo.dng")), RetouchSettings(exposure=-1, contrast=0.5)
    )
    np.testing.assert_allclose(picture / 65535, encoded(expected), atol=2 / 65535)
    with tifffile.TiffFile("out.tif") as tiff:
        assert 34675 in tiff.pages.first.tags  # ICC profile
        assert json.loads(tiff.pages.first.description)["kind"] == "retouched"


def test_jpeg_upright_with_profile_and_exif(folder: Path, facts: Facts) -> None:
    record = make_smooth_record().replace(orientation=6)
    write_dng(folder / "tall.dng", record)
    told = facts("retouch", "tall.dng", "-o", "out.jpg", "--quality", 100, "--preset", "punchy")
    assert (told["width"], told["height"]) == (96, 128)
    settings = load_preset("punchy")
    assert told["settings"]["saturation"] == settings.saturation
    jpeg = decode_jpeg(folder / "out.jpg")
    expected = codes_from_linear(retouched(upright(linear_srgb(record), record), settings))
    assert np.abs(jpeg.rgb.astype(int) - expected).mean() < 2
    with Image.open("out.jpg") as image:
        exif = image.getexif()
    assert jpeg.icc == srgb_profile()
    assert (exif[271], exif.get(274, 1)) == ("Maker", 1)


def test_the_raw_of_a_jpeg(folder: Path, facts: Facts) -> None:
    facts("recover", "photo.jpg", "-o", "back.dng")
    for name in ("photo.jpg", "back.dng"):
        facts("retouch", name, "-o", f"{name}.tif", "--white-red", 0.2)
    one, other = tifffile.imread("photo.jpg.tif"), tifffile.imread("back.dng.tif")
    np.testing.assert_array_equal(one, other)


def test_presets_and_options(folder: Path, facts: Facts) -> None:
    curve = ("--tone-curve", 1, 2, 1, 1, 1, 1, 1, 0.5)
    told = facts(
        "retouch", "photo.dng", "-o", "a.jpg", "--preset", "matte", *curve,
        "--save-preset", "mine.json",
    )  # fmt: skip
    assert told["preset"] == "mine.json"
    saved = load_preset("mine.json")
    assert saved.tone_curve == (1, 2, 1, 1, 1, 1, 1, 0.5)
    assert saved.black_and_white == load_preset("matte").black_and_white
    again = facts("retouch", "photo.dng", "-o", "b.jpg", "--preset", "mine.json")
    assert again["settings"] == told["settings"]
    assert (folder / "a.jpg").read_bytes() == (folder / "b.jpg").read_bytes()


def test_auto(folder: Path, facts: Facts) -> None:
    told = facts("retouch", "photo.dng", "-o", "a.jpg", "--auto", "target", "--gamma", 1.2)
    assert told["settings"]["gamma"] == 1.2
    assert told["settings"]["exposure"] != 0
    told = facts("retouch", "photo.dng", "-o", "dark.jpg", "--exposure", -2)
    like = facts("retouch", "photo.dng", "-o", "like.jpg", "--auto", "dark.jpg")
    assert like["settings"]["tone_curve"] != [1] * 8
    dark, found = (decode_jpeg(folder / n).rgb.astype(int) for n in ("dark.jpg", "like.jpg"))
    assert np.abs(dark - found).mean() < 6


def test_a_policy_is_trained_and_used(folder: Path, facts: Facts, run: Run) -> None:
    (folder / "shown").mkdir()
    (folder / "photo.jpg").rename(folder / "shown" / "photo.jpg")
    (folder / "light").mkdir()
    (folder / "photo.dng").rename(folder / "light" / "photo.dng")
    options = ("--steps", 2, "--batch", 2, "--pool", 4, "--threads", 1, "--actions", 2)
    status, out, err = run("train-retouch", "shown", "light", "-o", "run", *options, "--json")
    told = json.loads(out)
    assert (status, told["steps"], told["finished"]) == (0, 2, True)
    assert "too few light pictures to hold any out" in err
    told = facts("train-retouch", "--resume", "run", "--steps", 3)
    assert told["steps"] == 3
    assert told["best"]["distance"] >= 0
    policy = f"policy:{told['weights']}"
    used = facts("retouch", "light/photo.dng", "-o", "out.jpg", "--auto", policy)
    assert len(RetouchSettings(**_tuples(used["settings"])).active) == 2
    status, out, err = run("train-retouch", "--resume", "run")
    assert (status, err) == (0, "")
    assert out.startswith("3 of 3 steps in ")
    assert "distance from the retouched photographs" in out


def _tuples(values: dict[str, object]) -> dict[str, object]:
    return {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}


def test_people_read_lines(folder: Path, run: Run) -> None:
    status, out, err = run("retouch", "photo.dng", "-o", "out.jpg", "--gamma", 0.8, "--exposure", 1)
    assert (status, err) == (0, "")
    assert out.startswith("photo.dng -> out.jpg\n  128 x 96 pixels; filters: exposure, gamma\n")


def test_bad_input(folder: Path, run: Run) -> None:
    def refuse(message: str, *arguments: object) -> None:
        refused(run, folder, message, *arguments)
        refused(run, folder, message, *arguments, "--json")

    (folder / "bad.json").write_text("{")
    save_preset(folder / "good.json", RetouchSettings())
    retouch = ("retouch", "photo.dng", "-o")
    refuse("let its name end in .jpg, .jpeg, .tif, .tiff", *retouch, "out.png")
    refuse("there is no folder", *retouch, "missing/out.jpg")
    refuse("would replace an input file", "retouch", "photo.jpg", "-o", "photo.jpg")
    refuse("missing.dng does not exist", "retouch", "missing.dng", "-o", "out.jpg")
    refuse("exposure 9 is not between -3.5 and 3.5", *retouch, "out.jpg", "--exposure", "9")
    refuse("order gamma does not name each of", *retouch, "out.jpg", "--order", "gamma")
    refuse("no preset or preset file 'x'", *retouch, "out.jpg", "--preset", "x")
    refuse("bad.json is damaged", *retouch, "out.jpg", "--preset", "bad.json")
    refuse("holds no preview of the camera", *retouch, "out.jpg", "--auto", "camera")
    refuse("holds no preview", "retouch", "photo.jpg", "-o", "out.jpg", "--auto", "camera")
    refuse("neither camera, target, policy:PATH", *retouch, "out.jpg", "--auto", "nosuch.jpg")
    refuse("cannot be read as a picture", *retouch, "out.jpg", "--auto", "bad.json")
    refuse("bad.json is not a policy", *retouch, "out.jpg", "--auto", "policy:bad.json")
    refuse("no folder", *retouch, "out.jpg", "--save-preset", "missing/mine.json")
    refuse("a new run needs", "train-retouch", "-o", "run")
    refuse("a new run needs", "train-retouch", "photo.jpg", "-o", "run")
    refuse("there is no run in missing to go on with", "train-retouch", "--resume", "missing")


def _documented() -> list[str]:
    text = (Path(__file__).parents[2] / "docs" / "retouching.md").read_text(encoding="utf-8")
    return re.findall(r"^napari-invisp .*$", text, re.MULTILINE)


@pytest.mark.parametrize("line", _documented())
def test_every_documented_command_is_understood(line: str) -> None:
    build_parser().parse_args(shlex.split(line)[1:])  # raises if it is not


@pytest.mark.parametrize("name", ["retouch", "train-retouch"])
def test_help_shows_how(run: Run, name: str) -> None:
    status, out, _ = run(name, "--help")
    assert status == 0
    assert f"napari-invisp {name} " in out
