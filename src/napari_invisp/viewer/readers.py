"""Opening camera RAW files as layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from napari_invisp.sensor.reading import is_raw_name, read_raw
from napari_invisp.viewer.layers import SOURCE, LayerData, raw_layers

PathOrPaths = str | Path | Sequence[str | Path]


def get_reader(path: PathOrPaths) -> Callable[[PathOrPaths], list[LayerData]] | None:
    """Return the reader if all paths are named like camera RAW files, else ``None``."""
    return read_layers if all(map(is_raw_name, _listed(path))) else None


def read_layers(path: PathOrPaths) -> list[LayerData]:
    """Read RAW files as layers, two for each: see :func:`~.layers.raw_layers`.

    Parameters
    ----------
    path
        A file, or several; frames are never stacked, since they may differ in all respects.

    Returns
    -------
    list of tuple
        The mosaic in DN and, above it, the bilinear visualization.

    Raises
    ------
    RawFileError
        A file cannot be used as a Bayer RAW.
    """
    return [
        layer
        for each in map(Path, _listed(path))
        for layer in raw_layers(read_raw(each), each.stem, {SOURCE: str(each)})
    ]


def _listed(path: PathOrPaths) -> Sequence[str | Path]:
    return [path] if isinstance(path, str | Path) else path
