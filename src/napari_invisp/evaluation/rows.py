"""The rows of a table, and their means over files."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from statistics import fmean
from typing import Any, ClassVar, TypeVar

from napari_invisp.errors import InvispError

#: What distinguishes the renderings of one file, in tables that have it.
SETTINGS = ("protocol", "model", "quality", "subsampling", "headroom")


@dataclass(frozen=True)
class FileMean:
    """Means over the files of rows whose settings are the same.

    Has those settings, the number of ``files``, and the fields of the rows that are averaged.
    """


@dataclass(frozen=True)
class FileRow:
    """What one row of a table says about a file.

    Attributes
    ----------
    mean_type
        What the means of such rows are.
    settings
        Fields that distinguish the rows of one file.
    unknown
        Fields that may be ``None``, which says that they are not known or not there.
    file, camera
        Name of the RAW file, and what took it.
    """

    mean_type: ClassVar[type[FileMean]]
    settings: ClassVar[tuple[str, ...]]
    unknown: ClassVar[tuple[str, ...]] = ()

    file: str
    camera: str


_FileRow = TypeVar("_FileRow", bound=FileRow)


@dataclass(frozen=True)
class TableMean(FileMean):
    """Means over the files of one model and kind of JPEG; those of PSNRs are means of dB."""

    model: str
    quality: int
    subsampling: str
    headroom: float
    files: int


@dataclass(frozen=True)
class TableRow(FileRow):
    """One file, rendered by one model, kept as one kind of JPEG, and recovered.

    Attributes
    ----------
    model, quality, subsampling, headroom
        How it was rendered; ``model`` is a file name where the weights are from a file.
    width, height
        In pixels.
    """

    mean_type: ClassVar[type[FileMean]] = TableMean
    settings: ClassVar[tuple[str, ...]] = SETTINGS

    model: str
    quality: int
    subsampling: str
    headroom: float
    width: int
    height: int


@dataclass(frozen=True)
class _Figures:
    """What is averaged over full frames.

    Attributes
    ----------
    rgb_psnr, rgb_ssim, rgb_psnr_jpeg
        See :class:`~napari_invisp.evaluation.fidelity.RgbFidelity`.
    raw_psnr, raw_psnr_linear
        See :class:`~napari_invisp.metrics.RawFidelity`.
    bpp, compression_ratio
        Of the JPEG file (paper Eq. 11 and 10).
    seconds_per_megapixel_render, seconds_per_megapixel_recover
        RAW record → sRGB, and JPEG bytes → RAW record, for a million pixels.
    """

    rgb_psnr: float
    rgb_ssim: float
    rgb_psnr_jpeg: float
    raw_psnr: float
    raw_psnr_linear: float
    bpp: float
    compression_ratio: float
    seconds_per_megapixel_render: float
    seconds_per_megapixel_recover: float


@dataclass(frozen=True)
class Mean(_Figures, TableMean):
    """Means of :class:`Row`."""

    lossy_dng_raw_psnr: float | None


@dataclass(frozen=True)
class Row(_Figures, TableRow):
    """One full frame.

    Attributes
    ----------
    peak_memory_mb
        Most MiB of main memory that the whole process took during either, where the system tells.
    lossy_dng_raw_psnr
        ``raw_psnr`` of the yardstick at the bytes of this row's JPEG, if it was asked for: see
        :class:`~napari_invisp.evaluation.yardstick.LossyDng`.
    """

    mean_type: ClassVar[type[FileMean]] = Mean
    unknown: ClassVar[tuple[str, ...]] = ("peak_memory_mb", "lossy_dng_raw_psnr")

    peak_memory_mb: float | None
    lossy_dng_raw_psnr: float | None = None


def means(rows: Iterable[FileRow]) -> list[FileMean]:
    """Average over files, for each combination of settings.

    Combinations come in the order in which they first occur. What is unknown of one file has no
    mean.
    """
    groups: dict[tuple[Any, ...], list[FileRow]] = {}
    for row in rows:
        key = tuple(getattr(row, name, None) for name in row.settings)
        groups.setdefault(key, []).append(row)
    return [_mean(group) for group in groups.values()]


def _mean(group: list[FileRow]) -> FileMean:
    first = group[0]
    values: dict[str, Any] = {"files": len(group)}
    for name in (each.name for each in fields(first.mean_type) if each.name != "files"):
        figures = [getattr(row, name) for row in group]
        if name in first.settings:
            values[name] = figures[0]
        else:
            values[name] = None if None in figures else fmean(figures)
    return first.mean_type(**values)


def rows_from(table: Mapping[str, Any]) -> list[Row]:
    """Take rows of full frames back from what a table's JSON holds; null figures are infinite.

    Raises
    ------
    InvispError
        It is no such table.
    """
    return read_rows(table, Row, "table of full frames")


def read_rows(table: Mapping[str, Any], row: type[_FileRow], kind: str) -> list[_FileRow]:
    """Take rows of some type back from what a table's JSON holds; null figures are infinite.

    Raises
    ------
    InvispError
        It is no such table, ``kind`` in the message.
    """

    def finite_or_not(values: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: math.inf if value is None and name not in row.unknown else value
            for name, value in values.items()
        }

    try:
        return [row(**finite_or_not(values)) for values in table["rows"]]
    except (KeyError, TypeError, AttributeError) as error:
        raise InvispError(f"this is no {kind}: {error}") from error
