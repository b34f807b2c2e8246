"""Linear sRGB light of a RAW or of a picture: what retouching and tone mapping work on.

1 is where LibRaw's rendering is white; light beyond is kept. Gamma-encoded pictures use LibRaw's
curve, so that what is not changed looks as LibRaw renders it.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from napari_invisp.flow.tone import decode_gamma, encode_gamma
from napari_invisp.sensor.libraw import Step, demosaic_uint16
from napari_invisp.sensor.record import RawRecord
from napari_invisp.tiling import single_threaded

# Rows that are worked on at a time, so that what is in work stays in the processor's cache.
_BAND = 64


def linear_srgb(record: RawRecord, step: Step | None = None) -> NDArray[np.float32]:
    """Develop a RAW to linear light, as LibRaw does before its gamma.

    As-shot white balance, AHD, each channel clipped where the first one saturates, so that
    highlights are neutral, and the camera's matrix.

    Parameters
    ----------
    record
        Any record, recovered ones too.
    step
        Told of progress.

    Returns
    -------
    numpy.ndarray
        ``(H, W, 3)`` float32, in the sensor's orientation, 1 at white. Colours outside sRGB are
        below 0 or beyond 1.
    """
    counts, scale = demosaic_uint16(record, step=step)
    matrix = record.camera_to_srgb.T.astype(np.float32)
    gain = np.float32(scale / record.balance.min())
    linear = np.empty(counts.shape, np.float32)
    for top in range(0, len(counts), _BAND):
        rows = slice(top, top + _BAND)
        np.matmul(np.minimum(counts[rows] * gain, np.float32(1)), matrix, out=linear[rows])
    return linear


def linear_from_codes(codes: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Take the gamma off an 8-bit picture: ``(H, W, 3)`` uint8 → float32 in [0, 1]."""
    levels = decode_gamma(torch.arange(256, dtype=torch.float64) / 255)
    table: NDArray[np.float32] = levels.numpy().astype(np.float32)
    return table[codes]


def encoded(linear: NDArray[np.float32]) -> NDArray[np.float32]:
    """Put LibRaw's gamma on linear light and clip it to [0, 1]; same shape, float32."""
    values: NDArray[np.float32] = encode_gamma(torch.from_numpy(linear)).clamp_(0, 1).numpy()
    return values


def codes_from_linear(linear: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Encode linear light as 8-bit sRGB, rounded: ``(H, W, 3)`` float32 → uint8."""
    codes = np.empty(linear.shape, np.uint8)
    with single_threaded():
        for top in range(0, len(linear), _BAND):
            rows = slice(top, top + _BAND)
            codes[rows] = np.rint(encoded(np.ascontiguousarray(linear[rows])) * np.float32(255))
    return codes
