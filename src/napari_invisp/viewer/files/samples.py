"""Sample data for the File menu."""

from __future__ import annotations

from napari_invisp.samples import sample_path
from napari_invisp.viewer.files.readers import read_layers
from napari_invisp.viewer.layers import LayerData


def open_dog() -> list[LayerData]:
    """Open the RAW file that comes with the package."""
    return read_layers(sample_path())
