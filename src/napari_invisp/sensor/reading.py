"""Reading a camera's RAW file into a record, by way of LibRaw."""

from __future__ import annotations

import io
import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import rawpy
import tifffile
from numpy.typing import NDArray

from napari_invisp.errors import RawFileError
from napari_invisp.sensor.exif import read_exif
from napari_invisp.sensor.libraw import opened, read_file
from napari_invisp.sensor.record import (
    CFA_PATTERNS,
    Capture,
    CfaPattern,
    RawRecord,
    camera_to_srgb_from,
    xyz_to_camera_from,
)

#: File name extensions of camera RAW files, lower case, with their dot.
RAW_EXTENSIONS: tuple[str, ...] = (
    ".3fr",
    ".arw",
    ".bay",
    ".cap",
    ".cr2",
    ".cr3",
    ".crw",
    ".dcr",
    ".dng",
    ".erf",
    ".fff",
    ".gpr",
    ".iiq",
    ".k25",
    ".kdc",
    ".mdc",
    ".mef",
    ".mos",
    ".mrw",
    ".nef",
    ".nrw",
    ".orf",
    ".ori",
    ".pef",
    ".ptx",
    ".pxn",
    ".raf",
    ".raw",
    ".rw2",
    ".rwl",
    ".rwz",
    ".sr2",
    ".srf",
    ".srw",
    ".x3f",
)

# LibRaw's flip → EXIF orientation.
_ORIENTATIONS = {0: 1, 3: 3, 5: 8, 6: 6}

# Below this, LibRaw takes no notice of a multiplier or a matrix.
_NO_MULTIPLIER = 1e-5
_NO_MATRIX = 0.125

# Containers that are not quite TIFF are common among RAW files and no news to the user.
logging.getLogger("tifffile").addHandler(logging.NullHandler())


def is_raw_name(path: Path | str) -> bool:
    """Tell from a file's name whether it is a camera RAW file."""
    return Path(path).suffix.lower() in RAW_EXTENSIONS


def read_raw(path: Path | str) -> RawRecord:
    """Read a camera RAW file.

    The mosaic is LibRaw's visible area; levels, white balance and matrix are those that LibRaw
    itself renders with, so that :func:`~napari_invisp.sensor.libraw.reference_srgb` of the
    record matches LibRaw's rendering of the file. Where a sensor has two greens of different
    as-shot multipliers, the record holds their mean.

    Parameters
    ----------
    path
        A file of any format that LibRaw knows.

    Returns
    -------
    RawRecord
        The frame.

    Raises
    ------
    RawFileError
        The file does not exist, is no RAW file, is damaged or cut short, or is not from a Bayer
        sensor; the message says which.
    """
    path = Path(path)
    data = read_file(path)
    try:
        container = _inspect(data)
        if not container.complete:
            raise RawFileError(
                "is cut short: its image data go on beyond the end of the file; copy it again"
            )
        make, model, capture = read_exif(data)
        if container.greyscale and not make:
            raise RawFileError("is an ordinary greyscale TIFF, not a camera RAW file")
        with opened(data) as raw:
            return _record(raw, container, make, model, capture)
    except RawFileError as error:
        raise RawFileError(f"{path} {error}") from error


@dataclass(frozen=True)
class _Container:
    """What the TIFF structure of a file says; other formats leave the defaults."""

    is_dng: bool = False
    greyscale: bool = False
    complete: bool = True
    bits: int = 0
    color_matrices: tuple[NDArray[np.float64], ...] = ()


def _inspect(data: bytes) -> _Container:
    """Look at the directories of a TIFF-like file.

    LibRaw decodes a DNG whose tiles lie beyond the end of the file to black without a word.
    """
    try:
        with tifffile.TiffFile(io.BytesIO(data)) as tiff:
            first = tiff.pages.first
            pages = [*tiff.pages, *(sub for page in tiff.pages for sub in page.pages or ())]
            raw_pages = [
                page for page in pages if isinstance(page, tifffile.TiffPage) and _holds_raw(page)
            ]
            return _Container(
                is_dng=50706 in first.tags,
                greyscale=first.photometric == tifffile.PHOTOMETRIC.MINISBLACK,
                complete=all(_is_complete(page, len(data)) for page in raw_pages),
                bits=max((_bits(page) for page in raw_pages), default=0),
                color_matrices=tuple(
                    _matrix(first.tags[tag].value) for tag in (50721, 50722) if tag in first.tags
                ),
            )
    except Exception:  # not a TIFF, or one that only LibRaw understands: LibRaw has the last word
        return _Container()


def _holds_raw(page: tifffile.TiffPage) -> bool:
    # DNG, NEF, ARW and others say CFA or linear RAW; CR2 has a tag of its own, 50656, instead.
    photometric = tifffile.PHOTOMETRIC
    return page.photometric in (photometric.CFA, photometric.LINEAR_RAW) or 50656 in page.tags


def _is_complete(page: tifffile.TiffPage, size: int) -> bool:
    # Where the directory itself is cut, offsets or counts are missing.
    parts = zip(page.dataoffsets, page.databytecounts, strict=False)
    return max((start + count for start, count in parts), default=size + 1) <= size


def _bits(page: tifffile.TiffPage) -> int:
    """Bits of a stored sample; 0 if unknown, or if the 16 are just those of the container."""
    bits = page.tags.valueof(258, 0)
    return bits if isinstance(bits, int) and bits < 16 else 0


def _matrix(rationals: tuple[int, ...]) -> NDArray[np.float64]:
    numerators, denominators = np.array(rationals, np.float64).reshape(9, 2).T
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(numerators / denominators).reshape(3, 3)


