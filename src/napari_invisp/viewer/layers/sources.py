"""Which layers linear light can be had of: RAW, pictures, light itself. Free of Qt."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from napari.layers import Image, Layer
from numpy.typing import NDArray

from napari_invisp.applications.comparing import ORIGINAL, PLAIN, RECOVERED
from napari_invisp.sensor.record import RawRecord
from napari_invisp.viewer.layers import (
    KIND,
    LOOK,
    LOOKS,
    MADE_OF,
    METADATA_KEY,
    MOSAICS,
    PARTIAL,
    RAW_PICTURES,
    RECORD,
    SOURCE,
    Kind,
    LayerData,
    Levels,
    facts_of,
    raw_of,
)
from napari_invisp.viewer.layers.family import family_of

# Of the layers that show a RAW, names end with it.
_DEMOSAICED = " (bilinear)"
_PICTURES = (Kind.RENDERED, Kind.DECODED, Kind.JPEG, Kind.MERGED)


@dataclass(frozen=True, eq=False)
class Source:
    """What a picture is made of: a RAW, or pixels.

    Attributes
    ----------
    key
        The layer's ``unique_id``.
    name
        What names of results begin with.
    shape
        Rows and columns.
    record
        The RAW to develop; ``None`` if the source is a picture.
    pixels
        Otherwise ``(H, W, 3)``: uint8 sRGB, or linear light in float.
    raw
        The RAW that the layer belongs to, if it does.
    affine
        The layer's, ``(3, 3)``.
    file
        What a RAW was opened from.
    """

    key: str
    name: str
    shape: tuple[int, int]
    record: RawRecord | None
    pixels: NDArray[Any] | None
    raw: RawRecord | None
    affine: NDArray[np.float64]
    file: Path | None

    @property
    def orientation(self) -> int:
        """EXIF orientation that brings it upright."""
        return self.raw.orientation if self.raw is not None else 1


def sources(layers: Iterable[Layer]) -> list[Image]:
    """Return the layers that are sources; of a RAW its picture rather than its mosaic."""
    found: dict[Any, Image] = {}
    for layer in layers:
        facts = facts_of(layer)
        kind = facts.get(KIND)
        if kind in (*MOSAICS, *RAW_PICTURES):
            key = id(facts[RECORD])
            if kind in RAW_PICTURES or key not in found:
                found[key] = layer
        elif (kind in _PICTURES or kind is None) and _is_picture(layer):
            found[layer] = layer
    return list(found.values())


def source_of(layer: Image) -> Source:
    """Return what a layer of :func:`sources` is a source of, as it is now."""
    facts = facts_of(layer)
    pixels = layer.data[0] if layer.multiscale else layer.data
    is_raw = facts.get(KIND) in (*MOSAICS, *RAW_PICTURES)
    path = facts.get(SOURCE)
    height, width = pixels.shape[:2]
    return Source(
        key=str(layer.unique_id),
        name=layer.name.removesuffix(_DEMOSAICED),
        shape=(height, width),
        record=facts[RECORD] if is_raw else None,
        pixels=None if is_raw else np.asarray(pixels)[..., :3],
        raw=raw_of(layer),
        affine=np.asarray(layer.affine.affine_matrix)[-3:, -3:],
        file=Path(path) if is_raw and path else None,
    )


def counterparts(layers: Iterable[Layer], source: Layer) -> dict[str, Image]:
    """Find the original RAW that a source belongs to, what was recovered of it, and its JPEG.

    Parameters
    ----------
    layers
        Where to look.
    source
        One of :func:`sources`.

    Returns
    -------
    dict
        By the first three of :data:`~napari_invisp.applications.comparing.SOURCES`; empty unless
        all three are there. Merged light has none, for it has no JPEG.
    """
    if raw_of(source) is None or facts_of(source).get(KIND) is Kind.MERGED:
        return {}
    family = family_of(sources(layers), source)
    if family is None:
        return {}
    found = {
        ORIGINAL: family.original_layer,
        RECOVERED: family.recovered_layer,
        PLAIN: family.results.get(Kind.DECODED),
    }
    there = {name: layer for name, layer in found.items() if layer is not None}
    return there if len(there) == len(found) else {}


def result_of(layers: Iterable[Layer], source: Layer, kind: Kind) -> Image | None:
    """Find the picture of a kind that was made of a source."""
    made_of = (str(source.unique_id),)
    for layer in layers:
        facts = facts_of(layer)
        if facts.get(KIND) is kind and facts[MADE_OF] == made_of:
            return layer
    return None


def origin_of(layers: Iterable[Layer], result: Layer) -> Layer | None:
    """Find the source that a picture was made of."""
    made_of = facts_of(result).get(MADE_OF, ())
    return next((layer for layer in layers if (str(layer.unique_id),) == made_of), None)


def look_layer(
    source: Source, kind: Kind, levels: Levels, settings: object, partial: bool
) -> LayerData:
    """Make the layer of a picture that was made of a source.

    Parameters
    ----------
    source
        What it was made of.
    kind
        One of :data:`~napari_invisp.viewer.layers.LOOKS`.
    levels
        Of its pyramid, uint8.
    settings
        What it was made by.
    partial
        Whether parts of it were made by others.
    """
    assert kind in LOOKS
    facts: dict[str, Any] = {KIND: kind, MADE_OF: (source.key,), LOOK: settings}
    if source.raw is not None:
        facts[RECORD] = source.raw
    if partial:
        facts[PARTIAL] = True
    arguments = {
        "name": f"{source.name} {kind}",
        "rgb": True,
        "multiscale": True,
        "contrast_limits": (0, 255),
        "affine": source.affine,
        "metadata": {METADATA_KEY: facts},
    }
    return levels, arguments, "image"


def _is_picture(layer: Layer) -> bool:
    if not isinstance(layer, Image) or not layer.rgb or layer.ndim != 2:
        return False
    return np.dtype(layer.dtype).kind == "f" or np.dtype(layer.dtype) == np.uint8
