"""The pixels that a JPEG's coefficients define, free of what a decoder rounds off.

A decoder rounds three times on its way to 8-bit RGB: after the inverse DCT, after interpolating
chroma, and after the change of colours. None of that is in the file. Its coefficients are whole
multiples of known steps, so they can be read off the rounded pixels again, and the way back be gone
without rounding.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_invisp.devices import to_tensor
from napari_invisp.jpeg.codec import JpegImage, decode_components
from napari_invisp.jpeg.color import rgb_from_components, upsample
from napari_invisp.jpeg.dct import BLOCK, dct_matrix
from napari_invisp.jpeg.tables import sampling_factors

# Rows of blocks that are in work at a time.
_BAND = 8
# Planes are kept as integers in this unit, which is far below any noise.
_UNIT = 1 / 64
# A decoder's rounding moves luma by no more than this, interpolated chroma makes us guess more.
_LUMA_OFF, _CHROMA_OFF = 1.0, 2.0
# Each round of undoing the interpolation takes the error to a third or less.
_ROUNDS = 7


# Around what is wanted: planes are read off there too, whose own edges would matter otherwise.
_MARGIN = 32
# Pairs of blocks begin at multiples of it, whatever the subsampling.
_GRID = 16


class ExactDecoder:
    """Gives windows of a JPEG's picture without rounding.

    Blocks whose coefficients cannot be told, as the decoder clipped them or the frame ends inside
    them, stay as they were decoded.

    Parameters
    ----------
    components
        ``(H, W, 3)`` uint8 from :func:`~napari_invisp.jpeg.codec.decode_components`.
    jpeg
        The same file, decoded as usual.
    """

    def __init__(self, components: NDArray[np.uint8], jpeg: JpegImage) -> None:
        self._components, self._subsampling = components, jpeg.subsampling
        self._factors = (1, 1) if jpeg.subsampling is None else sampling_factors(jpeg.subsampling)
        self._tables = [torch.from_numpy(table).to(torch.float32) for table in jpeg.tables]

    def window(self, rows: slice, columns: slice, device: torch.device) -> Tensor:
        """Return a part of the picture.

        Parameters
        ----------
        rows, columns
            Which, beginning at even numbers.
        device
            Where it is wanted.

        Returns
        -------
        torch.Tensor
            ``(1, 3, h, w)`` float32 RGB, 0 … 255.
        """
        height, width = self._components.shape[:2]
        near, (rows, columns) = zip(
            *(_around(part, length) for part, length in ((rows, height), (columns, width))),
            strict=True,
        )
        planes = self._planes(self._components[near])
        luma = _loaded(planes[0][rows, columns], device)
        horizontal, vertical = self._factors
        near_rows, inner_rows = _neighbourhood(rows, vertical, planes[1].shape[0])
        near_columns, inner_columns = _neighbourhood(columns, horizontal, planes[1].shape[1])
        chroma = torch.cat(
            [_loaded(plane[near_rows, near_columns], device) for plane in planes[1:]], 1
        )
        chroma = upsample(chroma, self._factors, None)[..., inner_rows, inner_columns]
        height, width = luma.shape[-2:]
        return rgb_from_components(torch.cat((luma, chroma[..., :height, :width]), 1))

    def _planes(self, components: NDArray[np.uint8]) -> list[Tensor]:
        """Read luma and chroma off, each at its own resolution."""
        if self._subsampling is None:
            return [_stored(_plane(components, c)) for c in range(3)]
        planes = [_snapped(_plane(components, 0), self._tables[0], _LUMA_OFF)]
        for c, table in enumerate(self._tables[1:], 1):
            plane = _plane(components, c)
            if self._factors == (1, 1):
                planes.append(_snapped(plane, table, _LUMA_OFF))
            else:
                native = _without_interpolation(plane, self._factors)
                planes.append(_snapped(native, table, _CHROMA_OFF))
        return planes


def _around(part: slice, length: int) -> tuple[slice, slice]:
    """Return whole blocks around a part of an axis, and where the part lies among them."""
    start = max(0, part.start - _MARGIN) // _GRID * _GRID
    stop = min(length, part.stop + _MARGIN + -(part.stop + _MARGIN) % _GRID)
    return slice(start, stop), slice(part.start - start, min(part.stop, length) - start)


def windows_of(data: bytes, jpeg: JpegImage) -> Callable[[slice, slice, torch.device], Tensor]:
    """Return what gives windows of a JPEG's picture, as exact as the file allows.

    Parameters
    ----------
    data
        The whole file.
    jpeg
        The same, decoded.

    Returns
    -------
    callable
        As :meth:`ExactDecoder.window`.
    """
    components = decode_components(data)
    if components is not None:
        return ExactDecoder(components, jpeg).window

    def window(rows: slice, columns: slice, device: torch.device) -> Tensor:
        return to_tensor(jpeg.rgb[rows, columns], device)

    return window


def _neighbourhood(pixels: slice, factor: int, length: int) -> tuple[slice, slice]:
    """Return the chroma samples that pixels are interpolated from, and where they then begin."""
    first = max(0, pixels.start // factor - 2)
    last = min(length, -(-pixels.stop // factor) + 2)
    return slice(first, last), slice(pixels.start - first * factor, None)


def _plane(components: NDArray[np.uint8], channel: int) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(components[..., channel]))


def _stored(plane: Tensor) -> Tensor:
    return plane if plane.dtype == torch.int16 else (plane * (1 / _UNIT)).round_().to(torch.int16)


def _loaded(part: Tensor, device: torch.device) -> Tensor:
    return part.to(device).to(torch.float32)[None, None] * _UNIT


def _snapped(plane: Tensor, table: Tensor, off: float) -> Tensor:
    """Take the blocks of ``(H, W)`` to the nearest multiples of a table's steps.

    Returns
    -------
    torch.Tensor
        ``(H, W)`` int16 in :data:`_UNIT`; blocks that would move by more than ``off`` stay.
    """
    height, width = plane.shape
    result = torch.empty((height, width), dtype=torch.int16)
    dct = torch.kron(dct_matrix(), dct_matrix())  # of a flattened block
    steps = table.flatten()
    for top in range(0, height, _BAND * BLOCK):
        band = _completed(plane[top : top + _BAND * BLOCK].to(torch.float32))
        blocks = _blocks(band).sub_(128)
        exact = (blocks @ dct.T).div_(steps).round_().mul_(steps) @ dct
        exact.clamp_(-128, 127)
        moved = torch.sub(exact, blocks).abs_().amax(1, keepdim=True)
        exact = torch.where(moved <= off, exact, blocks).add_(128).mul_(1 / _UNIT).round_()
        rows = result[top : top + _BAND * BLOCK]
        rows.copy_(_assembled(exact, band.shape)[: len(rows), :width])
    return result


def _completed(band: Tensor) -> Tensor:
    """Repeat the last row and column up to whole blocks."""
    height, width = band.shape
    if height % BLOCK == width % BLOCK == 0:
        return band
    rows = torch.arange(-(-height // BLOCK) * BLOCK).clamp(max=height - 1)
    columns = torch.arange(-(-width // BLOCK) * BLOCK).clamp(max=width - 1)
    return band[rows][:, columns]


def _blocks(band: Tensor) -> Tensor:
    """``(H, W)`` as ``(H/8 · W/8, 64)``, a block a row."""
    height, width = band.shape
    blocks = band.reshape(height // BLOCK, BLOCK, width // BLOCK, BLOCK)
    return blocks.transpose(1, 2).reshape(-1, BLOCK**2)


def _assembled(blocks: Tensor, shape: torch.Size) -> Tensor:
    """Take :func:`_blocks` back."""
    height, width = shape
    parts = blocks.reshape(height // BLOCK, width // BLOCK, BLOCK, BLOCK)
    return parts.transpose(1, 2).reshape(height, width)


def _without_interpolation(plane: Tensor, factors: tuple[int, int]) -> Tensor:
    """Estimate the chroma samples that a decoder interpolated a plane from.

    Pairs of interpolated samples average to 1/8, 6/8 and 1/8 of three chroma samples in a row, so
    their mean is nearly the middle one, and the rest follows by iteration.
    """
    horizontal, vertical = factors
    if plane.shape[1] <= 2 * horizontal:  # so narrow a plane was repeated, not interpolated
        return plane[::vertical, ::horizontal].to(torch.float32)
    rows = _BAND * BLOCK  # few enough to stay in the processor's cache
    bands = (plane[top : top + rows] for top in range(0, len(plane), rows))
    values = torch.cat([_halved(band.to(torch.float32), 1) for band in bands])
    return _halved(values, 0) if vertical == 2 else values


def _halved(values: Tensor, dim: int) -> Tensor:
    """Undo the interpolation along an axis."""
    length = values.shape[dim]
    even, odd = (values.narrow(dim, k, length - k)[_every_other(dim)] for k in (0, 1))
    hidden = length % 2  # the last sample's second half lies beyond the frame
    if hidden:
        odd = torch.cat((odd, even.narrow(dim, even.shape[dim] - 1, 1)), dim)
    scaled = (even + odd).mul_(8 / 12)
    count = scaled.shape[dim]
    samples = scaled * 0.75
    for _ in range(_ROUNDS):
        better = scaled.clone()
        for to, of in ((1, 0), (0, 1)):  # each less a sixth of its neighbours
            part = better.narrow(dim, to, count - 1)
            part.sub_(samples.narrow(dim, of, count - 1), alpha=1 / 6)
        for edge in (0, count - 1):  # where the neighbour is itself once more
            better.narrow(dim, edge, 1).sub_(samples.narrow(dim, edge, 1), alpha=1 / 6)
        if hidden:
            last = even.narrow(dim, count - 1, 1) * 4
            if count > 1:
                last = last - samples.narrow(dim, count - 2, 1)
            better.narrow(dim, count - 1, 1).copy_(last / 3)
        samples = better
    return samples


def _every_other(dim: int) -> tuple[slice, ...]:
    return (slice(None),) * dim + (slice(None, None, 2),)
