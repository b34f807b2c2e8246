"""What the docks for retouching and tone mapping do once, beside the window. Free of Qt.

Each job is a generator of results.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from napari_invisp.errors import RawFileError
from napari_invisp.hdr.merging import merge
from napari_invisp.pictures import as_stored
from napari_invisp.retouching.fitting import camera_preview, fit
from napari_invisp.retouching.policy import policy_settings
from napari_invisp.retouching.settings import RetouchSettings
from napari_invisp.sensor.reading import read_raw
from napari_invisp.sensor.record import RawRecord
from napari_invisp.tiling import Watcher
from napari_invisp.viewer.layers import KIND, MADE_OF, RECORD, Kind, LayerData, layer_data
from napari_invisp.viewer.work.previewing import Callbacks, Sheet

# Linear light would look too dark on a screen, which expects gamma-encoded values.
_LINEAR_GAMMA = 1 / 2.2

#: Gives the picture that a result is to look like, ``(h, w, 3)`` uint8 sRGB as the source lies.
Reference = Callable[[], NDArray[np.uint8] | None]


@dataclass(frozen=True, eq=False)
class Frame:
    """A frame of a bracket.

    Attributes
    ----------
    key
        What it is told by: a layer's ``unique_id``, or a path.
    name
        What people call it.
    raw
        The RAW, or the file that it is in.
    """

    key: str
    name: str
    raw: RawRecord | Path


def fitted(
    sheet: Sheet, settings: RetouchSettings, reference: Reference, report: Callbacks
) -> Iterator[RetouchSettings]:
    """Find settings that make a source look like a reference; well exposed if there is none.

    Parameters
    ----------
    sheet
        Of the source.
    settings
        To begin with.
    reference
        Called in the thread.
    report
        Where to report to.
    """
    watcher = Watcher(report.progress, report.cancelled)
    light = sheet.light(settings, watcher)
    yield fit(light, reference(), settings, progress=report.progress, cancelled=report.cancelled)


def by_policy(
    sheet: Sheet, settings: RetouchSettings, path: Path, report: Callbacks
) -> Iterator[RetouchSettings]:
    """Let a trained policy retouch a source."""
    light = sheet.light(settings, Watcher(report.progress, report.cancelled))
    yield policy_settings(path, light)[-1]


def camera_look(path: Path) -> NDArray[np.uint8]:
    """Return the picture that the camera has put into its file.

    Raises
    ------
    RawFileError
        There is none.
    """
    picture = camera_preview(path)
    if picture is None:
        raise RawFileError(
            f"{path} holds no picture that the camera made; choose another reference, or none"
        )
    return picture


def reference_file(path: Path, orientation: int) -> NDArray[np.uint8]:
    """Read a picture, and turn it as the sensor would have stored it.

    Parameters
    ----------
    path
        A JPEG, PNG or TIFF, 8 bit.
    orientation
        EXIF orientation that brings the source upright.

    Raises
    ------
    RawFileError
        It cannot be read.
    """
    try:
        with Image.open(path) as image:
            picture = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise RawFileError(f"{path} cannot be read as a picture: {error}") from error
    return as_stored(picture, orientation)


def merged(frames: Sequence[Frame], report: Callbacks) -> Iterator[LayerData | list[str]]:
    """Merge a bracket to one HDR layer.

    Parameters
    ----------
    frames
        Two or more.
    report
        Where to report to.

    Yields
    ------
    LayerData or list of str
        The layer, then what the user should know.
    """
    watcher = Watcher(report.progress, report.cancelled)
    records = []
    for number, frame in enumerate(frames):
        watcher.step("reading", number, len(frames))
        records.append(read_raw(frame.raw) if isinstance(frame.raw, Path) else frame.raw)
    made = merge(records, step=partial(watcher.step, "merging"), cancelled=report.cancelled)
    reference = next(n for n, record in enumerate(records) if record is made.record)
    keys = tuple(frame.key for frame in frames)
    yield merged_layer(made.linear, made.record, keys, frames[reference].name)
    if made.notes:
        yield list(made.notes)


def merged_layer(
    light: NDArray[np.float32], record: RawRecord, made_of: tuple[str, ...], base: str
) -> LayerData:
    """Make the layer of merged light.

    Parameters
    ----------
    light
        ``(H, W, 3)`` linear sRGB in the sensor's orientation.
    record
        Of the reference frame.
    made_of
        What each frame is told by.
    base
        What its name begins with.
    """
    look: dict[str, Any] = {
        "name": f"{base} {Kind.MERGED}",
        "rgb": True,
        "contrast_limits": (0.0, 1.0),
        "gamma": _LINEAR_GAMMA,
    }
    return layer_data(light, record, look, {KIND: Kind.MERGED, MADE_OF: made_of, RECORD: record})
