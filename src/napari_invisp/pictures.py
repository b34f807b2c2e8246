"""Pictures of a RAW for people to look at, 8 bit."""

from __future__ import annotations

import io
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_invisp.metrics import absolute_error, network_raw
from napari_invisp.sensor.record import RawRecord

T = TypeVar("T", bound="np.generic[Any]")

# EXIF orientation → quarter turns counter-clockwise that bring the frame upright.
_TURNS = {1: 0, 3: 2, 6: 3, 8: 1}

# The map's white is the error that all but this share of the sites stay below.
_BRIGHTEST = 0.001


def bilinear_codes(record: RawRecord) -> NDArray[np.uint8]:
    """Show a mosaic as the paper does: balanced, bilinear, gamma 2.2, in the camera's own colours.

    Returns
    -------
    numpy.ndarray
        ``(H, W, 3)`` uint8, in the sensor's orientation.
    """
    rgb = network_raw(record)
    rgb *= 255
    return np.rint(rgb, out=rgb).astype(np.uint8)


def bilinear_picture(record: RawRecord) -> NDArray[np.uint8]:
    """Return :func:`bilinear_codes` turned upright."""
    return upright(bilinear_codes(record), record)


def error_map(original: RawRecord, recovered: RawRecord) -> tuple[NDArray[np.uint8], int]:
    """Show where two mosaics differ.

    Returns
    -------
    picture : numpy.ndarray
        ``(H, W)`` uint8, upright: black where they agree.
    white : int
        The absolute error in DN that is shown as white; one site in a thousand may go beyond it.

    Raises
    ------
    RawFileError
        They differ in size or CFA pattern.
    """
    error = absolute_error(original, recovered)
    white = max(1, round(float(np.quantile(error, 1 - _BRIGHTEST))))
    scaled = np.minimum(error, white).astype(np.float32) * np.float32(255 / white)
    return upright(np.rint(scaled).astype(np.uint8), original), white


def encode_png(picture: NDArray[np.uint8]) -> bytes:
    """Encode ``(H, W)`` grey or ``(H, W, 3)`` colours as a PNG file."""
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "PNG")
    return stream.getvalue()


def upright(picture: NDArray[T], record: RawRecord) -> NDArray[T]:
    """Turn ``(H, W, …)`` from the sensor's orientation to the one that it is looked at in."""
    return turned_upright(picture, record.orientation)


def turned_upright(picture: NDArray[T], orientation: int) -> NDArray[T]:
    """Turn ``(H, W, …)`` of a frame that an EXIF orientation brings upright."""
    return np.ascontiguousarray(np.rot90(picture, _TURNS[orientation]))


def as_stored(picture: NDArray[T], orientation: int) -> NDArray[T]:
    """Turn an upright ``(H, W, …)`` to the sensor's orientation: :func:`upright` backwards.

    Parameters
    ----------
    picture
        As one looks at it.
    orientation
        EXIF orientation that brings the sensor's frame upright.
    """
    return np.ascontiguousarray(np.rot90(picture, -_TURNS[orientation]))
