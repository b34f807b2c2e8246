"""Rendering and recovering files, one or a queue of them."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from enum import StrEnum
from itertools import count
from pathlib import Path
from typing import Any

from napari_invisp.errors import CapsuleError, InvispError
from napari_invisp.evaluation import RgbFidelity, compare_rgb
from napari_invisp.files import read_whole, write_bytes_atomic
from napari_invisp.inspection.provenance import of_recovery
from napari_invisp.jpeg.capsule import from_jpeg
from napari_invisp.jpeg.codec import JPEG_SUFFIXES
from napari_invisp.metrics import bits_per_pixel, compression_ratio, raw_psnr
from napari_invisp.outputs import check_target
from napari_invisp.pipeline import Pipeline, asks_for_checkpoint
from napari_invisp.sensor.dng import encode_dng
from napari_invisp.sensor.libraw import read_file
from napari_invisp.sensor.original import Original
from napari_invisp.sensor.reading import is_raw_name, read_raw
from napari_invisp.settings import (
    ArchiveSettings,
    BatchSettings,
    ComputeSettings,
    RenderSettings,
)
from napari_invisp.tiling import CancelCheck, Progress, Watcher
from napari_invisp.zoo import checkpoint_of

_NO_FIGURES = dict.fromkeys((each.name for each in fields(RgbFidelity)), None)


# -- one file ------------------------------------------------------------------------------------


class Renderer:
    """Renders RAW files to JPEG files with one model; gives facts as JSON values.

    Parameters
    ----------
    settings
        How.
    progress, cancelled
        As for the pipeline.
    metrics
        Compare each rendering with LibRaw's, which takes longer than rendering does.
    measure
        Recover the RAW from each JPEG and compare it with the original; adds ``raw_psnr``.
    archive
        What the JPEG files carry besides.
    """

    def __init__(
        self,
        settings: RenderSettings,
        progress: Progress | None = None,
        cancelled: CancelCheck | None = None,
        *,
        metrics: bool = False,
        measure: bool = False,
        archive: ArchiveSettings | None = None,
    ) -> None:
        self._archive = archive or ArchiveSettings()
        self._warnings: list[str] = []
        self._pipeline = Pipeline(
            settings, progress=progress, cancelled=cancelled, notify=self._warnings.append
        )
        self._watcher = Watcher(progress, cancelled)
        self._metrics = metrics
        self._measure = measure

    def __call__(self, source: Path, target: Path) -> dict[str, Any]:
        """Render ``source`` and write ``target`` once everything has succeeded."""
        self._warnings.clear()
        start = time.perf_counter()
        record = read_raw(source)
        started_rendering = time.perf_counter()
        rendering = self._pipeline.render(record)
        seconds_render = time.perf_counter() - started_rendering
        original = Original.of(read_file(source)) if self._archive.exact else None
        jpeg = self._pipeline.encode(rendering, archive=self._archive, original=original)
        seconds = time.perf_counter() - start

        settings = rendering.settings
        figures: dict[str, Any] = _NO_FIGURES
        if self._metrics:
            self._watcher.step("comparing with LibRaw", 0, 1)
            figures = asdict(compare_rgb(source, rendering, jpeg))
        if self._measure:
            weights = checkpoint_of(settings.model)
            recovered = self._pipeline.recover(jpeg, str(target), weights).record
            self._watcher.step("measuring", 0, 1)
            figures = figures | {"raw_psnr": raw_psnr(record, recovered)}

        start = time.perf_counter()
        write_bytes_atomic(target, jpeg)
        seconds += time.perf_counter() - start
        return {
            "input": str(source),
            "output": str(target),
            "camera": record.camera,
            "model": rendering.model.name,
            "checkpoint": rendering.model.checkpoint,
            "device": rendering.device,
            "width": record.width,
            "height": record.height,
            "bit_depth": record.bit_depth,
            "headroom": settings.headroom,
            "quality": settings.quality,
            "subsampling": settings.subsampling,
            "side_info": 0 if self._archive.exact else self._archive.side_info,
            "exact": self._archive.exact,
            "raw_bytes": source.stat().st_size,
            "jpeg_bytes": len(jpeg),
            "bpp": bits_per_pixel(len(jpeg), record),
            "compression_ratio": compression_ratio(len(jpeg), record),
            **figures,
            "seconds": seconds,
            "seconds_render": seconds_render,
            "warnings": list(self._warnings),
        }


class Recoverer:
    """Recovers RAW from JPEG files and writes it as DNG files; gives facts as JSON values.

    Parameters
    ----------
    settings
        Device and tiles.
    progress, cancelled
        As for the pipeline.
    weights
        The checkpoint that the JPEG was rendered with, if it was with one of the user's own.
    """

    def __init__(
        self,
        settings: ComputeSettings,
        progress: Progress | None = None,
        cancelled: CancelCheck | None = None,
        *,
        weights: str | None = None,
    ) -> None:
        self._settings = settings
        self._weights = weights
        self._warnings: list[str] = []
        self._pipeline = Pipeline(
            progress=progress, cancelled=cancelled, notify=self._warnings.append
        )
        self._watcher = Watcher(progress, cancelled)

    def __call__(self, source: Path, target: Path) -> dict[str, Any]:
        """Recover the RAW in ``source`` and write ``target``."""
        self._warnings.clear()
        start = time.perf_counter()
        jpeg = read_whole(source, "a JPEG file", CapsuleError)
        started_recovering = time.perf_counter()
        recovery = self._pipeline.recover(jpeg, str(source), self._weights, self._settings)
        seconds_recover = time.perf_counter() - started_recovering
        record = recovery.record
        self._watcher.step("saving", 0, 1)
        dng = encode_dng(
            record,
            private=of_recovery(recovery, source).to_private(),
            original=recovery.original,
        )
        write_bytes_atomic(target, dng)
        seconds = time.perf_counter() - start
        return {
            "input": str(source),
            "output": str(target),
            "camera": record.camera,
            "model": recovery.model,
            "device": recovery.device,
            "width": record.width,
            "height": record.height,
            "bit_depth": record.bit_depth,
            **{name: recovery.render.get(name) for name in ("headroom", "quality", "subsampling")},
            "side_info": recovery.side_info,
            "exact": recovery.exact,
            "jpeg_bytes": len(jpeg),
            "bpp": bits_per_pixel(len(jpeg), record),
            "compression_ratio": compression_ratio(len(jpeg), record),
            "dng_bytes": len(dng),
            "seconds": seconds,
            "seconds_recover": seconds_recover,
            "warnings": list(self._warnings),
        }


# -- a queue of files ----------------------------------------------------------------------------


class Job(StrEnum):
    """What is to be done with a file."""

    RENDER = "render to JPEG"
    RECOVER = "recover to DNG"


class State(StrEnum):
    """How far it is."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class Task:
    """A file of a queue, and what became of it.

    Attributes
    ----------
    source
        The file.
    job
        What is to be done with it.
    state
        How far it is.
    facts
        Once it is done: those of :class:`Renderer` or :class:`Recoverer`.
    problem
        Why it failed, a sentence.
    """

    source: Path
    job: Job
    state: State = State.WAITING
    facts: Mapping[str, Any] = field(default_factory=dict)
    problem: str = ""

    @classmethod
    def of(cls, source: Path) -> Task:
        """Plan what a file's name asks for: camera RAW files are rendered, JPEG files recovered.

        Raises
        ------
        InvispError
            It is named like neither.
        """
        if is_raw_name(source):
            return cls(source, Job.RENDER)
        if source.suffix.lower() in JPEG_SUFFIXES:
            return cls(source, Job.RECOVER)
        raise InvispError(f"{source} is neither a camera RAW file nor a JPEG; leave it out")

    @property
    def target(self) -> Path | None:
        """The file that was written, if one was."""
        return Path(self.facts["output"]) if self.state is State.DONE else None


