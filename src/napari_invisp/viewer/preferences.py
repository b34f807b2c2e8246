"""What the user prefers: napari's Preferences hold it, between sessions too.

The manifest lists the properties; they are fields of
:class:`~napari_invisp.settings.RenderSettings` and of
:class:`~napari_invisp.settings.ArchiveSettings`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from napari.settings import get_plugin_settings
from napari.utils.notifications import show_warning
from qtpy.compat import isalive
from qtpy.QtCore import QTimer

from napari_invisp.errors import SettingsError
from napari_invisp.settings import ArchiveSettings, RenderSettings, Settings
from napari_invisp.zoo import FOR_USE

PLUGIN = "napari-invisp"
#: The headings in the Preferences, as the manifest has them.
HEADINGS = ("rendering", "computing", "archive")

_S = TypeVar("_S", bound=Settings)

# How long preferences have to rest before they count.
_REST_MS = 500


def default_settings() -> RenderSettings:
    """Return the preferred settings.

    A value that cannot be used is left at its default, and the user is told so.
    """
    return _usable(RenderSettings, "rendering", "computing")


def default_archive() -> ArchiveSettings:
    """Return what JPEG files are preferred to carry; see :func:`default_settings`."""
    return _usable(ArchiveSettings, "archive")


def _usable(settings: type[_S], *headings: str) -> _S:
    usable: dict[str, Any] = {}
    for name, value in _preferred(headings).items():
        try:
            settings(**{name: value})
            if name == "model" and value not in FOR_USE and not Path(value).is_file():
                raise SettingsError(f"there is no model or checkpoint file {value!r}")
            usable[name] = value
        except SettingsError as error:
            default = getattr(settings(), name)
            show_warning(f"Preferences of napari-invisp: {error}, so it stays at {default!r}.")
    return settings(**usable)


def on_change(told: Callable[[], None]) -> Callable[[], None]:
    """Call back once the user has changed preferences of this plugin.

    The Preferences change with each letter that is typed, so this waits until they rest.

    Returns
    -------
    callable
        Ends that.
    """
    settings = _settings()
    if settings is None:
        return lambda: None

    rest = QTimer()
    rest.setSingleShot(True)
    rest.setInterval(_REST_MS)
    rest.timeout.connect(told)

    def hear(event: Any = None) -> None:
        rest.start()

    def stop() -> None:
        settings.events.changed.disconnect(hear)
        if isalive(rest):  # it is not where the whole program ends
            rest.stop()

    settings.events.changed.connect(hear)
    return stop


def _preferred(headings: Iterable[str]) -> dict[str, Any]:
    settings = _settings()
    values: dict[str, Any] = {}
    for heading in headings if settings is not None else ():
        values |= getattr(settings, heading).model_dump()
    return values


def _settings() -> Any | None:
    """Return napari's settings of this plugin; none if it is not installed as one."""
    try:
        return get_plugin_settings(PLUGIN)
    except KeyError:
        return None
