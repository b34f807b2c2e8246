"""RAW records of scenes whose light is known, beyond saturation too."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from records import make_record

from napari_invisp.sensor.record import RawRecord


def record_of(
    light: NDArray[Any], *, time: float = 1.0, noise: float = 0.0, seed: int = 0, **facts: Any
) -> RawRecord:
    """Expose a sensor to a scene; each channel ends at its white level.

    ``light`` is ``(H, W, 3)``, white-balanced camera RGB, 1 at LibRaw's white for ``time`` 1.
    ``noise`` is the variance of a sample at white; a tenth of a thousandth of it is there in the
    dark.
    """
    height, width = light.shape[:2]
    record = make_record((height, width), white=4095, black=np.full((2, 2), 64.0), **facts)
    sensor = light * time * record.balance.min() / record.balance
    rows, columns = np.mgrid[:height, :width]
    site = record.channels[rows % 2, columns % 2]
    samples = np.take_along_axis(sensor, site[..., None], axis=2).squeeze(2)
    spread = np.sqrt(noise * (samples + 1e-4))
    samples = samples + spread * np.random.default_rng(seed).standard_normal(samples.shape)
    counts = 64 + samples.clip(-0.01, 1) * (4095 - 64)
    return record.replace(mosaic=np.rint(counts).astype(np.uint16))


def smooth_scene(height: int, width: int) -> NDArray[Any]:
    """A smooth scene of weak colours, from a fifth of white to three times as much."""
    rows, columns = np.mgrid[:height, :width]
    brightness = 0.2 * 16 ** ((rows / height + columns / width) / 2)
    hue = 2 * np.pi * columns / width
    colour = np.stack([1 + 0.25 * np.cos(hue - shift) for shift in (0, 2.1, 4.2)], axis=-1)
    return brightness[..., None] * colour
