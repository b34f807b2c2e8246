"""The parameters of tone mapping."""

from __future__ import annotations

from dataclasses import dataclass

from napari_invisp.settings import Settings, parameter

OPERATORS = ("local Laplacian", "Reinhard", "Drago", "none")
LOCAL_LAPLACIAN, REINHARD, DRAGO, NO_OPERATOR = OPERATORS
HIGHLIGHTS = ("reconstruct", "clip")
RECONSTRUCT, CLIP = HIGHLIGHTS

# Fields that only some operators use.
_OWN = {
    LOCAL_LAPLACIAN: {"detail", "contrast", "threshold"},
    REINHARD: {"adaptation"},
    DRAGO: {"bias"},
    NO_OPERATOR: set[str](),
}


@dataclass(frozen=True)
class ToneSettings(Settings):
    """How scene light becomes a picture.

    Raises
    ------
    SettingsError
        A value is out of its range.
    """

    operator: str = parameter(
        LOCAL_LAPLACIAN,
        "Operator",
        "local Laplacian evens out large differences of brightness and keeps detail and edges; "
        "Reinhard and Drago bend all of the picture by one curve; none shows it as it is",
        choices=OPERATORS,
    )
    exposure: float = parameter(
        0.0,
        "Exposure (EV)",
        "how many stops the picture is made brighter",
        minimum=-8,
        maximum=8,
    )
    contrast: float = parameter(
        0.6,
        "Contrast",
        "how much of the large differences of brightness is kept: 1 keeps them, less brings up "
        "shadows and brings down highlights",
        minimum=0,
        maximum=1.5,
    )
    detail: float = parameter(
        0.0,
        "Detail",
        "above 0 brings out texture, below 0 smooths it, 0 leaves it",
        minimum=-1,
        maximum=1,
    )
    threshold: float = parameter(
        1.0,
        "Detail threshold (EV)",
        "differences of brightness up to so many stops are detail, those beyond are large",
        minimum=0.1,
        maximum=4,
    )
    adaptation: float = parameter(
        0.8,
        "Adaptation",
        "Reinhard's: 0 adapts to the whole picture, 1 to each pixel, which flattens it",
        minimum=0,
        maximum=1,
    )
    bias: float = parameter(
        0.85,
        "Bias",
        "Drago's: more keeps highlights darker",
        minimum=0.5,
        maximum=1,
    )
    saturation: float = parameter(
        1.0,
        "Saturation",
        "1 keeps colours, 0 is grey",
        minimum=0,
        maximum=2,
    )
    highlights: str = parameter(
        RECONSTRUCT,
        "Highlights",
        "of a RAW, where the sensor saturates: reconstruct estimates lost channels from the "
        "others and goes beyond white, clip ends at white as LibRaw does",
        choices=HIGHLIGHTS,
    )


def used_by(operator: str) -> frozenset[str]:
    """Return the names of the fields of :class:`ToneSettings` that an operator takes notice of."""
    return frozenset({"operator", "exposure", "saturation", "highlights"} | _OWN[operator])
