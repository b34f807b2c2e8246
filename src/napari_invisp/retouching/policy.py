"""A learned retoucher: it looks at a small picture and picks a filter and its parameters, in turns.

The agent of *Exposure* (Hu et al., ACM TOG 2018, section 5), smaller: one network tells how likely
each filter is next, another what parameters each would get. They see the picture, which filters
were used, and how many steps were made. :mod:`napari_invisp.training.retouch` trains it.

A policy is a safetensors file. Its metadata hold one JSON object under ``napari_invisp_policy``::

    {"format": 1, "filters": […], "steps": 5, "card": {…}}
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import numpy as np
import safetensors
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_invisp.errors import CheckpointError
from napari_invisp.files import read_whole, write_bytes_atomic
from napari_invisp.flow.tone import encode_gamma
from napari_invisp.retouching.filters import filtered, luminance
from napari_invisp.retouching.looks import clipped, colourfulness
from napari_invisp.retouching.parameters import bounds_of, with_values
from napari_invisp.retouching.reduction import reduced
from napari_invisp.retouching.settings import FILTERS, RetouchSettings
from napari_invisp.tiling import single_threaded

FORMAT = 1
#: Side of what the agent looks at, in pixels.
SIDE = 64
#: Steps at most: more than that would use a filter twice.
MOST_STEPS = len(FILTERS)

_HEADER = "napari_invisp_policy"
_NAMES = tuple(FILTERS)
_SIZES = [len(bounds_of(name).low) for name in _NAMES]
_WIDTHS = (3, 16, 32, 64, 64)
_HIDDEN = 128
# Light that repeated exposures may not leave while the agent learns.
_LEAST_LIGHT, _MOST_LIGHT = -1.0, 16.0


@dataclass(frozen=True, eq=False)
class State:
    """Pictures in work.

    Attributes
    ----------
    light
        ``(N, 3, SIDE, SIDE)`` linear sRGB.
    used
        ``(N, F)``, 1 for the filters that were used, in the order of
        :data:`~napari_invisp.retouching.settings.FILTERS`.
    step
        ``(N,)`` steps made.
    """

    light: Tensor
    used: Tensor
    step: Tensor

    @classmethod
    def begin(cls, light: Tensor) -> Self:
        """Start with pictures that nothing was done to."""
        count = len(light)
        return cls(light, light.new_zeros(count, len(_NAMES)), light.new_zeros(count))

    def after(self, choice: Tensor, parameters: Tensor) -> State:
        """Let a filter act on each picture; differentiable in light and parameters.

        Parameters
        ----------
        choice
            ``(N,)`` number of the filter.
        parameters
            ``(N, P)`` of all filters, one after the other.
        """
        light = self.light
        for number, (name, values) in enumerate(
            zip(_NAMES, torch.split(parameters, _SIZES, dim=1), strict=True)
        ):
            rows = (choice == number).nonzero().squeeze(1)
            if len(rows):
                result = filtered(self.light[rows], [(name, values[rows])])
                light = light.index_copy(0, rows, result.clamp(_LEAST_LIGHT, _MOST_LIGHT))
        used = self.used.scatter(1, choice[:, None], 1.0)
        return State(light, used, self.step + 1)


class Trunk(nn.Module):
    """Four convolutions and two layers on display values, their averages, and further numbers.

    Normalised picture by picture, so that it can learn fast and stay within bounds.

    Parameters
    ----------
    extra
        Further numbers a picture.
    outputs
        Numbers that come out.
    """

    def __init__(self, extra: int, outputs: int) -> None:
        super().__init__()
        self.look = nn.Sequential()
        for inside, outside in pairwise(_WIDTHS):
            self.look.append(nn.Conv2d(inside, outside, 4, stride=2, padding=1))
            if inside != _WIDTHS[0]:
                # Of each picture alone; the first one leaves brightness and colour in.
                self.look.append(nn.GroupNorm(1, outside))
            self.look.append(nn.LeakyReLU(0.2))
        cells = _WIDTHS[-1] * (SIDE >> (len(_WIDTHS) - 1)) ** 2
        self.judge = nn.Sequential(
            nn.Linear(cells + 3 + extra, _HIDDEN),
            nn.LayerNorm(_HIDDEN),
            nn.LeakyReLU(0.2),
            nn.Linear(_HIDDEN, outputs),
        )

    def forward(self, display: Tensor, extra: Tensor | None = None) -> Tensor:
        """``(N, 3, SIDE, SIDE)`` and ``(N, extra)`` → ``(N, outputs)``."""
        light = luminance(display).flatten(1)
        # The paper's three: brightness, contrast, saturation.
        averages = torch.stack(
            (light.mean(1), light.var(1), colourfulness(display).flatten(1).mean(1)), dim=1
        )
        parts = [self.look(display - 0.5).flatten(1), averages]
        if extra is not None:
            parts.append(extra)
        result: Tensor = self.judge(torch.cat(parts, dim=1))
        return result


def situation(state: State, steps: int) -> Tensor:
    """Give what is known besides the picture, ``(N, F + 1)``: filters used, share of steps made."""
    return torch.cat((state.used, state.step[:, None] / steps), dim=1)


def bounded(free: Tensor) -> Tensor:
    """Map ``(N, P)`` numbers without bounds into the ranges of all filters, one after the other."""
    parts = zip(_NAMES, torch.split(free, _SIZES, dim=1), strict=True)
    return torch.cat([bounds_of(name).bounded(part) for name, part in parts], dim=1)


class Policy(nn.Module):
    """Which filter next, and how.

    Parameters
    ----------
    steps
        That it makes, 1 … :data:`MOST_STEPS`.
    """

    def __init__(self, steps: int = 5) -> None:
        super().__init__()
        self.steps = steps
        self.chooser = Trunk(len(_NAMES) + 1, len(_NAMES))
        self.adjuster = Trunk(len(_NAMES) + 1, sum(_SIZES))
        neutral = [bounds_of(name).free(bounds_of(name).neutral) for name in _NAMES]
        for trunk, bias in ((self.chooser, None), (self.adjuster, torch.cat(neutral))):
            last = trunk.judge[-1]
            assert isinstance(last, nn.Linear)
            with torch.no_grad():  # begin with equal chances, and with filters that do little
                last.weight.mul_(0.1)
                last.bias.zero_() if bias is None else last.bias.copy_(bias)

    def forward(self, state: State) -> tuple[Tensor, Tensor]:
        """Return ``(N, F)`` logits, and ``(N, P)`` parameters of all filters without bounds."""
        display, known = clipped(encode_gamma(state.light)), situation(state, self.steps)
        return self.chooser(display, known), self.adjuster(display, known)

    def decided(self, state: State) -> tuple[Tensor, Tensor]:
        """Return the likeliest filter that was not used yet, ``(N,)``, and all parameters."""
        logits, free = self(state)
        return logits.masked_fill(state.used > 0, -torch.inf).argmax(1), bounded(free)

    @torch.no_grad()
    def finished(self, light: Tensor) -> Tensor:
        """Retouch small pictures: ``(N, 3, SIDE, SIDE)`` linear light, before and after."""
        state = State.begin(light)
        for _ in range(self.steps):
            state = state.after(*self.decided(state))
        return state.light


def policy_settings(path: Path | str, linear: NDArray[np.float32]) -> list[RetouchSettings]:
    """Let a trained policy retouch a picture.

    Parameters
    ----------
    path
        A file that :func:`save_policy` wrote.
    linear
        ``(H, W, 3)`` linear sRGB, 1 at white.

    Returns
    -------
    list of RetouchSettings
        What was reached after each step: one more filter than before, the filters in the order
        of their use. The last one is the result.

    Raises
    ------
    CheckpointError
        The file cannot be used.
    """
    policy = load_policy(path)
    settings, made = RetouchSettings(), list[RetouchSettings]()
    order: list[str] = []
    with torch.no_grad(), single_threaded():
        state = State.begin(reduced(linear, SIDE, SIDE).clamp(_LEAST_LIGHT, _MOST_LIGHT))
        for _ in range(policy.steps):
            choice, parameters = policy.decided(state)
            number = int(choice)
            name, values = _NAMES[number], torch.split(parameters, _SIZES, dim=1)[number][0]
            order.append(name)
            rest = [each for each in _NAMES if each not in order]
            settings = replace(with_values(settings, name, values), order=(*order, *rest))
            made.append(settings)
            state = state.after(choice, parameters)
    return made


# -- files -------------------------------------------------------------------------------------


def save_policy(path: Path | str, policy: Policy, card: Mapping[str, Any] | None = None) -> None:
    """Write a policy.

    Parameters
    ----------
    path
        The file to write or replace, by custom ``*.safetensors``.
    policy
        The agent.
    card
        JSON values that go with the weights: how they were trained.

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    header = {
        "format": FORMAT,
        "filters": list(_NAMES),
        "steps": policy.steps,
        "card": dict(card or {}),
    }
    state = {name: each.detach().float().contiguous() for name, each in policy.state_dict().items()}
    data = safetensors.torch.save(state, {_HEADER: json.dumps(header, allow_nan=False)})
    write_bytes_atomic(Path(path), data)


