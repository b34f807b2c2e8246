"""The dock widget: render a RAW to JPEG, recover it, see what that costs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from enum import Enum, auto
from functools import partial
from pathlib import Path
from typing import Any

import napari.viewer
from magicgui.widgets import ComboBox
from napari.layers import Layer
from napari.utils.notifications import (
    notification_manager,
    show_error,
    show_info,
    show_warning,
)
from qtpy.QtWidgets import (
    QApplication,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QWidget,
)

from napari_invisp.errors import InvispError
from napari_invisp.pipeline import Rendering
from napari_invisp.sensor.record import RawRecord
from napari_invisp.viewer import jobs
from napari_invisp.viewer.controls import Controls, named
from napari_invisp.viewer.docks.base import Dock, button, label
from napari_invisp.viewer.docks.figures import FiguresPanel
from napari_invisp.viewer.layers import (
    FIGURES,
    JPEG_SUFFIXES,
    KIND,
    METADATA_KEY,
    MOSAICS,
    ORIGINAL,
    RENDERING,
    SOURCE,
    Kind,
    base_name,
    facts_of,
    find_layer,
    jpeg_path_of,
    raw_of,
)
from napari_invisp.viewer.worker import Runner, Work
from napari_invisp.viewer.writers import write_dng_layer, write_jpeg_layer

#: What napari calls the dock: the names of the widget and of the plugin in the manifest.
DOCK_NAME = "Render and recover RAW (InvISP)"

_JPEG_FILTER = f"JPEG files ({' '.join(f'*{suffix}' for suffix in JPEG_SUFFIXES)})"


class _Run(Enum):
    """What a run is for."""

    RENDER = auto()
    ENCODE = auto()
    FILES = auto()


class RenderDock(Dock):
    """Renders the RAW layer that is picked, and recovers RAW from JPEG, in a thread of its own.

    The layers are all the memory it has: a rendered layer carries its rendering and figures in
    its metadata, results replace the layers that were made of the same RAW before, whatever those
    are called now, and a layer that is deleted is forgotten.

    Parameters
    ----------
    napari_viewer
        Whose layers it works on; a :class:`napari.components.ViewerModel` will do.
    """

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__(napari_viewer, "widget")
        self._runner = Runner()
        self._started = 0.0
        self._run: _Run | None = None
        # The JPEG's settings were changed while something else was going on.
        self._recode = False
        self._adding = False
        self._build()
        self._connect()
        self._list_raw()
        self._follow()

    # -- what others may call ------------------------------------------------------------------

    @property
    def running(self) -> bool:
        """Whether a run is going on."""
        return self._runner.running

    @property
    def raw_layer(self) -> Layer | None:
        """The RAW layer that is picked."""
        layer: Layer | None = self.picker.value
        return layer

    def render_raw(self) -> None:
        """Render the picked RAW, encode it and recover it, in a thread."""
        layer, record = self.raw_layer, self._picked_record()
        if layer is None or record is None:
            return
        settings = self.controls.settings()
        self._start(_Run.RENDER, partial(jobs.render, record, base_name(layer), settings))

    def recover_raw(self) -> None:
        """Encode the picked RAW's rendering as the controls say, and recover it, in a thread."""
        layer, rendering = self.raw_layer, self._fact(RENDERING)
        if layer is None or rendering is None:
            return
        settings, fidelity = self.controls.settings(), self._fact(FIGURES).rgb_psnr
        work = partial(jobs.encode, rendering, base_name(layer), settings, fidelity)
        self._start(_Run.ENCODE, work)

    def recover_files(self, paths: Sequence[Path]) -> None:
        """Recover the RAW of JPEG files, in a thread."""
        work = partial(jobs.recover_files, paths, self.controls.settings())
        self._start(_Run.FILES, work)

    def cancel(self) -> None:
        """Stop what is going on; no layer changes."""
        self._runner.cancel()

    # -- parts ---------------------------------------------------------------------------------

    def _build(self) -> None:
        self.picker = ComboBox(
            label="RAW layer",
            choices=self._raw_choices,
            nullable=False,
            tooltip="the RAW to work on; follows the layer that is selected",
        )
        named(self.picker.native, "picker", self.picker.tooltip or "")
        self.controls = Controls()

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
        self.result_box = FiguresPanel()
        self.figures = self.result_box.labels

        layout = self.contents
        picker = QFormLayout()
        picker.addRow(self.picker.label, self.picker.native)
        layout.addLayout(picker)
        layout.addWidget(self.controls)
        layout.addLayout(_row(self.render_button, self.recover_button, self.cancel_button))
        layout.addWidget(self.note)
        layout.addWidget(self.stage)
        layout.addWidget(self.bar)
        layout.addWidget(self.result_box)
        layout.addLayout(_row(self.save_jpeg_button, self.save_dng_button))
        layout.addWidget(self.recover_file_button)
        layout.addStretch()

    def _connect(self) -> None:
        runner = self._runner
        runner.progressed.connect(self._on_progressed)
        runner.noticed.connect(show_warning)
        runner.produced.connect(self._on_produced)
        runner.failed.connect(self._on_failed)
        runner.finished.connect(self._on_finished)
        runner.cancelled.connect(self._on_cancelled)
        self.controls.rendering_changed.connect(self._refresh)
        self.controls.coding_changed.connect(self._on_coding_changed)
        self.picker.changed.connect(self._refresh)
        events = self._viewer.layers.events
        self.listen(events.inserted, self._on_inserted)
        self.listen(events.removed, self._list_raw)
        self.listen(events.renamed, self._list_raw)
        self.listen(self._viewer.layers.selection.events.active, self._follow)
        application = QApplication.instance()
        if application is not None:
            application.aboutToQuit.connect(runner.cancel)

    def detach(self) -> None:
        """Let go of the viewer and stop; the Qt side of this widget may be gone."""
        super().detach()
        self._runner.abandon()

    # -- layers --------------------------------------------------------------------------------

    def _raw_choices(self, _: Any) -> list[tuple[str, Layer]]:
        """List the RAW layers: one for each record, its picture rather than its mosaic."""
        chosen: list[Layer] = []
        for layer in self._viewer.layers:
            facts, record = facts_of(layer), raw_of(layer)
            if record is None or ORIGINAL in facts or facts[KIND] is Kind.JPEG:
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

    def _on_inserted(self, _: Any = None) -> None:
        self._list_raw()
        self._follow()

    def _follow(self, _: Any = None) -> None:
        """Pick the RAW that the selected layer belongs to."""
        active = self._viewer.layers.selection.active
        record = raw_of(active) if active is not None and not self._adding else None
        if record is not None:
            for _, layer in self._raw_choices(None):
                if raw_of(layer) is record:
                    self.picker.value = layer
        self._refresh()

    def _fact(self, key: str) -> Any:
        """Look up what the results of the picked RAW know; ``None`` if there are none."""
        picked = self.raw_layer
        if picked is None:
            return None
        for layer in reversed(self._viewer.layers):
            if key in facts_of(layer) and raw_of(layer) is raw_of(picked):
                return facts_of(layer)[key]
        return None

    def _result_layer(self, *kinds: Kind) -> Layer | None:
        """Find the result of one of some kinds that belongs to the picked RAW."""
        picked = self.raw_layer
        for layer in self._viewer.layers if picked is not None else ():
            if facts_of(layer).get(KIND) in kinds and raw_of(layer) is raw_of(picked):
                return layer
        return None

    def _show(self, result: jobs.Result) -> None:
        """Add the result's layers, or put them in place of those that they replace."""
        added = None
        self._adding = True
        try:
            for data, arguments, _ in result.layers:
                facts = arguments["metadata"][METADATA_KEY]
                layer = find_layer(self._viewer.layers, facts)
                if layer is None:
                    layer = added = self._viewer.add_image(data, **arguments)
                    if facts[KIND] is Kind.ERROR:
                        layer.colorbar.visible = True
                else:
                    layer.data = data
                    layer.metadata = {**layer.metadata, METADATA_KEY: facts}
        finally:
            self._adding = False
        if added is not None:
            self._viewer.layers.selection.active = added

    # -- runs ----------------------------------------------------------------------------------

    def _start(self, run: _Run, work: Work) -> None:
        self._runner.start(work)
        self._started = time.perf_counter()
        self._run = run
        self._say("Starting", busy=True)
        self._refresh()

    def _on_progressed(self, stage: str, done: int, total: int) -> None:
        if total > 1:
            self._say(f"{stage.capitalize()}: {done} of {total}")
            self.bar.setRange(0, total)
            self.bar.setValue(done)
        else:
            self._say(stage.capitalize(), busy=True)

    def _on_produced(self, result: jobs.Result | jobs.Saved | InvispError) -> None:
        match result:
            case jobs.Result():
                self._show(result)
            case jobs.Saved():
                show_info(f"saved {result.path}")
            case InvispError():
                show_error(str(result))

    def _on_failed(self, error: Exception) -> None:
        self._over("Failed")
        if isinstance(error, InvispError):
            show_error(str(error))
        else:
            notification_manager.receive_error(type(error), error, error.__traceback__)

    def _on_finished(self) -> None:
        recode = self._recode
        self._over(f"Done in {time.perf_counter() - self._started:.1f} s")
        self.bar.setValue(1)
        if recode:
            self.recover_raw()

    def _on_cancelled(self) -> None:
        self._over("Cancelled")

    def _over(self, text: str) -> None:
        self._run, self._recode = None, False
        self._say(text)
        self._refresh()

    def _on_coding_changed(self) -> None:
        """Encode again; if something else is going on that this would cancel, then after that."""
        if self.running and self._run is not _Run.ENCODE:
            self._recode = True
        else:
            self.recover_raw()

    def _recover_jpeg(self) -> None:
        path = self._selected_jpeg() or ask_for_jpeg(self)
        if path is not None:
            self.recover_files([path])

    def _selected_jpeg(self) -> Path | None:
        active = self._viewer.layers.selection.active
        return jpeg_path_of(active) if active is not None else None

    def _save_jpeg(self) -> None:
        self._save(write_jpeg_layer, ".jpg", _JPEG_FILTER, Kind.RENDERED)

    def _save_dng(self) -> None:
        self._save(write_dng_layer, ".dng", "DNG files (*.dng)", Kind.RECOVERED_MOSAIC)

    def _save(
        self,
        write: Callable[[str, Any, dict[str, Any]], list[str]],
        suffix: str,
        filters: str,
        kind: Kind,
    ) -> None:
        layer = self._result_layer(kind)
        if layer is None or self.raw_layer is None:
            return
        source = facts_of(self.raw_layer).get(SOURCE) or self.raw_layer.source.path
        folder = Path(source).parent if source else Path.cwd()
        proposal = folder / f"{base_name(self.raw_layer)}{suffix}"
        name, _ = QFileDialog.getSaveFileName(self, "Save", str(proposal), filters)
        if name:
            path = Path(name) if Path(name).suffix else Path(name + suffix)
            self._start(_Run.FILES, partial(jobs.save, write, path, layer.as_layer_data_tuple()))

    # -- looks ---------------------------------------------------------------------------------

    def _picked_record(self) -> RawRecord | None:
        layer = self.raw_layer
        return raw_of(layer) if layer is not None else None

    def _say(self, text: str, busy: bool = False) -> None:
        self.stage.setText(text)
        self.bar.setRange(0, 0 if busy else 1)
        self.bar.setValue(0)

    def _refresh(self, _: Any = None) -> None:
        """Make buttons, note and figures agree with the layers."""
        rendering: Rendering | None = self._fact(RENDERING)
        running = self.running
        self.render_button.setEnabled(self.raw_layer is not None)
        self.recover_button.setEnabled(rendering is not None)
        self.cancel_button.setEnabled(running)
        self.save_jpeg_button.setEnabled(rendering is not None and not running)
        recovered = self._result_layer(Kind.RECOVERED_MOSAIC)
        self.save_dng_button.setEnabled(recovered is not None and not running)
        jpeg = self._selected_jpeg()
        self.recover_file_button.setText(
            "Recover RAW from this JPEG" if jpeg else "Recover RAW from JPEG file…"
        )
        self._refresh_note(rendering)
        self.result_box.show_figures(self._fact(FIGURES))

    def _refresh_note(self, rendering: Rendering | None) -> None:
        settings = self.controls.settings()
        text = ""
        if self.raw_layer is None:
            text = "Open a camera RAW file to begin (File ▸ Open, or Open Sample)."
        elif rendering is not None and self._run is not _Run.RENDER:
            was = rendering.settings
            changed = [
                self.controls[name].label.lower()
                for name in ("model", "headroom")
                if getattr(was, name) != getattr(settings, name)
            ]
            if changed:
                text = f"Render again to see the new {' and '.join(changed)}."
        self.note.setText(text)
        self.note.setVisible(bool(text))


def ask_for_jpeg(parent: QWidget | None) -> Path | None:
    """Let the user choose a JPEG file; ``None`` if they do not."""
    name, _ = QFileDialog.getOpenFileName(parent, "Recover RAW from a JPEG file", "", _JPEG_FILTER)
    return Path(name) if name else None


def _row(*buttons: QPushButton) -> QHBoxLayout:
    row = QHBoxLayout()
    for each in buttons:
        each.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        row.addWidget(each)
    return row
