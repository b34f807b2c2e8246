"""Writing a record as DNG: uncompressed, as lossless JPEG tiles, or around a lossy JPEG."""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import imagecodecs
import numpy as np
import rawpy
import tifffile
from numpy.typing import ArrayLike, NDArray
from PIL import TiffTags
from PIL.TiffImagePlugin import IFDRational, ImageFileDirectory_v2

from napari_invisp.errors import SettingsError
from napari_invisp.files import write_bytes_atomic
from napari_invisp.sensor.original import Original
from napari_invisp.sensor.record import (
    Capture,
    RawRecord,
    camera_to_srgb_from,
    xyz_to_camera_from,
)
from napari_invisp.sensor.tiff import Entry, read_directory

Compression = Literal["lossless-jpeg", "none"]

#: LibRaw opens nothing that is smaller than this many pixels along a side.
LIBRAW_MINIMUM = 22

_SOFTWARE = "napari-invisp"
_TILE = 128

# Type and value of a tag.
_Tags = dict[int, tuple[int, Any]]
# A strip or tile as it stands in the file.
_Chunk = bytes | memoryview

_STRIP_OFFSETS, _STRIP_BYTE_COUNTS = 273, 279
_TILE_OFFSETS, _TILE_BYTE_COUNTS = 324, 325
_HEADER = b"II*\0\x08\0\0\0"
_PRIVATE = 50740  # DNGPrivateData


def write_dng(
    path: Path | str,
    record: RawRecord,
    compression: Compression = "lossless-jpeg",
    *,
    private: bytes = b"",
    description: str = "",
    original: Original | None = None,
) -> None:
    """Write a record as a DNG file, under a temporary name until it is complete.

    Parameters
    ----------
    path
        The file to write or replace.
    record, compression, private, description, original
        As for :func:`encode_dng`.

    Raises
    ------
    OutputError
        The file cannot be written there.
    SettingsError
        There is no such compression.
    """
    write_bytes_atomic(
        Path(path),
        encode_dng(
            record, compression, private=private, description=description, original=original
        ),
    )


def encode_dng(
    record: RawRecord,
    compression: Compression = "lossless-jpeg",
    *,
    named: bool = True,
    coloured: bool = True,
    private: bytes = b"",
    description: str = "",
    original: Original | None = None,
) -> bytes:
    """Encode a record as a DNG file in memory.

    Mosaic, CFA pattern, levels, as-shot white balance, colour matrix, orientation, camera and
    capture EXIF are all in the file. Black and white levels are rounded to whole DN. White balance
    is carried up to its scale. The colour matrix is the one that makes a reader arrive at
    ``camera_to_srgb``. LibRaw reads the file's mosaic bit by bit if it has at least
    :data:`LIBRAW_MINIMUM` rows and columns.

    Parameters
    ----------
    record
        What to write.
    compression
        ``"lossless-jpeg"`` (about 7 bits per 12-bit sample) or ``"none"``.
    named
        Say which camera took the picture, when and how. A reader that is not told applies nothing
        that it knows about the camera.
    coloured
        Say what the camera's colours are. A reader that is not told has to know the camera.
    private
        What else the file carries for :func:`read_private`; it begins with the name of whose data
        they are, and a zero.
    description
        What programs show as the picture's description.
    original
        Tags of the file that the record came from; they are written as they are, in place of what
        the record says of the same.

    Returns
    -------
    bytes
        The file.

    Raises
    ------
    SettingsError
        There is no such compression.
    """
    if compression not in _STORED:
        raise SettingsError(f"compression {compression!r} is not one of {', '.join(_STORED)}")
    shape, chunks = _STORED[compression](record)
    tags = _image_tags(record) | shape
    if not coloured:
        del tags[_COLOR_MATRIX]
    if private:
        tags[_PRIVATE] = (TiffTags.BYTE, private)
    if description:
        tags[270] = _text(description)  # ImageDescription
    if not named:
        return _assemble(tags, Original(), chunks)
    return _named(tags, chunks, record, original)


