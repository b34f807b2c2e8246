"""How large a step is: a pure function of the settings and the step's number."""

from __future__ import annotations

import math

from napari_invisp.training.settings import TrainSettings

# What a cosine falls to, as a share of the highest learning rate.
_LAST = 0.01
# The paper's authors train for 300 epochs and halve the learning rate after 50 and 80 of them.
_HALVED_AT = (50 / 300, 80 / 300)


def learning_rate(settings: TrainSettings, step: int) -> float:
    """Return the learning rate of a step, 1 … ``settings.steps``."""
    if step <= settings.warmup:
        return settings.learning_rate * step / settings.warmup
    if settings.schedule == "halved":
        return settings.learning_rate * math.prod(
            0.5 for part in _HALVED_AT if step > part * settings.steps
        )
    passed = (step - settings.warmup) / max(1, settings.steps - settings.warmup)
    return settings.learning_rate * (_LAST + (1 - _LAST) * (1 + math.cos(math.pi * passed)) / 2)


def average_decay(settings: TrainSettings, step: int) -> float:
    """Return the share that the average of the weights keeps: less in the beginning.

    Otherwise the average would be of fresh weights for long.
    """
    return min(settings.average, step / (step + 10))
