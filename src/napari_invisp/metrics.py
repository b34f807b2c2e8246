"""How far apart two RAW files or two pictures are. Peaks are 1 (or 255), figures in dB."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

from napari_invisp.errors import RawFileError
from napari_invisp.sensor.cfa import demosaic_bilinear, normalise
from napari_invisp.sensor.record import RawRecord

# Rows that are compared at a time; even, so that each band starts at the same CFA site.
_BAND = 256
# structural_similarity's default window is 7x7.
_WINDOW = 7


def psnr(mean_squared_error: float, peak: float = 1.0) -> float:
    """Peak signal-to-noise ratio in dB; infinite where there is no error."""
    if mean_squared_error == 0:
        return math.inf
    return 10 * math.log10(peak**2 / mean_squared_error)


def network_raw(record: RawRecord) -> NDArray[np.float32]:
    """Return balanced RGB ^ (1/2.2), bilinear, clipped to [0, 1]: ``(H, W, 3)`` float32.

    The paper's input space, and what its RAW figures and the bilinear visualization are made of.
    """
    rgb = demosaic_bilinear(normalise(record), record.channels)
    rgb *= record.balance.astype(np.float32)
    np.clip(rgb, 0, 1, out=rgb)
    return np.power(rgb, np.float32(1 / 2.2), out=rgb)


def check_comparable(reference: RawRecord, candidate: RawRecord) -> None:
    """Raise a :class:`RawFileError` if two records cannot be of one scene and camera."""
    ours, theirs = reference.mosaic.shape, candidate.mosaic.shape
    if ours != theirs:
        raise RawFileError(
            f"the two RAW files differ in size: {ours[1]}x{ours[0]} and {theirs[1]}x{theirs[0]}"
        )
    if reference.pattern != candidate.pattern:
        raise RawFileError(
            f"the two RAW files differ in CFA pattern: {reference.pattern} and {candidate.pattern}"
        )


def _bands(height: int, margin: int) -> Iterator[tuple[slice, slice]]:
    """Give bands of rows with an even margin around them, and where they lie within it."""
    for top in range(0, height, _BAND):
        bottom = min(top + _BAND, height)
        outer = slice(max(0, top - margin), min(height, bottom + margin))
        yield outer, slice(top - outer.start, bottom - outer.start)


def raw_psnr(
    reference: RawRecord, candidate: RawRecord, step: Callable[[], None] | None = None
) -> float:
    """PSNR between two mosaics on network RAW, comparable for all models.

    Both are scaled with their own levels but balanced as the reference is. ``step`` is called now
    and then, and may raise to stop.

    Raises
    ------
    RawFileError
        They differ in size or pattern.
    """
    check_comparable(reference, candidate)
    candidate = candidate.replace(white_balance=reference.white_balance)
    total = 0.0
    for outer, inner in _bands(reference.height, 2):
        if step is not None:
            step()
        ours, theirs = (
            network_raw(record.replace(mosaic=record.mosaic[outer]))[inner]
            for record in (reference, candidate)
        )
        total += float(np.square(ours - theirs).sum(dtype=np.float64))
    return psnr(total / (3 * reference.mosaic.size))


def raw_psnr_linear(reference: RawRecord, candidate: RawRecord) -> float:
    """PSNR between two normalised mosaics, before white balance and gamma.

    Raises
    ------
    RawFileError
        They differ in size or pattern.
    """
    check_comparable(reference, candidate)
    error = normalise(reference) - normalise(candidate)
    return psnr(float(np.square(error, out=error).mean(dtype=np.float64)))


def absolute_error(reference: RawRecord, candidate: RawRecord) -> NDArray[np.uint16]:
    """Return |reference − candidate| at each site in DN, ``(H, W)`` uint16.

    Raises
    ------
    RawFileError
        They differ in size or pattern.
    """
    check_comparable(reference, candidate)
    a, b = reference.mosaic, candidate.mosaic
    return np.maximum(a, b) - np.minimum(a, b)


@dataclass(frozen=True)
class RawFidelity:
    """How far a RAW is from the original.

    Attributes
    ----------
    raw_psnr
        dB on network RAW: see :func:`raw_psnr`.
    raw_psnr_linear
        dB on the normalised mosaic.
    mean_abs_error, max_abs_error
        In DN.
    identical
        Whether every sample is the same.
    """

    raw_psnr: float
    raw_psnr_linear: float
    mean_abs_error: float
    max_abs_error: int
    identical: bool


def compare_raw(
    original: RawRecord, recovered: RawRecord, step: Callable[[], None] | None = None
) -> RawFidelity:
    """Compare two RAW frames of one scene; ``step`` is as for :func:`raw_psnr`.

    Raises
    ------
    RawFileError
        They differ in size or CFA pattern.
    """
    error = absolute_error(original, recovered)
    worst = int(error.max())
    return RawFidelity(
        raw_psnr=raw_psnr(original, recovered, step),
        raw_psnr_linear=raw_psnr_linear(original, recovered),
        mean_abs_error=float(error.mean(dtype=np.float64)),
        max_abs_error=worst,
        identical=worst == 0,
    )


def rgb_psnr(reference: NDArray[np.uint8], candidate: NDArray[np.uint8]) -> float:
    """PSNR between two 8-bit pictures of equal shape."""
    total = 0.0
    for outer, _ in _bands(len(reference), 0):
        error = reference[outer].astype(np.int32) - candidate[outer]
        total += float(np.square(error).sum(dtype=np.float64))
    return psnr(total / reference.size, 255)


def rgb_ssim(reference: NDArray[np.uint8], candidate: NDArray[np.uint8]) -> float:
    """Mean SSIM over the channels of two 8-bit pictures of equal shape (scikit-image's defaults).

    Worked out in bands, so that large frames fit into memory; the mean is the same.
    """
    pad = _WINDOW // 2
    height, width = reference.shape[:2]
    if min(height, width) < _WINDOW:
        return float("nan")
    total = 0.0
    for outer, inner in _bands(height, 2 * pad):
        similarity: NDArray[np.float64]
        _, similarity = structural_similarity(  # type: ignore[no-untyped-call]
            reference[outer], candidate[outer], channel_axis=2, data_range=255, full=True
        )
        rows = np.arange(outer.start, outer.stop)[inner]
        kept = similarity[inner][(rows >= pad) & (rows < height - pad)]
        total += float(kept[:, pad : width - pad].sum(dtype=np.float64))
    count: int = (height - 2 * pad) * (width - 2 * pad) * 3
    return total / count


def bits_per_pixel(size: int, record: RawRecord) -> float:
    """Bits of a file of ``size`` bytes for each pixel of the frame (paper Eq. 11)."""
    return 8 * size / record.mosaic.size


def compression_ratio(size: int, record: RawRecord) -> float:
    """How many times larger the packed samples are than a file of ``size`` bytes (paper Eq. 10).

    The samples take ``H * W * b / 8`` bytes with ``b`` the RAW's bit depth.
    """
    return record.mosaic.size * record.bit_depth / 8 / size
