"""The dock that tells what a JPEG is, and takes a RAW out of it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import napari.viewer
from napari.layers import Layer
from napari.utils.notifications import show_info
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QFileDialog,
    QFormLayout,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QProgressBar,
)

from napari_invisp.errors import InvispError
from napari_invisp.inspection.jpegs import JpegFacts, describe
from napari_invisp.inspection.unprocessing import approximate_raw
from napari_invisp.jpeg.codec import decode_jpeg
from napari_invisp.tiling import Watcher
from napari_invisp.viewer.controls import named
from napari_invisp.viewer.docks.base import Dock, button, label
from napari_invisp.viewer.docks.drops import Drops
from napari_invisp.viewer.docks.opening import dock
from napari_invisp.viewer.docks.render import ask_for_jpeg
from napari_invisp.viewer.failures import report_failure
from napari_invisp.viewer.files.writers import write_dng_layer
from napari_invisp.viewer.layers import (
    JPEG_SUFFIXES,
    KIND,
    QUALITY,
    SOURCE,
    SUBSAMPLING,
    Kind,
    LayerData,
    facts_of,
    jpeg_path_of,
    picture_layer,
    raw_layers,
)
from napari_invisp.viewer.work.adding import Adder
from napari_invisp.viewer.work.worker import Report, Runner

_INVITATION = "Drop a JPEG here, open one, or select its layer."
_GUESS = (
    "An approximate RAW is a guess: tone curve, colours and white balance are undone as most "
    "cameras apply them. What the camera clipped, smoothed or sharpened stays as it is."
)
_ROWS = {
    "camera": ("Camera", "what took the picture"),
    "taken": ("Taken", "local date and time"),
    "frame": ("Size", "pixels as stored, and the size of the file"),
    "coding": ("JPEG", "quality and chroma subsampling that the file has now"),
    "model": ("Rendered by", "the model that made the picture, and that takes it back"),
    "settings": ("Rendered at", "quality, chroma subsampling and headroom when it was rendered"),
    "carries": ("Carries", "what it holds besides, to bring back more of the RAW"),
    "since": ("Since then", "whether a program has saved the image data again"),
    "software": ("Written by", "what wrote the file, by its own account"),
}
_NOTHING = "–"


class JpegDock(Dock):
    """Says at once what a JPEG is; recovers its RAW or, where there is none, guesses one.

    It looks at the file of the layer that is selected, or at one that is opened or dropped here.

    Attributes
    ----------
    path, facts
        The file, and what it is; ``None`` before there is one, and while it is looked at.

    Parameters
    ----------
    napari_viewer
        Whose layers it works on; a :class:`napari.components.ViewerModel` will do for all but
        recovering.
    """

    menu_title = "From a JPEG"
    tab_title = "JPEG"

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__(napari_viewer, "jpeg")
        self.path: Path | None = None
        self.facts: JpegFacts | None = None
        self._looker, self._runner = Runner(alone=False), Runner(alone=False)
        self._adder = Adder(self._viewer, self.window_shown)
        self._build()
        self._connect()
        self._follow()

    # -- what others may call ------------------------------------------------------------------

    @property
    def running(self) -> bool:
        """Whether anything goes on in the background."""
        return self._looker.running or self._runner.running or self._adder.busy

    def look_at(self, path: Path) -> None:
        """Tell what a file is."""
        self.path, self.facts = path, None
        self._say("Looking at the file…")
        self._refresh()
        self._looker.start(lambda report: iter([describe(path)]))

    def recover(self) -> None:
        """Recover the RAW that the JPEG holds, in the dock that renders."""
        if self.path is not None:
            dock(self._viewer).recover_files([self.path])

    def approximate(self) -> None:
        """Guess the RAW of a JPEG that holds none, in a thread."""
        if self.path is not None and self.facts is not None:
            self.bar.setRange(0, 0)
            shown = any(jpeg_path_of(layer) == self.path for layer in self._viewer.layers)
            self._runner.start(partial(approximate, self.path, self.facts, not shown))
            self._refresh()

    # -- parts ---------------------------------------------------------------------------------

    def _build(self) -> None:
        self.name = label("jpeg_name", _INVITATION)
        self.name.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.name.setWordWrap(True)
        self.name.setStyleSheet("border: 1px dashed gray; border-radius: 4px; padding: 12px;")
        self.open_button = button(
            "jpeg_open", "Open JPEG…", self._open, "choose a JPEG file to look at"
        )
        self.statement, self.details = label("jpeg_statement", ""), label("jpeg_details", "")
        bold = self.statement.font()
        bold.setBold(True)
        self.statement.setFont(bold)
        for text in (self.statement, self.details):
            text.setWordWrap(True)
            text.setTextFormat(Qt.TextFormat.PlainText)
        self.table = QGroupBox("What the file says")
        named(self.table, "group.jpeg")
        self._rows = QFormLayout(self.table)
        self.values: dict[str, QLabel] = {}
        for name, (title, help_text) in _ROWS.items():
            value = self.values[name] = label(f"jpeg.{name}", _NOTHING, help_text)
            value.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            value.setWordWrap(True)
            self._rows.addRow(title, value)
        self.recover_button = button(
            "jpeg_recover", "Recover RAW", self.recover, "recover the RAW that this JPEG holds"
        )
        self.guess_button = button(
            "jpeg_approximate",
            "Approximate RAW",
            self.approximate,
            "make a RAW that could have led to this picture, as layers that say so",
        )
        self.save_button = button(
            "jpeg_save_dng", "Save DNG…", self._save, "save the RAW that came of this JPEG"
        )
        self.note = label("jpeg_note", _GUESS)
        self.note.setWordWrap(True)
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        named(self.bar, "jpeg_progress", "how far the work is")
        buttons = QHBoxLayout()
        for each in (self.recover_button, self.guess_button, self.save_button):
            buttons.addWidget(each)
        for part in (self.name, self.open_button, self.statement, self.details, self.table):
            self.contents.addWidget(part)
        self.contents.addLayout(buttons)
        self.contents.addWidget(self.bar)
        self.contents.addWidget(self.note)
        self.contents.addStretch()

    def _connect(self) -> None:
        self._looker.produced.connect(self._on_described)
        self._looker.failed.connect(self._on_unreadable)
        runner = self._runner
        runner.progressed.connect(self._on_progressed)
        runner.produced.connect(self._on_produced)
        runner.failed.connect(self._on_failed)
        runner.finished.connect(self._refresh)
        runner.cancelled.connect(self._refresh)
        drops = Drops(self, lambda path: path.suffix.lower() in JPEG_SUFFIXES)
        drops.dropped.connect(self._on_dropped)
        layers = self._viewer.layers
        self.listen(layers.events.inserted, self._follow)
        self.listen(layers.events.removed, self._refresh)
        self.listen(layers.selection.events.active, self._follow)

    def detach(self) -> None:
        """Let go of the viewer and stop; the Qt side of this widget may be gone."""
        super().detach()
        self._adder.abandon()
        self._looker.abandon()
        self._runner.abandon()

    # -- which file ----------------------------------------------------------------------------

    def _follow(self, _: object = None) -> None:
        """Look at the file of the selected layer, if it is a JPEG."""
        active = self._viewer.layers.selection.active
        path = jpeg_path_of(active) if active is not None else None
        if path is not None and path != self.path:
            self.look_at(path)
        else:
            self._refresh()

    def _open(self) -> None:
        path = ask_for_jpeg(self)
        if path is not None:
            self.look_at(path)

    def _on_dropped(self, paths: list[Path]) -> None:
        self.look_at(paths[0])

    # -- what came of it -----------------------------------------------------------------------

    def _on_described(self, facts: JpegFacts) -> None:
        self.facts = facts
        self._say(*_statement(facts))
        self._refresh()

    def _on_unreadable(self, error: Exception) -> None:
        self._say("It cannot be read.", _sentence(error))
        if not isinstance(error, InvispError):
            report_failure(error)

    def _on_progressed(self, stage: str, done: int, total: int) -> None:
        self.bar.setRange(0, total)
        self.bar.setValue(done)

    def _on_produced(self, result: LayerData | Path) -> None:
        if isinstance(result, Path):
            show_info(f"saved {result}")
            return
        self._adder.then(partial(self._adder.put, result))

    def _on_failed(self, error: Exception) -> None:
        self._refresh()
        report_failure(error)

    def _result(self) -> Layer | None:
        """Find the mosaic that came of the file."""
        wanted = (Kind.RECOVERED_MOSAIC, Kind.APPROXIMATE_MOSAIC)
        for layer in reversed(self._viewer.layers):
            facts = facts_of(layer)
            if facts.get(KIND) in wanted and facts.get(SOURCE) == str(self.path):
                return layer
        return None

    def _save(self) -> None:
        layer = self._result()
        if layer is None or self.path is None:
            return
        kind = "approximate" if facts_of(layer)[KIND] is Kind.APPROXIMATE_MOSAIC else "recovered"
        proposal = self.path.with_name(f"{self.path.stem}-{kind}.dng")
        name, _ = QFileDialog.getSaveFileName(self, "Save", str(proposal), "DNG files (*.dng)")
        if name:
            path = Path(name) if Path(name).suffix else Path(name + ".dng")
            self.bar.setRange(0, 0)
            self._runner.start(partial(_save, path, layer.as_layer_data_tuple()))
            self._refresh()

    # -- looks ---------------------------------------------------------------------------------

    def _say(self, statement: str, details: str = "") -> None:
        self.statement.setText(statement)
        self.details.setText(details)
        self.details.setVisible(bool(details))

    def _refresh(self, _: object = None) -> None:
        facts, running = self.facts, self._runner.running
        self.name.setText(self.path.name if self.path is not None else _INVITATION)
        self.name.setToolTip(str(self.path or ""))
        self.table.setVisible(facts is not None)
        if facts is not None:
            texts = _texts(facts)
            for name, value in self.values.items():
                self._rows.setRowVisible(value, name in texts)
                value.setText(texts.get(name) or _NOTHING)
        foreign = facts is not None and facts.foreign
        self.recover_button.setVisible(not foreign)
        self.recover_button.setEnabled(facts is not None and facts.inside is not None)
        self.guess_button.setVisible(foreign)
        self.guess_button.setEnabled(not running)
        self.note.setVisible(foreign)
        self.save_button.setEnabled(self._result() is not None and not running)
        self.bar.setVisible(running)


def approximate(
    path: Path, facts: JpegFacts, with_picture: bool, report: Report
) -> Iterator[LayerData]:
    """Guess the RAW of a JPEG file.

    Parameters
    ----------
    path
        The file.
    facts
        What it is.
    with_picture
        Whether to show the JPEG itself, too.
    report
        Where to report to.

    Yields
    ------
    tuple
        Layers one by one, for the window to draw in between: the JPEG's picture, the mosaic, its
        bilinear visualization.
    """
    watcher = Watcher(report.progress, report.cancelled)
    jpeg = decode_jpeg(path, str(path))
    record = approximate_raw(jpeg.rgb, facts, watcher)
    made = {SOURCE: str(path), QUALITY: jpeg.quality, SUBSAMPLING: jpeg.subsampling}
    if with_picture:
        yield picture_layer(jpeg.rgb, record, path.stem, Kind.JPEG, made)
    yield from raw_layers(record, path.stem, made, approximate=True)


def _save(path: Path, layer: LayerData, report: Report) -> Iterator[Path]:
    data, arguments, _ = layer
    write_dng_layer(str(path), data, arguments)
    yield path


def _sentence(problem: object) -> str:
    text = str(problem)
    return f"{text[:1].upper()}{text[1:]}."


def _statement(facts: JpegFacts) -> tuple[str, str]:
    """Say what a JPEG is, and what else there is to know about it."""
    inside = facts.inside
    if facts.problem is not None:
        return "A napari-invisp JPEG whose RAW is lost", _sentence(facts.problem)
    if inside is None:
        return "A JPEG of another program: no RAW inside", ""
    statement = "A napari-invisp JPEG: its RAW can be recovered"
    if inside.exact and inside.resaved is None:
        statement = "A napari-invisp JPEG: an exact archive of its RAW"
    details = [_sentence(inside.resaved)] if inside.resaved is not None else []
    if inside.checkpoint is not None:
        details.append(
            f"It was rendered with weights from the file {inside.checkpoint}: choose that as the "
            "model in the rendering dock before you recover."
        )
    elif not inside.known:
        statement = "A napari-invisp JPEG of another version"
        details.append(
            f"It was rendered with {inside.model} and weights that are not here: install the "
            "version of napari-invisp that wrote it."
        )
    return statement, " ".join(details)


def _texts(facts: JpegFacts) -> dict[str, str]:
    """Put the facts into words; those that make no sense for this file are left out."""
    coding = f"quality {'' if facts.exact else 'about '}{facts.quality}"
    texts = {
        "camera": facts.camera,
        "taken": facts.capture.taken or "",
        "frame": f"{facts.width} × {facts.height}, {facts.size / 1e6:.2f} MB",
        "coding": f"{coding}, {facts.subsampling or 'unusual subsampling'}",
        "software": facts.software,
    }
    inside = facts.inside
    if inside is not None:
        headroom = "?" if inside.headroom is None else f"{inside.headroom:g}"
        texts["model"] = inside.model + (f" ({inside.checkpoint})" if inside.checkpoint else "")
        texts["settings"] = (
            f"quality {inside.quality or '?'}, {inside.subsampling or '?'}, headroom {headroom}"
        )
        fits = inside.resaved is None or not inside.carries
        texts["carries"] = (inside.carries or "nothing more") + (
            "" if fits else ", which fits no longer"
        )
        texts["since"] = "unchanged" if inside.resaved is None else "saved again"
    return texts
