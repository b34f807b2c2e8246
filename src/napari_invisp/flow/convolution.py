"""The invertible 1×1 convolution that mixes the channels between couplings."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

_State: TypeAlias = tuple[tuple[object, ...], ...]


class InvertibleConv1x1(nn.Module):
    """Multiply each pixel's channels by ``W = p · L · U``, an LU-decomposed square matrix.

    ``L`` has a unit diagonal and ``lower`` below it; ``U`` has ``upper`` above its diagonal and
    ``sign_s · exp(log_s)`` on it. ``p`` and ``sign_s`` are fixed, so training cannot make ``W``
    singular (Glow, arXiv:1807.03039, section 3.2).

    Parameters
    ----------
    channels
        Size of ``W``.
    generator
        Source of the random rotation that ``W`` starts as; the global one by default.
    """

    p: Tensor
    sign_s: Tensor

    def __init__(self, channels: int = 3, generator: torch.Generator | None = None) -> None:
        super().__init__()
        rotation, _ = torch.linalg.qr(
            torch.randn(channels, channels, dtype=torch.float64, generator=generator)
        )
        if torch.linalg.det(rotation) < 0:
            rotation[:, 0] *= -1
        p, lower, log_s, upper, sign_s = _decompose(rotation)
        self.lower = nn.Parameter(lower)
        self.log_s = nn.Parameter(log_s)
        self.upper = nn.Parameter(upper)
        self.register_buffer("p", p)
        self.register_buffer("sign_s", sign_s)
        self._folded: tuple[_State, Tensor, Tensor] | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Return ``W x`` for ``x`` of shape ``(N, C, H, W)``."""
        return self._multiply(x, self.matrix, lambda: self._fold()[0])

    def inverse(self, y: Tensor) -> Tensor:
        """Return ``W⁻¹ y`` for ``y`` of shape ``(N, C, H, W)``."""
        return self._multiply(y, lambda: torch.linalg.inv(self.matrix()), lambda: self._fold()[1])

    def matrix(self) -> Tensor:
        """Return ``W``, ``(C, C)``, differentiable in the parameters."""
        return _compose(self.p, self.lower, self.log_s, self.upper, self.sign_s)

    @torch.no_grad()
    def become(self, matrix: Tensor) -> None:
        """Take ``matrix``, ``(C, C)`` and regular, for ``W``."""
        for tensor, values in zip(self._tensors(), _decompose(matrix.double()), strict=True):
            tensor.copy_(values)

    def condition(self) -> float:
        """Return the condition number of ``W``: infinite if it is singular or not finite."""
        matrix = _compose(*self._exact())
        return float(torch.linalg.cond(matrix)) if matrix.isfinite().all() else float("inf")

    def _tensors(self) -> tuple[Tensor, ...]:
        return self.p, self.lower, self.log_s, self.upper, self.sign_s

    def _exact(self) -> tuple[Tensor, ...]:
        # On the CPU, since not every device knows float64.
        return tuple(t.detach().cpu().double() for t in self._tensors())

    def _multiply(
        self, x: Tensor, learning: Callable[[], Tensor], folded: Callable[[], Tensor]
    ) -> Tensor:
        # Half precision here would cost the round trip its accuracy.
        with torch.autocast(x.device.type, enabled=False):
            weight = learning() if torch.is_grad_enabled() else folded()
            return functional.conv2d(x, weight[:, :, None, None])

    def _fold(self) -> tuple[Tensor, Tensor]:
        """``W`` and ``W⁻¹``, computed in float64, kept until a parameter changes."""
        tensors = self._tensors()
        if any(t.is_inference() for t in tensors):  # these do not tell when they change
            return self._computed()
        state = tuple((t.data_ptr(), t._version, t.dtype, t.device) for t in tensors)
        if self._folded is None or self._folded[0] != state:
            self._folded = (state, *self._computed())
        return self._folded[1:]

    def _computed(self) -> tuple[Tensor, Tensor]:
        matrix = _compose(*self._exact())
        return matrix.to(self.lower), torch.linalg.inv(matrix).to(self.lower)


def _decompose(matrix: Tensor) -> tuple[Tensor, ...]:
    """Return p, lower, log_s, upper and sign_s of a float64 matrix, as float32."""
    permutation, lower, upper = torch.linalg.lu(matrix)
    diagonal = upper.diagonal()
    parts = (permutation, lower.tril(-1), diagonal.abs().log(), upper.triu(1), diagonal.sign())
    return tuple(part.float() for part in parts)


def _compose(p: Tensor, lower: Tensor, log_s: Tensor, upper: Tensor, sign_s: Tensor) -> Tensor:
    unit = torch.eye(len(log_s), dtype=lower.dtype, device=lower.device)
    return p @ (lower.tril(-1) + unit) @ (upper.triu(1) + torch.diag(sign_s * log_s.exp()))
