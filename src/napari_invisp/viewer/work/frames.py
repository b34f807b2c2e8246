"""The results of one RAW while they come in, part by part."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_invisp.inspection.maps import error_map
from napari_invisp.live import Excerpt
from napari_invisp.pipeline import RENDERING as RENDERING_STAGE
from napari_invisp.sensor.record import RawRecord
from napari_invisp.settings import ErrorMapSettings
from napari_invisp.tiling import Part, Tile
from napari_invisp.viewer.layers import (
    KIND,
    METADATA_KEY,
    ORIGINAL,
    PARTIAL,
    Kind,
    LayerData,
    picture_layer,
    raw_layers,
)
from napari_invisp.viewer.layers.errors import error_layer
from napari_invisp.viewer.layers.painting import Painting, paint_bilinear

#: What is made of a RAW, lowest layer first.
RECOVERY = (Kind.ERROR, Kind.RECOVERED_MOSAIC, Kind.RECOVERED, Kind.DECODED)
RESULTS = (*RECOVERY, Kind.RENDERED)

_MOSAIC = (Kind.ERROR, Kind.RECOVERED_MOSAIC)


class Frames:
    """The pictures that are painted: one a kind of result, all of one frame.

    Parameters
    ----------
    record
        Metadata and size of the frame; where there is an original, that.
    base
        What layer names begin with.
    found
        What the layers of earlier results hold, to be painted over where it fits.
    has_original
        Whether ``record`` is an original to compare with.
    map_settings
        How the error map is measured.
    """

    def __init__(
        self,
        record: RawRecord,
        base: str,
        found: Mapping[Kind, list[NDArray[Any]]] | None = None,
        has_original: bool = True,
        map_settings: ErrorMapSettings | None = None,
    ) -> None:
        self._base = base
        self._original = record if has_original else None
        self.map_settings = map_settings or ErrorMapSettings()
        self._paintings: dict[Kind, Painting] = {}
        for kind in (*RESULTS, Kind.JPEG):
            shape = record.mosaic.shape if kind in _MOSAIC else (*record.mosaic.shape, 3)
            self._paintings[kind] = Painting.over((found or {}).get(kind), shape, _dtype(kind))
        #: The recovered RAW, as far as it is known.
        self.recovered = record.replace(mosaic=self[Kind.RECOVERED_MOSAIC].levels[0])

    def __getitem__(self, kind: Kind) -> Painting:
        """Return the picture of a kind."""
        return self._paintings[kind]

    def taken(self) -> list[Kind]:
        """Return the kinds that were painted since this was called last."""
        fresh = [kind for kind, painting in self._paintings.items() if painting.fresh]
        for kind in fresh:
            self[kind].fresh = False
        return fresh

    def arrived(self, stage: str, tile: Tile, pixels: NDArray[Any]) -> None:
        """Paint a tile that the pipeline has made."""
        part = tile.rows, tile.columns
        if stage == RENDERING_STAGE:
            self[Kind.RENDERED].paint(part, pixels)
        else:
            self._paint_recovered(part, pixels)

    def excerpt(self, excerpt: Excerpt) -> None:
        """Paint a part that went through JPEG and back."""
        part = excerpt.rows, excerpt.columns
        self[Kind.RENDERED].paint(part, excerpt.rgb)
        self[Kind.DECODED].paint(part, excerpt.decoded)
        self._paint_recovered(part, excerpt.mosaic)

    def whole(self, kind: Kind, pixels: NDArray[Any]) -> None:
        """Paint all of a picture."""
        height, width = pixels.shape[:2]
        self[kind].paint((slice(0, height), slice(0, width)), pixels)

    def finish_errors(self) -> None:
        """Paint the error map again if its values depend on what lies around them."""
        if self._original is not None and self.map_settings.metric == "SSIM":
            self.whole(Kind.ERROR, error_map(self._original, self.recovered, self.map_settings))

    def layers(
        self, kinds: Iterable[Kind], facts: dict[str, Any], partial: bool
    ) -> list[LayerData]:
        """Make layers of results.

        Parameters
        ----------
        kinds
            Which, lowest first.
        facts
            What their metadata say.
        partial
            Whether they are not of one piece yet.
        """
        made = dict(facts)
        if self._original is not None:
            made[ORIGINAL] = self._original
        if partial:
            made[PARTIAL] = True
        mosaic, picture = raw_layers(
            self.recovered,
            self._base,
            made,
            recovered=True,
            levels=(self[Kind.RECOVERED_MOSAIC].levels, self[Kind.RECOVERED].levels),
        )
        wanted = []
        for kind in kinds:
            match kind:
                case Kind.RECOVERED_MOSAIC:
                    wanted.append(mosaic)
                case Kind.RECOVERED:
                    wanted.append(picture)
                case Kind.ERROR:
                    wanted.append(self._error_layer(made))
                case _:
                    owner = self._original or self.recovered
                    levels = self[kind].levels
                    wanted.append(picture_layer(levels, owner, self._base, kind, made))
        # One picture is looked at: to draw what lies beneath costs time that the run needs.
        for layer in wanted:
            layer[1]["visible"] = kind_of(layer) in (Kind.RENDERED, Kind.JPEG)
        return wanted

    def _error_layer(self, facts: dict[str, Any]) -> LayerData:
        assert self._original is not None
        return error_layer(
            self._original,
            self.recovered,
            self._base,
            facts,
            self.map_settings,
            self[Kind.ERROR].levels,
        )

    def _paint_recovered(self, part: Part, mosaic: NDArray[np.uint16]) -> None:
        self[Kind.RECOVERED_MOSAIC].paint(part, mosaic)
        paint_bilinear(self[Kind.RECOVERED], self.recovered, part)
        if self._original is not None:
            errors = error_map(self._original, self.recovered, self.map_settings, part)
            self[Kind.ERROR].paint(part, errors)


def kind_of(layer: LayerData) -> Kind:
    """Return what a layer that is to be made shows."""
    kind: Kind = layer[1]["metadata"][METADATA_KEY][KIND]
    return kind


def _dtype(kind: Kind) -> type[np.generic]:
    if kind is Kind.ERROR:
        return np.float32
    return np.uint16 if kind is Kind.RECOVERED_MOSAIC else np.uint8
