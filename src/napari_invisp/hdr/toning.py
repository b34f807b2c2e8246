"""From scene light to a picture: tones by an operator, then colours into what can be shown.

Tones are worked on as log2 of luminance, and what comes out multiplies all channels alike, so that
colours keep their ratios. Middle grey stays where it is and white becomes white, whatever the
operator did in between.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial

import cv2
import numpy as np
from numpy.typing import NDArray

from napari_invisp.hdr.laplacian import (
    Plane,
    depth,
    gaussian_pyramid,
    local_laplacian,
    report,
)
from napari_invisp.hdr.operators import global_curve
from napari_invisp.hdr.settings import DRAGO, LOCAL_LAPLACIAN, REINHARD, ToneSettings
from napari_invisp.sensor.libraw import Step
from napari_invisp.tiling import CancelCheck

Light = NDArray[np.float32]

# Luminance of linear sRGB (IEC 61966-2-1).
_WEIGHTS = np.array([[0.2126, 0.7152, 0.0722]], np.float32)
# Luminance that is added before the logarithm: shadows below are noise.
_FLOOR = 2.0**-11
#: log2 of the luminance that an operator leaves as it is: an 18 % grey.
MIDDLE = float(np.log2(0.18))

# Longest side of an anchor's picture, and the shorter side at which its large-scale tones are seen.
_ANCHOR_SIDE = 256
_LARGE_SCALE = 8
# Side in pixels of the frame of what a pixel of the residual stands for.
_COARSEST = 512
# Share of an anchor's pixels whose median is taken for the brightest tone.
_BRIGHTEST = 0.005
# EV that a dark frame is made brighter at most.
_HIGHEST_LIFT = 3.0
# Of the way from grey to the border of what can be shown: where colours begin to be held back.
_HELD = np.float32(0.9)
# How much of what is too bright in one channel is made up for by brightness, the rest by colour.
_DIMMED = np.float32(0.5)
# Rows whose colours are worked on at a time.
_BAND = 128
_TINY = np.float32(1e-6)


@dataclass(frozen=True, eq=False)
class Anchor:
    """What the tones of a part depend on in the whole frame.

    Attributes
    ----------
    luminance
        ``(h, w)`` float32, linear luminance of the whole frame, small.
    """

    luminance: NDArray[np.float32]

    @cached_property
    def lift(self) -> float:
        """By how many EV a frame that does not reach white is made brighter, so that it does."""
        brightest = max(float(np.quantile(self.luminance, 1 - _BRIGHTEST / 2)), 2.0**-_HIGHEST_LIFT)
        return max(0.0, -float(np.log2(brightest)))


def anchor_of(linear_thumbnail: Light) -> Anchor:
    """Make the anchor of a frame.

    Parameters
    ----------
    linear_thumbnail
        ``(h, w, 3)`` float32 linear sRGB, the whole frame at any size.
    """
    luminance = _luminance(linear_thumbnail)
    height, width = luminance.shape
    factor = _ANCHOR_SIDE / max(height, width)
    if factor < 1:
        size = max(1, round(width * factor)), max(1, round(height * factor))
        smaller = cv2.resize(luminance, size, interpolation=cv2.INTER_AREA)
        luminance = np.asarray(smaller, np.float32)
    return Anchor(luminance)


def toned(
    linear: Light,
    settings: ToneSettings,
    *,
    scale: float = 1.0,
    step: Step | None = None,
    cancelled: CancelCheck | None = None,
    anchor: Anchor | None = None,
) -> Light:
    """Turn scene light into light that a screen can show.

    Parameters
    ----------
    linear
        ``(h, w, 3)`` float32 linear sRGB of a frame or of a part of it, finite.
    settings
        How.
    scale
        How many pixels of the frame a pixel here stands for.
    step, cancelled
        Told of progress; asked between its steps.
    anchor
        From :func:`anchor_of` the whole frame, if this is a part of it; what is here is taken for
        the whole otherwise.

    Returns
    -------
    numpy.ndarray
        ``(h, w, 3)`` float32 linear sRGB in [0, 1], for
        :func:`~napari_invisp.linear.codes_from_linear`.

    Raises
    ------
    Cancelled
        The caller asked to stop.
    """
    anchor = anchor_of(linear) if anchor is None else anchor
    luminance = _luminance(linear)
    exposure = settings.exposure + (anchor.lift if settings.operator == LOCAL_LAPLACIAN else 0)
    scene = _log(luminance, exposure)
    gain = _tones(anchor, settings, scale)(scene, step, cancelled)
    gain -= scene
    gain += np.float32(exposure)
    gain *= np.float32(np.log(2))
    cv2.exp(gain, dst=gain)
    shown = np.empty(linear.shape, np.float32)
    for top in range(0, len(linear), _BAND):
        rows = slice(top, top + _BAND)
        _put_colours(linear[rows], luminance[rows], gain[rows], settings.saturation, shown[rows])
    return shown


# -- tones --------------------------------------------------------------------------------------

# Log luminance before → after, at most 0; told of progress, and asked whether to go on.
_Tones = Callable[[Plane, Step | None, CancelCheck | None], Plane]


def _tones(anchor: Anchor, settings: ToneSettings, scale: float) -> _Tones:
    if settings.operator == LOCAL_LAPLACIAN:
        levels = max(1, round(np.log2(_COARSEST / scale)))
        return partial(_locally, look=_look(anchor, settings), settings=settings, levels=levels)
    if settings.operator in (REINHARD, DRAGO):
        return partial(_globally, anchor=anchor, settings=settings)
    return _as_it_is


def _as_it_is(plane: Plane, step: Step | None, cancelled: CancelCheck | None) -> Plane:
    report(step, cancelled, 0, 1)
    tones = np.minimum(plane, np.float32(0))
    report(step, cancelled, 1, 1)
    return tones


def _globally(
    plane: Plane,
    step: Step | None,
    cancelled: CancelCheck | None,
    *,
    anchor: Anchor,
    settings: ToneSettings,
) -> Plane:
    report(step, cancelled, 0, 1)
    curve = global_curve(np.exp2(_log(anchor.luminance, settings.exposure)), settings)
    # They adapt to any exposure, so it counts afterwards.
    tones = curve(plane) + np.float32(settings.exposure)
    np.minimum(tones, 0, out=tones)
    report(step, cancelled, 1, 1)
    return tones


@dataclass(frozen=True)
class _Look:
    """What the local Laplacian filter makes of a whole frame.

    Attributes
    ----------
    slope
        How much of the contrast over large parts of the frame remains.
    white
        What the brightest tone becomes, in EV above middle grey.
    """

    slope: float
    white: float

    def residual(self, plane: Plane) -> Plane:
        """Bend the tones of large parts about middle grey."""
        return (plane - np.float32(MIDDLE)) * np.float32(self.slope) + np.float32(MIDDLE)

    def shoulder(self, plane: Plane) -> Plane:
        """Leave what is below middle grey, and bring the brightest tone to 0, in place.

        The hyperbola x/(1 + kx) in EV above middle grey: slope 1 there.
        """
        curvature = -1 / MIDDLE - 1 / self.white
        plane -= np.float32(MIDDLE)
        above = np.clip(plane, 0, np.float32(self.white))
        np.minimum(plane, 0, out=plane)
        above /= above * np.float32(curvature) + 1
        plane += above
        plane += np.float32(MIDDLE)
        return plane


def _locally(
    plane: Plane,
    step: Step | None,
    cancelled: CancelCheck | None,
    *,
    look: _Look,
    settings: ToneSettings,
    levels: int,
) -> Plane:
    filtered = local_laplacian(
        plane,
        settings,
        levels=min(levels, depth(plane.shape)),
        coarsest=look.residual,
        step=step,
        cancelled=cancelled,
    )
    return look.shoulder(filtered)


@lru_cache(maxsize=8)
def _look(anchor: Anchor, settings: ToneSettings) -> _Look:
    """Filter the small picture of a frame as deep as can be, and see what became of its tones."""
    before = _log(anchor.luminance, anchor.lift + settings.exposure)
    after = local_laplacian(before, settings)
    levels = max(0, depth(before.shape) - depth((_LARGE_SCALE, _LARGE_SCALE)))
    coarse, result = (gaussian_pyramid(plane, levels)[-1] for plane in (before, after))
    spread = coarse - coarse.mean()
    variance = float((spread * spread).mean())
    # Without any spread there is nothing to learn it from, nor to use it for.
    slope = float((spread * result).mean()) / variance if variance > _TINY else 1.0
    shift = MIDDLE + slope * (float(coarse.mean()) - MIDDLE) - float(result.mean())
    bright = before >= np.quantile(before, 1 - _BRIGHTEST)
    white = float(np.median(after[bright])) + shift - MIDDLE
    # White is white even in a picture that does not reach it.
    white += slope * max(0.0, -float(np.median(before[bright])))
    return _Look(slope, max(white, float(_TINY)))


# -- colours ------------------------------------------------------------------------------------


def _luminance(linear: Light) -> Plane:
    luminance = np.maximum(cv2.transform(linear, _WEIGHTS), np.float32(0))
    return luminance.reshape(linear.shape[:2])


def _log(luminance: Plane, exposure: float) -> Plane:
    light = luminance * np.float32(2.0**exposure)
    light += np.float32(_FLOOR)
    cv2.log(light, dst=light)
    light *= np.float32(1 / np.log(2))
    return light


def _put_colours(
    linear: Light, luminance: Plane, gain: Plane, saturation: float, shown: Light
) -> None:
    """Multiply by the gain, and bring colours into [0, 1] towards the grey of their luminance."""
    grey = np.minimum(luminance * gain, 1)
    channels = [np.asarray(channel, np.float32) for channel in cv2.split(linear)]
    for channel in channels:
        channel *= gain
        channel -= grey
        channel *= np.float32(saturation)
    high, low = np.maximum(channels[0], channels[1]), np.minimum(channels[0], channels[1])
    np.maximum(high, channels[2], out=high)
    np.minimum(low, channels[2], out=low)
    # Bright colours give way in brightness as much as in colour: a red lamp is not white.
    brightest = np.maximum(grey + high, 1)
    dimmed = _DIMMED / brightest + (1 - _DIMMED)
    for plane in (grey, high, low, *channels):
        plane *= dimmed
    # How far the colour is on the way from grey to the border.
    high /= np.maximum(1 - grey, _TINY)
    low /= -np.maximum(grey, _TINY)
    way = np.maximum(np.maximum(high, low), _TINY)
    beyond = np.maximum(way - _HELD, 0)
    beyond /= beyond * (1 / (1 - _HELD)) + 1
    held = (np.minimum(way, _HELD) + beyond) / way
    for channel in channels:
        channel *= held
        channel += grey
        np.clip(channel, 0, 1, out=channel)
    shown[...] = cv2.merge(channels)
