"""The plugin's keyboard shortcuts; the one list of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import napari.viewer

_COMMANDS = "napari_invisp.viewer.commands"

_PAGE = """\
# Keyboard shortcuts

They work while one of the InvISP docks is open, wherever the keyboard focus is but in a text field.
napari itself uses none of these keys. Everything that they do is in the command palette
(`Ctrl+Shift+P`) and in the menus *Layers*, *File ▸ IO Utilities* and *Plugins ▸ InvISP* as well.
"""


@dataclass(frozen=True)
class Shortcut:
    """A key and what it does.

    Attributes
    ----------
    key
        As napari writes it; none that napari uses itself, whatever layer is selected.
    command
        Name of the function in :mod:`~napari_invisp.viewer.commands`.
    help
        What it does, for the documentation.
    held
        Whether it is done once more when the key was held and is let go.
    """

    key: str
    command: str
    help: str
    held: bool = False


#: All shortcuts, by group, in the order in which the documentation lists them.
SHORTCUTS = {
    "Runs": (
        Shortcut("Shift+R", "render", "render the RAW, write it as a JPEG, recover it from that"),
        Shortcut("Shift+E", "recover", "encode the rendering again, and recover the RAW"),
        Shortcut("Shift+W", "sweep", "measure the rendering at the standard JPEG qualities"),
        Shortcut("Shift+C", "cancel", "cancel the run"),
    ),
    "What is shown": (
        Shortcut("F1", "show_original", "show the original RAW only"),
        Shortcut("F2", "show_rendered", "show the rendered sRGB only"),
        Shortcut("F3", "show_jpeg", "show the decoded JPEG only"),
        Shortcut("F4", "show_recovered", "show the recovered RAW only"),
        Shortcut("F5", "show_error_only", "show the RAW error only"),
        Shortcut(".", "brighter", "show all comparable layers half a stop brighter"),
        Shortcut(",", "darker", "show all comparable layers half a stop darker"),
        Shortcut("0", "reset_exposure", "show all comparable layers at 0 EV again"),
        Shortcut("U", "toggle_clipping", "show or hide where the RAW clips"),
    ),
    "Comparing": (
        Shortcut("K", "blink", "show A and B in turns, or stop that"),
        Shortcut("J", "flip", "show the other one of A and B; hold it for a glance", held=True),
        Shortcut("W", "swipe", "divide the canvas between A and B, or stop that"),
        Shortcut("N", "side_by_side", "show A and B beside each other, or stop that"),
        Shortcut("Shift+K", "keep_as_a", "keep the present results as A"),
    ),
    "Retouching and HDR": (
        Shortcut("Shift+T", "retouch", "show the dock that retouches"),
        Shortcut("Shift+H", "hdr", "show the dock that maps tones, and merges brackets"),
        Shortcut("Shift+F", "full_frame", "make all of the retouched or tone-mapped picture"),
        Shortcut("Shift+M", "merge", "merge the selected RAW layers to one HDR layer"),
    ),
    "Measuring": (
        Shortcut("G", "error_map", "show the error map of reference and candidate"),
        Shortcut("H", "histogram", "show histogram and statistics of the RAW"),
        Shortcut("Q", "readout", "show the values under the cursor"),
    ),
}


def key_of(command: str) -> str:
    """Return the key of a command."""
    return next(each.key for each in _all() if each.command == command)


def bind(viewer: napari.viewer.Viewer) -> None:
    """Let the keys work in a viewer, except for those that are bound there already."""
    taken = {str(key) for key in viewer.keymap}
    for key, press in _PRESSES.items():
        if key not in taken:
            viewer.bind_key(key, press)


def unbind(viewer: napari.viewer.Viewer) -> None:
    """Let go of the keys, except for those that others have bound meanwhile."""
    for key, bound in list(viewer.keymap.items()):
        if bound in _PRESSES.values():
            viewer.bind_key(key, None)


def as_markdown() -> str:
    """Return the page of the documentation; ``docs/make_shortcuts.py`` writes it."""
    tables = []
    for title, group in SHORTCUTS.items():
        rows = "".join(f"| `{each.key}` | {each.help} |\n" for each in group)
        tables.append(f"## {title}\n\n| key | does |\n| --- | --- |\n{rows}")
    return "\n".join([_PAGE, *tables])


def _all() -> list[Shortcut]:
    return [each for group in SHORTCUTS.values() for each in group]


def _press(shortcut: Shortcut) -> Callable[[napari.viewer.Viewer], Any]:
    def press(viewer: napari.viewer.Viewer) -> Any:
        # Looked up late: the commands open docks, which bind these keys.
        command = getattr(import_module(_COMMANDS), shortcut.command)
        command(viewer)
        return (lambda: command(viewer)) if shortcut.held else None

    return press


_PRESSES = {each.key: _press(each) for each in _all()}
