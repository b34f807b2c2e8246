"""Merging brackets: RAW frames of one scene at several exposures become one HDR picture.

Each frame is developed to white-balanced camera RGB, moved onto the reference, and divided by its
exposure. At each pixel and channel the frames are averaged by the inverse of the variance that
sensor noise gives them (Debevec and Malik, 1997, with the weights of Granados et al., 2010):
w = v·t²/(a·x + b) for exposure t, sample x and :class:`~napari_invisp.hdr.noise.Noise` a, b. Toward
saturation of the sensor, v falls smoothly to 0. What is saturated in all frames is reconstructed as
in a single one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from napari_invisp.errors import RawFileError
from napari_invisp.hdr.aligning import exposures_of, matched
from napari_invisp.hdr.highlights import Light, reconstruct, saturation_levels, to_srgb
from napari_invisp.hdr.laplacian import report, smooth_step
from napari_invisp.hdr.noise import Noise, measured_noise
from napari_invisp.metrics import check_comparable
from napari_invisp.sensor.libraw import Step, demosaic_uint16
from napari_invisp.sensor.record import RawRecord
from napari_invisp.tiling import CancelCheck

# Of a channel's saturation: where a sample begins to count less, and where it no longer counts.
_FULL, _NONE = 0.8, 0.95
# What saturated samples of the shortest exposure count: there are no others.
_LAST_RESORT = 1e-6
# Pixels around one that its demosaicing looks at, and that its noise is told from.
_REACH = 2
# Difference in EV between what EXIF says and what is measured that is worth a note.
_NOTED = 0.1
# Rows that are worked on at a time.
_BAND = 128

_Samples = TypeVar("_Samples", np.uint8, np.uint16)


@dataclass(frozen=True, eq=False)
class Merged:
    """One HDR picture of several frames.

    Attributes
    ----------
    linear
        ``(H, W, 3)`` float32 linear sRGB, in the sensor's orientation; 1 is the white of the
        reference frame.
    reference, record
        Number and record of the reference frame: the one of middle exposure.
    exposures
        Of each frame, in EV against the reference, from EXIF.
    measured
        The same, as the frames themselves show; ``None`` where they have too little in common.
    shifts
        ``(rows, columns)`` in pixels that each frame was moved by onto the reference.
    shares
        How much each frame counts, on average over the picture; they sum to 1.
    notes
        Sentences that the user should read.
    """

    linear: Light
    reference: int
    record: RawRecord
    exposures: tuple[float, ...]
    measured: tuple[float | None, ...]
    shifts: tuple[tuple[float, float], ...]
    shares: tuple[float, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Frame:
    """A frame as it takes part: balanced as the reference is, ``time`` 1 for its exposure."""

    record: RawRecord
    time: float
    shift: tuple[float, float]
    measured: float | None
    noise: Noise
    shortest: bool


def merge(
    records: Sequence[RawRecord],
    *,
    step: Step | None = None,
    cancelled: CancelCheck | None = None,
) -> Merged:
    """Merge frames of one scene.

    Parameters
    ----------
    records
        Two frames or more from one camera, recovered ones too, at any exposures.
    step, cancelled
        Told of progress; asked between its steps.

    Returns
    -------
    Merged
        The picture, and what was found out on the way.

    Raises
    ------
    RawFileError
        The frames are not of one camera and size, or do not say how they were exposed.
    Cancelled
        The caller asked to stop.
    """
    exposures, reference = _checked(records)
    total = 2 * len(records) + 1
    noises = _noise_by_iso(records)
    notes: list[str] = []
    frames = []
    for number in range(len(records)):
        report(step, cancelled, number, total)
        noise = noises[records[number].capture.iso]
        frames.append(_frame(number, records, reference, exposures, noise, notes))
    light = np.zeros((*records[reference].mosaic.shape, 3), np.float32)
    weights = np.zeros(light.shape, np.float32)
    sums = []
    for number, frame in enumerate(frames):
        report(step, cancelled, len(records) + number, total)
        _add(frame, light, weights)
        sums.append(float(weights.sum(dtype=np.float64)))
    report(step, cancelled, total - 1, total)
    for top in range(0, len(light), _BAND):
        light[top : top + _BAND] /= weights[top : top + _BAND]
    shortest = min(frames, key=lambda frame: frame.time)
    reconstruct(light, saturation_levels(shortest.record) / shortest.time)
    to_srgb(light, records[reference])
    report(step, cancelled, total, total)
    return Merged(
        linear=light,
        reference=reference,
        record=records[reference],
        exposures=exposures,
        measured=tuple(frame.measured for frame in frames),
        shifts=tuple(frame.shift for frame in frames),
        shares=tuple((np.diff(sums, prepend=0.0) / sums[-1]).tolist()),
        notes=tuple(notes),
    )


def _checked(records: Sequence[RawRecord]) -> tuple[tuple[float, ...], int]:
    """Return exposures in EV against the middle one, and which that is."""
    if len(records) < 2:
        raise RawFileError("a bracket is two RAW files or more")
    for number, record in enumerate(records[1:], 2):
        check_comparable(records[0], record)
        if record.camera != records[0].camera:
            raise RawFileError(
                f"frame {number} is from another camera ({record.camera or 'unknown'}) than the "
                f"first ({records[0].camera or 'unknown'})"
            )
    exposures = exposures_of(records)
    middle = int(np.argsort(exposures, kind="stable")[(len(records) - 1) // 2])
    return tuple(value - exposures[middle] for value in exposures), middle


def _noise_by_iso(records: Sequence[RawRecord]) -> dict[int | None, Noise]:
    """Measure noise; of frames at one ISO the least counts, since texture only adds to it."""
    noises: dict[int | None, Noise] = {}
    for record in records:
        iso, noise = record.capture.iso, measured_noise(record)
        noises[iso] = min(noise, noises.get(iso, noise), key=lambda each: each.gain)
    return noises


def _frame(
    number: int,
    records: Sequence[RawRecord],
    reference: int,
    exposures: Sequence[float],
    noise: Noise,
    notes: list[str],
) -> _Frame:
    record, exposure = records[number], exposures[number]
    shift: tuple[float, float] = (0.0, 0.0)
    measured: float | None = 0.0
    if number != reference:
        match = matched(record, records[reference], exposure)
        measured = match.ratio
        name = f"frame {number + 1}"
        if match.shift is None:
            notes.append(f"{name} could not be aligned with the reference and was taken as it is")
        elif any(match.shift):
            shift = match.shift
            notes.append(f"{name} was moved by {shift[0]:+.1f} rows and {shift[1]:+.1f} columns")
        if measured is not None and abs(measured - exposure) > _NOTED:
            notes.append(
                f"{name} shows {measured:+.2f} EV where its EXIF says {exposure:+.2f} EV; what it "
                "shows was used"
            )
    return _Frame(
        # Cameras may balance each frame of a bracket anew.
        record=record.replace(white_balance=records[reference].white_balance),
        time=2 ** (exposure if measured is None else measured),
        shift=shift,
        measured=measured,
        noise=noise,
        shortest=exposure == min(exposures),
    )


def _add(frame: _Frame, light: Light, weights: Light) -> None:
    """Add a frame's light, weighted, to the sum, and its weights to theirs."""
    record = frame.record
    counts, scale = demosaic_uint16(record)
    if any(frame.shift):
        counts = moved(counts, frame.shift)
    gains = (record.balance / record.balance.min()).astype(np.float32)
    ends = saturation_levels(record).astype(np.float32)
    scale /= float(record.balance.min())
    for top in range(0, len(counts), _BAND):
        rows = slice(top, top + _BAND)
        first = max(0, top - _REACH)
        outer = counts[first : top + _BAND + _REACH].astype(np.float32) * np.float32(scale)
        weight = _weight(frame, outer, gains, ends)[top - first :][:_BAND]
        weights[rows] += weight
        weight *= outer[top - first :][:_BAND]
        weight *= np.float32(1 / frame.time)
        light[rows] += weight


