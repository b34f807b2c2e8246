"""What a piece of work takes."""

from __future__ import annotations

import time
from pathlib import Path


class Cost:
    """Measures the block that it is the context of.

    Attributes
    ----------
    seconds
        By the clock.
    peak
        Most MiB of main memory that the whole process took, where the system tells.
    """

    seconds: float
    peak: float | None = None

    def __enter__(self) -> Cost:
        try:
            # proc(5): 5 resets the peak of the resident set. Only Linux has it.
            Path("/proc/self/clear_refs").write_text("5")
            self._status: Path | None = Path("/proc/self/status")
        except OSError:
            self._status = None
        self._start = time.perf_counter()
        return self

    def __exit__(self, *exception: object) -> None:
        self.seconds = time.perf_counter() - self._start
        if self._status is not None:
            lines = self._status.read_text().splitlines()
            facts = dict(line.split(":", 1) for line in lines)
            if "VmHWM" in facts:
                self.peak = int(facts["VmHWM"].split()[0]) / 1024
