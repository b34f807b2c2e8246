"""What people do with RAW, each a function of linear light: the list that all comparisons share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from napari_invisp.hdr.settings import RECONSTRUCT, REINHARD, ToneSettings
from napari_invisp.hdr.toning import anchor_of, toned
from napari_invisp.retouching.filters import BY_NAME, retouched
from napari_invisp.retouching.parameters import values_of
from napari_invisp.retouching.presets import load_preset
from napari_invisp.retouching.settings import RetouchSettings
from napari_invisp.sensor.libraw import Step

Light = NDArray[np.float32]

# Rows that are worked on at a time, so that what is in work stays in the processor's cache.
_BAND = 64


@dataclass(frozen=True)
class Operation:
    """Something that is done with a RAW.

    Attributes
    ----------
    name, about
        What it is called, and what it does.
    act
        Takes ``(H, W, 3)`` float32 linear sRGB of a whole frame, 1 at white, and who is told of
        progress and may raise to stop; returns light that is encoded to be shown. Leaves what it
        is given as it is.
    highlights
        How RAW is developed for it, as for
        :func:`~napari_invisp.hdr.highlights.linear_srgb_hdr`.
    on_codes
        The same by a program that knows of no light, where there is such a thing: takes and
        returns gamma-encoded sRGB, ``(H, W, 3)`` float32, 1 at white.
    """

    name: str
    about: str
    act: Callable[[Light, Step], Light]
    highlights: str = RECONSTRUCT
    on_codes: Callable[[Light], Light] | None = None


def retouching(name: str, settings: RetouchSettings, about: str = "") -> Operation:
    """Make an operation of retouching settings.

    Parameters
    ----------
    name, about
        See :class:`Operation`.
    settings
        Their filters all act on display values where there is no light: exposure multiplies
        codes.
    """

    def act(light: Light, step: Step) -> Light:
        step(0, 1)
        result = retouched(light, settings)
        step(1, 1)
        return result

    # Where nothing is filtered, a program without light does no other than one with it.
    on_codes = (lambda codes: _on_codes(codes, settings)) if settings.active else None
    return Operation(name, about, act, on_codes=on_codes)


def tone_mapping(name: str, settings: ToneSettings, about: str = "") -> Operation:
    """Make an operation of tone mapping settings; each frame is its own anchor."""

    def act(light: Light, step: Step) -> Light:
        return toned(light, settings, step=step)

    return Operation(name, about, act, highlights=settings.highlights)


def _as_bright(light: Light, step: Step) -> Light:
    """Tone-map a frame without making it brighter, as a user would who pulls exposure back."""
    anchor = anchor_of(light)
    settings = ToneSettings(exposure=-anchor.lift)
    return toned(light, settings, step=step, anchor=anchor)


def _on_codes(codes: Light, settings: RetouchSettings) -> Light:
    """Let all filters act on what is there."""
    steps = [
        (BY_NAME[name].act, torch.tensor([values_of(settings, name)], dtype=torch.float32))
        for name in settings.active
    ]
    result = np.empty(codes.shape, np.float32)
    for top in range(0, len(codes), _BAND):
        band = np.ascontiguousarray(codes[top : top + _BAND].transpose(2, 0, 1))
        pixels = torch.from_numpy(band)[None]
        for act, parameters in steps:
            pixels = act(pixels, parameters)
        result[top : top + _BAND] = pixels[0].permute(1, 2, 0).numpy()
    return result


_DEFAULT = ToneSettings()

#: Tone mappings, which suit merged brackets too.
TONE_MAPPINGS: tuple[Operation, ...] = (
    tone_mapping(
        "tone mapping",
        _DEFAULT,
        "the default settings, which make a frame that does not reach white brighter",
    ),
    Operation(
        "tone mapping, as bright as shot",
        "the same, with exposure pulled back by what the frame was made brighter",
        _as_bright,
    ),
    tone_mapping(
        "tone mapping, detail 0.5",
        replace(_DEFAULT, detail=0.5),
        "the default settings, and texture brought out",
    ),
    tone_mapping(
        "tone mapping, Reinhard",
        replace(_DEFAULT, operator=REINHARD),
        "one curve for the whole frame",
    ),
)

#: All operations, in the order of tables and menus.
OPERATIONS: tuple[Operation, ...] = (
    retouching("neutral", load_preset("neutral"), "developed, nothing changed"),
    *(
        retouching(name, load_preset(name), "the retouching preset of this name")
        for name in ("natural", "punchy", "black and white, contrasty", "warm evening")
    ),
    retouching("exposure +2 EV", RetouchSettings(exposure=2), "four times the light"),
    retouching(
        "exposure −2 EV",
        RetouchSettings(exposure=-2),
        "a quarter of the light, highlights beyond white brought back",
    ),
    *TONE_MAPPINGS,
)
