"""Pictures that are filled part by part, while they are on the screen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from threading import Lock
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_invisp.pictures import bilinear_codes
from napari_invisp.sensor.record import RawRecord
from napari_invisp.tiling import Part
from napari_invisp.viewer.layers.pyramids import Reduction, halved, rebuild, shapes

# Bilinear interpolation looks at one site around.
_REACH = 1


class Painting:
    """A multiscale picture whose parts come one after the other, from any thread.

    Parameters
    ----------
    levels
        To be painted in place.
    reduction
        How a level is made of the one before.

    Attributes
    ----------
    levels
        As of :func:`~.pyramids.pyramid`; painted in place.
    fresh
        Whether something was painted that has not been shown yet; for whoever shows it to reset.
    """

    def __init__(self, levels: Sequence[NDArray[Any]], reduction: Reduction = halved) -> None:
        self.levels = list(levels)
        self._reduction = reduction
        self.fresh = False
        self._lock = Lock()

    @classmethod
    def blank(cls, shape: tuple[int, ...], dtype: DTypeLike, reduction: Reduction = halved) -> Self:
        """Make a black one of this full size; it takes memory only where it is painted."""
        return cls([np.zeros(each, dtype) for each in shapes(shape)], reduction)

    @classmethod
    def over(
        cls,
        levels: Sequence[NDArray[Any]] | None,
        shape: tuple[int, ...],
        dtype: DTypeLike,
        reduction: Reduction = halved,
    ) -> Self:
        """Paint over these levels if they fit, else make a blank one."""
        painting = cls(levels or (), reduction)
        return painting if painting.fits(shape, dtype) else cls.blank(shape, dtype, reduction)

    def fits(self, shape: tuple[int, ...], dtype: DTypeLike) -> bool:
        """Tell whether a picture of this full size and type can be painted into it."""
        return [level.shape for level in self.levels] == shapes(shape) and all(
            level.dtype == dtype and level.flags.writeable for level in self.levels
        )

    def paint(self, part: Part, pixels: NDArray[Any]) -> None:
        """Put pixels where they belong, at all levels.

        Parameters
        ----------
        part
            Rows and columns of the full size.
        pixels
            ``(h, w, …)`` of that size.
        """
        self.paint_made(part, lambda: pixels)

    def paint_made(self, part: Part, make: Callable[[], NDArray[Any]]) -> None:
        """Make pixels and put them where they belong, while nobody else paints.

        So pixels can depend on what lies beside their part: what another thread makes of that
        later includes this part.

        Parameters
        ----------
        part
            Rows and columns of the full size.
        make
            Returns ``(h, w, …)`` of that size.
        """
        with self._lock:
            self.levels[0][part] = make()
            rebuild(self.levels, *part, self._reduction)
            self.fresh = True

    def paint_at(self, level: int, part: Part, pixels: NDArray[Any], finest: int = 0) -> None:
        """Put pixels where they belong at a level: they are repeated at finer ones.

        Parameters
        ----------
        level
            Of the pixels.
        part
            Rows and columns of that level.
        pixels
            ``(h, w, …)`` of that size.
        finest
            The finest level that needs them.
        """
        with self._lock:
            self.levels[level][part] = pixels
            rebuild(self.levels[level:], *part, self._reduction)
            for n in range(finest, level):
                rows, columns = (
                    # What halving has left out of an odd length gets the last pixel.
                    slice(
                        each.start << level - n,
                        whole if each.stop == own else each.stop << level - n,
                    )
                    for each, own, whole in zip(
                        part, self.levels[level].shape, self.levels[n].shape, strict=False
                    )
                )
                _enlarge(pixels, 1 << level - n, self.levels[n][rows, columns])
            self.fresh = True

    def sketch(self, pixels: NDArray[Any], factor: int) -> None:
        """Fill all of it from a picture that is ``factor`` times smaller, which is even."""
        with self._lock:
            for n, level in enumerate(self.levels):
                if factor >> n > 0 and factor % (1 << n) == 0:
                    _enlarge(pixels, factor >> n, level)
                else:
                    level[...] = halved(self.levels[n - 1])
            self.fresh = True


def paint_bilinear(painting: Painting, record: RawRecord, part: Part) -> None:
    """Paint the bilinear visualization of a part of a mosaic, and of the pixels next to it.

    The part has to be in the mosaic before; then no seams stay, however many threads do so.
    """
    painting.paint(part, _bilinear(record, part))
    # Whichever of two neighbours comes here later sees both.
    for edge in _edges(part, record.mosaic.shape):
        painting.paint_made(edge, partial(_bilinear, record, edge))


def _edges(part: Part, shape: tuple[int, ...]) -> list[Part]:
    """Cut out what depends on pixels on both sides of an edge of a part."""
    rows, columns = (
        slice(max(0, each.start - _REACH), min(each.stop + _REACH, length))
        for each, length in zip(part, shape, strict=True)
    )
    across, down = (
        [slice(at - _REACH, at + _REACH) for at in (each.start, each.stop) if 0 < at < length]
        for each, length in zip(part, shape, strict=True)
    )
    return [(each, columns) for each in across] + [(rows, each) for each in down]


def _bilinear(record: RawRecord, part: Part) -> NDArray[np.uint8]:
    rows, columns = part
    # From an even site on, so that the CFA keeps its phase.
    top, left = (max(0, each.start - _REACH) // 2 * 2 for each in part)
    around = record.mosaic[top : rows.stop + _REACH, left : columns.stop + _REACH]
    codes = bilinear_codes(record.replace(mosaic=around))
    return codes[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]


def _enlarge(pixels: NDArray[Any], factor: int, target: NDArray[Any]) -> None:
    """Repeat each pixel, the last ones as often as it takes."""
    height, width = target.shape[:2]
    columns = np.minimum(np.arange(width) // factor, pixels.shape[1] - 1)
    for row in range(pixels.shape[0]):
        last = height if row == pixels.shape[0] - 1 else (row + 1) * factor
        target[row * factor : last] = pixels[row][columns]
