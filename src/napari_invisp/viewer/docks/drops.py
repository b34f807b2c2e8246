"""Files that are dropped on a dock."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from qtpy.QtCore import QEvent, QObject, Signal  # type: ignore[attr-defined]
from qtpy.QtGui import QDropEvent
from qtpy.QtWidgets import QWidget


class Drops(QObject):
    """Takes files that are dropped on a widget.

    Attributes
    ----------
    dropped
        A list of their paths.

    Parameters
    ----------
    widget
        Where they may be dropped.
    wanted
        Tells whether a path is one to take; where none is, nothing can be dropped.
    """

    dropped = Signal(list)

    def __init__(self, widget: QWidget, wanted: Callable[[Path], bool]) -> None:
        super().__init__(widget)
        self._wanted = wanted
        widget.setAcceptDrops(True)
        widget.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        """Look at what is dragged over the widget, and take it when it is dropped."""
        if isinstance(event, QDropEvent):  # those of entering and moving are too
            mime = event.mimeData()
            urls = mime.urls() if mime is not None else []
            paths = [Path(url.toLocalFile()) for url in urls if url.isLocalFile()]
            taken = [path for path in paths if self._wanted(path)]
            event.setAccepted(bool(taken))
            if taken:
                event.acceptProposedAction()
                if event.type() == QEvent.Type.Drop:
                    self.dropped.emit(taken)
            return True
        return False
