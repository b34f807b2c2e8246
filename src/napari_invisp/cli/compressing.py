"""``napari-invisp evaluate --compression``: what RAW files take in bytes, kept in several ways."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from typing import TYPE_CHECKING

from napari_invisp.cli.options import settings_from
from napari_invisp.errors import SettingsError
from napari_invisp.settings import ComputeSettings, RenderSettings

if TYPE_CHECKING:
    from napari_invisp.cli.progress import ProgressBar
    from napari_invisp.evaluation.compression import CompressionRow


def compression(
    arguments: Namespace, bar: ProgressBar, notes: list[str]
) -> Iterator[tuple[str, Iterator[CompressionRow]]]:
    """Give each file's name, and the rows of its ways to be kept."""
    from napari_invisp.evaluation.compression import Compression

    if arguments.yardstick or arguments.middle is not None:
        raise SettingsError(
            "--compression measures whole files, and the yardstick is a row of its own; "
            "leave --yardstick and --middle out"
        )
    choices = (arguments.models, arguments.headroom, arguments.subsampling)
    if any(len(choice) > 1 for choice in choices):
        raise SettingsError(
            "--compression compares qualities; give one model, one headroom and one subsampling"
        )
    compute = settings_from(arguments, ComputeSettings)
    (model,), (headroom,), (subsampling,) = choices
    settings = RenderSettings(
        device=compute.device,
        tile=compute.tile,
        model=model,
        headroom=headroom,
        subsampling=subsampling,
    )
    work = Compression(settings, arguments.quality, progress=bar, notify=notes.append)
    for number, path in enumerate(arguments.files, 1):
        bar.subject = f"{path.name} ({number} of {len(arguments.files)})"
        yield str(path), work.rows(path)
