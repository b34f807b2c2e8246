"""Where two frames differ, and by how much: error maps, their colour limits, their figures.

A frame is a :class:`~napari_invisp.sensor.record.RawRecord`, a picture ``(H, W, 3)``, or a plain
plane ``(H, W)``. Pictures and planes run from 0 to the largest value of their integer type, or to 1
if they are floats, and pictures are taken to be sRGB. A plane of uint16 beside a record is taken
for counts of the same sensor.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.metrics import structural_similarity

from napari_invisp.errors import RawFileError, SettingsError
from napari_invisp.metrics import RawFidelity, compare_raw, network_raw, rgb_psnr
from napari_invisp.sensor.cfa import channel_sites
from napari_invisp.sensor.record import RawRecord
from napari_invisp.settings import ErrorMapSettings

if TYPE_CHECKING:
    from napari_invisp.tiling import Part

#: What can be compared.
Frame: TypeAlias = RawRecord | NDArray[Any]

#: The standard limit of maps in DN, as a fraction of the range from black to white.
ERROR_SCALE = 0.02
# The standard limit of the others.
_STANDARD = {"EV": 0.5, "% of white": 100 * ERROR_SCALE, "relative": 0.1, "ΔE2000": 5, "SSIM": 0.2}

# Pixels that are worked on at a time, so that what is in work stays in the processor's cache.
_BLOCK = 1 << 16
# The same for SSIM, which works through the margins of its bands again and again.
_SSIM_BLOCK = 1 << 18
# structural_similarity's window is 7x7.
_WINDOW = 7
# What structural_similarity sees around a pixel and demosaicing around that; even, for the CFA.
_MARGIN = 6
# The least signal that errors are measured against: 1 DN, or a 16-bit count of white of floats.
_FLOOR, _FLOAT_FLOOR = 1.0, 1 / 65535


@dataclass(frozen=True)
class _Scale:
    """What the values of a frame, or of one of its channels, mean."""

    black: float | NDArray[np.float64]
    white: float
    floor: float
    encoded: bool

    @property
    def span(self) -> float:
        return self.white - float(np.min(self.black))


#: The names of a pair in messages.
_NAMES = ("the reference", "the candidate")


def matched(
    reference: Frame, candidate: Frame, names: tuple[str, str] = _NAMES
) -> tuple[Frame, Frame]:
    """Return two frames as they are compared: two records, two pictures or two planes.

    Parameters
    ----------
    reference, candidate
        What to compare.
    names
        What messages call them.

    Raises
    ------
    RawFileError
        They differ in kind, size, CFA pattern or type; the message says which, and what to do.
    """
    kinds = [_kind(frame) for frame in (reference, candidate)]
    shapes = [_pixels(frame).shape[:2] for frame in (reference, candidate)]
    if shapes[0] != shapes[1]:
        ours, theirs = (f"{name} is {w}x{h}" for name, (h, w) in zip(names, shapes, strict=True))
        turned = "one of them is turned" if shapes[0] == shapes[1][::-1] else "crop or scale one"
        raise RawFileError(f"{ours}, {theirs}: sizes must agree to compare, so {turned}")
    if isinstance(reference, RawRecord) and _fits(candidate):
        candidate = reference.replace(mosaic=candidate)
    elif isinstance(candidate, RawRecord) and _fits(reference):
        reference = candidate.replace(mosaic=reference)
    elif kinds[0] != kinds[1]:
        ours, theirs = (f"{name} is {kind}" for name, kind in zip(names, kinds, strict=True))
        raise RawFileError(f"{ours}, {theirs}: choose two of a kind to compare")
    if isinstance(reference, RawRecord) and isinstance(candidate, RawRecord):
        patterns = (reference.pattern, candidate.pattern)
        if patterns[0] != patterns[1]:
            ours, theirs = (f"{n} has CFA {p}" for n, p in zip(names, patterns, strict=True))
            raise RawFileError(f"{ours}, {theirs}: choose mosaics of one sensor layout")
    return reference, candidate


def _fits(frame: Frame) -> bool:
    return isinstance(frame, np.ndarray) and frame.ndim == 2 and frame.dtype == np.uint16


def _pixels(frame: Frame) -> NDArray[Any]:
    return frame.mosaic if isinstance(frame, RawRecord) else frame


def _kind(frame: Frame) -> str:
    if isinstance(frame, RawRecord):
        return "a mosaic"
    if frame.dtype.kind not in "uif" or not (
        frame.ndim == 2 or (frame.ndim == 3 and frame.shape[2] == 3)
    ):
        raise RawFileError(
            f"an array of {frame.dtype} and shape {frame.shape} is neither a mosaic nor a picture, "
            "so it cannot be compared"
        )
    return f"{'a picture' if frame.ndim == 3 else 'a plane'} of {frame.dtype}"


def _scale(frame: Frame) -> _Scale:
    if isinstance(frame, RawRecord):
        return _Scale(frame.black, frame.white, _FLOOR, encoded=False)
    whole = frame.dtype.kind in "ui"
    white = float(np.iinfo(frame.dtype).max) if whole else 1.0
    return _Scale(0.0, white, _FLOOR if whole else _FLOAT_FLOOR, encoded=frame.ndim == 3)


def unit_of(settings: ErrorMapSettings) -> str:
    """Return the unit of a map's values, as it is printed behind a number; may be empty."""
    if settings.metric in ("ΔE2000", "SSIM"):
        return ""
    unit = "of the signal" if settings.metric.startswith("relative") else settings.unit
    if not settings.metric.endswith("SE"):
        return unit
    return f"{unit}²" if len(unit) == 2 else f"({unit})²"