def perform(
    task: Task,
    folder: Path | None,
    settings: BatchSettings,
    taken: Collection[Path] = (),
    *,
    progress: Progress | None = None,
    cancelled: CancelCheck | None = None,
) -> Task:
    """Do one task of a queue.

    Parameters
    ----------
    task
        What to do.
    folder
        Where the result goes; ``None`` puts it beside its source.
    settings
        How.
    taken
        Files that earlier tasks wrote, which are never replaced.
    progress, cancelled
        As for the pipeline.

    Returns
    -------
    Task
        Done or, where the file or the settings are to blame, failed.

    Raises
    ------
    Cancelled
        The caller asked to stop; no file is left behind.
    """
    source = task.source
    work: Callable[[Path, Path], dict[str, Any]]
    try:
        if task.job is Job.RENDER:
            ending = ".jpg"
            work = Renderer(
                settings, progress, cancelled, measure=settings.measure, archive=settings
            )
        else:
            ending = "-recovered.dng"  # the original may stand beside it
            weights = checkpoint_of(settings.model) if _asks_for_checkpoint(source) else None
            work = Recoverer(settings, progress, cancelled, weights=weights)
        target = _free_name(source, folder or source.parent, ending, settings.replace, taken)
        return replace(task, state=State.DONE, facts=work(source, target), problem="")
    except InvispError as error:
        return replace(task, state=State.FAILED, facts={}, problem=str(error))


