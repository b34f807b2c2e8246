"""What jobs have in common: what is known of a RAW, whom they report to, what they hand over.

Free of Qt.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_invisp.development import Demosaiced
from napari_invisp.flow.base import InvertibleISP
from napari_invisp.inspection.rate import Line
from napari_invisp.metrics import (
    bits_per_pixel,
    compression_ratio,
    rgb_psnr,
)
from napari_invisp.pipeline import Pipeline, Recovery, Rendering
from napari_invisp.sensor.libraw import reference_srgb
from napari_invisp.sensor.record import RawRecord
from napari_invisp.settings import RenderSettings
from napari_invisp.tiling import Part, Watcher
from napari_invisp.viewer.layers import (
    EXACT,
    HEADROOM,
    MODEL,
    ORIGINAL_TAGS,
    QUALITY,
    SIDE_INFO,
    SUBSAMPLING,
    LayerData,
)
from napari_invisp.viewer.work.frames import Frames

# Larger tiles are faster, but to cancel would take longer than people wait.
_LARGEST_TILE = 512


class Callbacks(Protocol):
    """Where a job reports to."""

    def progress(self, stage: str, done: int, total: int) -> None:
        """Take a :data:`~napari_invisp.tiling.Progress` report."""

    def cancelled(self) -> bool:
        """Tell whether to stop."""

    def notify(self, sentence: str) -> None:
        """Take a sentence that the user should read."""

    def focus(self) -> Part | None:
        """Tell what the user looks at."""

    def wait_for_window(self) -> None:
        """Wait until the last result is on the screen."""


@dataclass(eq=False)
class Bench:
    """What is kept of one RAW, so that no later run has to find it again.

    Attributes
    ----------
    record
        The RAW.
    demosaiced
        The same, demosaiced.
    reference
        ``(H, W, 3)`` uint8, LibRaw's rendering.
    fidelity
        ``rgb_psnr`` of a rendering.
    tried
        The models of a rendering as they stand for its JPEG files, by quality and subsampling; the
        latest last.
    overhead
        Bytes of that JPEG that are not picture.
    paces
        Seconds that a pixel took of late while a slider was followed, by model, and by whether it
        had to be rendered anew.
    """

    record: RawRecord
    demosaiced: Demosaiced | None = None
    reference: NDArray[np.uint8] | None = None
    fidelity: tuple[Rendering, float] | None = None
    tried: tuple[Rendering, dict[tuple[int, str], InvertibleISP]] | None = None
    overhead: int = 0
    paces: dict[tuple[str, bool], float] = field(default_factory=dict)

    def demosaiced_by(self, pipeline: Pipeline) -> Demosaiced:
        """Demosaic for the model of a pipeline, unless that was done for another one like it."""
        if self.demosaiced is None or self.demosaiced.profile != pipeline.load().profile:
            self.demosaiced = pipeline.demosaic(self.record)
        return self.demosaiced

    def rendered_by_libraw(self, watcher: Watcher) -> NDArray[np.uint8]:
        """Return the reference sRGB."""
        if self.reference is None:
            self.reference = reference_srgb(self.record, partial(watcher.step, "measuring"))
        return self.reference

    def fidelity_of(self, rendering: Rendering, watcher: Watcher) -> float:
        """Return the ``rgb_psnr`` of a rendering."""
        if self.fidelity is None or self.fidelity[0] is not rendering:
            self.fidelity = rendering, rgb_psnr(self.rendered_by_libraw(watcher), rendering.rgb)
        return self.fidelity[1]

    def networks_of(self, rendering: Rendering) -> dict[tuple[int, str], InvertibleISP]:
        """Return the models of a rendering as they stand for the JPEG files that are known."""
        if self.tried is None or self.tried[0] is not rendering:
            self.tried = rendering, {}
        return self.tried[1]


@dataclass(frozen=True, eq=False)
class Result:
    """What a job hands to the window.

    Attributes
    ----------
    layers
        To add, or to put in place of earlier ones; lowest first.
    frames
        What is painted in them.
    """

    layers: list[LayerData]
    frames: Frames = field(repr=False)


def pipeline_of(
    settings: RenderSettings, report: Callbacks, frames: Frames | None = None
) -> Pipeline:
    """Return a pipeline that reports to a job's report, and paints frames if there are any."""
    return Pipeline(
        settings,
        progress=report.progress,
        cancelled=report.cancelled,
        notify=report.notify,
        focus=report.focus,
        arrived=frames.arrived if frames is not None else None,
        largest_tile=_LARGEST_TILE,
    )


def made_with(settings: RenderSettings) -> dict[str, Any]:
    """Return what layers say about how they were made."""
    return {
        MODEL: settings.model,
        HEADROOM: settings.headroom,
        QUALITY: settings.quality,
        SUBSAMPLING: settings.subsampling,
    }


def from_archive(recovery: Recovery) -> dict[str, Any]:
    """Return what layers say about what else the JPEG held to bring back the RAW."""
    facts = {
        SIDE_INFO: recovery.side_info or None,
        EXACT: recovery.exact or None,
        ORIGINAL_TAGS: recovery.original,
    }
    return {name: value for name, value in facts.items() if value is not None}


def size_of(size: int, record: RawRecord) -> tuple[int, float, float]:
    """Return what figures say about the size of a JPEG: bytes, bits a pixel, compression ratio."""
    return size, bits_per_pixel(size, record), compression_ratio(size, record)


def line_of(rendering: Rendering, subsampling: str) -> Line:
    """Return the rate-distortion curve that JPEG files of a rendering belong to."""
    return Line(rendering.settings.model, rendering.settings.headroom, subsampling)
