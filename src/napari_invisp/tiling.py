"""Working through a frame in tiles, with progress and cancellation."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from napari_invisp.errors import Cancelled

#: Called with what is being done, how much of it is done, and how much there is.
Progress = Callable[[str, int, int], None]
#: Called between steps; true means stop.
CancelCheck = Callable[[], bool]


@dataclass(frozen=True)
class Tile:
    """One piece of a frame.

    Attributes
    ----------
    rows, columns
        The part of the frame that this tile answers for.
    outer_rows, outer_columns
        The part that the model has to see: the same and the halo around it, within the frame.
    """

    rows: slice
    columns: slice
    outer_rows: slice
    outer_columns: slice

    @property
    def inner(self) -> tuple[slice, slice]:
        """Where ``rows`` and ``columns`` lie within the outer part."""
        top = self.rows.start - self.outer_rows.start
        left = self.columns.start - self.outer_columns.start
        return (
            slice(top, top + self.rows.stop - self.rows.start),
            slice(left, left + self.columns.stop - self.columns.start),
        )


def tiles(height: int, width: int, size: int, halo: int, grid: int = 2) -> list[Tile]:
    """Cover a frame with tiles, in reading order.

    Parameters
    ----------
    height, width
        Of the frame, in pixels.
    size
        Side of a tile without its halo, at most; rounded up to the grid.
    halo
        Receptive half-width of the model; rounded up to the grid too.
    grid
        Tiles begin at multiples of it, with their halo and without; even, so that every tile starts
        at the same CFA site.
    """
    size += -size % grid
    halo += -halo % grid

    def cuts(length: int) -> list[tuple[slice, slice]]:
        count = -(-length // size)
        equal = -(-length // count)  # so that none is a mere strip
        equal += -equal % grid
        return [
            (
                slice(start, min(start + equal, length)),
                slice(max(0, start - halo), min(start + equal + halo, length)),
            )
            for start in range(0, length, equal)
        ]

    return [
        Tile(rows, columns, outer_rows, outer_columns)
        for rows, outer_rows in cuts(height)
        for columns, outer_columns in cuts(width)
    ]


@contextmanager
def single_threaded() -> Iterator[None]:
    """Keep torch to one thread for as long as the block lasts.

    Small operations lose more by waiting for one another than they gain from a second core.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@dataclass(frozen=True)
class Watcher:
    """The caller's two callbacks; both may be left out."""

    progress: Progress | None = None
    cancelled: CancelCheck | None = None

    def step(self, stage: str, done: int, total: int) -> None:
        """Report progress.

        Raises
        ------
        Cancelled
            The caller asked to stop.
        """
        if self.progress is not None:
            self.progress(stage, done, total)
        if self.cancelled is not None and self.cancelled():
            raise Cancelled(stage)

    def through(
        self, stage: str, pieces: Sequence[Tile], work: Callable[[Tile], None], workers: int = 1
    ) -> None:
        """Work on every piece, reporting before each and at the end.

        Parameters
        ----------
        stage
            What progress reports call it.
        pieces
            What to work on, in this order.
        work
            Called with each piece.
        workers
            Pieces that are worked on at a time, each in a thread with its share of torch's threads.

        Raises
        ------
        Cancelled
            The caller asked to stop; no piece is begun after that.
        """
        if workers == 1:
            for done, piece in enumerate(pieces):
                self.step(stage, done, len(pieces))
                work(piece)
        else:
            share = max(1, torch.get_num_threads() // workers)
            pool = ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(share,))
            with single_threaded(), pool:
                waiting = deque(pieces)
                running: set[Future[None]] = set()
                done = 0
                try:
                    while waiting or running:
                        self.step(stage, done, len(pieces))
                        while waiting and len(running) < 2 * workers:
                            running.add(pool.submit(work, waiting.popleft()))
                        finished, running = wait(running, return_when=FIRST_COMPLETED)
                        for each in finished:
                            each.result()
                        done += len(finished)
                except BaseException:
                    pool.shutdown(cancel_futures=True)
                    raise
        self.step(stage, len(pieces), len(pieces))
