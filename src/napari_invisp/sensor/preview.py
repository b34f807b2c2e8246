"""The camera's own JPEG of a picture, which most RAW files hold beside the mosaic."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import rawpy
from numpy.typing import NDArray
from PIL import ExifTags, Image

from napari_invisp.errors import RawFileError
from napari_invisp.sensor.libraw import identified, read_file

# LibRaw's flip → quarter turns counter-clockwise from the sensor's orientation to upright.
_TURNS = {3: 2, 5: 1, 6: 3}
# EXIF's orientation of a picture that is stored as the sensor stands, by LibRaw's flip.
_AS_STORED = {3: 3, 5: 8, 6: 6}


def camera_preview(source: bytes | Path | str) -> NDArray[np.uint8] | None:
    """Take the preview out of a RAW file: the picture as the camera developed it.

    Parameters
    ----------
    source
        The whole file, or its path.

    Returns
    -------
    numpy.ndarray or None
        ``(h, w, 3)`` uint8 in the sensor's orientation, of any size: cameras store the full size,
        a small one, or a picture cropped to other proportions. None if there is none that can be
        read.

    Raises
    ------
    RawFileError
        It is not a RAW file.
    """
    name = "the file"
    if not isinstance(source, bytes):
        name, source = str(source), read_file(Path(source))
    try:
        with identified(source) as raw:
            flip = raw.sizes.flip
            try:
                found = raw.extract_thumb()
            except rawpy.LibRawError:
                return None
    except RawFileError as error:
        raise RawFileError(f"{name} {error}") from error
    if found.format != rawpy.ThumbFormat.JPEG:
        picture, stated = np.asarray(found.data), None
        if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8:
            return None
    else:
        try:
            with Image.open(io.BytesIO(bytes(found.data)), formats=["JPEG"]) as image:
                stated = image.getexif().get(ExifTags.Base.Orientation)
                picture = np.asarray(image.convert("RGB"))
        except (OSError, SyntaxError):  # what Pillow raises on damaged files
            return None
    if _is_upright(picture, flip, stated):
        picture = np.rot90(picture, -_TURNS[flip])
    return np.ascontiguousarray(picture)


def _is_upright(picture: NDArray[np.uint8], flip: int, stated: int | None) -> bool:
    """Tell whether a preview was turned when it was stored, although the sensor stood otherwise."""
    if flip not in _TURNS:
        return False
    height, width = picture.shape[:2]
    if flip != 3 and height != width:
        return bool(height > width)  # sensors are wider than high
    return stated is not None and stated != _AS_STORED[flip]
