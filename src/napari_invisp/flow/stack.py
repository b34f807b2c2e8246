"""Small convolutional networks that are told about the picture as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

_HIDDEN = 32


class Conditions(nn.Module):
    """What a few numbers about a picture mean to a network: a vector for each picture."""

    def __init__(self, inputs: int, outputs: int, neutral: bool = False) -> None:
        super().__init__()
        self.first = nn.Linear(inputs, _HIDDEN)
        self.last = nn.Linear(_HIDDEN, outputs)
        if neutral:
            nn.init.zeros_(self.last.weight)
            nn.init.zeros_(self.last.bias)

    def forward(self, conditions: Tensor) -> Tensor:
        """Return ``(N, outputs, 1, 1)`` for ``(N, inputs)``."""
        vector: Tensor = self.last(functional.relu(self.first(conditions)))
        return vector[:, :, None, None]


class Stack(nn.Module):
    """3x3 convolutions with ReLU and shortcuts; conditions shift every feature.

    The last convolution starts at zero, so a fresh stack gives zeros.

    Parameters
    ----------
    inputs, outputs
        Channels of what comes in and goes out.
    conditions
        Numbers about each picture.
    width, depth
        Features, and convolutions between the first and the last.

    Attributes
    ----------
    reach
        Receptive half-width in its own pixels.
    """

    def __init__(self, inputs: int, outputs: int, conditions: int, width: int, depth: int) -> None:
        super().__init__()
        self.reach = depth + 2
        self.first = nn.Conv2d(inputs, width, 3, padding=1)
        self.middle = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(depth))
        self.last = nn.Conv2d(width, outputs, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(cast(Tensor, self.last.bias))
        self.shifts = Conditions(conditions, width * (depth + 1))

    def forward(self, x: Tensor, conditions: Tensor) -> Tensor:
        """Return ``(N, outputs, H, W)`` for ``(N, inputs, H, W)`` and ``(N, conditions)``."""
        first, *others = self.shifts(conditions).chunk(len(self.middle) + 1, dim=1)
        dtype = x.dtype
        with _precision(x.device):
            # In place: memory fresh from the system is slow.
            x = functional.relu_(_shifted(self.first, x, first))
            for convolution, shift in zip(self.middle, others, strict=True):
                change = functional.relu_(_shifted(cast(nn.Conv2d, convolution), x, shift))
                x = x + change if torch.is_grad_enabled() else x.add_(change)
            result: Tensor = self.last(x)
        return result.to(dtype)


def _precision(device: torch.device) -> AbstractContextManager[object]:
    """Let convolutions be done in bfloat16 where that is faster, unless something is learned."""
    if torch.is_grad_enabled() or device.type != "cpu" or not _has_bfloat16():
        return nullcontext()
    return torch.autocast("cpu", torch.bfloat16)


def _has_bfloat16() -> bool:
    """Tell whether the processor itself multiplies in bfloat16."""
    ask = getattr(torch.cpu, "get_capabilities", dict)  # older torch cannot tell
    capabilities: Mapping[str, object] = ask()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def _shifted(convolution: nn.Conv2d, x: Tensor, shift: Tensor) -> Tensor:
    if len(x) > 1 or torch.is_grad_enabled():
        shifted: Tensor = convolution(x) + shift
        return shifted
    bias = cast(Tensor, convolution.bias) + shift.flatten()
    return functional.conv2d(x, convolution.weight, bias, padding=1)
