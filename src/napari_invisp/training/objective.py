"""What a model learns: how a patch becomes an example, and what a batch of examples costs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from napari_invisp.flow.base import InvertibleISP
from napari_invisp.training.patch import Patch

#: Named tensors; one of a batch has one more dimension in front.
Example = dict[str, Tensor]


class Objective(nn.Module, ABC):
    """One way to train one kind of model.

    Attributes
    ----------
    model
        What is trained and saved. It is a submodule, so its weights are the objective's.
    margin
        Context that :meth:`example` wants around a patch, in pixels.
    """

    model: InvertibleISP
    margin: int = 0

    def keep_in(self, folder: Path) -> None:
        """Keep in a run's folder what :meth:`example` needs long to make, and take it from there.

        Nothing by default. What is kept must be what would be made anew.
        """

    @abstractmethod
    def example(self, patch: Patch, rng: np.random.Generator) -> Example:
        """Turn a patch into what :meth:`forward` takes, on the CPU, without a batch dimension.

        Parameters
        ----------
        patch
            With this objective's margin, already flipped or rotated at random.
        rng
            Source of all that is random about this example, such as its JPEG quality.
        """

    @abstractmethod
    def forward(self, batch: Example) -> dict[str, Tensor]:
        """Cost of a batch: scalars by name; ``loss`` is what is minimised, the others are logged.

        Parameters
        ----------
        batch
            Examples stacked along a new first dimension, on the model's device.
        """
