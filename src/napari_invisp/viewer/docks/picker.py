"""The control that says which RAW layer a dock works on."""

from __future__ import annotations

from typing import Any

import napari.viewer
from magicgui.widgets import ComboBox
from napari.layers import Layer

from napari_invisp.viewer.controls import named
from napari_invisp.viewer.layers import (
    KIND,
    MOSAICS,
    ORIGINAL,
    RAW_PICTURES,
    facts_of,
    raw_of,
)

_HELP = "the RAW to work on; follows the layer that is selected"


class RawPicker(ComboBox):
    """Offers the RAW layers of a viewer: one for each record, its picture rather than its mosaic.

    Whoever owns it calls ``reset_choices`` when layers come, go or are renamed.

    Parameters
    ----------
    viewer
        Whose layers they are.
    name
        Of the widget.
    """

    def __init__(self, viewer: napari.viewer.Viewer, name: str) -> None:
        self._viewer = viewer
        super().__init__(label="RAW layer", choices=self._offer, nullable=False, tooltip=_HELP)
        named(self.native, name, _HELP)

    @property
    def layer(self) -> Layer | None:
        """The layer that is picked."""
        layer: Layer | None = self.value
        return layer

    def follow(self) -> None:
        """Pick the RAW that the selected layer belongs to, if it belongs to one."""
        active = self._viewer.layers.selection.active
        record = raw_of(active) if active is not None else None
        for layer in self._layers() if record is not None else ():
            if raw_of(layer) is record:
                self.value = layer

    def _offer(self, _: Any) -> list[tuple[str, Layer]]:
        return [(layer.name, layer) for layer in self._layers()]

    def _layers(self) -> list[Layer]:
        chosen: list[Layer] = []
        for layer in self._viewer.layers:
            facts, record = facts_of(layer), raw_of(layer)
            if ORIGINAL in facts or facts.get(KIND) not in (*MOSAICS, *RAW_PICTURES):
                continue
            same = next((i for i, other in enumerate(chosen) if raw_of(other) is record), None)
            if same is None:
                chosen.append(layer)
            elif facts_of(chosen[same])[KIND] in MOSAICS:
                chosen[same] = layer
        return chosen
