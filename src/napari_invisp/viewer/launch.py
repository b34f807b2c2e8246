"""Opening napari with the plugin docked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import napari
from napari.utils.notifications import show_info

from napari_invisp.errors import CapsuleError, RawFileError
from napari_invisp.files import read_whole
from napari_invisp.jpeg.capsule import from_jpeg
from napari_invisp.sensor.reading import is_raw_name
from napari_invisp.viewer.docks.opening import dock
from napari_invisp.viewer.layers import JPEG_SUFFIXES


def launch(paths: Sequence[Path] = (), block: bool = True) -> napari.Viewer:
    """Open napari with the dock widget and some files.

    Parameters
    ----------
    paths
        Camera RAW files; JPEG files, whose RAW is recovered where they hold one and which are
        shown as pictures where they do not; and whatever else napari can open.
    block
        Return only when the window is closed.

    Returns
    -------
    napari.Viewer
        The window.

    Raises
    ------
    RawFileError
        A RAW file cannot be used, or a file does not exist; no window stays open.
    CapsuleError
        A JPEG file cannot be read.
    """
    for path in paths:
        if not path.is_file():
            raise RawFileError(f"{path} does not exist")
    capsules, pictures, notes = [], [], []
    for path in paths:
        if path.suffix.lower() in JPEG_SUFFIXES:
            try:
                from_jpeg(read_whole(path, "a JPEG file", CapsuleError), str(path))
                capsules.append(path)
                continue
            except CapsuleError as error:
                notes.append(str(error))
        pictures.append(path)
    viewer = napari.Viewer(title="napari-invisp")
    try:
        widget = dock(viewer)
        for path in pictures:
            viewer.open(path, plugin="napari-invisp" if is_raw_name(path) else None)
    except BaseException:
        viewer.close()
        raise
    for note in notes:
        show_info(note)
    if capsules:
        widget.recover_files(capsules)
    if block:
        napari.run()
    return viewer
