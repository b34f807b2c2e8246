"""Making the pictures of a prepared set, many at a time, on this computer or on many."""

from __future__ import annotations

import logging
import os
import signal
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import Field, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
import rawpy
from numpy.typing import NDArray

from napari_invisp.errors import Cancelled, DataError, InvispError, OutputError
from napari_invisp.sensor.record import RawRecord
from napari_invisp.settings import PreparationSettings
from napari_invisp.training.prepared import (
    finished_picture,
    reopen_set,
    write_picture,
    write_set,
)
from napari_invisp.training.splitting import Split

if TYPE_CHECKING:
    from distributed import Client

    from napari_invisp.tiling import CancelCheck, Progress

# Seconds after which to ask whether to go on, if nothing happens.
_PATIENCE = 0.5
# Seconds that a scheduler has to answer, and to have a worker.
_ANSWER = 20


class Job(Protocol):
    """One picture to make: a frozen dataclass, small and picklable.

    Its fields but ``split`` are its recipe: a picture is made anew when they have changed.
    """

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def name(self) -> str:
        """What the picture is called in its set."""
        ...

    @property
    def split(self) -> Split:
        """The part that it belongs to."""
        ...

    def make(self) -> tuple[RawRecord, NDArray[np.uint8]]:
        """Give the RAW and the ``(H, W, 3)`` sRGB that goes with it; runs in any process.

        Raises
        ------
        InvispError
            The picture cannot be made; the others can.
        """
        ...


@dataclass(frozen=True)
class Preparation:
    """What became of a set.

    Attributes
    ----------
    folder
        The set.
    made, skipped
        Pictures that were made now, and that were there already.
    errors
        Why a picture is not in the set, by name.
    """

    folder: Path
    made: int
    skipped: int
    errors: Mapping[str, str]


def prepare(
    folder: Path,
    kind: str,
    jobs: Sequence[Job],
    settings: PreparationSettings,
    made: Mapping[str, Any],
    *,
    progress: Progress | None = None,
    cancelled: CancelCheck | None = None,
) -> Preparation:
    """Make a prepared set.

    Pictures that were finished before are not made again. One that cannot be made is left out and
    reported. Worker processes start by importing the program's main module, so a script must call
    this under ``if __name__ == "__main__":``.

    Parameters
    ----------
    folder
        Where the set shall be. Workers on other computers must see it under the same path.
    kind
        What the pictures are.
    jobs
        The pictures.
    settings
        Where to work.
    made
        How the pictures were chosen, JSON values, to be noted in the set.
    progress, cancelled
        Callbacks, called in this thread.

    Raises
    ------
    Cancelled
        The caller asked to stop; what is finished is kept for the next time.
    DataError
        No picture could be made, two have the same name, or the scheduler cannot be used.
    OutputError
        The folder cannot be written to.
    """
    folder = folder.resolve()
    splits = {job.name: job.split for job in jobs}
    if len(splits) < len(jobs):
        names = [job.name for job in jobs]
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(
            f"two pictures would be called {twice}; prepare them into sets of their own"
        )
    reopen_set(folder)
    to_make = [job for job in jobs if not finished_picture(folder, job.name, _recipe(job))]
    errors: dict[str, str] = {}
    if to_make:
        try:
            for job, error in _work(folder, to_make, settings, progress, cancelled):
                if error is not None:
                    errors[job.name] = error
        except BaseException:
            reopen_set(folder)
            raise
    finished = {name: split for name, split in splits.items() if name not in errors}
    if not finished:
        first = next(iter(errors.values()), "there are none")
        raise DataError(f"none of {len(jobs)} pictures could be prepared; {first}")
    libraw = ".".join(map(str, rawpy.libraw_version))
    write_set(folder, kind, {**made, "libraw": libraw}, finished)
    return Preparation(folder, len(to_make) - len(errors), len(jobs) - len(to_make), errors)


def _recipe(job: Job) -> str:
    facts = [f"{each.name}={getattr(job, each.name)!r}" for each in fields(job)]
    return ", ".join(each for each in facts if not each.startswith("split="))