def title_of(settings: ErrorMapSettings) -> str:
    """Return what a map shows, in few words: metric, channel, unit."""
    channel = "" if settings.channel == "combined" else settings.channel
    unit = "" if settings.metric.startswith("relative") else unit_of(settings)
    return ", ".join(filter(None, (settings.metric, channel, unit)))


def error_map(
    reference: Frame, candidate: Frame, settings: ErrorMapSettings, part: Part | None = None
) -> NDArray[np.float32]:
    """Measure two frames pixel by pixel.

    With r and c the values of reference and candidate, b and w the reference's black and white:

    - E is c − r, AE its magnitude, SE its square; in % of white times 100 / (w − b).
    - In EV, E is log2((c − b') / (r − b)), b' the candidate's black. Pictures are freed of the sRGB
      curve (IEC 61966-2-1) first, so that these are stops of light.
    - Relative AE and SE are those of E / (r − b).
    - Where a signal above black is less than 1 DN (of floats: than 1/65535), it counts as that.
    - ΔE2000 is that of CIE 142:2001 between sRGB colours, all weights 1.
    - SSIM is scikit-image's with its defaults; of mosaics, on
      :func:`~napari_invisp.metrics.network_raw`, both balanced as the reference is.

    Combined, a mosaic is measured at each site and a picture as the mean of its channels. A single
    channel of a mosaic is repeated over its 2x2 quad, so that places stay those of the frame.

    Parameters
    ----------
    reference, candidate
        What to compare.
    settings
        Metric, channel and unit.
    part
        Rows and columns to measure; ``None`` for all. The same as cut out of the whole map.

    Returns
    -------
    numpy.ndarray
        ``(h, w)`` float32 of that part.

    Raises
    ------
    RawFileError
        The frames cannot be compared: see :func:`matched`.
    SettingsError
        The metric or channel has no meaning for such frames.
    """
    reference, candidate = matched(reference, candidate)
    check_meaningful(reference, settings)
    rows, columns = _inside(part, _pixels(reference).shape[:2])
    if settings.metric == "SSIM":
        return _similarity(reference, candidate, settings.channel, rows, columns)
    if settings.metric == "ΔE2000":
        return _colour_difference(
            _pixels(reference)[rows, columns], _pixels(candidate)[rows, columns]
        )
    if settings.channel == "combined":
        scales = [_from(_scale(frame), rows, columns) for frame in (reference, candidate)]
        ours, theirs = (_pixels(frame)[rows, columns] for frame in (reference, candidate))
        return _measured(_planes(ours, theirs), scales, settings)
    if isinstance(reference, RawRecord) and isinstance(candidate, RawRecord):
        return _sites_measured(reference, candidate, settings, rows, columns)
    colour = (rows, columns, _COLOUR[settings.channel])
    scales = [_scale(frame) for frame in (reference, candidate)]
    return _measured([(_pixels(reference)[colour], _pixels(candidate)[colour])], scales, settings)


