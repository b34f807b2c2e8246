"""Stacks of layers as runs leave them, made without a model."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.components import ViewerModel

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


def add_raw(viewer: ViewerModel, record: RawRecord, base: str = "scene") -> None:
    """Add the two layers of a RAW."""
    for data, arguments, _ in raw_layers(record, base, {}):
        viewer.add_image(data, **arguments)


def add_results(
    viewer: ViewerModel,
    record: RawRecord,
    base: str = "scene",
    model: str = "universal",
    quality: int = 90,
) -> None:
    """Add recovered RAW, decoded JPEG and rendered sRGB; the less quality, the darker."""
    recovered = record.replace(mosaic=(record.mosaic * (quality / 100)).astype(np.uint16))
    made: dict[str, Any] = {
        ORIGINAL: record,
        MODEL: model,
        HEADROOM: 0.5,
        QUALITY: quality,
        SUBSAMPLING: "4:2:2",
    }
    rgb = bilinear_codes(recovered)
    for data, arguments, _ in (
        *raw_layers(recovered, base, made, recovered=True),
        picture_layer(rgb, record, base, Kind.DECODED, made),
        picture_layer(bilinear_codes(record), record, base, Kind.RENDERED, made),
    ):
        viewer.add_image(data, **arguments)
