"""Tables of figures as CSV, JSON and Markdown."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from napari_invisp.errors import OutputError
from napari_invisp.evaluation import SETTINGS, Row, means
from napari_invisp.files import write_bytes_atomic
from napari_invisp.strictjson import dumps


def table_format(path: Path) -> str:
    """Return the suffix that says how a table is to be written: ``.csv``, ``.json`` or ``.md``.

    Raises
    ------
    OutputError
        It is none of these.
    """
    suffix = path.suffix.lower()
    if suffix not in _FORMATS:
        raise OutputError(
            f"{path} does not say what kind of table to write: let its name end in "
            f"{', '.join(_FORMATS)}"
        )
    return suffix


def write_table(path: Path, rows: Sequence[Row]) -> None:
    """Write rows and their means as CSV, JSON or Markdown, as the suffix says, atomically.

    JSON holds the full figures, ``null`` for what is infinite or unknown. CSV and Markdown are
    rounded; a mean is a row there whose file is called "mean". Markdown states above the table
    which settings all rows share.

    Raises
    ------
    OutputError
        The suffix is none of these, or the file cannot be written.
    """
    text = _FORMATS[table_format(path)](rows)
    write_bytes_atomic(path, text.encode())


def table_values(rows: Sequence[Row]) -> dict[str, Any]:
    """Return rows and means as dictionaries."""
    return {"rows": [asdict(row) for row in rows], "means": [asdict(mean) for mean in means(rows)]}


def _json(rows: Sequence[Row]) -> str:
    return dumps(table_values(rows)) + "\n"


# Title in Markdown, and format, of each column.
_COLUMNS = {
    "file": ("file", "{}"),
    "camera": ("camera", "{}"),
    "model": ("model", "{}"),
    "quality": ("quality", "{}"),
    "subsampling": ("subsampling", "{}"),
    "headroom": ("headroom", "{:g}"),
    "width": ("width", "{}"),
    "height": ("height", "{}"),
    "rgb_psnr": ("RGB PSNR", "{:.2f}"),
    "rgb_ssim": ("RGB SSIM", "{:.4f}"),
    "rgb_psnr_jpeg": ("RGB PSNR after JPEG", "{:.2f}"),
    "raw_psnr": ("RAW PSNR", "{:.2f}"),
    "raw_psnr_linear": ("RAW PSNR linear", "{:.2f}"),
    "bpp": ("bpp", "{:.2f}"),
    "compression_ratio": ("ratio", "{:.2f}"),
    "seconds_render": ("render, s", "{:.2f}"),
    "seconds_recover": ("recover, s", "{:.2f}"),
    "peak_memory_mb": ("memory, MiB", "{:.0f}"),
}
_TEXT = ("file", "camera", "model", "subsampling")


def _cells(rows: Sequence[Row], columns: Sequence[str]) -> Iterator[list[str]]:
    """Give the rounded rows, then the means."""
    averages = [{"file": "mean", **asdict(mean)} for mean in means(rows)]
    for values in (*map(asdict, rows), *averages):
        yield [
            "" if values.get(name) is None else _COLUMNS[name][1].format(values[name])
            for name in columns
        ]


def _csv(rows: Sequence[Row]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(_COLUMNS)
    writer.writerows(_cells(rows, list(_COLUMNS)))
    return stream.getvalue()


def _markdown(rows: Sequence[Row]) -> str:
    shared = {
        name: getattr(rows[0], name)
        for name in SETTINGS
        if rows and len({getattr(row, name) for row in rows}) == 1
    }
    columns = [name for name in _COLUMNS if name not in shared]
    heads = [_COLUMNS[name][0] for name in columns]
    rules = ["---" if name in _TEXT else "---:" for name in columns]
    lines = [heads, rules, *_cells(rows, columns)]
    table = "".join(f"| {' | '.join(_escaped(cell) for cell in line)} |\n" for line in lines)
    note = ", ".join(f"{name} {_COLUMNS[name][1].format(value)}" for name, value in shared.items())
    return (f"All rows: {note}.\n\n" if note else "") + table


def _escaped(cell: str) -> str:
    return cell.replace("|", r"\|")


_FORMATS: dict[str, Callable[[Sequence[Row]], str]] = {
    ".csv": _csv,
    ".json": _json,
    ".md": _markdown,
}
