"""Between a RAW record and a picture in memory on one side, and a model's tensors on the other."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_invisp.flow.profiles import Profile
from napari_invisp.flow.scene import Scene
from napari_invisp.sensor.cfa import denormalise, mosaic_from_rgb
from napari_invisp.sensor.record import RawRecord
from napari_invisp.sensor.saturation import saturation


def as_seen_by(record: RawRecord, profile: Profile) -> RawRecord:
    """Return the record with the levels, pattern and balance that a profile takes for true."""
    changes: dict[str, Any] = {}
    if profile.black == "none":
        changes["black"] = np.zeros((2, 2))
    if profile.white != "file":
        changes["white"] = float(profile.white)
    if profile.pattern != "file":
        changes["pattern"] = profile.pattern
    if profile.balance == "none":
        changes["white_balance"] = np.ones(3)
    return record.replace(**changes) if changes else record


def scene_of(record: RawRecord) -> Scene:
    """Return what a model may know of a record beforehand."""
    return Scene.of(record.white_balance, record.camera_to_srgb, saturation(record), record.pattern)


def to_network(balanced: Tensor, profile: Profile) -> Tensor:
    """Linear balanced RGB as a profile's network input."""
    return balanced if profile.gamma == 1 else balanced ** (1 / profile.gamma)


def from_network(values: Tensor, profile: Profile) -> Tensor:
    """Undo :func:`to_network`."""
    return values if profile.gamma == 1 else values.clamp(min=0) ** profile.gamma


def to_codes(y: Tensor, profile: Profile) -> NDArray[np.uint8]:
    """``(1, 3, H, W)`` in [0, 1] as ``(H, W, 3)`` 8-bit codes."""
    scaled = y[0] * 255
    scaled = scaled.round_() if profile.rounding == "round" else scaled.floor_()
    codes: NDArray[np.uint8] = scaled.clamp_(0, 255).to(torch.uint8).cpu().numpy()
    return codes.transpose(1, 2, 0)


def to_mosaic(balanced: Tensor, record: RawRecord) -> NDArray[np.uint16]:
    """Take the mosaic out of ``(1, 3, H, W)`` balanced RGB that starts at an even site."""
    balance = torch.from_numpy(record.balance).to(balanced)
    camera = (balanced[0] / balance[:, None, None]).cpu().numpy().transpose(1, 2, 0)
    return denormalise(mosaic_from_rgb(camera, record.channels), record.black, record.white)
