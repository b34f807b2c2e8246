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
REGIONS = ("whole frame", "part in view", "selected shape")
AXES = ("EV, 0 at white", "DN, linear")
ERROR_METRICS = ("E", "AE", "SE", "relative AE", "relative SE", "ΔE2000", "SSIM")
ERROR_CHANNELS = ("combined", "R", "G1", "B", "G2")
ERROR_UNITS = ("DN", "EV", "% of white")
ERROR_LIMITS = ("standard", "fixed", "percentile")


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
class ArchiveSettings(Settings):
    """What a JPEG carries beside the picture, so that more of its RAW comes back.

    Raises
    ------
    SettingsError
        A value is out of its range.
    """

    side_info: int = parameter(
        0,
        "Side information, bytes",
        "bytes that the JPEG may grow by to correct the recovered RAW where it errs most; 4096 "
        "help already, 65536 help much",
        minimum=0,
        maximum=10**8,
    )
    exact: bool = parameter(
        False,
        "Exact archive",
        "the JPEG also carries what is missing to the very RAW, each sample, and the tags of its "
        "file; takes some megabytes",
    )

    @property
    def wanted(self) -> bool:
        """Whether there is anything to carry."""
        return self.exact or self.side_info > 0


@dataclass(frozen=True)
class ErrorMapSettings(Settings):
    """How an error map is measured and coloured.

    Raises
    ------
    SettingsError
        A value is out of its range.
    """

    metric: str = parameter(
        "AE",
        "Metric",
        "E: candidate minus reference; AE: its magnitude; SE: its square; relative: divided by "
        "the reference's signal above black; ΔE2000: difference of sRGB colours as seen; SSIM: "
        "structural similarity, 1 where alike",
        choices=ERROR_METRICS,
    )
    channel: str = parameter(
        "combined",
        "Channel",
        "combined: each CFA site of a mosaic, the mean of a picture's channels; G1 is the green in "
        "red's rows, G2 the one in blue's; a picture has one green, called either",
        choices=ERROR_CHANNELS,
    )
    unit: str = parameter(
        "DN",
        "Unit",
        "DN: sensor counts, or a picture's codes; EV: stops of light above black; % of white: of "
        "the range from black to white; of E, AE and SE only",
        choices=ERROR_UNITS,
    )
    limits: str = parameter(
        "standard",
        "Colour limits",
        "standard: the same for all maps of a metric and unit, 2 % of white in DN; fixed: the "
        "limit below; percentile: of the map itself",
        choices=ERROR_LIMITS,
    )
    limit: float = parameter(
        100.0,
        "Limit",
        "the error that is brightest, in the map's unit; of SSIM, how far below 1",
        minimum=0.001,
        maximum=10**6,
    )
    percentile: float = parameter(
        99.9,
        "Percentile",
        "the share of the map in % that is not brighter than the brightest colour",
        minimum=50,
        maximum=100,
    )
    threshold: float = parameter(
        20.0,
        "Threshold, DN",
        "an error beyond which sites are counted, and marked if wanted",
        minimum=0,
        maximum=65535,
    )
    marked: bool = parameter(
        False,
        "Mark what is off by more",
        "show in green, on a layer of its own, where the error is beyond the threshold",
    )


@dataclass(frozen=True)
class BatchSettings(ArchiveSettings, RenderSettings):
    """How a queue of files is worked through.

    Raises
    ------
    SettingsError
        A value is out of its range.
    """

    measure: bool = parameter(
        False,
        "Measure RAW PSNR",
        "recover the RAW of each JPEG at once and compare it with the original; takes longer",
    )
    replace: bool = parameter(
        False,
        "Replace files",
        "write over files of the same names in the output folder; otherwise a number is added",
    )


@dataclass(frozen=True)
class HistogramSettings(Settings):
    """What the RAW histogram counts, and on which axes it is drawn.

    Raises
    ------
    SettingsError
        A value is out of its range.
    """

    region: str = parameter(
        REGIONS[0],
        "Region",
        "which sites are counted; for a shape, draw a rectangle, an ellipse or a polygon on a "
        "layer of shapes and select it",
        choices=REGIONS,
    )
    axis: str = parameter(
        AXES[0],
        "Axis",
        "EV: stops from the white level, black subtracted; DN: sensor counts as they are",
        choices=AXES,
    )
    counts: str = parameter(
        "linear",
        "Counts",
        "log shows a few sites beside millions",
        choices=("linear", "log"),
    )
    bins_per_stop: int = parameter(
        8,
        "Bins per EV",
        "how fine the EV axis is",
        minimum=1,
        maximum=24,
    )
    bin_width: int = parameter(
        0,
        "DN per bin",
        "how fine the linear axis is; 0 chooses",
        minimum=0,
        maximum=4096,
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


@dataclass(frozen=True)
class CompareSettings(Settings):
    """How two layers are shown against each other.

    Raises
    ------
    SettingsError
        A value is out of its range.
    """

    rate: float = parameter(
        2.0,
        "Blink rate (Hz)",
        "how many times a second the picture changes while blinking",
        minimum=0.5,
        maximum=10,
    )
    split: str = parameter(
        "left | right",
        "Arrangement",
        "how swipe and side by side divide the canvas between A and B",
        choices=("left | right", "top | bottom"),
    )
    exposure: float = parameter(
        0.0,
        "Exposure (EV)",
        "how much brighter RAW, pictures and float images are shown, in stops; error maps stay as "
        "they are; double-click for 0",
        minimum=-8,
        maximum=8,
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
