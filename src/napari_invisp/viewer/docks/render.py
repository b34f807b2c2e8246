"""The dock widget: render a RAW to JPEG, recover it, see what that costs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import napari.viewer
from magicgui.widgets import ComboBox
from napari.layers import Layer
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import (
    QApplication,
    QButtonGroup,
    QFileDialog,
    QFormLayout,
    QGroupBox,
    QProgressBar,
    QPushButton,
    QWidget,
)

from napari_invisp.inspection.figures import Figures
from napari_invisp.pipeline import Rendering
from napari_invisp.viewer.controls import Controls, named
from napari_invisp.viewer.docks.base import Dock, button, button_row, label
from napari_invisp.viewer.docks.figures import FiguresPanel
from napari_invisp.viewer.files.exporting import DNG, JPEG, Format, ask_and_export
from napari_invisp.viewer.layers import (
    FIGURES,
    JPEG_SUFFIXES,
    KIND,
    LOOKS,
    MOSAICS,
    ORIGINAL,
    RENDERING,
    Kind,
    base_name,
    facts_of,
    jpeg_path_of,
    raw_of,
)
from napari_invisp.viewer.preferences import default_settings, on_change
from napari_invisp.viewer.work.runs import Run, Runs

_JPEG_FILTER = f"JPEG files ({' '.join(f'*{suffix}' for suffix in JPEG_SUFFIXES)})"


# Least time between two reports of progress.
_SAYING_MS = 200
# What can be looked at with one click, and what the buttons are called.
_SHOWN = {
    "Original": (Kind.RAW, Kind.MOSAIC),
    "Rendered": (Kind.RENDERED,),
    "JPEG": (Kind.DECODED,),
    "Recovered": (Kind.RECOVERED, Kind.RECOVERED_MOSAIC),
    "Error": (Kind.ERROR,),
}


class RenderDock(Dock):
    """Renders the RAW layer that is picked, and recovers RAW from JPEG, beside the window.

    Parameters
    ----------
    napari_viewer
        Whose layers it works on; a :class:`napari.components.ViewerModel` will do.
    """

    menu_title = "Render and recover RAW"
    tab_title = "Render"

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__(napari_viewer, "widget")
        self.runs = Runs(self._viewer, self.window_shown)
        # Of the part in view, while the frame is not of one setting.
        self._in_view: Figures | None = None
        self._progress: tuple[str, int, int] | None = None
        self._total = 0
        self._saying = QTimer()
        self._saying.setObjectName("napari-invisp.saying")
        self._saying.setSingleShot(True)
        self._saying.setInterval(_SAYING_MS)
        self._saying.timeout.connect(self._say_progress)
        self._build()
        self._connect()
        self._list_raw()
        self._follow()

    # -- what others may call ------------------------------------------------------------------

    @property
    def running(self) -> bool:
        """Whether a run is going on."""
        return self.runs.running

    @property
    def raw_layer(self) -> Layer | None:
        """The RAW layer that is picked."""
        layer: Layer | None = self.picker.value
        return layer

    def render_raw(self) -> None:
        """Render the picked RAW, encode it and recover it."""
        if self.raw_layer is not None:
            self.runs.render(self.raw_layer, self.controls.settings())

    def recover_raw(self) -> None:
        """Encode the picked RAW's rendering as the controls say, and recover it."""
        if self.raw_layer is not None:
            self.runs.encode(self.raw_layer, self.controls.settings())

    def sweep(self) -> None:
        """Measure the picked RAW's rendering at all standard qualities."""
        if self.raw_layer is not None:
            self.runs.sweep(self.raw_layer, self.controls.settings())

    def recover_files(self, paths: Sequence[Path]) -> None:
        """Recover the RAW of JPEG files."""
        self.runs.recover_files(paths, self.controls.settings())

    def cancel(self) -> None:
        """Stop what is going on; what was painted stays."""
        self.runs.cancel()

    def show_only(self, title: str) -> None:
        """Show one of the pictures of the picked RAW, and hide the others."""
        raw = self.raw_layer
        shown = self._member(title)
        if raw is None or shown is None:
            return
        for layer in list(self._viewer.layers):
            if raw_of(layer) is raw_of(raw):
                layer.visible = layer is shown

    # -- parts ---------------------------------------------------------------------------------

    def _build(self) -> None:
        self.picker = ComboBox(
            label="RAW layer",
            choices=self._raw_choices,
            nullable=False,
            tooltip="the RAW to work on; follows the layer that is selected",
        )
        named(self.picker.native, "picker", self.picker.tooltip or "")
        self.controls = Controls(default_settings())

        self.render_button = button(
            "render",
            "Render",
            self.render_raw,
            "render to sRGB, write a JPEG, recover the RAW from it",
        )
        self.recover_button = button(
            "recover",
            "Recover",
            self.recover_raw,
            "write the rendering as a JPEG of this quality and recover the RAW from it",
        )
        self.cancel_button = button("cancel", "Cancel", self.cancel, "stop the run")
        self.reset_button = button(
            "reset", "Reset", self.controls.reset, "put all settings back to those preferred"
        )
        self.save_jpeg_button = button(
            "save_jpeg", "Save JPEG…", self._save_jpeg, "save the JPEG that holds its RAW"
        )
        self.save_dng_button = button(
            "save_dng", "Save DNG…", self._save_dng, "save the recovered RAW"
        )
        self.recover_file_button = button(
            "recover_file",
            "",
            self._recover_jpeg,
            "recover the RAW of a JPEG that napari-invisp wrote, from that file alone",
        )
        self.note = label("note", "")
        self.note.setWordWrap(True)
        self.stage = label("stage", "Ready")
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        named(self.bar, "progress")
        self.show_box, self.show_buttons = self._switch()
        self.result_box = FiguresPanel()
        self.figures = self.result_box.labels

        layout = self.contents
        picker = QFormLayout()
        picker.addRow(self.picker.label, self.picker.native)
        layout.addLayout(picker)
        layout.addWidget(self.controls)
        layout.addLayout(
            button_row(
                self.render_button, self.recover_button, self.cancel_button, self.reset_button
            )
        )
        layout.addWidget(self.note)
        layout.addWidget(self.stage)
        layout.addWidget(self.bar)
        layout.addWidget(self.show_box)
        layout.addWidget(self.result_box)
        layout.addLayout(button_row(self.save_jpeg_button, self.save_dng_button))
        layout.addWidget(self.recover_file_button)
        layout.addStretch()

    def _switch(self) -> tuple[QGroupBox, dict[str, QPushButton]]:
        """Make the buttons that show one of the pictures."""
        box = QGroupBox("Show only")
        named(box, "group.Show")
        buttons = {
            title: button(
                f"show.{title}",
                title,
                partial(self.show_only, title),
                f"show the {title.lower()} of this RAW, and hide its other layers",
            )
            for title in _SHOWN
        }
        self._exclusive = QButtonGroup(self)
        self._exclusive.setObjectName("napari-invisp.show")
        for each in buttons.values():
            each.setCheckable(True)
            self._exclusive.addButton(each)
        box.setLayout(button_row(*buttons.values()))
        return box, buttons

    def _connect(self) -> None:
        runs = self.runs
        runs.progressed.connect(self._on_progressed)
        runs.began.connect(self._on_began)
        runs.ended.connect(self._on_ended)
        runs.changed.connect(self._refresh)
        runs.moved.connect(self._on_live_figures)
        self.controls.changed.connect(self._refresh)
        self.controls.moved.connect(self._on_moved)
        self.controls.rested.connect(self._on_rested)
        self.picker.changed.connect(self._refresh)
        events = self._viewer.layers.events
        self.listen(events.inserted, self._on_inserted)
        self.listen(events.removed, self._on_removed)
        self.listen(events.renamed, self._list_raw)
        self.listen(events, self._on_any)
        self.listen(self._viewer.layers.selection.events.active, self._follow)
        self._ignore_preferences = on_change(self._on_preferences)
        application = QApplication.instance()
        if application is not None:
            application.aboutToQuit.connect(runs.abandon)

    def detach(self) -> None:
        """Let go of the viewer and stop; the Qt side of this widget may be gone."""
        super().detach()
        self._ignore_preferences()
        self.runs.abandon()

    # -- layers --------------------------------------------------------------------------------

    def _raw_choices(self, _: Any) -> list[tuple[str, Layer]]:
        """List the RAW layers: one for each record, its picture rather than its mosaic."""
        chosen: list[Layer] = []
        for layer in self._viewer.layers:
            facts, record = facts_of(layer), raw_of(layer)
            pictures = (Kind.JPEG, Kind.MERGED, *LOOKS)
            if record is None or ORIGINAL in facts or facts[KIND] in pictures:
                continue
            same = next((i for i, other in enumerate(chosen) if raw_of(other) is record), None)
            if same is None:
                chosen.append(layer)
            elif facts_of(chosen[same])[KIND] in MOSAICS:
                chosen[same] = layer
        return [(layer.name, layer) for layer in chosen]

    def _list_raw(self, _: Any = None) -> None:
        self.picker.reset_choices()
        self._refresh()

    def _on_inserted(self, _: Any) -> None:
        self._list_raw()
        self._follow()

    def _on_removed(self, event: Any) -> None:
        self.runs.dismiss(event.value)
        self._list_raw()

    def _follow(self, _: Any = None) -> None:
        """Pick the RAW that the selected layer belongs to."""
        active = self._viewer.layers.selection.active
        record = raw_of(active) if active is not None and not self.runs.adding else None
        if record is not None:
            for _, layer in self._raw_choices(None):
                if raw_of(layer) is record:
                    self.picker.value = layer
        self._refresh()

    def _on_any(self, event: Any) -> None:
        """Hear of what layers say of themselves, which napari repeats in the list's name."""
        if event.type == "visible":
            self._refresh_switch()

    def _fact(self, key: str) -> Any:
        """Look up what the results of the picked RAW know; ``None`` if there are none."""
        return self.runs.fact(self.raw_layer, key) if self.raw_layer is not None else None

    def _result_layer(self, *kinds: Kind) -> Layer | None:
        """Find the result of one of some kinds that belongs to the picked RAW."""
        return self.runs.result(self.raw_layer, *kinds) if self.raw_layer is not None else None

    def _member(self, title: str) -> Layer | None:
        """Find the layer of the picked RAW that one of the switch's buttons shows."""
        for kind in _SHOWN[title]:
            layer = self._result_layer(kind)
            if layer is not None:
                return layer
        return None

    # -- runs ----------------------------------------------------------------------------------

    def _on_began(self) -> None:
        if self.runs.kind is not Run.LIVE:  # which has no time to redraw the window
            self._say("Starting")
            self._refresh()

    def _on_progressed(self, stage: str, done: int, total: int) -> None:
        """Say how far the run is, but not more often than people read: it redraws the window."""
        self._progress = stage, done, total
        if not self._saying.isActive():
            self._saying.start()

    def _say_progress(self) -> None:
        if self._progress is None:
            return
        stage, done, total = self._progress
        if total > 1:
            self._say(f"{stage.capitalize()}: {done} of {total}", done, total)
        else:
            self._say(stage.capitalize())

    def _on_ended(self, text: str) -> None:
        self._saying.stop()
        self._progress = None
        self._say(text, done=1 if text.startswith("Done") else 0)
        self._refresh()

    def _on_moved(self) -> None:
        """Follow a control that is being moved, if there is a rendering to follow with."""
        if self.raw_layer is not None:
            self.runs.move(self.raw_layer, self.controls.settings())

    def _on_live_figures(self, figures: Figures) -> None:
        self._in_view = figures
        self.result_box.show_figures(figures)

    def _on_rested(self) -> None:
        """Do the whole frame, unless it is that already."""
        if self.runs.kind in (Run.FILES, Run.LIVE) or (self.running and not self._fact(RENDERING)):
            self.runs.afterwards(self._on_rested)
            return
        rendering = self._fact(RENDERING)
        if self.raw_layer is None or rendering is None:
            return
        if self._outdated(rendering) == ["headroom"]:
            self.render_raw()
        else:
            self.recover_raw()

    def _on_preferences(self) -> None:
        self.controls.prefer(default_settings())

    def _outdated(self, rendering: Rendering) -> list[str]:
        """Tell which settings of a rendering are no longer those of the controls."""
        settings = self.controls.settings()
        return [
            name
            for name in ("model", "headroom")
            if getattr(rendering.settings, name) != getattr(settings, name)
        ]

    def _recover_jpeg(self) -> None:
        path = self._selected_jpeg() or ask_for_jpeg(self)
        if path is not None:
            self.recover_files([path])

    def _selected_jpeg(self) -> Path | None:
        active = self._viewer.layers.selection.active
        return jpeg_path_of(active) if active is not None else None

    def _save_jpeg(self) -> None:
        self._save(Kind.RENDERED, JPEG)

    def _save_dng(self) -> None:
        self._save(Kind.RECOVERED_MOSAIC, DNG)

    def _save(self, kind: Kind, chosen: Format) -> None:
        layer = self._result_layer(kind)
        if layer is not None and self.raw_layer is not None:
            ask_and_export(self._viewer, layer, base_name(self.raw_layer), [chosen])

    # -- looks ---------------------------------------------------------------------------------

    def _say(self, text: str, done: int = 0, total: int = 1) -> None:
        self.stage.setText(text)
        if total != self._total:  # each call may have to wait for the threads that work
            self._total = total
            self.bar.setRange(0, total)
        self.bar.setValue(done)

    def _refresh(self, _: Any = None) -> None:
        """Make buttons, note and figures agree with the layers."""
        rendering: Rendering | None = self._fact(RENDERING)
        idle = not self.running
        self.render_button.setEnabled(self.raw_layer is not None)
        self.recover_button.setEnabled(rendering is not None)
        self.cancel_button.setEnabled(not idle)
        whole = self._result_layer(Kind.RECOVERED_MOSAIC) is not None and not self._partial()
        self.save_jpeg_button.setEnabled(rendering is not None and whole and idle)
        self.save_dng_button.setEnabled(whole and idle)
        jpeg = self._selected_jpeg()
        self.recover_file_button.setText(
            "Recover RAW from this JPEG" if jpeg else "Recover RAW from JPEG file…"
        )
        self._refresh_note(rendering)
        self._refresh_switch()
        if not self._partial():
            self._in_view = None
        self.result_box.show_figures(self._in_view if self._partial() else self._fact(FIGURES))

    def _partial(self) -> bool:
        return self.raw_layer is not None and self.runs.partial(self.raw_layer)

    def _refresh_switch(self) -> None:
        """Enable what can be shown, and press the button of what is shown alone."""
        members = {title: self._member(title) for title in _SHOWN}
        visible = [title for title, layer in members.items() if layer is not None and layer.visible]
        self._exclusive.setExclusive(False)
        for title, layer in members.items():
            self.show_buttons[title].setEnabled(layer is not None)
            self.show_buttons[title].setChecked(visible == [title])
        self._exclusive.setExclusive(True)

    def _refresh_note(self, rendering: Rendering | None) -> None:
        text = ""
        if self.raw_layer is None:
            text = "Open a camera RAW file to begin (File ▸ Open, or Open Sample)."
        elif not self.running and rendering is not None:
            changed = [self.controls[name].label.lower() for name in self._outdated(rendering)]
            if changed:
                text = f"Render again to see the new {' and '.join(changed)}."
        if not text and not self.running and not self.controls.moving and self._partial():
            again = "Recover" if rendering is not None else "Render"
            text = f"The layers are of different settings in parts; press {again} to finish them."
        self.note.setText(text)
        self.note.setVisible(bool(text))


def ask_for_jpeg(parent: QWidget | None) -> Path | None:
    """Let the user choose a JPEG file; ``None`` if they do not."""
    name, _ = QFileDialog.getOpenFileName(parent, "Recover RAW from a JPEG file", "", _JPEG_FILTER)
    return Path(name) if name else None
