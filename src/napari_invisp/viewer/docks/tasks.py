"""The table of a queue: a row a file."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem

from napari_invisp.batch import Task, figure
from napari_invisp.viewer.controls import named

# Title of each column, and what it says; the later ones show facts of the task.
_COLUMNS = {
    "file": ("File", "what to work on"),
    "job": ("Job", "camera RAW files are rendered to JPEG, JPEG files recovered to DNG"),
    "state": ("State", "how far it is; a tooltip tells what went wrong"),
    "jpeg_bytes": ("JPEG bytes", "size of the JPEG file, with all that is needed to recover"),
    "bpp": ("bpp", "bits of the JPEG file for each pixel"),
    "compression_ratio": ("Ratio", "how many times larger the packed RAW samples are"),
    "carries": ("Carries", "what the JPEG holds besides, to bring back more of the RAW"),
    "raw_psnr": ("RAW PSNR", "dB between recovered and original RAW, if it is measured"),
    "seconds": ("Seconds", "from reading the file to the result on disk"),
}
_STATE = list(_COLUMNS).index("state")
_TASK = Qt.ItemDataRole.UserRole
_NUMBER = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter


class TaskTable(QTableWidget):
    """Shows tasks and remembers them. Rows come and go, so a row is told by its first item."""

    def __init__(self) -> None:
        super().__init__(0, len(_COLUMNS))
        named(self, "batch_table", "double-click a row to open its result as layers")
        for column, (title, help_text) in enumerate(_COLUMNS.values()):
            head = QTableWidgetItem(title)
            head.setToolTip(help_text)
            self.setHorizontalHeaderItem(column, head)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        across, down = self.horizontalHeader(), self.verticalHeader()
        if across is not None and down is not None:
            across.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
            down.hide()

    def tasks(self) -> list[Task]:
        """Return the tasks, a row each."""
        return [self.task(self.first(row)) for row in range(self.rowCount())]

    def task(self, first: QTableWidgetItem) -> Task:
        """Return the task of a row."""
        task: Task = first.data(_TASK)
        return task

    def first(self, row: int) -> QTableWidgetItem:
        """Return the first item of a row."""
        return self._cell(row, 0)

    def append(self, task: Task) -> None:
        """Add a row."""
        row = self.rowCount()
        self.insertRow(row)
        for column, name in enumerate(_COLUMNS):
            cell = QTableWidgetItem()
            if name not in ("file", "job", "state"):
                cell.setTextAlignment(_NUMBER)
            self.setItem(row, column, cell)
        self.put(self.first(row), task)

    def put(self, first: QTableWidgetItem, task: Task) -> None:
        """Show a task in a row."""
        first.setData(_TASK, task)
        texts = {
            "file": task.source.name,
            "job": str(task.job),
            "state": str(task.state),
            "carries": _carries(task),
            "raw_psnr": figure(task, "raw_psnr").replace("inf", "infinite"),
        }
        told = task.problem or "\n".join(task.facts.get("warnings", ()))
        tips = {"file": str(task.source), "job": str(task.target or ""), "state": told}
        for column, name in enumerate(_COLUMNS):
            cell = self._cell(first.row(), column)
            cell.setText(texts[name] if name in texts else figure(task, name))
            cell.setToolTip(tips.get(name, ""))

    def say(self, first: QTableWidgetItem, text: str) -> None:
        """Show in a row how far the work on it is."""
        self._cell(first.row(), _STATE).setText(text)

    def selected_rows(self) -> set[int]:
        """Return the rows that are selected."""
        return {index.row() for index in self.selectedIndexes()}

    def _cell(self, row: int, column: int) -> QTableWidgetItem:
        cell = self.item(row, column)
        if cell is None:
            raise IndexError(f"the table has no row {row}")
        return cell


def _carries(task: Task) -> str:
    if task.facts.get("exact"):
        return "exact archive"
    size = task.facts.get("side_info")
    return f"{size:,} bytes" if size else ""
