"""Overlays that show where a RAW clips, in the colours of the CFA."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from functools import partial
from typing import Any, ClassVar

import napari.viewer
from napari.layers import Labels, Layer
from napari.utils import DirectLabelColormap
from napari.utils.notifications import show_error
from qtpy.QtCore import QObject, QTimer

from napari_invisp.inspection.clipping import (
    BLACK_BITS,
    WHITE_BITS,
    clipped,
    clipping_pyramid,
)
from napari_invisp.inspection.statistics import Levels
from napari_invisp.sensor.record import RawRecord
from napari_invisp.viewer.failures import report_failure
from napari_invisp.viewer.layers import (
    KIND,
    METADATA_KEY,
    RECORD,
    Kind,
    base_name,
    facts_of,
    upright,
)
from napari_invisp.viewer.layers.family import family_of
from napari_invisp.viewer.proxy import unproxied
from napari_invisp.viewer.work.worker import Runner

#: What the colours of an overlay mean.
LEGEND = (
    "Red, green, blue: that channel is at or above white, or saturated. Zoomed out, yellow, cyan "
    "and magenta: two channels are; black: all three. Dark tones of the same colours, and grey: "
    "at or below black."
)

# An overlay follows new pixels this often at most.
_PAUSE_MS = 200
_BRIGHT = ((1.0, 0.1, 0.1), (0.1, 0.9, 0.1), (0.2, 0.4, 1.0))
# Full colours would not be seen where all channels clip, in white skies and black shadows.
_ALL_AT_WHITE = (0.0, 0.0, 0.0)
_ALL_AT_BLACK = (0.6, 0.6, 0.6)
_DARK = 0.55


class ClippingOverlay(QObject):
    """The overlay of one layer; it follows that layer's pixels, and goes when the layer does.

    Attributes
    ----------
    layer
        What shows it; ``None`` until it is worked out.

    Parameters
    ----------
    viewer
        Where to add the overlay, as soon as it is worked out.
    source
        A layer whose metadata hold the RAW to look at.
    judge
        The RAW whose levels count: the original, also for what was recovered from it.
    """

    _all: ClassVar[list[ClippingOverlay]] = []

    def __init__(self, viewer: napari.viewer.ViewerModel, source: Layer, judge: RawRecord) -> None:
        super().__init__()
        self._viewer = weakref.ref(viewer)
        self.source = weakref.ref(source)
        self._judge = judge
        self.layer: Labels | None = None
        self._runner = Runner(alone=False)
        self._runner.produced.connect(self._show)
        self._runner.failed.connect(report_failure)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_PAUSE_MS)
        self._timer.timeout.connect(self._work)
        source.events.data.connect(self._on_pixels)
        viewer.layers.events.removed.connect(self._on_removed)
        self._all.append(self)
        self._work()

    @property
    def on(self) -> bool:
        """Whether it is to be seen."""
        return self.layer is None or bool(self.layer.visible)

    def switch(self, on: bool) -> None:
        """Show or hide it; a layer that is hidden is back faster than one that was removed."""
        if self.layer is not None:
            self.layer.visible = on
        elif not on:
            self._let_go()

    def remove(self) -> None:
        """Take the overlay away."""
        layer, viewer = self._let_go(), self._viewer()
        if layer is not None and viewer is not None and layer in viewer.layers:
            viewer.layers.remove(layer)

    def _let_go(self) -> Labels | None:
        """Stop following, and return the layer."""
        layer, self.layer = self.layer, None
        if self in self._all:
            self._all.remove(self)
            self._runner.abandon()
            self._timer.stop()
            source, viewer = self.source(), self._viewer()
            if source is not None:
                source.events.data.disconnect(self._on_pixels)
            if viewer is not None:
                viewer.layers.events.removed.disconnect(self._on_removed)
            self.deleteLater()
        return layer

    def _work(self) -> None:
        source = self.source()
        if self._runner.running:
            self._timer.start()
        elif source is not None:
            self._runner.start(partial(_overlays, _name(source), facts_of(source), self._judge))

    def _show(self, made: Labels) -> None:
        viewer = self._viewer()
        if viewer is None:
            return
        if self.layer is not None:
            self.layer.data = made.data
            return
        self.layer = made
        selected = set(viewer.layers.selection)
        viewer.add_layer(made)
        viewer.layers.selection = selected

    def _on_pixels(self, _: Any = None) -> None:
        if not self._timer.isActive():
            self._timer.start()

    def _on_removed(self, event: Any) -> None:
        if event.value is self.layer:
            self._let_go()
        elif event.value is self.source():
            self.remove()


def overlay_of(source: Layer | None) -> ClippingOverlay | None:
    """Return the overlay of a layer, if it has one."""
    return next((each for each in ClippingOverlay._all if each.source() is source), None)


def set_clipping(
    viewer: napari.viewer.ViewerModel, source: Layer, judge: RawRecord, on: bool
) -> None:
    """Show or hide where the RAW of a layer clips.

    Parameters
    ----------
    viewer
        Where to add the overlay.
    source, judge
        As for :class:`ClippingOverlay`.
    on
        Whether to show it.
    """
    overlay = overlay_of(source)
    if overlay is not None:
        overlay.switch(on)
    elif on:
        ClippingOverlay(viewer, source, judge)


def toggle_clipping(viewer: napari.Viewer) -> None:
    """Show where the selected layer's RAW clips, or hide it again; a command for menus."""
    viewer = unproxied(viewer)
    active = viewer.layers.selection.active
    family = family_of(viewer.layers, active)
    source = None
    if family is not None:
        recovered = active is not None and facts_of(active).get(RECORD) is family.recovered
        choices = (family.original_layer, family.recovered_layer)
        source = next((s for s in choices[:: -1 if recovered else 1] if s is not None), None)
    if family is None or source is None:
        show_error("open a camera RAW file first: clipping is shown from its samples")
    else:
        overlay = overlay_of(source)
        set_clipping(viewer, source, family.raw, overlay is None or not overlay.on)