# Channel of a picture that goes by the name of a CFA site.
_COLOUR = {"R": 0, "G1": 1, "G2": 1, "B": 2}


def check_meaningful(reference: Frame, settings: ErrorMapSettings) -> None:
    """Raise a :class:`SettingsError` if metric or channel have no meaning for such a frame."""
    if settings.metric == "ΔE2000":
        if isinstance(reference, RawRecord):
            raise SettingsError(
                "ΔE2000 compares sRGB colours, which a mosaic does not have: choose another "
                "metric, or two rendered pictures"
            )
        if reference.ndim == 2:
            raise SettingsError("ΔE2000 compares colours: choose another metric for a plane")
        if settings.channel != "combined":
            raise SettingsError("ΔE2000 compares whole colours: choose channel combined")
    if settings.channel != "combined" and isinstance(reference, np.ndarray) and reference.ndim == 2:
        raise SettingsError("a plane has no colour channels: choose channel combined")
    if settings.metric == "SSIM" and min(_pixels(reference).shape[:2]) < _WINDOW:
        raise SettingsError("SSIM needs 7x7 pixels at least: choose another metric")


def _inside(part: Part | None, shape: tuple[int, ...]) -> tuple[slice, slice]:
    rows, columns = part or (slice(None), slice(None))
    return slice(*rows.indices(shape[0])), slice(*columns.indices(shape[1]))


def _from(scale: _Scale, rows: slice, columns: slice) -> _Scale:
    """Give the scale of a part of a mosaic, whose first site may be any of the four."""
    if isinstance(scale.black, float):
        return scale
    black = np.roll(scale.black, (-rows.start, -columns.start), (0, 1))
    # A float where sites agree: numpy is faster then.
    level = float(black[0, 0]) if (black == black[0, 0]).all() else black
    return _Scale(level, scale.white, scale.floor, scale.encoded)


