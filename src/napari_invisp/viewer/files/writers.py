"""Saving layers: DNG, JPEG that hold their RAW, and for other programs TIFF, OpenEXR, PNG.

Each writer takes what napari gives for one layer, refuses with an
:class:`~napari_invisp.errors.OutputError` what it has no use for, and returns the path in a list.
Files say what they are, see :mod:`~napari_invisp.inspection.provenance`. Free of Qt.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.colors import ListedColormap
from napari.utils.colormaps import ensure_colormap
from numpy.typing import NDArray

from napari_invisp.errors import OutputError
from napari_invisp.files import write_bytes_atomic
from napari_invisp.inspection import exports
from napari_invisp.inspection.exports import MapLook, Values
from napari_invisp.inspection.maps import title_of
from napari_invisp.inspection.unprocessing import DESCRIPTION
from napari_invisp.sensor.dng import write_dng
from napari_invisp.sensor.record import RawRecord
from napari_invisp.settings import ErrorMapSettings
from napari_invisp.viewer.layers import (
    GUESSES,
    KIND,
    LOOKS,
    MAP,
    METADATA_KEY,
    MOSAICS,
    PARTIAL,
    QUALITY,
    RAW_PICTURES,
    RECORD,
    RENDERING,
    SUBSAMPLING,
    Kind,
)
from napari_invisp.viewer.layers.provenance import provenance_of

#: Kinds that are error maps, and 8-bit sRGB.
MAPS, SRGB = (Kind.ERROR, Kind.MAP), (Kind.RENDERED, Kind.DECODED, Kind.JPEG, *LOOKS)


def write_dng_layer(path: str, data: Any, arguments: dict[str, Any]) -> list[str]:
    """Save a RAW layer, mosaic or bilinear, as DNG.

    Of a mosaic layer its present values are saved, so that it may have been worked on; of a
    bilinear one the RAW that it shows.
    """
    facts, name = _facts(arguments), arguments.get("name", "")
    if facts.get(KIND) not in (*MOSAICS, *RAW_PICTURES) or RECORD not in facts:
        raise OutputError(
            f"the layer {name!r} holds no RAW to save as DNG; choose a RAW or mosaic layer"
        )
    private = provenance_of(facts).to_private()
    description = DESCRIPTION if facts[KIND] in GUESSES else ""
    record = _present_record(facts, data, arguments)
    write_dng(path, record, private=private, description=description)
    return [path]


def write_jpeg_layer(path: str, data: Any, arguments: dict[str, Any]) -> list[str]:
    """Save a rendered sRGB layer as a JPEG that its RAW can be recovered from.

    It is encoded with the quality and subsampling that the layer's figures are for.
    """
    from napari_invisp.pipeline import Pipeline  # takes seconds, for torch

    facts = _facts(arguments)
    if RENDERING not in facts:
        raise OutputError(
            f"the layer {arguments.get('name', '')!r} was not rendered by napari-invisp, so its "
            f"JPEG cannot hold a RAW; choose a {Kind.RENDERED} layer, or save it with napari"
        )
    rendering = facts[RENDERING]
    jpeg = Pipeline(rendering.settings).encode(rendering, facts[QUALITY], facts[SUBSAMPLING])
    write_bytes_atomic(Path(path), jpeg)
    return [path]


def write_tiff_layer(path: str, data: Any, arguments: dict[str, Any]) -> list[str]:
    """Save as TIFF: pictures in 16 bit, upright; mosaics in DN, as stored; maps in float32."""
    facts = _known(arguments)
    codes = _values(facts, data, arguments, linear=False)
    exports.write_tiff(Path(path), codes, provenance_of(facts))
    return [path]


def write_float_tiff_layer(path: str, data: Any, arguments: dict[str, Any]) -> list[str]:
    """Save linear light as float32 TIFF; a mosaic normalised; an error map as it is."""
    facts = _known(arguments)
    light = _values(facts, data, arguments, linear=True)
    exports.write_tiff(Path(path), light, provenance_of(facts))
    return [path]


def write_exr_layer(path: str, data: Any, arguments: dict[str, Any]) -> list[str]:
    """Save the same as :func:`write_float_tiff_layer` as OpenEXR."""
    facts = _known(arguments)
    light = _values(facts, data, arguments, linear=True)
    exports.write_exr(Path(path), light, provenance_of(facts))
    return [path]


def write_map_layer(path: str, data: Any, arguments: dict[str, Any]) -> list[str]:
    """Save an error map in the layer's colours as PNG, with title, metric, unit and colour bar."""
    facts, name = _known(arguments), arguments.get("name", "")
    if facts[KIND] not in MAPS:
        raise OutputError(f"the layer {name!r} is no error map; choose one, or save it with napari")
    colours = ensure_colormap(arguments["colormap"])
    low, high = (float(limit) for limit in arguments["contrast_limits"])
    table = ListedColormap(colours.map(np.linspace(0, 1, 256)))
    for change, colour in (
        (table.set_over, colours.high_color),
        (table.set_under, colours.low_color),
    ):
        if colour is not None:
            change(colour)
    look = MapLook(name, _measure(facts), (low, high), table)
    values = _values(facts, data, arguments, linear=True)
    exports.write_map(Path(path), values, look, provenance_of(facts))
    return [path]


