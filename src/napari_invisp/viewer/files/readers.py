"""Opening files as layers: camera RAW, and OpenEXR, which napari claims but cannot read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from napari_invisp.inspection.exports import EXR_SUFFIXES, read_exr
from napari_invisp.inspection.provenance import recall
from napari_invisp.sensor.reading import is_raw_name, read_raw
from napari_invisp.viewer.layers import (
    METADATA_KEY,
    MOSAICS,
    SOURCE,
    Kind,
    LayerData,
    raw_layers,
)
from napari_invisp.viewer.layers.provenance import facts_from, kind_from
from napari_invisp.viewer.layers.pyramids import pyramid

PathOrPaths = str | Path | Sequence[str | Path]
Reader = Callable[[PathOrPaths], list[LayerData]]

# Linear light would look too dark on a screen, which expects gamma-encoded values.
_LINEAR_GAMMA = 1 / 2.2


def get_reader(path: PathOrPaths) -> Reader | None:
    """Return the reader if all paths are named like camera RAW files, else ``None``."""
    return read_layers if all(map(is_raw_name, _listed(path))) else None


def get_exr_reader(path: PathOrPaths) -> Reader | None:
    """Return the reader if all paths are named like OpenEXR files, else ``None``."""
    named = all(Path(each).suffix.lower() in EXR_SUFFIXES for each in _listed(path))
    return read_exr_layers if named else None


def read_layers(path: PathOrPaths) -> list[LayerData]:
    """Read RAW files as layers, two for each: see :func:`~napari_invisp.viewer.layers.raw_layers`.

    Those of a DNG that this program recovered know that, and how it was made.

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
    return [layer for each in map(Path, _listed(path)) for layer in _raw_layers(each)]


def read_exr_layers(path: PathOrPaths) -> list[LayerData]:
    """Read OpenEXR files as layers, one for each.

    Raises
    ------
    InvispError
        A file has neither R, G and B nor a single channel, or is damaged.
    """
    return [_exr_layer(each) for each in map(Path, _listed(path))]


def _raw_layers(path: Path) -> list[LayerData]:
    record, provenance = read_raw(path), recall(path)
    kind = kind_from(provenance)
    known = facts_from(provenance) if provenance is not None else {}
    return raw_layers(
        record,
        path.stem,
        {SOURCE: str(path), **known},
        recovered=kind in (Kind.RECOVERED_MOSAIC, Kind.RECOVERED),
        approximate=kind in (Kind.APPROXIMATE_MOSAIC, Kind.APPROXIMATE),
    )


def _exr_layer(path: Path) -> LayerData:
    pixels, provenance = read_exr(path), recall(path)
    arguments: dict[str, Any] = {
        "name": path.stem,
        "multiscale": True,
        "rgb": pixels.ndim == 3,
        "metadata": {METADATA_KEY: facts_from(provenance)} if provenance is not None else {},
    }
    if pixels.ndim == 3 or kind_from(provenance) in MOSAICS:
        arguments |= {"contrast_limits": (0.0, 1.0), "gamma": _LINEAR_GAMMA}
    return pyramid(pixels), arguments, "image"


def _listed(path: PathOrPaths) -> Sequence[str | Path]:
    return [path] if isinstance(path, str | Path) else path
