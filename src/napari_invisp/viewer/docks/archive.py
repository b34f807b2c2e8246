"""The dock that keeps a RAW: as a JPEG with side information, or as an exact archive."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import napari.viewer
from napari.layers import Layer
from napari.utils.notifications import show_warning
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication, QFormLayout, QGroupBox, QLabel, QVBoxLayout

from napari_invisp.errors import InvispError
from napari_invisp.evaluation.compression import SIDE_INFO as PRESETS
from napari_invisp.evaluation.compression import CompressionRow
from napari_invisp.evaluation.tables import csv_table
from napari_invisp.files import write_bytes_atomic
from napari_invisp.inspection.rate import Line
from napari_invisp.inspection.wording import decibels
from napari_invisp.outputs import check_target
from napari_invisp.pipeline import Rendering
from napari_invisp.sensor.reading import is_raw_name
from napari_invisp.settings import ArchiveSettings, ComputeSettings, RenderSettings, controls
from napari_invisp.viewer.controls import Form, named
from napari_invisp.viewer.docks.base import Dock, button, button_row, label
from napari_invisp.viewer.docks.picker import RawPicker
from napari_invisp.viewer.docks.progress import ProgressLine
from napari_invisp.viewer.docks.sizes import SizePlot, SizeTable
from napari_invisp.viewer.failures import report_failure
from napari_invisp.viewer.files.exporting import JPEG, ask, run
from napari_invisp.viewer.layers import (
    ORIGINAL_TAGS,
    PARTIAL,
    QUALITY,
    RENDERING,
    SIZES,
    SOURCE,
    SUBSAMPLING,
    base_name,
    facts_of,
    raw_of,
)
from napari_invisp.viewer.layers.family import fact_of_results
from napari_invisp.viewer.preferences import default_archive, default_settings
from napari_invisp.viewer.work.archiving import (
    QUALITIES,
    Saved,
    Sizes,
    Subject,
    compare_sizes,
    save_jpeg,
)
from napari_invisp.viewer.work.worker import Runner, Work

_NOTHING = "–"
_ROWS = {
    "file": ("File", "what was written"),
    "size": ("Size", "of the whole file"),
    "bpp": ("Bits per pixel", "bits of the file for each pixel"),
    "ratio": ("Compression", "how many times larger the packed RAW samples are"),
    "raw_psnr": ("RAW PSNR", "of the RAW that was recovered from the file, against the original"),
    "carries": ("Carries", "what it holds to bring back more of the RAW"),
}
_TABLES = {"Table (*.csv)": ".csv"}
# Of a row of buttons: their own padding would be wider than the dock.
_SLIM = "padding-left: 2px; padding-right: 2px;"


class ArchiveDock(Dock):
    """Saves the RAW that is picked as a JPEG that it comes back from, and compares other ways.

    Parameters
    ----------
    napari_viewer
        Whose layers it works on; a :class:`napari.components.ViewerModel` will do.
    """

    menu_title = "Compression and archive"
    tab_title = "Archive"

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__(napari_viewer, "archive")
        self._runner = Runner()
        # What the rows that come in are of.
        self._measured: Sizes | None = None
        self._build()
        self._connect()
        self._show_saved(None)
        self._list_raw()

    # -- what others may call ------------------------------------------------------------------

    @property
    def running(self) -> bool:
        """Whether a run is going on."""
        return self._runner.running

    @property
    def raw_layer(self) -> Layer | None:
        """The RAW layer that is picked."""
        return self.picker.layer

    @property
    def sizes(self) -> Sizes | None:
        """What was compared of the RAW that is picked; its layer keeps it."""
        raw = self.raw_layer
        return facts_of(raw).get(SIZES) if raw is not None else None

    def save(self, path: Path) -> None:
        """Write the picked RAW to a JPEG file as the controls say."""
        raw, subject = self.raw_layer, self._subject()
        if raw is None or subject is None:
            return
        try:
            check_target(path, [subject.file] if subject.file is not None else [])
        except InvispError as error:
            report_failure(error)
            return
        settings, archive = self.form.settings(), self.archive_form.settings()
        self._show_saved(None)
        self._start(partial(save_jpeg, path, subject, settings, archive))

    def compare(self) -> None:
        """Keep the file of the picked RAW in several ways, and measure each."""
        raw, path = self.raw_layer, self._file()
        if raw is None or path is None:
            return
        settings = self.form.settings()
        line = Line(settings.model, settings.headroom, settings.subsampling)
        self._measured = facts_of(raw)[SIZES] = Sizes(line)
        qualities = sorted({*QUALITIES, settings.quality})
        self._start(partial(compare_sizes, path, settings, qualities))

    def cancel(self) -> None:
        """Stop what is going on; no file is written, and rows that are there stay."""
        self._runner.cancel()

    # -- parts ---------------------------------------------------------------------------------

    def _build(self) -> None:
        self.picker = RawPicker(self._viewer, "archive.picker")
        computing = [each.name for each, _ in controls(ComputeSettings)]
        self.form = Form(RenderSettings, computing, self._begin_with())
        self.archive_form = Form(ArchiveSettings, defaults=default_archive())
        self.presets = {
            size: button(
                f"archive.preset.{size}",
                f"{size // 1024} KB" if size else "none",
                partial(self._preset, size),
                f"{size:,} bytes of side information",
            )
            for size in (0, *PRESETS)
        }
        for each in self.presets.values():
            each.setCheckable(True)
            each.setStyleSheet(_SLIM)
        self.save_button = button(
            "archive.save",
            "Save JPEG…",
            self._ask,
            "write the RAW to a JPEG with all that is chosen above, and recover it from that",
        )
        self.compare_button = button(
            "archive.compare",
            "Compare sizes",
            self.compare,
            "measure what this RAW takes as DNG, JPEG XL, JPEG with capsule, and more",
        )
        self.cancel_button = button("archive.cancel", "Cancel", self.cancel, "stop the run")
        self.note = label("archive.note", "")
        self.note.setWordWrap(True)
        self.progress = ProgressLine("archive")
        self.saved_box, self.saved = self._saved_box()
        self.sizes_note = label("archive.sizes_note", "")
        self.sizes_note.setWordWrap(True)
        self.plot, self.table = SizePlot(), SizeTable()
        self.copy_button = button(
            "archive.copy", "Copy as CSV", self._copy, "put the table on the clipboard, as CSV"
        )
        self.csv_button = button(
            "archive.csv", "Save as CSV…", self._save_csv, "save the table with all figures"
        )

        picker = QFormLayout()
        picker.addRow(self.picker.label, self.picker.native)
        layout = self.contents
        layout.addLayout(picker)
        layout.addWidget(_boxed("JPEG", self.form))
        carried = _boxed("What it carries besides", self.archive_form)
        box = carried.layout()
        assert isinstance(box, QVBoxLayout)
        box.insertLayout(0, button_row(*self.presets.values()))
        layout.addWidget(carried)
        layout.addLayout(button_row(self.save_button, self.compare_button, self.cancel_button))
        for widget in (self.note, self.progress, self.saved_box, self.sizes_note, self.plot):
            layout.addWidget(widget)
        layout.addWidget(self.table)
        layout.addLayout(button_row(self.copy_button, self.csv_button))
        layout.addStretch()

    @staticmethod
    def _saved_box() -> tuple[QGroupBox, dict[str, QLabel]]:
        box = QGroupBox("Saved")
        named(box, "archive.group.Saved")
        rows = QFormLayout(box)
        values = {}
        for name, (title, help_text) in _ROWS.items():
            value = values[name] = label(f"archive.{name}", _NOTHING, help_text)
            value.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            value.setWordWrap(True)
            rows.addRow(title, value)
        return box, values

    def _connect(self) -> None:
        runner = self._runner
        runner.progressed.connect(self.progress.progress)
        runner.noticed.connect(show_warning)
        runner.produced.connect(self._on_produced)
        runner.failed.connect(self._on_failed)
        runner.finished.connect(partial(self._end, "Done"))
        runner.cancelled.connect(partial(self._end, "Cancelled"))
        for form in (self.form, self.archive_form):
            form.changed.connect(self._refresh)
        self.picker.changed.connect(self._on_picked)
        events = self._viewer.layers.events
        self.listen(events.inserted, self._on_inserted)
        self.listen(events.removed, self._list_raw)
        self.listen(events.renamed, self._list_raw)
        self.listen(events, self._on_any)
        self.listen(self._viewer.layers.selection.events.active, self._follow)
        application = QApplication.instance()
        if application is not None:
            application.aboutToQuit.connect(runner.abandon)

    def detach(self) -> None:
        """Let go of the viewer and stop; the Qt side of this widget may be gone."""
        super().detach()
        self._runner.abandon()

    # -- layers --------------------------------------------------------------------------------

    def _begin_with(self) -> RenderSettings:
        """Return the settings of what the picked RAW was rendered with, or those preferred."""
        preferred, rendering = default_settings(), self._fact(RENDERING)
        if rendering is None:
            return preferred
        return replace(
            preferred,
            model=rendering.settings.model,
            headroom=rendering.settings.headroom,
            quality=self._fact(QUALITY) or preferred.quality,
            subsampling=self._fact(SUBSAMPLING) or preferred.subsampling,
        )

    def _fact(self, key: str) -> Any:
        raw = self.raw_layer
        return fact_of_results(self._viewer.layers, raw, key) if raw is not None else None

    def _file(self) -> Path | None:
        """Return the RAW file of the picked layer, if it is still there."""
        raw = self.raw_layer
        source = facts_of(raw).get(SOURCE) if raw is not None else None
        path = Path(source) if source else None
        return path if path is not None and is_raw_name(path) and path.is_file() else None

    def _rendering(self) -> Rendering | None:
        """Return what the picked RAW was rendered to, if that is what the controls ask for."""
        rendering: Rendering | None = self._fact(RENDERING)
        wanted = self.form.settings()
        names = ("model", "headroom")
        if rendering is None or any(
            getattr(rendering.settings, name) != getattr(wanted, name) for name in names
        ):
            return None
        return rendering

    def _subject(self) -> Subject | None:
        raw = self.raw_layer
        record = raw_of(raw) if raw is not None else None
        if raw is None or record is None:
            return None
        tags = facts_of(raw).get(ORIGINAL_TAGS)
        return Subject(record, self._rendering(), tags, self._file())

    def _list_raw(self, _: Any = None) -> None:
        self.picker.reset_choices()
        self._show_sizes()
        self._refresh()

    def _on_inserted(self, _: Any) -> None:
        self._list_raw()
        self._follow()

    def _follow(self, _: Any = None) -> None:
        self.picker.follow()
        self._refresh()

    def _on_any(self, event: Any) -> None:
        """Hear of what layers say of themselves, which napari repeats in the list's name."""
        if event.type == "metadata":
            self._refresh()

    def _on_picked(self, _: Any) -> None:
        self._show_sizes()
        self._refresh()

    # -- runs ----------------------------------------------------------------------------------

    def _ask(self) -> None:
        raw = self.raw_layer
        if raw is None:
            return
        filters = {JPEG.filter: JPEG.suffix}
        path, _ = ask("Save JPEG", self._viewer, raw, base_name(raw), filters)
        if path is not None:
            self.save(path)

    def _start(self, work: Work) -> None:
        self.progress.say("Starting")
        self._runner.start(work)
        self._show_sizes()
        self._refresh()

    def _on_produced(self, result: Saved | CompressionRow) -> None:
        if isinstance(result, Saved):
            self._show_saved(result)
        elif self._measured is not None:
            self._measured.rows.append(result)
            self._show_sizes()

    def _on_failed(self, error: Exception) -> None:
        self._end("Failed")
        report_failure(error)

    def _end(self, text: str) -> None:
        self.progress.say(text, done=1 if text == "Done" else 0)
        self._refresh()

    # -- tables --------------------------------------------------------------------------------

    def _csv(self) -> str:
        return csv_table(self.sizes.rows, averaged=False) if self.sizes is not None else ""

    def _copy(self) -> None:
        clipboard = QApplication.clipboard()
        if clipboard is not None:
            clipboard.setText(self._csv())

    def _save_csv(self) -> None:
        raw, table = self.raw_layer, self._csv().encode()
        if raw is not None:
            path, _ = ask("Save table", self._viewer, raw, f"{base_name(raw)} sizes", _TABLES)
            if path is not None:
                run(path, lambda target: write_bytes_atomic(target, table))

    # -- looks ---------------------------------------------------------------------------------

    def _preset(self, size: int) -> None:
        self.archive_form["side_info"].value = size
        self._refresh()

    def _show_saved(self, saved: Saved | None) -> None:
        texts = dict.fromkeys(_ROWS, _NOTHING) if saved is None else _texts(saved)
        for name, value in self.saved.items():
            value.setText(texts[name])
        self.saved["file"].setToolTip(str(saved.path) if saved is not None else "")
        self.saved_box.setVisible(saved is not None)

    def _show_sizes(self) -> None:
        sizes = self.sizes
        rows = sizes.rows if sizes is not None else []
        self.plot.show_rows(rows)
        self.table.show_rows(rows)
        self.sizes_note.setText(
            f"Ways to keep this RAW; JPEG files with {sizes.line}." if sizes is not None else ""
        )
        for widget in (self.sizes_note, self.plot, self.table):
            widget.setVisible(sizes is not None)
        for each in (self.copy_button, self.csv_button):
            each.setVisible(sizes is not None)
            each.setEnabled(bool(rows))

    def _refresh(self, _: Any = None) -> None:
        """Make buttons and note agree with layers and controls."""
        raw, running, archive = self.raw_layer, self.running, self.archive_form.settings()
        whole = raw is not None and not facts_of(raw).get(PARTIAL)
        self.save_button.setEnabled(whole and not running)
        self.compare_button.setEnabled(whole and not running and self._file() is not None)
        self.cancel_button.setEnabled(running)
        self.archive_form.enable("side_info", not archive.exact)
        for size, each in self.presets.items():
            each.setEnabled(not archive.exact)
            each.setChecked(size == archive.side_info and not archive.exact)
        text = self._say(archive)
        self.note.setText(text)
        self.note.setVisible(bool(text))

    def _say(self, archive: ArchiveSettings) -> str:
        """Say what is to know before a button is pressed."""
        raw = self.raw_layer
        if raw is None:
            return "Open a camera RAW file to begin (File ▸ Open, or Open Sample)."
        if facts_of(raw).get(PARTIAL):
            return "This RAW is not recovered yet."
        if self.running:
            return ""
        told = []
        if self._rendering() is None:
            told.append("The RAW is rendered first, which takes longer.")
        if self._file() is None:
            if archive.exact and ORIGINAL_TAGS not in facts_of(raw):
                told.append(
                    "The archive will hold every sample, but not the tags of the RAW's file, "
                    "which is not there any more."
                )
            told.append("Sizes can be compared only where the RAW's file is there.")
        return " ".join(told)


def _boxed(title: str, form: Form) -> QGroupBox:
    box = QGroupBox(title)
    named(box, f"archive.group.{title}")
    layout = QVBoxLayout(box)
    layout.addWidget(form)
    return box


def _texts(saved: Saved) -> dict[str, str]:
    """Put into words what was saved."""
    psnr = decibels(saved.raw_psnr)
    if saved.exact:
        carries = "exact archive" + (" with the tags of the RAW's file" if saved.tags else "")
    elif saved.side_info:
        carries = f"{saved.side_info:,} bytes of side information"
    else:
        carries = "nothing more"
    return {
        "file": saved.path.name,
        "size": f"{saved.size:,} bytes",
        "bpp": f"{saved.bpp:.2f}",
        "ratio": f"{saved.compression_ratio:.1f} : 1",
        "raw_psnr": f"{psnr}: every sample comes back" if saved.identical else psnr,
        "carries": carries,
    }
