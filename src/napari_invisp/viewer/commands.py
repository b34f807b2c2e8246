"""Commands for napari's menus, its command palette, and keys."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from napari import Viewer
from napari.utils.notifications import show_error, show_info
from qtpy.QtWidgets import QPushButton

from napari_invisp.viewer.compare.comparing import Mode
from napari_invisp.viewer.docks.archive import ArchiveDock
from napari_invisp.viewer.docks.base import Dock
from napari_invisp.viewer.docks.compare import CompareDock
from napari_invisp.viewer.docks.errors import ErrorMapsDock
from napari_invisp.viewer.docks.hdr import HdrDock
from napari_invisp.viewer.docks.histogram import HistogramDock
from napari_invisp.viewer.docks.opening import dock, open_dock
from napari_invisp.viewer.docks.preview import PreviewDock
from napari_invisp.viewer.docks.rate import RateDock
from napari_invisp.viewer.docks.readout import ReadoutDock
from napari_invisp.viewer.docks.render import RenderDock, ask_for_jpeg
from napari_invisp.viewer.docks.retouch import RetouchDock
from napari_invisp.viewer.layers import jpeg_path_of
from napari_invisp.viewer.layers.clipping import toggle_clipping as toggle_clipping
from napari_invisp.viewer.layers.provenance import in_words, known_of, recall_layer
from napari_invisp.viewer.proxy import unproxied

_D = TypeVar("_D", bound=Dock)

# How much brighter or darker one command shows the layers, in stops.
_STOPS = 0.5

_NOTHING_TO_COMPARE = "open or make two images to compare first"
_NOTHING_OPEN = "open a camera RAW file first"
_NOTHING_RENDERED = "render a RAW first"


def _at_hand(viewer: Viewer, kind: type[_D]) -> _D:
    """Return a dock wherever it is; open it if it is closed."""
    return open_dock(viewer, kind) or dock(viewer, kind)


# -- runs --------------------------------------------------------------------------------------


def render(viewer: Viewer) -> None:
    """Render the picked RAW, encode it and recover it."""
    _press(_at_hand(viewer, RenderDock).render_button, _NOTHING_OPEN)


def recover(viewer: Viewer) -> None:
    """Encode the picked RAW's rendering again, and recover it."""
    _press(_at_hand(viewer, RenderDock).recover_button, _NOTHING_RENDERED)


def cancel(viewer: Viewer) -> None:
    """Stop what is going on; what was painted stays."""
    _at_hand(viewer, RenderDock).cancel()


def sweep(viewer: Viewer) -> None:
    """Measure the picked RAW's rendering at all standard qualities, and plot that."""
    widget = _at_hand(viewer, RenderDock)
    if widget.recover_button.isEnabled():
        dock(viewer, RateDock)
        widget.sweep()
    else:
        show_error(_NOTHING_RENDERED)


def recover_layer(viewer: Viewer) -> None:
    """Recover the RAW of the JPEG file that the selected layer was opened from."""
    active = viewer.layers.selection.active
    path = jpeg_path_of(active) if active is not None else None
    if path is None:
        show_error("select a layer that was opened from a JPEG file first")
    else:
        dock(viewer).recover_files([path])


def recover_file(viewer: Viewer) -> None:
    """Ask for a JPEG file and recover its RAW."""
    path = ask_for_jpeg(None)
    if path is not None:
        dock(viewer).recover_files([path])


# -- keeping -----------------------------------------------------------------------------------


def archive_jpeg(viewer: Viewer) -> None:
    """Ask for a file, and keep the picked RAW in it as the archive dock says."""
    _press(dock(viewer, ArchiveDock).save_button, _NOTHING_OPEN)


def compare_sizes(viewer: Viewer) -> None:
    """Measure what the picked RAW takes, kept in several ways."""
    _press(dock(viewer, ArchiveDock).compare_button, "open a camera RAW file that is still there")


# -- what is shown -----------------------------------------------------------------------------


def show_original(viewer: Viewer) -> None:
    """Show the original of the picked RAW only."""
    _show_only(viewer, "Original")


def show_rendered(viewer: Viewer) -> None:
    """Show the rendered sRGB of the picked RAW only."""
    _show_only(viewer, "Rendered")


def show_jpeg(viewer: Viewer) -> None:
    """Show the decoded JPEG of the picked RAW only."""
    _show_only(viewer, "JPEG")


def show_recovered(viewer: Viewer) -> None:
    """Show only what was recovered of the picked RAW."""
    _show_only(viewer, "Recovered")


def show_error_only(viewer: Viewer) -> None:
    """Show the RAW error of the picked RAW only."""
    _show_only(viewer, "Error")


def brighter(viewer: Viewer) -> None:
    """Show all comparable layers brighter."""
    _at_hand(viewer, CompareDock).expose(_STOPS)


def darker(viewer: Viewer) -> None:
    """Show all comparable layers darker."""
    _at_hand(viewer, CompareDock).expose(-_STOPS)


