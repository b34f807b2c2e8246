"""What keeps a RAW: a JPEG and what that carries; and what other ways would take. Free of Qt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from napari_invisp.evaluation.compression import Compression, CompressionRow
from napari_invisp.files import write_bytes_atomic
from napari_invisp.inspection.rate import Line
from napari_invisp.metrics import raw_psnr
from napari_invisp.pipeline import Rendering
from napari_invisp.sensor.libraw import read_file
from napari_invisp.sensor.original import Original
from napari_invisp.sensor.record import RawRecord
from napari_invisp.settings import ArchiveSettings, RenderSettings
from napari_invisp.tiling import Watcher
from napari_invisp.viewer.work.bench import Callbacks, pipeline_of, size_of
from napari_invisp.zoo import checkpoint_of

#: Qualities of the JPEGs that are compared, besides one that the user asks for.
QUALITIES = (75, 90, 95)


@dataclass(frozen=True, eq=False)
class Subject:
    """A RAW that is to be kept, and what is known of it.

    Attributes
    ----------
    record
        The RAW.
    rendering
        What was rendered of it before, if that can be used.
    tags
        Of the file that it began with, if they are known.
    file
        Otherwise that file, if it is there.
    """

    record: RawRecord
    rendering: Rendering | None = None
    tags: Original | None = None
    file: Path | None = None

    def original(self) -> Original | None:
        """Return the tags of the file that it began with.

        Raises
        ------
        RawFileError
            The file cannot be read.
        """
        if self.tags is None and self.file is not None:
            return Original.of(read_file(self.file))
        return self.tags


@dataclass(frozen=True)
class Saved:
    """A JPEG that was written, and what its RAW is worth.

    Attributes
    ----------
    path
        The file.
    size, bpp, compression_ratio
        Of the whole file: bytes, bits a pixel, and how many times larger the packed RAW is.
    raw_psnr
        dB, of the RAW that was recovered from its bytes; infinite if that is the original.
    identical
        Whether every sample came back.
    side_info
        Bytes of side information in it.
    exact, tags
        Whether it is an exact archive, and whether it holds the tags of the RAW's file.
    """

    path: Path
    size: int
    bpp: float
    compression_ratio: float
    raw_psnr: float
    identical: bool
    side_info: int
    exact: bool
    tags: bool


@dataclass
class Sizes:
    """What a RAW takes, kept in several ways.

    Attributes
    ----------
    line
        How its JPEGs are rendered.
    rows
        As far as they are known.
    """

    line: Line
    rows: list[CompressionRow] = field(default_factory=list)


def save_jpeg(
    path: Path,
    subject: Subject,
    settings: RenderSettings,
    archive: ArchiveSettings,
    report: Callbacks,
) -> Iterator[Saved]:
    """Write a RAW as a JPEG, after its RAW was recovered from the very bytes.

    Parameters
    ----------
    path
        The file to write or replace.
    subject
        The RAW.
    settings, archive
        How it is rendered and coded, and what it carries.
    report
        Where to report to.

    Raises
    ------
    InvispError
        Nothing was written, for the reason that it says.
    """
    watcher = Watcher(report.progress, report.cancelled)
    pipeline = pipeline_of(settings, report)
    record, rendering = subject.record, subject.rendering
    if rendering is None:
        rendering = pipeline.render(record)
    original = subject.original() if archive.exact else None
    jpeg = pipeline.encode(rendering, settings.quality, settings.subsampling, archive, original)
    weights = checkpoint_of(rendering.settings.model)
    recovery = pipeline.recover(jpeg, path.name, weights)
    watcher.step("measuring", 0, 1)
    psnr = raw_psnr(record, recovery.record)
    identical = np.array_equal(record.mosaic, recovery.record.mosaic)
    watcher.step("saving", 0, 1)
    write_bytes_atomic(path, jpeg)
    yield Saved(
        path,
        *size_of(len(jpeg), record),
        raw_psnr=psnr,
        identical=identical,
        side_info=recovery.side_info,
        exact=recovery.exact,
        tags=recovery.original not in (None, Original()),
    )


def compare_sizes(
    path: Path, settings: RenderSettings, qualities: Sequence[int], report: Callbacks
) -> Iterator[CompressionRow]:
    """Keep a RAW file in several ways, and measure each; nothing is written.

    Parameters
    ----------
    path
        The file.
    settings
        How JPEGs are rendered, but for their quality.
    qualities
        Of the JPEGs.
    report
        Where to report to.

    Yields
    ------
    CompressionRow
        As they are measured.
    """
    work = Compression(
        settings,
        qualities,
        progress=report.progress,
        cancelled=report.cancelled,
        notify=report.notify,
    )
    yield from work.rows(path)
