"""The dock that reads out the CFA quad under the cursor."""

from __future__ import annotations

from typing import Any

import napari.viewer
import numpy as np
from napari.utils.events import Event
from qtpy.QtCore import Qt, QTimer
from qtpy.QtGui import QFontDatabase
from qtpy.QtWidgets import QScrollArea

from napari_invisp.inspection.readout import HEADER, Readout, read
from napari_invisp.sensor.record import RawRecord
from napari_invisp.viewer.docks.base import Dock, label
from napari_invisp.viewer.layers import Kind
from napari_invisp.viewer.layers.family import Family, family_of

_HELP = (
    "the 2x2 CFA quad under the cursor: sensor counts of the selected layer's RAW, of what was "
    "recovered of it, and their difference; then the pixel itself as rendered and in the JPEG"
)
_NO_RAW = "Open a camera RAW file, then move the mouse over it."
_OUTSIDE = "Move the mouse over the picture."
# For a scroll bar below the line, in pixels.
_ROOM = 12
# New pixels under a mouse at rest are read this often at most.
_PAUSE_MS = 100


class ReadoutDock(Dock):
    """One line of values, which follows the mouse.

    The RAW is the one that the selected layer belongs to, or else the topmost one.

    Parameters
    ----------
    napari_viewer
        Whose mouse it follows; a :class:`napari.components.ViewerModel` will do.
    """

    menu_title = "Pixel readout"
    # One line wants the width of the window.
    area = "bottom"
    strip = True

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__(napari_viewer, "readout")
        self._position: tuple[float, ...] | None = None
        self._raw: RawRecord | None = None
        self._readout: Readout | None = None
        self._painted: Any = None
        self._build()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_PAUSE_MS)
        self._timer.timeout.connect(self._read)
        self._viewer.mouse_move_callbacks.append(self._on_moved)
        layers = self._viewer.layers
        for event in (
            layers.events.inserted,
            layers.events.removed,
            layers.selection.events.active,
        ):
            self.listen(event, self._later)
        self._read()

    @property
    def readout(self) -> Readout | None:
        """What is shown; ``None`` outside the frame."""
        return self._readout

    def detach(self) -> None:
        """Let go of the viewer; the Qt side of this widget may be gone."""
        super().detach()
        self._follow(None)
        if self._on_moved in self._viewer.mouse_move_callbacks:
            self._viewer.mouse_move_callbacks.remove(self._on_moved)

    def _build(self) -> None:
        fixed = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont)
        self.header = label("readout.header", "\n".join(HEADER), _HELP)
        self.values = label("readout.values", "", _HELP)
        self.values.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        for line in (self.header, self.values):
            # The style sheet of the window would win over a font that is set.
            line.setStyleSheet(f"font-family: '{fixed.family()}';")
            self.contents.addWidget(line)
        self.contents.setSpacing(0)
        self.contents.setContentsMargins(6, 2, 6, 2)
        self.contents.addStretch()
        # Where the window is narrow the line is still of one piece.
        for scroll in self.findChildren(QScrollArea):
            scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAsNeeded)
        self.setMinimumHeight(self.contents.sizeHint().height() + _ROOM)

    def _on_moved(self, _: Any, event: Event) -> None:
        self._position = tuple(event.position)
        self._read()

    def _later(self, _: Any = None) -> None:
        if not self._timer.isActive():
            self._timer.start()

    def _read(self) -> None:
        layers = self._viewer.layers
        family = family_of(layers, layers.selection.active, self._raw)
        self._raw = family.raw if family is not None else None
        self._follow(family)
        self._readout = self._at_cursor(family) if family is not None else None
        if self._readout is not None:
            self.values.setText(self._readout.line())
        else:
            self.values.setText(_NO_RAW if family is None else _OUTSIDE)

    def _at_cursor(self, family: Family) -> Readout | None:
        if self._position is None:
            return None
        active = self._viewer.layers.selection.active
        layer = active if active in family.members else family.members[0]
        # A pixel reaches half its size around its middle, which is at whole numbers.
        row, column = np.floor(np.asarray(layer.world_to_data(self._position))[-2:] + 0.5)
        return read(
            int(row),
            int(column),
            family.original,
            family.recovered,
            family.picture(Kind.RENDERED),
            family.picture(Kind.DECODED, Kind.JPEG),
        )

    def _follow(self, family: Family | None) -> None:
        """Hear of new pixels in the results of one family."""
        painted = family.recovered_layer if family is not None else None
        if painted is self._painted:
            return
        if self._painted is not None:
            self._painted.events.data.disconnect(self._later)
        if painted is not None:
            painted.events.data.connect(self._later)
        self._painted = painted