def reset_exposure(viewer: Viewer) -> None:
    """Show all comparable layers at 0 EV."""
    _at_hand(viewer, CompareDock).exposure_form.reset()


# -- comparing ---------------------------------------------------------------------------------


def blink(viewer: Viewer) -> None:
    """Show A and B in turns, or stop doing so."""
    _compare(viewer, Mode.BLINK)


def swipe(viewer: Viewer) -> None:
    """Divide the canvas between A and B by a line that can be dragged, or stop doing so."""
    _compare(viewer, Mode.SWIPE)


def side_by_side(viewer: Viewer) -> None:
    """Show A and B beside each other, or stop doing so."""
    _compare(viewer, Mode.SIDE_BY_SIDE)


def flip(viewer: Viewer) -> None:
    """Show the other one of A and B, and leave it at that."""
    _press(_at_hand(viewer, CompareDock).flip_button, _NOTHING_TO_COMPARE)


def keep_as_a(viewer: Viewer) -> None:
    """Keep the results that A or B belongs to, to compare later ones with them."""
    _press(_at_hand(viewer, CompareDock).keep_button, _NOTHING_RENDERED)


# -- measuring ---------------------------------------------------------------------------------


def error_map(viewer: Viewer) -> None:
    """Show where reference and candidate differ."""
    widget = dock(viewer, ErrorMapsDock)
    _press(widget.show_button, widget.note.text())


def histogram(viewer: Viewer) -> None:
    """Show the dock with histogram and statistics of the RAW."""
    dock(viewer, HistogramDock)


def readout(viewer: Viewer) -> None:
    """Show the dock with the values under the cursor."""
    dock(viewer, ReadoutDock)


def recall(viewer: Viewer) -> None:
    """Say what the selected layer shows and how that was made, from its file if need be."""
    viewer = unproxied(viewer)
    layer = viewer.layers.selection.active
    if layer is None:
        show_error("select a layer first")
        return
    recall_layer(layer)
    provenance = known_of(layer, viewer.layers)
    if provenance is None:
        show_error(f"nothing is known of {layer.name!r}: napari-invisp did not make it")
    else:
        show_info(f"{layer.name}: {in_words(provenance)}")


# -- retouching and HDR ------------------------------------------------------------------------


def retouch(viewer: Viewer) -> None:
    """Show the dock that retouches."""
    dock(viewer, RetouchDock)


def hdr(viewer: Viewer) -> None:
    """Show the dock that maps tones, and merges brackets."""
    dock(viewer, HdrDock)


def full_frame(viewer: Viewer) -> None:
    """Finish the retouched or tone-mapped picture that is selected, or that is on top."""
    found = _dock_of_result(viewer)
    if found is not None:
        found.full_button.click()
    else:
        show_error("retouch a picture, or map its tones, to make all of it")


def compare_sources(viewer: Viewer) -> None:
    """Retouch, or map the tones of, original RAW, recovered RAW and JPEG alike, and compare."""
    found = _dock_of_result(viewer) or max(  # otherwise one that is not behind others
        _preview_docks(viewer), key=lambda each: not each.visibleRegion().isEmpty(), default=None
    )
    if found is not None:
        _press(found.compare_button, found.no_comparison())
    else:
        show_error("retouch a RAW, or map its tones, to compare its sources")


def merge(viewer: Viewer) -> None:
    """Merge the RAW layers that are selected to one HDR layer."""
    _press(
        dock(viewer, HdrDock).merge_layers_button,
        "select two RAW layers or more of one scene to merge them",
    )


# -- parts -------------------------------------------------------------------------------------


def _preview_docks(viewer: Viewer) -> Iterator[PreviewDock]:
    return (each for each in Dock.all_of(unproxied(viewer)) if isinstance(each, PreviewDock))


def _dock_of_result(viewer: Viewer) -> PreviewDock | None:
    """Find the dock of the picture that is selected, or else of the one that is on top."""
    viewer = unproxied(viewer)
    layers = [*viewer.layers, viewer.layers.selection.active]  # the selected one comes last
    docks = {each.result: each for each in _preview_docks(viewer) if each.result is not None}
    return next((docks[layer] for layer in reversed(layers) if layer in docks), None)


def _press(button: QPushButton, otherwise: str) -> None:
    """Press a button, or say why that cannot be."""
    if button.isEnabled():
        button.click()
    else:
        show_error(otherwise)


def _show_only(viewer: Viewer, title: str) -> None:
    widget = _at_hand(viewer, RenderDock)
    what = title if title == "JPEG" else title.lower()
    _press(widget.show_buttons[title], f"there is no {what} picture of this RAW: render it first")


def _compare(viewer: Viewer, mode: Mode) -> None:
    _press(_at_hand(viewer, CompareDock).mode_buttons[mode], _NOTHING_TO_COMPARE)
