"""The yardstick: what a lossy DNG of the same bytes would keep of the RAW."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_invisp.jpeg.codec import decode_jpeg, encode_jpeg
from napari_invisp.metrics import raw_psnr
from napari_invisp.sensor.cfa import denormalise, mosaic_from_rgb
from napari_invisp.sensor.libraw import demosaic
from napari_invisp.sensor.record import RawRecord

_GAMMA = 2.2
_LOWEST, _HIGHEST = 1, 100
# Rows that are worked on at a time, so that no second frame of floats is needed.
_BAND = 64


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

    Balanced RGB (LibRaw's AHD demosaicing, which keeps measured samples), white or the brightest
    sample beyond it at 1, to the power 1/2.2, 8 bit, baseline JPEG, 4:4:4; decoded, taken back, and
    the mosaic taken out. This is what Adobe's lossy DNG does in principle; how large the DNG
    container around the JPEG is does not count.

    Parameters
    ----------
    record
        The RAW. What has been encoded of it is remembered.
    """

    def __init__(self, record: RawRecord) -> None:
        self._record = record
        rgb = demosaic(record)
        self._scale = max(1.0, float(rgb.max()))
        self._codes = np.empty(rgb.shape, np.uint8)
        for top in range(0, record.height, _BAND):
            rows = slice(top, top + _BAND)
            encoded = np.power(rgb[rows] * np.float32(1 / self._scale), np.float32(1 / _GAMMA))
            self._codes[rows] = np.rint(encoded * np.float32(255))
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
        return self._recovered(decode_jpeg(self._file(quality)).rgb)

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
            self._files[quality] = encode_jpeg(self._codes, quality, "4:4:4")
        return self._files[quality]

    def _recovered(self, codes: NDArray[np.uint8]) -> RawRecord:
        record = self._record
        levels = (np.arange(256) / 255) ** _GAMMA * self._scale
        camera = (levels[:, None] / record.balance).astype(np.float32)
        counts = np.empty(record.mosaic.shape, np.uint16)
        for top in range(0, record.height, _BAND):
            rows = slice(top, top + _BAND)
            rgb = np.stack([camera[codes[rows, :, c], c] for c in range(3)], axis=-1)
            values = mosaic_from_rgb(rgb, record.channels)
            counts[rows] = denormalise(values, record.black, record.white)
        return record.replace(mosaic=counts)


def lossy_dng(record: RawRecord, size: float) -> LossyDngFigure:
    """Tell what a lossy DNG of about ``size`` bytes keeps of a RAW; see :class:`LossyDng`."""
    return LossyDng(record).at(size)
