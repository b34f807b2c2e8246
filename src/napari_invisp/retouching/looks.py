"""What can be said of a picture at a glance."""

from __future__ import annotations

from torch import Tensor

# Of what is cut off: enough to lead an optimiser back, too little to be seen.
_REST = 0.02


def clipped(display: Tensor) -> Tensor:
    """Clip display values as a screen does, but for a rest of what lies beyond."""
    inside = display.clamp(0, 1)
    return inside + _REST * (display - inside)


def colourfulness(display: Tensor) -> Tensor:
    """Largest less smallest channel: ``(N, 3, H, W)`` → ``(N, 1, H, W)``."""
    return display.amax(1, keepdim=True) - display.amin(1, keepdim=True)