def encode_linear_dng(
    record: RawRecord, jpeg: bytes, polynomials: ArrayLike, exposure: float
) -> bytes:
    """Put a JPEG of camera colours into a DNG file: three channels at every pixel, no mosaic.

    Parameters
    ----------
    record
        What the JPEG was made of; the file says of it all but mosaic, CFA and levels.
    jpeg
        Baseline JPEG file, 8 bit, three components, of the record's size.
    polynomials
        ``(3, N)`` coefficients for R, G, B, the constant first, N up to 9: linear camera colours
        of what the JPEG decodes to. 0 … 1 to within 0 … 1.
    exposure
        How much brighter than it is stored the picture is to be shown, in EV.

    Returns
    -------
    bytes
        The file.
    """
    mosaic_only = (33421, 33422, 50710, 50711, 50713, 50714)
    tags = {tag: entry for tag, entry in _image_tags(record).items() if tag not in mosaic_only}
    tags |= {
        258: (TiffTags.SHORT, (8, 8, 8)),  # BitsPerSample
        259: (TiffTags.SHORT, 34892),  # Compression: lossy JPEG
        262: (TiffTags.SHORT, 34892),  # PhotometricInterpretation: LinearRaw
        277: (TiffTags.SHORT, 3),  # SamplesPerPixel
        278: (TiffTags.LONG, record.height),  # RowsPerStrip
        50707: (TiffTags.BYTE, bytes((1, 4, 0, 0))),  # DNGBackwardVersion
        50717: (TiffTags.SHORT, (255, 255, 255)),  # WhiteLevel
        50730: (TiffTags.SIGNED_RATIONAL, _rationals([exposure])),  # BaselineExposure
        51009: (TiffTags.UNDEFINED, _map_polynomials(polynomials, record.mosaic.shape)),
    }
    return _named(tags, [jpeg], record)


def _map_polynomials(polynomials: ArrayLike, shape: tuple[int, ...]) -> bytes:
    """Encode OpcodeList2: a MapPolynomial for each plane (DNG 1.4, chapter 6; big-endian)."""
    planes = np.asarray(polynomials, np.float64)
    height, width = shape
    opcodes = [struct.pack(">I", len(planes))]
    for plane, coefficients in enumerate(planes):
        # Top, left, bottom, right; plane, planes; row and column pitch; degree.
        area = struct.pack(">9I", 0, 0, height, width, plane, 1, 1, 1, len(coefficients) - 1)
        data = area + coefficients.astype(">f8").tobytes()
        # Number, version of DNG that has it, flags.
        opcodes += [struct.pack(">I4sII", 8, bytes((1, 3, 0, 0)), 0, len(data)), data]
    return b"".join(opcodes)


def _named(
    tags: _Tags, chunks: Sequence[_Chunk], record: RawRecord, original: Original | None = None
) -> bytes:
    """Assemble a file that says which camera took the picture, when and how."""
    about = _about_tags(record)
    said = original or Original()
    if not said.exif:
        said = replace(said, exif=_entries(_exif_tags(record.capture)))
    data = _assemble(tags | about, said, chunks)
    if not _reads_whole(data, record):
        # LibRaw crops the DNGs of a few cameras (Leica SL2 and SL3, some Sony) as their makers'
        # files need it. It knows them by name, so the name goes where LibRaw does not look.
        names = (271, 272, 50708, 50709)
        about = {tag: entry for tag, entry in about.items() if tag not in names}
        about[50708] = _text(f"{_SOFTWARE} {record.camera}")  # UniqueCameraModel
        about[50709] = _text(record.camera)  # LocalizedCameraModel
        said = replace(said, image=tuple(each for each in said.image if each.tag not in names))
        data = _assemble(tags | about, said, chunks)
    return data


def read_private(path: Path | str) -> bytes:
    """Return the private data that a DNG carries; nothing if it is no DNG, or carries none."""
    try:
        with tifffile.TiffFile(path) as tiff:
            tag = tiff.pages.first.tags.get(_PRIVATE)
            return bytes(tag.value) if tag is not None else b""
    except (tifffile.TiffFileError, OSError, ValueError, TypeError):
        return b""


def _reads_whole(data: bytes, record: RawRecord) -> bool:
    """Tell whether LibRaw finds the record's own size in the file (it parses tags only)."""
    if min(record.mosaic.shape) < LIBRAW_MINIMUM:
        return True
    with rawpy.RawPy() as raw:
        raw.open_buffer(io.BytesIO(data))
        return (raw.sizes.height, raw.sizes.width) == record.mosaic.shape


