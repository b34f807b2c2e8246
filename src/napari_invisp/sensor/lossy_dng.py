"""Lossy DNG: a RAW's camera colours, demosaiced and gamma-encoded, in a baseline JPEG.

Balanced RGB (LibRaw's AHD demosaicing, which keeps measured samples) to the power 1/2.2, in 8 bit:
not a picture to look at, but nothing of it is clipped. This is what Adobe's lossy DNG does in
principle. The gamma is undone by a MapPolynomial in OpcodeList2 (DNG 1.4, chapter 6), since LibRaw
does not heed a LinearizationTable in front of lossy JPEG.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Self

import numpy as np
from numpy.typing import NDArray

from napari_invisp.sensor.cfa import denormalise, mosaic_from_rgb
from napari_invisp.sensor.dng import encode_linear_dng
from napari_invisp.sensor.libraw import demosaic
from napari_invisp.sensor.record import RawRecord

_GAMMA = 2.2
# LibRaw takes no polynomial of a higher degree.
_DEGREE = 8
# Rows that are worked on at a time, so that no second frame of floats is needed.
_BAND = 64


@dataclass(frozen=True, eq=False)
class CameraCodes:
    """Camera colours as 8-bit codes, to be stored as a JPEG.

    Attributes
    ----------
    codes
        ``(H, W, 3)`` uint8.
    scale
        Balanced RGB of code 255: 1, or the brightest sample if that is beyond white.
    record
        What they were made of.
    """

    codes: NDArray[np.uint8]
    scale: float
    record: RawRecord

    @classmethod
    def of(cls, record: RawRecord) -> Self:
        """Demosaic and encode a record."""
        rgb = demosaic(record)
        scale = max(1.0, float(rgb.max()))
        codes = np.empty(rgb.shape, np.uint8)
        for top in range(0, record.height, _BAND):
            rows = slice(top, top + _BAND)
            encoded = np.power(rgb[rows] * np.float32(1 / scale), np.float32(1 / _GAMMA))
            codes[rows] = np.rint(encoded * np.float32(255))
        return cls(codes, scale, record)

    def recovered(self, codes: NDArray[np.uint8]) -> RawRecord:
        """Return the RAW that comes back from codes after JPEG, ``(H, W, 3)`` uint8."""
        record = self.record
        levels = (np.arange(256) / 255) ** _GAMMA * self.scale
        camera = (levels[:, None] / record.balance).astype(np.float32)
        counts = np.empty(record.mosaic.shape, np.uint16)
        for top in range(0, record.height, _BAND):
            rows = slice(top, top + _BAND)
            rgb = np.stack([camera[codes[rows, :, c], c] for c in range(3)], axis=-1)
            values = mosaic_from_rgb(rgb, record.channels)
            counts[rows] = denormalise(values, record.black, record.white)
        return record.replace(mosaic=counts)

    def dng(self, jpeg: bytes) -> bytes:
        """Put the codes' JPEG into a DNG file.

        Readers find camera colours on a scale that nothing exceeds, and are told how much brighter
        than that the picture is meant to be (BaselineExposure, which LibRaw leaves to its users).

        Parameters
        ----------
        jpeg
            A baseline JPEG file of the codes.

        Returns
        -------
        bytes
            The file.
        """
        balance = self.record.balance
        # The balance is taken off again, so that white balance stays the reader's to choose.
        polynomials = np.outer(balance.min() / balance, _decoding_polynomial())
        exposure = math.log2(self.scale / balance.min())
        return encode_linear_dng(self.record, jpeg, polynomials, exposure)


@cache
def _decoding_polynomial() -> NDArray[np.float64]:
    """Fit x^2.2 at the 256 codes: 0 and 1 exactly, the others to a fraction of a code's step.

    Returns
    -------
    numpy.ndarray
        ``(9,)`` coefficients, the constant first.
    """
    x = np.arange(1, 255) / 255
    # Sum c_j x^j with c_0 = 0 and a sum of 1, divided by how far codes are apart there.
    powers = np.stack([x**degree - x for degree in range(2, _DEGREE + 1)], axis=-1)
    step = x ** (_GAMMA - 1)
    higher = np.linalg.lstsq(powers / step[:, None], (x**_GAMMA - x) / step)[0]
    return np.concatenate([[0.0, 1.0 - higher.sum()], higher])
