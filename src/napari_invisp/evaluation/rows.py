"""The rows of a table, and their means over files."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from statistics import fmean
from typing import Any, ClassVar

from napari_invisp.errors import InvispError

#: What distinguishes the renderings of one file, in tables that have it.
SETTINGS = ("protocol", "model", "quality", "subsampling", "headroom")


@dataclass(frozen=True)
class TableMean:
    """Means over the files of one model and kind of JPEG; those of PSNRs are means of dB."""

    model: str
    quality: int
    subsampling: str
    headroom: float
    files: int


@dataclass(frozen=True)
class TableRow:
    """One file, rendered by one model, kept as one kind of JPEG, and recovered.

    Attributes
    ----------
    file, camera
        Name of the RAW file, and what took it.
    model, quality, subsampling, headroom
        How it was rendered; ``model`` is a file name where the weights are from a file.
    width, height
        In pixels.
    """

    mean_type: ClassVar[type[TableMean]] = TableMean

    file: str
    camera: str
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

    mean_type: ClassVar[type[TableMean]] = Mean

    peak_memory_mb: float | None
    lossy_dng_raw_psnr: float | None = None


def means(rows: Iterable[TableRow]) -> list[TableMean]:
    """Average over files, for each combination of model, quality, subsampling and headroom.

    Combinations come in the order in which they first occur. What is unknown of one file has no
    mean.
    """
    groups: dict[tuple[Any, ...], list[TableRow]] = {}
    for row in rows:
        groups.setdefault(tuple(getattr(row, name, None) for name in SETTINGS), []).append(row)
    return [_mean(group) for group in groups.values()]


def _mean(group: list[TableRow]) -> TableMean:
    first = group[0]
    values: dict[str, Any] = {"files": len(group)}
    for name in (each.name for each in fields(first.mean_type) if each.name != "files"):
        figures = [getattr(row, name) for row in group]
        if name in SETTINGS:
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
    optional = {"peak_memory_mb", "lossy_dng_raw_psnr"}

    def finite_or_not(values: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: math.inf if value is None and name not in optional else value
            for name, value in values.items()
        }

    try:
        return [Row(**finite_or_not(values)) for values in table["rows"]]
    except (KeyError, TypeError, AttributeError) as error:
        raise InvispError(f"this is no table of full frames: {error}") from error