def _make(folder: Path, job: Job) -> str | None:
    """Make a picture in a worker process; give the reason if it cannot be made."""
    try:
        record, reference = job.make()
        write_picture(folder, job.name, record, reference, job.split, _recipe(job))
    except OutputError:  # no other picture can be written either
        raise
    except InvispError as error:
        return str(error)
    except MemoryError:
        return f"there is not enough memory to make {job.name}; take fewer workers"
    except Exception as defect:  # one odd file must not cost the hours of all the others
        return f"{job.name}: {type(defect).__name__}: {defect}"
    return None


def _work(
    folder: Path,
    jobs: Sequence[Job],
    settings: PreparationSettings,
    progress: Progress | None,
    cancelled: CancelCheck | None,
) -> Iterator[tuple[Job, str | None]]:
    """Make pictures, and give each when it is done with the reason if it could not be made."""
    from distributed import Future, KilledWorker, wait

    waiting = deque(jobs)
    running: dict[Future[str | None], Job] = {}
    # When a worker dies, Dask blames all that was given to it: those pictures are made once more,
    # one at a time.
    suspects: deque[Job] = deque()
    alone = False
    with _workers(settings, len(jobs)) as client:
        while waiting or running or suspects:
            if not waiting and not running:
                waiting, suspects, alone = suspects, deque(), True
            if progress is not None:
                left = len(waiting) + len(running) + len(suspects)
                progress("preparing", len(jobs) - left, len(jobs))
            if cancelled is not None and cancelled():
                raise Cancelled("preparing")
            # Few at a time, so that stopping is quick; workers may come and go.
            at_a_time = 1 if alone else 2 * max(1, sum(client.nthreads().values()))
            while waiting and len(running) < at_a_time:
                job = waiting.popleft()
                running[client.submit(_make, folder, job, pure=False)] = job
            try:
                done = wait(list(running), timeout=_PATIENCE, return_when="FIRST_COMPLETED").done
            except TimeoutError:
                continue
            for future in done:
                job = running.pop(future)
                try:
                    yield job, future.result()
                except KilledWorker:
                    if alone:
                        yield job, f"making {job.name} kills the process that does it"
                    else:
                        suspects.append(job)
        if progress is not None:
            progress("preparing", len(jobs), len(jobs))


@contextmanager
def _workers(settings: PreparationSettings, jobs: int) -> Iterator[Client]:
    """Give access to workers: a scheduler's, or processes of one thread each."""
    from distributed import CancelledError, Client, LocalCluster
    from distributed.utils import silence_logging_cmgr

    address = settings.scheduler
    if address:
        with (
            silence_logging_cmgr(logging.CRITICAL, "distributed"),
            silence_logging_cmgr(logging.CRITICAL, "distributed.client"),
        ):
            try:
                client = Client(address, timeout=_ANSWER)
            except (OSError, ValueError) as error:
                raise DataError(f"no Dask scheduler answers at {address}") from error
            with client:
                try:
                    client.wait_for_workers(1, timeout=_ANSWER)
                except TimeoutError:
                    raise DataError(f"the Dask scheduler {address} has no worker") from None
                try:
                    yield client
                except (OSError, CancelledError) as error:
                    # The client has more to say about that, even after it is closed.
                    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
                    raise DataError(
                        f"the Dask scheduler {address} answers no more; what it did is kept"
                    ) from error
        return
    cluster = LocalCluster(
        n_workers=min(settings.workers or os.cpu_count() or 1, jobs),
        threads_per_worker=1,
        host="127.0.0.1",
        # No dashboard, and no port that is asked for, since another cluster may have it.
        dashboard_address="127.0.0.1:0",
        scheduler_kwargs={"dashboard": False, "allowed_failures": 0},
        memory_limit=None,
        silence_logs=logging.CRITICAL,
    )
    with cluster, Client(cluster) as client:
        client.run(_ignore_interrupt)
        yield client


def _ignore_interrupt() -> None:
    """Leave Ctrl-C, which reaches all processes of a terminal, to the one that can end the rest."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
