"""Working through a frame in tiles, with progress and cancellation."""

from __future__ import annotations

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
#: Rows and columns of a frame.
Part = tuple[slice, slice]
#: Called before each tile is chosen: what the user looks at, which is worked on first; none if it
#: does not matter.
Focus = Callable[[], Part | None]


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
    def inner(self) -> Part:
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
    frame = slice(0, height), slice(0, width)
    return tiles_of(frame, frame, size, halo, grid)


def tiles_of(part: Part, frame: Part, size: int, halo: int, grid: int = 2) -> list[Tile]:
    """Cover a part of a frame with tiles, whose halos reach as far as the frame goes.

    Parameters
    ----------
    part
        What to cover at least: it is extended to the grid.
    frame
        All there is.
    size, halo, grid
        As for :func:`tiles`.
    """
    size += -size % grid
    halo += -halo % grid

    def cuts(wanted: slice, whole: slice) -> list[tuple[slice, slice]]:
        first = wanted.start // grid * grid
        length = min(whole.stop, wanted.stop + -wanted.stop % grid) - first
        count = -(-length // size)
        equal = -(-length // count)  # so that none is a mere strip
        equal += -equal % grid
        return [
            (
                slice(start, min(start + equal, first + length)),
                slice(max(0, start - halo), min(start + equal + halo, whole.stop)),
            )
            for start in range(first, first + length, equal)
        ]

    return [
        Tile(rows, columns, outer_rows, outer_columns)
        for rows, outer_rows in cuts(part[0], frame[0])
        for columns, outer_columns in cuts(part[1], frame[1])
    ]


def distance(tile: Tile, part: Part) -> tuple[float, float]:
    """Tell how far a tile is from a part of the frame: beyond its edges, then from its middle."""
    beyond = middle = 0.0
    for own, wanted in zip((tile.rows, tile.columns), part, strict=True):
        beyond += max(0, wanted.start - own.stop + 1, own.start - wanted.stop + 1) ** 2
        middle += (own.start + own.stop - wanted.start - wanted.stop) ** 2
    return beyond, middle


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
    """The caller's callbacks; all may be left out."""

    progress: Progress | None = None
    cancelled: CancelCheck | None = None
    focus: Focus | None = None

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
        """Work on every piece, those in focus first, reporting before each and at the end.

        Parameters
        ----------
        stage
            What progress reports call it.
        pieces
            What to work on, in this order where there is no focus.
        work
            Called with each piece.
        workers
            Pieces that are worked on at a time, each in a thread with its share of torch's threads.

        Raises
        ------
        Cancelled
            The caller asked to stop; no piece is begun after that.
        """
        waiting = list(pieces)
        if workers == 1:
            while waiting:
                self.step(stage, len(pieces) - len(waiting), len(pieces))
                work(self._next(waiting))
        else:
            share = max(1, torch.get_num_threads() // workers)
            pool = ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(share,))
            with single_threaded(), pool:
                running: set[Future[None]] = set()
                done = 0
                try:
                    while waiting or running:
                        self.step(stage, done, len(pieces))
                        while waiting and len(running) < workers:
                            running.add(pool.submit(work, self._next(waiting)))
                        finished, running = wait(running, return_when=FIRST_COMPLETED)
                        for each in finished:
                            each.result()
                        done += len(finished)
                except BaseException:
                    pool.shutdown(cancel_futures=True)
                    raise
        self.step(stage, len(pieces), len(pieces))

    def _next(self, waiting: list[Tile]) -> Tile:
        """Take out the piece that is nearest to what the user looks at."""
        part = self.focus() if self.focus is not None else None
        if part is None:
            return waiting.pop(0)
        nearest = min(range(len(waiting)), key=lambda n: distance(waiting[n], part))
        return waiting.pop(nearest)
