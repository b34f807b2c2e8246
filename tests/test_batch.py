from __future__ import annotations

import csv
import io
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from records import make_smooth_record

from napari_invisp.batch import Job, State, Task, as_csv, perform, perform_all
from napari_invisp.errors import Cancelled, InvispError
from napari_invisp.inspection.jpegs import describe
from napari_invisp.jpeg.capsule import Capsule, embed, from_jpeg
from napari_invisp.metrics import raw_psnr
from napari_invisp.sensor.dng import write_dng
from napari_invisp.sensor.reading import read_raw
from napari_invisp.settings import BatchSettings

SETTINGS = BatchSettings(model="physics", quality=85, subsampling="4:4:4", headroom=0.75)


@pytest.fixture
def dng(tmp_path: Path) -> Path:
    path = tmp_path / "one.dng"
    write_dng(path, make_smooth_record((64, 96)))
    return path


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    path = tmp_path / "bad.dng"
    path.write_bytes(b"no RAW")
    return path


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def render(source: Path, folder: Path | None, **changes: object) -> Task:
    return perform(Task.of(source), folder, replace(SETTINGS, **changes))


def test_a_file_s_name_says_what_is_done_with_it() -> None:
    assert Task.of(Path("a.CR2")).job is Job.RENDER
    assert Task.of(Path("a.JPEG")).job is Job.RECOVER
    with pytest.raises(InvispError, match=r"a\.txt is neither a camera RAW file nor a JPEG"):
        Task.of(Path("a.txt"))


def test_there_and_back(dng: Path, out: Path) -> None:
    rendered = render(dng, out, measure=True)
    assert rendered.state is State.DONE
    assert rendered.target == out / "one.jpg"
    facts, inside = rendered.facts, describe(rendered.target).inside
    assert (inside.model, inside.quality, inside.subsampling) == ("physics", 85, "4:4:4")
    assert inside.headroom == 0.75
    size = rendered.target.stat().st_size
    assert facts["jpeg_bytes"] == size
    assert facts["bpp"] == pytest.approx(8 * size / (64 * 96))
    assert facts["compression_ratio"] == pytest.approx(64 * 96 * 12 / 8 / size)
    assert facts["seconds"] > 0

    recovered = render(rendered.target, out)
    assert recovered.target == out / "one-recovered.dng"
    for name in ("jpeg_bytes", "bpp", "compression_ratio", "quality", "headroom", "model"):
        assert recovered.facts[name] == facts[name]
    measured = raw_psnr(read_raw(dng), read_raw(recovered.target))
    assert facts["raw_psnr"] == pytest.approx(measured)
    assert "raw_psnr" not in recovered.facts


def test_without_a_folder_results_stand_beside_their_sources(dng: Path) -> None:
    assert render(dng, None).target == dng.with_suffix(".jpg")
    again = render(dng.with_suffix(".jpg"), None, replace=True)
    assert again.target == dng.with_name("one-recovered.dng")


def test_the_source_is_never_replaced(dng: Path) -> None:
    misnamed = dng.with_suffix(".jpg")
    shutil.copy(dng, misnamed)
    task = perform(Task(misnamed, Job.RENDER), None, replace(SETTINGS, replace=True))
    assert task.target == dng.with_name("one-2.jpg")


def test_what_is_there_stays_unless_it_may_be_replaced(dng: Path, out: Path) -> None:
    (out / "one.jpg").write_bytes(b"mine")
    (out / "one-2.jpg").write_bytes(b"mine too")
    assert render(dng, out).target == out / "one-3.jpg"
    assert (out / "one.jpg").read_bytes() == b"mine"
    assert render(dng, out, replace=True).target == out / "one.jpg"
    assert (out / "one.jpg").read_bytes() != b"mine"


def test_one_bad_file_stops_no_other(dng: Path, bad: Path, out: Path) -> None:
    plain = dng.with_name("plain.jpg")
    shutil.copy(dng, plain)
    tasks = [Task.of(path) for path in (bad, plain, dng)]
    steps = list(perform_all(tasks, out, SETTINGS))
    assert [(task.source.name, task.state) for task in steps] == [
        ("bad.dng", State.RUNNING),
        ("bad.dng", State.FAILED),
        ("plain.jpg", State.RUNNING),
        ("plain.jpg", State.FAILED),
        ("one.dng", State.RUNNING),
        ("one.dng", State.DONE),
    ]
    assert str(bad) in steps[1].problem
    assert "is not a JPEG file" in steps[3].problem
    assert [path.name for path in out.iterdir()] == ["one.jpg"]


def test_files_of_one_name_do_not_replace_each_other(dng: Path, out: Path) -> None:
    other = dng.parent / "other" / dng.name
    other.parent.mkdir()
    shutil.copy(dng, other)
    tasks = [Task.of(dng), Task.of(other)]
    ended = list(perform_all(tasks, out, replace(SETTINGS, replace=True)))[1::2]
    assert [task.target.name for task in ended] == ["one.jpg", "one-2.jpg"]


def test_a_folder_that_is_not_there_is_a_problem(dng: Path, tmp_path: Path) -> None:
    task = render(dng, tmp_path / "nowhere")
    assert task.state is State.FAILED
    assert "there is no folder" in task.problem
    assert task.target is None


def test_it_stops_within_a_tile_and_leaves_nothing(dng: Path, out: Path) -> None:
    stages: list[tuple[str, int]] = []

    def watch(stage: str, done: int, total: int) -> None:
        stages.append((stage, done))

    steps = perform_all(
        [Task.of(dng)] * 2,
        out,
        replace(SETTINGS, tile=16),
        progress=watch,
        cancelled=lambda: stages[-1][0] == "rendering" and stages[-1][1] > 2,
    )
    with pytest.raises(Cancelled):
        list(steps)
    assert stages[-1] in (("rendering", 3), ("rendering", 4))  # of 24
    assert list(out.iterdir()) == []


def test_a_jpeg_that_asks_for_a_checkpoint_gets_that_of_the_settings(
    dng: Path, out: Path, tmp_path: Path
) -> None:
    jpeg = render(dng, out).target
    capsule = from_jpeg(jpeg.read_bytes())
    asks = {**capsule.header["model"], "checkpoint": "mine.pth"}
    jpeg.write_bytes(embed(jpeg.read_bytes(), Capsule({**capsule.header, "model": asks})))
    assert "rendered with the weights of mine.pth" in render(jpeg, out).problem
    given = str(tmp_path / "yours.pth")
    assert (
        f"there is no model or checkpoint file {given!r}" in render(jpeg, out, model=given).problem
    )


def test_rows_become_a_table(dng: Path, bad: Path, out: Path) -> None:
    done, failed = render(dng, out, measure=True), render(bad, out)
    waiting = Task.of(Path("later, perhaps.jpg"))
    rows = list(csv.DictReader(io.StringIO(as_csv([done, failed, waiting]))))
    assert [row["state"] for row in rows] == ["done", "failed", "waiting"]
    assert rows[0]["file"] == str(dng)
    assert rows[0]["output"] == str(out / "one.jpg")
    assert rows[0]["job"] == "render to JPEG"
    assert rows[0]["jpeg_bytes"] == str(done.facts["jpeg_bytes"])
    assert rows[0]["raw_psnr"] == f"{done.facts['raw_psnr']:.2f}"
    assert (rows[0]["quality"], rows[0]["headroom"]) == ("85", "0.75")
    assert rows[1]["problem"] == failed.problem
    assert (rows[1]["output"], rows[1]["bpp"]) == ("", "")
    assert rows[2]["file"] == "later, perhaps.jpg"
