"""Which patches make up the batch of a step: decided by seed and numbers alone.

The k-th example of step s comes of ``(seed, s, k)`` and of nothing else. So a run that is resumed
sees what it would have seen, however many workers make patches ready, and R processes with batches
of b see what one process with batches of R·b does.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, default_collate, get_worker_info

from napari_invisp.training.objective import Example, Objective
from napari_invisp.training.patch import ORIENTATIONS, Patch, PatchSource, Picture

# What a seed is for.
_EXAMPLES, _DEVICE, _BEGINNING = range(3)


def example_rng(seed: int, step: int, number: int) -> np.random.Generator:
    """Return the source of all that is random about one example."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_EXAMPLES, step, number)))


def beginning_rng(seed: int) -> np.random.Generator:
    """Return the source of what an objective draws before the first step."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_BEGINNING,)))


def seed_torch(seed: int, step: int, rank: int) -> None:
    """Seed what models and costs draw within a step; step 0 is the making of the model."""
    words = np.random.SeedSequence(seed, spawn_key=(_DEVICE, step, rank)).generate_state(2)
    torch.manual_seed(int(words[0]) << 31 ^ int(words[1]))


class Mixture:
    """Several sources as one.

    Parameters
    ----------
    sources
        At least one.
    shares
        How often each is drawn from, relative to the others; equally often by default.
    """

    def __init__(self, sources: Sequence[PatchSource], shares: Sequence[float] = ()) -> None:
        self._sources = list(sources)
        weights = np.asarray(shares if len(shares) else np.ones(len(sources)), np.float64)
        self._shares = weights / weights.sum()

    def draw(self, rng: np.random.Generator, side: int, margin: int = 0) -> Patch:
        """Draw a source by its share, and a patch from it."""
        number = int(rng.choice(len(self._sources), p=self._shares))
        patch = self._sources[number].draw(rng, side, margin)
        return replace(patch, picture=f"{number}/{patch.picture}")

    def picture(self, name: str) -> Picture:
        """Return a picture by the name that its patches carry: its source's number, and its own."""
        number, own = name.split("/", 1)
        return replace(self._sources[int(number)].picture(own), name=name)

    def held_out(self) -> Sequence[Picture]:
        """Return what all sources hold out, taking turns."""
        return _Turns([source.held_out() for source in self._sources])


class _Turns(Sequence[Picture]):
    """One of each sequence, then the next of each; pictures are opened when asked for."""

    def __init__(self, parts: Sequence[Sequence[Picture]]) -> None:
        longest = max(map(len, parts))
        self._order = [part for i in range(longest) for part in parts if i < len(part)]
        self._index = [i for i in range(longest) for part in parts if i < len(part)]

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, number: Any) -> Any:
        return self._order[number][self._index[number]]


class Batches(Dataset[tuple[Example, float]]):
    """The batches of one process, by step.

    An item is the batch, and the seconds of processor time that a worker process spent on it.

    Parameters
    ----------
    source
        Where patches come from.
    objective
        What makes examples of them.
    seed, batch, side
        Of the run, examples a step, and pixels a side without the objective's margin.
    rank, size
        Which process this is, of how many.
    """

    def __init__(
        self,
        source: PatchSource,
        objective: Objective,
        *,
        seed: int,
        batch: int,
        side: int,
        rank: int = 0,
        size: int = 1,
    ) -> None:
        self._source = source
        self._objective = objective
        self._seed, self._batch, self._side = seed, batch, side
        self._first = rank * batch

    def __getitem__(self, step: int) -> tuple[Example, float]:
        start = time.process_time()
        numbers = range(self._first, self._first + self._batch)
        with torch.no_grad():
            batch: Example = default_collate([self._example(step, k) for k in numbers])
        return batch, time.process_time() - start if get_worker_info() else 0.0

    def _example(self, step: int, number: int) -> Example:
        rng = example_rng(self._seed, step, number)
        patch = self._source.draw(rng, self._side, self._objective.margin)
        patch = patch.turned(int(rng.integers(ORIENTATIONS)))
        return self._objective.example(patch, rng)


def load(
    batches: Batches, steps: range, workers: int, *, pin: bool = False
) -> Iterator[tuple[Example, float]]:
    """Give the batches of some steps in order.

    Parameters
    ----------
    batches, steps
        Which.
    workers
        Processes that make them ahead of time; with 0 they are made when asked for.
    pin
        Whether they are on their way to a CUDA device.
    """
    return iter(
        DataLoader(
            batches,
            batch_size=None,
            sampler=steps,
            num_workers=workers,
            pin_memory=pin,
            worker_init_fn=_ignore_interruption,
        )
    )


def _ignore_interruption(worker: int) -> None:
    # Ctrl-C reaches all processes; the one that trains still wants its batches to finish the step.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
