"""Parts of a frame through JPEG and back, as the whole file would go, while a setting changes.

JPEG works on blocks of 8x8 pixels, or pairs of them where chroma is halved. A part that begins at a
multiple of 16 has the very blocks of the whole file, so that what is seen of it is what the file
will hold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from napari_invisp.conversion import as_seen_by
from napari_invisp.development import Demosaiced, recovered
from napari_invisp.flow.base import InvertibleISP
from napari_invisp.flow.coded import Coded
from napari_invisp.jpeg.codec import decode_jpeg, encode_jpeg
from napari_invisp.jpeg.exact import windows_of
from napari_invisp.sensor.record import RawRecord
from napari_invisp.tiling import Part, Tile, distance, tiles_of

#: Gives ``(h, w, 3)`` uint8 sRGB of any part of a frame that begins at even numbers.
Source = Callable[[slice, slice], NDArray[np.uint8]]

# Pairs of blocks begin at multiples of it.
_GRID = 16
# Around what is recovered, so that no block at its edges is cut.
_MARGIN = _GRID
# Sides of tiles: of the first, which is to be seen at once, and of the others. The larger they are,
# the less is done twice at their edges, but the later a slider that has moved on is followed.
_FIRST, _SIDE = 192, 832


@dataclass(frozen=True, eq=False)
class Excerpt:
    """A part of a frame, on its way from sRGB to recovered RAW.

    Attributes
    ----------
    rows, columns
        Which part.
    rgb, decoded
        ``(h, w, 3)`` uint8 sRGB before and after JPEG.
    mosaic
        ``(h, w)`` uint16, recovered.
    pixels, jpeg_bytes
        Size of what was encoded, which is more, and of its JPEG.
    """

    rows: slice
    columns: slice
    rgb: NDArray[np.uint8]
    decoded: NDArray[np.uint8]
    mosaic: NDArray[np.uint16]
    pixels: int
    jpeg_bytes: int


class Live:
    """Sends parts of a rendering through JPEG and back.

    Parameters
    ----------
    source
        The rendering.
    network
        The model as it stands for the file.
    record
        What was rendered.
    coded
        Quality and subsampling.
    device
        Where the model runs.
    """

    def __init__(
        self,
        source: Source,
        network: InvertibleISP,
        record: RawRecord,
        coded: Coded,
        device: torch.device,
    ) -> None:
        self._source, self._network = source, network
        self._seen = as_seen_by(record, network.profile)
        self._frame = slice(0, record.height), slice(0, record.width)
        self._coded, self._device = coded, device

    def tiles(self, part: Part) -> list[Tile]:
        """Cover a part: first a small tile in its middle, then all of it, from there outwards."""
        middle = tuple(
            slice(max(each.start, centre - _FIRST // 2), min(each.stop, centre + _FIRST // 2))
            for each in part
            for centre in ((each.start + each.stop) // 2,)
        )
        halo = self._network.recovery_halo
        first = tiles_of((middle[0], middle[1]), self._frame, 2 * _FIRST, halo, _GRID)
        others = _cut_up(part, self._frame, halo, _GRID)
        return first + sorted(others, key=lambda tile: distance(tile, part))

    def encoded(self, tile: Tile) -> Part:
        """Return what has to be encoded for a tile."""
        rows, columns = (
            slice(max(0, outer.start - _MARGIN), min(whole.stop, outer.stop + _MARGIN))
            for outer, whole in zip((tile.outer_rows, tile.outer_columns), self._frame, strict=True)
        )
        return rows, columns

    @torch.inference_mode()
    def through(self, tile: Tile) -> Excerpt:
        """Encode, decode and recover a tile of :meth:`tiles`."""
        rows, columns = self.encoded(tile)
        rgb = self._source(rows, columns)
        data = encode_jpeg(rgb, self._coded.quality, self._coded.subsampling)
        jpeg = decode_jpeg(data)
        window = windows_of(data, jpeg)(
            _within(tile.outer_rows, rows), _within(tile.outer_columns, columns), self._device
        )
        inner = _within(tile.rows, rows), _within(tile.columns, columns)
        return Excerpt(
            tile.rows,
            tile.columns,
            rgb[inner],
            jpeg.rgb[inner],
            recovered(self._network, window, self._coded, tile, self._seen),
            rgb.shape[0] * rgb.shape[1],
            len(data),
        )


class Anew:
    """A :data:`Source` that renders what it is asked for.

    A part that was prepared is rendered once, in pieces that may be worked on side by side,
    although the tiles of :class:`Live` overlap there.

    Parameters
    ----------
    demosaiced
        The RAW.
    model
        As it stands for it.
    device
        Where the model runs.
    """

    def __init__(self, demosaiced: Demosaiced, model: InvertibleISP, device: torch.device) -> None:
        self._demosaiced, self._model, self._device = demosaiced, model, device
        self._frame = slice(0, demosaiced.record.height), slice(0, demosaiced.record.width)
        self._prepared: tuple[Part, NDArray[np.uint8]] | None = None

    def __call__(self, rows: slice, columns: slice) -> NDArray[np.uint8]:
        """Return a part, from what was prepared if it lies in there."""
        if self._prepared is not None:
            whole, pixels = self._prepared
            if all(_holds(each, own) for each, own in zip(whole, (rows, columns), strict=True)):
                return pixels[_within(rows, whole[0]), _within(columns, whole[1])]
        side = max(rows.stop - rows.start, columns.stop - columns.start)
        (tile,) = tiles_of(
            (rows, columns), self._frame, side + _GRID, self._model.halo, self._model.grid
        )
        return self._rendered(tile)[_within(rows, tile.rows), _within(columns, tile.columns)]

    def prepare(self, parts: Sequence[Part]) -> list[Tile]:
        """Make room for all that parts cover; return the pieces that :meth:`render` has to fill."""
        rows, columns = (
            slice(min(each.start for each in along), max(each.stop for each in along))
            for along in zip(*parts, strict=True)
        )
        pieces = _cut_up((rows, columns), self._frame, self._model.halo, self._model.grid)
        whole = (
            slice(pieces[0].rows.start, pieces[-1].rows.stop),
            slice(pieces[0].columns.start, pieces[-1].columns.stop),
        )
        shape = tuple(each.stop - each.start for each in whole)
        self._prepared = whole, np.empty((*shape, 3), np.uint8)
        return pieces

    def render(self, piece: Tile) -> None:
        """Fill a piece of what is prepared."""
        assert self._prepared is not None
        (rows, columns), pixels = self._prepared
        place = _within(piece.rows, rows), _within(piece.columns, columns)
        pixels[place] = self._rendered(piece)

    @torch.inference_mode()
    def _rendered(self, tile: Tile) -> NDArray[np.uint8]:
        return self._demosaiced.rendered(self._model, tile, self._device)


def _cut_up(part: Part, frame: Part, halo: int, grid: int) -> list[Tile]:
    """Cover a part with tiles, two or more if it is large enough, so that no core is idle."""
    lengths = [each.stop - each.start for each in part]
    axis = int(lengths[1] > lengths[0])
    start, stop = part[axis].start, part[axis].stop
    middle = start + lengths[axis] // 2
    middle += -middle % grid
    halves = [slice(start, middle), slice(middle, stop)] if middle < stop else [slice(start, stop)]
    cut = [(half, part[1]) if axis == 0 else (part[0], half) for half in halves]
    return [tile for half in cut for tile in tiles_of(half, frame, _SIDE, halo, grid)]


def _holds(whole: slice, part: slice) -> bool:
    return bool(whole.start <= part.start and part.stop <= whole.stop)


def _within(part: slice, whole: slice) -> slice:
    """Return where a part of an axis lies in another that holds it."""
    return slice(part.start - whole.start, part.stop - whole.start)
