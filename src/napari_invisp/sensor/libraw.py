"""LibRaw as developer: of a file, and of a record as if it were one."""

from __future__ import annotations

import io
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import rawpy
from numpy.typing import NDArray

from napari_invisp.errors import RawFileError, SettingsError
from napari_invisp.files import read_whole
from napari_invisp.sensor.cfa import demosaic_bilinear, normalise, put_mosaic
from napari_invisp.sensor.dng import LIBRAW_MINIMUM, encode_dng
from napari_invisp.sensor.record import RawRecord

#: Names of the demosaicing algorithms, the best compromise of speed and quality first. All keep
#: measured samples, but for rounding.
DEMOSAICING = ("ahd", "ppg", "vng", "dcb", "dht", "aahd", "bilinear")

# What the reference is rendered with. adjust_maximum_thr=0: white must not depend on the scene.
_REFERENCE: dict[str, Any] = {
    "use_camera_wb": True,
    "no_auto_bright": True,
    "adjust_maximum_thr": 0.0,
    "user_flip": 0,
}

# Interpolate only: the mosaic comes scaled, and leaves linear and in the camera's own colours.
_INTERPOLATE = _REFERENCE | {
    "no_auto_scale": True,
    "highlight_mode": rawpy.HighlightMode.Ignore,
    "output_color": rawpy.ColorSpace.raw,
    "gamma": (1, 1),
    "output_bps": 16,
}

#: Called with steps done and steps in all; may raise to stop.
Step = Callable[[int, int], None]

# These look at no more than so many rows above and below, and can be run in bands.
_REACH = {"ahd": 16, "ppg": 16, "vng": 16}
# Rows that LibRaw interpolates at a time: enough to use all cores, few enough to be stopped.
_LIBRAW_BAND = 1024
# Rows that are scaled at a time, so that what is in work stays in the processor's cache.
_BAND = 64

_STDERR = 2
_stderr_lock = Lock()


