from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from distributed import LocalCluster
from picture_jobs import PictureJob

from napari_invisp.errors import Cancelled, DataError, OutputError
from napari_invisp.settings import PreparationSettings
from napari_invisp.training import preparing
from napari_invisp.training.prepared import open_set
from napari_invisp.training.preparing import Preparation, prepare


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """The address of a scheduler with two workers, as another computer might run it."""
    with LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        dashboard_address=":0",
        memory_limit=None,
        silence_logs=logging.CRITICAL,
    ) as cluster:
        yield cluster.scheduler_address


@pytest.fixture
def jobs(tmp_path: Path) -> list[PictureJob]:
    notes = tmp_path / "notes"
    notes.mkdir()
    return [PictureJob(f"p{n}", notes, "test" if n == 3 else "train", seed=n) for n in range(5)]


def run(folder: Path, jobs: list[PictureJob], scheduler: str = "", **more: object) -> Preparation:
    settings = PreparationSettings(workers=2, scheduler=scheduler)
    return prepare(folder, "test", jobs, settings, {"seed": 7}, **more)


def assert_whole(folder: Path, jobs: list[PictureJob]) -> None:
    ready = open_set(folder)
    assert ready.names() == sorted(job.name for job in jobs)
    for job in jobs:
        picture, (record, reference) = ready.picture(job.name), job.picture()
        assert picture.record == record
        np.testing.assert_array_equal(picture.reference, reference)
        assert job.name in ready.names(job.split)


@pytest.mark.usefixtures("scheduler")  # another cluster is no hindrance
def test_on_this_computer(jobs: list[PictureJob], tmp_path: Path) -> None:
    """Workers of its own: what goes wrong with one picture, be it death, spares the others."""
    for job, mishap in zip(jobs, ("unreadable", "odd", "deadly"), strict=False):
        (job.folder / f"{job.name}.{mishap}").touch()
    folder = tmp_path / "a" / "set"
    result = run(folder, jobs)
    assert (result.made, result.skipped) == (2, 0)
    assert set(result.errors) == {"p0", "p1", "p2"}
    assert result.errors["p0"] == "p0 is unreadable"
    assert result.errors["p1"] == "p1: ZeroDivisionError: odd"
    assert result.errors["p2"] == "making p2 kills the process that does it"
    assert_whole(folder, jobs[3:])
    about = open_set(folder)
    assert about.kind == "test"
    assert about.made["seed"] == 7


def test_on_a_cluster(jobs: list[PictureJob], tmp_path: Path, scheduler: str) -> None:
    steps: list[tuple[str, int, int]] = []
    result = run(tmp_path / "set", jobs, scheduler, progress=lambda *step: steps.append(step))
    assert (result.made, result.skipped, result.errors) == (5, 0, {})
    assert_whole(tmp_path / "set", jobs)
    done = [step[1] for step in steps]
    assert {step[2] for step in steps} == {5}
    assert (done[0], done[-1], sorted(done)) == (0, 5, done)


def test_only_what_is_missing_is_made_again(
    jobs: list[PictureJob], tmp_path: Path, scheduler: str
) -> None:
    folder = tmp_path / "set"
    mishap = jobs[1].folder / "p1.unreadable"
    mishap.touch()
    assert list(run(folder, jobs, scheduler).errors) == ["p1"]
    mishap.unlink()
    truncated = folder / "pictures" / "p2.mosaic.npy"
    truncated.write_bytes(truncated.read_bytes()[:5000])
    (folder / "pictures" / "p3.json").unlink()
    (folder / "pictures" / ".p4-abc.npy").write_bytes(b"half")

    result = run(folder, jobs, scheduler)
    assert (result.made, result.skipped, result.errors) == (3, 2, {})
    assert_whole(folder, jobs)
    assert [job.calls for job in jobs] == [1, 2, 2, 2, 1]
    assert not list((folder / "pictures").glob(".*"))

    result = run(folder, jobs)  # nothing to do: no worker is started
    assert (result.made, result.skipped) == (0, 5)


def test_other_recipes_and_parts(jobs: list[PictureJob], tmp_path: Path, scheduler: str) -> None:
    folder = tmp_path / "set"
    run(folder, jobs, scheduler)
    changed = [
        replace(jobs[0], seed=99),
        replace(jobs[1], split="test"),
        *jobs[2:4],  # and the last belongs to the set no more
    ]
    result = run(folder, changed, scheduler)
    assert (result.made, result.skipped) == (1, 3)
    assert_whole(folder, changed)


def test_stopping_and_going_on(jobs: list[PictureJob], tmp_path: Path, scheduler: str) -> None:
    folder = tmp_path / "set"
    done = 0

    def progress(stage: str, now: int, total: int) -> None:
        nonlocal done
        done = now

    many = [replace(jobs[0], name=f"p{n}", seed=n) for n in range(12)]
    with pytest.raises(Cancelled):
        run(folder, many, scheduler, progress=progress, cancelled=lambda: done >= 2)
    assert done < 12
    with pytest.raises(DataError, match="was not finished"):
        open_set(folder)
    result = run(folder, many, scheduler)
    assert result.skipped >= 2
    assert result.made + result.skipped == 12
    assert_whole(folder, many)


def test_nothing_could_be_made(jobs: list[PictureJob], tmp_path: Path, scheduler: str) -> None:
    for job in jobs:
        (job.folder / f"{job.name}.unreadable").touch()
    with pytest.raises(DataError, match=r"none of 5 pictures could be prepared; p\d is unreadable"):
        run(tmp_path / "set", jobs, scheduler)
    assert not (tmp_path / "set" / "set.json").exists()


def test_names_must_differ(jobs: list[PictureJob], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="two pictures would be called p1"):
        run(tmp_path / "set", [*jobs, jobs[1]])


def test_folders_that_cannot_be_written(
    jobs: list[PictureJob], tmp_path: Path, scheduler: str
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot write to"):
        run(tmp_path / "file", jobs, scheduler)
    # What is no file cannot be replaced by one: the worker finds that out.
    (tmp_path / "set" / "pictures" / "p0.mosaic.npy").mkdir(parents=True)
    with pytest.raises(OutputError, match="is a folder"):
        run(tmp_path / "set", jobs, scheduler)


def test_no_scheduler(
    jobs: list[PictureJob], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preparing, "_ANSWER", 0.5)
    for address in ("tcp://127.0.0.1:1", "nonsense://x"):
        with pytest.raises(DataError, match=f"no Dask scheduler answers at {address}"):
            run(tmp_path / "set", jobs, address)


def test_a_scheduler_that_goes_away(
    jobs: list[PictureJob], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preparing, "_ANSWER", 0.5)
    many = [replace(jobs[0], name=f"p{n}", seed=n) for n in range(12)]
    with LocalCluster(n_workers=1, processes=False, dashboard_address=":0") as cluster:

        def progress(stage: str, now: int, total: int) -> None:
            if now:
                cluster.close()

        with pytest.raises(DataError, match="answers no more; what it did is kept"):
            run(tmp_path / "set", many, cluster.scheduler_address, progress=progress)
    assert sum(job.calls for job in many) >= 1


def test_a_scheduler_without_workers(
    jobs: list[PictureJob], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preparing, "_ANSWER", 0.5)
    with (
        LocalCluster(n_workers=0, processes=False, dashboard_address=":0") as cluster,
        pytest.raises(DataError, match="has no worker"),
    ):
        run(tmp_path / "set", jobs, cluster.scheduler_address)
