"""Which two layers to compare, and results that are kept beside later ones."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from napari.components import LayerList
from napari.layers import Image, Layer

from napari_invisp.sensor.record import RawRecord
from napari_invisp.viewer.layers import (
    KEPT,
    KIND,
    METADATA_KEY,
    MODEL,
    ORIGINAL,
    PARTIAL,
    QUALITY,
    RAW_PICTURES,
    Kind,
    facts_of,
)
from napari_invisp.viewer.layers.family import family_of, first_of

#: The letter that results are kept under.
LETTER = "A"

Pair = tuple[Layer | None, Layer | None]

# What A and B are by default, first choice first: where there are results, and where there are not.
_OF_SOURCE = (*RAW_PICTURES, Kind.MOSAIC)
_OF_RESULTS = (Kind.RECOVERED, Kind.DECODED, Kind.RENDERED)
_BEFORE, _AFTER = (Kind.JPEG, Kind.MOSAIC), RAW_PICTURES


def images(layers: Iterable[Layer]) -> list[Image]:
    """Return the layers that can be compared."""
    return [layer for layer in layers if isinstance(layer, Image)]


def default_pair(layers: LayerList) -> Pair:
    """Choose what to compare: the RAW that is worked on, and what was recovered of it.

    Where there is nothing of the kind, the two topmost images are taken, the lower one as A.
    """
    family = family_of(layers, layers.selection.active)
    if family is not None:
        if family.results:
            first, second = (
                first_of(family.sources, _OF_SOURCE),
                first_of(family.results, _OF_RESULTS),
            )
        else:
            first, second = first_of(family.sources, _BEFORE), first_of(family.sources, _AFTER)
        if first is not None and second is not None:
            return first, second
    *_, first, second = None, None, *images(layers)
    return (first, second) if first is not None else (second, None)


def counterpart(layers: Iterable[Layer], kept: Layer) -> Layer | None:
    """Find the present result that shows what a kept one shows; ``None`` if there is none."""
    facts = facts_of(kept)
    if KEPT not in facts or ORIGINAL not in facts:
        return None
    own = results(layers, facts[ORIGINAL])
    return next((layer for layer in own if facts_of(layer)[KIND] == facts[KIND]), None)


def results(layers: Iterable[Layer], record: RawRecord, kept: bool = False) -> list[Layer]:
    """Return the results made from a RAW, lowest first: the present ones, or the kept ones."""
    return [
        layer
        for layer in layers
        if (facts := facts_of(layer)).get(ORIGINAL) is record and (KEPT in facts) is kept
    ]


def can_keep(layers: Iterable[Layer], record: RawRecord) -> bool:
    """Tell whether there are results of a RAW, and all of them complete."""
    own = results(layers, record)
    return bool(own) and not any(facts_of(layer).get(PARTIAL) for layer in own)


def keep(layers: LayerList, record: RawRecord) -> None:
    """Keep the present results of a RAW beside later ones; those kept before are let go.

    They are marked, and named after model and quality. No pixels are copied.
    """
    own = results(layers, record)
    release(layers, record)
    for layer in own:
        facts = facts_of(layer)
        layer.name += _label(facts)
        layer.metadata = {**layer.metadata, METADATA_KEY: facts | {KEPT: LETTER}}


def release(layers: LayerList, record: RawRecord) -> None:
    """Let go of kept results of a RAW.

    Those that have a later counterpart are removed, for there is one result of a kind. Others
    are present results again.
    """
    for layer in results(layers, record, kept=True):
        if counterpart(layers, layer) is not None:
            layers.remove(layer)
            continue
        facts = facts_of(layer)
        layer.name = layer.name.removesuffix(_label(facts))
        left = {key: value for key, value in facts.items() if key != KEPT}
        layer.metadata = {**layer.metadata, METADATA_KEY: left}


def how_made(facts: dict[str, Any]) -> str:
    """Say in a few words how a result was made."""
    return f"{Path(facts[MODEL]).stem} q{facts[QUALITY]}"


def _label(facts: dict[str, Any]) -> str:
    return f" [{LETTER} {how_made(facts)}]"
