"""Who took the picture and how: the EXIF of a RAW file of any kind."""

from __future__ import annotations

import io
import logging
import math
import re
import struct
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeVar

import exifread

from napari_invisp.sensor.record import Capture

_Value = TypeVar("_Value")

# Broken EXIF is common in RAW files and no news to the user.
logging.getLogger("exifread").addHandler(logging.NullHandler())


def read_exif(data: bytes) -> tuple[str, str, Capture]:
    """Read camera and capture facts.

    Nothing in a file's EXIF makes this fail: what is missing, broken or of an unknown format is
    left empty.

    Parameters
    ----------
    data
        The whole RAW file, or its beginning.

    Returns
    -------
    make, model : str
        The camera, empty if unknown.
    capture : Capture
        What is known about the exposure.
    """
    find = partial(_find, _tags(data))
    capture = Capture(
        taken=find(_date, "EXIF DateTimeOriginal", "Image DateTimeOriginal", "Image DateTime"),
        exposure_time=find(_positive, "EXIF ExposureTime", "Image ExposureTime"),
        f_number=find(_positive, "EXIF FNumber", "Image FNumber"),
        iso=find(_iso, "EXIF ISOSpeedRatings", "EXIF RecommendedExposureIndex", "EXIF ISOSpeed"),
        focal_length=find(_positive, "EXIF FocalLength", "Image FocalLength"),
        exposure_bias=find(_number, "EXIF ExposureBiasValue", "Image ExposureBiasValue"),
        lens=find(_text, "EXIF LensModel"),
        artist=find(_text, "Image Artist"),
        copyright=find(_text, "Image Copyright"),
    )
    make = find(_text, "Image Make") or ""
    # 0xC615 is DNG's LocalizedCameraModel.
    model = find(_text, "Image Model", "Image Tag 0xC615") or ""
    return make, model, capture


def read_writing(data: bytes) -> tuple[str, int]:
    """Read what wrote a file, and which way is up.

    Parameters
    ----------
    data
        As for :func:`read_exif`.

    Returns
    -------
    software : str
        Empty if unknown.
    orientation : int
        1 to 8; 1 if unknown.
    """
    tags = _tags(data)
    software = _find(tags, _text, "Image Software") or ""
    return software, _find(tags, _orientation, "Image Orientation") or 1


def _tags(data: bytes) -> dict[str, Any]:
    tags: dict[str, Any] = {}
    for part, prefix in _parts(data):
        try:
            found = exifread.process_file(io.BytesIO(part), details=False, extract_thumbnail=False)
        except Exception:  # exifread meets broken files with all kinds of exceptions
            continue
        tags |= {name.replace("Image", prefix, 1): tag for name, tag in found.items()}
    return tags


def _find(
    tags: dict[str, Any], convert: Callable[[Any], _Value | None], *names: str
) -> _Value | None:
    for name in names:
        try:
            value = convert(tags[name].values)
        except (KeyError, AttributeError, IndexError, TypeError, ValueError, ArithmeticError):
            continue
        if value is not None:
            return value
    return None


def _parts(data: bytes) -> Iterator[tuple[bytes, str]]:
    """Give the TIFF or JPEG parts of a file that hold EXIF, and what their first directory is."""
    if data[:15] == b"FUJIFILMCCD-RAW" and len(data) >= 92:
        # RAF: the preview, a whole JPEG with EXIF of its own; its place stands in the header.
        start, length = struct.unpack(">II", data[84:92])
        yield data[start : start + length], "Image"
    elif data[4:12] == b"ftypcrx ":
        # CR3: boxes of a TIFF each, the first of the picture's tags, the second of EXIF's.
        for box, directory in ((b"CMT1", "Image"), (b"CMT2", "EXIF")):
            at = data.find(box, 0, 1 << 20)
            if at >= 4:
                length = int.from_bytes(data[at - 4 : at], "big")
                yield data[at + 4 : at - 4 + length], directory
    else:
        yield data, "Image"


def _text(values: Any) -> str | None:
    text = values if isinstance(values, str) else bytes(values).decode("utf-8", "replace")
    return text.split("\0")[0].strip() or None


def _date(values: Any) -> str | None:
    text = _text(values) or ""
    return text if re.fullmatch(r"[12]\d{3}:\d\d:\d\d \d\d:\d\d:\d\d", text) else None


def _number(values: Any) -> float | None:
    number = float(values[0])
    return number if math.isfinite(number) else None


def _positive(values: Any) -> float | None:
    number = _number(values)
    return number if number is not None and number > 0 else None


def _orientation(values: Any) -> int | None:
    orientation = int(values[0])
    return orientation if 1 <= orientation <= 8 else None


def _iso(values: Any) -> int | None:
    # 65535 says that the true value did not fit and stands in another tag.
    iso = int(values[0])
    return iso if 0 < iso != 65535 else None
