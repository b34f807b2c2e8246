"""Sending parts of a rendering through JPEG before the file is written, to learn what it does."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_invisp.conversion import from_network, to_mosaic
from napari_invisp.flow.coded import Coded, Trial
from napari_invisp.flow.profiles import Profile
from napari_invisp.jpeg.codec import decode_jpeg, encode_jpeg
from napari_invisp.jpeg.exact import windows_of
from napari_invisp.metrics import network_raw
from napari_invisp.sensor.record import RawRecord

# Blocks and pairs of blocks lie alike wherever a multiple of this begins.
_GRID = 16
_SIDE, _EDGE = 96, 16
_COUNT = 6  # windows, in each direction


def attempt(
    rgb: NDArray[np.uint8],
    record: RawRecord,
    profile: Profile,
    coded: Coded,
    device: torch.device,
) -> Trial | None:
    """Send windows from all over a frame through JPEG.

    Parameters
    ----------
    rgb
        ``(H, W, 3)`` uint8 sRGB.
    record
        What it was rendered from, as the model sees it.
    profile
        The model's.
    coded
        Quality and subsampling.
    device
        Where the model runs.

    Returns
    -------
    Trial or None
        None if the frame is too small for a window.
    """
    side = min(_SIDE, min(rgb.shape[:2]) // _GRID * _GRID)
    if side <= 2 * _EDGE:
        return None
    rows, columns = (_windows(length, side) for length in rgb.shape[:2])
    sheet = np.ix_(rows, columns)
    data = encode_jpeg(rgb[sheet], coded.quality, coded.subsampling)
    decoded = windows_of(data, decode_jpeg(data))
    original = record.replace(mosaic=record.mosaic[sheet])

    def network_raw_of(recovered: Tensor) -> Tensor:
        mosaic = to_mosaic(from_network(recovered, profile), original)
        return torch.from_numpy(network_raw(original.replace(mosaic=mosaic)))

    inner_rows, inner_columns = (_inner(len(each), side) for each in (rows, columns))
    return Trial(
        decoded=decoded(slice(0, len(rows)), slice(0, len(columns)), device) / 255,
        coded=coded,
        truth=torch.from_numpy(network_raw(original)),
        network_raw=network_raw_of,
        inner=torch.from_numpy(inner_rows[:, None] & inner_columns),
    )


def _windows(length: int, side: int) -> NDArray[Any]:
    """Return which rows, or columns, are in windows spread evenly over a frame."""
    count = min(_COUNT, length // side)
    places = (np.arange(count) + 0.5) / count * ((length - side) // _GRID + 1)
    starts = places.astype(int) * _GRID
    return (starts[:, None] + np.arange(side)).ravel()


def _inner(length: int, side: int) -> NDArray[np.bool_]:
    """Tell which rows, or columns, of the windows are far from their edges."""
    within = np.arange(length) % side
    return (within >= _EDGE) & (within < side - _EDGE)
