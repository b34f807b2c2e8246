"""Between what layers know about themselves and what files say about themselves. Free of Qt."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from napari.layers import Layer

from napari_invisp.inspection.provenance import Figure, Provenance, recall
from napari_invisp.viewer.layers import (
    FIGURES,
    HEADROOM,
    KEPT,
    KIND,
    LOOK,
    METADATA_KEY,
    MODEL,
    ORIGINAL,
    PROVENANCE,
    QUALITY,
    RECORD,
    SOURCE,
    SUBSAMPLING,
    Kind,
    facts_of,
)

_SETTINGS = (MODEL, HEADROOM, QUALITY, SUBSAMPLING)


def provenance_of(facts: Mapping[str, Any], others: Iterable[Mapping[str, Any]] = ()) -> Provenance:
    """Tell what a layer shows and how that was made.

    Parameters
    ----------
    facts
        The layer's own, with its kind and record.
    others
        Those of other layers, to learn the file that results began with, and the figures of their
        JPEG.
    """
    kind: Kind = facts[KIND]
    known = facts.get(PROVENANCE)
    if known is not None:
        return known.replace(kind=kind.name.lower())
    record, original = facts[RECORD], facts.get(ORIGINAL)
    source, figures = facts.get(SOURCE), facts.get(FIGURES)
    for other in others:
        if other.get(RECORD) is facts.get(ORIGINAL, record) and ORIGINAL not in other:
            source = source or other.get(SOURCE)
        if original is not None and other.get(ORIGINAL) is original and _same_run(facts, other):
            figures = figures or other.get(FIGURES)
    return Provenance(
        kind=kind.name.lower(),
        source=Path(source).name if source else None,
        camera=record.camera or None,
        taken=record.capture.taken,
        **{name: facts.get(name) for name in _SETTINGS},
        figures=plain_figures(figures) | plain_settings(facts.get(LOOK)),
    )


def facts_from(provenance: Provenance) -> dict[str, Any]:
    """Return what the metadata of a layer say that comes from a file.

    That is all but the kind and the record, which only go together.
    """
    facts = {name: getattr(provenance, name) for name in _SETTINGS} | {PROVENANCE: provenance}
    return {name: value for name, value in facts.items() if value is not None}


def kind_from(provenance: Provenance | None) -> Kind | None:
    """Return the kind that a file says it is of; a later version may have others."""
    return Kind.__members__.get(provenance.kind.upper()) if provenance is not None else None


def recall_layer(layer: Layer) -> bool:
    """Let a layer know again what it is, if its file was written by this program.

    Parameters
    ----------
    layer
        Any layer, as napari or another plugin opened it. It gets neither kind nor record: its
        pixels are all that is left of what it was made from.

    Returns
    -------
    bool
        Whether it did not know before, and does now.
    """
    path = layer.source.path
    provenance = None if facts_of(layer) or not path else recall(path)
    if provenance is None:
        return False
    layer.metadata = {**layer.metadata, METADATA_KEY: facts_from(provenance)}
    return True


def known_of(layer: Layer, layers: Iterable[Layer] = ()) -> Provenance | None:
    """Return what is known of a layer; ``None`` if it is none of this program's.

    Parameters
    ----------
    layer
        Any layer.
    layers
        Those around it, see :func:`provenance_of`.
    """
    facts = facts_of(layer)
    if RECORD in facts:
        return provenance_of(facts, map(facts_of, layers))
    if PROVENANCE in facts or KIND not in facts:
        return facts.get(PROVENANCE)
    return Provenance(kind=facts[KIND].name.lower())


def in_words(provenance: Provenance) -> str:
    """Say what a layer shows and how that was made, in a few words."""
    kind = kind_from(provenance)
    what = str(kind) if kind is not None else provenance.kind.replace("_", " ")
    if kind in (Kind.RAW, Kind.MOSAIC):
        what = f"RAW {what}"
    told = {
        " of": provenance.source,
        ", taken with": provenance.camera,
        ", rendered with": provenance.model,
        ", headroom": provenance.headroom,
        ", JPEG quality": provenance.quality,
        ",": provenance.subsampling,
    }
    return what + "".join(f"{w} {value}" for w, value in told.items() if value is not None)


def _same_run(facts: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return all(facts.get(name) == other.get(name) for name in (KEPT, *_SETTINGS))


def plain_figures(figures: Any) -> dict[str, Figure]:
    """Return the figures of a whole JPEG by name, without settings and unknowns.

    Those of the RAW stand among the others.
    """
    # Not by its type, whose module takes seconds to import, for torch.
    named = asdict(figures) if is_dataclass(figures) and not isinstance(figures, type) else {}
    if named.pop("part", None) is not None:
        return {}
    named |= named.pop("raw", None) or {}
    return {n: value for n, value in named.items() if value is not None and n not in _SETTINGS}


def plain_settings(settings: Any) -> dict[str, Figure]:
    """Return the settings that a picture was made by, by name; curves and orders are left out."""
    named = asdict(settings) if is_dataclass(settings) and not isinstance(settings, type) else {}
    return {name: value for name, value in named.items() if not isinstance(value, tuple)}
