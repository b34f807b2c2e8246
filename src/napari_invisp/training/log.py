"""What a run writes down as it goes: a CSV file, and TensorBoard's if asked for."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from napari_invisp.errors import SettingsError
from napari_invisp.files import write_bytes_atomic


class Log:
    """A CSV file with a line for some of the steps, its first column ``step``.

    Parameters
    ----------
    path
        The file. What it has beyond ``step`` is cut off, as if it had never been written.
    step
        Where the run stands.
    tensorboard
        Folder for TensorBoard's files, or none.

    Raises
    ------
    SettingsError
        TensorBoard is asked for and not installed.
    """

    def __init__(self, path: Path, step: int, tensorboard: Path | None = None) -> None:
        self._board = None if tensorboard is None else _board(tensorboard, step)
        kept = [line for line in read_log(path) if int(line["step"]) <= step]
        text = io.StringIO()
        if kept:
            writer = csv.DictWriter(text, list(kept[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(kept)
        write_bytes_atomic(path, text.getvalue().encode())
        self._begun = bool(kept)
        self._file = path.open("a", encoding="utf-8", newline="")

    def write(self, step: int, values: Mapping[str, float | None]) -> None:
        """Write a line, for others to read at once.

        Parameters
        ----------
        step
            Larger than that of the line before.
        values
            By column, the same columns each time; what is not known is ``None``.
        """
        line = {"step": step, **values}
        writer = csv.DictWriter(self._file, list(line), lineterminator="\n")
        if not self._begun:
            writer.writeheader()
            self._begun = True
        writer.writerow(line)
        self._file.flush()
        if self._board is not None:
            for name, value in values.items():
                if value is not None:
                    self._board.add_scalar(name, value, step)
            self._board.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()
        if self._board is not None:
            self._board.close()


def read_log(path: Path) -> list[dict[str, str]]:
    """Return the lines of a log, column by column; a line that was cut short is left out."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return list(csv.DictReader(line for line in lines if line.endswith("\n")))


def _board(folder: Path, step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise SettingsError(
            "--tensorboard needs the package tensorboard: "
            'install it with pip install "napari-invisp[tensorboard]"'
        ) from error
    return SummaryWriter(str(folder), purge_step=step + 1)
