"""Telling the user why something came to nothing."""

from __future__ import annotations

from napari.utils.notifications import notification_manager, show_error

from napari_invisp.errors import InvispError


def report_failure(error: Exception) -> None:
    """Tell the user why work came to nothing; a defect goes to napari's own handler."""
    if isinstance(error, InvispError):
        show_error(str(error))
    else:
        notification_manager.receive_error(type(error), error, error.__traceback__)
