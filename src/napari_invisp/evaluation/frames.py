"""Full frames, as users render and recover them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from pathlib import Path

from napari_invisp.evaluation.cost import Cost
from napari_invisp.evaluation.fidelity import reference_of, rgb_psnr_through_jpeg
from napari_invisp.evaluation.rows import Row
from napari_invisp.evaluation.yardstick import LossyDng
from napari_invisp.metrics import (
    bits_per_pixel,
    compare_raw,
    compression_ratio,
    rgb_psnr,
    rgb_ssim,
)
from napari_invisp.pipeline import Pipeline
from napari_invisp.sensor.reading import read_raw
from napari_invisp.settings import ComputeSettings, RenderSettings
from napari_invisp.tiling import CancelCheck, Progress
from napari_invisp.zoo import load_model


class Evaluation:
    """Renders and recovers files with every combination of some settings.

    Parameters
    ----------
    models, headrooms, qualities, subsamplings
        What to combine. A file is rendered once for each model and headroom.
    compute
        Device and tile size.
    middle
        Side of the square in the middle that is worked on, in pixels; the whole frame by default.
    yardstick
        Tell for each row what a lossy DNG of the same bytes keeps.
    progress, cancelled, notify
        As for :class:`~napari_invisp.pipeline.Pipeline`.

    Raises
    ------
    SettingsError, CheckpointError
        One of the values cannot be used; found before any file is touched.
    """

    def __init__(
        self,
        models: Sequence[str],
        headrooms: Sequence[float],
        qualities: Sequence[int],
        subsamplings: Sequence[str],
        compute: ComputeSettings,
        *,
        middle: int | None = None,
        yardstick: bool = False,
        progress: Progress | None = None,
        cancelled: CancelCheck | None = None,
        notify: Callable[[str], None] | None = None,
    ) -> None:
        self._middle, self._yardstick = middle, yardstick
        self._kinds = list(product(qualities, subsamplings))
        for quality, subsampling in self._kinds:
            RenderSettings(quality=quality, subsampling=subsampling)  # raises if out of range
        self._pipelines: list[Pipeline] = []
        for model in models:
            load_model(model)  # hours of other models may come before its first turn
            for headroom in headrooms:
                settings = RenderSettings(
                    device=compute.device, tile=compute.tile, model=model, headroom=headroom
                )
                self._pipelines.append(
                    Pipeline(settings, progress=progress, cancelled=cancelled, notify=notify)
                )

    def rows(self, path: Path) -> Iterator[Row]:
        """Work on one file.

        Yields
        ------
        Row
            Models in their order, of each the headrooms, qualities and subsamplings.

        Raises
        ------
        RawFileError
            The file cannot be used.
        """
        record = read_raw(path)
        if self._middle is not None:
            record = record.middle(self._middle)
        reference = reference_of(path, record)
        yardstick = LossyDng(record) if self._yardstick else None
        megapixels = record.mosaic.size / 1e6
        for pipeline in self._pipelines:
            with Cost() as render:
                rendering = pipeline.render(record)
            psnr = rgb_psnr(reference, rendering.rgb)
            ssim = rgb_ssim(reference, rendering.rgb)
            given = pipeline.settings.model if rendering.model.checkpoint else None
            for quality, subsampling in self._kinds:
                jpeg = pipeline.encode(rendering, quality, subsampling)
                with Cost() as recover:
                    recovered = pipeline.recover(jpeg, path.name, given).record
                raw = compare_raw(record, recovered)
                peaks = [cost.peak for cost in (render, recover) if cost.peak is not None]
                yield Row(
                    file=path.name,
                    camera=record.camera,
                    model=rendering.model.checkpoint or rendering.model.name,
                    quality=quality,
                    subsampling=subsampling,
                    headroom=pipeline.settings.headroom,
                    width=record.width,
                    height=record.height,
                    rgb_psnr=psnr,
                    rgb_ssim=ssim,
                    rgb_psnr_jpeg=rgb_psnr_through_jpeg(reference, jpeg, quality, subsampling),
                    raw_psnr=raw.raw_psnr,
                    raw_psnr_linear=raw.raw_psnr_linear,
                    bpp=bits_per_pixel(len(jpeg), record),
                    compression_ratio=compression_ratio(len(jpeg), record),
                    seconds_per_megapixel_render=render.seconds / megapixels,
                    seconds_per_megapixel_recover=recover.seconds / megapixels,
                    peak_memory_mb=max(peaks, default=None),
                    lossy_dng_raw_psnr=yardstick.at(len(jpeg)).raw_psnr if yardstick else None,
                )
