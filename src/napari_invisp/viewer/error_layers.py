"""Error maps as layers: what they look like, which layers they compare, the work that fills them.

Free of Qt.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, Protocol, TypeAlias

import npe2
import numpy as np
from matplotlib import colormaps
from napari.layers import Image, Layer
from napari.utils import Colormap
from numpy.typing import NDArray

from napari_invisp.errors import RawFileError, SettingsError
from napari_invisp.files import read_whole
from napari_invisp.inspection.maps import (
    Frame,
    Summary,
    beyond,
    check_meaningful,
    error_map,
    limits_of,
    matched,
    summary,
    title_of,
)
from napari_invisp.sensor.reading import is_raw_name
from napari_invisp.sensor.record import RawRecord
from napari_invisp.settings import ErrorMapSettings
from napari_invisp.tiling import Part, distance, tiles
from napari_invisp.viewer.layers import (
    HEADROOM,
    KEPT,
    KIND,
    MAP,
    METADATA_KEY,
    MODEL,
    MOSAICS,
    ORIGINAL,
    PAIR,
    PARTIAL,
    QUALITY,
    RAW_PICTURES,
    RECORD,
    SUBSAMPLING,
    Kind,
    LayerData,
    facts_of,
    layer_data,
)
from napari_invisp.viewer.pyramids import halved, peaks, pyramid, rebuild, shapes
from napari_invisp.viewer.readers import read_layers

Levels: TypeAlias = list[NDArray[Any]]

# Side of the tiles that maps are painted in, in pixels.
_TILE = 256
# Least time between two showings of what has been painted, in seconds.
_REST = 0.15
# The colours of E, dark where there is no error as in the other maps.
_SIGNED = ["#b5e2ff", "#2f7fe0", "#000000", "#e0452f", "#ffd9a8"]
# In none of the maps, so that it stands out on all of them.
_MARK = "#39ff14"
# How far beyond the limits the layer's sliders reach.
_REACH = 4

# Kinds of ours that can be compared; layers that are not ours can be, too.
_COMPARABLE = (*MOSAICS, *RAW_PICTURES, Kind.RENDERED, Kind.DECODED, Kind.JPEG)

# One at a time, so that a run that was cancelled never paints over the next one.
_painting = Lock()


def error_layer(
    original: RawRecord,
    recovered: RawRecord,
    base: str,
    facts: dict[str, Any],
    settings: ErrorMapSettings | None = None,
    values: NDArray[np.float32] | Levels | None = None,
) -> LayerData:
    """Make the hidden map of how far a recovered RAW is from the original.

    Unless its limits are percentiles, its colours span the same whatever the errors are, so that
    maps of different JPEG files can be compared.

    Parameters
    ----------
    original, recovered
        The RAW, and what was recovered of it.
    base
        What the layer's name begins with.
    facts
        What else the metadata say.
    settings
        How to measure and colour it; the metadata keep that under :data:`~.layers.MAP`.
    values
        The map if it is at hand, or all its levels; they may be painted later.
    """
    settings = settings or ErrorMapSettings()
    if values is None:
        values = error_map(original, recovered, settings)
    whole = values[0] if isinstance(values, list) else values
    look = map_look(settings, limits_of(settings, original, whole)) | {
        "name": f"{base}{_ending(settings)}",
        "visible": False,
    }
    return layer_data(values, recovered, look, facts | {KIND: Kind.ERROR, MAP: settings})


def error_limit(original: RawRecord) -> float:
    """Return the error in DN that is brightest in an error map with the default settings."""
    return limits_of(ErrorMapSettings(), original)[1]


def map_look(settings: ErrorMapSettings, limits: tuple[float, float]) -> dict[str, Any]:
    """Return colours and contrast limits of a map, as arguments or attributes of its layer."""
    colours: str | Colormap = "inferno"
    if settings.metric == "E":
        colours = Colormap(_SIGNED, name="signed error")
    elif settings.metric == "SSIM":  # dark where there is no error, too
        colours = Colormap(colormaps["inferno_r"](np.linspace(0, 1, 256)), name="inferno, reversed")
    return {"colormap": colours, "contrast_limits": limits}


def dress(layer: Image, settings: ErrorMapSettings, limits: tuple[float, float]) -> None:
    """Give a map's layer the looks, the name and the facts that go with other settings.

    A name that the user has given stays.
    """
    facts = facts_of(layer)
    before, own = facts[MAP], facts[KIND] is Kind.ERROR
    stem = layer.name.removesuffix(_ending(before, own))
    if stem != layer.name:
        layer.name = stem + _ending(settings, own)
    layer.metadata = {**layer.metadata, METADATA_KEY: facts | {MAP: settings}}
    layer.colormap = map_look(settings, limits)["colormap"]
    stretch(layer, limits)


def stretch(layer: Image, limits: tuple[float, float]) -> None:
    """Give a map other contrast limits, and its sliders some room around them."""
    low, high = limits
    wide = (_REACH * low, _REACH * high)
    if facts_of(layer)[MAP].metric == "SSIM":
        wide = (1 - _REACH * (1 - low), 1.0)
    layer.contrast_limits_range = wide  # first, or it would cut the limits
    layer.contrast_limits = limits


def _ending(settings: ErrorMapSettings, own: bool = True) -> str:
    """Return what a map's name ends with; the map of a run says nothing where it is the usual."""
    if own and title_of(settings) == title_of(ErrorMapSettings()):
        return f" {Kind.ERROR}"
    return f" {Kind.ERROR} ({title_of(settings)})" if own else f": {title_of(settings)}"


