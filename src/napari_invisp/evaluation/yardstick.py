"""The yardstick: what a lossy DNG of the same bytes would keep of the RAW."""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass

from napari_invisp.jpeg.codec import decode_jpeg, encode_jpeg
from napari_invisp.metrics import raw_psnr
from napari_invisp.sensor.lossy_dng import CameraCodes
from napari_invisp.sensor.record import RawRecord

_LOWEST, _HIGHEST = 1, 100


@dataclass(frozen=True)
class LossyDngFigure:
    """One size of lossy DNG.

    Attributes
    ----------
    raw_psnr
        In dB, as :func:`~napari_invisp.metrics.raw_psnr`.
    bytes
        Size of the JPEG; less or more than was asked for where no quality reaches that.
    quality
        1 … 100, a fraction where the figure lies between those of two neighbouring qualities.
    """

    raw_psnr: float
    bytes: float
    quality: float


class LossyDng:
    """Camera colours in JPEG: not a picture to look at, but nothing of it is clipped.

    See :mod:`~napari_invisp.sensor.lossy_dng`; 4:4:4, decoded, taken back, and the mosaic taken
    out. In figures the DNG container around the JPEG does not count.

    Parameters
    ----------
    record
        The RAW. What has been encoded of it is remembered.
    """

    def __init__(self, record: RawRecord) -> None:
        self._record = record
        self._coded = CameraCodes.of(record)
        self._files: dict[int, bytes] = {}
        self._figures: dict[int, LossyDngFigure] = {}

    def at_quality(self, quality: int) -> LossyDngFigure:
        """Encode at a quality of 1 … 100."""
        if quality not in self._figures:
            psnr = raw_psnr(self._record, self.recovered_at(quality))
            self._figures[quality] = LossyDngFigure(psnr, len(self._file(quality)), quality)
        return self._figures[quality]

    def recovered_at(self, quality: int) -> RawRecord:
        """Return the RAW that comes back at a quality of 1 … 100."""
        return self._coded.recovered(decode_jpeg(self._file(quality)).rgb)

    def dng_at(self, quality: int) -> bytes:
        """Return the whole DNG file of a quality of 1 … 100."""
        return self._coded.dng(self._file(quality))

    def quality_reaching(self, size: int) -> int:
        """Return the lowest quality whose DNG takes ``size`` bytes or more; 100 if none does."""
        qualities = range(_LOWEST, _HIGHEST)
        return _LOWEST + bisect_left(qualities, size, key=lambda each: len(self.dng_at(each)))

    def at(self, size: float) -> LossyDngFigure:
        """Give the figure at a size in bytes.

        It is interpolated between the two neighbouring qualities that enclose the size, linearly
        over the logarithm of the bytes. Where quality 1 takes more or quality 100 less, the figure
        is that of quality 1 or 100.
        """
        if len(self._file(_LOWEST)) >= size:
            return self.at_quality(_LOWEST)
        if len(self._file(_HIGHEST)) <= size:
            return self.at_quality(_HIGHEST)
        low, high = _LOWEST, _HIGHEST  # sizes: low < size < high
        while high - low > 1:
            middle = (low + high) // 2
            if len(self._file(middle)) < size:
                low = middle
            else:
                high = middle
        below, above = self.at_quality(low), self.at_quality(high)
        share = math.log(size / below.bytes) / math.log(above.bytes / below.bytes)
        psnr = (1 - share) * below.raw_psnr + share * above.raw_psnr
        return LossyDngFigure(psnr, size, low + share)

    def _file(self, quality: int) -> bytes:
        if quality not in self._files:
            self._files[quality] = encode_jpeg(self._coded.codes, quality, "4:4:4")
        return self._files[quality]


def lossy_dng(record: RawRecord, size: float) -> LossyDngFigure:
    """Tell what a lossy DNG of about ``size`` bytes keeps of a RAW; see :class:`LossyDng`."""
    return LossyDng(record).at(size)
