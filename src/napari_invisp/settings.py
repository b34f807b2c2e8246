"""The parameters of a run, once: command line, Python and widgets are made from these fields."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from napari_invisp.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from dataclasses import Field

DEVICES = ("auto", "cpu", "cuda", "mps")
SUBSAMPLINGS = ("4:4:4", "4:2:2", "4:2:0")
DEFAULT_MODEL = "universal"


@dataclass(frozen=True)
class Control:
    """How a field is offered to people.

    Attributes
    ----------
    label, help
        A short name, and one sentence.
    choices
        The values allowed, if they are few.
    minimum, maximum
        The range allowed, ends included.
    """

    label: str
    help: str
    choices: tuple[str, ...] | None = None
    minimum: float | None = None
    maximum: float | None = None

    def check(self, name: str, value: Any) -> None:
        """Raise a :class:`SettingsError` if ``value`` is not allowed for the field ``name``."""
        if self.choices is not None and value not in self.choices:
            raise SettingsError(f"{name} {value!r} is not one of {', '.join(self.choices)}")
        low, high = self.minimum, self.maximum
        if (low is not None and not value >= low) or (high is not None and not value <= high):
            limits = f"between {low:g} and {high:g}" if high is not None else f"{low:g} or more"
            raise SettingsError(f"{name} {value:g} is not {limits}")


def parameter(default: Any, label: str, text: str, **limits: Any) -> Any:
    """Give a field of a settings class its default and its :class:`Control`."""
    return field(default=default, metadata={"control": Control(label, text, **limits)})


@dataclass(frozen=True)
class Settings:
    """Parameters that are checked when they are put together; each field has a :class:`Control`.

    Raises
    ------
    SettingsError
        A value is out of its range.
    """

    def __post_init__(self) -> None:
        for each in fields(self):
            values = getattr(self, each.name)
            if not takes_several(each):
                values = (values,)
            elif not isinstance(values, tuple) or not values:
                raise SettingsError(f"{each.name} {values!r} is not one value or more")
            for value in values:
                _check_kind(each.name, value, kind_of(each))
                control_of(each).check(each.name, value)


@dataclass(frozen=True)
class ComputeSettings(Settings):
    """Where and in what pieces a model runs.

    Raises
    ------
    SettingsError
        A value is out of its range.
    """

    device: str = parameter(
        "auto",
        "Device",
        "where the model runs; auto takes a GPU if there is one",
        choices=DEVICES,
    )
    tile: int = parameter(
        0,
        "Tile size",
        "side in pixels of the tiles that the frame is worked on in; 0 lets the model choose",
        minimum=0,
        maximum=8192,
    )


@dataclass(frozen=True)
class RenderSettings(ComputeSettings):
    """How a RAW becomes a JPEG.

    Raises
    ------
    SettingsError
        A value is out of its range.
    """

    model: str = parameter(
        DEFAULT_MODEL,
        "Model",
        "name of a model, or path of a checkpoint",
    )
    headroom: float = parameter(
        0.5,
        "Headroom",
        "0 renders highlights and saturated colours as close to LibRaw's clipping as it can, "
        "1 keeps every RAW value; what does not clip is not touched",
        minimum=0,
        maximum=1,
    )
    quality: int = parameter(
        90,
        "JPEG quality",
        "quality of the JPEG; more keeps more of the RAW and takes more bytes",
        minimum=1,
        maximum=100,
    )
    subsampling: str = parameter(
        "4:2:2",
        "Subsampling",
        "how finely the JPEG stores colour; 4:4:4 keeps most",
        choices=SUBSAMPLINGS,
    )


@dataclass(frozen=True)
class PreparationSettings(Settings):
    """How training data are made.

    Raises
    ------
    SettingsError
        A value is out of its range.
    """

    seed: int = parameter(
        0,
        "Seed",
        "another seed holds out other pictures, and makes other synthetic ones",
        minimum=0,
    )
    count: int = parameter(
        1500,
        "Count",
        "synthetic pictures to make",
        minimum=1,
        maximum=10**6,
    )
    share: float = parameter(
        0.85,
        "Share",
        "share of the pictures that are trained on; the others are held out",
        minimum=0,
        maximum=1,
    )
    workers: int = parameter(
        0,
        "Workers",
        "pictures that are made at a time on this computer; 0 takes all its cores",
        minimum=0,
        maximum=1024,
    )
    scheduler: str = parameter(
        "",
        "Scheduler",
        "address of a Dask scheduler whose workers see the same folders, instead of this "
        "computer's cores",
    )


def _check_kind(name: str, value: Any, kind: type[Any]) -> None:
    if kind is bool:
        if not isinstance(value, bool):
            raise SettingsError(f"{name} {value!r} is neither true nor false")
    elif kind is not str:
        if isinstance(value, bool | str):
            raise SettingsError(f"{name} {value!r} is not a number")
        if kind is int and value % 1 != 0:  # true of infinity and NaN too
            raise SettingsError(f"{name} {value:g} is not a whole number")


def takes_several(each: Field[Any]) -> bool:
    """Tell whether a field of a settings class holds a tuple of values."""
    return isinstance(each.default, tuple)


def kind_of(each: Field[Any]) -> type[Any]:
    """Return the type of one value of a field of a settings class."""
    return type(each.default[0] if isinstance(each.default, tuple) else each.default)


def control_of(each: Field[Any]) -> Control:
    """Return the control of one field of a settings class."""
    control: Control = each.metadata["control"]
    return control


def controls(settings: type[Settings]) -> Iterator[tuple[Field[Any], Control]]:
    """Give each field of a settings class with its control, in order."""
    for each in fields(settings):
        yield each, control_of(each)
