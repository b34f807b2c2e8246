"""The dock that shows histograms and statistics of the untouched mosaic, channel by channel."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from html import escape
from typing import Any

import napari.viewer
from napari.layers import Layer, Shapes
from qtpy.QtCore import Qt, QTimer
from qtpy.QtGui import QGuiApplication, QShowEvent
from qtpy.QtWidgets import QCheckBox, QHBoxLayout

from napari_invisp.inspection.regions import Region
from napari_invisp.inspection.statistics import Survey, as_csv, survey
from napari_invisp.sensor.record import RawRecord
from napari_invisp.settings import AXES, REGIONS, HistogramSettings
from napari_invisp.viewer.controls import Form, named
from napari_invisp.viewer.docks.base import Dock, button, label
from napari_invisp.viewer.docks.histogram_plots import HistogramPlots
from napari_invisp.viewer.docks.statistics_table import saturation_note, table
from napari_invisp.viewer.failures import report_failure
from napari_invisp.viewer.layers import base_name
from napari_invisp.viewer.layers.clipping import LEGEND, overlay_of, set_clipping
from napari_invisp.viewer.layers.family import Family, family_of
from napari_invisp.viewer.layers.shapes import selected_region, shapes_layer
from napari_invisp.viewer.layers.view import part_in_view
from napari_invisp.viewer.work.worker import Runner

# How long to wait for more of the same: what the user does, and pixels that a run paints.
_PAUSE_MS = 100
_PAINTING_MS = 500

# The setting that says how fine an axis is.
_BINS = dict(zip(AXES, ("bins_per_stop", "bin_width"), strict=True))

_NO_RAW = "Open a camera RAW file to see its histogram (File ▸ Open, or Open Sample)."
_NO_SHAPE = (
    "Add a layer of shapes, draw a rectangle, an ellipse or a polygon on it, and select that shape."
)


@dataclass(frozen=True, eq=False)
class _Question:
    """What is to be counted."""

    original: RawRecord | None
    recovered: RawRecord | None
    region: Region

    def same_as(self, other: _Question | None) -> bool:
        return (
            other is not None
            and self.original is other.original
            and self.recovered is other.recovered
            and self.region == other.region
        )

    def answer(self, _: object) -> Iterator[Survey]:
        yield survey(self.original, self.recovered, self.region)


class HistogramDock(Dock):
    """Histograms and statistics of a RAW, of what was recovered of it, and how they differ.

    The RAW is the one that the selected layer belongs to. Counting is done beside the window, and
    again whenever the layers, their pixels, the view or the shapes change.

    Parameters
    ----------
    napari_viewer
        Whose layers it looks at; a :class:`napari.components.ViewerModel` will do.
    """

    menu_title = "RAW histogram"
    tab_title = "Histogram"

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__(napari_viewer, "histogram")
        self._runner = Runner(alone=False)
        self._raw: RawRecord | None = None
        self._asked: _Question | None = None
        self._survey: Survey | None = None
        self._followed: list[tuple[Any, Callable[..., None]]] = []
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._look)
        self._build()
        self._connect()
        self._redraw()
        self._look()

    @property
    def survey(self) -> Survey | None:
        """What is shown; ``None`` if there is nothing to count."""
        return self._survey

    def copy(self) -> None:
        """Put the statistics into the clipboard, as cells that a spreadsheet takes."""
        clipboard = QGuiApplication.clipboard()
        if self._survey is not None and clipboard is not None:
            clipboard.setText(as_csv(self._survey.statistics, "\t"))

    def detach(self) -> None:
        """Let go of the viewer and stop; the Qt side of this widget may be gone."""
        super().detach()
        self._follow([])
        self._runner.abandon()

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802
        """Look again: nothing is counted while the dock is hidden."""
        super().showEvent(event)
        self._request()

    # -- parts ---------------------------------------------------------------------------------

    def _build(self) -> None:
        self.form = Form(HistogramSettings)
        named(self.form, "histogram.form")
        self.title = label("histogram.title", "")
        self.title.setWordWrap(True)
        self.note = label("histogram.note", "")
        self.note.setWordWrap(True)
        self.plots = HistogramPlots()
        self.table = label(
            "histogram.table",
            "",
            "sensor counts (DN) before white balance; σ is the standard deviation",
        )
        self.table.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.saturation = label("histogram.saturation", "")
        self.saturation.setWordWrap(True)
        self.saturation.setTextFormat(Qt.TextFormat.PlainText)
        self.saturation.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.copy_button = button(
            "histogram.copy",
            "Copy statistics",
            self.copy,
            "copy all figures in full precision, ready to be pasted into a spreadsheet",
        )
        self.clipping = {name: QCheckBox(f"{name} clipping") for name in ("Original", "Recovered")}
        boxes = QHBoxLayout()
        for name, box in self.clipping.items():
            named(box, f"histogram.clipping.{name.lower()}", LEGEND)
            box.clicked.connect(partial(self._clip, name))
            boxes.addWidget(box)
        self.legend = label("histogram.legend", LEGEND)
        self.legend.setWordWrap(True)

        layout = self.contents
        layout.addWidget(self.form)
        layout.addLayout(boxes)
        for widget in (self.legend, self.title, self.note, self.plots, self.table, self.saturation):
            layout.addWidget(widget)
        layout.addWidget(self.copy_button)
        layout.addStretch()

    def _connect(self) -> None:
        self._runner.produced.connect(self._show)
        self._runner.failed.connect(report_failure)
        for name in ("axis", "counts", *_BINS.values()):
            self.form[name].changed.connect(self._redraw)
        self.form["region"].changed.connect(self._request)
        viewer = self._viewer
        for event in (
            viewer.layers.events.inserted,
            viewer.layers.events.removed,
            viewer.layers.events.renamed,
            viewer.layers.selection.events.active,
            viewer.scene.camera.events,
            viewer.canvas.events.size,
        ):
            self.listen(event, self._request)

    # -- what is to be counted -----------------------------------------------------------------

    def _request(self, *_: Any) -> None:
        """Look at the layers soon, once for all that happens until then."""
        if not self._timer.isActive() or self._timer.remainingTime() > _PAUSE_MS:
            self._timer.start(_PAUSE_MS)

    def _on_pixels(self, _: Any = None) -> None:
        self._asked = None
        if not self._timer.isActive():
            self._timer.start(_PAINTING_MS)

    def _look(self) -> None:
        """Find out what is to be counted now; if that is something new, do so."""
        family = family_of(self._viewer.layers, self._viewer.layers.selection.active, self._raw)
        shapes = shapes_layer(self._viewer.layers, self._viewer.layers.selection.active)
        self._follow_layers(family, shapes)
        self._refresh_clipping(family)
        if family is not None and family.raw is not self._raw:
            self.plots.see_all()
        self._raw = family.raw if family is not None else None
        region = self._region(family, shapes) if family is not None else None
        if family is None or region is None:
            self._survey = self._asked = None
            self._runner.abandon()
            self._refresh(family)
            return
        question = _Question(family.original, family.recovered, region)
        if not self.isVisible() or question.same_as(self._asked):
            return
        if self._runner.running:
            self._timer.start(_PAUSE_MS)
        else:
            self._asked = question
            self._runner.start(question.answer)

    def _region(self, family: Family, shapes: Shapes | None) -> Region | None:
        active = self._viewer.layers.selection.active
        shown = [layer for layer in family.members if layer.visible]
        layer = active if active in family.members else (*shown, *family.members)[0]
        size = family.raw.mosaic.shape
        wanted = self.form["region"].value
        if wanted == REGIONS[2]:
            return selected_region(shapes, layer, size)
        if wanted == REGIONS[1]:
            rows, columns = part_in_view(self._viewer, layer)
            name = (
                f"rows {rows.start} to {rows.stop - 1}, columns {columns.start} to "
                f"{columns.stop - 1}"
            )
            return Region(name, rows, columns)
        return Region.frame(size)

    def _follow_layers(self, family: Family | None, shapes: Shapes | None) -> None:
        wanted: list[tuple[Any, Callable[..., None]]] = []
        recovered = family.recovered_layer if family is not None else None
        if recovered is not None:
            wanted.append((recovered.events.data, self._on_pixels))
        for layer in (each for each in self._viewer.layers if isinstance(each, Shapes)):
            wanted.append((layer.events.data, self._request))
            wanted.append((layer.selected_data.events.items_changed, self._request))
        for source in self._sources(family).values():
            overlay = overlay_of(source)
            if overlay is not None and overlay.layer is not None:
                wanted.append((overlay.layer.events.visible, self._request))
        self._follow(wanted)

    def _follow(self, wanted: list[tuple[Any, Callable[..., None]]]) -> None:
        for event, slot in self._followed:
            event.disconnect(slot)
        for event, slot in wanted:
            event.connect(slot)
        self._followed = wanted

    # -- what is shown -------------------------------------------------------------------------

    def _show(self, found: Survey) -> None:
        self._survey = found
        self._refresh(family_of(self._viewer.layers, None, self._raw))

    def _redraw(self, _: Any = None) -> None:
        for axis, name in _BINS.items():
            self.form[name].visible = axis == self.form["axis"].value
        self.plots.see_all()
        if self._survey is not None:
            self.plots.show_survey(self._survey, self.form.settings())

    def _refresh(self, family: Family | None) -> None:
        """Make all parts agree with what was counted."""
        found = self._survey
        for widget in (self.title, self.plots, self.table, self.saturation, self.copy_button):
            widget.setVisible(found is not None)
        self.note.setText(self._note(family))
        self.note.setVisible(bool(self.note.text()))
        if found is None or family is None:
            return
        name = base_name(family.original_layer or family.members[0])
        sites = sum(channel.sites for channel in found.statistics[0].channels)
        self.title.setText(f"<b>{escape(name)}</b>, {escape(found.region.name)}: {sites:,} sites")
        self.plots.show_survey(found, self.form.settings())
        self.table.setText(table(found.statistics))
        self.saturation.setText(saturation_note(found.statistics[0], found.levels))
        self.saturation.setVisible(bool(self.saturation.text()))

    def _note(self, family: Family | None) -> str:
        if family is None:
            return _NO_RAW
        if self._survey is None:
            return _NO_SHAPE
        if not any(channel.sites for channel in self._survey.statistics[0].channels):
            return "No site of the frame lies within: move the shape onto the picture."
        if family.partial:
            return "The recovered RAW is still being worked on; these figures will change."
        if family.original is None:
            return "Open the original RAW and render it to see how the recovered one differs."
        return ""

    # -- clipping ------------------------------------------------------------------------------

    def _sources(self, family: Family | None) -> dict[str, Layer | None]:
        return {
            "Original": family.original_layer if family is not None else None,
            "Recovered": family.recovered_layer if family is not None else None,
        }

    def _clip(self, name: str, on: bool) -> None:
        family = family_of(self._viewer.layers, self._viewer.layers.selection.active, self._raw)
        source = self._sources(family)[name]
        if family is not None and source is not None:
            set_clipping(self._viewer, source, family.raw, on)

    def _refresh_clipping(self, family: Family | None) -> None:
        shown = False
        for name, source in self._sources(family).items():
            box = self.clipping[name]
            box.setEnabled(source is not None)
            box.setChecked((overlay := overlay_of(source)) is not None and overlay.on)
            shown = shown or box.isChecked()
        self.legend.setVisible(shown)
