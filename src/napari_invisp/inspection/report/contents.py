"""What a report says and shows, whatever it is written as."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Self

import matplotlib
import numpy as np
from numpy.typing import NDArray

from napari_invisp.inspection.exports import MapLook
from napari_invisp.inspection.maps import limits_of
from napari_invisp.inspection.provenance import Provenance
from napari_invisp.inspection.rate import RateCurves
from napari_invisp.inspection.wording import decibels, megabytes
from napari_invisp.metrics import RawFidelity, absolute_error, compare_raw
from napari_invisp.pictures import bilinear_codes, upright
from napari_invisp.sensor.record import Capture, RawRecord
from napari_invisp.settings import ErrorMapSettings

#: Longest side of a picture in a report, and side of the parts that are shown pixel for pixel.
PICTURE_SIDE, CROP_SIDE = 900, 256

# Steps in which the crop is moved about; even, so that it begins at the CFA's first site.
_CELL = 16


@dataclass(frozen=True, eq=False)
class ReportData:
    """What a report is made of.

    Attributes
    ----------
    original, recovered
        The two RAW frames.
    original_name, recovered_name
        Names of their files, or what else to call them.
    picture, picture_name
        ``(H, W, 3)`` uint8 sRGB in the sensor's orientation, if there is one: rendered, or out of
        the JPEG.
    provenance
        How the recovered RAW was made, as far as that is known.
    figures
        Of the JPEG, by the names that the command line prints them under: ``jpeg_bytes``, ``bpp``,
        ``compression_ratio``, ``rgb_psnr``, ``rgb_ssim``, ``rgb_psnr_jpeg``. Those of the RAW are
        measured.
    curves
        What other qualities cost and keep, as far as that was measured.
    """

    original: RawRecord
    recovered: RawRecord
    original_name: str
    recovered_name: str
    picture: NDArray[np.uint8] | None = None
    picture_name: str = "decoded JPEG"
    provenance: Provenance | None = None
    figures: Mapping[str, Any] = field(default_factory=dict)
    curves: RateCurves = field(default_factory=RateCurves)


@dataclass(frozen=True, eq=False)
class Picture:
    """``(H, W, 3)`` uint8, upright, with what to write below it."""

    title: str
    pixels: NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Contents:
    """A report, ready to be laid out.

    Attributes
    ----------
    title
        Its headline.
    facts, figures
        Pairs of name and text.
    pictures
        The whole frame: original, sRGB if there is one, recovered, error map.
    crops
        Original, recovered and error map, pixel for pixel where the error is largest.
    place
        Where that is, in words.
    look
        The colours of the error map.
    fidelity
        How far the recovered RAW is from the original.
    data
        What it was made of.
    """

    title: str
    facts: list[tuple[str, str]]
    figures: list[tuple[str, str]]
    pictures: list[Picture]
    crops: list[Picture]
    place: str
    look: MapLook
    fidelity: RawFidelity
    data: ReportData

    @property
    def columns(self) -> int:
        """How many pictures stand side by side."""
        height, width = self.pictures[0].pixels.shape[:2]
        return len(self.pictures) if height > width else 2

    @classmethod
    def of(cls, data: ReportData) -> Self:
        """Measure and draw.

        Raises
        ------
        RawFileError
            The two RAW frames differ in size or CFA pattern.
        """
        original, recovered = data.original, data.recovered
        error = absolute_error(original, recovered)
        look = MapLook(
            title="RAW error",
            measure="absolute error, DN",
            limits=limits_of(ErrorMapSettings(), original),
            colormap=matplotlib.colormaps["inferno"],
        )
        frames = {"original RAW": _shown(original)}
        if data.picture is not None:
            frames[data.picture_name] = data.picture
        frames["recovered RAW"] = _shown(recovered.replace(white_balance=original.white_balance))
        factor = math.ceil(max(error.shape) / PICTURE_SIDE)
        pictures = [
            Picture(title, upright(np.rint(reduced(frame, factor)).astype(np.uint8), original))
            for title, frame in frames.items()
        ]
        pictures.append(
            Picture(look.title, upright(look.colours(reduced(error, factor)), original))
        )
        part = worst_part(error, CROP_SIDE)
        crops = [
            Picture(title, upright(frames[title][part], original))
            for title in ("original RAW", "recovered RAW")
        ]
        crops.append(Picture(look.title, upright(look.colours(error[part]), original)))
        rows, columns = part
        fidelity = compare_raw(original, recovered)
        return cls(
            title=f"{data.original_name}: recovered RAW against the original",
            facts=_facts(data),
            figures=_figures(data, fidelity),
            pictures=pictures,
            crops=crops,
            place=(
                f"rows {rows.start} to {rows.stop - 1}, "
                f"columns {columns.start} to {columns.stop - 1} of the sensor"
            ),
            look=look,
            fidelity=fidelity,
            data=data,
        )


def _shown(record: RawRecord) -> NDArray[np.uint8]:
    """Return the bilinear picture, white from where the first channel saturates."""
    white = float(record.balance.min()) ** (1 / 2.2)
    brighter = np.minimum(np.rint(np.arange(256) / white), 255).astype(np.uint8)
    return np.asarray(brighter[bilinear_codes(record)])


def reduced(pixels: NDArray[Any], factor: int) -> NDArray[np.float32]:
    """Average blocks of ``factor`` × ``factor`` pixels; what does not fill a block is left out."""
    height, width = (side // factor * factor for side in pixels.shape[:2])
    blocks = pixels[:height, :width].reshape(
        height // factor, factor, width // factor, factor, *pixels.shape[2:]
    )
    return np.asarray(blocks.mean(axis=(1, 3), dtype=np.float32))


def worst_part(error: NDArray[Any], side: int) -> tuple[slice, slice]:
    """Find the ``side`` × ``side`` pixels whose error is largest on the whole.

    Parameters
    ----------
    error
        ``(H, W)``; a side of less than ``side`` is taken whole.
    side
        A multiple of 16.

    Returns
    -------
    tuple of slice
        Rows and columns; the first ones are multiples of 16.
    """
    height, width = error.shape
    cells = reduced(error, _CELL) if min(height, width) >= _CELL else np.zeros((1, 1), np.float32)
    sums = np.pad(cells.astype(np.float64), ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
    rows, columns = (min(side // _CELL, n) for n in cells.shape)
    totals = sums[rows:, columns:] - sums[:-rows, columns:]
    totals += sums[:-rows, :-columns] - sums[rows:, :-columns]
    top, left = (int(n) * _CELL for n in np.unravel_index(int(totals.argmax()), totals.shape))
    top, left = (0 if n <= side else start for n, start in ((height, top), (width, left)))
    return slice(top, min(top + side, height)), slice(left, min(left + side, width))


def _facts(data: ReportData) -> list[tuple[str, str]]:
    record, made = data.original, data.provenance
    black = "/".join(f"{level:g}" for level in dict.fromkeys(record.black.ravel().tolist()))
    facts = {
        "Original": data.original_name,
        "Recovered": data.recovered_name,
        "Camera": record.camera,
        "Taken": _exposure(record.capture),
        "Sensor": (
            f"{record.width} × {record.height} pixels, {record.pattern}, {record.bit_depth} bit, "
            f"black {black}, white {record.white:g} DN"
        ),
    }
    if made is not None:
        settings = {
            "model": made.model,
            "headroom": None if made.headroom is None else f"{made.headroom:g}",
            "JPEG quality": made.quality,
        }
        worded = [f"{name} {value}" for name, value in settings.items() if value is not None]
        facts["Made with"] = ", ".join(filter(None, [*worded, made.subsampling, made.helped_by]))
        facts["Written by"] = made.software or ""
    facts["Report"] = f"{Provenance('report').software}, {datetime.now():%Y-%m-%d %H:%M}"
    return [(name, text) for name, text in facts.items() if text]


def _exposure(capture: Capture) -> str:
    seconds = capture.exposure_time
    # As cameras show it: 1/320 s.
    time = f"1/{round(1 / seconds)}" if seconds and seconds < 0.4 else f"{seconds or 0:g}"
    parts = (
        capture.taken,
        seconds and f"{time} s",
        capture.f_number and f"f/{capture.f_number:g}",
        capture.iso and f"ISO {capture.iso}",
        capture.focal_length and f"{capture.focal_length:g} mm",
    )
    return ", ".join(str(part) for part in parts if part)


_WORDS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "raw_psnr": ("RAW PSNR, balanced and gamma-encoded", decibels),
    "raw_psnr_linear": ("RAW PSNR, linear", decibels),
    "mean_abs_error": ("Error on average", "{:.2f} DN".format),
    "max_abs_error": ("Error at most", "{} DN".format),
    "range": ("Range from black to white", "{} DN".format),
    "jpeg_bytes": ("JPEG file", megabytes),
    "bpp": ("Bits a pixel", "{:.2f}".format),
    "compression_ratio": ("Smaller than the RAW unpacked", "{:.1f} times".format),
    "rgb_psnr": ("sRGB against LibRaw's rendering", decibels),
    "rgb_ssim": ("SSIM of the same", "{:.4f}".format),
    "rgb_psnr_jpeg": ("sRGB against LibRaw's, both after JPEG", decibels),
}


def _figures(data: ReportData, fidelity: RawFidelity) -> list[tuple[str, str]]:
    span = round(data.original.white - data.original.black.min())
    known = {**data.figures, **asdict(fidelity), "range": span}
    return [
        (title, word(known[name]))
        for name, (title, word) in _WORDS.items()
        if known.get(name) is not None
    ]
