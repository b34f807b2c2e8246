"""Long work beside the window: one thread a run, one run at a time, cancelled at once."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, ClassVar

import torch
from qtpy.QtCore import QObject, Qt, Signal  # type: ignore[attr-defined]

from napari_invisp.errors import Cancelled
from napari_invisp.tiling import Focus, Part

#: What the threads are called.
THREAD_NAME = "napari-invisp run"

# Of threads that run models: of what is left, the window gets ten times as much.
_NICENESS, _LOWEST = 10, 19

# How long the window waits at most for the interpreter, which it does often while it draws.
_SWITCH_S = 0.0005

# How long work waits for a window to show what it handed over, at most.
_PATIENCE_S = 2.0

# Runs of models in all windows take turns: a cancelled one may be busy with its last tile.
_turn = threading.Lock()


class Report:
    """What work is given to report to whoever started it; may be used from any thread."""

    def __init__(
        self, send: Callable[[Report, str, tuple[Any, ...]], None], focus: Focus | None = None
    ) -> None:
        self._send = send
        self._focus = focus
        self._stop = threading.Event()
        self._caught_up = threading.Event()

    def progress(self, stage: str, done: int, total: int) -> None:
        """Say how far the work is; a :data:`~napari_invisp.tiling.Progress`."""
        self._send(self, "progressed", (stage, done, total))

    def notify(self, sentence: str) -> None:
        """Say something that the user should read."""
        self._send(self, "noticed", (sentence,))

    def focus(self) -> Part | None:
        """Tell what the user looks at; a :data:`~napari_invisp.tiling.Focus`."""
        return self._focus() if self._focus is not None else None

    def cancelled(self) -> bool:
        """Tell whether to stop; a :data:`~napari_invisp.tiling.CancelCheck`."""
        return self._stop.is_set()

    def cancel(self) -> None:
        """Ask the work to stop."""
        self._stop.set()
        self.catch_up()

    def wait_for_window(self) -> None:
        """Wait until the last result is on the screen, where that takes more than a moment.

        To add layers takes much longer while threads compete for processor and interpreter.
        """
        if not self.cancelled():  # nobody takes results of a cancelled run
            self._caught_up.wait(_PATIENCE_S)

    def catch_up(self) -> None:
        """Say that the last result is on the screen."""
        self._caught_up.set()

    def run(self, work: Work, alone: bool) -> None:
        """Do the work, in this thread, and send what becomes of it."""
        ending: tuple[str, tuple[Any, ...]] = ("cancelled", ())
        try:
            with _in_turn() if alone else nullcontext():
                if not self.cancelled():
                    for result in work(self):
                        self._caught_up.clear()
                        self._send(self, "produced", (result,))
                    ending = ("finished", ())
        except Cancelled:
            pass
        except Exception as error:
            ending = ("failed", (error,))
        self._send(self, *ending)


#: Work gives its results one after the other.
Work = Callable[[Report], Iterator[Any]]


class Runner(QObject):
    """Runs work in threads; its signals are emitted in the thread that it was made in.

    Starting a run cancels the one before. Each run ends with one of ``finished``, ``failed`` and
    ``cancelled``, and nothing is heard of it after that, even if its thread takes until the end
    of a tile to stop.

    Parameters
    ----------
    alone
        Whether work waits until no other such work runs, as models should; quick work that has
        nothing to do with models need not.
    focus
        Tells what the user looks at; called from the threads.

    Attributes
    ----------
    progressed
        Stage, steps done, steps in all.
    noticed
        A sentence that the user should read.
    produced
        A result of the run.
    finished
        All is done.
    failed
        The exception that ended the run.
    cancelled
        The run was told to stop.
    """

    progressed = Signal(str, int, int)
    noticed = Signal(str)
    produced = Signal(object)
    failed = Signal(object)
    finished = Signal()
    cancelled = Signal()

    _sent = Signal(object, str, tuple)
    # Qt objects must not vanish in a thread that is not theirs, so each runner stays until its
    # threads have ended.
    _busy: ClassVar[dict[Report, Runner]] = {}

    def __init__(self, alone: bool = True, focus: Focus | None = None) -> None:
        super().__init__()
        self._alone = alone
        self._focus = focus
        self._current: Report | None = None
        self._sent.connect(self._deliver, Qt.ConnectionType.QueuedConnection)

    @property
    def running(self) -> bool:
        """Whether a run is going on that has not been cancelled."""
        return self._current is not None

    @property
    def busy(self) -> bool:
        """Whether a thread is at work, if only to the end of the tile that it was cancelled in."""
        return self in self._busy.values()

    def start(self, work: Work) -> None:
        """Cancel what is going on and run ``work`` in a thread."""
        self.cancel()
        report = self._current = Report(self._sent.emit, self._focus)
        self._busy[report] = self
        threading.Thread(target=report.run, args=(work, self._alone), name=THREAD_NAME).start()

    def catch_up(self) -> None:
        """Tell the run that the window has shown its last result."""
        if self._current is not None:
            self._current.catch_up()

    def cancel(self) -> None:
        """Stop the run that is going on, if any."""
        if self.abandon():
            self.cancelled.emit()

    def abandon(self) -> bool:
        """Stop the run that is going on without a signal, and tell whether there was one."""
        report, self._current = self._current, None
        if report is not None:
            report.cancel()
        return report is not None

    def _deliver(self, report: Report, signal: str, arguments: tuple[Any, ...]) -> None:
        over = signal in ("finished", "failed", "cancelled")
        if over:
            self._busy.pop(report)
        if report is self._current:
            if over:
                self._current = None
            getattr(self, signal).emit(*arguments)


@contextmanager
def _in_turn() -> Iterator[None]:
    """Wait until no other model runs, and let the window go first while this one does."""
    with _turn:
        threads, interval = torch.get_num_threads(), sys.getswitchinterval()
        sys.setswitchinterval(_SWITCH_S)
        if not _stepped_back():
            torch.set_num_threads(min(threads, max(1, (os.cpu_count() or 1) - 1)))
        try:
            yield
        finally:
            torch.set_num_threads(threads)
            sys.setswitchinterval(interval)


def _stepped_back() -> bool:
    """Give this thread, and those that it starts, a lower priority, where the system can.

    All cores can work then, and the window still has one whenever it needs it.
    """
    if sys.platform != "linux":  # elsewhere priorities belong to whole processes
        return False
    thread = threading.get_native_id()
    own = os.getpriority(os.PRIO_PROCESS, thread)
    os.setpriority(os.PRIO_PROCESS, thread, min(_LOWEST, own + _NICENESS))
    return True
