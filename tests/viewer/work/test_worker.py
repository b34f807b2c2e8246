from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator

import pytest
import torch
from pytestqt.qtbot import QtBot

from napari_invisp.errors import Cancelled, SettingsError
from napari_invisp.viewer.work import worker
from napari_invisp.viewer.work.worker import THREAD_NAME, Report, Runner


class Log:
    """What a runner says, in order."""

    def __init__(self, runner: Runner) -> None:
        self.lines: list[object] = []
        for name in ("progressed", "noticed", "produced", "failed", "finished", "cancelled"):
            getattr(runner, name).connect(self._writer(name))

    def _writer(self, name: str):
        def write(*arguments: object) -> None:
            assert threading.current_thread() is threading.main_thread()
            self.lines.append((name, *arguments))

        return write


def idle() -> bool:
    return not Runner._busy and all(t.name != THREAD_NAME for t in threading.enumerate())


def wait_to_be_cancelled(report: Report) -> Iterator[object]:
    report.progress("waiting", 0, 2)
    while not report.cancelled():
        threading.Event().wait(0.001)
    yield "too late"
    raise Cancelled


def test_cancelled_work_does_not_wait_for_the_window(
    qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It gives a result that nobody takes, so that nobody says that it is on the screen."""
    monkeypatch.setattr(worker, "_PATIENCE_S", 600.0)

    def work(report: Report) -> Iterator[object]:
        report.progress("waiting", 0, 1)
        while not report.cancelled():
            threading.Event().wait(0.001)
        yield "too late"
        report.wait_for_window()

    runner = Runner()
    with qtbot.waitSignal(runner.progressed):
        runner.start(work)
    runner.cancel()
    qtbot.waitUntil(idle)


def test_work_reports_from_its_own_thread_to_the_window(qtbot: QtBot) -> None:
    def work(report: Report) -> Iterator[object]:
        assert threading.current_thread().name == THREAD_NAME
        report.progress("counting", 1, 3)
        report.notify("a sentence")
        yield "first"
        yield "second"

    runner = Runner()
    log = Log(runner)
    with qtbot.waitSignal(runner.finished):
        runner.start(work)
        assert runner.running
    assert not runner.running
    assert log.lines == [
        ("progressed", "counting", 1, 3),
        ("noticed", "a sentence"),
        ("produced", "first"),
        ("produced", "second"),
        ("finished",),
    ]
    qtbot.waitUntil(idle)


def test_nothing_is_heard_of_a_cancelled_run(qtbot: QtBot) -> None:
    runner = Runner()
    log = Log(runner)
    with qtbot.waitSignal(runner.progressed):
        runner.start(wait_to_be_cancelled)
    runner.cancel()
    assert not runner.running
    qtbot.waitUntil(idle)
    assert log.lines == [("progressed", "waiting", 0, 2), ("cancelled",)]


def test_a_new_run_takes_the_place_of_the_old_one(qtbot: QtBot) -> None:
    runner = Runner()
    log = Log(runner)
    with qtbot.waitSignal(runner.progressed):
        runner.start(wait_to_be_cancelled)
    with qtbot.waitSignal(runner.finished):
        runner.start(lambda report: iter(["new"]))
    assert log.lines[1:] == [("cancelled",), ("produced", "new"), ("finished",)]
    qtbot.waitUntil(idle)


def test_errors_are_handed_over(qtbot: QtBot) -> None:
    error = SettingsError("no")

    def work(report: Report) -> Iterator[object]:
        yield 1
        raise error

    runner = Runner()
    log = Log(runner)
    with qtbot.waitSignal(runner.failed):
        runner.start(work)
    assert not runner.running
    assert log.lines == [("produced", 1), ("failed", error)]
    qtbot.waitUntil(idle)


class Seen:
    """What a run finds out about its own thread."""

    def __init__(self) -> None:
        self.threads = self.niceness = 0

    def work(self, report: Report) -> Iterator[object]:
        self.threads = torch.get_num_threads()
        if sys.platform == "linux":
            self.niceness = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
        yield from ()
        raise Cancelled


@pytest.fixture
def four_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


def run(qtbot: QtBot, runner: Runner) -> Seen:
    seen = Seen()
    with qtbot.waitSignal(runner.cancelled):
        runner.start(seen.work)
    qtbot.waitUntil(idle)
    return seen


@pytest.mark.skipif(sys.platform != "linux", reason="threads have no priorities here")
def test_the_window_goes_before_models(qtbot: QtBot, four_threads: None) -> None:
    own = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    interval = sys.getswitchinterval()
    seen = run(qtbot, Runner())
    assert (seen.threads, seen.niceness) == (4, min(19, own + 10))
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == own
    assert sys.getswitchinterval() == interval
    assert run(qtbot, Runner(alone=False)).niceness == own, "quick work does not wait"


def test_a_core_is_left_to_the_window_where_threads_have_no_priorities(
    qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, four_threads: None
) -> None:
    monkeypatch.setattr("napari_invisp.viewer.work.worker._stepped_back", lambda: False)
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    assert run(qtbot, Runner()).threads == 3
    assert torch.get_num_threads() == 4


def test_a_runner_may_be_dropped_during_its_run(qtbot: QtBot) -> None:
    runner = Runner()
    with qtbot.waitSignal(runner.progressed):
        runner.start(wait_to_be_cancelled)
    assert runner.abandon()
    del runner
    qtbot.waitUntil(idle)
