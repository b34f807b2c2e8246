from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest
from cli_helpers import Facts, Run, refused
from PIL import Image

from napari_invisp.sensor.reading import read_raw


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
    assert (record.pattern, record.width, record.height) == ("RGGB", 1280, 1600)


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