def _sites_measured(
    reference: RawRecord,
    candidate: RawRecord,
    settings: ErrorMapSettings,
    rows: slice,
    columns: slice,
) -> NDArray[np.float32]:
    """Measure one channel of a mosaic where it was sensed, and repeat that over its quad."""
    first = channel_sites(reference.pattern)[settings.channel]
    sensed = [
        _nearest(where, start, length)
        for where, start, length in zip((rows, columns), first, reference.mosaic.shape, strict=True)
    ]
    sites = tuple(slice(each[0], each[-1] + 1, 2) for each in sensed)
    scales = [
        replace(_scale(record), black=float(record.black[first]))
        for record in (reference, candidate)
    ]
    values = _measured([(reference.mosaic[sites], candidate.mosaic[sites])], scales, settings)
    along_rows, along_columns = ((each - each[0]) // 2 for each in sensed)
    repeated: NDArray[np.float32] = values.take(along_rows, axis=0).take(along_columns, axis=1)
    return repeated


def _nearest(where: slice, first: int, length: int) -> NDArray[np.intp]:
    """Tell for each row or column in which one the channel of its quad was sensed.

    At an odd border the last quad may lack its site; the one before it counts.
    """
    last = length - 1 - (length - 1 - first) % 2
    return np.asarray(np.minimum(np.arange(where.start, where.stop) // 2 * 2 + first, last))


#: The values of a channel in reference and candidate.
_Plane: TypeAlias = tuple[NDArray[Any], NDArray[Any]]


def _planes(reference: NDArray[Any], candidate: NDArray[Any]) -> list[_Plane]:
    if reference.ndim == 2:
        return [(reference, candidate)]
    # One by one: numpy is slow where the innermost axis has three elements.
    return [(reference[..., c], candidate[..., c]) for c in range(reference.shape[2])]


def _measured(
    planes: Sequence[_Plane], scales: Sequence[_Scale], settings: ErrorMapSettings
) -> NDArray[np.float32]:
    """Average E, AE or SE over planes, block by block."""
    height, width = planes[0][0].shape
    values = np.zeros((height, width), np.float32)
    band = max(2, _BLOCK // max(1, width) // 2 * 2)
    black = [_tiled(scale.black, min(band, height), width) for scale in scales]
    for top in range(0, height, band):
        rows = slice(top, min(top + band, height))
        level = [b[: rows.stop - top] if isinstance(b, np.ndarray) else b for b in black]
        for ours, theirs in planes:
            values[rows] += _errors(ours[rows], theirs[rows], level, scales, settings)
        if len(planes) > 1:
            values[rows] /= len(planes)
    return values


def _tiled(
    black: float | NDArray[np.float64], height: int, width: int
) -> float | NDArray[np.float32]:
    if isinstance(black, float):
        return black
    tiled = np.tile(black.astype(np.float32), (height // 2 + 1, width // 2 + 1))
    return np.ascontiguousarray(tiled[:height, :width])


def _errors(
    ours: NDArray[Any],
    theirs: NDArray[Any],
    black: Sequence[float | NDArray[np.float32]],
    scales: Sequence[_Scale],
    settings: ErrorMapSettings,
) -> NDArray[np.float32]:
    relative = settings.metric.startswith("relative")
    if settings.unit == "EV" and not relative:
        error = _stops(theirs, black[1], scales[1])
        error -= _stops(ours, black[0], scales[0])
    else:
        error = np.subtract(theirs, ours, dtype=np.float32)
        if relative:
            error /= _signal(ours, black[0], scales[0])
        elif settings.unit == "% of white":
            error *= 100 / (scales[0].white - black[0])
    if settings.metric.endswith("AE"):
        np.abs(error, out=error)
    elif settings.metric.endswith("SE"):
        np.square(error, out=error)
    return error


def _signal(
    values: NDArray[Any], black: float | NDArray[np.float32], scale: _Scale
) -> NDArray[np.float32]:
    signal: NDArray[np.float32] = np.subtract(values, black, dtype=np.float32)
    np.maximum(signal, np.float32(scale.floor), out=signal)
    return signal


def _stops(
    values: NDArray[Any], black: float | NDArray[np.float32], scale: _Scale
) -> NDArray[np.float32]:
    signal = _signal(values, black, scale)
    if scale.encoded:
        signal /= np.float32(scale.white)
        low = signal <= 0.04045
        signal = np.where(low, signal / 12.92, ((signal + 0.055) / 1.055) ** np.float32(2.4))
    np.log2(signal, out=signal)
    return signal


def _similarity(
    reference: Frame, candidate: Frame, channel: str, rows: slice, columns: slice
) -> NDArray[np.float32]:
    height, width = _pixels(reference).shape[:2]
    values = np.empty((rows.stop - rows.start, columns.stop - columns.start), np.float32)
    outer_columns = _widened(columns, width)
    band = max(_WINDOW, _SSIM_BLOCK // max(1, outer_columns.stop - outer_columns.start))
    for top in range(rows.start, rows.stop, band):
        inner = slice(top, min(top + band, rows.stop))
        outer = _widened(inner, height)
        ours, theirs = _window(reference, candidate, outer, outer_columns, channel)
        scale = 1.0 if isinstance(reference, RawRecord) else _scale(reference).white
        _, full = structural_similarity(  # type: ignore[no-untyped-call]
            ours, theirs, channel_axis=2 if ours.ndim == 3 else None, data_range=scale, full=True
        )
        kept = full[
            inner.start - outer.start : inner.stop - outer.start,
            columns.start - outer_columns.start : columns.stop - outer_columns.start,
        ]
        values[inner.start - rows.start : inner.stop - rows.start] = (
            kept.mean(axis=2) if kept.ndim == 3 else kept
        )
    return values


def _widened(where: slice, length: int) -> slice:
    start = max(0, where.start - _MARGIN) // 2 * 2
    return slice(start, min(length, where.stop + _MARGIN))


def _window(
    reference: Frame, candidate: Frame, rows: slice, columns: slice, channel: str
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Cut out what SSIM looks at; in double precision, for it works with running sums."""
    if isinstance(reference, RawRecord) and isinstance(candidate, RawRecord):
        candidate = candidate.replace(white_balance=reference.white_balance)
        ours, theirs = (
            network_raw(record.replace(mosaic=record.mosaic[rows, columns])).astype(np.float64)
            for record in (reference, candidate)
        )
    else:
        ours, theirs = (
            _pixels(frame)[rows, columns].astype(np.float64) for frame in (reference, candidate)
        )
    if channel == "combined":
        return ours, theirs
    return ours[..., _COLOUR[channel]], theirs[..., _COLOUR[channel]]


def _colour_difference(reference: NDArray[Any], candidate: NDArray[Any]) -> NDArray[np.float32]:
    height, width = reference.shape[:2]
    values = np.empty((height, width), np.float32)
    white = np.float32(_scale(reference).white)
    band = max(1, _BLOCK // max(1, width))
    for top in range(0, height, band):
        rows = slice(top, top + band)
        ours = rgb2lab(reference[rows].astype(np.float32) / white)
        theirs = rgb2lab(candidate[rows].astype(np.float32) / white)
        values[rows] = deltaE_ciede2000(ours, theirs)  # type: ignore[no-untyped-call]
    return values


def beyond(
    reference: Frame, candidate: Frame, settings: ErrorMapSettings, part: Part | None = None
) -> NDArray[np.bool_]:
    """Tell where two frames are off by more than the threshold in DN, whatever the metric.

    Combined, a picture is off where any of its channels is.

    Parameters
    ----------
    reference, candidate, part
        As for :func:`error_map`.
    settings
        Channel and threshold.

    Returns
    -------
    numpy.ndarray
        ``(h, w)`` bool.

    Raises
    ------
    RawFileError
        The frames cannot be compared.
    """
    pixels = _pixels(reference)
    several = pixels.ndim == 3 and settings.channel == "combined"
    off: NDArray[np.bool_] | None = None
    for channel in ("R", "G1", "B") if several else (settings.channel,):
        counts = ErrorMapSettings(channel=channel)
        more = error_map(reference, candidate, counts, part) > settings.threshold
        off = more if off is None else np.logical_or(off, more, out=off)
    return cast("NDArray[np.bool_]", off)


def limits_of(
    settings: ErrorMapSettings, reference: Frame, values: NDArray[np.float32] | None = None
) -> tuple[float, float]:
    """Return the values of a map that get the first and the last of its colours.

    Of E they lie evenly about 0; of SSIM the upper one is 1, which is no error.

    Parameters
    ----------
    settings
        Metric, unit, and the kind of limits.
    reference
        The frame that the map was measured against.
    values
        The map, which percentiles are taken of; without it they fall back to the standard.

    Returns
    -------
    tuple of float
        The lower limit and the upper, which is larger.
    """
    if settings.limits == "fixed":
        limit = settings.limit
    elif settings.limits == "percentile" and values is not None:
        limit = _percentile(settings, values)
    else:
        limit = _standard(settings, reference)
    if settings.metric == "SSIM":
        return 1 - limit, 1.0
    return (-limit if settings.metric == "E" else 0.0), limit


def _percentile(settings: ErrorMapSettings, values: NDArray[np.float32]) -> float:
    errors = 1 - values if settings.metric == "SSIM" else np.abs(values)
    errors = errors[np.isfinite(errors)]
    # Not quite 0, where there is no error at all.
    return max(float(np.percentile(errors, settings.percentile)) if errors.size else 0.0, 1e-6)


def _standard(settings: ErrorMapSettings, reference: Frame) -> float:
    relative = settings.metric.startswith("relative")
    name = "relative" if relative else settings.unit
    limit = _STANDARD.get(settings.metric) or _STANDARD.get(name)
    if limit is None:
        limit = ERROR_SCALE * _scale(reference).span
    return limit**2 if settings.metric.endswith("SE") else limit


@dataclass(frozen=True)
class Summary:
    """The figures of an error map.

    Attributes
    ----------
    mean
        Of the map, in its unit; of SSIM, over the windows that lie within the part.
    worst
        The value that is farthest from no error.
    rms
        Root mean square error, not squared even where the map is; ``None`` of SSIM.
    above
        Share of the sites, or of the pixels, that are off by more than the threshold in DN, 0 to 1.
    fidelity
        Of mosaics: what ``napari-invisp compare`` prints.
    rgb_psnr
        Of 8-bit pictures: dB over all channels.
    """

    mean: float
    worst: float
    rms: float | None
    above: float
    fidelity: RawFidelity | None = None
    rgb_psnr: float | None = None


def summary(
    reference: Frame,
    candidate: Frame,
    settings: ErrorMapSettings,
    part: Part | None = None,
    values: NDArray[np.float32] | None = None,
) -> Summary:
    """Sum an error map up.

    Parameters
    ----------
    reference, candidate, settings
        As for :func:`error_map`.
    part
        Rows and columns to look at; ``None`` for all. Of mosaics, whole quads are taken.
    values
        The map of that part, if it is at hand; of mosaics, of whole quads.

    Raises
    ------
    RawFileError
        The frames cannot be compared.
    SettingsError
        The metric or channel has no meaning for such frames.
    """
    reference, candidate = matched(reference, candidate)
    rows, columns = whole_quads(part, _pixels(reference).shape[:2])
    if values is None:
        values = error_map(reference, candidate, settings, (rows, columns))
    off = beyond(reference, candidate, settings, (rows, columns))
    if settings.metric == "SSIM":
        pad = _WINDOW // 2
        within = values[pad:-pad, pad:-pad] if min(values.shape) >= _WINDOW else values
        mean, worst, rms = float(within.mean(dtype=np.float64)), float(values.min()), None
    else:
        low, high = float(values.min()), float(values.max())
        mean, worst = float(values.mean(dtype=np.float64)), low if -low > high else high
        rms = _rms(values, squared=settings.metric.endswith("SE"))
    fidelity = psnr = None
    if isinstance(reference, RawRecord) and isinstance(candidate, RawRecord):
        fidelity = compare_raw(_cut(reference, rows, columns), _cut(candidate, rows, columns))
    elif _pixels(reference).dtype == np.uint8:
        psnr = rgb_psnr(_pixels(reference)[rows, columns], _pixels(candidate)[rows, columns])
    return Summary(mean, worst, rms, int(np.count_nonzero(off)) / off.size, fidelity, psnr)


def whole_quads(part: Part | None, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Widen rows and columns to even ones, as far as the frame goes."""
    rows, columns = _inside(part, shape)
    return (
        slice(rows.start // 2 * 2, min(shape[0], rows.stop + rows.stop % 2)),
        slice(columns.start // 2 * 2, min(shape[1], columns.stop + columns.stop % 2)),
    )


def _rms(values: NDArray[np.float32], squared: bool) -> float:
    band = max(1, _BLOCK // values.shape[1])
    total = 0.0
    for top in range(0, len(values), band):
        rows = values[top : top + band]
        total += float((rows if squared else np.square(rows)).sum(dtype=np.float64))
    return math.sqrt(total / values.size)


def _cut(record: RawRecord, rows: slice, columns: slice) -> RawRecord:
    if (rows, columns) == tuple(slice(0, n) for n in record.mosaic.shape):
        return record
    return record.replace(mosaic=np.ascontiguousarray(record.mosaic[rows, columns]))
