"""A folder of small files to work on, and ways to run a command there."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli_helpers import Run, strict
from records import make_record, make_smooth_record

from napari_invisp.cli import main
from napari_invisp.pipeline import Pipeline
from napari_invisp.sensor.dng import write_dng
from napari_invisp.sensor.reading import read_raw
from napari_invisp.settings import RenderSettings


@pytest.fixture(autouse=True, scope="module")
def _one_thread(one_thread: None) -> None:
    """Run every test here on one thread."""


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


@pytest.fixture
def album(folder: Path) -> Path:
    """``one.dng`` and ``two.dng``, a text called ``bad.dng``, and a folder ``out``."""
    (folder / "photo.dng").rename("one.dng")
    write_dng(folder / "two.dng", make_record((30, 40), "GBRG"))
    (folder / "bad.dng").write_text("no RAW")
    (folder / "photo.jpg").unlink()
    (folder / "out").mkdir()
    return folder


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