def _weight(
    frame: _Frame, light: Light, gains: NDArray[np.float32], ends: NDArray[np.float32]
) -> Light:
    """Return the inverse of the variance of light / time, less where the sensor saturates."""
    side = 2 * _REACH + 1
    # The local mean: a sample that is dark by chance must not count more than one that is bright.
    smooth = cv2.blur(light, (side, side))
    variance = smooth / gains * np.float32(frame.noise.gain) + np.float32(frame.noise.floor)
    reached = cv2.dilate((light / ends).max(axis=2), np.ones((side, side), np.uint8))
    sound = 1 - smooth_step(np.asarray(reached, np.float32), _FULL, _NONE)
    if frame.shortest:
        sound = np.maximum(sound, np.float32(_LAST_RESORT))
    weight: Light = np.float32(frame.time**2) * sound[..., None] / variance
    return weight


def moved(picture: NDArray[_Samples], shift: tuple[float, float]) -> NDArray[_Samples]:
    """Move a picture by rows and columns: ``(H, W, 3)`` uint8 or uint16, borders mirrored."""
    height, width = picture.shape[:2]
    place = np.array([[1, 0, shift[1]], [0, 1, shift[0]]], np.float64)
    result: NDArray[_Samples] = cv2.warpAffine(  # type: ignore[assignment]
        picture, place, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
    )
    return result