def perform_all(
    tasks: Iterable[Task],
    folder: Path | None,
    settings: BatchSettings,
    *,
    progress: Progress | None = None,
    cancelled: CancelCheck | None = None,
) -> Iterator[Task]:
    """Do tasks one after the other, as :func:`perform` does; one that fails stops no other.

    Yields
    ------
    Task
        Each one as it is begun, and again as it ended.
    """
    taken: set[Path] = set()
    for task in tasks:
        yield replace(task, state=State.RUNNING)
        ended = perform(task, folder, settings, taken, progress=progress, cancelled=cancelled)
        if ended.target is not None:
            taken.add(ended.target)
        yield ended


# Columns of a table of tasks that are facts of theirs, and the format of each: evaluate's.
_FIGURES = {
    "camera": "{}",
    "width": "{}",
    "height": "{}",
    "model": "{}",
    "headroom": "{:g}",
    "quality": "{}",
    "subsampling": "{}",
    "side_info": "{}",
    "exact": "{}",
    "jpeg_bytes": "{}",
    "bpp": "{:.2f}",
    "compression_ratio": "{:.2f}",
    "raw_psnr": "{:.2f}",
    "seconds": "{:.2f}",
}


def figure(task: Task, name: str) -> str:
    """Return a fact of a task as tables show it; empty if it is not known."""
    value = task.facts.get(name)
    return "" if value is None else _FIGURES[name].format(value)


def as_csv(tasks: Iterable[Task]) -> str:
    """Return a table of tasks, a row each, with a line of column names."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["file", "job", "state", "output", *_FIGURES, "problem"])
    for task in tasks:
        figures = [figure(task, name) for name in _FIGURES]
        output = task.target or ""
        writer.writerow([task.source, task.job, task.state, output, *figures, task.problem])
    return stream.getvalue()


def _free_name(
    source: Path, folder: Path, ending: str, replaces: bool, taken: Collection[Path]
) -> Path:
    """Name a result after its source, with a number where that name is not free.

    Raises
    ------
    OutputError
        Nothing can be written to the folder.
    """
    kept = {path.resolve() for path in (*taken, source)}
    first = folder / f"{source.stem}{ending}"
    for number in count(1):
        target = first if number == 1 else first.with_stem(f"{first.stem}-{number}")
        if target.resolve() not in kept and (replaces or not target.exists()):
            check_target(target, [source])
            break
    return target


def _asks_for_checkpoint(path: Path) -> bool:
    data = read_whole(path, "a JPEG file", CapsuleError)
    return asks_for_checkpoint(from_jpeg(data, str(path)))