def _name(source: Layer) -> str:
    kind = facts_of(source)[KIND]
    whose = "" if kind in (Kind.MOSAIC, Kind.RAW) else f"{kind} "
    return f"{base_name(source)} {whose}{Kind.CLIPPING}"


def _overlays(name: str, facts: dict[str, Any], judge: RawRecord, _: object) -> Iterator[Labels]:
    """Make an overlay; napari takes its time for the first one, so the window does not wait."""
    record: RawRecord = facts[RECORD]
    levels = clipping_pyramid(clipped(record, Levels.of(judge)))
    yield Labels(
        levels,
        multiscale=True,
        name=name,
        colormap=_colours(),
        opacity=1.0,
        affine=upright(record.orientation, record.mosaic.shape),
        metadata={METADATA_KEY: {KIND: Kind.CLIPPING}},
    )


def _colours() -> DirectLabelColormap:
    colours: dict[int | None, tuple[float, ...]] = {None: (0, 0, 0, 0), 0: (0, 0, 0, 0)}
    for bits in range(1, 64):
        bright = _mixed(bits, WHITE_BITS, _ALL_AT_WHITE)
        dark = _mixed(bits, BLACK_BITS, _ALL_AT_BLACK, _DARK)
        colours[bits] = (*(bright or dark or ()), 1.0)
    return DirectLabelColormap(color_dict=colours)


def _mixed(
    bits: int, meaning: tuple[int, ...], everything: tuple[float, ...], scale: float = 1.0
) -> tuple[float, ...] | None:
    """Mix the colours of the channels whose bits are set; ``None`` if none is."""
    found = [c for bit, c in zip(meaning, _BRIGHT, strict=True) if bits & bit]
    if len(found) == len(_BRIGHT):
        return everything
    return tuple(scale * max(parts) for parts in zip(*found, strict=True)) if found else None
