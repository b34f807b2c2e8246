"""Which processor a model runs on, and pixels on their way there."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_invisp.errors import SettingsError
from napari_invisp.settings import DEVICES


def _available(kind: str) -> bool:
    if kind == "cuda":
        return torch.cuda.is_available()
    if kind == "mps":
        return torch.backends.mps.is_available()
    return kind == "cpu"


def choose_device(name: str = "auto") -> tuple[torch.device, str | None]:
    """Resolve a device name.

    Parameters
    ----------
    name
        ``auto`` takes CUDA, then MPS, then the CPU; the others are taken if they are there.

    Returns
    -------
    device : torch.device
        One that can be used here.
    note : str or None
        What to tell the user if it is not the one that was asked for.

    Raises
    ------
    SettingsError
        There is no such device name.
    """
    if name == "auto":
        return torch.device(next(k for k in ("cuda", "mps", "cpu") if _available(k))), None
    if name not in DEVICES:
        raise SettingsError(f"device {name!r} is not one of {', '.join(DEVICES)}")
    if _available(name):
        return torch.device(name), None
    return torch.device("cpu"), f"{name} is not available here; running on the CPU instead"


def to_tensor(pixels: NDArray[Any], device: torch.device) -> Tensor:
    """``(H, W, 3)`` integers as ``(1, 3, H, W)`` float32."""
    values = torch.from_numpy(np.ascontiguousarray(pixels)).to(device)
    return values.permute(2, 0, 1).to(torch.float32, memory_format=torch.contiguous_format)[None]