# -- pairs of layers ---------------------------------------------------------------------------


def comparable(layers: Iterable[Layer]) -> list[Image]:
    """Return the layers that an error map can be made of: mosaics, pictures and planes."""
    return [
        layer
        for layer in layers
        if isinstance(layer, Image)
        and layer.ndim == 2
        and (KIND not in facts_of(layer) or facts_of(layer)[KIND] in _COMPARABLE)
    ]


def frame_of(layer: Image) -> Frame:
    """Return what a layer shows, to be compared: its present values."""
    facts = facts_of(layer)
    pixels = np.asarray(layer.data[0] if layer.multiscale else layer.data)
    if facts.get(KIND) in MOSAICS and pixels.dtype == np.uint16 and pixels.ndim == 2:
        return facts[RECORD].replace(mosaic=pixels)
    return pixels[..., :3] if layer.rgb else pixels


def frames_of(
    reference: Image, candidate: Image, settings: ErrorMapSettings
) -> tuple[Frame, Frame]:
    """Return what two layers show.

    Raises
    ------
    RawFileError
        They cannot be compared.
    SettingsError
        Metric or channel have no meaning for them.
    """
    frames = matched(
        frame_of(reference), frame_of(candidate), (f"{reference.name!r}", f"{candidate.name!r}")
    )
    check_meaningful(frames[0], settings)
    for layer in (reference, candidate):
        if settings.metric == "ΔE2000" and facts_of(layer).get(KIND) in RAW_PICTURES:
            raise SettingsError(
                f"ΔE2000 compares sRGB, and {layer.name!r} shows the camera's own colours: choose "
                "another metric, or two rendered pictures"
            )
    return frames


def default_pair(layers: Sequence[Layer], record: RawRecord | None) -> tuple[Image, Image] | None:
    """Find the mosaic of a RAW and the one that was recovered of it, the latest one."""
    mosaics = [each for each in comparable(layers) if facts_of(each).get(KIND) in MOSAICS]
    for candidate in reversed(mosaics):
        original = facts_of(candidate).get(ORIGINAL)
        if original is None or KEPT in facts_of(candidate) or record not in (None, original):
            continue
        for reference in mosaics:
            if facts_of(reference)[RECORD] is original:
                return reference, candidate
    return None


def find_map(layers: Iterable[Layer], reference: Layer, candidate: Layer) -> Image | None:
    """Find the map of two layers: that of a run if one is recovered of the other."""
    own = _of_run(reference, candidate)
    pair = pair_of(reference, candidate)
    for layer in layers:
        facts = facts_of(layer)
        if facts.get(PAIR) == pair and facts[KIND] is Kind.MAP:
            return layer
        if own is not None and facts.get(KIND) is Kind.ERROR:
            same = facts.get(ORIGINAL) is own[ORIGINAL] and facts.get(KEPT) == own.get(KEPT)
            if same:
                return layer
    return None