def _record(
    raw: rawpy.RawPy, container: _Container, make: str, model: str, capture: Capture
) -> RawRecord:
    pattern, colors = _bayer(raw)
    mosaic = raw.raw_image_visible.copy()
    white = raw.white_level
    needed = max(white, int(mosaic.max())).bit_length()
    try:
        camera_to_srgb, xyz_to_camera = _matrices(raw, container)
        return RawRecord(
            mosaic=mosaic,
            pattern=pattern,
            black=np.array(raw.black_level_per_channel, np.float64)[colors],
            white=float(white),
            white_balance=_white_balance(raw),
            camera_to_srgb=camera_to_srgb,
            xyz_to_camera=xyz_to_camera,
            orientation=_ORIENTATIONS.get(raw.sizes.flip, 1),
            make=make,
            model=model,
            bit_depth=max(container.bits, needed),
            capture=_completed(capture, raw),
        )
    except (RawFileError, np.linalg.LinAlgError) as error:
        raise RawFileError(f"holds facts that make no sense: {error}") from error


def _bayer(raw: rawpy.RawPy) -> tuple[CfaPattern, NDArray[np.intp]]:
    """Give the pattern of the visible area and LibRaw's colour index of its four sites.

    Raises
    ------
    RawFileError
        The sensor is not a Bayer sensor.
    """
    only = "only RAW files of Bayer sensors can be used"
    if raw.raw_type != rawpy.RawType.Flat:
        raise RawFileError(
            "holds full colour at every pixel (linear DNG, Foveon or reduced-size RAW), "
            f"not a mosaic; {only}"
        )
    sizes = raw.sizes
    layout = raw.raw_pattern
    if layout is None or layout.shape == (1, 1):
        raise RawFileError(f"is from a monochrome sensor; {only}")
    if sizes.height > sizes.raw_height or sizes.width > sizes.raw_width:
        # LibRaw turns Fuji's diagonal mosaic into a larger, upright frame.
        raise RawFileError(f"is from a Super CCD sensor, whose mosaic is diagonal; {only}")
    if layout.shape == (6, 6):
        raise RawFileError(f"is from an X-Trans sensor; {only}")
    letters = raw.color_desc.decode("ascii", "replace")
    if raw.num_colors != 3 or letters != "RGBG":
        raise RawFileError(f"is from a sensor with four colours ({letters}); {only}")
    top, left = sizes.top_margin, sizes.left_margin
    colors = np.array(
        [[raw.raw_color(top + row, left + column) for column in (0, 1)] for row in (0, 1)], np.intp
    )
    pattern = "".join(letters[color] for color in colors.ravel())
    if layout.shape != (2, 2) or pattern not in CFA_PATTERNS:
        raise RawFileError(f"has an unusual colour filter array ({pattern}…); {only}")
    return pattern, colors


def _white_balance(raw: rawpy.RawPy) -> NDArray[np.float64]:
    red, green, blue, green2 = raw.camera_whitebalance
    if min(red, green, blue) <= _NO_MULTIPLIER:
        # Not recorded: LibRaw then measures it in the picture. A quick half-size pass does that.
        raw.dcraw_process(
            use_camera_wb=True, half_size=True, no_auto_bright=True, adjust_maximum_thr=0.0
        )
        red, green, blue, green2 = cast(list[float], raw.auto_whitebalance)
    if green2 > _NO_MULTIPLIER:
        green = (green + green2) / 2
    return np.array([red, green, blue], np.float64)


def _matrices(
    raw: rawpy.RawPy, container: _Container
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Find ``camera_to_srgb`` and ``xyz_to_camera`` as LibRaw uses them with its defaults."""
    embedded = raw.color_matrix[:, :3].astype(np.float64)
    if container.is_dng and embedded[0, 0] > _NO_MATRIX:
        # A first guess: its multipliers tell what the camera makes of white.
        xyz_to_camera = xyz_to_camera_from(embedded, 1 / np.array(raw.daylight_whitebalance[:3]))
        for exact in container.color_matrices:
            # Not if the file has a calibration that changes it.
            if np.allclose(exact, xyz_to_camera, rtol=0, atol=1e-4):
                return camera_to_srgb_from(exact), exact
        return embedded, xyz_to_camera
    # LibRaw's own table has four decimals; its float32 values have more, and wrong ones.
    table = np.array([[float(str(x)) for x in row] for row in raw.rgb_xyz_matrix[:3]])
    if table.any():
        return camera_to_srgb_from(table), table
    return np.eye(3), xyz_to_camera_from(np.eye(3))


def _completed(capture: Capture, raw: rawpy.RawPy) -> Capture:
    """Fill in from LibRaw what the EXIF reader does not know, as for CR3 and RAF."""
    try:
        other, lens = raw.other, raw.lens
    except (AttributeError, ValueError, OverflowError, OSError):
        # An older rawpy, or a time stamp out of all bounds.
        return capture
    numbers = {
        "exposure_time": other.shutter_speed,
        "f_number": other.aperture,
        "focal_length": other.focal_length,
        "iso": other.iso_speed,
    }
    found: dict[str, Any] = {
        name: float(f"{value:.6g}") for name, value in numbers.items() if 0 < value < 1e7
    }
    if "iso" in found:
        found["iso"] = round(found["iso"])
    if other.timestamp.year > 1980:
        found["taken"] = f"{other.timestamp:%Y:%m:%d %H:%M:%S}"
    if lens.model.strip():
        found["lens"] = lens.model.strip()
    return replace(
        capture, **{name: value for name, value in found.items() if getattr(capture, name) is None}
    )
