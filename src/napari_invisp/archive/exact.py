"""A bit-exact archive of a mosaic beside the JPEG that was rendered from it.

What the JPEG already tells is not stored again: the archive holds the residual between the mosaic
and its :mod:`prediction <napari_invisp.archive.prediction>` from the decoded picture, losslessly,
as JPEG XL, whose decoding a standard defines bit by bit. The decoded picture is defined as well:
libjpeg's accurate integer DCT and its triangle upsampling are the same on all processors. A
checksum tells a reader whether its own decoder agrees, and another one, of the mosaic, whether the
whole has worked.

Where a camera stores only some levels, as in lossy NEF, their ranks are coded rather than levels.
"""

from __future__ import annotations

import lzma
import struct
import zlib
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_invisp.archive.planes import jpegxl_planes, mosaic_from_planes
from napari_invisp.archive.prediction import Prediction
from napari_invisp.errors import CapsuleError
from napari_invisp.sensor.original import Original
from napari_invisp.sensor.record import RawRecord

#: What a capsule calls the archive.
SECTION = "exact"

# version, checksums of picture and mosaic, bytes of tables, levels and the planes of the four sites
_HEAD = struct.Struct(">BII6I")
_VERSION = 1
# Ranks are coded where fewer than this share of the levels between the extremes occur.
_SPARSE = 0.9
# Bytes that unpacking tags may take.
_MEMORY = 1 << 28
# Residuals are counted from the middle of 16 bits and wrap around, so that any mosaic fits.
_MIDDLE = 1 << 15


def pack(record: RawRecord, picture: NDArray[np.uint8]) -> bytes:
    """Archive a mosaic, given the picture that a reader will have.

    Parameters
    ----------
    record
        The RAW.
    picture
        ``(H, W, 3)``, the decoded JPEG.

    Returns
    -------
    bytes
        For :func:`unpack`.
    """
    prediction = Prediction.fitted(picture, record)
    ranks = _Ranks.of(record.mosaic)
    residual = ranks.of_levels(record.mosaic) - ranks.of_levels(prediction(picture))
    residual += np.uint16(_MIDDLE)
    parts = [prediction.to_bytes(), ranks.to_bytes(), *jpegxl_planes(residual)]
    checksums = _checksum(picture), _checksum(record.mosaic)
    return b"".join([_HEAD.pack(_VERSION, *checksums, *map(len, parts)), *parts])


def unpack(data: bytes, picture: NDArray[np.uint8], name: str = "the JPEG") -> NDArray[np.uint16]:
    """Give the mosaic back.

    Parameters
    ----------
    data
        From :func:`pack`.
    picture
        ``(H, W, 3)``, the decoded JPEG.
    name
        What messages call it.

    Returns
    -------
    numpy.ndarray
        ``(H, W)`` uint16, each sample as it was.

    Raises
    ------
    CapsuleError
        The archive is damaged or too new, or the picture is not the one that was archived with.
    """
    try:
        version, of_picture, of_mosaic, *lengths = _HEAD.unpack_from(data)
        if version > _VERSION:
            raise CapsuleError(f"{name}: its exact archive needs a newer napari-invisp")
        if _checksum(picture) != of_picture:
            raise CapsuleError(
                f"{name}: its pixels are not those that its exact archive was made for, so the RAW "
                "does not come back bit by bit"
            )
        bounds = np.cumsum([_HEAD.size, *lengths])
        tables, levels, *planes = (data[a:b] for a, b in pairwise(bounds))
        ranks = _Ranks.from_bytes(levels)
        mosaic = mosaic_from_planes(planes)
        if mosaic.shape != picture.shape[:2]:
            raise ValueError("it belongs to a picture of another size")
        mosaic -= np.uint16(_MIDDLE)
        mosaic += ranks.of_levels(Prediction.from_bytes(tables)(picture))
        mosaic = ranks.to_levels(mosaic)
    except _DAMAGE as error:
        raise CapsuleError(f"{name}: its exact archive is damaged ({error})") from error
    if _checksum(mosaic) != of_mosaic:
        raise CapsuleError(f"{name}: its exact archive is damaged (the checksum does not match)")
    return mosaic


def pack_original(original: Original) -> bytes:
    """Archive the tags of the file that a mosaic came from."""
    return lzma.compress(original.to_bytes(), lzma.FORMAT_ALONE, preset=9)


def unpack_original(data: bytes, name: str = "the JPEG") -> Original:
    """Give the tags back.

    Raises
    ------
    CapsuleError
        They are damaged.
    """
    try:
        return Original.of(lzma.decompress(data, memlimit=_MEMORY))
    except lzma.LZMAError as error:
        raise CapsuleError(f"{name}: the tags of its RAW are damaged ({error})") from error


# Whatever decoders raise for bytes that they did not write.
_DAMAGE = (struct.error, zlib.error, lzma.LZMAError, ValueError, IndexError, RuntimeError)


class _Ranks:
    """The levels that a mosaic has, and their ranks; all levels where most of them occur."""

    def __init__(self, levels: NDArray[np.uint16] | None) -> None:
        self._levels = levels
        if levels is not None:
            # The rank of the nearest level, for predictions between levels too.
            middles = (levels[:-1].astype(np.int64) + levels[1:] + 1) // 2
            self._table = np.searchsorted(middles, np.arange(65536), side="right").astype(np.uint16)

    @classmethod
    def of(cls, mosaic: NDArray[np.uint16]) -> _Ranks:
        counts = np.bincount(mosaic.ravel(), minlength=65536)
        levels = np.flatnonzero(counts)
        sparse = len(levels) < _SPARSE * (levels[-1] - levels[0] + 1)
        return cls(levels.astype(np.uint16) if sparse else None)

    def of_levels(self, mosaic: NDArray[np.uint16]) -> NDArray[np.uint16]:
        return np.array(mosaic) if self._levels is None else self._table[mosaic]

    def to_levels(self, ranks: NDArray[np.uint16]) -> NDArray[np.uint16]:
        return ranks if self._levels is None else self._levels[ranks]

    def to_bytes(self) -> bytes:
        if self._levels is None:
            return b""
        return zlib.compress(np.diff(self._levels, prepend=np.uint16(0)).astype("<u2").tobytes(), 9)

    @classmethod
    def from_bytes(cls, data: bytes) -> _Ranks:
        if not data:
            return cls(None)
        steps = np.frombuffer(zlib.decompress(data), "<u2")
        return cls(np.cumsum(steps, dtype=np.uint16))


def _checksum(pixels: NDArray[Any]) -> int:
    little = pixels.dtype.newbyteorder("<")
    return zlib.crc32(np.ascontiguousarray(pixels, little).data.cast("B"))
