"""Saving layers: RAW as DNG, rendered sRGB as a JPEG that holds its RAW."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from napari_invisp.errors import OutputError
from napari_invisp.files import write_bytes_atomic
from napari_invisp.sensor.dng import write_dng
from napari_invisp.viewer.layers import (
    KIND,
    METADATA_KEY,
    MOSAICS,
    QUALITY,
    RECORD,
    RENDERING,
    SUBSAMPLING,
    Kind,
)


def write_dng_layer(path: str, data: Any, arguments: dict[str, Any]) -> list[str]:
    """Save a RAW layer, mosaic or bilinear, as DNG.

    Of a mosaic layer its present values are saved, so that it may have been worked on; of a
    bilinear one the RAW that it shows.

    Parameters
    ----------
    path
        The file to write or replace.
    data, arguments
        As napari gives them for one layer.

    Returns
    -------
    list of str
        The path.

    Raises
    ------
    OutputError
        The layer holds no RAW, or the file cannot be written.
    """
    facts, name = _facts(arguments), arguments.get("name", "")
    record = facts.get(RECORD)
    if record is None or facts[KIND] not in (*MOSAICS, Kind.RAW, Kind.RECOVERED):
        raise OutputError(
            f"the layer {name!r} holds no RAW to save as DNG; choose a RAW or mosaic layer"
        )
    if facts[KIND] in MOSAICS:
        mosaic = np.asarray(data[0] if arguments.get("multiscale") else data)
        if mosaic.dtype != np.uint16 or mosaic.shape != record.mosaic.shape:
            raise OutputError(
                f"the layer {name!r} is no longer a mosaic of {record.width}x{record.height} "
                f"uint16 samples but {mosaic.dtype} of shape {mosaic.shape}"
            )
        record = record.replace(mosaic=mosaic)
    write_dng(path, record)
    return [path]


def write_jpeg_layer(path: str, data: Any, arguments: dict[str, Any]) -> list[str]:
    """Save a rendered sRGB layer as a JPEG that its RAW can be recovered from.

    It is encoded with the quality and subsampling that the layer's figures are for.

    Parameters
    ----------
    path
        The file to write or replace.
    data, arguments
        As napari gives them for one layer.

    Returns
    -------
    list of str
        The path.

    Raises
    ------
    OutputError
        The layer is no rendering of this plugin, or the file cannot be written.
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


def _facts(arguments: dict[str, Any]) -> dict[str, Any]:
    facts: dict[str, Any] = (arguments.get("metadata") or {}).get(METADATA_KEY) or {}
    return facts
