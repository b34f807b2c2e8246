"""Where the viewer's tests run: on a virtual display, where there is one."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from records import make_smooth_record

from napari_invisp.sensor.dng import write_dng
from napari_invisp.sensor.record import RawRecord

if TYPE_CHECKING:
    from napari.components import ViewerModel

_PROBE = "from qtpy.QtWidgets import QApplication; QApplication([])"


def _display_works() -> bool:
    """Tell whether Qt can open windows; where it cannot, it ends the whole process."""
    if sys.platform != "linux":
        return True
    if not os.environ.get("DISPLAY"):
        return False
    environment = os.environ | {"QT_QPA_PLATFORM": "xcb"}
    probe = subprocess.run(
        [sys.executable, "-c", _PROBE], env=environment, capture_output=True, check=False
    )
    return probe.returncode == 0


if find_spec("napari") is None or find_spec("PyQt6") is None:
    collect_ignore_glob = ["test_*.py", "docks/test_*.py"]


@pytest.fixture(scope="session", autouse=True)
def has_display() -> bool:
    """Choose Qt's platform before its application is made, and tell whether it has windows."""
    works = _display_works()
    if sys.platform == "linux":
        os.environ["QT_QPA_PLATFORM"] = "xcb" if works else "offscreen"
    return works


@pytest.fixture
def display(has_display: bool) -> None:
    """Skip where no window can be opened."""
    if not has_display:
        pytest.skip("no display, and no Xvfb, to open windows on")


@pytest.fixture(autouse=True)
def _own_preferences(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keep from the preferences of whoever runs the tests: neither read nor write them."""
    from napari import settings

    monkeypatch.setattr(settings, "_SETTINGS", settings.NapariSettings(config_path=None))
    monkeypatch.setattr(settings, "_CFG_PATH", None)
    settings._SETTINGS._connect_events()
    settings._clear_plugin_settings_cache()
    yield
    settings._clear_plugin_settings_cache()


@pytest.fixture(autouse=True)
def _no_thread_stays() -> Iterator[None]:
    """Fail a test that leaves a run behind."""
    from napari_invisp.viewer.work.worker import THREAD_NAME

    yield
    for thread in threading.enumerate():
        if thread.name == THREAD_NAME:
            thread.join(10)
            assert not thread.is_alive()


@pytest.fixture
def record() -> RawRecord:
    """A small RAW of a smooth scene, stored on its side."""
    return make_smooth_record((96, 128), "GRBG").replace(orientation=6)


@pytest.fixture
def dng(record: RawRecord, tmp_path: Path) -> Path:
    """The same as a file."""
    path = tmp_path / "scene.dng"
    write_dng(path, record)
    return path


@pytest.fixture
def viewer() -> ViewerModel:
    """A viewer without a window, with the installed plugins."""
    from napari.components import ViewerModel
    from npe2 import PluginManager

    PluginManager.instance().discover()
    return ViewerModel()


@pytest.fixture
def said() -> Iterator[list[str]]:
    """What the user was told, as 'severity: sentence'."""
    from napari.utils.notifications import notification_manager

    sentences: list[str] = []

    def note(event: Any) -> None:
        sentences.append(f"{event.severity}: {event.message}")

    notification_manager.notification_ready.connect(note)
    yield sentences
    notification_manager.notification_ready.disconnect(note)
