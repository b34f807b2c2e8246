from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from cli_helpers import Facts, Run, refused, strict
from fivek_helpers import CANON, NIKON, make_fivek
from PIL import Image
from skimage.data import astronaut

from napari_invisp.cli.parser import build_parser
from napari_invisp.sensor.reading import read_raw
from napari_invisp.training.prepared import open_set


@pytest.fixture(scope="module")
def fivek(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_fivek(tmp_path_factory.mktemp("download"))


def test_fivek_becomes_two_sets(
    fivek: Path, folder: Path, facts: Facts, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = facts("prepare", "fivek", fivek, "-o", "data", "--workers", 2)
    assert result["output"] == "data"
    assert (result["pictures"], result["train"], result["test"]) == (11, 9, 2)
    assert (result["skipped"], result["failed"], result["errors"]) == (0, 0, [])
    assert 0 < result["seconds"] < 100
    canon, nikon = (open_set(each["output"]) for each in result["sets"])
    assert (canon.folder, nikon.folder) == (Path("data/canon"), Path("data/nikon"))
    assert canon.names() == sorted(CANON)
    assert nikon.names() == sorted(NIKON)
    assert [len(each.names("train")) for each in (canon, nikon)] == [6, 3]
    assert canon.made["seed"] == 0
    assert result["bytes"] == canon.stored_bytes + nikon.stored_bytes
    (path,) = fivek.rglob(f"{NIKON[1]}.dng")
    assert nikon.picture(NIKON[1]).record == read_raw(path)
    patch = canon.draw(np.random.default_rng(0), 64, 8)
    assert patch.record.camera == "Canon EOS 5D"

    # A second time, nothing is made but the choice of pictures; these are lists of one camera.
    Path("train.txt").write_text("\n".join(CANON[:4]))
    Path("test.txt").write_text("\n".join([CANON[5], "a1111-none"]))
    lists = ("--train-list", "train.txt", "--test-list", "test.txt")
    status, out, err = run("prepare", "fivek", fivek, "-o", "data", *lists, "--json")
    assert status == 0
    result = strict(out)
    assert [each["output"] for each in result["sets"]] == [str(Path("data/canon"))]
    assert (result["train"], result["test"], result["skipped"]) == (4, 1, 5)
    assert open_set("data/canon").names("test") == [CANON[5]]
    assert open_set("data/canon").made["train_list"] == ["train.txt"]
    assert err == "".join(f"napari-invisp: warning: {note}\n" for note in result["warnings"])
    assert "no picture of a NIKON D700 that the lists name" in err
    assert "1 of the pictures that the lists name are not there" in err


def test_raw_files(album: Path, run: Run) -> None:
    """One of the three is no RAW file, whatever its name says."""
    command = ("prepare", "raw", ".", "-o", "out/set", "--seed", 4, "--workers", 1)
    status, out, err = run(*command, "--json")
    assert status == 2
    result = strict(out)
    assert (result["train"], result["test"], result["failed"]) == (1, 1, 1)
    (error,) = result["errors"]
    assert error["picture"] == "bad.dng"
    assert err == f"napari-invisp: {error['error']}\n"
    assert "bad.dng is not a camera RAW file" in err
    ready = open_set("out/set")
    assert ready.kind == "raw"
    for name in ("one.dng", "two.dng"):
        assert ready.picture(name).record == read_raw(album / name)

    (album / "bad.dng").unlink()
    Path("two.dng").rename("out/three.dng")  # within the source still, but of another name
    status, out, err = run(*command, "--share", 1)
    assert status == 0
    assert err == f"napari-invisp: warning: nothing in {Path('out/set')} is held out\n"
    first, last = out.splitlines()
    assert first.startswith(f"{Path('out/set')}: 2 pictures, 2 to train on and 0 held out, ")
    assert first.endswith(", 1 were there already")
    assert open_set("out/set").names() == ["one.dng", "out/three.dng"]
    assert last.startswith("took ")


def test_synthetic_pictures(folder: Path, facts: Facts) -> None:
    Path("gallery").mkdir()
    for n in range(6):
        Image.fromarray(np.roll(astronaut(), 50 * n, axis=1)).save(f"gallery/{n}.png")
    command = ("prepare", "synthetic", "gallery", "-o", "out", "--count", 6, "--seed", 5)
    result = facts(*command, "--workers", 1)
    assert (result["train"], result["test"]) == (5, 1)
    ready = open_set("out")
    assert ready.kind == "synthetic"
    assert (ready.made["seed"], ready.made["count"]) == (5, 6)
    mosaics = [picture.record.mosaic for picture in ready.pictures()]
    assert all(mosaic.std() > 0 for mosaic in mosaics)
    assert mosaics[0].shape != mosaics[1].shape or (mosaics[0] != mosaics[1]).any()


DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "data.md"
COMMANDS = re.findall(
    r"^ *(napari-invisp .*)$", DOCUMENT.read_text("utf-8").replace("\\\n", " "), re.MULTILINE
)


@pytest.mark.parametrize("line", COMMANDS)
def test_the_documented_commands_are_understood(line: str) -> None:
    build_parser().parse_args(shlex.split(line)[1:])


def test_what_cannot_be_prepared(folder: Path, run: Run) -> None:
    Path("empty").mkdir()
    Path("list.txt").write_text("a0001")
    there = ("-o", "out")
    refused(run, folder, "no DNG files in empty", "prepare", "fivek", "empty", *there)
    refused(run, folder, "none of the 1 DNG files", "prepare", "fivek", ".", *there)
    refused(run, folder, "no camera RAW files", "prepare", "raw", "empty", *there)
    refused(run, folder, "no photograph", "prepare", "synthetic", "empty", *there)
    refused(run, folder, "nowhere does not exist", "prepare", "raw", "nowhere", *there)
    refused(run, folder, "is the source", "prepare", "raw", ".", "-o", ".")
    refused(run, folder, "cannot write to", "prepare", "raw", ".", "-o", "photo.jpg/out")
    refused(run, folder, "share 2 is not", "prepare", "raw", ".", *there, "--share", "2")
    refused(run, folder, "seed -1 is not", "prepare", "raw", ".", *there, "--seed", "-1")
    lists = ("--train-list", "list.txt", "--test-list", "list.txt")
    refused(run, folder, "hold it out", "prepare", "fivek", ".", *there, *lists)
    refused(run, folder, "KIND", "prepare")
