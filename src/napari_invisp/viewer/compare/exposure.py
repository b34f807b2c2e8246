"""One exposure for everything on the canvas, by contrast limits alone: nothing is computed anew."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from napari.components import LayerList
from napari.layers import Image, Layer

from napari_invisp.viewer.layers import KIND, LOOKS, MOSAICS, RAW_PICTURES, Kind, facts_of
from napari_invisp.viewer.layers.thumbnails import show_thumbnail

# Pictures hold values ^ (1/2.2), or close to it; scaling light by s scales them by s ^ (1/2.2).
_ENCODED = 1 / 2.2
_LINEAR = 1.0
_PICTURES = (*RAW_PICTURES, Kind.RENDERED, Kind.DECODED, Kind.JPEG, *LOOKS)
_LIGHT = (*MOSAICS, Kind.MERGED)

Limits = tuple[float, float]


def response(layer: Layer) -> float | None:
    """Return the power of light that a layer's values go with; ``None`` if they are not light.

    Linear values go with 1, gamma-encoded ones with 1/2.2. Of layers without our facts, float and
    16-bit grey ones count as linear, other RGB and 8-bit ones as gamma-encoded, and what has
    negative values in its contrast limits as no light.
    """
    if not isinstance(layer, Image):
        return None
    facts = facts_of(layer)
    if KIND in facts:
        kind = facts[KIND]
        return _LINEAR if kind in _LIGHT else _ENCODED if kind in _PICTURES else None
    dtype = np.dtype(layer.dtype)
    if layer.contrast_limits[0] < 0 or dtype.kind not in "uf":
        return None
    if dtype.kind == "f" or (dtype.itemsize > 1 and not layer.rgb):
        return _LINEAR
    return _ENCODED


@dataclass
class _Base:
    """What a layer looks like at 0 EV."""

    limits: Limits
    range: Limits
    response: float


class Exposure:
    """Shows all comparable layers of a viewer brighter or darker by the same number of stops.

    Layers that are added get the present exposure. Limits that are changed by hand stay as they
    are set, and lead to a new look at 0 EV.

    Parameters
    ----------
    layers
        Of the viewer.
    """

    def __init__(self, layers: LayerList) -> None:
        self._layers = layers
        self._ev = 0.0
        self._base: dict[Layer, _Base] = {}
        self._applying = False
        layers.events.inserted.connect(self._on_inserted)
        layers.events.removed.connect(self._on_removed)
        for layer in layers:
            self._add(layer)

    @property
    def ev(self) -> float:
        """Stops by which layers are shown brighter."""
        return self._ev

    @ev.setter
    def ev(self, ev: float) -> None:
        self._ev = ev
        for layer in self._base:
            self._apply(layer)

    def close(self) -> None:
        """Show every layer at 0 EV and let go of them."""
        self._layers.events.inserted.disconnect(self._on_inserted)
        self._layers.events.removed.disconnect(self._on_removed)
        for layer in list(self._base):
            self._remove(layer)

    def _on_inserted(self, event: Any) -> None:
        self._add(event.value)

    def _on_removed(self, event: Any) -> None:
        self._remove(event.value)

    def _add(self, layer: Layer) -> None:
        power = response(layer)
        if power is None:
            return
        self._base[layer] = _Base(
            tuple(layer.contrast_limits), tuple(layer.contrast_limits_range), power
        )
        layer.events.contrast_limits.connect(self._on_limits)
        if self._ev:
            self._apply(layer)

    def _remove(self, layer: Layer) -> None:
        base = self._base.get(layer)
        if base is None:
            return
        if self._ev:
            with self._hands_off():
                _show(layer, base.limits, base.range)
        del self._base[layer]
        layer.events.contrast_limits.disconnect(self._on_limits)

    def _apply(self, layer: Layer) -> None:
        base = self._base[layer]
        black, white = base.limits
        scaled = black, black + (white - black) * 2 ** (-self._ev * base.response)
        limits = scaled if self._ev else base.limits
        with self._hands_off():
            _show(layer, limits, base.range)

    def _on_limits(self, event: Any) -> None:
        if self._applying:
            return
        base = self._base[event.source]
        black, white = event.source.contrast_limits
        if self._ev:
            white = black + (white - black) * 2 ** (self._ev * base.response)
        else:
            base.range = tuple(event.source.contrast_limits_range)
        base.limits = black, white

    @contextmanager
    def _hands_off(self) -> Iterator[None]:
        """Tell changes of limits by this class from those by hand."""
        self._applying = True
        try:
            yield
        finally:
            self._applying = False


def _show(layer: Image, limits: Limits, span: Limits) -> None:
    """Set limits, within a range that is as wide as they need but no wider."""
    layer.contrast_limits_range = min(span[0], limits[0]), max(span[1], limits[1])
    layer.contrast_limits = limits
    if layer.multiscale and not layer.visible:  # whose thumbnail napari has just blackened
        show_thumbnail(layer)
