"""Which layers belong together: those that show one RAW and what became of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from napari.layers import Layer
from numpy.typing import NDArray

from napari_invisp.sensor.record import RawRecord
from napari_invisp.viewer.layers import (
    KEPT,
    KIND,
    ORIGINAL,
    PARTIAL,
    RECORD,
    Kind,
    facts_of,
    raw_of,
)

# Kinds that show a RAW, best first: as it was opened, and as it was recovered from a JPEG.
_OPENED = (Kind.MOSAIC, Kind.RAW, Kind.APPROXIMATE_MOSAIC, Kind.APPROXIMATE)
_RECOVERED = (Kind.RECOVERED_MOSAIC, Kind.RECOVERED)


@dataclass(frozen=True, eq=False)
class Family:
    """The layers of one RAW, one of each kind.

    Attributes
    ----------
    raw
        What ties them together, see :func:`~napari_invisp.viewer.layers.raw_of`.
    sources
        By kind, what was opened.
    results
        By kind, what was made from it. Where results are kept beside later ones, those that are
        kept as the selected layer is, or not kept if it is not.
    """

    raw: RawRecord
    sources: dict[Kind, Layer]
    results: dict[Kind, Layer]

    @property
    def original(self) -> RawRecord | None:
        """The RAW that results are made from; ``None`` if a JPEG is all there is."""
        there = self.results or not self.sources.keys().isdisjoint(_OPENED)
        return self.raw if there else None

    @property
    def recovered(self) -> RawRecord | None:
        """The RAW that was recovered from the JPEG."""
        layer = self.recovered_layer
        if layer is not None:
            return cast(RawRecord, facts_of(layer)[RECORD])
        return self.raw if self.original is None else None

    @property
    def original_layer(self) -> Layer | None:
        """A layer of the original, its mosaic rather than its picture."""
        # What was recovered once and is rendered again is an original too.
        return None if self.original is None else first_of(self.sources, _OPENED + _RECOVERED)

    @property
    def recovered_layer(self) -> Layer | None:
        """A layer of the recovered RAW, its mosaic rather than its picture."""
        return first_of(self.sources if self.original is None else self.results, _RECOVERED)

    @property
    def partial(self) -> bool:
        """Whether the recovered RAW is not of one setting yet."""
        layer = self.recovered_layer
        return layer is not None and bool(facts_of(layer).get(PARTIAL))

    @property
    def members(self) -> list[Layer]:
        """All its layers, sources first."""
        return [*self.sources.values(), *self.results.values()]

    def picture(self, *kinds: Kind) -> NDArray[Any] | None:
        """Return the pixels of a layer of the first of some kinds that there is."""
        layer = first_of(self.sources | self.results, kinds)
        return layer.data[0] if layer is not None else None


def family_of(
    layers: Iterable[Layer], active: Layer | None, before: RawRecord | None = None
) -> Family | None:
    """Find the family of the selected layer.

    Parameters
    ----------
    layers
        The viewer's layers, lowest first.
    active
        The selected layer. If it belongs to no RAW, a layer of shapes for example, the family of
        ``before`` is meant, and where that is gone the topmost one.
    before
        The RAW that was looked at until now.
    """
    own = [layer for layer in layers if KIND in facts_of(layer) and raw_of(layer) is not None]
    if not own:
        return None
    raw = raw_of(active) if active is not None else None
    if raw is None:
        raw = before if any(raw_of(layer) is before for layer in own) else raw_of(own[-1])
    assert raw is not None
    kept = facts_of(active).get(KEPT) if active is not None else None
    members = [layer for layer in own if raw_of(layer) is raw]
    # The last one of a kind counts.
    members.sort(key=lambda layer: facts_of(layer).get(KEPT) == kept)
    sources = {facts_of(each)[KIND]: each for each in members if ORIGINAL not in facts_of(each)}
    results = {facts_of(each)[KIND]: each for each in members if ORIGINAL in facts_of(each)}
    return Family(raw, sources, results)


def fact_of_results(layers: Sequence[Layer], raw: Layer, key: str) -> Any:
    """Look up what the results of a RAW layer know; ``None`` if there are none.

    Those that are kept beside later ones do not count.
    """
    for layer in reversed(layers):
        facts = facts_of(layer)
        if key in facts and KEPT not in facts and raw_of(layer) is raw_of(raw):
            return facts[key]
    return None


def first_of(layers: Mapping[Kind, Layer], kinds: Iterable[Kind]) -> Layer | None:
    """Return the layer of the first of some kinds that there is."""
    return next((layers[kind] for kind in kinds if kind in layers), None)
