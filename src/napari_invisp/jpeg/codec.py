"""The real JPEG codec: libjpeg-turbo for the pixels, with EXIF, ICC profile and more segments."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import SupportsIndex

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import ImageCms

from napari_invisp.errors import CapsuleError, SettingsError
from napari_invisp.jpeg.segments import (
    EXIF_IDENTIFIER,
    ICC_IDENTIFIER,
    MAX_PAYLOAD,
    JpegStream,
    Segment,
)
from napari_invisp.jpeg.tables import (
    SAMPLING_FACTORS,
    Subsampling,
    check_quality,
    quantization_tables,
    sampling_factors,
)

#: Suffixes of JPEG files, lower case.
JPEG_SUFFIXES = (".jpg", ".jpeg", ".jpe")
#: Longest side that libjpeg writes and reads.
MAX_SIDE = 65500


@dataclass(frozen=True, eq=False)
class JpegImage:
    """What a JPEG file holds.

    Attributes
    ----------
    rgb
        ``(H, W, 3)`` uint8 sRGB, *as stored*: not turned by the EXIF orientation.
    tables
        ``(8, 8)`` quantization table of each component, vertical frequency first.
    quality
        The libjpeg quality that has these tables, or ``None`` where the encoder used others.
    subsampling
        ``"4:4:4"``, ``"4:2:2"``, ``"4:2:0"``, or ``None`` for any other.
    exif
        The EXIF block from its ``Exif`` identifier on, or ``None``.
    icc
        The ICC profile, or ``None``.
    segments
        All segments that precede the image data, in file order.
    """

    rgb: NDArray[np.uint8]
    tables: tuple[NDArray[np.int64], ...]
    quality: int | None
    subsampling: Subsampling | None
    exif: bytes | None
    icc: bytes | None
    segments: tuple[Segment, ...]

    @property
    def size(self) -> tuple[int, int]:
        """``(width, height)`` as stored, in pixels."""
        height, width = self.rgb.shape[:2]
        return width, height


def encode_jpeg(
    rgb: NDArray[np.uint8],
    quality: SupportsIndex = 90,
    subsampling: str = "4:2:2",
    *,
    exif: bytes | None = None,
    icc: bytes | None = None,
    segments: Iterable[Segment] = (),
) -> bytes:
    """Encode an image as a baseline JPEG (JFIF) file.

    Parameters
    ----------
    rgb
        ``(H, W, 3)`` uint8 sRGB, sides of 1 … 65500 pixels.
    quality
        1 … 100.
    subsampling
        ``"4:4:4"``, ``"4:2:2"`` or ``"4:2:0"``.
    exif
        EXIF block, as from :func:`~napari_invisp.jpeg.exif.build_exif`.
    icc
        ICC profile, such as :func:`srgb_profile`.
    segments
        More segments, placed after those.

    Returns
    -------
    bytes
        The whole file, pixel for pixel what Pillow would write.

    Raises
    ------
    SettingsError
        Quality or subsampling is not one of those.
    InvispError
        The image is too large, or a block of metadata is.
    """
    quality = check_quality(quality)
    sampling_factors(subsampling)
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8:
        raise ValueError(f"a JPEG is made of (H, W, 3) uint8, not {rgb.shape} {rgb.dtype}")
    height, width = rgb.shape[:2]
    if not (1 <= height <= MAX_SIDE and 1 <= width <= MAX_SIDE):
        raise SettingsError(
            f"an image of {width}x{height} pixels cannot be a JPEG, whose sides are 1 to {MAX_SIDE}"
        )
    data = imagecodecs.jpeg8_encode(
        np.ascontiguousarray(rgb), level=quality, subsampling=subsampling.replace(":", "")
    )
    added = [] if exif is None else [Segment(0xE1, exif)]
    added += [] if icc is None else _icc_segments(icc)
    return JpegStream.parse(bytes(data)).with_application([*added, *segments]).to_bytes()


def decode_components(data: bytes) -> NDArray[np.uint8] | None:
    """Decode a YCbCr JPEG without the step to RGB, which rounds and clips once more.

    Parameters
    ----------
    data
        A file that :func:`decode_jpeg` has taken.

    Returns
    -------
    numpy.ndarray or None
        ``(H, W, 3)`` uint8 Y, Cb and Cr at full resolution, of which
        :func:`~napari_invisp.jpeg.color.rgb_from_components` makes RGB; none if the file holds RGB
        to begin with.
    """
    try:
        components: NDArray[np.uint8] = imagecodecs.jpeg8_decode(data, outcolorspace="YCBCR")
    except imagecodecs.Jpeg8Error:
        return None
    return components


def decode_jpeg(source: bytes | Path, name: str | None = None) -> JpegImage:
    """Decode a colour JPEG file.

    Parameters
    ----------
    source
        The file, or its path.
    name
        What to call it in messages; the path's name where not given.

    Returns
    -------
    JpegImage
        Pixels as stored, and the facts of the coding.

    Raises
    ------
    CapsuleError
        The file cannot be read, is not a JPEG, is cut short, or is not 8-bit YCbCr or RGB.
    """
    if isinstance(source, Path):
        name = name or source.name
        try:
            source = source.read_bytes()
        except OSError as error:
            raise CapsuleError(f"cannot read {name}: {error.strerror or error}") from error
    stream = JpegStream.parse(source, name or "the JPEG")
    frame = stream.frame
    count = len(frame.components)
    if count != 3 or frame.precision != 8:
        kind = {1: "greyscale", 4: "CMYK"}.get(count, f"{count}-component")
        raise CapsuleError(
            f"{stream.name} is a {frame.precision}-bit {kind} JPEG; an 8-bit colour JPEG is needed"
        )
    tables = stream.tables
    try:
        rgb = imagecodecs.jpeg8_decode(source)
    except imagecodecs.Jpeg8Error as error:
        raise CapsuleError(f"{stream.name} cannot be decoded: {error}") from error
    exif = stream.application(1, EXIF_IDENTIFIER)
    return JpegImage(
        rgb=rgb,
        tables=tables,
        quality=quality_of(tables),
        subsampling=subsampling_of(stream),
        exif=exif[0].payload if exif else None,
        icc=_icc_of(stream),
        segments=stream.segments,
    )


@lru_cache(maxsize=1)
def srgb_profile() -> bytes:
    """Return an sRGB ICC profile, the same bytes every time."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    # ICC.1, 7.2: the header holds the time of creation at bytes 24-35; all zero means not given.
    profile[24:36] = bytes(12)
    return bytes(profile)