def find_marks(layers: Iterable[Layer], pair: tuple[str, str]) -> Image | None:
    """Find the marks on what is off by more than the threshold."""
    return next((x for x in layers if _marks(x) and facts_of(x).get(PAIR) == pair), None)


def _marks(layer: Layer) -> bool:
    return facts_of(layer).get(KIND) is Kind.MARKS


def pair_of(reference: Layer, candidate: Layer) -> tuple[str, str]:
    """Return what a pair of layers is known by, whatever they are called."""
    return str(reference.unique_id), str(candidate.unique_id)


def _of_run(reference: Layer, candidate: Layer) -> dict[str, Any] | None:
    """Return the facts of the run that recovered one from the other; ``None`` if none did."""
    facts, kinds = facts_of(candidate), (facts_of(reference).get(KIND), Kind.RECOVERED_MOSAIC)
    if kinds[0] not in MOSAICS or facts.get(KIND) is not kinds[1] or ORIGINAL not in facts:
        return None
    return facts if facts_of(reference).get(RECORD) is facts[ORIGINAL] else None


def map_layer(
    reference: Image,
    candidate: Image,
    settings: ErrorMapSettings,
    levels: Levels,
    limits: tuple[float, float],
) -> LayerData:
    """Make the layer of the map of two layers: that of a run, or one of the pair."""
    facts = _of_run(reference, candidate)
    if facts is not None:
        made = (ORIGINAL, MODEL, HEADROOM, QUALITY, SUBSAMPLING, KEPT, PARTIAL, RECORD)
        kept = {key: facts[key] for key in made if key in facts}
        base = reference.name.removesuffix(f" {Kind.MOSAIC}")
        return error_layer(facts[ORIGINAL], facts[RECORD], base, kept, settings, levels)
    arguments = map_look(settings, limits) | {
        "name": f"{candidate.name} against {reference.name}{_ending(settings, own=False)}",
        "multiscale": True,
        "affine": reference.affine.affine_matrix,
        "metadata": {
            METADATA_KEY: {KIND: Kind.MAP, MAP: settings, PAIR: pair_of(reference, candidate)}
        },
    }
    return levels, arguments, "image"


def marks_layer(reference: Image, candidate: Image, levels: Levels) -> LayerData:
    """Make the layer of marks on what is off by more than the threshold."""
    arguments = {
        "name": f"{candidate.name} {Kind.MARKS}",
        "multiscale": True,
        "affine": reference.affine.affine_matrix,
        "colormap": Colormap(["transparent", _MARK], name="marks"),
        "contrast_limits": (0, 1),
        "interpolation2d": "nearest",
        "metadata": {METADATA_KEY: {KIND: Kind.MARKS, PAIR: pair_of(reference, candidate)}},
    }
    return levels, arguments, "image"


# -- work --------------------------------------------------------------------------------------


class Cancelling(Protocol):
    """What tells whether to stop."""

    def cancelled(self) -> bool:
        """Tell whether to stop."""


@dataclass(frozen=True, eq=False)
class Painted:
    """What has been painted so far.

    Attributes
    ----------
    levels
        Of the map.
    marks
        Levels of the marks; ``None`` if there are to be none.
    limits
        The map's contrast limits.
    done
        Whether this is all.
    """

    levels: Levels
    marks: Levels | None
    limits: tuple[float, float]
    done: bool