def load_policy(path: Path | str) -> Policy:
    """Read a policy; a file is never allowed to run code.

    Raises
    ------
    CheckpointError
        There is no such file, it is damaged or of a newer version, or holds something else.
    """
    path = Path(path)
    read_whole(path, "a policy", CheckpointError)  # says what is wrong with the file itself
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(_HEADER)
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (safetensors.SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path} is not a policy, or it is damaged: train one with napari-invisp train-retouch"
        ) from error
    if text is None:
        raise CheckpointError(f"{path} holds weights of something else than a retouching policy")
    try:
        header = json.loads(text)
        number, filters, steps = header["format"], header["filters"], header["steps"]
    except (ValueError, TypeError, KeyError) as error:
        raise CheckpointError(f"{path} is damaged: its header makes no sense") from error
    if number != FORMAT or filters != list(_NAMES):
        raise CheckpointError(
            f"{path} is of another version: format {number!r}, and this program reads {FORMAT}"
        )
    if type(steps) is not int or not 1 <= steps <= MOST_STEPS:
        raise CheckpointError(f"{path} is damaged: it makes {steps!r} steps")
    policy = Policy(steps)
    expected = policy.state_dict()
    shapes = {name: each.shape for name, each in state.items()}
    if shapes != {name: each.shape for name, each in expected.items()}:
        raise CheckpointError(f"{path} is damaged: its weights are not those of a policy")
    if not all(each.isfinite().all() for each in state.values()):
        raise CheckpointError(f"{path} holds NaN or infinity")
    policy.load_state_dict(state)
    return policy.eval()
