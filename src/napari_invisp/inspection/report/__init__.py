"""One-page reports that show what a JPEG kept of a RAW, as HTML or PDF."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from napari_invisp.files import known_suffix, write_bytes_atomic
from napari_invisp.inspection.report.as_html import to_html
from napari_invisp.inspection.report.as_pdf import to_pdf
from napari_invisp.inspection.report.contents import Contents, ReportData

__all__ = ["FORMATS", "ReportData", "report_format", "write_report"]

#: Suffixes that a report's name may end in.
FORMATS = (".html", ".pdf")

_WRITERS: dict[str, Callable[[Contents], bytes]] = {".html": to_html, ".pdf": to_pdf}


def report_format(path: Path) -> str:
    """Return the suffix that says how a report is to be written: ``.html`` or ``.pdf``.

    Raises
    ------
    OutputError
        It is neither.
    """
    return known_suffix(path, FORMATS, "report", between=" or ")


def write_report(path: Path, data: ReportData) -> Contents:
    """Write a report as the suffix says, and return what stands in it.

    Raises
    ------
    OutputError
        The suffix is none of :data:`FORMATS`, or the file cannot be written.
    RawFileError
        The two RAW frames differ in size or CFA pattern.
    """
    write = _WRITERS[report_format(path)]
    contents = Contents.of(data)
    write_bytes_atomic(path, write(contents))
    return contents
