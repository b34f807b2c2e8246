"""Figures as people read them, the same on the terminal and in reports."""

from __future__ import annotations

import math


def decibels(figure: float) -> str:
    """Word a PSNR."""
    return "infinite" if math.isinf(figure) else f"{figure:.2f} dB"


def megabytes(size: int) -> str:
    """Word the size of a file in bytes."""
    return f"{size / 1e6:.2f} MB"
