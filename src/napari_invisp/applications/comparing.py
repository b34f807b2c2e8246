"""One operation on several sources, and how far apart the results are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from skimage.color import deltaE_ciede2000, rgb2lab

from napari_invisp.applications.operations import Light, Operation
from napari_invisp.errors import RawFileError
from napari_invisp.hdr.highlights import linear_srgb_hdr
from napari_invisp.linear import codes_from_linear, linear_from_codes
from napari_invisp.metrics import check_comparable, rgb_psnr, rgb_ssim
from napari_invisp.sensor.libraw import Step
from napari_invisp.sensor.record import RawRecord
from napari_invisp.tiling import CancelCheck, Progress, Watcher

Codes = NDArray[np.uint8]

#: What an operation may begin from. A plain JPEG is what every program sees: its gamma is undone
#: exactly, or, by programs that know of no light, its codes are worked on as they are.
SOURCES = ("original RAW", "recovered RAW", "plain JPEG", "plain JPEG, filters on its codes")
ORIGINAL, RECOVERED, PLAIN, PLAIN_CODES = SOURCES

# Colours are compared at every so manieth pixel of every so manieth row.
_STRIDE = 4


@dataclass(frozen=True)
class Differences:
    """How far a result is from that of the original RAW, both 8-bit sRGB.

    Attributes
    ----------
    psnr
        In dB, peak 255; infinite where they are the same.
    ssim
        See :func:`~napari_invisp.metrics.rgb_ssim`.
    delta_e, delta_e_95
        Mean and 95th percentile of the CIEDE2000 colour difference (CIE 142:2001, all weights 1)
        at every fourth pixel of every fourth row.
    """

    psnr: float
    ssim: float
    delta_e: float
    delta_e_95: float


def differences(reference: Codes, candidate: Codes) -> Differences:
    """Compare two pictures, ``(H, W, 3)`` uint8 sRGB."""
    ours, theirs = (
        rgb2lab(picture[::_STRIDE, ::_STRIDE].astype(np.float32) / np.float32(255))
        for picture in (reference, candidate)
    )
    colours: NDArray[np.floating] = deltaE_ciede2000(ours, theirs)  # type: ignore[no-untyped-call]
    return Differences(
        psnr=rgb_psnr(reference, candidate),
        ssim=rgb_ssim(reference, candidate),
        delta_e=float(colours.mean(dtype=np.float64)),
        delta_e_95=float(np.quantile(colours, 0.95)),
    )


def light_of(source: RawRecord | Codes, highlights: str, step: Step) -> Light:
    """Develop a RAW, or undo the gamma of a picture.

    Parameters
    ----------
    source
        A record, or ``(H, W, 3)`` uint8 sRGB, whose light ends at white.
    highlights
        See :class:`~napari_invisp.applications.operations.Operation`.
    step
        Told of progress; may raise to stop.

    Returns
    -------
    numpy.ndarray
        ``(H, W, 3)`` float32 linear sRGB, 1 at white.
    """
    step(0, 1)
    if isinstance(source, RawRecord):
        return linear_srgb_hdr(source, highlights, step)
    return linear_from_codes(source)


def worked_on_codes(picture: Codes, on_codes: Callable[[Light], Light]) -> Codes:
    """Let filters act on the codes of a picture, ``(H, W, 3)`` uint8 sRGB."""
    result = on_codes(picture.astype(np.float32) / np.float32(255))
    return np.rint(result.clip(0, 1) * np.float32(255)).astype(np.uint8)


def compare_sources(
    original: RawRecord,
    recovered: RawRecord,
    jpeg_rgb: Codes,
    operation: Operation | Callable[[Light], Light],
    *,
    progress: Progress | None = None,
    cancelled: CancelCheck | None = None,
) -> dict[str, Codes]:
    """Do the same with the original RAW, the recovered RAW, and the plain JPEG.

    Parameters
    ----------
    original, recovered
        The RAW, and what was recovered of it.
    jpeg_rgb
        ``(H, W, 3)`` uint8 sRGB in the sensor's orientation: the decoded JPEG.
    operation
        One of :data:`~napari_invisp.applications.operations.OPERATIONS`, one made of settings, or
        any function of ``(H, W, 3)`` float32 linear sRGB, which goes on beyond white.
    progress, cancelled
        Told of the steps, and asked between them.

    Returns
    -------
    dict
        ``(H, W, 3)`` uint8 sRGB in the sensor's orientation by the first three of
        :data:`SOURCES`.

    Raises
    ------
    RawFileError
        The three are not of one frame.
    Cancelled
        The caller asked to stop.
    """
    check_comparable(original, recovered)
    if jpeg_rgb.shape != (*original.mosaic.shape, 3):
        raise RawFileError("the JPEG is of another size than the RAW; take the JPEG of this RAW")
    if not isinstance(operation, Operation):
        operation = _operation_of(operation)
    watcher = Watcher(progress, cancelled)
    results = {}
    for name, source in ((ORIGINAL, original), (RECOVERED, recovered), (PLAIN, jpeg_rgb)):
        light = light_of(source, operation.highlights, partial(watcher.step, f"developing: {name}"))
        shown = operation.act(light, partial(watcher.step, f"{operation.name}: {name}"))
        results[name] = codes_from_linear(shown)
    return results


def _operation_of(function: Callable[[Light], Light]) -> Operation:
    def act(light: Light, step: Step) -> Light:
        step(0, 1)
        result = function(light)
        step(1, 1)
        return result

    return Operation("own settings", "", act)
