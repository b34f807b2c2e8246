"""The dock that compares two layers: blink, swipe, side by side, one exposure for all."""

from __future__ import annotations

from functools import partial
from typing import Any

import napari.viewer
from magicgui.widgets import ComboBox
from napari.layers import Layer
from napari.utils.notifications import show_error
from qtpy.QtWidgets import (
    QComboBox,
    QFormLayout,
    QGroupBox,
    QLayout,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_invisp.sensor.record import RawRecord
from napari_invisp.settings import CompareSettings
from napari_invisp.viewer.canvas import canvas_lives
from napari_invisp.viewer.compare.comparing import Comparison, Mode
from napari_invisp.viewer.compare.exposure import Exposure
from napari_invisp.viewer.compare.pairs import (
    can_keep,
    counterpart,
    default_pair,
    how_made,
    images,
    keep,
    release,
    results,
)
from napari_invisp.viewer.controls import Form, named, on_double_click
from napari_invisp.viewer.docks.base import Dock, button, button_row, label
from napari_invisp.viewer.layers import KIND, Kind, facts_of, raw_of
from napari_invisp.viewer.shortcuts import key_of

_BLINK_KEY, _FLIP_KEY = key_of("blink"), key_of("flip")

# As many letters of a layer's name fit into a picker.
_NAME_LENGTH = 40

_HELP = {
    Mode.BLINK: f"show A and B in turns; key {_BLINK_KEY}",
    Mode.SWIPE: "show A on one side of a line that can be dragged, and B on the other",
    Mode.SIDE_BY_SIDE: "show A and B beside each other; pan and zoom move both",
}


class CompareDock(Dock):
    """Compares two layers, A and B, and shows all layers under one exposure.

    A and B are a RAW and what was recovered of it, of the RAW that is worked on, until others are
    picked. A kept result as A brings the present one of its kind as B.

    Parameters
    ----------
    napari_viewer
        Whose layers it compares; a :class:`napari.components.ViewerModel` will do, but cannot
        swipe.
    """

    menu_title = "Compare"

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__(napari_viewer, "compare")
        self.comparison = Comparison(self._viewer)
        self.exposure = Exposure(self._viewer.layers)
        self._by_hand = False
        self._build()
        self._connect()
        self._list()

    # -- what others may call ------------------------------------------------------------------

    @property
    def pair(self) -> tuple[Layer, Layer] | None:
        """A and B; ``None`` if they are not two layers."""
        first, second = self.picker_a.value, self.picker_b.value
        return None if first is None or second is None or first is second else (first, second)

    def compare(self, mode: Mode) -> None:
        """Compare A and B in a mode, or stop if that is what is going on."""
        if self.comparison.mode is mode and (mode is not Mode.BLINK or self.comparison.automatic):
            self.comparison.stop()
        elif self.pair is not None:
            self.comparison.start(mode, *self.pair)
        self._refresh()

    def flip(self) -> None:
        """Show the other one of A and B, and leave it at that."""
        if self.comparison.mode is Mode.BLINK:
            self.comparison.flip()
        elif self.pair is not None:
            self.comparison.start(Mode.BLINK, *self.pair, automatic=False)

    def expose(self, stops: float) -> None:
        """Show all comparable layers brighter by a number of stops, as far as the control goes."""
        exposure: Any = self.exposure_form["exposure"]
        exposure.value = min(max(exposure.value + stops, exposure.min), exposure.max)

    def swap(self) -> None:
        """Make A of B and B of A."""
        self._by_hand = True
        self._pick(self.picker_b.value, self.picker_a.value)

    def keep_as_a(self) -> None:
        """Keep the results that A or B belongs to, so that later ones can be compared to them."""
        record, pair = self._record(), self.pair
        if record is None:
            return
        if not can_keep(self._viewer.layers, record):
            show_error("wait until the results are complete, then keep them")
            return
        self._by_hand = True
        keep(self._viewer.layers, record)
        kept = results(self._viewer.layers, record, kept=True)
        pictures = [each for each in kept if facts_of(each)[KIND] == Kind.RECOVERED]
        seen = [each for each in pair or () if each in kept]
        first = [*kept, *pictures, *seen][-1]
        self._pick(first, next((each for each in pair or () if each is not first), None))

    def release_a(self) -> None:
        """Let go of the results that are kept."""
        record = self._record()
        if record is not None:
            release(self._viewer.layers, record)
            self._by_hand = False
            self._list()

    # -- parts ---------------------------------------------------------------------------------

    def _build(self) -> None:
        self.picker_a = self._picker("A", "the first of two layers to compare")
        self.picker_b = self._picker("B", "the second of two layers to compare")
        self.swap_button = button("swap", "Swap", self.swap, "make A of B and B of A")
        self.mode_buttons = {mode: self._mode_button(mode) for mode in Mode}
        self.flip_button = button(
            "flip", "Flip", self.flip, f"show the other one; key {_FLIP_KEY}, hold it for a glance"
        )
        self.form = Form(CompareSettings, leave_out=("exposure",))
        named(self.form, "compare.form")
        self.showing = label("showing", "")
        self.showing.setWordWrap(True)

        self.exposure_form = Form(CompareSettings, leave_out=("rate", "split"))
        named(self.exposure_form, "compare.exposure")
        self.reset_button = button(
            "exposure.reset", "Reset", self.exposure_form.reset, "back to 0 EV"
        )

        self.keep_button = button(
            "keep",
            "Keep as A",
            self.keep_as_a,
            "keep the present results of this RAW, to compare those of another model, quality or "
            "headroom with them",
        )
        self.release_button = button(
            "release",
            "Release",
            self.release_a,
            "let go of the results that are kept; those that have been made anew since are removed",
        )
        self.kept_note = label("kept", "")
        self.kept_note.setWordWrap(True)

        pickers = QFormLayout()
        for picker in (self.picker_a, self.picker_b):
            pickers.addRow(picker.label, picker.native)
        modes = button_row(*self.mode_buttons.values())
        self._box("Layers", pickers, button_row(self.swap_button))
        self._box("Compare", modes, button_row(self.flip_button), self.form, self.showing)
        self._box("Exposure of all layers", self.exposure_form, button_row(self.reset_button))
        kept = button_row(self.keep_button, self.release_button)
        self._box("Two models or qualities", kept, self.kept_note)
        self.contents.addStretch()

    def _box(self, title: str, *parts: QLayout | QWidget) -> None:
        box = QGroupBox(title)
        named(box, f"compare.group.{title}")
        layout = QVBoxLayout(box)
        for part in parts:
            if isinstance(part, QLayout):
                layout.addLayout(part)
            else:
                layout.addWidget(part)
        self.contents.addWidget(box)

    def _picker(self, letter: str, help_text: str) -> ComboBox:
        picker = ComboBox(label=letter, choices=self._choices, nullable=False, tooltip=help_text)
        named(picker.native, f"picker_{letter.lower()}", help_text)
        # Or else it would ask for as much room as the longest name takes.
        picker.native.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        picker.native.setMinimumContentsLength(12)
        return picker

    def _mode_button(self, mode: Mode) -> QPushButton:
        name = mode.lower().replace(" ", "_")
        made = button(name, mode, partial(self.compare, mode), _HELP[mode])
        made.setCheckable(True)
        return made

    def _connect(self) -> None:
        self.picker_a.changed.connect(self._on_a_picked)
        self.picker_b.changed.connect(self._on_b_picked)
        self.comparison.changed.connect(self._on_compared)
        self.form.changed.connect(self._on_settings)
        self.exposure_form.changed.connect(self._on_exposure)
        on_double_click(self.exposure_form, self.exposure_form.reset)
        events = self._viewer.layers.events
        self.listen(events.inserted, self._on_inserted)
        self.listen(events.removed, self._list)
        self.listen(events.renamed, self._list)
        self.listen(events.reordered, self._list)
        self.listen(self._viewer.layers.selection.events.active, self._list)

    def detach(self) -> None:
        """Let go of the viewer, and leave it as it was; the Qt side of this widget may be gone."""
        super().detach()
        if not canvas_lives(self._viewer):
            self.comparison.abandon()
            return
        self.comparison.stop()
        self.exposure.close()

    # -- what happens --------------------------------------------------------------------------

    def _choices(self, _: Any) -> list[tuple[str, Layer]]:
        layers = images(self._viewer.layers)[::-1]
        short = [_shortened(layer.name) for layer in layers]
        # The picker tells its choices by what they are called.
        return [
            (name if short.count(name) == 1 else layer.name, layer)
            for name, layer in zip(short, layers, strict=True)
        ]

    def _list(self, _: Any = None) -> None:
        """Make the pickers agree with the layers; what is being compared stays."""
        first, second = self.picker_a.value, self.picker_b.value
        stay = self._by_hand or self.comparison.mode is not None
        if stay and all(each in self._viewer.layers for each in (first, second)):
            self._pick(first, second)
        else:
            self._by_hand = False
            self._pick(*default_pair(self._viewer.layers))

    def _on_inserted(self, event: Any) -> None:
        """Bring a new result up against the kept one that is A."""
        first = self.picker_a.value
        if first is not None and counterpart(self._viewer.layers, first) is event.value:
            self._pick(first, event.value)
        else:
            self._list()

    def _on_a_picked(self, first: Layer) -> None:
        """Bring the present result up against a kept one."""
        self._by_hand = True
        self._pick(first, counterpart(self._viewer.layers, first) or self.picker_b.value)

    def _on_b_picked(self, second: Layer) -> None:
        self._by_hand = True
        self._pick(self.picker_a.value, second)

    def _pick(self, first: Layer | None, second: Layer | None) -> None:
        """Show what is picked; what is being compared is compared with it from now on."""
        for picker, layer in ((self.picker_a, first), (self.picker_b, second)):
            with picker.changed.blocked():
                picker.reset_choices()
                if layer is not None and picker.value is not layer:
                    picker.value = layer
        mode, pair = self.comparison.mode, self.pair
        if mode is not None and pair is None:
            self.comparison.stop()
        elif mode is not None and pair is not None and pair != self.comparison.pair:
            self.comparison.start(mode, *pair, automatic=self.comparison.automatic)
        self._refresh()

    def _on_compared(self) -> None:
        """Catch up with layers that came meanwhile, once a comparison is over."""
        if self.comparison.mode is None:
            self._list()
        else:
            self._refresh()

    def _on_settings(self) -> None:
        self.comparison.settings = self.form.settings()

    def _on_exposure(self) -> None:
        self.exposure.ev = self.exposure_form.settings().exposure

    def _record(self) -> RawRecord | None:
        """Return the RAW that A and B belong to; that of B, if there are two."""
        pair = self.picker_b.value, self.picker_a.value
        records = [raw_of(layer) for layer in pair if layer is not None]
        return next((record for record in records if record is not None), None)

    # -- looks ---------------------------------------------------------------------------------

    def _refresh(self) -> None:
        """Make buttons and labels agree with what goes on."""
        for mode, each in self.mode_buttons.items():
            each.setChecked(mode is self.comparison.mode)
            each.setEnabled(self.pair is not None)
        self.mode_buttons[Mode.SWIPE].setEnabled(
            self.pair is not None and self.comparison.can_swipe
        )
        self.flip_button.setEnabled(self.pair is not None)
        self.swap_button.setEnabled(self.pair is not None)
        self.showing.setText(self._what_is_shown())
        record = self._record()
        kept = results(self._viewer.layers, record, kept=True) if record is not None else []
        present = results(self._viewer.layers, record) if record is not None else []
        self.keep_button.setEnabled(bool(present))
        self.release_button.setEnabled(bool(kept))
        self.kept_note.setText(_what_is_kept(kept, present))

    def _what_is_shown(self) -> str:
        pair = self.pair
        if pair is None:
            return "Open or make two images, and pick them as A and B."
        upright = self.form.settings().split == "left | right"
        match self.comparison.mode:
            case Mode.BLINK:
                shown = self.comparison.shown
                return f"{'A' if shown is pair[0] else 'B'}: {shown}"
            case Mode.SWIPE:
                return f"Drag the line: A is {'left of' if upright else 'above'} it."
            case Mode.SIDE_BY_SIDE:
                return f"A is {'on the left' if upright else 'at the top'}."
        return f"Key {_BLINK_KEY} blinks, key {_FLIP_KEY} flips by hand."


def _what_is_kept(kept: list[Layer], present: list[Layer]) -> str:
    if not kept and not present:
        return "Render a RAW to compare its results under two settings."
    if not kept:
        return "Keep these results, then render again with other settings to compare."
    what = f"Kept as A: {how_made(facts_of(kept[-1]))}."
    if not present:
        return f"{what} Render with other settings for B."
    return f"{what} Present results: {how_made(facts_of(present[-1]))}."


def _shortened(name: str) -> str:
    """Leave out the middle of a name that is longer than the pickers are wide."""
    half = _NAME_LENGTH // 2
    return name if len(name) <= _NAME_LENGTH else f"{name[:half]}…{name[-half:]}"
