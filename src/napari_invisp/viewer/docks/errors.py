"""The dock widget of error maps: where two layers differ, by many measures."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import napari.viewer
from magicgui.widgets import ComboBox
from napari.layers import Image, Layer
from napari.utils.notifications import show_error
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QFormLayout,
    QGridLayout,
    QGroupBox,
    QHBoxLayout,
)

from napari_invisp.errors import InvispError
from napari_invisp.inspection.maps import Frame, Summary, title_of, unit_of
from napari_invisp.inspection.wording import decibels
from napari_invisp.settings import ErrorMapSettings
from napari_invisp.viewer.controls import Form, named
from napari_invisp.viewer.docks.base import Dock, button, label
from napari_invisp.viewer.failures import report_failure
from napari_invisp.viewer.layers import KIND, MAP, PARTIAL, LayerData, facts_of, raw_of
from napari_invisp.viewer.layers.errors import (
    comparable,
    default_pair,
    dress,
    find_map,
    find_marks,
    frames_of,
    map_layer,
    marks_layer,
    pair_of,
    stretch,
)
from napari_invisp.viewer.layers.view import part_in_view
from napari_invisp.viewer.work.adding import Adder
from napari_invisp.viewer.work.maps import Job, Painted, read_frame, summed_up
from napari_invisp.viewer.work.worker import Runner

# How long settings and pixels have to rest before the map is painted again, and the view before
# it is measured, in milliseconds.
_REST_MS, _VIEW_REST_MS = 120, 250

_NOTHING = "–"
_FIGURES = {
    "mean": ("Mean", "mean of the map; of E, the bias"),
    "worst": ("Farthest off", "the value of the map that is farthest from no error"),
    "rms": ("RMS", "root mean square error"),
    "above": ("", "share of the sites, or pixels, that are off by more than the threshold"),
    "raw_psnr": ("RAW PSNR", "white-balanced, bilinear, gamma 2.2; as napari-invisp compare"),
    "raw_psnr_linear": ("Linear PSNR", "of the mosaics; as napari-invisp compare"),
    "mean_abs_error": ("Mean |error|", "of the mosaics; as napari-invisp compare"),
    "max_abs_error": ("Largest |error|", "of the mosaics; as napari-invisp compare"),
    "rgb_psnr": ("RGB PSNR", "of 8-bit pictures, over all channels"),
}
_COLUMNS = {"frame": "Frame", "view": "In view"}


class ErrorMapsDock(Dock):
    """Shows where a candidate differs from a reference, and follows both.

    The pair is a RAW and what was recovered of it, of the RAW that is worked on, until others are
    picked. The map is a layer that is found again by what it knows, under whatever name.

    Parameters
    ----------
    napari_viewer
        Whose layers it compares; a :class:`napari.components.ViewerModel` will do.
    """

    menu_title = "Error maps"
    tab_title = "Errors"

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__(napari_viewer, "errors")
        self._painter, self._measurer, self._opener = (Runner(alone=False) for _ in range(3))
        self._adder = Adder(self._viewer, self.window_shown)
        self._job: Job | None = None
        # The map is to be added, or put on top, as soon as there is something to see.
        self._asked = False
        self._by_hand = False
        self._pair: tuple[Image, Image] | None = None
        self._watched: list[tuple[Any, Any]] = []
        self._open = True
        self._build()
        self._connect()
        self._list()

    # -- what others may call ------------------------------------------------------------------

    @property
    def pair(self) -> tuple[Image, Image] | None:
        """Reference and candidate; ``None`` if they are not two layers."""
        first, second = self.reference.value, self.candidate.value
        return None if first is None or second is None or first is second else (first, second)

    @property
    def map_layer(self) -> Image | None:
        """The map of the pair; ``None`` if there is none yet."""
        return find_map(self._viewer.layers, *self.pair) if self.pair is not None else None

    @property
    def running(self) -> bool:
        """Whether something is being painted, measured or opened, or about to be."""
        timers = self._paint_timer.isActive() or self._view_timer.isActive()
        return (
            timers
            or self._adder.busy
            or any(runner.running for runner in (self._painter, self._measurer, self._opener))
        )

    def pick(self, reference: Image, candidate: Image) -> None:
        """Compare these two layers from now on."""
        self._by_hand = True
        self._fill(reference, candidate)

    def show_map(self) -> None:
        """Paint the map of the pair and put it on top."""
        self._asked = True
        self._paint()

    def open_ground_truth(self, path: Path) -> None:
        """Open a RAW or a picture, in a thread, and pick it as the reference."""
        self._opener.start(partial(read_frame, path))
        self.note.setText(f"Opening {path.name}…")

    # -- parts ---------------------------------------------------------------------------------

    def _build(self) -> None:
        self.reference = self._picker("Reference", "the layer that is right")
        self.candidate = self._picker("Candidate", "the layer whose errors are shown")
        self.open_button = button(
            "errors.open",
            "Open ground truth…",
            self._ask_for_ground_truth,
            "open a RAW or a picture from elsewhere as the reference",
        )
        self.form = Form(ErrorMapSettings)
        named(self.form, "errors.form")
        self.show_button = button(
            "errors.show", "Show map", self.show_map, "make the error map, and put it on top"
        )
        self.reset_button = button(
            "errors.reset", "Reset", self.form.reset, "put all settings back to their defaults"
        )
        self.same_scale = QCheckBox("Same scale for all maps")
        named(
            self.same_scale,
            "errors.same_scale",
            "give the colour limits of this map to all maps of the same metric and unit",
        )
        self.note = label("errors.note", "")
        self.note.setWordWrap(True)
        self.scale = label("errors.scale", "", "what the colours of the map, and its bar, span")
        self.scale.setWordWrap(True)

        pickers = QFormLayout()
        for picker in (self.reference, self.candidate):
            pickers.addRow(picker.label, picker.native)
        buttons = QHBoxLayout()
        buttons.addWidget(self.show_button)
        buttons.addWidget(self.reset_button)
        layout = self.contents
        layout.addLayout(pickers)
        layout.addWidget(self.open_button)
        layout.addWidget(self.form)
        layout.addWidget(self.same_scale)
        layout.addLayout(buttons)
        layout.addWidget(self.note)
        layout.addWidget(self.scale)
        layout.addWidget(self._figures_box())
        layout.addStretch()

        self._paint_timer, self._view_timer = QTimer(self), QTimer(self)
        for name, timer, rest in (
            ("paint", self._paint_timer, _REST_MS),
            ("view", self._view_timer, _VIEW_REST_MS),
        ):
            timer.setObjectName(f"napari-invisp.errors.{name}_timer")
            timer.setSingleShot(True)
            timer.setInterval(rest)
        self._enable()

    def _picker(self, title: str, help_text: str) -> ComboBox:
        picker = ComboBox(label=title, choices=self._choices, nullable=False, tooltip=help_text)
        named(picker.native, f"errors.{title.lower()}", help_text)
        # Names may be longer than the dock is wide.
        picker.native.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        picker.native.setMinimumContentsLength(12)
        return picker

    def _figures_box(self) -> QGroupBox:
        box = QGroupBox("Figures")
        named(box, "errors.group.Figures")
        table = QGridLayout(box)
        self.figures = {}
        self._titles = {}
        for column, (where, title) in enumerate(_COLUMNS.items(), start=1):
            table.addWidget(label(f"errors.heading.{where}", title), 0, column)
        for row, (name, (title, help_text)) in enumerate(_FIGURES.items(), start=1):
            self._titles[name] = label(f"errors.title.{name}", title, help_text)
            table.addWidget(self._titles[name], row, 0)
            for column, where in enumerate(_COLUMNS, start=1):
                figure = label(f"errors.{name}.{where}", _NOTHING, help_text)
                figure.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
                table.addWidget(figure, row, column)
                self.figures[name, where] = figure
        return box

    def _connect(self) -> None:
        self.reference.changed.connect(self._on_picked)
        self.candidate.changed.connect(self._on_picked)
        self.form["limits"].changed.connect(self._on_limits)
        self.form.changed.connect(self._on_settings)
        self.same_scale.toggled.connect(self._paint_timer.start)
        self._paint_timer.timeout.connect(self._paint)
        self._view_timer.timeout.connect(self._measure)
        self._painter.produced.connect(self._on_painted)
        self._measurer.produced.connect(partial(self._show_figures, "view"))
        self._opener.produced.connect(self._on_opened)
        self._opener.finished.connect(self._refresh)
        for runner in (self._painter, self._measurer, self._opener):
            runner.failed.connect(self._on_failed)
        events = self._viewer.layers.events
        self.listen(events.inserted, self._list)
        self.listen(events.removed, self._list)
        self.listen(events.renamed, self._list)
        self.listen(self._viewer.layers.selection.events.active, self._follow)
        camera = self._viewer.scene.camera.events
        self.listen(camera.center, self._on_moved)
        self.listen(camera.zoom, self._on_moved)

    def detach(self) -> None:
        """Let go of the viewer and stop; the Qt side of this widget may be gone."""
        super().detach()
        self._open = False
        self._adder.abandon()
        self._watch()
        for runner in (self._painter, self._measurer, self._opener):
            runner.abandon()

    # -- layers --------------------------------------------------------------------------------

    def _choices(self, _: Any) -> list[tuple[str, Layer]]:
        return [(layer.name, layer) for layer in reversed(comparable(self._viewer.layers))]

    def _list(self, _: Any = None) -> None:
        """Make the pickers agree with the layers."""
        picked = (self.reference.value, self.candidate.value)
        if not self._by_hand or any(each not in self._viewer.layers for each in picked):
            self._by_hand = False
            picked = self._proposal()
        self._fill(*picked)

    def _follow(self, _: Any = None) -> None:
        """Turn to the RAW of the layer that is selected, unless a pair was picked by hand."""
        active = self._viewer.layers.selection.active
        if not self._by_hand and active is not None and raw_of(active) is not None:
            self._list()

    def _proposal(self) -> tuple[Image | None, Image | None]:
        layers = self._viewer.layers
        active = layers.selection.active
        record = raw_of(active) if active is not None else None
        found = default_pair(layers, record) or default_pair(layers, None)
        if found is None:
            first = next(iter(comparable(layers)), None)
            return first, first
        return found

    def _fill(self, reference: Layer | None, candidate: Layer | None) -> None:
        for picker, layer in ((self.reference, reference), (self.candidate, candidate)):
            with picker.changed.blocked():
                picker.reset_choices()
                if layer is not None and picker.value is not layer:
                    picker.value = layer
        if self.pair != self._pair:
            self._on_pair()
        else:
            self._refresh()

    def _on_picked(self, _: Any = None) -> None:
        self._by_hand = True
        if self.pair != self._pair:
            self._on_pair()

    def _on_pair(self) -> None:
        """Turn to another pair: to its map, if it has one."""
        self._pair = self.pair
        self._asked = False
        for runner in (self._painter, self._measurer):
            runner.abandon()
        self._clear_figures()
        layer = self.map_layer
        if layer is not None:
            self._load(facts_of(layer)[MAP])
            self._paint_timer.start()
        self._watch()
        self._refresh()

    def _watch(self) -> None:
        """Hear of new pixels of the pair, and of other limits of its map; of nothing else."""
        for event, slot in self._watched:
            event.disconnect(slot)
        self._watched = []
        if not self._open or self._pair is None:
            return
        self._watched = [(layer.events.data, self._on_pixels) for layer in self._pair]
        layer = self.map_layer
        if layer is not None:
            self._watched.append((layer.events.contrast_limits, self._refresh))
        for event, slot in self._watched:
            event.connect(slot)

    def _on_pixels(self, _: Any = None) -> None:
        if self.map_layer is not None:
            self._paint_timer.start()

    def _on_moved(self, _: Any = None) -> None:
        if self.map_layer is not None:
            self._view_timer.start()

    # -- settings ------------------------------------------------------------------------------

    def _load(self, settings: ErrorMapSettings) -> None:
        """Show settings without painting by them."""
        self.form.load(settings)
        self._enable()

    def _on_limits(self, limits: str) -> None:
        """Let fixed limits begin with what is shown."""
        layer = self.map_layer
        if limits == "fixed" and layer is not None:
            low, high = layer.contrast_limits
            ssim = facts_of(layer)[MAP].metric == "SSIM"
            self.form["limit"].value = max(0.001, 1 - low if ssim else high)

    def _on_settings(self) -> None:
        self._enable()
        self._refresh()
        if self.map_layer is not None:
            self._paint_timer.start()

    def _enable(self) -> None:
        settings = self.form.settings()
        self.form.enable("unit", settings.metric in ("E", "AE", "SE"))
        self.form.enable("limit", settings.limits == "fixed")
        self.form.enable("percentile", settings.limits == "percentile")
        self._titles["above"].setText(f"Beyond {settings.threshold:g} DN")

    # -- runs ----------------------------------------------------------------------------------

    def _frames(self) -> tuple[Frame, Frame] | None:
        """Return what is compared; ``None`` if that cannot be, which the note says."""
        try:
            return frames_of(*self.pair, self.form.settings()) if self.pair is not None else None
        except InvispError:
            return None

    def _paint(self) -> None:
        """Paint the map by the present settings and pixels, what is looked at first."""
        frames, layer, pair = self._frames(), self.map_layer, self.pair
        self._refresh()
        if not self._open or frames is None or pair is None or not (self._asked or layer):
            self._painter.abandon()
            self._measurer.abandon()
            return
        settings = self.form.settings()
        marks = find_marks(self._viewer.layers, pair_of(*pair))
        partial_ = any(facts_of(each).get(PARTIAL) for each in pair)
        self._job = Job(
            *frames,
            settings,
            part_in_view(self._viewer, pair[0]),
            _levels(layer),
            _levels(marks),
            anew=layer is None or _measures(facts_of(layer)[MAP]) != _measures(settings),
            view_only=partial_,
        )
        self._painter.start(self._job.run)
        self._measure()

    def _measure(self) -> None:
        """Sum up what is in view, unless that is the whole frame, which is done anyway."""
        frames, pair = self._frames(), self.pair
        if not self._open or frames is None or pair is None or self.map_layer is None:
            return
        part = part_in_view(self._viewer, pair[0])
        if _is_whole(part, pair[0]) and not any(facts_of(each).get(PARTIAL) for each in pair):
            self._measurer.abandon()
            for name in _FIGURES:
                self.figures[name, "view"].setText(self.figures[name, "frame"].text())
        else:
            settings = self.form.settings()
            self._measurer.start(lambda _: summed_up(*frames, settings, part))

    def _on_painted(self, result: Painted | Summary) -> None:
        if isinstance(result, Summary):
            self._show_figures("frame", result)
            first = self.pair[0] if self.pair is not None else None
            if first is not None and _is_whole(part_in_view(self._viewer, first), first):
                self._show_figures("view", result)
            return
        pair, job, layer = self.pair, self._job, self.map_layer
        if pair is None or job is None:
            return
        if layer is None and not self._asked:  # deleted meanwhile
            self._painter.abandon()
            return
        if layer is None:
            self._add_map(pair, job.settings, result)
            return
        _show(layer, result.levels, result.done)
        before = facts_of(layer)[MAP]
        if before != job.settings:
            dress(layer, job.settings, result.limits)
        elif job.settings.limits == "percentile":
            stretch(layer, result.limits)
        if self.same_scale.isChecked():
            self._share(job.settings, result.limits)
        if self._asked:
            self._put_on_top(layer)
        self._mark(pair, result, before.marked != job.settings.marked)
        self._asked = False
        self._refresh()

    def _add_map(
        self, pair: tuple[Image, Image], settings: ErrorMapSettings, result: Painted
    ) -> None:
        """Add the map, then in steps of their own, since napari takes long, scale and marks."""
        layer = self._add(map_layer(*pair, settings, result.levels, result.limits))
        self._asked = False
        self._watch()
        self._refresh()

        def mark() -> None:
            if self.map_layer is layer:
                self._mark(pair, result, toggled=True)

        def share() -> None:
            if self.same_scale.isChecked():
                self._share(settings, result.limits)

        self._adder.then(partial(self._adder.explain, layer), mark, share, self._measure)

    def _mark(self, pair: tuple[Image, Image], result: Painted, toggled: bool) -> None:
        """Show marks as the settings say; hidden rather than removed, which takes napari long."""
        marks = find_marks(self._viewer.layers, pair_of(*pair))
        if marks is None and result.marks is not None:
            active = self._viewer.layers.selection.active
            self._add(marks_layer(*pair, result.marks))
            self._viewer.layers.selection.active = active
        elif marks is not None:
            if result.marks is not None:
                _show(marks, result.marks, result.done)
            if toggled:
                marks.visible = result.marks is not None

    def _add(self, layer: LayerData) -> Image:
        data, arguments, _ = layer
        return self._viewer.add_image(data, **arguments | {"visible": True})

    def _put_on_top(self, layer: Image) -> None:
        layers = self._viewer.layers
        layer.visible = layer.colorbar.visible = True
        layers.move(layers.index(layer), len(layers))
        layers.selection.active = layer

    def _share(self, settings: ErrorMapSettings, limits: tuple[float, float]) -> None:
        for layer in self._viewer.layers:
            other = facts_of(layer).get(MAP)
            if other and (other.metric, other.unit) == (settings.metric, settings.unit):
                stretch(layer, limits)

    def _on_opened(self, layers: Iterable[LayerData]) -> None:
        """Add what was opened, and pick of it what the candidate can be compared with."""
        candidate = self.candidate.value
        added = []
        for data, arguments, kind in layers:
            layer = Layer.create(data, arguments, kind)
            same = candidate is not None and layer.extent.data.tolist() == (
                candidate.extent.data.tolist()
            )
            # As it was stored, and to be turned as that is.
            if same and KIND not in facts_of(layer):
                layer.affine = candidate.affine
            self._viewer.add_layer(layer)
            added.append(layer)
        found = comparable(added)
        if candidate is not None and found:
            self.pick(_fitting(found, candidate), candidate)
        elif not found:
            show_error("the file holds no picture or RAW to compare with")

    def _on_failed(self, error: Exception) -> None:
        self._refresh()
        report_failure(error)

    def _ask_for_ground_truth(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, "Open a ground truth: a RAW or a picture")
        if name:
            self.open_ground_truth(Path(name))

    # -- looks ---------------------------------------------------------------------------------

    def _refresh(self, _: Any = None) -> None:
        """Make button, note and scale agree with the layers."""
        problem = self._problem()
        self.note.setText(problem)
        self.note.setVisible(bool(problem))
        self.show_button.setEnabled(not problem)
        layer = self.map_layer
        self.scale.setVisible(layer is not None)
        if layer is not None:
            settings = facts_of(layer)[MAP]
            low, high = layer.contrast_limits
            unit = unit_of(settings)
            what = title_of(settings).removesuffix(f", {unit}")
            self.scale.setText(f"Colours: {what}, from {low:.4g} to {high:.4g} {unit}".rstrip())
        else:
            self._clear_figures()

    def _problem(self) -> str:
        """Say why there can be no map of what is picked; empty if there can."""
        if self.reference.value is None:
            return "Open a camera RAW or a picture to begin."
        if self.pair is None:
            return (
                "Choose a candidate other than the reference: render the RAW first, or open a "
                "ground truth."
            )
        try:
            frames_of(*self.pair, self.form.settings())
        except InvispError as error:
            return f"No map: {error}."
        return ""

    def _clear_figures(self) -> None:
        for figure in self.figures.values():
            figure.setText(_NOTHING)

    def _show_figures(self, where: str, figures: Summary) -> None:
        settings = self._job.settings if self._job is not None else self.form.settings()
        unit = unit_of(settings)
        texts = dict.fromkeys(_FIGURES, _NOTHING)
        texts["mean"] = f"{figures.mean:.4g} {unit}"
        texts["worst"] = f"{figures.worst:.4g} {unit}"
        if figures.rms is not None:
            root = replace(settings, metric=settings.metric.replace("SE", "AE"))
            texts["rms"] = f"{figures.rms:.4g} {unit_of(root)}"
        texts["above"] = f"{100 * figures.above:.3g} %"
        if figures.rgb_psnr is not None:
            texts["rgb_psnr"] = decibels(figures.rgb_psnr)
        if figures.fidelity is not None:
            texts["raw_psnr"] = decibels(figures.fidelity.raw_psnr)
            texts["raw_psnr_linear"] = decibels(figures.fidelity.raw_psnr_linear)
            texts["mean_abs_error"] = f"{figures.fidelity.mean_abs_error:.2f} DN"
            texts["max_abs_error"] = f"{figures.fidelity.max_abs_error} DN"
        meant = {"rgb_psnr": figures.rgb_psnr is not None}
        for name in ("raw_psnr", "raw_psnr_linear", "mean_abs_error", "max_abs_error"):
            meant[name] = figures.fidelity is not None
        for name, text in texts.items():
            self.figures[name, where].setText(text.rstrip())
            for each in (self._titles[name], *(self.figures[name, c] for c in _COLUMNS)):
                each.setVisible(meant.get(name, True))


def _levels(layer: Image | None) -> list[Any] | None:
    return list(layer.data) if layer is not None and layer.multiscale else None


def _measures(settings: ErrorMapSettings) -> tuple[str, ...]:
    """Return what the values of a map depend on."""
    return settings.metric, settings.channel, settings.unit


def _is_whole(part: tuple[slice, slice], layer: Image) -> bool:
    pixels = layer.data[0] if layer.multiscale else layer.data
    return all(each == slice(0, n) for each, n in zip(part, pixels.shape[:2], strict=True))


def _fitting(layers: list[Image], candidate: Image) -> Image:
    """Choose what a candidate can be compared with; if it cannot be, the topmost."""
    for layer in layers:
        try:
            frames_of(layer, candidate, ErrorMapSettings())
        except InvispError:
            continue
        return layer
    return layers[-1]


def _show(layer: Image, levels: list[Any], done: bool) -> None:
    """Show what was painted; at the end, tell others too."""
    if len(levels) != len(layer.data) or any(
        new is not old for new, old in zip(levels, layer.data, strict=True)
    ):
        layer.data = levels
        return
    layer.refresh(thumbnail=done, highlight=False, extent=False)
    if done:
        layer.events.data(value=layer.data)