def read_file(path: Path) -> bytes:
    """Read a RAW file into memory.

    Raises
    ------
    RawFileError
        There is no such file, it cannot be read, or it is empty.
    """
    data = read_whole(path, "a RAW file", RawFileError)
    if not data:
        raise RawFileError(f"{path} is empty")
    return data


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep off the standard error stream what LibRaw prints there besides failing."""
    with _stderr_lock:
        try:
            kept = os.dup(_STDERR)
        except OSError:  # a program without a console has none
            yield
            return
        try:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, _STDERR)
            os.close(nowhere)
            yield
        finally:
            os.dup2(kept, _STDERR)
            os.close(kept)


@contextmanager
def identified(data: bytes) -> Iterator[rawpy.RawPy]:
    """Open a file in memory with LibRaw, without decoding its mosaic.

    Parameters
    ----------
    data
        The whole file.

    Yields
    ------
    rawpy.RawPy
        Closed when the block ends.

    Raises
    ------
    RawFileError
        LibRaw does not know the format. The message has no subject: put the file's name before it.
    """
    with rawpy.RawPy() as raw:
        try:
            with _quiet():
                raw.open_buffer(io.BytesIO(data))
        except (rawpy.LibRawError, OSError) as error:
            raise RawFileError(
                "is not a camera RAW file that LibRaw can read, or its beginning is damaged"
            ) from error
        yield raw


@contextmanager
def opened(data: bytes) -> Iterator[rawpy.RawPy]:
    """Open a file in memory with LibRaw and decode its mosaic.

    Parameters
    ----------
    data
        The whole file.

    Yields
    ------
    rawpy.RawPy
        Unpacked; closed when the block ends.

    Raises
    ------
    RawFileError
        LibRaw does not know the format, or cannot decode what is in it. The message has no
        subject: put the file's name before it.
    """
    with identified(data) as raw:
        try:
            with _quiet():
                raw.unpack()
        except (rawpy.LibRawUnsufficientMemoryError, rawpy.LibRawTooBigError) as error:
            raise RawFileError("needs more memory than LibRaw may take") from error
        except rawpy.LibRawError as error:
            raise RawFileError(
                "is damaged or cut short: LibRaw cannot decode its image data"
            ) from error
        yield raw


def reference_srgb(record: RawRecord, step: Step | None = None) -> NDArray[np.uint8]:
    """Render a record as LibRaw would render its file: the reference sRGB.

    As-shot white balance, AHD, clipping at white, the camera's matrix, the BT.709 curve; no
    automatic brightness, no scene-dependent white, not turned upright.

    Parameters
    ----------
    record
        Any record, edited or recovered ones too; LibRaw rounds black and white to whole DN.
    step
        Told of progress.

    Returns
    -------
    numpy.ndarray
        ``(H, W, 3)`` uint8.
    """
    rgb: NDArray[np.uint8] = _developed(record, _REFERENCE, _REACH["ahd"], step)
    return rgb


def reference_srgb_file(path: Path | str) -> NDArray[np.uint8]:
    """Render a RAW file with LibRaw in the same way as :func:`reference_srgb`.

    Raises
    ------
    RawFileError
        The file cannot be read or decoded.
    """
    path = Path(path)
    data = read_file(path)
    try:
        with opened(data) as raw:
            rgb: NDArray[np.uint8] = raw.postprocess(**_REFERENCE)
            return rgb
    except RawFileError as error:
        raise RawFileError(f"{path} {error}") from error


def known_camera_matrix(make: str, model: str) -> NDArray[np.float64] | None:
    """Look up what LibRaw knows of a camera's colours.

    Parameters
    ----------
    make, model
        As the camera writes them into its files.

    Returns
    -------
    numpy.ndarray or None
        ``(3, 3)`` float64, CIE XYZ → camera; none if LibRaw does not know the camera.
    """
    neutral = np.eye(3)
    frame = np.zeros((LIBRAW_MINIMUM, LIBRAW_MINIMUM), np.uint16)
    record = RawRecord(
        frame, "RGGB", np.zeros((2, 2)), 4095, np.ones(3), neutral, neutral, make=make, model=model
    )
    with opened(encode_dng(record, "none", coloured=False)) as raw:
        matrix = np.asarray(raw.rgb_xyz_matrix[:3], np.float64)
    return matrix if matrix.any() else None


def demosaic(record: RawRecord, algorithm: str = "ahd") -> NDArray[np.float32]:
    """Interpolate the mosaic to three channels: balanced RGB, unclipped.

    Parameters
    ----------
    record
        What to demosaic.
    algorithm
        One of :data:`DEMOSAICING`.

    Returns
    -------
    numpy.ndarray
        ``(H, W, 3)`` float32: black 0, the white level at ``record.balance``; data beyond white
        go beyond that, noise below black is cut to 0. Each site holds its measured sample
        exactly, so :func:`~napari_invisp.sensor.cfa.mosaic_from_rgb` takes the mosaic back out.

    Raises
    ------
    SettingsError
        There is no such algorithm.
    """
    balanced = _balanced(record)
    if _known(algorithm) == "bilinear":
        return demosaic_bilinear(balanced, record.channels)
    counts, scale = _interpolated(record, balanced, algorithm)
    rgb = np.empty(counts.shape, np.float32)
    for top in range(0, record.height, _BAND):
        rows = slice(top, top + _BAND)
        np.multiply(counts[rows], np.float32(scale), out=rgb[rows])
        put_mosaic(rgb[rows], balanced[rows], record.channels)
    return rgb


def demosaic_uint16(
    record: RawRecord, algorithm: str = "ahd", step: Step | None = None
) -> tuple[NDArray[np.uint16], float]:
    """Interpolate the mosaic to three channels of 16-bit integers, for lookup tables.

    Parameters
    ----------
    record, algorithm
        As for :func:`demosaic`.
    step
        Told of progress.

    Returns
    -------
    counts : numpy.ndarray
        ``(H, W, 3)`` uint16.
    scale : float
        ``counts * scale`` is balanced RGB as from :func:`demosaic`, to half a count.

    Raises
    ------
    SettingsError
        There is no such algorithm.
    """
    balanced = _balanced(record)
    if _known(algorithm) != "bilinear":
        return _interpolated(record, balanced, algorithm, step)
    return _quantised(demosaic_bilinear(balanced, record.channels))


def _known(algorithm: str) -> str:
    if algorithm not in DEMOSAICING:
        raise SettingsError(f"demosaicing {algorithm!r} is not one of {', '.join(DEMOSAICING)}")
    return algorithm


def _balanced(record: RawRecord) -> NDArray[np.float32]:
    """Give the mosaic with black 0 and white at the balance of each site's channel."""
    values = normalise(record)
    gains = record.balance[record.channels].astype(np.float32)
    for row in (0, 1):
        values[row::2] *= np.tile(gains[row], record.width // 2 + 1)[: record.width]
    return np.maximum(values, 0, out=values)


def _quantised(values: NDArray[np.float32]) -> tuple[NDArray[np.uint16], float]:
    """Spread 0 to white, or to the brightest sample beyond it, over 16 bits."""
    scale = max(1.0, float(values.max())) / 65535
    counts = np.empty(values.shape, np.uint16)
    for top in range(0, len(values), _BAND):
        rows = slice(top, top + _BAND)
        counts[rows] = np.rint(values[rows] * np.float32(1 / scale))
    return counts, scale


def _interpolated(
    record: RawRecord, balanced: NDArray[np.float32], algorithm: str, step: Step | None = None
) -> tuple[NDArray[np.uint16], float]:
    counts, scale = _quantised(balanced)
    # Scaled by us, not by LibRaw: it would round down, and measure all sites from one black.
    scaled = record.replace(mosaic=counts, black=np.zeros((2, 2)), white=65535)
    parameters = _INTERPOLATE | {"demosaic_algorithm": rawpy.DemosaicAlgorithm[algorithm.upper()]}
    return _developed(scaled, parameters, _REACH.get(algorithm), step), scale


def _developed(
    record: RawRecord,
    parameters: dict[str, Any],
    reach: int | None = None,
    step: Step | None = None,
) -> NDArray[Any]:
    """Run a record through LibRaw by way of a DNG in memory.

    If a pixel of the result depends on nothing that is more than ``reach`` rows away, an even
    number, that is done in bands, and ``step`` is told of them.
    """
    height, width = record.mosaic.shape
    count = math.ceil(height / _LIBRAW_BAND)
    if reach is not None and count > 1:
        rows = 2 * math.ceil(height / (2 * count))
        bands = []
        for done, top in enumerate(range(0, height, rows)):
            if step is not None:
                step(done, count)
            first = max(0, top - reach)
            band = record.replace(mosaic=record.mosaic[first : top + rows + reach])
            bands.append(_developed(band, parameters)[top - first :][:rows])
        return np.concatenate(bands)
    if min(height, width) < LIBRAW_MINIMUM:
        beyond = ((0, max(0, LIBRAW_MINIMUM - height)), (0, max(0, LIBRAW_MINIMUM - width)))
        record = record.replace(mosaic=np.pad(record.mosaic, beyond, mode="reflect"))
    # Without the camera's name, LibRaw adds nothing that is not in the record.
    with opened(encode_dng(record, "none", named=False)) as raw:
        rgb: NDArray[Any] = raw.postprocess(**parameters)
    return rgb[:height, :width]
