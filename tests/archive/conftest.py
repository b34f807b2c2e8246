from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_invisp.jpeg.codec import decode_components, decode_jpeg
from napari_invisp.pipeline import Pipeline
from napari_invisp.samples import sample_path
from napari_invisp.sensor.reading import read_raw
from napari_invisp.sensor.record import RawRecord
from napari_invisp.settings import RenderSettings


@dataclass(frozen=True)
class Rendered:
    """A RAW, and what a reader of its JPEG has."""

    record: RawRecord
    jpeg: bytes
    picture: NDArray[np.uint8]
    luma: NDArray[np.uint8]
    recovered: RawRecord


@pytest.fixture(scope="session")
def dog() -> Rendered:
    """Part of the sample, with an odd number of rows and columns."""
    whole = read_raw(sample_path()).middle(640)
    record = whole.replace(mosaic=whole.mosaic[:-1, :-1])
    pipeline = Pipeline(RenderSettings(model="physics"))
    jpeg = pipeline.encode(pipeline.render(record))
    components = decode_components(jpeg)
    assert components is not None
    recovered = pipeline.recover(jpeg).record
    return Rendered(record, jpeg, decode_jpeg(jpeg).rgb, components[..., 0], recovered)
