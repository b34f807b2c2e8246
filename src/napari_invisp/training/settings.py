"""The parameters of a training run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Self

from napari_invisp.errors import SettingsError, TrainingError
from napari_invisp.settings import DEVICES, SUBSAMPLINGS, Settings, parameter

#: What may be other when a run goes on: how long, and on which machine.
CHANGEABLE = ("steps", "device", "workers", "threads", "tensorboard")


@dataclass(frozen=True)
class RunSettings(Settings):
    """How something is trained; what a run's folder keeps.

    Attributes
    ----------
    changeable
        Names of the fields that may be other when a run goes on.
    """

    changeable: ClassVar[tuple[str, ...]] = ()

    def to_dict(self) -> dict[str, Any]:
        """Give the fields as plain JSON values; :meth:`from_dict` takes them back."""
        values = asdict(self)
        return {name: list(v) if isinstance(v, tuple) else v for name, v in values.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Make settings of what :meth:`to_dict` gave.

        Raises
        ------
        SettingsError
            A field is unknown or out of its range.
        """
        given: dict[str, Any] = {
            name: tuple(v) if isinstance(v, list) else v for name, v in values.items()
        }
        try:
            return cls(**given)
        except TypeError as error:
            raise SettingsError(f"the settings do not belong to this version ({error})") from error

    def changed(self, changes: Mapping[str, Any]) -> Self:
        """Return these settings with changes that a run may go on with.

        Raises
        ------
        TrainingError
            One of the changes is more than that.
        """
        for name, value in changes.items():
            was = getattr(self, name)
            if name not in self.changeable and value != was:
                raise TrainingError(
                    f"the run was begun with {name} {_words(was)} and cannot go on with "
                    f"{_words(value)}; only {', '.join(self.changeable)} may change"
                )
        return replace(self, **changes)


@dataclass(frozen=True)
class TrainSettings(RunSettings):
    """How a model is trained. All but :data:`CHANGEABLE` belongs to a run for good.

    Raises
    ------
    SettingsError
        A value is out of its range.
    """

    changeable = CHANGEABLE

    model: str = parameter("invisp", "Model", "name of the model to train")
    data: tuple[str, ...] = parameter(("data",), "Data", "folders of prepared pictures")
    shares: tuple[float, ...] = parameter(
        (1.0,),
        "Shares",
        "how often each of the folders is drawn from, relative to the others; one number for "
        "all: equally often",
        minimum=0,
    )
    start: str = parameter("", "Start", "checkpoint to start from, in place of fresh weights")
    analytic: bool = parameter(
        False,
        "Analytic start",
        "start fresh weights as the colour matrix that fits the pictures best",
    )
    white_balance: bool = parameter(
        True,
        "White balance",
        "balance the RAW before the model sees it; without, the model has to learn it",
    )
    steps: int = parameter(20_000, "Steps", "updates of the weights in all", minimum=1)
    batch: int = parameter(
        4, "Batch", "patches a step, of each process if there are several", minimum=1
    )
    patch: int = parameter(
        128, "Patch", "side of the patches in pixels, even", minimum=16, maximum=4096
    )
    learning_rate: float = parameter(
        1e-4, "Learning rate", "step size at its highest", minimum=0, maximum=1
    )
    schedule: str = parameter(
        "cosine",
        "Schedule",
        "how the learning rate goes on after the warm-up: cosine falls to a hundredth, halved "
        "is constant but for halving after 1/6 and 4/15 of the steps, as the paper's authors do",
        choices=("cosine", "halved"),
    )
    warmup: int = parameter(
        100, "Warm-up", "steps in which the learning rate rises to its highest", minimum=0
    )
    clip: float = parameter(
        1.0, "Clipping", "longest gradient that is not shortened; 0 shortens none", minimum=0
    )
    decay: float = parameter(
        0.0, "Weight decay", "pull of the weights towards 0 (AdamW)", minimum=0, maximum=1
    )
    average: float = parameter(
        0.999,
        "Average",
        "share that the running average of the weights keeps at each step; the average is what "
        "is saved as the model",
        minimum=0,
        maximum=0.999999,
    )
    lam: float = parameter(
        1.0, "Lambda", "weight of the RAW's error against the picture's (paper Eq. 8)", minimum=0
    )
    picture_price: float = parameter(
        1.0,
        "Price of change",
        "what `universal` pays for moving away from LibRaw's picture by 50 dB before JPEG, and by "
        "47 dB after it, in e-folds of error",
        minimum=0,
    )
    bytes_price: float = parameter(
        0.6,
        "Price of bytes",
        "what `universal` pays for each e-fold of the JPEG's bytes, in e-folds of the RAW's error",
        minimum=0,
    )
    jpeg: str = parameter(
        "simulated",
        "JPEG",
        "what lies between rendering and recovering while training",
        choices=("simulated", "none"),
    )
    rounding: str = parameter(
        "fourier",
        "Rounding",
        "how the simulator lets gradients through its quantization",
        choices=("fourier", "dsq", "straight-through"),
    )
    quality: tuple[int, ...] = parameter(
        (90,),
        "JPEG quality",
        "quality of the JPEG, or the lowest and the highest of a range to draw from",
        minimum=1,
        maximum=100,
    )
    subsampling: tuple[str, ...] = parameter(
        ("4:2:2",),
        "Subsampling",
        "how finely the JPEG stores colour; one is drawn if there are several",
        choices=SUBSAMPLINGS,
    )
    seed: int = parameter(
        0, "Seed", "another seed gives other weights and patches", minimum=0, maximum=2**32 - 1
    )
    precision: str = parameter(
        "float32",
        "Precision",
        "of convolutions while training; bfloat16 is faster where the hardware has it",
        choices=("float32", "bfloat16"),
    )
    log_every: int = parameter(20, "Log interval", "steps between lines of the log", minimum=1)
    validate_every: int = parameter(
        500, "Validation interval", "steps between validations by real JPEG files", minimum=1
    )
    save_every: int = parameter(
        500, "Checkpoint interval", "steps between states to resume from", minimum=1
    )
    pictures: int = parameter(
        8, "Validation pictures", "held-out pictures to validate by, at most", minimum=0
    )
    crop: int = parameter(
        512, "Validation crop", "side in pixels of their centres that are used", minimum=16
    )
    device: str = parameter(
        "auto",
        "Device",
        "where the model is trained; auto takes a GPU if there is one",
        choices=DEVICES,
    )
    workers: int = parameter(
        0, "Workers", "processes that make patches ready; 0 does it in between", minimum=0
    )
    threads: int = parameter(
        0, "Threads", "processor threads to compute with; 0 leaves it to PyTorch", minimum=0
    )
    tensorboard: bool = parameter(
        False, "TensorBoard", "write the log for TensorBoard too, whose package it needs"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.patch % 2:
            raise SettingsError(f"patch {self.patch} is odd, and a Bayer pattern takes even sides")
        if len(self.quality) > 2 or self.quality[0] > self.quality[-1]:
            raise SettingsError(
                f"quality {' '.join(map(str, self.quality))} is neither one number nor the lowest "
                "and the highest"
            )
        if len(self.shares) not in (1, len(self.data)):
            raise SettingsError(
                f"there are {len(self.data)} folders of data, but {len(self.shares)} shares"
            )
        if not any(self.shares):
            raise SettingsError("at least one of the shares must be above 0")
        if self.start and self.analytic:
            raise SettingsError("weights start either from a checkpoint or analytically, not both")


def _words(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
