"""Error maps as layers: what they look like, and which layers they compare. Free of Qt."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
from matplotlib import colormaps
from napari.layers import Image, Layer
from napari.utils import Colormap
from numpy.typing import NDArray

from napari_invisp.errors import SettingsError
from napari_invisp.inspection.maps import (
    Frame,
    check_meaningful,
    error_map,
    limits_of,
    matched,
    title_of,
)
from napari_invisp.sensor.record import RawRecord
from napari_invisp.settings import ErrorMapSettings
from napari_invisp.viewer.layers import (
    HEADROOM,
    KEPT,
    KIND,
    LOOKS,
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

Levels: TypeAlias = list[NDArray[Any]]

# The colours of E, dark where there is no error as in the other maps.
_SIGNED = ["#b5e2ff", "#2f7fe0", "#000000", "#e0452f", "#ffd9a8"]
# In none of the maps, so that it stands out on all of them.
_MARK = "#39ff14"
# How far beyond the limits the layer's sliders reach.
_REACH = 4

# Kinds of ours that can be compared; layers that are not ours can be, too.
_COMPARABLE = (
    *MOSAICS,
    *RAW_PICTURES,
    Kind.RENDERED,
    Kind.DECODED,
    Kind.JPEG,
    *LOOKS,
    Kind.MERGED,
)


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
        How to measure and colour it; the metadata keep that under ``MAP``.
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
