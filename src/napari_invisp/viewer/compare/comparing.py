"""Two layers against each other on the canvas: in turns, divided, or side by side."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import napari.viewer
import numpy as np
from napari.layers import Image, Layer
from qtpy.QtCore import QObject, QTimer, Signal  # type: ignore[attr-defined]

from napari_invisp.settings import CompareSettings
from napari_invisp.viewer.compare.swiping import Swipe

_GRID = ("stride", "shape", "spacing", "enabled")
# Of the layers' names on the canvas, in points: half of it has room for the longest.
_NAME_SIZE = 8.0


class Mode(StrEnum):
    """A way of comparing; the value is its name."""

    BLINK = "Blink"
    SWIPE = "Swipe"
    SIDE_BY_SIDE = "Side by side"


class Comparison(QObject):
    """Shows two layers, A and B, against each other; everything is as before once it stops.

    Meanwhile nothing else is on the canvas, images that are added included, unless it is made
    visible by hand. It stops by itself when A or B is deleted, when the grid is switched by hand,
    and when the viewer turns to 3D.

    Attributes
    ----------
    changed
        Another mode, or in turns, another layer.

    Parameters
    ----------
    viewer
        Whose layers are compared; swiping needs one with a window.
    """

    changed = Signal()

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self._settings = CompareSettings()
        self._mode: Mode | None = None
        self._pair: tuple[Layer, Layer] | None = None
        self._shown: Layer | None = None
        self._before: _Before | None = None
        self._swipe: Swipe | None = None
        self._share = 0.5
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._turn)

    @property
    def mode(self) -> Mode | None:
        """How the layers are compared; ``None`` if they are not."""
        return self._mode

    @property
    def pair(self) -> tuple[Layer, Layer] | None:
        """A and B; ``None`` if they are not compared."""
        return self._pair

    @property
    def shown(self) -> Layer | None:
        """The layer whose turn it is while blinking."""
        return self._shown

    @property
    def automatic(self) -> bool:
        """Whether layers take turns by themselves."""
        return self._timer.isActive()

    @property
    def can_swipe(self) -> bool:
        """Whether there is a canvas to swipe on."""
        return hasattr(self._viewer, "window")

    @property
    def settings(self) -> CompareSettings:
        """Blink rate and how the canvas is divided; new ones count at once."""
        return self._settings

    @settings.setter
    def settings(self, settings: CompareSettings) -> None:
        divided = settings.split != self._settings.split
        self._settings = settings
        self._timer.setInterval(round(1000 / settings.rate))
        if divided and self._mode in (Mode.SWIPE, Mode.SIDE_BY_SIDE) and self._pair is not None:
            self.start(self._mode, *self._pair)

    def start(self, mode: Mode, first: Layer, second: Layer, automatic: bool = True) -> None:
        """Compare two layers, instead of what is being compared now.

        Parameters
        ----------
        mode
            How.
        first, second
            A and B.
        automatic
            Whether they take turns by themselves when blinking.
        """
        self._leave()
        if self._before is None:
            self._before = _Before(self._viewer)
        on_top = _topmost(self._viewer, first, second)
        self._mode, self._pair = mode, (first, second)
        # The grid is laid out anew whenever a layer appears in it.
        self._viewer.canvas.grid.enabled = False
        for layer in self._viewer.layers:
            _show(layer, layer in self._pair)
            layer.name_overlay.visible = layer in self._pair
        first.name_overlay.position = second.name_overlay.position = "top_left"
        first.name_overlay.font_size = second.name_overlay.font_size = _NAME_SIZE
        if mode is Mode.SWIPE:
            upright = self._upright
            second.name_overlay.position = "top_right" if upright else "bottom_left"
            self._swipe = Swipe(self._viewer, first, second, upright)
            self._swipe.divider.share = self._share
        elif mode is Mode.SIDE_BY_SIDE:
            self._side_by_side(first, second)
        else:
            self._turn_to(second if on_top is first else first)
            if automatic:
                self._timer.start(round(1000 / self._settings.rate))
        self._listen()
        self.changed.emit()

    def flip(self) -> None:
        """Show the other layer and keep it, until the next flip."""
        self._timer.stop()
        self._turn()

    def stop(self) -> None:
        """Show everything as it was before."""
        if self._before is None:
            return
        self._leave()
        self._before.restore()
        self._before = None
        self.changed.emit()

    def abandon(self) -> None:
        """Stop and touch nothing: the window is gone."""
        self._timer.stop()
        self._mode = self._pair = self._shown = self._before = self._swipe = None

    @property
    def _upright(self) -> bool:
        return self._settings.split == "left | right"

    def _leave(self) -> None:
        """End the mode, but leave visibilities and grid to what comes next."""
        if self._mode is not None:
            self._deafen()
        self._timer.stop()
        if self._swipe is not None:
            self._share = self._swipe.divider.share
            self._swipe.close()
        if self._before is not None:
            self._before.unfit()
        self._mode = self._pair = self._shown = self._swipe = None

    def _turn(self) -> None:
        if self._pair is not None:
            first, second = self._pair
            self._turn_to(second if self._shown is first else first)
            self.changed.emit()

    def _turn_to(self, layer: Layer) -> None:
        self._shown = layer
        for each in self._pair or ():
            _show(each, each is layer)

    def _side_by_side(self, first: Layer, second: Layer) -> None:
        grid, pair = self._viewer.canvas.grid, [first, second]
        whole = all(_in_view(self._viewer, layer) for layer in pair)
        self._order()
        grid.shape = (1, 2) if self._upright else (2, 1)
        grid.spacing = 0
        grid.enabled = True
        if whole and self._before is not None:
            self._before.fit(pair)

    def _order(self, _: Any = None) -> None:
        """Let the grid begin with A, wherever that is in the list of layers."""
        if self._mode is Mode.SIDE_BY_SIDE and self._pair is not None:
            first, second = map(self._viewer.layers.index, self._pair)
            self._viewer.canvas.grid.stride = 1 if first < second else -1

    # -- what others do meanwhile --------------------------------------------------------------

    def _listen(self) -> None:
        events = self._viewer.layers.events
        events.inserted.connect(self._on_inserted)
        events.removed.connect(self._on_removed)
        events.reordered.connect(self._order)
        self._viewer.canvas.grid.events.enabled.connect(self._on_grid)
        self._viewer.dims.events.ndisplay.connect(self._on_dimensions)

    def _deafen(self) -> None:
        events = self._viewer.layers.events
        events.inserted.disconnect(self._on_inserted)
        events.removed.disconnect(self._on_removed)
        events.reordered.disconnect(self._order)
        self._viewer.canvas.grid.events.enabled.disconnect(self._on_grid)
        self._viewer.dims.events.ndisplay.disconnect(self._on_dimensions)

    def _on_inserted(self, event: Any) -> None:
        layer = event.value
        if self._before is not None and isinstance(layer, Image):
            self._before.remember(layer)
            _show(layer, False)
        self._order()

    def _on_removed(self, event: Any) -> None:
        if self._pair is not None and event.value in self._pair:
            self.stop()

    def _on_grid(self, event: Any) -> None:
        if self._before is not None:
            self._before.grid["enabled"] = event.value
        self.stop()

    def _on_dimensions(self, _: Any = None) -> None:
        self.stop()


class _Before:
    """What the canvas showed before a comparison."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        self._viewer = viewer
        self._layers: dict[Layer, tuple[bool, bool, Any, float]] = {}
        for layer in viewer.layers:
            self.remember(layer)
        self.grid = {name: getattr(viewer.canvas.grid, name) for name in _GRID}
        # Where the camera was, and where the comparison moved it.
        self._moved: tuple[Any, Any] | None = None

    def remember(self, layer: Layer) -> None:
        """Note how a layer is shown."""
        name = layer.name_overlay
        self._layers[layer] = layer.visible, name.visible, name.position, name.font_size

    def restore(self) -> None:
        """Show it again."""
        grid = self._viewer.canvas.grid
        grid.enabled = False
        for name, value in self.grid.items():
            setattr(grid, name, value)
        # Those that were deleted too: others may still hold them.
        for layer, (visible, named, position, size) in self._layers.items():
            _show(layer, visible)
            layer.name_overlay.visible = named
            layer.name_overlay.position = position
            layer.name_overlay.font_size = size

    def fit(self, pair: list[Layer]) -> None:
        """Bring the whole of two layers into view."""
        camera = self._viewer.scene.camera
        before = camera.center, camera.zoom
        self._viewer.fit_to_view(layers=pair)
        self._moved = before, (camera.center, camera.zoom)

    def unfit(self) -> None:
        """Put the camera back, unless it was moved by hand since."""
        camera, moved = self._viewer.scene.camera, self._moved
        self._moved = None
        if moved is not None and (camera.center, camera.zoom) == moved[1]:
            camera.center, camera.zoom = moved[0]


def _show(layer: Layer, visible: bool) -> None:
    # To be made visible, a layer is sliced anew, even if it was visible.
    if layer.visible != visible:
        layer.visible = visible


def _topmost(viewer: napari.viewer.Viewer, first: Layer, second: Layer) -> Layer:
    """Return which of two layers is seen."""
    pair = [layer for layer in viewer.layers if layer in (first, second)]
    return next((layer for layer in reversed(pair) if layer.visible), second)


def _in_view(viewer: napari.viewer.Viewer, layer: Layer) -> bool:
    """Tell whether a layer would fit on the canvas as a whole."""
    size = np.ptp(layer.extent.world[:, -2:], axis=0)
    return bool(np.all(size * viewer.scene.camera.zoom <= viewer.canvas.size))
