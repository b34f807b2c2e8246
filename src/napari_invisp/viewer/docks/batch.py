"""The dock that renders and recovers many files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import napari.viewer
from napari.utils.notifications import show_error, show_info
from qtpy.QtCore import QModelIndex
from qtpy.QtGui import QResizeEvent
from qtpy.QtWidgets import (
    QApplication,
    QBoxLayout,
    QFileDialog,
    QHBoxLayout,
    QProgressBar,
    QTableWidgetItem,
    QVBoxLayout,
)

from napari_invisp.batch import Job, State, Task, as_csv, perform
from napari_invisp.errors import InvispError
from napari_invisp.files import write_bytes_atomic
from napari_invisp.jpeg.codec import JPEG_SUFFIXES
from napari_invisp.sensor.reading import RAW_EXTENSIONS, is_raw_name
from napari_invisp.settings import BatchSettings
from napari_invisp.viewer.controls import Form, named
from napari_invisp.viewer.docks.base import Dock, button, button_row, label
from napari_invisp.viewer.docks.drops import Drops
from napari_invisp.viewer.docks.opening import dock
from napari_invisp.viewer.docks.tasks import TaskTable
from napari_invisp.viewer.failures import report_failure
from napari_invisp.viewer.files.readers import read_layers
from napari_invisp.viewer.layers import LayerData
from napari_invisp.viewer.preferences import default_archive, default_settings
from napari_invisp.viewer.work.worker import Report, Runner

_BESIDE = "beside each file"
# Where the table stands beside the settings rather than above them: from this width in pixels on.
_WIDE = 760


class BatchDock(Dock):
    """Works through a queue of files, one after the other.

    The rows of the table are all the memory it has. Files that are added in the middle of a run are
    worked on too; runs of other docks get their turn between two files.

    Parameters
    ----------
    napari_viewer
        Where results are opened; a :class:`napari.components.ViewerModel` will do for all but
        recovering.
    """

    menu_title = "Batch"
    area = "bottom"

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__(napari_viewer, "batch")
        self._runner, self._opener = Runner(), Runner(alone=False)
        # The row that is worked on, told by its first item, and what the run was started with.
        self._current: QTableWidgetItem | None = None
        self._settings = BatchSettings()
        #: Where results go; ``None`` is beside each file.
        self.folder: Path | None = None
        self._build()
        self._connect()
        self._refresh()

    # -- what others may call ------------------------------------------------------------------

    @property
    def running(self) -> bool:
        """Whether a file is being worked on."""
        return self._runner.running

    def tasks(self) -> list[Task]:
        """Return the rows of the table."""
        return self.table.tasks()

    def add(self, paths: Iterable[Path]) -> None:
        """Add files; those that are neither RAW nor JPEG, or there already, are left out."""
        known = {task.source for task in self.tasks() if task.state is not State.DONE}
        for path in paths:
            if path in known:
                continue
            try:
                task = Task.of(path)
            except InvispError as error:
                show_error(str(error))
                continue
            known.add(path)
            self.table.append(task)
        self._refresh()

    def remove(self) -> None:
        """Take the selected files out, but not the one that is worked on."""
        self._drop(self.table.selected_rows())

    def clear(self) -> None:
        """Take all files out, but not the one that is worked on."""
        self._drop(set(range(self.table.rowCount())))

    def start(self) -> None:
        """Work on all files that are not done; if all are, on all of them once more."""
        if self.running:
            return
        tasks = self.tasks()
        again = all(task.state is State.DONE for task in tasks)
        for row, task in enumerate(tasks):
            if again or task.state is not State.DONE:
                self.table.put(self.table.first(row), Task(task.source, task.job))
        self._settings = self.form.settings()
        self._next()

    def cancel(self) -> None:
        """Stop within a tile; the file that is worked on is left out, later ones wait."""
        self._runner.cancel()

    def open_result(self, row: int) -> None:
        """Open what came of a file as layers: of a JPEG, the RAW that it holds too."""
        task = self.table.task(self.table.first(row))
        if task.target is None:
            if task.problem:
                show_error(task.problem)
        elif task.job is Job.RENDER:
            dock(self._viewer).recover_files([task.target])
        else:
            self._opener.start(partial(_opened, task.target))

    # -- parts ---------------------------------------------------------------------------------

    def _build(self) -> None:
        self.table = TaskTable()
        self.table.setMinimumHeight(120)
        self.add_button = button(
            "batch_add", "Add files…", self._ask_for_files, "add camera RAW and JPEG files; or drop"
        )
        self.remove_button = button(
            "batch_remove", "Remove", self.remove, "take the selected files out of the queue"
        )
        self.clear_button = button("batch_clear", "Clear", self.clear, "take all files out")
        self.csv_button = button(
            "batch_csv", "Save figures as CSV…", self._save_csv, "save the table with all figures"
        )
        preferred = BatchSettings(**asdict(default_settings()), **asdict(default_archive()))
        self.form = Form(BatchSettings, ("device", "tile"), preferred)
        named(self.form, "batch_settings")
        self.folder_button = button(
            "batch_folder", "Output folder…", self._ask_for_folder, "where results go"
        )
        self.folder_label = label("batch_folder_name", f"Results go {_BESIDE}")
        self.folder_label.setWordWrap(True)
        self.start_button = button(
            "batch_start",
            "Start",
            self.start,
            "work on all files that are not done; if all are, on all once more",
        )
        self.cancel_button = button("batch_cancel", "Cancel", self.cancel, "stop within a tile")
        self.stage = label("batch_stage", "")
        self.stage.setWordWrap(True)
        self.bar = QProgressBar()
        named(self.bar, "batch_progress", "files that are done, of those in the table")
        self.bar.setFormat("%v of %m")

        left, right = QVBoxLayout(), QVBoxLayout()
        left.addLayout(
            button_row(self.add_button, self.remove_button, self.clear_button, self.csv_button)
        )
        left.addWidget(self.table, 1)
        left.addLayout(button_row(self.start_button, self.cancel_button))
        state = QHBoxLayout()
        state.addWidget(self.stage, 1)
        state.addWidget(self.bar, 1)
        left.addLayout(state)
        right.addWidget(self.form)
        folder = QHBoxLayout()  # the label gets what the button leaves
        folder.addWidget(self.folder_button)
        folder.addWidget(self.folder_label)
        right.addLayout(folder)
        right.addStretch()
        self._halves = QBoxLayout(QBoxLayout.Direction.TopToBottom)
        self._halves.addLayout(left, 2)
        self._halves.addLayout(right, 1)
        self.contents.addLayout(self._halves)

    def _connect(self) -> None:
        runner = self._runner
        runner.progressed.connect(self._on_progressed)
        runner.produced.connect(self._on_ended)
        runner.failed.connect(self._on_failed)
        runner.finished.connect(self._next)
        runner.cancelled.connect(self._on_cancelled)
        self._opener.produced.connect(self._on_opened)
        self._opener.failed.connect(report_failure)
        self.table.doubleClicked.connect(self._on_double_clicked)
        self.table.itemSelectionChanged.connect(self._refresh)
        Drops(self, _is_wanted).dropped.connect(self.add)
        application = QApplication.instance()
        if application is not None:
            application.aboutToQuit.connect(runner.cancel)

    def detach(self) -> None:
        """Let go of the viewer and stop; the Qt side of this widget may be gone."""
        super().detach()
        self._runner.abandon()
        self._opener.abandon()

    def resizeEvent(self, event: QResizeEvent | None) -> None:  # noqa: N802 - Qt's name
        """Put table and settings side by side where there is room."""
        across, down = QBoxLayout.Direction.LeftToRight, QBoxLayout.Direction.TopToBottom
        self._halves.setDirection(across if self.width() >= _WIDE else down)
        super().resizeEvent(event)

    def _drop(self, rows: set[int]) -> None:
        for row in sorted(rows, reverse=True):
            if self.table.first(row) is not self._current:
                self.table.removeRow(row)
        self._refresh()

    # -- runs ----------------------------------------------------------------------------------

    def _next(self) -> None:
        """Begin with the first file that waits, if there is one."""
        tasks = self.tasks()
        waiting = next((n for n, task in enumerate(tasks) if task.state is State.WAITING), None)
        if waiting is None:
            failed = sum(task.state is State.FAILED for task in tasks)
            self._over(f"Done, but for {failed}: double-click to see why" if failed else "Done")
            return
        task = replace(tasks[waiting], state=State.RUNNING)
        self._current = self.table.first(waiting)
        self.table.put(self._current, task)
        self.table.scrollToItem(self._current)
        taken = {each.target for each in tasks if each.target is not None}
        self._runner.start(partial(_performed, task, self.folder, self._settings, taken))
        self.stage.setText(task.source.name)
        self._refresh()

    def _on_progressed(self, stage: str, done: int, total: int) -> None:
        if self._current is not None:
            text = f"{stage}: {done} of {total}" if total > 1 else stage
            self.table.say(self._current, text)

    def _on_ended(self, task: Task) -> None:
        if self._current is not None:
            self.table.put(self._current, task)

    def _on_failed(self, error: Exception) -> None:
        self._end(State.FAILED, f"{type(error).__name__}: {error}")
        report_failure(error)
        self._next()

    def _on_cancelled(self) -> None:
        self._end(State.CANCELLED)
        self._over("Cancelled")

    def _end(self, state: State, problem: str = "") -> None:
        if self._current is not None:
            task = self.table.task(self._current)
            self.table.put(self._current, replace(task, state=state, problem=problem))

    def _over(self, text: str) -> None:
        self._current = None
        self.stage.setText(text)
        self._refresh()

    # -- files ---------------------------------------------------------------------------------

    def _ask_for_files(self) -> None:
        patterns = " ".join(f"*{suffix}" for suffix in (*RAW_EXTENSIONS, *JPEG_SUFFIXES))
        filters = f"Camera RAW and JPEG files ({patterns} {patterns.upper()})"
        names, _ = QFileDialog.getOpenFileNames(self, "Add files", "", filters)
        self.add(map(Path, names))

    def _ask_for_folder(self) -> None:
        name = QFileDialog.getExistingDirectory(self, "Output folder", str(self.folder or ""))
        self.folder = Path(name) if name else None
        self.folder_label.setText(f"Results go {f'to {self.folder}' if self.folder else _BESIDE}")

    def _save_csv(self) -> None:
        folder = self.folder or Path.cwd()
        name, _ = QFileDialog.getSaveFileName(
            self, "Save figures", str(folder / "figures.csv"), "CSV files (*.csv)"
        )
        if not name:
            return
        path = Path(name) if Path(name).suffix else Path(name + ".csv")
        try:
            write_bytes_atomic(path, as_csv(self.tasks()).encode())
            show_info(f"saved {path}")
        except InvispError as error:
            show_error(str(error))

    def _on_double_clicked(self, index: QModelIndex) -> None:
        self.open_result(index.row())

    def _on_opened(self, layer: LayerData) -> None:
        data, arguments, _ = layer
        self._viewer.add_image(data, **arguments)

    # -- looks ---------------------------------------------------------------------------------

    def _refresh(self) -> None:
        tasks, running = self.tasks(), self.running
        self.start_button.setEnabled(bool(tasks) and not running)
        self.cancel_button.setEnabled(running)
        self.form.setEnabled(not running)
        self.folder_button.setEnabled(not running)
        self.remove_button.setEnabled(bool(self.table.selected_rows()))
        self.clear_button.setEnabled(bool(tasks))
        self.csv_button.setEnabled(any(task.state is State.DONE for task in tasks))
        ended = sum(task.state not in (State.WAITING, State.RUNNING) for task in tasks)
        self.bar.setTextVisible(bool(tasks))
        self.bar.setRange(0, max(1, len(tasks)))
        self.bar.setValue(ended)
        if not tasks:
            self.stage.setText("Add files, or drop them here.")


def _performed(
    task: Task, folder: Path | None, settings: BatchSettings, taken: set[Path], report: Report
) -> Iterator[Task]:
    yield perform(
        task, folder, settings, taken, progress=report.progress, cancelled=report.cancelled
    )


def _opened(path: Path, report: Report) -> Iterator[LayerData]:
    yield from read_layers(path)


def _is_wanted(path: Path) -> bool:
    return is_raw_name(path) or path.suffix.lower() in JPEG_SUFFIXES
