"""How well recovered RAW serves: results of operations against those from the original RAW.

The paper shows pictures of retouching and HDR from recovered RAW (sections 6.2 and 6.3); these are
figures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import ClassVar

from napari_invisp.applications.brackets import merged_pictures
from napari_invisp.applications.comparing import (
    ORIGINAL,
    PLAIN,
    PLAIN_CODES,
    RECOVERED,
    Codes,
    Differences,
    differences,
    light_of,
    worked_on_codes,
)
from napari_invisp.applications.operations import OPERATIONS, Light, Operation
from napari_invisp.evaluation.rows import FileMean, FileRow
from napari_invisp.hdr.merging import merge
from napari_invisp.jpeg.codec import decode_jpeg
from napari_invisp.linear import codes_from_linear
from napari_invisp.pipeline import Pipeline, Rendering
from napari_invisp.sensor.libraw import Step
from napari_invisp.sensor.reading import read_raw
from napari_invisp.sensor.record import RawRecord
from napari_invisp.settings import ArchiveSettings, RenderSettings
from napari_invisp.tiling import CancelCheck, Progress, Watcher


@dataclass(frozen=True)
class ApplicationMean(Differences, FileMean):
    """Means of :class:`ApplicationRow`; those of PSNRs are means of dB."""

    operation: str
    source: str
    quality: int
    side_info: int | None
    files: int


@dataclass(frozen=True)
class ApplicationRow(Differences, FileRow):
    """One operation on one source of a file, against the same on the original RAW.

    Attributes
    ----------
    operation
        Its name.
    source
        One of :data:`~napari_invisp.applications.comparing.SOURCES` but the first.
    quality
        Of the JPEG.
    side_info
        Bytes of side information that the JPEG was asked to carry; ``None`` for what does not use
        it.
    width, height
        In pixels.
    """

    mean_type: ClassVar[type[FileMean]] = ApplicationMean
    settings: ClassVar[tuple[str, ...]] = ("operation", "source", "quality", "side_info")
    unknown: ClassVar[tuple[str, ...]] = ("side_info",)

    operation: str
    source: str
    quality: int
    side_info: int | None
    width: int
    height: int


# Develops for some treatment of highlights, see :class:`Operation`, and tells of progress.
_Development = Callable[[str, Step], Light]


@dataclass(frozen=True, eq=False)
class _Source:
    """What comes of JPEGs: light, or codes to work on as they are."""

    name: str
    quality: int
    side_info: int | None
    develop: _Development
    codes: Codes | None = None


class Applications:
    """Compares what becomes of original RAW, recovered RAW and plain JPEG.

    Parameters
    ----------
    settings
        How JPEGs are rendered, but for their quality.
    qualities, side_infos
        Of the JPEGs, and bytes of side information that they carry; all are combined.
    operations
        What is done.
    middle
        Side of the square in the middle of each file that is worked on; all of it by default.
    progress, cancelled, notify
        As for :class:`~napari_invisp.pipeline.Pipeline`.

    Raises
    ------
    SettingsError, CheckpointError
        One of the values cannot be used; found before any file is touched.
    """

    def __init__(
        self,
        settings: RenderSettings,
        qualities: Sequence[int],
        side_infos: Sequence[int] = (0,),
        operations: Sequence[Operation] = OPERATIONS,
        *,
        middle: int | None = None,
        progress: Progress | None = None,
        cancelled: CancelCheck | None = None,
        notify: Callable[[str], None] | None = None,
    ) -> None:
        for quality in qualities:
            RenderSettings(quality=quality)  # raises if out of range
        for size in side_infos:
            ArchiveSettings(side_info=size)
        self._qualities, self._side_infos = list(qualities), list(side_infos)
        self._operations, self._middle = list(operations), middle
        self._notify = notify or (lambda sentence: None)
        self._watcher = Watcher(progress, cancelled)
        self._pipeline = Pipeline(settings, progress=progress, cancelled=cancelled, notify=notify)
        self._pipeline.load()

    def rows(self, path: Path) -> Iterator[ApplicationRow]:
        """Work on one file.

        Yields
        ------
        ApplicationRow
            Operations in their order, and for each its sources.

        Raises
        ------
        RawFileError
            The file cannot be used.
        Cancelled
            The caller asked to stop.
        """
        record = self._read(path)
        sources = self._sources(
            [record],
            [path],
            lambda records: partial(light_of, records[0]),
            lambda pictures: partial(light_of, pictures[0]),
        )
        yield from self._rows(path.name, record, partial(light_of, record), sources)

    def bracket_rows(self, paths: Sequence[Path]) -> Iterator[ApplicationRow]:
        """Merge the files of a bracket, and work on what comes out; as for :meth:`rows`.

        Highlights that all frames lost are reconstructed, whatever the operation.

        Raises
        ------
        RawFileError
            The files are no bracket, or one cannot be used.
        Cancelled
            The caller asked to stop.
        """
        records = [self._read(path) for path in paths]
        merged = merge(records, step=partial(self._watcher.step, "merging"))
        for note in merged.notes:
            self._notify(note)
        sources = self._sources(
            records,
            paths,
            lambda records: lambda _, step: merge(records, step=step).linear,
            lambda pictures: lambda _, step: merged_pictures(pictures, merged),
        )
        name = " + ".join(path.name for path in paths)
        yield from self._rows(name, records[0], lambda _, step: merged.linear, sources)

    def _read(self, path: Path) -> RawRecord:
        record = read_raw(path)
        return record if self._middle is None else record.middle(self._middle)

    def _sources(
        self,
        records: Sequence[RawRecord],
        paths: Sequence[Path],
        of_records: Callable[[Sequence[RawRecord]], _Development],
        of_pictures: Callable[[Sequence[Codes]], _Development],
    ) -> Iterator[_Source]:
        renderings = [self._pipeline.render(record) for record in records]
        for quality in self._qualities:
            jpegs: list[bytes] = []
            for size in self._side_infos:
                archive = ArchiveSettings(side_info=size)
                jpegs = [self._pipeline.encode(each, quality, None, archive) for each in renderings]
                recovered = [
                    self._recovered(*each) for each in zip(renderings, jpegs, paths, strict=True)
                ]
                yield _Source(RECOVERED, quality, size, of_records(recovered))
            # With side information or without, a JPEG's pixels are the same.
            pictures = [decode_jpeg(jpeg).rgb for jpeg in jpegs]
            yield _Source(PLAIN, quality, None, of_pictures(pictures))
            if len(pictures) == 1:
                yield _Source(PLAIN_CODES, quality, None, of_pictures(pictures), pictures[0])

    def _recovered(self, rendering: Rendering, jpeg: bytes, path: Path) -> RawRecord:
        given = self._pipeline.settings.model if rendering.model.checkpoint else None
        return self._pipeline.recover(jpeg, path.name, given).record

    def _rows(
        self, file: str, record: RawRecord, original: _Development, sources: Iterable[_Source]
    ) -> Iterator[ApplicationRow]:
        """Compare all sources with the original, operation by operation."""
        references = {
            operation.name: result for operation, result in self._results(ORIGINAL, original)
        }
        rows: list[ApplicationRow] = []
        for source in sources:
            results = (
                self._results(source.name, source.develop)
                if source.codes is None
                else self._results_on_codes(source.codes)
            )
            for operation, result in results:
                self._watcher.step(f"comparing: {operation.name}, {source.name}", 0, 1)
                row = ApplicationRow(
                    file=file,
                    camera=record.camera,
                    operation=operation.name,
                    source=source.name,
                    quality=source.quality,
                    side_info=source.side_info,
                    width=record.width,
                    height=record.height,
                    **asdict(differences(references[operation.name], result)),
                )
                rows.append(row)
        order = list(references)
        yield from sorted(rows, key=lambda row: order.index(row.operation))

    def _results(self, source: str, develop: _Development) -> Iterator[tuple[Operation, Codes]]:
        """Do all operations, and show what comes out in 8 bits."""
        for highlights, group in groupby(self._operations, lambda each: each.highlights):
            light = develop(highlights, partial(self._watcher.step, f"developing: {source}"))
            for operation in group:
                step = partial(self._watcher.step, f"{operation.name}: {source}")
                yield operation, codes_from_linear(operation.act(light, step))

    def _results_on_codes(self, picture: Codes) -> Iterator[tuple[Operation, Codes]]:
        """Do what can be done without light."""
        for operation in self._operations:
            if operation.on_codes is not None:
                self._watcher.step(f"{operation.name}: {PLAIN_CODES}", 0, 1)
                yield operation, worked_on_codes(picture, operation.on_codes)
