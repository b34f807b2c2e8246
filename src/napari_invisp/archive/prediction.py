"""Predicting a mosaic from the decoded JPEG in integers, the same on every machine.

The residual of a bit-exact archive refers to this prediction, so it may depend on no device, no
number of threads and no version of a library. It is a table over 8-bit sRGB, a table for each site
of the CFA, interpolated in 32-bit integers; the table itself travels in the archive. Where it comes
from does not matter to a reader: it begins as the inverse of LibRaw's rendering, and is then fitted
to the picture, so that it holds for any model.
"""

from __future__ import annotations

import lzma
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from napari_invisp.linear import linear_from_codes
from napari_invisp.sensor.cfa import SITES
from napari_invisp.sensor.record import RawRecord

#: Codes at which a table has values; closer together where light is bent most: the dark end, where
#: the gamma curve bends, and just below white, where highlights are rolled off.
NODES = (0, 10, 20, 32, 48, 64, 80, 96, 112, 128, 144, 160, 176, 192, 208, 224, 236, 244, 250, 255)

# Tables hold DN times this power of two, interpolation weights are integers of that many bits.
_FRACTION, _WEIGHT = 4, 8
# The largest value: rounding must not take it out of 16 bits.
_HIGHEST = 65535 << _FRACTION
_ONE, _HALF = 1 << _WEIGHT, 1 << (_WEIGHT - 1)
# Rows of a plane that are worked on at a time.
_BAND = 64
# Samples of a site that a table is fitted to, rounds of it, and what a node without samples weighs.
_SAMPLES, _ROUNDS, _INERTIA = 400_000, 8, 2.0

_COUNT = len(NODES)


def _positions() -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """For each code, the node at or below it and how far it is on its way to the next."""
    codes = np.arange(256)
    nodes = np.array(NODES)
    below = np.minimum(np.searchsorted(nodes, codes, side="right") - 1, _COUNT - 2)
    start, width = nodes[below], nodes[below + 1] - nodes[below]
    weight = ((codes - start) * _ONE * 2 + width) // (2 * width)
    return below.astype(np.int32), weight.astype(np.int32)


_BELOW, _TOWARDS = _positions()


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the sensor counted, as a function of the decoded picture's colour.

    Attributes
    ----------
    tables
        ``(4, n, n, n)`` int32: for each CFA site in reading order, red, green and blue code at
        :data:`NODES` → 16 · DN, at least 0.
    """

    tables: NDArray[np.int32]

    def __call__(self, picture: NDArray[np.uint8]) -> NDArray[np.uint16]:
        """Predict the mosaic.

        Parameters
        ----------
        picture
            ``(H, W, 3)`` decoded sRGB.

        Returns
        -------
        numpy.ndarray
            ``(H, W)`` uint16, DN.
        """
        mosaic = np.empty(picture.shape[:2], np.uint16)

        def predict(top: int) -> None:
            for site, (row, column) in enumerate(SITES):
                window = slice(top + row, top + 2 * _BAND, 2), slice(column, None, 2)
                values = _interpolated(self.tables[site].ravel(), picture[window])
                mosaic[window] = (values + (1 << (_FRACTION - 1))) >> _FRACTION

        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            list(pool.map(predict, range(0, len(mosaic), 2 * _BAND)))
        return mosaic

    def to_bytes(self) -> bytes:
        """Pack the tables, as differences along blue."""
        steps = np.diff(self.tables, axis=-1, prepend=0).astype("<i4")
        return lzma.compress(steps.tobytes(), lzma.FORMAT_ALONE, preset=9)

    @classmethod
    def from_bytes(cls, data: bytes) -> Prediction:
        """Take the tables out of :meth:`to_bytes`.

        Raises
        ------
        ValueError, lzma.LZMAError
            They are damaged.
        """
        steps = np.frombuffer(lzma.decompress(data), "<i4").reshape(4, *[_COUNT] * 3)
        tables = np.cumsum(steps, axis=-1, dtype=np.int32)
        if tables.min() < 0 or tables.max() > _HIGHEST:
            raise ValueError("its tables are out of range")
        return cls(tables)

    @classmethod
    def fitted(cls, picture: NDArray[np.uint8], record: RawRecord) -> Prediction:
        """Fit tables to a picture and its RAW, in floating point: only the result counts."""
        start = _inverse_of_libraw(record)
        tables = np.empty(start.shape, np.int32)
        for site, (row, column) in enumerate(SITES):
            colours, counts = picture[row::2, column::2], record.mosaic[row::2, column::2]
            step = max(1, round((counts.size / _SAMPLES) ** 0.5))
            table = _refined(
                start[site].ravel(),
                colours[::step, ::step].reshape(-1, 3),
                counts[::step, ::step].ravel().astype(np.float64) * (1 << _FRACTION),
            )
            tables[site] = np.clip(np.rint(table), 0, _HIGHEST).reshape(tables[site].shape)
        return cls(tables)


def _interpolated(table: NDArray[np.int32], colours: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Look ``(h, w, 3)`` colours up in a flat table; ``(h, w)`` int32."""
    base = np.zeros(colours.shape[:2], np.int32)
    for channel in range(3):
        base *= _COUNT
        base += _BELOW[colours[..., channel]]
    values = [table[base + offset] for offset in _corners()]
    for channel in (2, 1, 0):
        weight = _TOWARDS[colours[..., channel]]
        values = [
            low + (((high - low) * weight + _HALF) >> _WEIGHT)
            for low, high in zip(values[::2], values[1::2], strict=True)
        ]
    return values[0]


def _corners() -> Iterator[int]:
    """Where the eight corners of a cell lie from its first; blue varies fastest."""
    for red in (0, _COUNT**2):
        for green in (0, _COUNT):
            for blue in (0, 1):
                yield red + green + blue


def _inverse_of_libraw(record: RawRecord) -> NDArray[np.float64]:
    """Undo gamma, matrix and white balance at the nodes: ``(4, n, n, n)``, unrounded."""
    codes = np.array(NODES, np.uint8)
    grid = np.stack(np.meshgrid(codes, codes, codes, indexing="ij"), axis=-1)
    linear = linear_from_codes(grid).astype(np.float64)
    camera = linear @ np.linalg.inv(record.camera_to_srgb).T
    camera *= record.balance.min() / record.balance
    tables = np.empty((4, *grid.shape[:3]))
    for site, (row, column) in enumerate(SITES):
        black = record.black[row, column]
        light = camera[..., record.channels[row, column]]
        tables[site] = (black + light * (record.white - black)) * (1 << _FRACTION)
    return tables


def _refined(
    table: NDArray[np.float64], colours: NDArray[np.uint8], wanted: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Bring a flat table closer to what was counted, step by step (SIRT)."""
    base = np.zeros(len(colours), np.int64)
    shares = []
    for channel in range(3):
        base = base * _COUNT + _BELOW[colours[:, channel]]
        towards = _TOWARDS[colours[:, channel]] / _ONE
        shares.append((1 - towards, towards))
    weights = [r * g * b for r in shares[0] for g in shares[1] for b in shares[2]]
    corners = [(base + offset, w) for offset, w in zip(_corners(), weights, strict=True)]
    total = sum(np.bincount(index, w, table.size) for index, w in corners)
    for _ in range(_ROUNDS):
        error = wanted - sum(w * table[index] for index, w in corners)
        moved = sum(np.bincount(index, w * error, table.size) for index, w in corners)
        table = table + moved / (total + _INERTIA)
    return table
