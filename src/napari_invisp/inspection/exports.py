"""Writing what is looked at to files that other programs read: TIFF, OpenEXR, PNG.

Each file says what it is and how it was made, see :mod:`~napari_invisp.inspection.provenance`, and
takes its name only once it is complete.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR
import tifffile
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from napari_invisp.errors import InvispError
from napari_invisp.files import atomic_path
from napari_invisp.inspection.provenance import FORMAT, Provenance
from napari_invisp.jpeg.codec import srgb_profile
from napari_invisp.metrics import network_raw
from napari_invisp.pictures import upright
from napari_invisp.sensor.cfa import demosaic_bilinear, normalise
from napari_invisp.sensor.record import RawRecord

#: Suffixes of TIFF and of OpenEXR files, the usual one first.
TIFF_SUFFIXES, EXR_SUFFIXES = (".tif", ".tiff"), (".exr",)

# Size of letters: share of a map's longer side, and pixels at least.
_LETTER, _LEAST_LETTER = 0.016, 9


@dataclass(frozen=True, eq=False)
class Values:
    """The numbers of a file.

    Attributes
    ----------
    array
        ``(H, W)`` or ``(H, W, 3)``, uint16 or float32.
    meaning
        What they are, in words.
    srgb
        Whether they are gamma-encoded sRGB.
    """

    array: NDArray[Any]
    meaning: str
    srgb: bool = False


# -- what to write ------------------------------------------------------------------------------


def sensor_counts(record: RawRecord) -> Values:
    """Give a mosaic in DN, uint16, as the sensor stored it."""
    return Values(np.asarray(record.mosaic), f"sensor counts in DN, {_layout(record)}")


def normalised_mosaic(record: RawRecord) -> Values:
    """Give a mosaic with black at 0 and white at 1, float32, as the sensor stored it."""
    return Values(
        normalise(record), f"linear light, black level at 0, white level at 1, {_layout(record)}"
    )


def bilinear_16_bit(record: RawRecord) -> Values:
    """Give :func:`~napari_invisp.metrics.network_raw` in 65536 steps, uint16, upright."""
    rgb = network_raw(record)
    rgb *= 65535
    return Values(
        upright(np.rint(rgb, out=rgb).astype(np.uint16), record),
        "camera RGB, white-balanced, bilinear, gamma 2.2, white at 65535, in the camera's own "
        "colours",
    )


def balanced_rgb(record: RawRecord) -> Values:
    """Give white-balanced, bilinear camera RGB without gamma or clipping, float32, upright."""
    rgb = demosaic_bilinear(normalise(record), record.channels)
    rgb *= record.balance.astype(np.float32)
    return Values(
        upright(rgb, record),
        "linear camera RGB, white-balanced by multipliers up to 1, bilinear, not clipped, in the "
        "camera's own colours",
    )


def srgb_16_bit(codes: NDArray[np.uint8], record: RawRecord) -> Values:
    """Give an 8-bit picture of a record, as the sensor stores it, in uint16, upright."""
    return Values(
        upright(codes.astype(np.uint16) * np.uint16(257), record),
        "gamma-encoded sRGB, 8-bit codes times 257",
        srgb=True,
    )


def srgb_linear(codes: NDArray[np.uint8], record: RawRecord) -> Values:
    """Give an 8-bit sRGB picture of a record as linear light in [0, 1], float32, upright."""
    encoded = np.arange(256) / 255
    # IEC 61966-2-1.
    light = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    return Values(
        upright(light.astype(np.float32)[codes], record),
        "linear light with the primaries of sRGB, from 8-bit sRGB",
    )


def merged_light(light: NDArray[np.float32], record: RawRecord) -> Values:
    """Give linear light of a record's frame, as the sensor stores it, in float32, upright."""
    return Values(upright(light, record), "linear light with the primaries of sRGB, beyond 1 too")


def error_values(errors: NDArray[Any], record: RawRecord, meaning: str) -> Values:
    """Give a map of errors, as the sensor stores them, in float32, upright."""
    return Values(upright(errors.astype(np.float32, copy=False), record), meaning)


def _layout(record: RawRecord) -> str:
    return f"one sample a pixel, {record.pattern} from the top left, as stored by the sensor"


# -- how to write it ----------------------------------------------------------------------------


def write_tiff(path: Path, values: Values, provenance: Provenance) -> None:
    """Write a TIFF file: uint16 losslessly compressed, float32 as it is.

    Parameters
    ----------
    path
        The file to write or replace.
    values, provenance
        What it shows; sRGB gets a profile that says so.

    Raises
    ------
    OutputError
        The file cannot be written there.
    """
    array = values.array
    packed = array.dtype.kind == "u"
    with atomic_path(path) as temporary:
        tifffile.imwrite(
            temporary,
            array,
            photometric="rgb" if array.ndim == 3 else "minisblack",
            compression="zlib" if packed else None,
            compressionargs={"level": 4} if packed else None,
            predictor=2 if packed else None,
            rowsperstrip=64,
            iccprofile=srgb_profile() if values.srgb else None,
            description=_described(values, provenance).to_json(),
            software=provenance.software,
            metadata=None,
        )