def _facts(arguments: dict[str, Any]) -> dict[str, Any]:
    facts: dict[str, Any] = (arguments.get("metadata") or {}).get(METADATA_KEY) or {}
    if facts.get(PARTIAL):
        raise OutputError(unfinished(arguments.get("name", ""), facts))
    return facts


def unfinished(name: str, facts: dict[str, Any]) -> str:
    """Say that a layer is not of one piece yet, and what to do."""
    press = "Full frame" if facts.get(KIND) in LOOKS else "Recover"
    return f"the layer {name!r} is not finished; wait for the run to end or press {press}"


def _known(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the facts of a layer that this program made, with its record."""
    facts = _facts(arguments)
    known = (*MOSAICS, *RAW_PICTURES, *MAPS, *SRGB, Kind.MERGED)
    if facts.get(KIND) not in known or RECORD not in facts:
        raise OutputError(
            f"the layer {arguments.get('name', '')!r} is no picture that napari-invisp made; save "
            "it with napari"
        )
    return facts


def _values(facts: dict[str, Any], data: Any, arguments: dict[str, Any], *, linear: bool) -> Values:
    """Return what a file of the layer holds: linear light, or what the layer holds itself."""
    kind, record = facts[KIND], facts[RECORD]
    if kind in (*MOSAICS, *RAW_PICTURES):
        record = _present_record(facts, data, arguments)
        if kind in MOSAICS:
            return (exports.normalised_mosaic if linear else exports.sensor_counts)(record)
        return (exports.balanced_rgb if linear else exports.bilinear_16_bit)(record)
    pixels = _pixels(data, arguments)
    if kind in MAPS:
        return exports.error_values(pixels, record, f"errors: {_measure(facts)}")
    if kind is Kind.MERGED:
        return exports.merged_light(pixels, record)
    return (exports.srgb_linear if linear else exports.srgb_16_bit)(pixels, record)


def _present_record(facts: dict[str, Any], data: Any, arguments: dict[str, Any]) -> RawRecord:
    record: RawRecord = facts[RECORD]
    if facts[KIND] not in MOSAICS:
        return record
    mosaic = _pixels(data, arguments)
    if mosaic.dtype != np.uint16 or mosaic.shape != record.mosaic.shape:
        raise OutputError(
            f"the layer {arguments.get('name', '')!r} is no longer a mosaic of "
            f"{record.width}x{record.height} uint16 samples but {mosaic.dtype} of shape "
            f"{mosaic.shape}"
        )
    return record.replace(mosaic=mosaic)


def _pixels(data: Any, arguments: dict[str, Any]) -> NDArray[Any]:
    return np.asarray(data[0] if arguments.get("multiscale") else data)


def _measure(facts: dict[str, Any]) -> str:
    return title_of(facts.get(MAP) or ErrorMapSettings())
