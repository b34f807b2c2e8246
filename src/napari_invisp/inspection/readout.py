"""What one 2x2 quad of the CFA holds in each form of the RAW, in a line of text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from napari_invisp.sensor.cfa import CHANNELS, channel_sites
from napari_invisp.sensor.record import RawRecord

_NOTHING = "–"
_BETWEEN = " │ "

#: Columns of the line, their names, and how wide the values are.
_COLUMNS: dict[str, tuple[Sequence[str], int]] = {
    "pixel": (("row", "column"), 6),
    "original, DN": (CHANNELS, 5),
    "recovered, DN": (CHANNELS, 5),
    "difference, DN": (CHANNELS, 6),
    "rendered sRGB": ("RGB", 4),
    "JPEG sRGB": ("RGB", 4),
}

#: What stands above the values of :meth:`Readout.line`: two lines.
HEADER = (
    _BETWEEN.join(
        title.center(len(names) * (width + 1) - 1) for title, (names, width) in _COLUMNS.items()
    ),
    _BETWEEN.join(
        " ".join(name.rjust(width) for name in names) for names, width in _COLUMNS.values()
    ),
)

#: Values of the four channels, in the order of :data:`~napari_invisp.sensor.cfa.CHANNELS`; ``None``
#: where the frame ends within the quad.
Quad = tuple[int | None, ...]


@dataclass(frozen=True)
class Readout:
    """What is at one pixel; what there is not is ``None``.

    Attributes
    ----------
    row, column
        The pixel, in the sensor's orientation.
    original, recovered, difference
        DN at the sites of its quad; the difference is recovered minus original.
    rendered, jpeg
        8-bit R, G and B of the pixel itself: as rendered, and decoded from the JPEG.
    """

    row: int
    column: int
    original: Quad | None = None
    recovered: Quad | None = None
    rendered: tuple[int, ...] | None = None
    jpeg: tuple[int, ...] | None = None

    @property
    def difference(self) -> Quad | None:  # noqa: D102
        if self.original is None or self.recovered is None:
            return None
        pairs = zip(self.original, self.recovered, strict=True)
        return tuple(None if a is None or b is None else b - a for a, b in pairs)

    def line(self) -> str:
        """Write all values in one line, each in its place below :data:`HEADER`."""
        values: list[Sequence[int | None] | None] = [
            (self.row, self.column),
            self.original,
            self.recovered,
            self.difference,
            self.rendered,
            self.jpeg,
        ]
        parts = []
        for i, (each, (names, width)) in enumerate(zip(values, _COLUMNS.values(), strict=True)):
            sign = "+" if i == 3 else ""
            found = each if each is not None else (None,) * len(names)
            texts = (_NOTHING if v is None else format(v, f"{sign if v else ''}d") for v in found)
            parts.append(" ".join(text.rjust(width) for text in texts))
        return _BETWEEN.join(parts)


def read(
    row: int,
    column: int,
    original: RawRecord | None,
    recovered: RawRecord | None,
    rendered: NDArray[Any] | None = None,
    jpeg: NDArray[Any] | None = None,
) -> Readout | None:
    """Read what is at one pixel.

    Parameters
    ----------
    row, column
        The pixel, in the sensor's orientation.
    original, recovered
        The RAW, and what was recovered of it; at least one of them.
    rendered, jpeg
        ``(H, W, 3)`` uint8: the rendering, and the JPEG decoded.

    Returns
    -------
    Readout or None
        ``None`` outside the frame.
    """
    frame = original if original is not None else recovered
    if frame is None or not (0 <= row < frame.height and 0 <= column < frame.width):
        return None
    return Readout(
        row,
        column,
        _quad(original, row, column),
        _quad(recovered, row, column),
        _colour(rendered, row, column),
        _colour(jpeg, row, column),
    )


def _quad(record: RawRecord | None, row: int, column: int) -> Quad | None:
    if record is None:
        return None
    top, left = row - row % 2, column - column % 2
    places = [(top + y, left + x) for y, x in channel_sites(record.pattern).values()]
    return tuple(
        int(record.mosaic[y, x]) if y < record.height and x < record.width else None
        for y, x in places
    )


def _colour(rgb: NDArray[Any] | None, row: int, column: int) -> tuple[int, ...] | None:
    return None if rgb is None else tuple(int(value) for value in rgb[row, column])