def write_exr(path: Path, values: Values, provenance: Provenance) -> None:
    """Write a float32 OpenEXR file, losslessly compressed; a plane becomes its channel ``Y``.

    Parameters
    ----------
    path
        The file to write or replace.
    values, provenance
        What it shows, in float32.

    Raises
    ------
    OutputError
        The file cannot be written there.
    """
    if values.array.dtype != np.float32:
        raise ValueError(f"an OpenEXR file is made of float32, not {values.array.dtype}")
    header = {
        "compression": OpenEXR.ZIP_COMPRESSION,
        "type": OpenEXR.scanlineimage,
        "comments": values.meaning,
        FORMAT: _described(values, provenance).to_json(),
    }
    channels = {"RGB" if values.array.ndim == 3 else "Y": np.ascontiguousarray(values.array)}
    with atomic_path(path) as temporary:
        OpenEXR.File(header, channels).write(str(temporary))


def read_exr(path: Path) -> NDArray[np.float32]:
    """Read an OpenEXR file.

    Returns
    -------
    numpy.ndarray
        ``(H, W, 3)`` float32 of its R, G and B, or ``(H, W)`` if it has one channel.

    Raises
    ------
    InvispError
        It has other channels, or is damaged.
    """
    try:
        with OpenEXR.File(str(path), separate_channels=True) as file:
            channels = {name: channel.pixels for name, channel in file.channels().items()}
    except (RuntimeError, ValueError, TypeError) as error:
        raise InvispError(f"{path} is not an OpenEXR file that can be read: {error}") from error
    if {"R", "G", "B"} <= channels.keys():
        return np.stack([channels[name] for name in "RGB"], axis=-1).astype(np.float32)
    if len(channels) == 1:
        (plane,) = channels.values()
        return np.asarray(plane, np.float32)
    raise InvispError(
        f"{path} has the channels {', '.join(channels)}; R, G and B, or a single one, are needed"
    )


@dataclass(frozen=True, eq=False)
class MapLook:
    """How a map of errors is drawn.

    Attributes
    ----------
    title, measure
        What it is of, and what its numbers are, with their unit.
    limits
        What the first and the last colour stand for; values beyond get these colours too.
    colormap
        From the lowest to the highest.
    """

    title: str
    measure: str
    limits: tuple[float, float]
    colormap: Colormap

    def colours(self, errors: NDArray[Any]) -> NDArray[np.uint8]:
        """Return the map's colours, ``(H, W, 3)`` uint8."""
        low, high = self.limits
        scaled = (np.asarray(errors, np.float32) - np.float32(low)) / np.float32(high - low)
        return np.asarray(self.colormap(scaled, bytes=True)[..., :3])

    @property
    def words(self) -> str:
        """What the colours say."""
        low, high = self.limits
        return f"{self.measure}; colours from {low:g} to {high:g}"

    def draw_bar(self, figure: Figure, axes: Axes) -> None:
        """Draw the colour bar, along the longer side of the axes."""
        scale = ScalarMappable(Normalize(*self.limits), self.colormap)
        box = axes.get_window_extent()
        along = "horizontal" if box.width > box.height else "vertical"
        figure.colorbar(scale, cax=axes, orientation=along)


def map_picture(errors: NDArray[Any], look: MapLook) -> NDArray[np.uint8]:
    """Draw a map of errors, pixel for pixel, with its title above and its colour bar beside.

    Parameters
    ----------
    errors
        ``(H, W)``, upright.
    look
        How.

    Returns
    -------
    numpy.ndarray
        ``(H + 2·F, …, 3)`` uint8. The map begins at row and column F, which is twice the size of
        the letters: see :func:`frame_of`.
    """
    height, width = errors.shape
    frame = frame_of(errors.shape)
    letter = frame / 2
    down = height + 2 * frame
    # A long title may reach beyond a narrow map.
    title = f"{look.title}: {look.words}"
    across = frame + round(max(width + 8 * letter, 0.7 * letter * len(title)))
    # All that is drawn, lines too, is as large as letters of 10 points are.
    dpi = 72 * letter / 10
    figure = Figure(figsize=(across / dpi, down / dpi), dpi=dpi, facecolor="white")
    canvas: Any = FigureCanvasAgg(figure)
    figure.text(frame / across, 1 - 0.6 * letter / down, title, va="top", fontsize=10)
    place = frame + width + letter, frame, 1.2 * letter, height
    look.draw_bar(figure, figure.add_axes(tuple(np.divide(place, (across, down) * 2))))
    canvas.draw()
    picture = np.array(canvas.buffer_rgba())[..., :3]
    picture[frame : frame + height, frame : frame + width] = look.colours(errors)
    return picture


def frame_of(shape: tuple[int, ...]) -> int:
    """Return how many pixels :func:`map_picture` leaves above and left of a map of this shape."""
    return 2 * round(max(_LEAST_LETTER, _LETTER * max(shape)))


def write_map(path: Path, values: Values, look: MapLook, provenance: Provenance) -> None:
    """Write a map of errors as a PNG file, as :func:`map_picture` draws it.

    Raises
    ------
    OutputError
        The file cannot be written there.
    """
    about = PngInfo()
    about.add_itxt("Title", look.title)
    about.add_itxt("Software", provenance.software or "")
    about.add_itxt(FORMAT, provenance.replace(values=look.words).to_json())
    with atomic_path(path) as temporary:
        Image.fromarray(map_picture(values.array, look)).save(temporary, "PNG", pnginfo=about)


def _described(values: Values, provenance: Provenance) -> Provenance:
    return provenance.replace(values=values.meaning)
