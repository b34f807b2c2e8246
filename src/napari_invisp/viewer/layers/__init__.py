"""What the plugin's layers look like, and what they say about themselves.

Every layer shows the frame *as the sensor stored it*, so that row and column of a value under the
cursor are those of its CFA site, in pictures and mosaics alike. The layer's ``affine`` turns it
upright on the canvas. Layers are multiscale; level 0 holds the pixels themselves.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_invisp.jpeg.codec import JPEG_SUFFIXES as JPEG_SUFFIXES
from napari_invisp.pictures import bilinear_codes
from napari_invisp.sensor.record import RawRecord
from napari_invisp.viewer.layers.pyramids import pyramid

if TYPE_CHECKING:
    from napari.layers import Layer

#: Where ``layer.metadata`` holds what this plugin knows about a layer: a dict with these keys.
METADATA_KEY = "napari_invisp"
#: What the layer shows: a :class:`Kind`.
KIND = "kind"
#: The :class:`~napari_invisp.sensor.record.RawRecord` that it shows, in whatever form.
RECORD = "record"
#: Of layers that come from a file: its path, a string.
SOURCE = "source"
#: Of results: the record of the RAW layer that they were made from.
ORIGINAL = "original"
#: Of rendered sRGB: the :class:`~napari_invisp.pipeline.Rendering`.
RENDERING = "rendering"
#: Of rendered sRGB and of JPEG: the :class:`~napari_invisp.inspection.figures.Figures` of the JPEG.
FIGURES = "figures"
#: Of results: how they were made.
MODEL, HEADROOM, QUALITY, SUBSAMPLING = "model", "headroom", "quality", "subsampling"

#: Of results that the user keeps beside later ones: the letter that they are kept under.
KEPT = "kept"
#: Of results that are not of one piece yet: ``True`` until the whole frame is of one setting.
PARTIAL = "partial"

#: Of layers from files that this program wrote: the
#: :class:`~napari_invisp.inspection.provenance.Provenance` in the file.
PROVENANCE = "provenance"

#: Of error maps: the :class:`~napari_invisp.settings.ErrorMapSettings` that they are painted by.
MAP = "error_map"
#: Of error maps of two layers that were picked: their ``unique_id``, the reference's first.
PAIR = "pair"

#: Of RAW layers: the :class:`~napari_invisp.inspection.rate.RateCurves` that were measured.
CURVES = "curves"

#: Of pictures that are made of other layers: the ``unique_id`` of these, or paths of files.
MADE_OF = "made_of"
#: Of retouched and tone-mapped pictures: the settings that they are made by.
LOOK = "look"

#: A picture and, each half as large as the one before, what is shown from afar.
Levels = list[NDArray[Any]]
#: Data, arguments and type of a layer, as napari takes them from plugins.
LayerData = tuple[Levels, dict[str, Any], str]

# A mosaic is linear and would look almost black on a screen, which expects gamma-encoded values.
_MOSAIC_GAMMA = 1 / 2.2


class Kind(StrEnum):
    """What a layer shows; the value completes its name."""

    RAW = "(bilinear)"
    MOSAIC = "mosaic"
    RENDERED = "rendered sRGB"
    DECODED = "decoded JPEG"
    JPEG = "JPEG"
    RECOVERED_MOSAIC = "recovered RAW"
    RECOVERED = "recovered RAW (bilinear)"
    APPROXIMATE_MOSAIC = "approximate RAW"
    APPROXIMATE = "approximate RAW (bilinear)"
    ERROR = "RAW error"
    MAP = "error map"
    MARKS = "off by more"
    CLIPPING = "clipping"
    RETOUCHED = "retouched"
    TONE_MAPPED = "tone-mapped"
    MERGED = "merged HDR"


#: Kinds whose values are the sensor counts of their record.
MOSAICS = (Kind.MOSAIC, Kind.RECOVERED_MOSAIC, Kind.APPROXIMATE_MOSAIC)
#: Kinds that are the bilinear visualization of their record.
RAW_PICTURES = (Kind.RAW, Kind.RECOVERED, Kind.APPROXIMATE)
#: Kinds that are 8-bit sRGB, made of linear light.
LOOKS = (Kind.RETOUCHED, Kind.TONE_MAPPED)
#: Kinds that show a guess.
GUESSES = (Kind.APPROXIMATE_MOSAIC, Kind.APPROXIMATE)


def facts_of(layer: Layer) -> dict[str, Any]:
    """Return what this plugin knows about a layer; empty if the layer is none of its own."""
    facts = layer.metadata.get(METADATA_KEY)
    return facts if isinstance(facts, dict) else {}


def raw_of(layer: Layer) -> RawRecord | None:
    """Return the RAW that a layer belongs to: for a result, the one that it was made from."""
    facts = facts_of(layer)
    record = facts.get(ORIGINAL, facts.get(RECORD))
    return record if isinstance(record, RawRecord) else None


def jpeg_path_of(layer: Layer) -> Path | None:
    """Return the path of the JPEG file that a layer was opened from, if it was."""
    source = facts_of(layer).get(SOURCE) or layer.source.path
    path = Path(source) if source else None
    return path if path is not None and path.suffix.lower() in JPEG_SUFFIXES else None


def base_name(layer: Layer) -> str:
    """Return what to call results made from a RAW layer."""
    kind = facts_of(layer).get(KIND)
    name: str = layer.name.removesuffix(f" {kind}")
    return f"{name} approximate" if kind in GUESSES else name


def find_layer(layers: Iterable[Layer], facts: dict[str, Any]) -> Layer | None:
    """Find the layer that a result replaces, whatever it is called now.

    Parameters
    ----------
    layers
        Where to look.
    facts
        Of the result: it replaces the layer of its kind that was made from the same RAW layer or,
        where there is none, from the same file or the same layers. Layers that are kept are never
        replaced.
    """
    for layer in layers:
        known = facts_of(layer)
        if known.get(KIND) != facts[KIND] or KEPT in known:
            continue
        if known.get(MADE_OF) != facts.get(MADE_OF):
            continue
        if ORIGINAL in facts or ORIGINAL in known:
            if known.get(ORIGINAL) is facts.get(ORIGINAL):
                return layer
        elif known.get(SOURCE) == facts.get(SOURCE):
            return layer
    return None


def upright(orientation: int, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Return the affine that turns a stored frame upright.

    Parameters
    ----------
    orientation
        EXIF orientation: 1, 3, 6 or 8.
    shape
        Rows and columns as stored.

    Returns
    -------
    numpy.ndarray
        ``(3, 3)``, homogeneous (row, column) as stored → on the canvas. The turned frame starts
        at (0, 0) again.
    """
    last_row, last_column = shape[0] - 1, shape[1] - 1
    rows = {
        1: [[1, 0, 0], [0, 1, 0]],
        3: [[-1, 0, last_row], [0, -1, last_column]],
        6: [[0, 1, 0], [-1, 0, last_row]],
        8: [[0, -1, last_column], [1, 0, 0]],
    }
    return np.array([*rows[orientation], [0, 0, 1]], np.float64)


