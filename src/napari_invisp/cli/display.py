"""Whether a window can be opened."""

from __future__ import annotations

import os
import subprocess
import sys

_INSTALL = 'the viewer needs napari and Qt: install them with pip install "napari-invisp[qt]"'

# Where there is no display, or a library of the system is missing, Qt ends the whole process.
_PROBE = "from qtpy.QtWidgets import QApplication; QApplication([])"


def viewer_problem() -> str | None:
    """Say in one sentence why napari cannot be opened, or return ``None`` if it can."""
    try:
        import napari  # noqa: F401
        import qtpy.QtWidgets  # noqa: F401
    except (ImportError, RuntimeError):  # qtpy raises either where there is no Qt
        return _INSTALL
    if not sys.platform.startswith("linux"):
        return None
    if not any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"))):
        return "there is no display to open a window on (DISPLAY is not set)"
    probe = subprocess.run([sys.executable, "-c", _PROBE], capture_output=True, text=True)
    if probe.returncode == 0:
        return None
    reasons = [line.strip() for line in probe.stderr.splitlines() if line.strip()]
    return f"Qt cannot open a window here: {(reasons or ['it does not say why'])[0]}"