def _uncompressed(record: RawRecord) -> tuple[_Tags, list[_Chunk]]:
    tags = {
        258: (TiffTags.SHORT, 16),  # BitsPerSample
        259: (TiffTags.SHORT, 1),  # Compression
        278: (TiffTags.LONG, record.height),  # RowsPerStrip
    }
    return tags, [np.ascontiguousarray(record.mosaic, "<u2").data.cast("B")]


def _lossless_jpeg(record: RawRecord) -> tuple[_Tags, list[_Chunk]]:
    # LibRaw loses step where a tile is wider than the frame, or just half as wide.
    width = max(16, min(_TILE, record.width // 16 * 16))
    if 2 * width == record.width:
        width -= 16
    height = _TILE
    bits = max(record.bit_depth, int(record.mosaic.max()).bit_length(), 2)
    padding = ((0, -record.height % height), (0, -record.width % width))
    mosaic = np.pad(record.mosaic, padding, mode="edge")
    if bits <= 8:
        mosaic = mosaic.astype(np.uint8)

    def encode(corner: tuple[int, int]) -> bytes:
        top, left = corner
        tile = np.ascontiguousarray(mosaic[top : top + height, left : left + width])
        # Two components a pixel, so that each sample is predicted from its own colour.
        pairs = tile.reshape(height, width // 2, 2)
        return bytes(
            imagecodecs.jpeg8_encode(pairs, lossless=True, predictor=1, bitspersample=bits)
        )

    corners = [
        (top, left)
        for top in range(0, mosaic.shape[0], height)
        for left in range(0, mosaic.shape[1], width)
    ]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        tiles: list[_Chunk] = list(pool.map(encode, corners))
    tags = {
        258: (TiffTags.SHORT, bits),  # BitsPerSample
        259: (TiffTags.SHORT, 7),  # Compression: JPEG
        322: (TiffTags.LONG, width),  # TileWidth
        323: (TiffTags.LONG, height),  # TileLength
    }
    return tags, tiles


_COLOR_MATRIX = 50721  # ColorMatrix1

_STORED = {"none": _uncompressed, "lossless-jpeg": _lossless_jpeg}


def _image_tags(record: RawRecord) -> _Tags:
    """List what a reader needs to develop the mosaic."""
    black = np.rint(record.black).astype(int).ravel().tolist()
    neutral = record.white_balance.min() / record.white_balance
    colors = bytes("RGB".index(letter) for letter in record.pattern)
    return {
        254: (TiffTags.LONG, 0),  # NewSubfileType: the full image
        256: (TiffTags.LONG, record.width),
        257: (TiffTags.LONG, record.height),
        262: (TiffTags.SHORT, 32803),  # PhotometricInterpretation: CFA
        274: (TiffTags.SHORT, record.orientation),
        277: (TiffTags.SHORT, 1),  # SamplesPerPixel
        284: (TiffTags.SHORT, 1),  # PlanarConfiguration
        305: (TiffTags.ASCII, _SOFTWARE),
        33421: (TiffTags.SHORT, (2, 2)),  # CFARepeatPatternDim
        33422: (TiffTags.BYTE, colors),  # CFAPattern
        50706: (TiffTags.BYTE, bytes((1, 4, 0, 0))),  # DNGVersion
        50707: (TiffTags.BYTE, bytes((1, 1, 0, 0))),  # DNGBackwardVersion
        50708: (TiffTags.ASCII, _SOFTWARE),  # UniqueCameraModel
        50710: (TiffTags.BYTE, bytes((0, 1, 2))),  # CFAPlaneColor: R, G, B
        50711: (TiffTags.SHORT, 1),  # CFALayout: rectangular
        50713: (TiffTags.SHORT, (2, 2)),  # BlackLevelRepeatDim
        50714: (TiffTags.LONG, tuple(black)),  # BlackLevel
        50717: (TiffTags.LONG, round(record.white)),  # WhiteLevel
        _COLOR_MATRIX: (TiffTags.SIGNED_RATIONAL, _rationals(_color_matrix(record).ravel())),
        50728: (TiffTags.RATIONAL, _rationals(neutral)),  # AsShotNeutral
        50730: (TiffTags.SIGNED_RATIONAL, _rationals([0.0])),  # BaselineExposure
        50778: (TiffTags.SHORT, 21),  # CalibrationIlluminant1: D65
    }


def _color_matrix(record: RawRecord) -> NDArray[np.float64]:
    """ColorMatrix1: the record's own if it leads to the record's rendering, else one that does."""
    try:
        rendering = camera_to_srgb_from(record.xyz_to_camera)
        if np.allclose(rendering, record.camera_to_srgb, rtol=0, atol=1e-6):
            return record.xyz_to_camera
    except np.linalg.LinAlgError:
        pass
    return xyz_to_camera_from(record.camera_to_srgb)


def _about_tags(record: RawRecord) -> _Tags:
    """List camera, date and author."""
    capture = record.capture
    texts = {
        271: record.make,
        272: record.model,
        306: capture.taken,
        315: capture.artist,
        33432: capture.copyright,
        50708: record.camera,  # UniqueCameraModel
    }
    return {tag: _text(text) for tag, text in texts.items() if text}


def _exif_tags(capture: Capture) -> _Tags:
    """List how the picture was taken; empty if nothing is known."""
    tags: _Tags = {}
    for tag, kind, value in (
        (33434, TiffTags.RATIONAL, capture.exposure_time),
        (33437, TiffTags.RATIONAL, capture.f_number),
        (37380, TiffTags.SIGNED_RATIONAL, capture.exposure_bias),
        (37386, TiffTags.RATIONAL, capture.focal_length),
    ):
        if value is not None and abs(value) < 2**31:
            tags[tag] = (kind, _rationals([value]))
    if capture.iso is not None:
        kind = TiffTags.SHORT if capture.iso < 65536 else TiffTags.LONG
        tags[34855] = (kind, capture.iso)  # PhotographicSensitivity
    for tag, text in ((36867, capture.taken), (42036, capture.lens)):
        if text:
            tags[tag] = _text(text)
    if tags:
        tags[36864] = (TiffTags.UNDEFINED, b"0231")  # ExifVersion
    return tags


def _text(text: str) -> tuple[int, bytes]:
    # ASCII by the standard, UTF-8 by common practice.
    return TiffTags.ASCII, text.encode("utf-8", "replace")


def _rationals(values: Iterable[float]) -> tuple[IFDRational, ...]:
    """Give the nearest fractions whose two halves fit into 31 bits."""
    fractions = []
    for value in values:
        limit = int((2**31 - 1) / max(1.0, abs(value)))
        nearest = Fraction(float(value)).limit_denominator(limit)
        fractions.append(IFDRational(nearest.numerator, nearest.denominator))
    return tuple(fractions)


def _assemble(tags: _Tags, original: Original, chunks: Sequence[_Chunk]) -> bytes:
    """Lay out header, directories and image data; what an original says is left as it is."""
    tiled = 322 in tags
    offsets_tag = _TILE_OFFSETS if tiled else _STRIP_OFFSETS
    counts_tag = _TILE_BYTE_COUNTS if tiled else _STRIP_BYTE_COUNTS
    sizes = [len(chunk) for chunk in chunks]
    said = {entry.tag for entry in original.image}
    tags = tags | {counts_tag: (TiffTags.LONG, tuple(sizes))}
    entries = _entries({tag: entry for tag, entry in tags.items() if tag not in said})

    def directories(offsets: NDArray[np.int64]) -> list[bytes]:
        place = Entry(offsets_tag, TiffTags.LONG, offsets.astype("<u4").tobytes())
        return original.directories(len(_HEADER), (*entries, place))

    # Their length does not depend on the offsets in them, so a first draft tells where things go.
    offsets = np.cumsum([0, *sizes[:-1]])
    start = len(_HEADER) + sum(map(len, directories(offsets)))
    return b"".join([_HEADER, *directories(start + offsets), *chunks])


def _entries(tags: _Tags) -> tuple[Entry, ...]:
    """Encode tags as entries of a directory."""
    directory = ImageFileDirectory_v2()
    for tag, (kind, value) in tags.items():
        directory.tagtype[tag] = kind
        directory[tag] = value
    entries, _ = read_directory(_HEADER + directory.tobytes(len(_HEADER)), len(_HEADER))
    return tuple(entries)
