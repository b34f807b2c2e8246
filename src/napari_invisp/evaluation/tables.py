"""Tables of figures as CSV, JSON and Markdown."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from napari_invisp.evaluation.rows import FileRow, means
from napari_invisp.files import known_suffix, write_bytes_atomic
from napari_invisp.strictjson import dumps


def table_format(path: Path) -> str:
    """Return the suffix that says how a table is to be written: ``.csv``, ``.json`` or ``.md``.

    Raises
    ------
    OutputError
        It is none of these.
    """
    return known_suffix(path, _FORMATS, "table")


def write_table(
    path: Path, rows: Sequence[FileRow], models: Mapping[str, Any] | None = None
) -> None:
    """Write rows and their means as CSV, JSON or Markdown, as the suffix says, atomically.

    JSON holds the full figures, ``null`` for what is infinite or unknown, and what ``models`` says.
    CSV and Markdown are rounded; a mean is a row there whose file is called "mean". Markdown states
    above the table which settings all rows share, and leaves out what is known of no row.

    Parameters
    ----------
    path
        The file to write.
    rows
        All of one kind.
    models
        Facts about each model by its name in the rows, as from
        :func:`~napari_invisp.evaluation.models.describe`.

    Raises
    ------
    OutputError
        The suffix is none of these, or the file cannot be written.
    """
    text = _FORMATS[table_format(path)](rows, models or {})
    write_bytes_atomic(path, text.encode())


def table_values(
    rows: Sequence[FileRow], models: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return facts about the models, rows and means as dictionaries."""
    return {
        "models": dict(models or {}),
        "rows": [asdict(row) for row in rows],
        "means": [asdict(mean) for mean in means(rows)],
    }


def _json(rows: Sequence[FileRow], models: Mapping[str, Any]) -> str:
    return dumps(table_values(rows, models)) + "\n"


# Title in Markdown, and format, of each column.
_COLUMNS = {
    "file": ("file", "{}"),
    "camera": ("camera", "{}"),
    "kind": ("kept as", "{}"),
    "setting": ("setting", "{}"),
    "operation": ("operation", "{}"),
    "source": ("from", "{}"),
    "protocol": ("protocol", "{}"),
    "model": ("model", "{}"),
    "quality": ("quality", "{}"),
    "subsampling": ("subsampling", "{}"),
    "side_info": ("side information, bytes", "{}"),
    "headroom": ("headroom", "{:g}"),
    "width": ("width", "{}"),
    "height": ("height", "{}"),
    "psnr": ("PSNR", "{:.2f}"),
    "ssim": ("SSIM", "{:.4f}"),
    "delta_e": ("ΔE2000", "{:.2f}"),
    "delta_e_95": ("ΔE2000, 95 %", "{:.2f}"),
    "rgb_psnr": ("RGB PSNR", "{:.2f}"),
    "rgb_ssim": ("RGB SSIM", "{:.4f}"),
    "rgb_psnr_jpeg": ("RGB PSNR after JPEG", "{:.2f}"),
    "bytes": ("bytes", "{:.0f}"),
    "raw_psnr": ("RAW PSNR", "{:.2f}"),
    "raw_psnr_linear": ("RAW PSNR linear", "{:.2f}"),
    "lossy_dng_raw_psnr": ("lossy DNG", "{:.2f}"),
    "bpp": ("bpp", "{:.2f}"),
    "compression_ratio": ("ratio", "{:.2f}"),
    "seconds_per_megapixel_render": ("render, s/MP", "{:.3f}"),
    "seconds_per_megapixel_recover": ("recover, s/MP", "{:.3f}"),
    "seconds": ("seconds", "{:.2f}"),
    "peak_memory_mb": ("memory, MiB", "{:.0f}"),
}
_TEXT = (
    *("file", "camera", "kind", "setting", "operation", "source"),
    *("protocol", "model", "subsampling"),
)


def _columns(rows: Sequence[FileRow]) -> list[str]:
    known = {each.name for row in rows[:1] for each in fields(row)}
    return [name for name in _COLUMNS if name in known]


def _cells(rows: Sequence[FileRow], columns: Sequence[str]) -> Iterator[list[str]]:
    """Give the rounded rows, then the means."""
    averages = [{"file": "mean", **asdict(mean)} for mean in means(rows)]
    for values in (*map(asdict, rows), *averages):
        yield [
            "" if values.get(name) is None else _COLUMNS[name][1].format(values[name])
            for name in columns
        ]


def _csv(rows: Sequence[FileRow], models: Mapping[str, Any]) -> str:
    return csv_table(rows)


def csv_table(rows: Sequence[FileRow], averaged: bool = True) -> str:
    """Return rows, rounded, and their means as CSV.

    Parameters
    ----------
    rows
        All of one kind.
    averaged
        Whether there are means, which say nothing new of a single file.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    columns = _columns(rows)
    writer.writerow(columns)
    cells = list(_cells(rows, columns))
    writer.writerows(cells if averaged else cells[: len(rows)])
    return stream.getvalue()


def _markdown(rows: Sequence[FileRow], models: Mapping[str, Any]) -> str:
    return markdown_table(rows)


def markdown_table(rows: Sequence[FileRow], without: Sequence[str] = ()) -> str:
    """Return rows and means as a Markdown table, below a line on what all rows share.

    Parameters
    ----------
    rows
        All of one kind.
    without
        Columns to leave out.
    """
    columns = [
        name
        for name in _columns(rows)
        if name not in without and any(getattr(row, name) is not None for row in rows)
    ]
    shared = {
        name: getattr(rows[0], name)
        for name in (rows[0].settings if rows else ())
        if name in columns and len({getattr(row, name) for row in rows}) == 1
    }
    columns = [name for name in columns if name not in shared]
    heads = [_COLUMNS[name][0] for name in columns]
    rules = ["---" if name in _TEXT else "---:" for name in columns]
    note = ", ".join(f"{name} {_COLUMNS[name][1].format(value)}" for name, value in shared.items())
    table = markdown_lines([heads, rules, *_cells(rows, columns)])
    return (f"All rows: {note}.\n\n" if note else "") + table


def markdown_lines(lines: Sequence[Sequence[str]]) -> str:
    """Return rows of cells as lines of a Markdown table."""
    escaped = ([cell.replace("|", r"\|") for cell in line] for line in lines)
    return "".join(f"| {' | '.join(cells)} |\n" for cells in escaped)


_FORMATS: dict[str, Callable[[Sequence[FileRow], Mapping[str, Any]], str]] = {
    ".csv": _csv,
    ".json": _json,
    ".md": _markdown,
}
