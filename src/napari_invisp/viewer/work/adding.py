"""Layers that come into a viewer step by step, so that its window answers in between."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial

import napari.viewer
from napari.layers import Layer
from qtpy.compat import isalive
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QWidget

from napari_invisp.viewer.layers import (
    KEPT,
    KIND,
    MADE_OF,
    METADATA_KEY,
    ORIGINAL,
    PARTIAL,
    RENDERING,
    Kind,
    LayerData,
    facts_of,
    find_layer,
    raw_of,
)
from napari_invisp.viewer.work.frames import RESULTS

# How long the window has for other things between two that hold it up.
_BREATH_MS = 20

#: What is done in the window: returns how long that leaves it to breathe, in milliseconds.
Step = Callable[[], int | None]


class Adder:
    """Puts layers into a viewer: new ones, or new pixels in place of those that they replace.

    To make, add, select and draw a layer takes tens of milliseconds each where there is no graphics
    card, so these are steps of their own, done one after the other by the event loop.

    Parameters
    ----------
    viewer
        Whose layers it adds to.
    window
        Returns the window that shows them, if there is one.

    Attributes
    ----------
    adding
        Whether a layer is being added, which selects it for a moment.
    """

    def __init__(
        self, viewer: napari.viewer.Viewer, window: Callable[[], QWidget | None] = lambda: None
    ) -> None:
        self._viewer, self._window = viewer, window
        self._steps: deque[Step] = deque()
        self._undrawn: Layer | None = None
        self.adding = False
        self._timer = QTimer()  # without a parent: it may be stopped after Qt has ended
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._step)

    @property
    def busy(self) -> bool:
        """Whether there are steps to come."""
        return self._timer.isActive()

    def then(self, *steps: Step) -> None:
        """Do something when what is waiting is done."""
        self._steps.extend(steps)
        if not self._timer.isActive():
            self._timer.start(0)

    def settle(self) -> None:
        """Forget what is waiting, and show what is there."""
        self._timer.stop()
        self._steps.clear()
        self._draw()

    def abandon(self) -> None:
        """Forget what is waiting; the Qt side of the window may be gone, and the timer with it."""
        if isalive(self._timer):
            self._timer.stop()
        self._steps.clear()
        self._undrawn = None
        self._hold(False)

    def put(self, made: LayerData) -> None:
        """Show a layer: a step, which is followed by those that a new one takes."""
        data, arguments, kind = made
        facts = arguments["metadata"][METADATA_KEY]
        layer = find_layer(self._viewer.layers, facts)
        if layer is None:
            self.add(Layer.create(data, arguments, kind))
            return
        if layer.data[0] is not data[0]:
            layer.data = data
        if PARTIAL in facts and RENDERING in facts_of(layer):
            facts = {RENDERING: facts_of(layer)[RENDERING]} | facts
        layer.metadata = {**layer.metadata, METADATA_KEY: facts}

    def add(self, new: Layer) -> None:
        """Add a new layer: a step, which is followed by those that it takes."""
        self._next(partial(self._insert, new), partial(self._select, new), self._draw)

    def explain(self, layer: Layer) -> int:
        """Put its scale beside an error map that is still there: a step."""
        if layer in self._viewer.layers:
            layer.colorbar.visible = True
        return _BREATH_MS

    # -- steps ---------------------------------------------------------------------------------

    def _next(self, *steps: Step) -> None:
        """Do something before what is waiting already."""
        self._steps.extendleft(reversed(steps))

    def _step(self) -> None:
        pause = self._steps.popleft()() if self._steps else None
        if self._steps:
            self._timer.start(pause or 0)

    def _insert(self, layer: Layer) -> int:
        """Add a layer, neither selected nor drawn yet."""
        layers = self._viewer.layers
        selected = set(layers.selection)
        self.adding = True
        try:
            with layers.selection.events.blocker_all():
                layers.insert(self._place(layer), layer)
                layers.selection = selected
        finally:
            self.adding = False
        self._undrawn = layer
        return self._hold(True)

    def _select(self, layer: Layer) -> None:
        """Select a new layer, if it is to be looked at."""
        if layer.visible and layer in self._viewer.layers:
            self.adding = True
            try:
                self._viewer.layers.selection.active = layer
            finally:
                self.adding = False

    def _draw(self) -> int:
        """Draw the layer that was added last, if that was not done."""
        layer, self._undrawn = self._undrawn, None
        if layer is None:
            return 0
        if layer.visible:
            self._hide_beneath(layer)
        if facts_of(layer)[KIND] in (Kind.ERROR, Kind.MAP):
            self._next(partial(self.explain, layer))
        return self._hold(False)

    def _hold(self, held: bool) -> int:
        """Keep the window from drawing, or let it; return how long it needs to breathe, in ms."""
        window = self._window()
        if window is None or not isalive(window):
            return 0
        window.setUpdatesEnabled(not held)
        return _BREATH_MS

    def _hide_beneath(self, top: Layer) -> None:
        """Hide the other layers of a RAW, and what a layer was made of.

        To draw them costs time, and nobody sees them.
        """
        raw, made_of = raw_of(top), facts_of(top).get(MADE_OF, ())
        for layer in list(self._viewer.layers):
            same = raw is not None and raw_of(layer) is raw
            beneath = same or str(layer.unique_id) in made_of
            if layer is not top and beneath and KEPT not in facts_of(layer):
                layer.visible = False

    def _place(self, layer: Layer) -> int:
        """Find where a new layer belongs: below the results that lie above it."""
        facts = facts_of(layer)
        kind = facts[KIND]
        above = RESULTS[RESULTS.index(kind) + 1 :] if kind in RESULTS else ()
        for n, other in enumerate(self._viewer.layers):
            known = facts_of(other)
            same = known.get(ORIGINAL) is facts.get(ORIGINAL) and KEPT not in known
            if ORIGINAL in facts and same and known.get(KIND) in above:
                return n
        return len(self._viewer.layers)