def raw_layers(
    record: RawRecord,
    base: str,
    facts: dict[str, Any],
    recovered: bool = False,
    approximate: bool = False,
    levels: tuple[Levels, Levels] | None = None,
) -> list[LayerData]:
    """Make the two layers that show a RAW: its hidden mosaic, and the bilinear visualization.

    Parameters
    ----------
    record
        The RAW.
    base
        What layer names begin with.
    facts
        What else the metadata say.
    recovered
        Whether it was recovered from a JPEG.
    approximate
        Whether it was guessed from a JPEG that holds no RAW.
    levels
        Of mosaic and visualization, if there are some already.
    """
    of_mosaic, of_picture = Kind.MOSAIC, Kind.RAW
    if recovered:
        of_mosaic, of_picture = Kind.RECOVERED_MOSAIC, Kind.RECOVERED
    elif approximate:
        of_mosaic, of_picture = Kind.APPROXIMATE_MOSAIC, Kind.APPROXIMATE
    mosaic = {
        "name": f"{base} {of_mosaic}",
        "contrast_limits": (float(record.black.min()), record.white),
        "gamma": _MOSAIC_GAMMA,
        "colormap": "gray",
        "visible": False,
    }
    # Shown as white from where the first channel saturates, so that highlights are not pink.
    white = 255 * float(record.balance.min()) ** (1 / 2.2)
    picture = {
        "name": base if of_picture is Kind.RAW else f"{base} {of_picture}",
        "contrast_limits": (0.0, white),
        "rgb": True,
    }
    mosaic_levels, picture_levels = levels or (record.mosaic, bilinear_codes(record))
    return [
        layer_data(mosaic_levels, record, mosaic, facts | {KIND: of_mosaic}),
        layer_data(picture_levels, record, picture, facts | {KIND: of_picture}),
    ]


def picture_layer(
    rgb: NDArray[np.uint8] | Levels,
    record: RawRecord,
    base: str,
    kind: Kind,
    facts: dict[str, Any],
) -> LayerData:
    """Make the layer of an 8-bit picture, ``(H, W, 3)``, in the sensor's orientation."""
    look = {"name": f"{base} {kind}", "contrast_limits": (0, 255), "rgb": True}
    return layer_data(rgb, record, look, facts | {KIND: kind})


def layer_data(
    pixels: NDArray[Any] | Levels, record: RawRecord, look: dict[str, Any], facts: dict[str, Any]
) -> LayerData:
    """Make a layer that lies where the record's frame lies.

    Parameters
    ----------
    pixels
        ``(H, W)`` or ``(H, W, C)``, or the levels of its pyramid.
    record
        Whose frame it is.
    look
        Arguments for napari.
    facts
        What the metadata say besides the record.
    """
    arguments = look | {
        "multiscale": True,
        "affine": upright(record.orientation, record.mosaic.shape),
        "metadata": {METADATA_KEY: {RECORD: record} | facts},
    }
    return pixels if isinstance(pixels, list) else pyramid(pixels), arguments, "image"
