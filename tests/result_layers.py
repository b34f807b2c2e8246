"""Layers of a RAW and of results, made without running a model."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Layer

from napari_invisp.pictures import bilinear_codes
from napari_invisp.sensor.record import RawRecord
from napari_invisp.viewer.layers import (
    HEADROOM,
    MODEL,
    ORIGINAL,
    QUALITY,
    SUBSAMPLING,
    Kind,
    picture_layer,
    raw_layers,
)


def add_raw(viewer: ViewerModel, record: RawRecord, base: str = "scene") -> list[Layer]:
    """Add the layers of an opened RAW: mosaic and picture."""
    return [viewer.add_image(d, **a) for d, a, _ in raw_layers(record, base, {})]


def noisy(record: RawRecord, seed: int = 0) -> RawRecord:
    """Return the record with errors of a few DN, in an array of its own."""
    noise = np.random.default_rng(seed).integers(-5, 8, record.mosaic.shape)
    mosaic = (record.mosaic.astype(int) + noise).clip(0, 65535).astype(np.uint16)
    return record.replace(mosaic=mosaic)


def paint(layer: Layer, value: int) -> None:
    """Change the pixels of a recovered mosaic in place, as a run does, and say so."""
    layer.data[0].base[:] = value
    layer.events.data(value=layer.data)


def add_results(
    viewer: ViewerModel, original: RawRecord, base: str = "scene", **facts: Any
) -> list[Layer]:
    """Add results: recovered mosaic and picture, decoded JPEG, rendered sRGB."""
    made = {ORIGINAL: original, MODEL: "universal", HEADROOM: 0.5}
    made |= {QUALITY: 90, SUBSAMPLING: "4:2:2"} | facts
    recovered = noisy(original, len(viewer.layers))
    decoded = bilinear_codes(recovered)
    layers = raw_layers(recovered, base, made, recovered=True)
    layers.append(picture_layer(decoded, original, base, Kind.DECODED, made))
    layers.append(picture_layer(255 - decoded, original, base, Kind.RENDERED, made))
    return [viewer.add_image(d, **a) for d, a, _ in layers]
