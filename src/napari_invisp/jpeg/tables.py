"""What quality and chroma subsampling mean: quantization tables and sampling factors."""

from __future__ import annotations

import operator
from typing import Literal, SupportsIndex

import numpy as np
from numpy.typing import NDArray

from napari_invisp.errors import SettingsError

Subsampling = Literal["4:4:4", "4:2:2", "4:2:0"]

#: (horizontal, vertical) luma samples for each chroma sample.
SAMPLING_FACTORS: dict[Subsampling, tuple[int, int]] = {
    "4:4:4": (1, 1),
    "4:2:2": (2, 1),
    "4:2:0": (2, 2),
}

#: ITU-T T.81, tables K.1 (luminance) and K.2 (chrominance): ``(2, 8, 8)``, rows by vertical
#: frequency.
BASE_TABLES: NDArray[np.int64] = np.array(
    [
        [
            [16, 11, 10, 16, 24, 40, 51, 61],
            [12, 12, 14, 19, 26, 58, 60, 55],
            [14, 13, 16, 24, 40, 57, 69, 56],
            [14, 17, 22, 29, 51, 87, 80, 62],
            [18, 22, 37, 56, 68, 109, 103, 77],
            [24, 35, 55, 64, 81, 104, 113, 92],
            [49, 64, 78, 87, 103, 121, 120, 101],
            [72, 92, 95, 98, 112, 100, 103, 99],
        ],
        [
            [17, 18, 24, 47, 99, 99, 99, 99],
            [18, 21, 26, 66, 99, 99, 99, 99],
            [24, 26, 56, 99, 99, 99, 99, 99],
            [47, 66, 99, 99, 99, 99, 99, 99],
            [99, 99, 99, 99, 99, 99, 99, 99],
            [99, 99, 99, 99, 99, 99, 99, 99],
            [99, 99, 99, 99, 99, 99, 99, 99],
            [99, 99, 99, 99, 99, 99, 99, 99],
        ],
    ]
)
BASE_TABLES.flags.writeable = False


def _zigzag() -> NDArray[np.intp]:
    # Along each antidiagonal, upwards on even ones and downwards on odd ones (T.81, figure A.6).
    def position(site: int) -> tuple[int, int]:
        row, column = divmod(site, 8)
        diagonal = row + column
        return diagonal, row if diagonal % 2 else column

    return np.array(sorted(range(64), key=position), dtype=np.intp)


#: ``(64,)`` index into a flattened 8x8 table of each entry in the order in which a file holds them.
ZIGZAG: NDArray[np.intp] = _zigzag()
ZIGZAG.flags.writeable = False


def check_quality(quality: SupportsIndex) -> int:
    """Return ``quality`` as an ``int``.

    Raises
    ------
    SettingsError
        It is not a whole number from 1 to 100.
    """
    try:
        value = operator.index(quality)
    except TypeError:
        value = 0
    if isinstance(quality, bool) or not 1 <= value <= 100:
        raise SettingsError(
            f"JPEG quality {quality!r} is not a whole number from 1 to 100"
        ) from None
    return value


def sampling_factors(subsampling: str) -> tuple[int, int]:
    """Return how many luma samples share a chroma sample, ``(horizontally, vertically)``.

    Raises
    ------
    SettingsError
        ``subsampling`` is not one of :data:`SAMPLING_FACTORS`.
    """
    for name, factors in SAMPLING_FACTORS.items():
        if name == subsampling:
            return factors
    raise SettingsError(
        f"chroma subsampling {subsampling!r} is not one of {', '.join(SAMPLING_FACTORS)}"
    )


def quantization_tables(quality: SupportsIndex) -> NDArray[np.int64]:
    """Scale the tables of ITU-T T.81, Annex K, to a quality as libjpeg does.

    Parameters
    ----------
    quality
        1 (coarsest) to 100 (all ones).

    Returns
    -------
    numpy.ndarray
        ``(2, 8, 8)`` int64 in 1 … 255: luminance and chrominance, vertical frequency first.

    Raises
    ------
    SettingsError
        The quality is out of its range.
    """
    quality = check_quality(quality)
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    return np.clip((BASE_TABLES * scale + 50) // 100, 1, 255)


def nearest_quality(table: NDArray[np.int64]) -> int:
    """Find the quality whose luma table is closest to another encoder's, by its mean step."""
    means = [quantization_tables(quality)[0].mean() for quality in range(1, 101)]
    return 1 + int(np.argmin(np.abs(np.log(means) - np.log(table.mean()))))
