"""The colour filter array: from mosaic to three channels, and back without loss."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_invisp.sensor.record import CfaPattern, RawRecord

#: What the four sites of a 2x2 CFA are called; G1 is the green in red's rows.
CHANNELS = ("R", "G1", "B", "G2")

#: ``(row, column)`` of the four sites of a 2x2 CFA, in reading order.
SITES = ((0, 0), (0, 1), (1, 0), (1, 1))

#: Rows that are interpolated at a time, so that what is in work stays in the processor's cache.
_BAND = 16


def channel_sites(pattern: CfaPattern) -> dict[str, tuple[int, int]]:
    """Tell where in each 2x2 quad the sites of :data:`CHANNELS` are, in that order.

    Returns
    -------
    dict
        ``(row, column)``, each 0 or 1, by name.
    """
    row, column = SITES[pattern.index("R")]
    places = ((row, column), (row, 1 - column), (1 - row, 1 - column), (1 - row, column))
    return dict(zip(CHANNELS, places, strict=True))


def channel_index(channels: ArrayLike, shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Tell which channel each sensor site measures.

    Parameters
    ----------
    channels
        ``(2, 2)`` channel index of the top-left sites, as in :attr:`RawRecord.channels`.
    shape
        ``(H, W)`` of the mosaic.

    Returns
    -------
    numpy.ndarray
        ``(H, W)`` uint8: 0 for R, 1 for G, 2 for B.
    """
    height, width = shape
    index = np.empty(shape, np.uint8)
    for row, column in SITES:
        index[row:height:2, column:width:2] = np.asarray(channels)[row, column]
    return index


def normalise(record: RawRecord) -> NDArray[np.float32]:
    """Scale a mosaic so that each site's black is 0 and white is 1.

    Returns
    -------
    numpy.ndarray
        ``(H, W)`` float32. Noise below black is negative, data beyond the white level exceed 1.
    """
    values = np.empty(record.mosaic.shape, np.float32)
    for row in (0, 1):
        black = _along_row(record.black[row], record.width)
        span = _along_row(record.white - record.black[row], record.width)
        np.subtract(record.mosaic[row::2], black, out=values[row::2])
        values[row::2] /= span
    return values


def denormalise(values: NDArray[Any], black: ArrayLike, white: float) -> NDArray[np.uint16]:
    """Turn normalised values back into sensor counts: the inverse of :func:`normalise`.

    Parameters
    ----------
    values
        ``(H, W)`` floats, black 0, white 1.
    black
        ``(2, 2)`` black level of each site in DN.
    white
        White level in DN.

    Returns
    -------
    numpy.ndarray
        ``(H, W)`` uint16, rounded, clipped to the range of the type but not to the white level.
    """
    levels = np.asarray(black, np.float64)
    counts = np.empty(values.shape, np.uint16)
    width = values.shape[1]
    for row in (0, 1):
        exact = values[row::2] * _along_row(white - levels[row], width)
        exact += _along_row(levels[row], width)
        np.rint(exact, out=exact)
        counts[row::2] = np.clip(exact, 0, 65535, out=exact)
    return counts


def demosaic_bilinear(mosaic: NDArray[Any], channels: ArrayLike) -> NDArray[np.float32]:
    """Interpolate each missing sample from the nearest sites that measured its channel.

    Two neighbours along a row or column, or four around: the classic bilinear kernels. Measured
    samples are kept as they are. Borders mirror the mosaic about its outermost row and column,
    which keeps the CFA in phase, so no colour leaks in there.

    Parameters
    ----------
    mosaic
        ``(H, W)`` floats, at least 2x2.
    channels
        ``(2, 2)`` channel index of the top-left sites.

    Returns
    -------
    numpy.ndarray
        ``(H, W, 3)`` float32. :func:`mosaic_from_rgb` takes the mosaic back out.
    """
    height = mosaic.shape[0]
    layout = np.asarray(channels)
    padded = np.pad(np.asarray(mosaic, np.float32), 1, mode="reflect")
    rgb = np.empty((*mosaic.shape, 3), np.float32)
    for top in range(0, height, _BAND):
        bottom = min(top + _BAND, height)
        _interpolate(padded[top : bottom + 2], layout, rgb[top:bottom])
    return rgb


def _interpolate(
    padded: NDArray[np.float32], layout: NDArray[Any], rgb: NDArray[np.float32]
) -> None:
    """Fill ``rgb`` from its mosaic, which has a border of one site around it."""
    height, width = rgb.shape[:2]
    for row, column in SITES:
        site = rgb[row::2, column::2]

        # (0, 0) is the site itself, (-1, 0) what lies above it, and so on.
        near = {
            (y, x): padded[1 + row + y : 1 + height + y : 2, 1 + column + x : 1 + width + x : 2]
            for y in (-1, 0, 1)
            for x in (-1, 0, 1)
        }
        beside = near[0, -1] + near[0, 1]
        above_below = near[-1, 0] + near[1, 0]
        own = layout[row, column]
        site[..., own] = near[0, 0]
        if own == 1:
            site[..., layout[row, 1 - column]] = 0.5 * beside
            site[..., layout[1 - row, column]] = 0.5 * above_below
        else:
            corners = near[-1, -1] + near[-1, 1] + near[1, -1] + near[1, 1]
            site[..., 1] = 0.25 * (beside + above_below)
            site[..., 2 - own] = 0.25 * corners


def mosaic_from_rgb(rgb: NDArray[Any], channels: ArrayLike) -> NDArray[Any]:
    """Take the mosaic out of an image: at each site the channel that the sensor measures there.

    This is the exact inverse of every demosaicing that keeps measured samples.

    Parameters
    ----------
    rgb
        ``(H, W, 3)`` of any type.
    channels
        ``(2, 2)`` channel index of the top-left sites.

    Returns
    -------
    numpy.ndarray
        ``(H, W)`` of the same type.
    """
    mosaic = np.empty(rgb.shape[:2], rgb.dtype)
    layout = np.asarray(channels)
    for row, column in SITES:
        mosaic[row::2, column::2] = rgb[row::2, column::2, layout[row, column]]
    return mosaic


def put_mosaic(rgb: NDArray[Any], mosaic: NDArray[Any], channels: ArrayLike) -> None:
    """Write the measured samples into an image, in place: :func:`mosaic_from_rgb` backwards."""
    layout = np.asarray(channels)
    for row, column in SITES:
        rgb[row::2, column::2, layout[row, column]] = mosaic[row::2, column::2]


def _along_row(pair: NDArray[Any], width: int) -> NDArray[np.float32]:
    """Repeat the values of two neighbouring sites along a row."""
    return np.tile(np.asarray(pair, np.float32), width // 2 + 1)[:width]
