"""What a RAW takes in bytes, kept in different ways: the paper's Table 2 (section 6.1)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from napari_invisp.archive.planes import jpegxl_planes, mosaic_from_planes
from napari_invisp.evaluation.cost import Cost
from napari_invisp.evaluation.rows import FileMean, FileRow
from napari_invisp.evaluation.yardstick import LossyDng
from napari_invisp.metrics import bits_per_pixel, compression_ratio, raw_psnr
from napari_invisp.pipeline import Pipeline, Rendering
from napari_invisp.sensor.dng import encode_dng
from napari_invisp.sensor.libraw import opened, read_file
from napari_invisp.sensor.original import Original
from napari_invisp.sensor.reading import read_raw
from napari_invisp.sensor.record import RawRecord
from napari_invisp.settings import ArchiveSettings, RenderSettings
from napari_invisp.tiling import CancelCheck, Progress, Watcher

#: Bytes of side information that are tried.
SIDE_INFO = (4096, 16384, 65536)

_USUAL_QUALITY = RenderSettings().quality

# What the kinds call their rows.
CAMERA_FILE = "camera's own file"
LOSSLESS_DNG = "lossless DNG"
LOSSLESS_JPEGXL = "lossless JPEG XL of the CFA planes"
CAPSULE_JPEG = "JPEG with capsule"
SIDE_INFORMATION = "JPEG with side information"
EXACT = "JPEG as exact archive"
LOSSY_DNG = "lossy DNG"


@dataclass(frozen=True)
class _Sizes:
    """What is averaged over files.

    Attributes
    ----------
    bytes
        Size of the whole file, or files.
    bpp, compression_ratio
        Paper Eq. 11 and 10, ``b`` being the RAW's bit depth.
    raw_psnr
        In dB, as :func:`~napari_invisp.metrics.raw_psnr`; infinite where every sample was found to
        come back as it was.
    seconds
        From the RAW in memory to the finished bytes; ``None`` for the camera's own file.
    """

    bytes: float
    bpp: float
    compression_ratio: float
    raw_psnr: float
    seconds: float | None


@dataclass(frozen=True)
class CompressionMean(_Sizes, FileMean):
    """Means of :class:`CompressionRow`; those of PSNRs are means of dB."""

    kind: str
    setting: str
    files: int


@dataclass(frozen=True)
class CompressionRow(_Sizes, FileRow):
    """One file, kept in one way.

    Attributes
    ----------
    kind
        In which way; a :data:`Kind` may have several rows, and calls them what it likes.
    setting
        What it was asked for, the same for all files; empty where there is nothing to choose.
    quality
        JPEG quality that it was coded with, or ``None`` where it was not.
    width, height
        In pixels.
    """

    mean_type: ClassVar[type[FileMean]] = CompressionMean
    settings: ClassVar[tuple[str, ...]] = ("kind", "setting")
    unknown: ClassVar[tuple[str, ...]] = ("quality", "seconds")

    kind: str
    setting: str
    quality: int | None
    width: int
    height: int


class Subject:
    """A RAW file, and what several kinds make of it.

    Parameters
    ----------
    path, record
        The file, and what it holds.
    pipeline
        Renders and recovers it.
    qualities
        Of the JPEGs.
    step
        Called with what is being worked on, steps done and steps in all; may raise to stop.
    """

    def __init__(
        self,
        path: Path,
        record: RawRecord,
        pipeline: Pipeline,
        qualities: Sequence[int],
        step: Callable[[str, int, int], None],
    ) -> None:
        self.path, self.record, self.pipeline = path, record, pipeline
        self.qualities, self.step = tuple(qualities), step
        self._jpegs: dict[int, tuple[bytes, float]] = {}

    @cached_property
    def rendering(self) -> tuple[Rendering, float]:
        """The rendering, and the seconds that it took."""
        with Cost() as cost:
            rendering = self.pipeline.render(self.record)
        return rendering, cost.seconds

    def jpeg(self, quality: int) -> tuple[bytes, float]:
        """Return the JPEG with its capsule, and the seconds that it takes from the RAW on."""
        if quality not in self._jpegs:
            rendering, seconds = self.rendering
            with Cost() as cost:
                data = self.pipeline.encode(rendering, quality)
            self._jpegs[quality] = data, seconds + cost.seconds
        return self._jpegs[quality]

    def recovered(self, jpeg: bytes) -> RawRecord:
        """Recover the RAW from a JPEG of the rendering."""
        rendering, _ = self.rendering
        given = self.pipeline.settings.model if rendering.model.checkpoint else None
        return self.pipeline.recover(jpeg, self.path.name, given).record

    def row(
        self,
        kind: str,
        size: int,
        psnr: float,
        seconds: float | None,
        setting: str = "",
        quality: int | None = None,
    ) -> CompressionRow:
        """Make a row of a size in bytes; see :class:`CompressionRow` for the others."""
        record = self.record
        return CompressionRow(
            file=self.path.name,
            camera=record.camera,
            kind=kind,
            setting=setting,
            quality=quality,
            width=record.width,
            height=record.height,
            bytes=size,
            bpp=bits_per_pixel(size, record),
            compression_ratio=compression_ratio(size, record),
            raw_psnr=psnr,
            seconds=seconds,
        )

    def lossless_row(
        self, kind: str, size: int, decoded: NDArray[np.uint16], seconds: float
    ) -> CompressionRow:
        """Make a row of something that decodes to the same mosaic, after making sure of that."""
        if not np.array_equal(decoded, self.record.mosaic):
            raise RuntimeError(f"{kind} of {self.path.name} does not decode to what was encoded")
        return self.row(kind, size, math.inf, seconds)


#: Gives the rows of one way to keep a file.
Kind = Callable[[Subject], Iterator[CompressionRow]]


def camera_file(subject: Subject) -> Iterator[CompressionRow]:
    """Look at the file as it is."""
    yield subject.row(CAMERA_FILE, subject.path.stat().st_size, math.inf, None)


def lossless_dng(subject: Subject) -> Iterator[CompressionRow]:
    """Write our DNG with lossless JPEG tiles, and have LibRaw read it."""
    subject.step(LOSSLESS_DNG, 0, 1)
    with Cost() as cost:
        data = encode_dng(subject.record)
    with opened(data) as raw:
        yield subject.lossless_row(LOSSLESS_DNG, len(data), raw.raw_image_visible, cost.seconds)


def lossless_jpegxl(subject: Subject) -> Iterator[CompressionRow]:
    """Compress the four CFA planes; nothing is counted for metadata."""
    subject.step(LOSSLESS_JPEGXL, 0, 1)
    with Cost() as cost:
        planes = jpegxl_planes(subject.record.mosaic)
    decoded = mosaic_from_planes(planes)
    size = sum(map(len, planes))
    yield subject.lossless_row(LOSSLESS_JPEGXL, size, decoded, cost.seconds)


def capsule_jpeg(subject: Subject) -> Iterator[CompressionRow]:
    """Render to JPEG with a capsule, and recover, at each quality."""
    how = subject.pipeline.settings
    for quality in subject.qualities:
        data, seconds = subject.jpeg(quality)
        psnr = raw_psnr(subject.record, subject.recovered(data))
        setting = f"quality {quality}, {how.subsampling}, headroom {how.headroom:g}"
        yield subject.row(CAPSULE_JPEG, len(data), psnr, seconds, setting, quality)


def side_information(subject: Subject) -> Iterator[CompressionRow]:
    """Spend bytes on what recovery misses, at the quality that is nearest to the usual one."""
    quality = min(subject.qualities, key=lambda each: abs(each - _USUAL_QUALITY))
    rendering, seconds = subject.rendering
    for size in SIDE_INFO:
        with Cost() as cost:
            data = subject.pipeline.encode(
                rendering, quality, archive=ArchiveSettings(side_info=size)
            )
        psnr = raw_psnr(subject.record, subject.recovered(data))
        setting = f"quality {quality}, {size // 1024} KB"
        yield subject.row(
            SIDE_INFORMATION, len(data), psnr, seconds + cost.seconds, setting, quality
        )


def exact_archive(subject: Subject) -> Iterator[CompressionRow]:
    """Make JPEGs that also hold every sample and the tags of the file, and recover."""
    rendering, seconds = subject.rendering
    original = Original.of(read_file(subject.path))
    for quality in subject.qualities:
        with Cost() as cost:
            data = subject.pipeline.encode(
                rendering, quality, archive=ArchiveSettings(exact=True), original=original
            )
        mosaic = subject.recovered(data).mosaic
        row = subject.lossless_row(EXACT, len(data), mosaic, seconds + cost.seconds)
        yield replace(row, setting=f"quality {quality}", quality=quality)


def lossy_dng(subject: Subject) -> Iterator[CompressionRow]:
    """Write lossy DNG files of at least the bytes of each JPEG, so that ours is not flattered.

    The quality is the lowest whose file is as large as the JPEG or larger.
    """
    subject.step(LOSSY_DNG, 0, len(subject.qualities))
    lossy = LossyDng(subject.record)
    for done, quality in enumerate(subject.qualities, 1):
        data, _ = subject.jpeg(quality)
        reached = lossy.quality_reaching(len(data))
        with Cost() as cost:  # of one that nothing is remembered of
            written = LossyDng(subject.record).dng_at(reached)
        psnr = lossy.at_quality(reached).raw_psnr
        setting = f"bytes of quality {quality}"
        yield subject.row(LOSSY_DNG, len(written), psnr, cost.seconds, setting, reached)
        subject.step(LOSSY_DNG, done, len(subject.qualities))


#: All ways to keep a file, in the order of the table.
KINDS: tuple[Kind, ...] = (
    camera_file,
    lossless_dng,
    lossless_jpegxl,
    capsule_jpeg,
    side_information,
    exact_archive,
    lossy_dng,
)


class Compression:
    """Keeps files in several ways.

    Parameters
    ----------
    settings
        How JPEGs are rendered, but for their quality.
    qualities
        Of the JPEGs.
    kinds
        In which ways.
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
        kinds: Sequence[Kind] = KINDS,
        *,
        progress: Progress | None = None,
        cancelled: CancelCheck | None = None,
        notify: Callable[[str], None] | None = None,
    ) -> None:
        for quality in qualities:
            RenderSettings(quality=quality)  # raises if out of range
        self._qualities, self._kinds = list(qualities), list(kinds)
        self._watcher = Watcher(progress, cancelled)
        self._pipeline = Pipeline(settings, progress=progress, cancelled=cancelled, notify=notify)
        self._pipeline.load()

    def rows(self, path: Path) -> Iterator[CompressionRow]:
        """Work on one file.

        Yields
        ------
        CompressionRow
            Kinds in their order.

        Raises
        ------
        RawFileError
            The file cannot be used.
        """
        subject = Subject(path, read_raw(path), self._pipeline, self._qualities, self._watcher.step)
        for kind in self._kinds:
            yield from kind(subject)
