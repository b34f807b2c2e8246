"""The parameters of a run that trains a retouching policy."""

from __future__ import annotations

from dataclasses import dataclass

from napari_invisp.retouching.settings import FILTERS
from napari_invisp.settings import parameter
from napari_invisp.training.settings import RunSettings

#: What may be other when a run goes on.
CHANGEABLE = ("steps", "threads")


@dataclass(frozen=True)
class PolicySettings(RunSettings):
    """How a policy is trained. All but :data:`CHANGEABLE` belongs to a run for good.

    Raises
    ------
    SettingsError
        A value is out of its range.
    """

    changeable = CHANGEABLE

    retouched: tuple[str, ...] = parameter(
        ("retouched",), "Retouched", "photographs in the style to learn, and folders of them"
    )
    light: tuple[str, ...] = parameter(
        ("raw",), "Light", "RAW files, EXR scenes, folders of such, and prepared sets"
    )
    steps: int = parameter(2000, "Steps", "updates of the weights in all", minimum=1)
    actions: int = parameter(
        5,
        "Actions",
        "filters that the policy applies to a picture",
        minimum=1,
        maximum=len(FILTERS),
    )
    batch: int = parameter(16, "Batch", "pictures a step", minimum=2, maximum=1024)
    pool: int = parameter(
        256, "Pool", "unfinished pictures that steps draw from", minimum=2, maximum=65536
    )
    learning_rate: float = parameter(
        5e-4,
        "Learning rate",
        "step size at the beginning; it falls to a tenth",
        minimum=0,
        maximum=1,
    )
    judgements: int = parameter(
        3, "Judgements", "updates of the discriminator a step", minimum=1, maximum=100
    )
    discount: float = parameter(
        0.5,
        "Discount",
        "how much what later steps bring counts against what this one does; 1 in Exposure",
        minimum=0,
        maximum=1,
    )
    penalty: float = parameter(
        0.5,
        "Penalty",
        "what using a filter again costs, where 1 is what the discriminator gives for a tenth of "
        "the range from black to white, at most",
        minimum=0,
    )
    entropy: float = parameter(
        0.05, "Entropy", "reward for trying all filters, falling to 0 at the end", minimum=0
    )
    share: float = parameter(
        0.85,
        "Share",
        "share of the light pictures that are trained on; the others are held out to validate by",
        minimum=0,
        maximum=1,
    )
    seed: int = parameter(
        0, "Seed", "another seed gives other weights and draws", minimum=0, maximum=2**32 - 1
    )
    log_every: int = parameter(20, "Log interval", "steps between lines of the log", minimum=1)
    validate_every: int = parameter(
        100, "Validation interval", "steps between validations", minimum=1
    )
    save_every: int = parameter(
        500, "Checkpoint interval", "steps between states to resume from", minimum=1
    )
    threads: int = parameter(
        0, "Threads", "processor threads to compute with; 0 leaves it to PyTorch", minimum=0
    )
