"""A RAW frame of a real scene, made from a photograph that scikit-image ships."""

from __future__ import annotations

from typing import Any

import numpy as np
from records import make_record
from skimage.data import astronaut

from napari_invisp.sensor.record import RawRecord


def photograph(height: int, width: int, pattern: str = "RGGB", **facts: Any) -> RawRecord:
    """Unprocess a photograph: sRGB → linear → camera colours → mosaic, free of noise.

    Its highlights reach sensor saturation, some of its colours leave the gamut by a little.
    """
    record = make_record((height, width), pattern, white=4095, **facts)
    srgb = np.tile(astronaut(), (2, 2, 1))[:height, :width] / 255
    camera = (srgb**2.2) @ np.linalg.inv(record.camera_to_srgb).T * 1.05
    camera /= record.white_balance / record.white_balance.min()
    rows, columns = np.mgrid[:height, :width]
    values = np.take_along_axis(
        camera, record.channels[rows % 2, columns % 2][..., None], axis=2
    ).squeeze(2)
    black = record.black[rows % 2, columns % 2]
    counts = black + values.clip(0, 1) * (record.white - black)
    return record.replace(mosaic=np.rint(counts).astype(np.uint16))
