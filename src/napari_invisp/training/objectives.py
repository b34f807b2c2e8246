"""What is learned, by the name of the model that learns it."""

from __future__ import annotations

from collections.abc import Callable

from napari_invisp.errors import TrainingError
from napari_invisp.training.baselines import BASELINES
from napari_invisp.training.bidirectional import invisp
from napari_invisp.training.objective import Objective
from napari_invisp.training.patch import PatchSource
from napari_invisp.training.settings import TrainSettings
from napari_invisp.training.universal import universal

#: Makes the objective of a run, the model's weights being fresh. PyTorch's generator is seeded
#: beforehand, so that weights may be drawn from it.
Factory = Callable[[TrainSettings, PatchSource], Objective]

#: Every model that can be trained.
OBJECTIVES: dict[str, Factory] = {"universal": universal, "invisp": invisp, **BASELINES}


def make_objective(settings: TrainSettings, source: PatchSource) -> Objective:
    """Make the objective of a run.

    Raises
    ------
    TrainingError
        Nothing is known to train a model of that name.
    """
    if settings.model not in OBJECTIVES:
        raise TrainingError(
            f"there is no model {settings.model!r} to train; models: {', '.join(OBJECTIVES)}"
        )
    return OBJECTIVES[settings.model](settings, source)
