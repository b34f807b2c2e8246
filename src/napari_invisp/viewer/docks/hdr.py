"""The dock that maps the tones of scene light to what a screen can show, and merges brackets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import napari.viewer
from napari.layers import Layer
from napari.utils.notifications import show_error, show_info
from qtpy.QtWidgets import QFileDialog, QGroupBox, QVBoxLayout

from napari_invisp.hdr.settings import ToneSettings, used_by
from napari_invisp.sensor.reading import RAW_EXTENSIONS
from napari_invisp.sensor.record import RawRecord
from napari_invisp.viewer.controls import Form, named, on_double_click
from napari_invisp.viewer.docks.base import button, button_row, label
from napari_invisp.viewer.docks.preview import PreviewDock, Run
from napari_invisp.viewer.files.looks import EXR, JPEG, TIFF, LookFile
from napari_invisp.viewer.layers import (
    KIND,
    METADATA_KEY,
    MOSAICS,
    RAW_PICTURES,
    RECORD,
    facts_of,
    find_layer,
)
from napari_invisp.viewer.layers.sources import source_of, sources
from napari_invisp.viewer.work.editing import Frame, merged
from napari_invisp.viewer.work.looks import Look, ToneMapping

_RAW_FILTER = f"Camera RAW ({' '.join(f'*{suffix}' for suffix in sorted(RAW_EXTENSIONS))})"
_INVITATION = "Select the RAW layers of a bracket in the layer list, or choose files."


class HdrDock(PreviewDock):
    """Maps the tones of the source that is picked, and merges brackets to sources.

    Parameters
    ----------
    napari_viewer
        Whose layers it works on; a :class:`napari.components.ViewerModel` will do.
    """

    menu_title = "HDR and tones"
    tab_title = "HDR"
    look: ClassVar[Look] = ToneMapping()
    files: ClassVar[tuple[LookFile, ...]] = (JPEG, TIFF, EXR)

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__(napari_viewer, "hdr")

    # -- what others may call ------------------------------------------------------------------

    def settings(self) -> ToneSettings:
        """Return what the controls say."""
        settings: ToneSettings = self.form.settings()
        return settings

    def load(self, settings: ToneSettings) -> None:
        """Show settings in the controls, without making a picture by them."""
        self.form.load(settings)
        self._enable()

    def reset(self) -> None:
        """Put all controls back to their defaults."""
        self.form.reset()

    def merge_layers(self) -> None:
        """Merge the RAW layers that are selected."""
        self._merge(self._selected())

    def merge_files(self, paths: Sequence[Path]) -> None:
        """Merge RAW files."""
        self._merge([Frame(str(path), path.stem, path) for path in paths])

    # -- parts ---------------------------------------------------------------------------------

    def _build(self) -> None:
        self.form = Form(ToneSettings)
        named(self.form, "hdr.form")
        for each in fields(ToneSettings):
            widget = self.form[each.name]
            on_double_click(widget.native, partial(self._restore, each.name))
        self.form.changed.connect(self._on_form)
        self.merge_layers_button = button(
            "hdr.merge_layers",
            "Merge selected layers",
            self.merge_layers,
            "merge the RAW layers that are selected in the layer list: one scene at several "
            "exposures",
        )
        self.merge_files_button = button(
            "hdr.merge_files", "Merge files…", self._ask_for_files, "merge RAW files of one scene"
        )
        self.bracket = label("hdr.bracket", _INVITATION)
        self.bracket.setWordWrap(True)
        tones = QGroupBox("Tones")
        named(tones, "hdr.group.Tones")
        QVBoxLayout(tones).addWidget(self.form)
        merging = QGroupBox("Merge a bracket")
        named(merging, "hdr.group.Merge")
        inside = QVBoxLayout(merging)
        inside.addWidget(self.bracket)
        inside.addLayout(button_row(self.merge_layers_button, self.merge_files_button))
        for box in (tones, merging):
            self.contents.addWidget(box)
        self.contents.addStretch()
        self._enable()

    def _connect(self) -> None:
        super()._connect()
        self.listen(self._viewer.layers.selection.events.changed, self._refresh)

    # -- what happens --------------------------------------------------------------------------

    def _restore(self, name: str) -> None:
        self.form[name].value = getattr(ToneSettings(), name)

    def _on_form(self) -> None:
        self._enable()
        self.changed()

    def _enable(self) -> None:
        """Disable what the operator takes no notice of."""
        used = used_by(self.settings().operator)
        for each in fields(ToneSettings):
            self.form.enable(each.name, each.name in used)

    def _selected(self) -> list[Frame]:
        """Return the RAW whose layers are selected, each once."""
        chosen = {id(_raw(layer)) for layer in self._viewer.layers.selection}
        return [
            Frame(str(layer.unique_id), source_of(layer).name, raw)
            for layer in sources(self._viewer.layers)
            if (raw := _raw(layer)) is not None and id(raw) in chosen
        ]

    def _merge(self, frames: list[Frame]) -> None:
        if len(frames) < 2:
            show_error("choose two RAW or more of one scene, at several exposures, to merge them")
            return
        self._drop()
        self._start(Run.OTHER, partial(merged, frames))

    def _ask_for_files(self) -> None:
        names, _ = QFileDialog.getOpenFileNames(self, "Merge RAW files", "", _RAW_FILTER)
        if names:
            self.merge_files([Path(name) for name in names])

    def _on_produced(self, made: Any) -> None:
        if isinstance(made, list):
            for sentence in made:
                show_info(sentence)
        elif isinstance(made, tuple):
            facts = made[1]["metadata"][METADATA_KEY]
            self._adder.then(partial(self._adder.put, made), partial(self._on_merged, facts))
        else:
            super()._on_produced(made)

    def _on_merged(self, facts: dict[str, Any]) -> None:
        """Map the tones of what was merged."""
        layer = find_layer(self._viewer.layers, facts)
        if layer is not None:
            self.pick(layer)
            self.preview()

    # -- looks ---------------------------------------------------------------------------------

    def _refresh(self, _: Any = None) -> None:
        super()._refresh()
        count = len(self._selected())
        self.merge_layers_button.setEnabled(count > 1 and self._run is not Run.OTHER)
        self.bracket.setText(f"{count} RAW are selected." if count > 1 else _INVITATION)


def _raw(layer: Layer) -> RawRecord | None:
    """Return the RAW that a layer shows; ``None`` if it shows something else."""
    facts = facts_of(layer)
    record: RawRecord | None = facts.get(RECORD)
    return record if facts.get(KIND) in (*MOSAICS, *RAW_PICTURES) else None
