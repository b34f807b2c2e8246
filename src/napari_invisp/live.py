"""Parts of a frame through JPEG and back, as the whole file would go, while a setting changes.

JPEG works on blocks of 8x8 pixels, or pairs of them where chroma is halved. A part that begins at a
multiple of 16 has the very blocks of the whole file, so that what is seen of it is what the file
will hold.
"""

from __future__ import annotations

from collections.abc import Callable
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
_MARGIN = 32
# Sides of tiles: of the first, which is to be seen at once, and of the others.
_FIRST, _SIDE = 192, 512


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
        others = tiles_of(part, self._frame, _SIDE, halo, _GRID)
        return first + sorted(others, key=lambda tile: distance(tile, part))

    @torch.inference_mode()
    def through(self, tile: Tile) -> Excerpt:
        """Encode, decode and recover a tile of :meth:`tiles`."""
        rows, columns = (
            slice(max(0, outer.start - _MARGIN), min(whole.stop, outer.stop + _MARGIN))
            for outer, whole in zip((tile.outer_rows, tile.outer_columns), self._frame, strict=True)
        )
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


def rendered_anew(demosaiced: Demosaiced, model: InvertibleISP, device: torch.device) -> Source:
    """Return a source that renders what it is asked for."""
    frame = slice(0, demosaiced.record.height), slice(0, demosaiced.record.width)

    @torch.inference_mode()
    def source(rows: slice, columns: slice) -> NDArray[np.uint8]:
        side = max(rows.stop - rows.start, columns.stop - columns.start)
        (tile,) = tiles_of((rows, columns), frame, side + _GRID, model.halo, model.grid)
        pixels = demosaiced.rendered(model, tile, device)
        return pixels[_within(rows, tile.rows), _within(columns, tile.columns)]

    return source


def _within(part: slice, whole: slice) -> slice:
    """Return where a part of an axis lies in another that holds it."""
    return slice(part.start - whole.start, part.stop - whole.start)
