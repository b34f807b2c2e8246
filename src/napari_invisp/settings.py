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
DEFAULT_MODEL = "physics"


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


def _control(default: Any, label: str, text: str, **limits: Any) -> Any:
    return field(default=default, metadata={"control": Control(label, text, **limits)})


@dataclass(frozen=True)
class ComputeSettings:
    """Where and in what pieces a model runs.

    Raises
    ------
    SettingsError
        A value is out of its range.
    """

    device: str = _control(
        "auto",
        "Device",
        "where the model runs; auto takes a GPU if there is one",
        choices=DEVICES,
    )
    tile: int = _control(
        0,
        "Tile size",
        "side in pixels of the tiles that the frame is worked on in; 0 lets the model choose",
        minimum=0,
        maximum=8192,
    )

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            kind = type(each.default)
            if kind is not str and isinstance(value, bool | str):
                raise SettingsError(f"{each.name} {value!r} is not a number")
            if kind is int and value % 1 != 0:  # true of infinity and NaN too
                raise SettingsError(f"{each.name} {value:g} is not a whole number")
            control_of(each).check(each.name, value)


@dataclass(frozen=True)
class RenderSettings(ComputeSettings):
    """How a RAW becomes a JPEG.

    Raises
    ------
    SettingsError
        A value is out of its range.
    """

    model: str = _control(
        DEFAULT_MODEL,
        "Model",
        "name of a model, or path of a checkpoint",
    )
    headroom: float = _control(
        0.5,
        "Headroom",
        "0 renders highlights and saturated colours as close to LibRaw's clipping as it can, "
        "1 keeps every RAW value; what does not clip is not touched",
        minimum=0,
        maximum=1,
    )
    quality: int = _control(
        90,
        "JPEG quality",
        "quality of the JPEG; more keeps more of the RAW and takes more bytes",
        minimum=1,
        maximum=100,
    )
    subsampling: str = _control(
        "4:2:2",
        "Subsampling",
        "how finely the JPEG stores colour; 4:4:4 keeps most",
        choices=SUBSAMPLINGS,
    )


def control_of(each: Field[Any]) -> Control:
    """Return the control of one field of a settings class."""
    control: Control = each.metadata["control"]
    return control


def controls(settings: type[ComputeSettings]) -> Iterator[tuple[Field[Any], Control]]:
    """Give each field of a settings class with its control, in order."""
    for each in fields(settings):
        yield each, control_of(each)