def _icc_segments(profile: bytes) -> list[Segment]:
    # ICC.1, annex B.4: chunks are numbered from 1, and each says how many there are.
    room = MAX_PAYLOAD - len(ICC_IDENTIFIER) - 2
    chunks = [profile[start : start + room] for start in range(0, len(profile), room)]
    if len(chunks) > 255:
        raise SettingsError(f"an ICC profile of {len(profile)} bytes does not fit a JPEG")
    return [
        Segment(0xE2, ICC_IDENTIFIER + bytes((number, len(chunks))) + chunk)
        for number, chunk in enumerate(chunks, 1)
    ]


def _icc_of(stream: JpegStream) -> bytes | None:
    skip = len(ICC_IDENTIFIER)
    chunks = [s.payload[skip:] for s in stream.application(2, ICC_IDENTIFIER)]
    return b"".join(chunk[2:] for chunk in sorted(chunks)) or None


def quality_of(tables: Sequence[NDArray[np.int64]]) -> int | None:
    """Return the libjpeg quality that has these ``(8, 8)`` tables, if there is one."""
    for quality in range(100, 0, -1):
        luminance, chrominance = quantization_tables(quality)
        if all(map(np.array_equal, tables, (luminance, chrominance, chrominance))):
            return quality
    return None


def subsampling_of(stream: JpegStream) -> Subsampling | None:
    """Return the chroma subsampling of a file, if it is one that has a name here."""
    luma, *chroma = ((c.horizontal, c.vertical) for c in stream.frame.components)
    if any(factors != (1, 1) for factors in chroma):
        return None
    return next((name for name, factors in SAMPLING_FACTORS.items() if factors == luma), None)
