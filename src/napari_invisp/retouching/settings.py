"""The parameters of the eight filters, each once, and the order that they act in."""

from __future__ import annotations

from dataclasses import dataclass

from napari_invisp.errors import SettingsError
from napari_invisp.settings import Settings, parameter

#: Segments of a curve, of equal width from black to white.
SEGMENTS = 8

#: The filters in their usual order, and the fields of each.
FILTERS: dict[str, tuple[str, ...]] = {
    "exposure": ("exposure",),
    "white-balance": ("white_red", "white_green", "white_blue"),
    "gamma": ("gamma",),
    "tone-curve": ("tone_curve",),
    "contrast": ("contrast",),
    "saturation": ("saturation",),
    "colour-curves": ("red_curve", "green_curve", "blue_curve"),
    "black-and-white": ("black_and_white",),
}

_STRAIGHT = (1.0,) * SEGMENTS


@dataclass(frozen=True)
class RetouchSettings(Settings):
    """How a picture is retouched; the defaults change nothing.

    Filters, parameters and ranges are those of *Exposure: A White-Box Photo Post-Processing
    Framework* (Hu et al., ACM TOG 2018, section 4); formulas are in
    :mod:`~napari_invisp.retouching.filters`.

    Raises
    ------
    SettingsError
        A value is out of its range, a curve has not :data:`SEGMENTS` slopes, or the order does not
        name every filter once.
    """

    exposure: float = parameter(
        0.0,
        "Exposure (EV)",
        "stops of light; below 0 brings back highlights beyond white",
        minimum=-3.5,
        maximum=3.5,
    )
    white_red: float = parameter(
        0.0,
        "White balance, red",
        "natural logarithm of red's gain; brightness is kept",
        minimum=-0.5,
        maximum=0.5,
    )
    white_green: float = parameter(
        0.0,
        "White balance, green",
        "natural logarithm of green's gain; below 0 turns towards magenta",
        minimum=-0.5,
        maximum=0.5,
    )
    white_blue: float = parameter(
        0.0,
        "White balance, blue",
        "natural logarithm of blue's gain; below 0 is warmer",
        minimum=-0.5,
        maximum=0.5,
    )
    gamma: float = parameter(
        1.0,
        "Gamma",
        "power of the display values; below 1 lifts shadows and midtones, above 1 deepens them",
        minimum=0.333,  # 1/3, to the digits that sliders keep
        maximum=3,
    )
    tone_curve: tuple[float, ...] = parameter(
        _STRAIGHT,
        "Tone curve",
        "slopes of the 8 segments from black to white; only their ratios count",
        minimum=0.5,
        maximum=2,
    )
    contrast: float = parameter(
        0.0,
        "Contrast",
        "1 is a cosine-shaped curve on brightness, below 0 is flatter than the picture",
        minimum=-1,
        maximum=1,
    )
    saturation: float = parameter(
        0.0,
        "Saturation",
        "how far towards the saturated picture; muted colours of medium brightness gain most, "
        "grey stays grey",
        minimum=0,
        maximum=1,
    )
    red_curve: tuple[float, ...] = parameter(
        _STRAIGHT,
        "Red curve",
        "slopes of the 8 segments of red's own curve; only their ratios count",
        minimum=0.9,
        maximum=1.1,
    )
    green_curve: tuple[float, ...] = parameter(
        _STRAIGHT,
        "Green curve",
        "slopes of the 8 segments of green's own curve; only their ratios count",
        minimum=0.9,
        maximum=1.1,
    )
    blue_curve: tuple[float, ...] = parameter(
        _STRAIGHT,
        "Blue curve",
        "slopes of the 8 segments of blue's own curve; only their ratios count",
        minimum=0.9,
        maximum=1.1,
    )
    black_and_white: float = parameter(
        0.0,
        "Black and white",
        "how far towards grey of the same brightness; a little of it mutes the colours",
        minimum=0,
        maximum=1,
    )
    order: tuple[str, ...] = parameter(
        tuple(FILTERS),
        "Order",
        "in which the filters act one after the other, each named once",
        choices=tuple(FILTERS),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("tone_curve", "red_curve", "green_curve", "blue_curve"):
            count = len(getattr(self, name))
            if count != SEGMENTS:
                raise SettingsError(f"{name} has {count} slopes, not {SEGMENTS}")
        if len(self.order) != len(FILTERS) or set(self.order) != set(FILTERS):
            raise SettingsError(
                f"order {' '.join(self.order)} does not name each of {', '.join(FILTERS)} once"
            )

    @property
    def active(self) -> tuple[str, ...]:
        """The filters that change something, in their order."""
        return tuple(name for name in self.order if any(map(self._changes, FILTERS[name])))

    def _changes(self, field: str) -> bool:
        value = getattr(self, field)
        if isinstance(value, tuple):
            return len(set(value)) > 1  # equal slopes are a straight line
        return bool(value != getattr(type(self), field))
