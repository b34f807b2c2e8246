"""The dock that retouches a RAW, or a picture."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import napari.viewer
import numpy as np
from magicgui.widgets import ComboBox
from napari.layers import Image, Layer
from qtpy.QtGui import QStandardItemModel
from qtpy.QtWidgets import QComboBox, QFileDialog, QGroupBox, QHBoxLayout, QVBoxLayout

from napari_invisp.errors import InvispError
from napari_invisp.pictures import as_stored, turned_upright
from napari_invisp.retouching.presets import load_preset, preset_names, save_preset
from napari_invisp.retouching.settings import RetouchSettings
from napari_invisp.viewer.controls import named
from napari_invisp.viewer.docks.base import button, button_row, label
from napari_invisp.viewer.docks.preview import PreviewDock, Run
from napari_invisp.viewer.docks.retouch_controls import RetouchControls
from napari_invisp.viewer.failures import report_failure
from napari_invisp.viewer.files.looks import JPEG, TIFF, LookFile
from napari_invisp.viewer.layers import KIND, RAW_PICTURES, facts_of, raw_of
from napari_invisp.viewer.layers.sources import source_of
from napari_invisp.viewer.work.editing import (
    Reference,
    by_policy,
    camera_look,
    fitted,
    reference_file,
)
from napari_invisp.viewer.work.looks import Look, Retouching

_CUSTOM = "custom"
_PRESETS = "Retouching presets (*.json)"
_PICTURES = "Pictures (*.jpg *.jpeg *.png *.tif *.tiff)"
_POLICIES = "Trained policies (*.safetensors)"


class Auto(StrEnum):
    """What the automatic settings go by."""

    CAMERA = "the camera's look"
    EXPOSED = "good exposure, no reference"
    LAYER = "the look of a layer"
    FILE = "the look of a picture file…"
    POLICY = "a trained policy…"


_HELP = {
    Auto.CAMERA: "make it look like the picture that the camera has put into its RAW file",
    Auto.EXPOSED: "bring brightness, contrast and colour to where most photographs have them",
    Auto.LAYER: "make it look like another picture of the scene that is open",
    Auto.FILE: "make it look like another picture of the scene",
    Auto.POLICY: "let a policy that was trained on retouched photographs choose filters",
}


class RetouchDock(PreviewDock):
    """Retouches the source that is picked by eight filters, and follows their controls.

    Parameters
    ----------
    napari_viewer
        Whose layers it works on; a :class:`napari.components.ViewerModel` will do.
    """

    menu_title = "Retouch"
    look: ClassVar[Look] = Retouching()
    files: ClassVar[tuple[LookFile, ...]] = (JPEG, TIFF)

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__(napari_viewer, "retouch")

    # -- what others may call ------------------------------------------------------------------

    def settings(self) -> RetouchSettings:
        """Return what the controls say."""
        return self.controls.settings()

    def load(self, settings: RetouchSettings) -> None:
        """Show settings in the controls, without making a picture by them."""
        self.controls.load(settings)
        self._refresh()

    def apply(self, settings: RetouchSettings) -> None:
        """Show settings in the controls, and make a picture by them."""
        self.controls.load(settings)
        self.changed()

    def reset(self) -> None:
        """Put all controls back to what changes nothing."""
        self.controls.reset()

    def auto(self, path: Path | None = None) -> None:
        """Find settings, as the choice beside the button says.

        Parameters
        ----------
        path
            The file that the choice asks for; asked for if not given.
        """
        choice, sheet, source = Auto(self.auto_choice.currentText()), None, self.source
        if choice in (Auto.FILE, Auto.POLICY) and path is None:
            path = self._ask_for(choice)
            if path is None:
                return
        sheet = self._present_sheet()
        if sheet is None or source is None:
            return
        self._dismissed = False
        self._reveal()
        self._rest_timer.stop()
        settings = self.settings()
        if choice is Auto.POLICY:
            assert path is not None
            self._start(Run.OTHER, partial(by_policy, sheet, settings, path))
            return
        reference = self._reference(choice, path)
        self._start(Run.OTHER, partial(fitted, sheet, settings, reference))

    # -- parts ---------------------------------------------------------------------------------

    def _build(self) -> None:
        self.controls = RetouchControls()
        self.controls.changed.connect(self.changed)
        self.contents.addWidget(self._start_box())
        self.contents.addWidget(self.controls)
        self.contents.addStretch()

    def _start_box(self) -> QGroupBox:
        """Make what one begins with: presets, and automatic settings."""
        box = QGroupBox("Start from")
        named(box, "retouch.group.Start")
        self.preset = QComboBox()
        named(self.preset, "retouch.preset", "settings that come with the program")
        self.preset.addItems([_CUSTOM, *preset_names()])
        self.preset.textActivated.connect(self._on_preset)
        self.save_preset_button = button(
            "retouch.save_preset", "Save…", self._save_preset, "save these settings to a file"
        )
        self.load_preset_button = button(
            "retouch.load_preset", "Load…", self._load_preset, "take settings from a file"
        )
        self.auto_choice = QComboBox()
        named(self.auto_choice, "retouch.auto_choice", "what automatic settings go by")
        self.auto_choice.addItems([*Auto])
        self.auto_choice.currentTextChanged.connect(self._refresh)
        self.auto_button = button(
            "retouch.auto", "Auto", self.auto, "find settings; they can be changed afterwards"
        )
        help_text = "a picture of the same scene that is open"
        self.reference = ComboBox(
            label="Reference", choices=self._references, nullable=False, tooltip=help_text
        )
        named(self.reference.native, "retouch.reference", help_text)
        self.reference_title = label("retouch.title.reference", "Layer", help_text)
        for each in (self.auto_choice, self.preset, self.reference.native):
            each.setSizeAdjustPolicy(
                QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
            )
            each.setMinimumContentsLength(10)

        presets, auto, layer = QHBoxLayout(), QHBoxLayout(), QHBoxLayout()
        presets.addWidget(label("retouch.title.preset", "Preset"))
        presets.addWidget(self.preset, 1)
        presets.addLayout(button_row(self.save_preset_button, self.load_preset_button))
        auto.addWidget(self.auto_button)
        auto.addWidget(self.auto_choice, 1)
        layer.addWidget(self.reference_title)
        layer.addWidget(self.reference.native, 1)
        layout = QVBoxLayout(box)
        for row in (presets, auto, layer):
            layout.addLayout(row)
        return box

    # -- what happens --------------------------------------------------------------------------

    def _on_produced(self, made: Any) -> None:
        if isinstance(made, RetouchSettings):
            self.controls.load(made)
        else:
            super()._on_produced(made)

    def _on_finished(self) -> None:
        found = self._run is Run.OTHER
        super()._on_finished()
        if found:
            self.changed()

    def _on_preset(self, name: str) -> None:
        if name != _CUSTOM:
            self.apply(load_preset(name))

    def _save_preset(self) -> None:
        name, _ = QFileDialog.getSaveFileName(self, "Save settings", "retouching.json", _PRESETS)
        if name:
            try:
                save_preset(Path(name), self.settings())
            except InvispError as error:
                report_failure(error)

    def _load_preset(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, "Load settings", "", _PRESETS)
        if name:
            try:
                self.apply(load_preset(Path(name)))
            except InvispError as error:
                report_failure(error)

    def _ask_for(self, choice: Auto) -> Path | None:
        title, kinds = ("Open a picture of the same scene", _PICTURES)
        if choice is Auto.POLICY:
            title, kinds = ("Open a trained policy", _POLICIES)
        name, _ = QFileDialog.getOpenFileName(self, title, "", kinds)
        return Path(name) if name else None

    def _reference(self, choice: Auto, path: Path | None) -> Reference:
        """Return what gives the picture that the result is to look like."""
        assert self.source is not None
        source = source_of(self.source)
        if choice is Auto.CAMERA and source.file is not None:
            return partial(camera_look, source.file)
        if choice is Auto.FILE and path is not None:
            return partial(reference_file, path, source.orientation)
        layer = self.reference.value
        if choice is Auto.LAYER and layer is not None:
            pixels = np.asarray(layer.data[0] if layer.multiscale else layer.data)[..., :3]
            raw = raw_of(layer)
            stands = raw.orientation if raw is not None else 1
            return lambda: as_stored(turned_upright(pixels, stands), source.orientation)
        return lambda: None

    # -- looks ---------------------------------------------------------------------------------

    def _references(self, _: Any) -> list[tuple[str, Layer]]:
        return [
            (layer.name, layer)
            for layer in reversed(self._viewer.layers)
            if isinstance(layer, Image)
            and layer.rgb
            and np.dtype(layer.dtype) == np.uint8
            and layer is not self.source
            and facts_of(layer).get(KIND) not in (self.look.kind, *RAW_PICTURES)
        ]

    def _refresh(self, _: Any = None) -> None:
        super()._refresh()
        self.reference.reset_choices()
        choice = Auto(self.auto_choice.currentText())
        for each in (self.reference_title, self.reference.native):
            each.setVisible(choice is Auto.LAYER)
        reasons = self._reasons()
        model = self.auto_choice.model()
        assert isinstance(model, QStandardItemModel)
        for row, each in enumerate(Auto):
            item = model.item(row)
            if item is not None:
                item.setEnabled(each not in reasons)
                item.setToolTip(reasons.get(each, _HELP[each]))
        self.auto_button.setEnabled(self.source is not None and choice not in reasons)
        self.auto_choice.setToolTip(reasons.get(choice, _HELP[choice]))
        settings = self.settings()
        name = next((n for n in preset_names() if load_preset(n) == settings), _CUSTOM)
        self.preset.setCurrentText(name)

    def _reasons(self) -> dict[Auto, str]:
        """Say which automatic settings cannot be had, and why."""
        reasons = {}
        source = source_of(self.source) if self.source is not None else None
        if source is None or source.file is None:
            reasons[Auto.CAMERA] = (
                "this source is no RAW that was opened from a file, so there is no picture of the "
                "camera's beside it"
            )
        if self.reference.value is None:
            reasons[Auto.LAYER] = "no picture is open that it could look like"
        return reasons

    def _problem(self) -> str:
        problem = super()._problem()
        if problem or self._run is not None:
            return problem
        reason = self._reasons().get(Auto(self.auto_choice.currentText()))
        return f"No Auto by {self.auto_choice.currentText()}: {reason}." if reason else ""
