"""What the pictures of the documentation show: a scene a picture."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from qtpy.QtCore import Qt
from qtpy.QtGui import QAction
from qtpy.QtWidgets import QFileDialog, QListWidget, QMenu, QMenuBar, QSlider

from napari_invisp.pipeline import Pipeline
from napari_invisp.samples import sample_path
from napari_invisp.sensor.dng import write_dng
from napari_invisp.sensor.reading import read_raw
from napari_invisp.viewer.compare.comparing import Mode
from napari_invisp.viewer.docks.batch import BatchDock
from napari_invisp.viewer.docks.compare import CompareDock
from napari_invisp.viewer.docks.errors import ErrorMapsDock
from napari_invisp.viewer.docks.hdr import HdrDock
from napari_invisp.viewer.docks.histogram import HistogramDock
from napari_invisp.viewer.docks.jpeg import JpegDock
from napari_invisp.viewer.docks.rate import RateDock
from napari_invisp.viewer.docks.readout import ReadoutDock
from napari_invisp.viewer.docks.render import RenderDock
from napari_invisp.viewer.docks.retouch import RetouchDock
from napari_invisp.viewer.files.exporting import export_report
from napari_invisp.viewer.layers import Kind
from screenshots.stage import Picture, Stage, of_image, of_pdf, with_pointer

Scene = Callable[[], Picture]

#: Every scene, by the name of its picture.
SCENES: dict[str, Scene] = {}
# The eye of the dog, in rows and columns.
EYE = (420, 743)


def scene(picture: str) -> Callable[[Scene], Scene]:
    """Name the picture that a scene makes."""

    def add(play: Scene) -> Scene:
        SCENES[picture] = play
        return play

    return add


@scene("main-window.jpg")
def main_window() -> Picture:
    with Stage() as stage:
        stage.rendered()
        for kind in (Kind.ERROR, Kind.RECOVERED, Kind.DECODED, Kind.RENDERED):
            stage.layer(kind).visible = True
        for layer in stage.viewer.layers:
            layer.name_overlay.visible = True
        stage.viewer.canvas.grid.enabled = True
        stage.viewer.canvas.grid.stride = -1  # the topmost layer first
        stage.settle()
        stage.viewer.reset_view()
        stage.settle()
        return stage.shot()


@scene("tour-results.jpg")
def results() -> Picture:
    with Stage() as stage:
        widget = stage.dock(RenderDock)
        widget.controls["tile"].value = 64
        stage.look_at(*EYE, 2)
        taken: list[Picture] = []
        shown: list[str] = []

        def look(what: str, done: int, total: int) -> None:
            if what != "recovering":
                return
            if "Error" not in shown:
                shown.append("Error")
                widget.show_only("Error")
            elif 12 * done > total and "more" not in shown:
                shown.append("more")
                stage.look_at(*EYE, 1)
            elif 6 * done > total and not taken:
                taken.append(stage.shot())

        widget.runs.progressed.connect(look)
        widget.render_button.click()
        stage.idle(widget)
        return taken[0]


@scene("tour-live.jpg")
def live() -> Picture:
    with Stage() as stage:
        widget = stage.rendered()
        widget.show_only("Error")
        stage.look_at(*EYE, 3)
        quality = widget.controls["quality"]
        slider = quality.native.findChild(QSlider)
        slider.setSliderDown(True)
        quality.value = 35
        stage.until(lambda: widget.result_box.title().startswith("In view"))
        stage.until(lambda: not widget.running)
        stage.settle()
        picture = stage.shot()
        slider.setSliderDown(False)
        stage.idle(widget)
        return picture


@scene("tour-rate.jpg")
def rate() -> Picture:
    with Stage() as stage:
        widget = stage.rendered()
        curves = stage.dock(RateDock)
        curves.sweep_button.click()
        stage.until(lambda: not widget.running)
        stage.settle()
        return stage.shot()


def _error_map(stage: Stage, **settings: object) -> ErrorMapsDock:
    widget = stage.dock(ErrorMapsDock)
    for name, value in settings.items():
        widget.form[name].value = value
    widget.show_button.click()
    stage.until(lambda: not widget.running)
    stage.settle()
    return widget


@scene("tour-signed-error.jpg")
def signed_error() -> Picture:
    with Stage() as stage:
        stage.rendered()
        stage.look_at(*EYE, 2)
        _error_map(stage, metric="E")
        return stage.shot()


@scene("tour-threshold.jpg")
def threshold() -> Picture:
    with Stage() as stage:
        stage.rendered()
        stage.look_at(*EYE, 2)
        _error_map(stage, metric="AE", threshold=20, marked=True)
        return stage.shot()


@scene("tour-colour-difference.jpg")
def colour_difference() -> Picture:
    with Stage() as stage:
        stage.rendered()
        widget = stage.dock(ErrorMapsDock)
        widget.pick(stage.layer(Kind.RENDERED), stage.layer(Kind.DECODED))
        _error_map(stage, metric="ΔE2000")
        stage.point_at(*EYE)
        return stage.shot()


@scene("tour-histogram.jpg")
def histogram() -> Picture:
    with Stage() as stage:
        stage.rendered().show_only("Original")
        widget = stage.dock(HistogramDock)
        widget.form["counts"].value = "log"
        widget.clipping["Original"].click()
        stage.until(lambda: widget.survey is not None)
        stage.settle(2)
        return stage.shot()


@scene("tour-readout.jpg")
def readout() -> Picture:
    with Stage() as stage:
        stage.rendered().show_only("Original")
        stage.dock(ReadoutDock)
        stage.look_at(*EYE, 20)
        at = stage.point_at(EYE[0] + 6, EYE[1] + 8)
        return with_pointer(stage.shot(), at)


@contextmanager
def _two_qualities() -> Iterator[tuple[Stage, CompareDock]]:
    with Stage() as stage:
        stage.rendered(90)
        widget = stage.dock(CompareDock)
        widget.keep_button.click()
        stage.rendered(20)
        stage.dock(CompareDock)
        stage.look_at(*EYE, 3)
        yield stage, widget


@scene("tour-swipe.jpg")
def swipe() -> Picture:
    with _two_qualities() as (stage, widget):
        widget.compare(Mode.SWIPE)
        stage.settle()
        return stage.shot()


@scene("tour-side-by-side.jpg")
def side_by_side() -> Picture:
    with _two_qualities() as (stage, widget):
        widget.compare(Mode.SIDE_BY_SIDE)
        widget.expose(1)
        stage.settle()
        return stage.shot()


@contextmanager
def _dog_as_jpeg() -> Iterator[tuple[Path, Path]]:
    """Give the sample as a JPEG that holds its RAW, and as one of another program."""
    pipeline = Pipeline()
    rendering = pipeline.render(read_raw(sample_path()))
    with tempfile.TemporaryDirectory() as folder:
        ours, foreign = Path(folder) / "dog.jpg", Path(folder) / "dog-from-elsewhere.jpg"
        ours.write_bytes(pipeline.encode(rendering))
        Image.fromarray(rendering.rgb).save(foreign, quality=92)
        yield ours, foreign


@scene("tour-capsule.jpg")
def capsule() -> Picture:
    with _dog_as_jpeg() as (path, _), Stage(empty=True) as stage:
        widget = stage.dock(JpegDock)
        widget.look_at(path)
        stage.until(lambda: widget.facts is not None)
        widget.recover_button.click()
        stage.idle(stage.dock(RenderDock))
        stage.dock(JpegDock)
        return stage.shot()


@scene("tour-foreign.jpg")
def foreign() -> Picture:
    with _dog_as_jpeg() as (_, path), Stage(empty=True) as stage:
        widget = stage.dock(JpegDock)
        widget.look_at(path)
        stage.until(lambda: widget.facts is not None)
        widget.guess_button.click()
        stage.until(lambda: not widget.running)
        stage.settle()
        return stage.shot()


@scene("tour-batch.jpg")
def batch() -> Picture:
    with _dog_as_jpeg() as (path, other), Stage() as stage:
        folder = path.parent
        record = read_raw(sample_path())
        whole, left = folder / "dog.dng", folder / "dog-head.dng"
        write_dng(whole, record)
        write_dng(left, record.replace(mosaic=record.mosaic[:800].copy()))
        widget = stage.dock(BatchDock)
        widget.form["measure"].value = True
        widget.add([whole, left, path, other])
        widget.start_button.click()
        stage.until(lambda: not widget.running)
        stage.viewer.reset_view()
        stage.settle()
        return stage.shot()


@scene("tour-report.jpg")
def report() -> Picture:
    with tempfile.TemporaryDirectory() as folder, Stage() as stage:
        widget = stage.rendered()
        widget.sweep()
        stage.until(lambda: not widget.running)
        path = Path(folder) / "dog report.pdf"
        with _answered(path, "PDF report (*.pdf)"):
            export_report(stage.viewer)
        stage.until(path.exists)
        stage.settle()
        return of_pdf(path)


@contextmanager
def _answered(path: Path, kind: str) -> Iterator[None]:
    """Answer the next question for a file."""
    ask, QFileDialog.getSaveFileName = QFileDialog.getSaveFileName, lambda *_: (str(path), kind)
    try:
        yield
    finally:
        QFileDialog.getSaveFileName = ask


@scene("tour-retouch.jpg")
def retouch() -> Picture:
    with Stage() as stage:
        widget = stage.dock(RetouchDock)
        stage.look_at(*EYE, 1)
        widget.preset.textActivated.emit("warm evening")
        stage.until(lambda: not widget.running)
        widget.controls["exposure"].value = -0.5
        stage.until(lambda: not widget.running)
        stage.settle()
        return stage.shot()


@scene("tour-hdr.jpg")
def hdr() -> Picture:
    with Stage() as stage:
        widget = stage.dock(HdrDock)
        widget.form["contrast"].value = 0.4
        widget.form["detail"].value = 0.3
        stage.until(lambda: not widget.running)
        stage.settle()
        return stage.shot()


@scene("tour-preferences.png")
def preferences() -> Picture:
    with Stage() as stage:
        stage.dock(RenderDock)
        dialog = stage.viewer.window._open_preferences_dialog()
        pages = dialog.findChild(QListWidget)
        (page,) = pages.findItems("InvISP", Qt.MatchFlag.MatchExactly)
        pages.setCurrentItem(page)
        stage.settle()
        picture = of_image(dialog.grab().toImage())
        dialog.reject()
        return picture


@scene("tour-palette.jpg")
def palette() -> Picture:
    with Stage() as stage:
        stage.rendered()
        stage.viewer.window._toggle_command_palette()
        stage.viewer.window._qt_window._command_palette._line.setText("InvISP")
        stage.settle()
        return stage.shot()


@scene("tour-menu.jpg")
def menu() -> Picture:
    with Stage() as stage:
        stage.rendered()
        (bar,) = stage.viewer.window._qt_window.findChildren(QMenuBar)
        opened: list[QMenu] = []
        where = bar.mapToGlobal(bar.actionGeometry(_entry(bar, "Layers")).bottomLeft())
        for title in ("Layers", "Visualize", "Compare layers"):
            entry = _entry(opened[-1] if opened else bar, title)
            if opened:
                opened[-1].setActiveAction(entry)
                where = opened[-1].mapToGlobal(opened[-1].actionGeometry(entry).topRight())
            opened.append(entry.menu())
            opened[-1].popup(where)
            stage.settle()
        picture = stage.over(stage.shot(), *opened)
        for each in opened:
            each.close()
        return picture


def _entry(menu: QMenu | QMenuBar, title: str) -> QAction:
    return next(each for each in menu.actions() if each.text().replace("&", "") == title)
