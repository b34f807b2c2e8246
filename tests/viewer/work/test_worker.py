from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch
from pytestqt.qtbot import QtBot

from napari_invisp.errors import Cancelled, SettingsError
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


def test_a_core_is_left_to_the_window(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    seen: list[int] = []

    def work(report: Report) -> Iterator[object]:
        seen.append(torch.get_num_threads())
        yield from ()
        raise Cancelled

    runner = Runner()
    try:
        with qtbot.waitSignal(runner.cancelled):
            runner.start(work)
        qtbot.waitUntil(idle)
        assert seen == [3]
        assert torch.get_num_threads() == 4
    finally:
        torch.set_num_threads(before)


def test_a_runner_may_be_dropped_during_its_run(qtbot: QtBot) -> None:
    runner = Runner()
    with qtbot.waitSignal(runner.progressed):
        runner.start(wait_to_be_cancelled)
    assert runner.abandon()
    del runner
    qtbot.waitUntil(idle)
