"""The same done to all sources of a RAW, and how far the results are apart. Free of Qt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_invisp.applications.comparing import (
    ORIGINAL,
    PLAIN,
    RECOVERED,
    Codes,
    Differences,
    differences,
)
from napari_invisp.inspection.maps import error_map
from napari_invisp.settings import ErrorMapSettings
from napari_invisp.tiling import Watcher
from napari_invisp.viewer.layers import LayerData, Levels
from napari_invisp.viewer.layers.pyramids import pyramid
from napari_invisp.viewer.work.previewing import Callbacks, Sheet, Shown

#: How maps of results are measured; their colours span the same in all of them.
DIFFERENCE_MAP = ErrorMapSettings(metric="ΔE2000")

# Rows of a map that are measured at a time: few enough to be stopped.
_BAND = 256


@dataclass(frozen=True, eq=False)
class Compared:
    """What became of the sources of one RAW.

    Attributes
    ----------
    settings
        Of the look, which were those of all.
    results
        By source, the layers of the results that were not painted already.
    maps
        Of recovered RAW and plain JPEG: the levels of the map of ΔE2000 against the original's.
    figures
        Of the same: how far the result is from the original's.
    """

    settings: Any
    results: Mapping[str, LayerData]
    maps: Mapping[str, Levels]
    figures: Mapping[str, Differences]


def compared(
    settings: Any, sheets: Mapping[str, Sheet], own: Sheet | None, report: Callbacks
) -> Iterator[Shown | Compared]:
    """Make the whole frames of the original RAW, the recovered RAW and the plain JPEG.

    Parameters
    ----------
    settings
        Of the look.
    sheets
        By the first three of :data:`~napari_invisp.applications.comparing.SOURCES`.
    own
        The one of these that is on the screen; it comes first, and is shown as it is painted.
    report
        Where to report to.

    Yields
    ------
    Shown or Compared
        What was painted of ``own``; in the end the rest.
    """
    codes: dict[str, Codes] = {}
    results = {}
    for name in sorted(sheets, key=lambda each: sheets[each] is not own):
        sheet = sheets[name]
        for shown in sheet.whole(settings, _watcher(report, name)):
            if sheet is own:
                yield shown
        if sheet is not own:
            results[name] = shown.layer()
        codes[name] = sheet.painting.levels[0]
    maps, figures = {}, {}
    for name in (RECOVERED, PLAIN):
        watcher = _watcher(report, name)
        maps[name] = pyramid(_mapped(codes[ORIGINAL], codes[name], watcher))
        watcher.step("comparing", 0, 1)
        figures[name] = differences(codes[ORIGINAL], codes[name])
    yield Compared(settings, results, maps, figures)


def _watcher(report: Callbacks, name: str) -> Watcher:
    """Let progress say which source is in work."""

    def progress(stage: str, done: int, total: int) -> None:
        report.progress(f"{name}, {stage}", done, total)

    return Watcher(progress, report.cancelled)


def _mapped(reference: Codes, candidate: Codes, watcher: Watcher) -> NDArray[np.float32]:
    height, width = reference.shape[:2]
    values = np.empty((height, width), np.float32)
    for top in range(0, height, _BAND):
        watcher.step("error map", top, height)
        part = (slice(top, min(top + _BAND, height)), slice(0, width))
        values[part] = error_map(reference, candidate, DIFFERENCE_MAP, part)
    watcher.step("error map", height, height)
    return values
