"""What the docks have in common that change a picture while sliders move."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from enum import Enum, auto
from functools import partial
from typing import Any, ClassVar

import napari.viewer
from magicgui.widgets import ComboBox
from napari.layers import Image, Layer
from napari.utils.notifications import show_error
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication, QComboBox, QFormLayout, QPushButton

from napari_invisp.applications.comparing import ORIGINAL, PLAIN, RECOVERED, Differences
from napari_invisp.inspection.maps import limits_of
from napari_invisp.viewer.controls import named
from napari_invisp.viewer.docks.base import Dock, button, button_row, label
from napari_invisp.viewer.docks.progress import ProgressLine
from napari_invisp.viewer.docks.source_figures import SourceFigures
from napari_invisp.viewer.failures import report_failure
from napari_invisp.viewer.files.exporting import ask, run
from napari_invisp.viewer.files.looks import LookFile, write_look
from napari_invisp.viewer.files.writers import unfinished
from napari_invisp.viewer.layers import (
    KIND,
    LOOK,
    METADATA_KEY,
    PARTIAL,
    Kind,
    facts_of,
    raw_of,
)
from napari_invisp.viewer.layers.errors import dress, find_map, frame_of, map_layer
from napari_invisp.viewer.layers.sources import (
    counterparts,
    origin_of,
    result_of,
    source_of,
    sources,
)
from napari_invisp.viewer.layers.view import level_in_view, part_in_view
from napari_invisp.viewer.work.adding import Adder
from napari_invisp.viewer.work.comparing import DIFFERENCE_MAP, Compared, compared
from napari_invisp.viewer.work.looks import Look
from napari_invisp.viewer.work.previewing import Sheet, Shown, Wanted, fill, follow
from napari_invisp.viewer.work.worker import Report, Runner

# How long controls have to rest before the part in view is made as finely as it is shown, and the
# view before it is made again, in milliseconds.
_REST_MS, _VIEW_REST_MS = 250, 80


_UNFINISHED = "Finished in view only; Full frame does the rest"
_COMPARE = (
    "do the same to the original RAW, the recovered RAW and the decoded JPEG, whole frames, and "
    "measure how far the results are from the original's"
)


class Run(Enum):
    """What a run is for."""

    FOLLOW = auto()
    FILL = auto()
    COMPARE = auto()
    OTHER = auto()


class PreviewDock(Dock):
    """Makes a picture of the source that is picked, as its controls say, and follows them.

    The source is developed once. While a control moves, only the part in view is made again, at
    the size that is shown; **Full frame** does the rest. There is one result for each source, found
    again by what it knows, under whatever name. What it was made by is shown when its source is
    picked.

    Attributes
    ----------
    look
        How pictures are made.
    files
        What they can be saved as.

    Parameters
    ----------
    napari_viewer
        Whose layers it works on; a :class:`napari.components.ViewerModel` will do.
    name
        What object names of the dock's own parts begin with.
    """

    look: ClassVar[Look]
    files: ClassVar[tuple[LookFile, ...]]

    def __init__(self, napari_viewer: napari.viewer.Viewer, name: str) -> None:
        super().__init__(napari_viewer, name)
        self._name = name
        self._runner = Runner()
        self._adder = Adder(self._viewer, self.window_shown)
        self._run: Run | None = None
        self._started = 0.0
        self._sheet: Sheet | None = None
        # What is to be seen, and what the run has taken of that.
        self._wanted: Wanted | None = None
        self._taken: Wanted | None = None
        self._shown: Shown | None = None
        self._source: Image | None = None
        # What was compared last, and the figures; ``None`` if pixels have changed since.
        self._sources: dict[str, Image] = {}
        self._figures: tuple[Any, Mapping[str, Differences]] | None = None
        # The result was deleted, and stays away until somebody asks for it.
        self._dismissed = False
        self._open = True
        self._build_common()
        self._build()
        self._connect()
        self._list()

    # -- what others may call ------------------------------------------------------------------

    @property
    def running(self) -> bool:
        """Whether a run is going on, is about to, or its layers are still being added."""
        timers = self._rest_timer.isActive() or self._view_timer.isActive()
        return timers or self._run is not None or self._adder.busy

    @property
    def source(self) -> Image | None:
        """The layer that is worked on."""
        layer: Image | None = self.picker.value
        return layer

    @property
    def result(self) -> Image | None:
        """The picture of the source; ``None`` if there is none yet."""
        source = self.source
        return result_of(self._viewer.layers, source, self.look.kind) if source else None

    def preview(self) -> None:
        """Show the part in view as the controls say."""
        self._dismissed = False
        self._reveal()
        self._want(resting=True)

    def full_frame(self) -> None:
        """Make the whole frame as the controls say."""
        sheet = self._present_sheet()
        if sheet is not None:
            self._dismissed = False
            self._reveal()
            self._rest_timer.stop()
            self._start(Run.FILL, partial(fill, self.settings(), sheet))

    def compare_sources(self) -> None:
        """Make the whole frames of all three sources as the controls say, and compare them."""
        sheet, source, found = self._present_sheet(), self.source, self._counterparts()
        if sheet is None or source is None or not found:
            return
        for layer in found.values():
            facts = facts_of(layer)
            if PARTIAL in facts:
                show_error(unfinished(layer.name, facts))
                return
        self._dismissed = False
        self._reveal()
        self._rest_timer.stop()
        self._compare_with(found)
        sheets = {
            name: sheet if layer is source else Sheet(source_of(layer), self.look)
            for name, layer in found.items()
        }
        own = sheet if source in found.values() else None
        self._start(Run.COMPARE, partial(compared, self.settings(), sheets, own))

    def no_comparison(self) -> str:
        """Say why sources cannot be compared; empty if they can."""
        source = self.source
        if source is None or raw_of(source) is None:
            return "pick a RAW, or what was made of one, to compare its sources"
        if facts_of(source).get(KIND) is Kind.MERGED:
            return "merged light has no JPEG to compare with; pick a RAW"
        return "" if self._counterparts() else "render and recover this RAW first"

    def cancel(self) -> None:
        """Stop what is going on; what was painted stays."""
        self._rest_timer.stop()
        self._runner.cancel()

    @abstractmethod
    def settings(self) -> Any:
        """Return what the controls say."""

    @abstractmethod
    def load(self, settings: Any) -> None:
        """Show settings in the controls, without making a picture by them."""

    # -- parts ---------------------------------------------------------------------------------

    @abstractmethod
    def _build(self) -> None:
        """Add the controls."""

    def _build_common(self) -> None:
        """Make what lies above the controls, where it is seen whatever is scrolled to."""
        name = self._name
        help_text = (
            "what to work on: a RAW, original or recovered, a picture, or linear light; follows "
            "the layer that is selected"
        )
        self.picker = ComboBox(
            label="Source", choices=self._choices, nullable=False, tooltip=help_text
        )
        named(self.picker.native, f"{name}.picker", help_text)
        # Names may be longer than the dock is wide.
        self.picker.native.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.picker.native.setMinimumContentsLength(12)
        self.note = label(f"{name}.note", "")
        self.note.setWordWrap(True)
        self.preview_button = button(
            f"{name}.preview", "Preview", self.preview, "show the part in view as the controls say"
        )
        self.full_button = button(
            f"{name}.full",
            "Full frame",
            self.full_frame,
            "make the whole frame as the controls say; until then, only the part in view is",
        )
        self.cancel_button = button(f"{name}.cancel", "Cancel", self.cancel, "stop the run")
        self.reset_button = button(
            f"{name}.reset", "Reset", self.reset, "put all controls back to their defaults"
        )
        self.compare_button = button(
            f"{name}.compare", "Compare sources", self.compare_sources, _COMPARE
        )
        self.progress = ProgressLine(name)
        self.comparison = SourceFigures(name)
        self.save_buttons: dict[str, QPushButton] = {}
        for each in self.files:
            self.save_buttons[each.name] = button(
                f"{name}.save{each.suffix}",
                f"Save {each.short}…",
                partial(self._save, each),
                f"make the whole frame as the controls say, and save it as {each.name}",
            )
        picker = QFormLayout()
        picker.addRow(self.picker.label, self.picker.native)
        layout = self.contents
        layout.addLayout(picker)
        layout.addLayout(
            button_row(self.preview_button, self.full_button, self.cancel_button, self.reset_button)
        )
        layout.addLayout(button_row(*self.save_buttons.values()))
        layout.addLayout(button_row(self.compare_button))
        layout.addWidget(self.progress)
        layout.addWidget(self.comparison)
        layout.addWidget(self.note)

        self._rest_timer, self._view_timer = QTimer(self), QTimer(self)
        for what, timer, rest in (
            ("rest", self._rest_timer, _REST_MS),
            ("view", self._view_timer, _VIEW_REST_MS),
        ):
            timer.setObjectName(f"napari-invisp.{name}.{what}_timer")
            timer.setSingleShot(True)
            timer.setInterval(rest)

    def _connect(self) -> None:
        self.picker.changed.connect(self._on_picked)
        self._rest_timer.timeout.connect(partial(self._want, resting=True))
        self._view_timer.timeout.connect(self._on_view)
        runner = self._runner
        runner.progressed.connect(self.progress.progress)
        runner.produced.connect(self._on_produced)
        runner.failed.connect(self._on_failed)
        runner.finished.connect(self._on_finished)
        runner.cancelled.connect(self._on_cancelled)
        events = self._viewer.layers.events
        self.listen(events.inserted, self._list)
        self.listen(events.removed, self._on_removed)
        self.listen(events.renamed, self._list)
        self.listen(self._viewer.layers.selection.events.active, self._follow)
        camera = self._viewer.scene.camera.events
        self.listen(camera.center, self._on_moved)
        self.listen(camera.zoom, self._on_moved)
        application = QApplication.instance()
        if application is not None:
            application.aboutToQuit.connect(runner.abandon)

    def detach(self) -> None:
        """Let go of the viewer and stop; the Qt side of this widget may be gone."""
        super().detach()
        self._open = False
        self._watch(None)
        self._compare_with({})
        self._adder.abandon()
        self._runner.abandon()
        self._run = self._sheet = self._shown = None

    @abstractmethod
    def reset(self) -> None:
        """Put all controls back to their defaults."""

    # -- layers --------------------------------------------------------------------------------

    def _choices(self, _: Any) -> list[tuple[str, Layer]]:
        return [(layer.name, layer) for layer in reversed(sources(self._viewer.layers))]

    def _list(self, _: Any = None) -> None:
        """Make the picker agree with the layers."""
        found = sources(self._viewer.layers)
        picked = self._source if self._source in found else None
        if picked is None:  # the RAW of the selected layer, or else what is on top
            active = self._viewer.layers.selection.active
            raw = raw_of(active) if active is not None else None
            own = [layer for layer in found if raw is not None and raw_of(layer) is raw]
            picked = active if active in found else next(iter([*own, *reversed(found)]), None)
        self._pick(picked)

    def _follow(self, _: Any = None) -> None:
        """Pick the source that is selected, or that the selected result was made of."""
        active = self._viewer.layers.selection.active
        if active is None or self._adder.adding:
            return
        found = sources(self._viewer.layers)
        if facts_of(active).get(KIND) is self.look.kind:
            active = origin_of(self._viewer.layers, active)
        if active in found:
            self._pick(active)

    def pick(self, layer: Layer) -> None:
        """Work on this layer from now on."""
        self._pick(layer)

    def _pick(self, layer: Layer | None) -> None:
        with self.picker.changed.blocked():
            self.picker.reset_choices()
            if layer is not None and self.picker.value is not layer:
                self.picker.value = layer
        self._on_picked()

    def _on_picked(self, _: Any = None) -> None:
        """Turn to another source: to its result, if it has one."""
        source = self.source
        if source is not self._source:
            self._drop()
            self._watch(source)
            self._source = source
            self._dismissed = False
            result = self.result
            if result is not None:
                self.load(facts_of(result)[LOOK])
        self._refresh()

    def _drop(self) -> None:
        """Forget what is kept of the source, and stop working on it."""
        self._rest_timer.stop()
        self._view_timer.stop()
        if self._run is not None:
            self._runner.abandon()
            self._run = None
            self.progress.say("Ready")
        self._sheet = self._shown = None

    def _watch(self, source: Image | None) -> None:
        """Hear of new pixels of the source, of nothing else."""
        if self._source is not None:
            self._source.events.data.disconnect(self._on_pixels)
            self._source = None
        if source is not None:
            source.events.data.connect(self._on_pixels)

    def _on_pixels(self, _: Any = None) -> None:
        """Develop the source anew, at once if it has a result."""
        had_result = self.result is not None
        self._drop()
        if had_result:
            self._rest_timer.start()
        self._refresh()

    def _on_removed(self, event: Any) -> None:
        shown = self._shown
        facts = facts_of(event.value)
        if shown is not None and facts.get(KIND) is self.look.kind and self.result is None:
            self._dismissed = True
        self._list()

    def _reveal(self) -> None:
        """Let the result be seen, if it was hidden meanwhile."""
        result = self.result
        if result is not None and not result.visible:  # to say so again would draw it again
            result.visible = True

    def _on_moved(self, _: Any = None) -> None:
        """Hear that another part is in view, or at another size."""
        if self._open and self.result is not None and self._run not in (Run.FILL, Run.COMPARE):
            self._view_timer.start()

    def _on_view(self) -> None:
        result = self.result
        if result is None or not result.visible or PARTIAL not in facts_of(result):
            return
        self._want(resting=not self._rest_timer.isActive())

    # -- runs ----------------------------------------------------------------------------------

    def changed(self) -> None:
        """Follow the controls: one of them has another value."""
        if self.source is not None:
            self._dismissed = False
            self._reveal()
            self._want(resting=False)
            self._rest_timer.start()
        self._refresh()

    def _present_sheet(self) -> Sheet | None:
        """Return what is kept of the source."""
        source = self.source
        if source is None or not self._open:
            return None
        if self._sheet is None:
            result = self.result
            levels = list(result.data) if result is not None and result.multiscale else None
            self._sheet = Sheet(source_of(source), self.look, levels)
        return self._sheet

    def _want(self, resting: bool) -> None:
        """Say what is to be seen, and see to it that somebody takes that."""
        sheet, source = self._present_sheet(), self.source
        if sheet is None or source is None or self._run is Run.OTHER:
            return
        self._wanted = Wanted(
            self.settings(),
            part_in_view(self._viewer, source),
            level_in_view(self._viewer, source),
            resting,
        )
        if self._run is not Run.FOLLOW:
            self._start(Run.FOLLOW, partial(follow, self._newest, sheet))

    def _newest(self) -> Wanted:
        assert self._wanted is not None
        self._taken = self._wanted
        return self._taken

    def _start(self, what: Run, work: Callable[[Report], Iterator[Any]]) -> None:
        if self._run is not None:
            self._runner.abandon()
        self._run = what
        self._started = time.perf_counter()
        if what is not Run.FOLLOW:  # which has no time to redraw the window
            self.progress.say("Starting")
        self.cancel_button.setEnabled(True)
        self._runner.start(work)

    def _on_produced(self, made: Any) -> None:
        """Show what was painted; derived docks take what else their runs make."""
        if isinstance(made, Shown) and made.sheet is self._sheet and not self._dismissed:
            self._shown = made
            self._show()
        elif isinstance(made, Compared):
            puts = []
            for data, arguments, kind in made.results.values():  # beneath what is looked at
                puts.append(partial(self._adder.put, (data, arguments | {"visible": False}, kind)))
            self._adder.then(*puts, partial(self._on_compared, made))

    def _on_compared(self, made: Compared) -> None:
        """Show figures, and error maps of the results, hidden."""
        if not self._sources:  # their pixels have changed meanwhile
            return
        self._figures = (made.settings, made.figures)
        self._refresh()
        layers = self._viewer.layers
        results = {
            name: result_of(layers, layer, self.look.kind) for name, layer in self._sources.items()
        }
        reference = results[ORIGINAL]
        for name in (PLAIN, RECOVERED):  # new layers are added before what is waiting
            candidate = results[name]
            if reference is None or candidate is None:  # deleted meanwhile
                continue
            levels, limits = made.maps[name], limits_of(DIFFERENCE_MAP, frame_of(reference))
            layer = find_map(layers, reference, candidate)
            if layer is not None:
                layer.data = levels
                dress(layer, DIFFERENCE_MAP, limits)
                continue
            data, arguments, kind = map_layer(reference, candidate, DIFFERENCE_MAP, levels, limits)
            self._adder.add(Layer.create(data, arguments | {"visible": False}, kind))

    def _counterparts(self) -> dict[str, Image]:
        return counterparts(self._viewer.layers, self.source) if self.source is not None else {}

    def _compare_with(self, found: dict[str, Image]) -> None:
        """Hear of new pixels of what is compared, of nothing else."""
        for layer in self._sources.values():
            layer.events.data.disconnect(self._forget)
        self._sources, self._figures = found, None
        for layer in found.values():
            layer.events.data.connect(self._forget)

    def _forget(self, _: Any = None) -> None:
        """Take figures back that are of other pixels."""
        if self._run is Run.COMPARE:
            self._runner.cancel()
        self._compare_with({})
        self._refresh()

    def _show(self) -> None:
        """Bring the layer up to date, or add it."""
        shown, layer = self._shown, self.result
        if shown is None or self._dismissed:
            return
        if layer is None or layer.data[0] is not shown.sheet.painting.levels[0]:
            if not self._adder.busy:  # or else it comes back here
                self._adder.then(partial(self._adder.put, shown.layer()), self._show)
            return
        facts = facts_of(layer)
        if facts[LOOK] != shown.settings or shown.partial != (PARTIAL in facts):
            new = shown.layer()[1]["metadata"][METADATA_KEY]
            layer.metadata = {**layer.metadata, METADATA_KEY: new}
        layer.refresh(thumbnail=shown.done, highlight=False, extent=False)
        if shown.done:
            layer.events.data(value=layer.data)
            self._refresh()

    def _on_failed(self, error: Exception) -> None:
        self._finish("Failed")
        report_failure(error)

    def _on_cancelled(self) -> None:
        self._finish("Cancelled")

    def _on_finished(self) -> None:
        again = self._run is Run.FOLLOW and self._taken is not self._wanted
        if self._run is Run.FOLLOW:
            self._finish(_UNFINISHED if self._is_partial() else "Ready")
        else:
            self._finish(f"Done in {time.perf_counter() - self._started:.1f} s", done=1)
        if again and self._wanted is not None:  # it came when the run was about to end
            self._want(self._wanted.resting)

    def _is_partial(self) -> bool:
        # The layer may not have been added yet.
        return self._shown is not None and self._shown.partial and not self._dismissed

    def _finish(self, text: str, done: int = 0) -> None:
        self._run = None
        self.progress.say(text, done)
        self._refresh()

    def _save(self, file: LookFile) -> None:
        """Ask for a file, and write the whole frame to it, beside the window."""
        sheet, source = self._present_sheet(), self.source
        if sheet is None or source is None:
            return
        name = f"{sheet.source.name} {self.look.kind}"
        path, _ = ask("Save", self._viewer, source, name, {file.filter: file.suffix})
        if path is not None:
            run(path, partial(write_look, sheet=sheet, settings=self.settings()))

    # -- looks ---------------------------------------------------------------------------------

    def _refresh(self, _: Any = None) -> None:
        """Make buttons and note agree with the layers."""
        there = self.source is not None
        for each in (self.preview_button, self.full_button, *self.save_buttons.values()):
            each.setEnabled(there)
        self.cancel_button.setEnabled(self._run is not None)
        reason = self.no_comparison()
        self.compare_button.setEnabled(not reason)
        self.compare_button.setToolTip(reason or _COMPARE)
        self.comparison.show_figures(self._present_figures())
        text = self._problem()
        self.note.setText(text)
        self.note.setVisible(bool(text))

    def _present_figures(self) -> Mapping[str, Differences] | None:
        """Return the figures of the source and the settings that are seen, if these are."""
        if self._figures is None or self._counterparts() != self._sources:
            return None
        settings, figures = self._figures
        return figures if settings == self.settings() else None

    def _problem(self) -> str:
        """Say what is to be done next; empty if all is well."""
        if self.source is None:
            return "Open a camera RAW or a picture to begin (File ▸ Open, or Open Sample)."
        return ""
