"""Pictures in work, so that every step sees some at each stage of their retouching."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from napari_invisp.retouching.policy import SIDE, State

_TURNS = 4


def windows(copies: Tensor, count: int) -> Tensor:
    """Draw pictures and cut a window out of each, flipped and turned at random.

    Parameters
    ----------
    copies
        ``(N, 3, H, W)``, at least :data:`~napari_invisp.retouching.policy.SIDE` a side.
    count
        Windows to draw.
    """
    room = copies.shape[-1] - SIDE
    found = []
    for number in torch.randint(len(copies), (count,)).tolist():
        top, left, turns, flip = (
            int(torch.randint(n, ())) for n in (room + 1, room + 1, _TURNS, 2)
        )
        window = copies[number, :, top : top + SIDE, left : left + SIDE]
        window = window.rot90(turns, (1, 2))
        found.append(window.flip(2) if flip else window)
    return torch.stack(found)


def middles(copies: Tensor) -> Tensor:
    """Cut the middle window out of every picture."""
    first = (copies.shape[-1] - SIDE) // 2
    return copies[..., first : first + SIDE, first : first + SIDE]


@dataclass(eq=False)
class Pool:
    """Unfinished pictures, and those that were finished last.

    Attributes
    ----------
    light, used, step
        Of the unfinished ones, see :class:`~napari_invisp.retouching.policy.State`.
    finished
        ``(K, 3, SIDE, SIDE)`` linear sRGB, none in the beginning, a batch at most.
    """

    light: Tensor
    used: Tensor
    step: Tensor
    finished: Tensor

    @classmethod
    def fill(cls, copies: Tensor, size: int) -> Pool:
        """Begin with pictures that nothing was done to."""
        state = State.begin(windows(copies, size))
        return cls(state.light, state.used, state.step, state.light[:0])

    def draw(self, count: int) -> tuple[Tensor, State]:
        """Draw some: their rows, and their state."""
        rows = torch.randperm(len(self.light))[:count]
        return rows, State(self.light[rows], self.used[rows], self.step[rows])

    def put_back(self, rows: Tensor, state: State, over: Tensor, copies: Tensor) -> None:
        """Take pictures back after a step.

        Parameters
        ----------
        rows
            From :meth:`draw`.
        state
            What they are now.
        over
            ``(N,)`` bool: which of them are finished; fresh ones take their places.
        copies
            Where these come from.
        """
        light = state.light.detach().clone()
        if over.any():
            newest = torch.cat((light[over], self.finished))
            self.finished = newest[: len(rows)]
            light[over] = windows(copies, int(over.sum()))
        going = (~over).float()
        self.light[rows] = light
        self.used[rows] = state.used * going[:, None]
        self.step[rows] = state.step * going
