"""A guess at the RAW of a finished photograph, by undoing what cameras usually do.

The steps are those of UPI (Brooks et al., "Unprocessing Images for Learned Raw Denoising", CVPR
2019), which draws what it cannot know at random; here it is what is most likely. What the camera
clipped, sharpened, denoised or toned locally is not undone.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from napari_invisp.baselines.conventional import safe_inverse_gains
from napari_invisp.inspection.jpegs import JpegFacts
from napari_invisp.sensor.cfa import denormalise, mosaic_from_rgb
from napari_invisp.sensor.libraw import known_camera_matrix
from napari_invisp.sensor.record import SRGB_TO_XYZ, CfaPattern, RawRecord, camera_to_srgb_from
from napari_invisp.tiling import Watcher

#: What the model of the camera ends with, wherever the guess goes.
LABEL = "(approximate RAW)"
#: What files of a guess say about themselves.
DESCRIPTION = "approximate RAW: a guess, made of a JPEG that holds no RAW"

#: XYZ → camera of no camera in particular: the mean of the four that Brooks et al. draw from.
GENERIC_MATRIX: NDArray[np.float64] = np.array(
    [
        [0.753075, -0.205475, -0.091725],
        [-0.48585, 1.33955, 0.17165],
        [-0.096575, 0.183675, 0.6052],
    ]
)

_PATTERN: CfaPattern = "RGGB"
_BITS = 14
_BLACK = np.zeros((2, 2))
_WHITE = 2.0**_BITS - 1
# How much brighter cameras make their pictures than the RAW is (the mean of Brooks et al.).
_DIGITAL_GAIN = 1 / 0.8
# Rows that are worked on at a time; even, so that each band starts at the same CFA site.
_BAND = 64


def approximate_raw(
    rgb: NDArray[np.uint8], facts: JpegFacts, watcher: Watcher | None = None
) -> RawRecord:
    """Guess the RAW of a photograph.

    In turn are undone: a tone curve (smoothstep), the gamma of sRGB, the camera's matrix, digital
    gain and white balance (for daylight, highlights left bright), and demosaicing. The matrix is
    the one that LibRaw has for the camera that the EXIF names, else :data:`GENERIC_MATRIX`.

    Parameters
    ----------
    rgb
        ``(H, W, 3)`` uint8, the decoded photograph as stored; its colours are taken for sRGB.
    facts
        Of the file that it was decoded from.
    watcher
        Told of progress, and may stop the work.

    Returns
    -------
    RawRecord
        RGGB, 14 bit, black 0. Its camera's model ends with :data:`LABEL`.

    Raises
    ------
    RawFileError
        The picture is smaller than 2x2 pixels.
    Cancelled
        The watcher's caller asked to stop.
    """
    watcher = watcher or Watcher()
    matrix = known_camera_matrix(facts.make, facts.model) if facts.model else None
    if matrix is None:
        matrix = GENERIC_MATRIX
    camera_to_srgb = camera_to_srgb_from(matrix)
    # Daylight is what the white of sRGB is.
    multipliers = 1 / (matrix @ SRGB_TO_XYZ.sum(axis=1))
    multipliers /= multipliers[1]
    record = RawRecord(
        mosaic=np.empty(rgb.shape[:2], np.uint16),
        pattern=_PATTERN,
        black=_BLACK,
        white=_WHITE,
        white_balance=multipliers,
        camera_to_srgb=camera_to_srgb,
        xyz_to_camera=matrix,
        orientation=facts.orientation if facts.orientation in (1, 3, 6, 8) else 1,
        make=facts.make,
        model=f"{facts.model or 'Unknown camera'} {LABEL}",
        bit_depth=_BITS,
        capture=facts.capture,
    )
    to_camera = torch.from_numpy(np.linalg.inv(camera_to_srgb)).float()
    gains = torch.from_numpy(multipliers.min() / multipliers / _DIGITAL_GAIN).float()[:, None]
    mosaic = np.empty(rgb.shape[:2], np.uint16)
    tops = range(0, len(rgb), _BAND)
    for done, top in enumerate(tops):
        watcher.step("unprocessing", done, len(tops))
        rows = slice(top, top + _BAND)
        codes = rgb[rows]
        balanced = to_camera @ torch.from_numpy(_LINEAR[codes.reshape(-1, 3).T])
        light = (balanced * safe_inverse_gains(balanced[None], gains)[0]).clamp(0, 1)
        sites = mosaic_from_rgb(light.T.reshape(codes.shape).numpy(), record.channels)
        mosaic[rows] = denormalise(sites, _BLACK, _WHITE)
    watcher.step("unprocessing", len(tops), len(tops))
    return record.replace(mosaic=mosaic)


def _linear_light() -> NDArray[np.float32]:
    """Give the linear light of each code: tone curve and gamma undone."""
    code = np.arange(256) / 255
    encoded = 0.5 - np.sin(np.arcsin(1 - 2 * code) / 3)
    # IEC 61966-2-1
    low, high = encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4
    return np.where(encoded <= 0.04045, low, high).astype(np.float32)


_LINEAR = _linear_light()
