"""What menus and command palette offer, run as napari runs it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import napari
import numpy as np
import pytest
from napari._app_model import get_app_model
from napari._app_model.constants import MenuId
from napari.layers import Layer
from npe2 import PluginManager, PluginManifest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDockWidget, QFileDialog, QMainWindow

import napari_invisp
from napari_invisp.inspection.rate import SWEEP
from napari_invisp.viewer.compare.comparing import Mode
from napari_invisp.viewer.docks import opening
from napari_invisp.viewer.docks.archive import ArchiveDock
from napari_invisp.viewer.docks.base import Dock
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
from napari_invisp.viewer.layers import FIGURES, KEPT, facts_of
from napari_invisp.viewer.layers.clipping import overlay_of
from napari_invisp.viewer.menus import LAYER_COMMANDS

PLUGIN = "napari-invisp"
MANIFEST = PluginManifest.from_file(Path(napari_invisp.__file__).parent / "napari.yaml")
DOCKS = {
    "widget": RenderDock,
    "errors": ErrorMapsDock,
    "jpeg": JpegDock,
    "batch": BatchDock,
    "archive": ArchiveDock,
    "compare": CompareDock,
    "retouch": RetouchDock,
    "hdr": HdrDock,
    "rate": RateDock,
    "histogram": HistogramDock,
    "readout": ReadoutDock,
}
# For napari itself: readers, writers, and the sample.
INTERNAL = {
    each.command
    for kind in ("readers", "writers", "sample_data")
    for each in getattr(MANIFEST.contributions, kind)
}
FOR_PEOPLE = {each.id for each in MANIFEST.contributions.commands} - INTERNAL

pytestmark = pytest.mark.usefixtures("display")


@pytest.fixture
def window(make_napari_viewer: Callable[..., napari.Viewer]) -> napari.Viewer:
    return make_napari_viewer(show=True)


def run(name: str) -> None:
    get_app_model().commands.execute_command(f"{PLUGIN}.{name}").result()


def docked(dock: Dock) -> QDockWidget:
    found = dock.parentWidget()
    assert isinstance(found, QDockWidget)
    return found


def is_seen(dock: Dock) -> bool:
    """Tell whether a dock is on the screen, not behind another tab."""
    return dock.isVisible() and not dock.visibleRegion().isEmpty()


def visible(viewer: napari.Viewer) -> list[str]:
    return [layer.name for layer in viewer.layers if layer.visible]


# -- docks -------------------------------------------------------------------------------------


def test_docks_are_called_as_in_the_manifest() -> None:
    titles = {each.command: each.display_name for each in MANIFEST.contributions.widgets}
    assert titles == {f"{PLUGIN}.{name}": kind.menu_title for name, kind in DOCKS.items()}
    assert RateDock.dock_name() == f"Rate and distortion ({MANIFEST.display_name})"


def test_menu_and_code_open_the_same_docks(qtbot: QtBot, window: napari.Viewer) -> None:
    for name, kind in DOCKS.items():
        run(name)
        dock = window.window.dock_widgets[kind.dock_name()]
        assert type(dock) is kind
        qtbot.waitUntil(lambda dock=dock: is_seen(dock))
        assert opening.dock(window, kind) is dock
    assert set(window.window.dock_widgets) == {kind.dock_name() for kind in DOCKS.values()}


def test_docks_lie_as_tabs_beside_each_other(qtbot: QtBot, window: napari.Viewer) -> None:
    main: QMainWindow = window.window._qt_window
    main.resize(1500, 950)
    opened = {}
    for name, kind in DOCKS.items():
        if name in ("errors", "batch"):
            run(name)  # as the Plugins menu does
        else:
            opening.dock(window, kind)
        opened[kind] = dock = window.window.dock_widgets[kind.dock_name()]
        qtbot.waitUntil(lambda dock=dock: is_seen(dock))
    areas = {kind: main.dockWidgetArea(docked(dock)) for kind, dock in opened.items()}
    right, bottom = Qt.DockWidgetArea.RightDockWidgetArea, Qt.DockWidgetArea.BottomDockWidgetArea
    below = {ReadoutDock, BatchDock}
    assert areas == {kind: bottom if kind in below else right for kind in opened}
    beside = {opened[kind] for kind in opened if kind not in below}
    for dock in beside:
        assert {each.widget() for each in main.tabifiedDockWidgets(docked(dock))} == beside - {dock}
    assert [dock for dock in beside if is_seen(dock)] == [opened[HistogramDock]]
    # One line that is always seen, and room for a table below it.
    assert is_seen(opened[ReadoutDock])
    assert is_seen(opened[BatchDock])
    qtbot.waitUntil(lambda: docked(opened[ReadoutDock]).height() < 130)
    assert docked(opened[BatchDock]).height() > 200


def test_where_the_user_puts_a_dock_is_where_it_comes_back(
    qtbot: QtBot, window: napari.Viewer
) -> None:
    main: QMainWindow = window.window._qt_window
    left = Qt.DockWidgetArea.LeftDockWidgetArea
    dock = opening.dock(window, HistogramDock)
    main.addDockWidget(left, docked(dock))
    with qtbot.waitSignal(dock.destroyed):
        docked(dock).destroyOnClose()
    again = opening.dock(window, HistogramDock)
    assert again is not dock
    assert main.dockWidgetArea(docked(again)) == left


def test_the_menu_brings_forward_what_lies_behind_and_hides_what_is_seen(
    qtbot: QtBot, window: napari.Viewer
) -> None:
    first, second = opening.dock(window), opening.dock(window, CompareDock)
    qtbot.waitUntil(lambda: is_seen(second) and not is_seen(first))
    run("widget")
    qtbot.waitUntil(lambda: is_seen(first) and not is_seen(second))
    run("widget")
    assert not first.isVisible()
    run("widget")
    qtbot.waitUntil(lambda: is_seen(first))


# -- commands ----------------------------------------------------------------------------------


class Session:
    """A user who runs one command after the other."""

    def __init__(self, qtbot: QtBot, viewer: napari.Viewer) -> None:
        self.viewer = viewer
        self.ran: set[str] = set()
        self._qtbot = qtbot

    def __call__(self, name: str) -> None:
        self.ran.add(f"{PLUGIN}.{name}")
        run(name)

    def wait(self, condition: Callable[[], Any]) -> None:
        self._qtbot.waitUntil(lambda: bool(condition()), timeout=60_000)

    def dock(self, kind: type[Any]) -> Any:
        return self.viewer.window.dock_widgets[kind.dock_name()]


@pytest.fixture
def chosen(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Path]]:
    """Files that the user chooses, one after the other."""
    paths: list[Path] = []

    def choose(*_: Any) -> tuple[str, str]:
        return str(paths.pop(0)), ""

    monkeypatch.setattr(QFileDialog, "getSaveFileName", choose)
    monkeypatch.setattr(QFileDialog, "getOpenFileName", choose)
    yield paths
    assert not paths


def test_every_command_does_what_it_says(
    qtbot: QtBot,
    window: napari.Viewer,
    dng: Path,
    chosen: list[Path],
    said: list[str],
    tmp_path: Path,
) -> None:
    do = Session(qtbot, window)
    layers = window.layers
    for name, kind in DOCKS.items():
        do(name)
        assert kind.dock_name() in window.window.dock_widgets
    widget, compare = do.dock(RenderDock), do.dock(CompareDock)
    window.open(dng, plugin=PLUGIN)
    original = layers["scene"]

    do("render")
    do.wait(lambda: not widget.running)
    rendered = layers["scene rendered sRGB"]
    assert facts_of(rendered)[FIGURES].quality == 90
    do("recover")
    assert widget.running
    do("cancel")
    do.wait(lambda: not widget.running)
    assert widget.stage.text() == "Cancelled"
    do("recover")
    do.wait(lambda: not widget.running)
    do("sweep")
    do.wait(lambda: not widget.running)
    ((_, points),) = list(widget.runs.curves(original))
    assert tuple(point.quality for point in points) == SWEEP

    for name, shown in (
        ("show_original", "scene"),
        ("show_jpeg", "scene decoded JPEG"),
        ("show_recovered", "scene recovered RAW (bilinear)"),
        ("show_error_only", "scene RAW error"),
        ("show_rendered", "scene rendered sRGB"),
    ):
        do(name)
        assert visible(window) == [shown]
    exposure = compare.exposure_form["exposure"]
    do("brighter")
    assert exposure.value == 0.5
    do("darker")
    do("darker")
    assert exposure.value == -0.5
    do("reset_exposure")
    assert exposure.value == 0

    for name, mode in (
        ("blink", Mode.BLINK),
        ("swipe", Mode.SWIPE),
        ("side_by_side", Mode.SIDE_BY_SIDE),
    ):
        do(name)
        assert compare.comparison.mode is mode
    do("side_by_side")
    assert compare.comparison.mode is None
    do("flip")
    assert compare.comparison.mode is Mode.BLINK
    assert not compare.comparison.automatic
    compare.comparison.stop()
    do("keep_as_a")
    assert facts_of(rendered)[KEPT] == "A"
    compare.release_a()

    do("error_map")
    errors = do.dock(ErrorMapsDock)
    do.wait(lambda: not errors.running)
    assert layers[-1] is errors.map_layer
    layers.selection.active = original
    do("clipping")
    overlay = overlay_of(layers["scene mosaic"])
    do.wait(lambda: overlay.layer is not None)
    do("clipping")
    assert not overlay.on

    layers.selection.active = original
    hdr = do.dock(HdrDock)
    hdr.preview()
    do.wait(lambda: not hdr.running)
    do("full_frame")
    do.wait(lambda: not hdr.running)
    assert hdr.progress.stage.text().startswith("Done in ")
    layers.selection.active = hdr.result
    do("compare_sources")
    do.wait(lambda: not hdr.running)
    assert "scene decoded JPEG tone-mapped" in layers
    assert not hdr.comparison.isHidden()
    layers.selection = {original}
    do("merge")
    assert said.pop() == "error: select two RAW layers or more of one scene to merge them"

    layers.selection.active = layers["scene decoded JPEG"]
    do("recall")
    assert said[-1] == (
        "info: scene decoded JPEG: decoded JPEG of scene.dng, taken with Maker Model One, "
        "rendered with universal, headroom 0.5, JPEG quality 90, 4:2:2"
    )
    layers.selection.active = rendered
    jpeg = tmp_path / "export.jpg"
    for name, path in (
        ("export_layer", jpeg),
        ("export_statistics", tmp_path / "statistics.csv"),
        ("export_report", tmp_path / "report.html"),
    ):
        chosen.append(path)
        do(name)
        do.wait(lambda path=path: f"info: saved {path}" in said)
        assert path.stat().st_size > 100

    archive = do.dock(ArchiveDock)
    kept = tmp_path / "kept.jpg"
    chosen.append(kept)
    do("archive_jpeg")
    do.wait(lambda: not archive.running)
    assert kept.stat().st_size > 100
    do("compare_sizes")
    do.wait(lambda: archive.table.rowCount() > 0)
    archive.cancel()

    layers.clear()
    chosen.append(jpeg)
    do("recover_file")
    do.wait(lambda: not widget.running)
    assert "export recovered RAW" in layers
    layers.clear()
    window.open(jpeg, plugin="napari")
    do("recover_layer")
    do.wait(lambda: not widget.running)
    assert "export recovered RAW" in layers
    assert not [each for each in said if not each.startswith("info: ")]
    assert do.ran == FOR_PEOPLE


def test_what_cannot_be_done_is_said_in_one_sentence(
    window: napari.Viewer, said: list[str]
) -> None:
    window.add_image(np.zeros((4, 4)), name="other")
    for name, sentence in (
        ("render", "open a camera RAW file first"),
        ("recover", "render a RAW first"),
        ("sweep", "render a RAW first"),
        ("show_jpeg", "there is no JPEG picture of this RAW: render it first"),
        ("blink", "open or make two images to compare first"),
        ("flip", "open or make two images to compare first"),
        ("keep_as_a", "render a RAW first"),
        ("recall", "nothing is known of 'other': napari-invisp did not make it"),
        ("archive_jpeg", "open a camera RAW file first"),
        ("compare_sizes", "open a camera RAW file that is still there"),
        ("recover_layer", "select a layer that was opened from a JPEG file first"),
        ("export_layer", "select a layer that napari-invisp made, to export it"),
        (
            "error_map",
            "Choose a candidate other than the reference: render the RAW first, or open a "
            "ground truth.",
        ),
    ):
        run(name)
        assert said.pop() == f"error: {sentence}"
    window.layers.clear()
    run("recall")
    assert said.pop() == "error: select a layer first"
    assert not said


# -- menus -------------------------------------------------------------------------------------


def in_menus() -> dict[str, set[str]]:
    """Return the menus that hold each of our commands."""
    found: dict[str, set[str]] = {}
    menus = get_app_model().menus
    for name in {*menus._menu_items} - {menus.COMMAND_PALETTE_ID}:
        for item in menus.get_menu(name):
            command = getattr(item, "command", None)
            if command is not None and command.id.startswith(f"{PLUGIN}."):
                found.setdefault(command.id, set()).add(str(name))
    return found


def test_every_command_is_in_menus_and_palette(window: napari.Viewer) -> None:
    found = in_menus()
    assert found.keys() >= FOR_PEOPLE
    for name in DOCKS:
        assert f"napari/plugins/{PLUGIN}" in found[f"{PLUGIN}.{name}"]
    for name, menu in (
        ("render", "napari/layers/data"),
        ("recover_layer", "napari/layers/data"),
        ("clipping", "napari/layers/visualize"),
        ("histogram", "napari/layers/measure"),
        ("batch", "napari/file/io_utilities"),
        ("blink", f"{PLUGIN}/compare"),
    ):
        assert menu in found[f"{PLUGIN}.{name}"]
    menus = get_app_model().menus
    reached = {getattr(each, "submenu", None) for each in menus.get_menu("napari/layers/visualize")}
    assert {f"{PLUGIN}/show", f"{PLUGIN}/compare", f"{PLUGIN}/exposure"} <= reached
    palette = {each.command.id: each.command for each in menus.get_menu(menus.COMMAND_PALETTE_ID)}
    assert palette.keys() >= FOR_PEOPLE
    for name in FOR_PEOPLE:
        assert palette[name].title.endswith(f"({MANIFEST.display_name})")
        assert palette[name].enablement is None


def test_the_palette_does_not_offer_what_needs_a_file_of_napari(window: napari.Viewer) -> None:
    menus = get_app_model().menus
    palette = {each.command.id: each.command for each in menus.get_menu(menus.COMMAND_PALETTE_ID)}
    for name in INTERNAL & palette.keys():
        assert palette[name].enablement.eval({}) is False
    assert f"{PLUGIN}.write_dng" in INTERNAL & palette.keys()


def test_the_layer_list_offers_what_concerns_a_layer(
    window: napari.Viewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offered() -> set[str]:
        return {name for name, menus in in_menus().items() if MenuId.LAYERLIST_CONTEXT in menus}

    # Tests before this one may have activated the plugin, in windows of their own.
    plugins = PluginManager.instance()
    monkeypatch.setattr(plugins.get_context(PLUGIN), "_activated", False)
    assert not offered()
    plugins.activate(PLUGIN)  # as opening a RAW does, and whatever else it offers
    assert offered() == set(LAYER_COMMANDS)
    assert set(LAYER_COMMANDS) <= FOR_PEOPLE


def test_recalling_tells_layers_that_were_opened_with_a_dock(
    window: napari.Viewer, dng: Path, said: list[str]
) -> None:
    window.open(dng, plugin=PLUGIN)
    layer: Layer = window.layers["scene mosaic"]
    window.layers.selection.active = layer
    run("recall")
    assert said == ["info: scene mosaic: RAW mosaic of scene.dng, taken with Maker Model One"]
