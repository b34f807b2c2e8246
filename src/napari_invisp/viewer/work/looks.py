"""What becomes of linear light: retouching, tone mapping. Free of Qt."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_invisp.hdr.highlights import linear_srgb_hdr
from napari_invisp.hdr.settings import ToneSettings
from napari_invisp.hdr.toning import Anchor, anchor_of, toned
from napari_invisp.retouching.filters import retouched
from napari_invisp.retouching.settings import RetouchSettings
from napari_invisp.sensor.record import RawRecord
from napari_invisp.tiling import Part, Watcher
from napari_invisp.viewer.layers import Kind

Light = NDArray[np.float32]

# Rows that are retouched at a time: enough for all cores, few enough to be stopped.
_BAND = 256


class Look(Protocol):
    """How light becomes a picture, for previews and whole frames alike.

    Attributes
    ----------
    kind
        What the picture's layer shows.
    margin
        So many pixels around a part, at the size that is shown, have a say in what it looks like.
    most
        So many pixels are worked on at most while a slider moves.
    """

    kind: ClassVar[Kind]
    margin: ClassVar[int]
    most: ClassVar[int]

    def develop(self, record: RawRecord, settings: Any, watcher: Watcher) -> Light:
        """Turn a RAW to linear light, ``(H, W, 3)``."""

    def develops_alike(self, one: Any, other: Any) -> bool:
        """Tell whether two settings begin with the same light."""

    def anchor(self, light: Light) -> Any:
        """Return what the picture of a part has to know of the whole."""

    def apply(
        self, light: Light, settings: Any, scale: float, anchor: Any, watcher: Watcher
    ) -> Light:
        """Make a part, of which each pixel stands for ``scale`` pixels of the frame, one way."""

    def pieces(
        self, light: Light, settings: Any, anchor: Any, watcher: Watcher
    ) -> Iterator[tuple[Part, Light]]:
        """Make a whole frame, piece by piece."""


class Retouching:
    """Retouching: each pixel by itself."""

    kind: ClassVar[Kind] = Kind.RETOUCHED
    margin: ClassVar[int] = 0
    most: ClassVar[int] = 1_300_000

    def develop(self, record: RawRecord, settings: RetouchSettings, watcher: Watcher) -> Light:
        """Develop with the highlights beyond white, which less exposure brings back."""
        step = partial(watcher.step, "developing")
        return linear_srgb_hdr(record, "reconstruct", step=step)

    def develops_alike(self, one: RetouchSettings, other: RetouchSettings) -> bool:
        """Tell that all settings begin with the same light."""
        return True

    def anchor(self, light: Light) -> None:
        """Return nothing: no pixel knows of others."""

    def apply(
        self,
        light: Light,
        settings: RetouchSettings,
        scale: float,
        anchor: None,
        watcher: Watcher,
    ) -> Light:
        """Retouch a part."""
        return retouched(light, settings)

    def pieces(
        self, light: Light, settings: RetouchSettings, anchor: None, watcher: Watcher
    ) -> Iterator[tuple[Part, Light]]:
        """Retouch a frame in bands."""
        height, width = light.shape[:2]
        for top in range(0, height, _BAND):
            watcher.step("retouching", top, height)
            rows = slice(top, min(top + _BAND, height))
            yield (rows, slice(0, width)), retouched(light[rows], settings)
        watcher.step("retouching", height, height)


class ToneMapping:
    """Tone mapping: what lies around a pixel, and the whole frame, have a say."""

    kind: ClassVar[Kind] = Kind.TONE_MAPPED
    margin: ClassVar[int] = 32
    most: ClassVar[int] = 1_100_000

    def develop(self, record: RawRecord, settings: ToneSettings, watcher: Watcher) -> Light:
        """Develop with clipped or reconstructed highlights, as the settings say."""
        step = partial(watcher.step, "developing")
        return linear_srgb_hdr(record, settings.highlights, step=step)

    def develops_alike(self, one: ToneSettings, other: ToneSettings) -> bool:
        """Tell whether highlights are treated alike."""
        return one.highlights == other.highlights

    def anchor(self, light: Light) -> Anchor:
        """Return the brightness of the frame, small."""
        return anchor_of(light)

    def apply(
        self, light: Light, settings: ToneSettings, scale: float, anchor: Anchor, watcher: Watcher
    ) -> Light:
        """Map the tones of a part."""
        return toned(light, settings, scale=scale, cancelled=watcher.cancelled, anchor=anchor)

    def pieces(
        self, light: Light, settings: ToneSettings, anchor: Anchor, watcher: Watcher
    ) -> Iterator[tuple[Part, Light]]:
        """Map the tones of a frame at once, so that there are no seams."""
        step = partial(watcher.step, "tone mapping")
        height, width = light.shape[:2]
        made = toned(light, settings, step=step, cancelled=watcher.cancelled, anchor=anchor)
        yield (slice(0, height), slice(0, width)), made
