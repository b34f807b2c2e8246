from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from cli_helpers import Facts, Run, contents, refused, strict

from napari_invisp.metrics import compare_raw
from napari_invisp.pipeline import Pipeline
from napari_invisp.sensor.reading import read_raw

# Several files


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
