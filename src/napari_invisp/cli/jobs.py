"""Rendering and recovering files; each job returns its facts as JSON values."""

from __future__ import annotations

import time
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from napari_invisp.errors import CapsuleError
from napari_invisp.evaluation import RgbFidelity, compare_rgb
from napari_invisp.files import read_whole, write_bytes_atomic
from napari_invisp.metrics import bits_per_pixel, compression_ratio
from napari_invisp.pipeline import Pipeline
from napari_invisp.sensor.dng import encode_dng
from napari_invisp.sensor.reading import read_raw
from napari_invisp.settings import ComputeSettings, RenderSettings
from napari_invisp.tiling import Progress

_NO_FIGURES = dict.fromkeys((each.name for each in fields(RgbFidelity)), None)


class Renderer:
    """Renders RAW files to JPEG files with one model.

    Parameters
    ----------
    settings
        How.
    progress
        As for the pipeline.
    metrics
        Compare each rendering with LibRaw's, which takes longer than rendering does.
    """

    def __init__(self, settings: RenderSettings, progress: Progress, *, metrics: bool) -> None:
        self._warnings: list[str] = []
        self._pipeline = Pipeline(settings, progress=progress, notify=self._warnings.append)
        self._progress = progress
        self._metrics = metrics

    def __call__(self, source: Path, target: Path) -> dict[str, Any]:
        """Render ``source`` and write ``target`` once everything has succeeded."""
        self._warnings.clear()
        start = time.perf_counter()
        record = read_raw(source)
        started_rendering = time.perf_counter()
        rendering = self._pipeline.render(record)
        seconds_render = time.perf_counter() - started_rendering
        jpeg = self._pipeline.encode(rendering)
        seconds = time.perf_counter() - start

        figures: dict[str, Any] = _NO_FIGURES
        if self._metrics:
            self._progress("comparing with LibRaw", 0, 1)
            figures = asdict(compare_rgb(source, rendering, jpeg))

        start = time.perf_counter()
        write_bytes_atomic(target, jpeg)
        seconds += time.perf_counter() - start
        settings = rendering.settings
        return {
            "input": str(source),
            "output": str(target),
            "camera": record.camera,
            "model": rendering.model.name,
            "checkpoint": rendering.model.checkpoint,
            "device": rendering.device,
            "width": record.width,
            "height": record.height,
            "bit_depth": record.bit_depth,
            "headroom": settings.headroom,
            "quality": settings.quality,
            "subsampling": settings.subsampling,
            "raw_bytes": source.stat().st_size,
            "jpeg_bytes": len(jpeg),
            "bpp": bits_per_pixel(len(jpeg), record),
            "compression_ratio": compression_ratio(len(jpeg), record),
            **figures,
            "seconds": seconds,
            "seconds_render": seconds_render,
            "warnings": list(self._warnings),
        }


class Recoverer:
    """Recovers RAW from JPEG files and writes it as DNG files.

    Parameters
    ----------
    settings
        Device and tiles.
    progress
        As for the pipeline.
    weights
        The checkpoint that the JPEG was rendered with, if it was with one of the user's own.
    """

    def __init__(
        self, settings: ComputeSettings, progress: Progress, weights: str | None = None
    ) -> None:
        self._settings = settings
        self._weights = weights
        self._warnings: list[str] = []
        self._pipeline = Pipeline(progress=progress, notify=self._warnings.append)

    def __call__(self, source: Path, target: Path) -> dict[str, Any]:
        """Recover the RAW in ``source`` and write ``target``."""
        self._warnings.clear()
        start = time.perf_counter()
        jpeg = read_whole(source, "a JPEG file", CapsuleError)
        started_recovering = time.perf_counter()
        recovery = self._pipeline.recover(jpeg, str(source), self._weights, self._settings)
        seconds_recover = time.perf_counter() - started_recovering
        dng = encode_dng(recovery.record)
        write_bytes_atomic(target, dng)
        seconds = time.perf_counter() - start
        record = recovery.record
        return {
            "input": str(source),
            "output": str(target),
            "camera": record.camera,
            "model": recovery.model,
            "device": recovery.device,
            "width": record.width,
            "height": record.height,
            "bit_depth": record.bit_depth,
            **{name: recovery.render.get(name) for name in ("headroom", "quality", "subsampling")},
            "jpeg_bytes": len(jpeg),
            "dng_bytes": len(dng),
            "seconds": seconds,
            "seconds_recover": seconds_recover,
            "warnings": list(self._warnings),
        }