@dataclass(frozen=True)
class Job:
    """What to paint.

    Attributes
    ----------
    reference, candidate
        The frames, which match.
    settings
        Metric, channel, unit, limits, and whether to mark what is off by more.
    view
        What the user looks at, which is painted first.
    levels, marks
        Painted in place if given, and if they fit; otherwise new ones are.
    anew
        Whether what the levels hold is of other settings and has to go.
    view_only
        Whether the rest of the frame has to wait.
    """

    reference: Frame
    candidate: Frame
    settings: ErrorMapSettings
    view: Part
    levels: Levels | None = None
    marks: Levels | None = None
    anew: bool = True
    view_only: bool = False

    def run(self, report: Cancelling) -> Iterator[Painted | Summary]:
        """Paint the map, what is looked at first, then sum it up.

        Yields
        ------
        Painted or Summary
            As soon as what is looked at is painted, now and then, and when all is; in the end
            the figures of the frame.
        """
        shape = _shape(self.reference)
        levels = _fitting(self.levels, shape, np.float32)
        marks = _fitting(self.marks, shape, np.uint8) if self.settings.marked else None
        anew = self.anew or levels is not self.levels
        waiting = sorted(tiles(*shape, _TILE, 0), key=lambda tile: distance(tile, self.view))
        seen = sum(distance(tile, self.view)[0] == 0 for tile in waiting)
        if self.view_only:
            waiting = waiting[:seen]
        shown, limits = time.monotonic(), None
        for n, tile in enumerate(waiting, start=1):
            part = (tile.rows, tile.columns)
            values = error_map(self.reference, self.candidate, self.settings, part)
            off = beyond(self.reference, self.candidate, self.settings, part) if marks else None
            with _painting:
                if report.cancelled():
                    return
                if anew:
                    _clear(levels, marks)
                    anew = False
                _put(levels, values, part)
                if marks is not None and off is not None:
                    _put(marks, off, part, most=True)
            if n == len(waiting):
                break
            if n == seen or time.monotonic() - shown > _REST:
                if limits is None or n == seen:
                    limits = self._limits(levels[0][self.view])
                yield Painted(levels, marks, limits, done=False)
                shown = time.monotonic()
        looked_at = levels[0][self.view] if self.view_only else levels[0]
        yield Painted(levels, marks, self._limits(looked_at), done=True)
        if not self.view_only and not report.cancelled():
            yield summary(self.reference, self.candidate, self.settings, values=levels[0])

    def _limits(self, values: NDArray[np.float32]) -> tuple[float, float]:
        return limits_of(self.settings, self.reference, values)


def summed_up(
    reference: Frame, candidate: Frame, settings: ErrorMapSettings, part: Part
) -> Iterator[Summary]:
    """Sum up the error of a part of the frame."""
    yield summary(reference, candidate, settings, part)


def read_frame(path: Path, report: Cancelling) -> Iterator[list[LayerData]]:
    """Read a RAW or a picture as layers, in whatever way napari knows.

    Raises
    ------
    RawFileError
        The file cannot be read.
    """
    if is_raw_name(path):
        yield read_layers(path)
        return
    data = read_whole(path, "a RAW or a picture", RawFileError)
    try:
        layers = npe2.read([str(path)], stack=False) if data else []
    except Exception as error:  # of whatever reader it was
        raise RawFileError(f"{path} cannot be opened as a picture: {error}") from error
    if not layers:
        raise RawFileError(f"{path} is empty")
    yield [_with_levels(layer, path.stem) for layer in layers]


def _with_levels(layer: Sequence[Any], name: str) -> LayerData:
    """Give a picture levels, so that a large one is shown at once, and a name."""
    missing: tuple[Any, ...] = ({}, "image")[len(layer) - 1 :]
    data, arguments, kind = (*layer, *missing)
    arguments = {"name": name} | arguments
    flat = isinstance(data, np.ndarray) and (data.ndim == 2 or data.shape[2:] in ((3,), (4,)))
    if kind == "image" and flat and data.dtype in (np.uint8, np.uint16, np.float32):
        arguments |= {"rgb": data.ndim == 3, "multiscale": True}
        data = pyramid(data)
    return data, arguments, kind


def _shape(frame: Frame) -> tuple[int, int]:
    height, width = (frame.mosaic if isinstance(frame, RawRecord) else frame).shape[:2]
    return height, width


def _fitting(levels: Levels | None, shape: tuple[int, int], dtype: Any) -> Levels:
    wanted = shapes(shape)
    if (
        levels is not None
        and [level.shape for level in levels] == wanted
        and all(level.dtype == dtype and level.flags.writeable for level in levels)
    ):
        return levels
    return [np.zeros(each, dtype) for each in wanted]


def _clear(levels: Levels, marks: Levels | None) -> None:
    """Make transparent what is not painted yet."""
    for level in levels:
        level[...] = np.nan
    for level in marks or ():
        level[...] = 0


def _put(levels: Levels, values: NDArray[Any], part: Part, most: bool = False) -> None:
    levels[0][part] = values
    rebuild(levels, *part, peaks if most else halved)
