"""Lossless JPEG XL of a mosaic, a file for each of its four CFA planes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from napari_invisp.sensor.cfa import SITES

# Of 1 … 9. More takes several times as long and saves next to nothing of sensor noise.
_EFFORT = 7


def jpegxl_planes(mosaic: NDArray[np.uint16]) -> list[bytes]:
    """Compress the four CFA planes of a mosaic without loss.

    Parameters
    ----------
    mosaic
        ``(H, W)`` uint16, at least 2x2.

    Returns
    -------
    list of bytes
        Four JPEG XL files, 16-bit grey, of the sites of the 2x2 CFA in reading order.
    """

    def encoded(site: tuple[int, int]) -> bytes:
        plane = np.ascontiguousarray(mosaic[site[0] :: 2, site[1] :: 2])
        return bytes(imagecodecs.jpegxl_encode(plane, effort=_EFFORT, lossless=True, numthreads=1))

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(encoded, SITES))


def mosaic_from_planes(planes: Sequence[bytes]) -> NDArray[np.uint16]:
    """Put a mosaic together again: the inverse of :func:`jpegxl_planes`.

    Parameters
    ----------
    planes
        The four files.

    Returns
    -------
    numpy.ndarray
        ``(H, W)`` uint16.
    """
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        decoded = list(pool.map(imagecodecs.jpegxl_decode, planes))
    # The first plane has the odd row and column where there is one, the last has neither.
    height, width = np.add(decoded[0].shape, decoded[-1].shape)
    mosaic = np.empty((height, width), np.uint16)
    for (row, column), plane in zip(SITES, decoded, strict=True):
        mosaic[row::2, column::2] = plane
    return mosaic
