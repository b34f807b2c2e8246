"""The running average of a model's weights, which is what is kept in the end."""

from __future__ import annotations

import copy
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

_Model = TypeVar("_Model", bound=nn.Module)


class Average(Generic[_Model]):
    """An exponential moving average (EMA) of weights.

    Parameters
    ----------
    model
        What is trained. The average starts as a copy of it.

    Attributes
    ----------
    model
        The same model with the averaged weights.
    """

    def __init__(self, model: _Model) -> None:
        self.model = copy.deepcopy(model).requires_grad_(False)
        self._ours: list[Tensor] = list(self.model.parameters())
        self._theirs: list[Tensor] = list(model.parameters())
        self._constants = list(zip(self.model.buffers(), model.buffers(), strict=True))

    @torch.no_grad()
    def update(self, decay: float) -> None:
        """Move to the model's weights by ``1 - decay`` of the way."""
        torch._foreach_lerp_(self._ours, self._theirs, 1 - decay)
        for ours, theirs in self._constants:
            ours.copy_(theirs)
