"""A progress bar on the terminal."""

from __future__ import annotations

import sys
from typing import Never, Self

from tqdm import tqdm


class ProgressBar:
    """Shows what is being done, on stderr if that is a terminal, and leaves nothing there.

    It is a progress callback for the pipeline, and a context manager.

    Attributes
    ----------
    subject
        What is being worked on, such as a file's name.
    """

    def __init__(self) -> None:
        self.subject = ""
        self._bar: tqdm[Never] | None = None
        self._stage = ""

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Show ``done`` of ``total`` steps of a stage."""
        bar = self._bar
        if bar is None or stage != self._stage:
            self.clear()
            self._stage = stage
            self._bar = bar = tqdm(
                total=total,
                desc=f"{self.subject}: {stage}" if self.subject else stage,
                bar_format="{desc} {percentage:3.0f}% |{bar:30}| {elapsed}",
                leave=False,
                file=sys.stderr,
                disable=None,  # unless it is a terminal
            )
        bar.update(done - bar.n)

    def clear(self) -> None:
        """Take the bar off the terminal, to print something there."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.clear()
