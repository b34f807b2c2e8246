"""Which part of a frame is looked at: all of it, a rectangle, or what lies within outlines."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Corners of the polygon that stands for an ellipse.
_CORNERS = 256

Outline = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Region:
    """Part of a frame; regions are equal when they hold the same sites under the same name.

    Attributes
    ----------
    name
        What people call it.
    rows, columns
        Its rows and columns, or those that the outlines lie within.
    outlines
        Closed polygons as ``(row, column)`` of their corners, whole numbers in the middle of a
        site. A site is within where its middle lies within one of them, by the even-odd rule.
        Without outlines all sites of the rows and columns are.
    """

    name: str
    rows: slice
    columns: slice
    outlines: tuple[Outline, ...] = ()

    @classmethod
    def frame(cls, shape: tuple[int, int]) -> Self:
        """Return the region of a whole frame of this shape."""
        return cls("whole frame", slice(0, shape[0]), slice(0, shape[1]))

    @classmethod
    def within(cls, name: str, outlines: Iterable[ArrayLike], shape: tuple[int, int]) -> Self:
        """Return what lies within polygons, each ``(n, 2)``, on a frame of this shape."""
        polygons = [np.asarray(outline, np.float64) for outline in outlines]
        corners = np.concatenate(polygons)
        first = np.ceil(corners.min(0)).astype(int)
        last = np.floor(corners.max(0)).astype(int)
        rows, columns = (
            slice(start := min(max(0, a), n), min(max(start, b + 1), n))
            for a, b, n in zip(first, last, shape, strict=True)
        )
        frozen = tuple(tuple((y, x) for y, x in polygon.tolist()) for polygon in polygons)
        return cls(name, rows, columns, frozen)

    def samples(self, mosaic: NDArray[Any], sites: Iterable[tuple[int, int]]) -> list[NDArray[Any]]:
        """Return the samples of some sites of the CFA, e.g. ``(0, 1)``: a flat array for each."""
        mask = self.mask()
        within = mosaic[self.rows, self.columns]
        found = []
        for row, column in sites:
            site = np.s_[(row - self.rows.start) % 2 :: 2, (column - self.columns.start) % 2 :: 2]
            found.append(within[site].ravel() if mask is None else within[site][mask[site]])
        return found

    def mask(self) -> NDArray[np.bool_] | None:
        """Tell which sites of the rows and columns are within; ``None`` if all are."""
        if not self.outlines:
            return None
        mask = np.zeros(self._shape, bool)
        for outline in self.outlines:
            mask |= self._fill(np.array(outline))
        return None if mask.all() else mask

    @property
    def _shape(self) -> tuple[int, int]:
        return self.rows.stop - self.rows.start, self.columns.stop - self.columns.start

    def _fill(self, polygon: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Fill a polygon by scan lines: each edge turns all that lies right of it."""
        height, width = self._shape
        turned = np.zeros((height, width + 1), bool)
        for (y0, x0), (y1, x1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
            if y0 == y1:
                continue
            (top, _), (bottom, _) = sorted(((y0, x0), (y1, x1)))
            rows = np.arange(
                max(self.rows.start, int(np.ceil(top))),
                min(self.rows.stop, int(np.ceil(bottom))),
            )
            crossing = x0 + (rows - y0) * ((x1 - x0) / (y1 - y0))
            first = np.ceil(crossing).astype(int) - self.columns.start
            turned[rows - self.rows.start, np.clip(first, 0, width)] ^= True
        filled: NDArray[np.bool_] = np.logical_xor.accumulate(turned, axis=1)[:, :-1]
        return filled


def ellipse(corners: ArrayLike) -> NDArray[np.float64]:
    """Return the polygon of the ellipse that fits into a rectangle or parallelogram.

    Parameters
    ----------
    corners
        ``(4, 2)``, one after the other around it.

    Returns
    -------
    numpy.ndarray
        ``(256, 2)``.
    """
    around = np.asarray(corners, np.float64)
    angle = np.linspace(0, 2 * np.pi, _CORNERS, endpoint=False)[:, None]
    across, down = (around[1] - around[0]) / 2, (around[3] - around[0]) / 2
    return np.asarray(around.mean(0) + np.cos(angle) * across + np.sin(angle) * down)
