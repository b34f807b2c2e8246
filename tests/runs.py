"""A model, pictures and runs so small that training them takes a second.

As a program: trains the run in the folder that is named, and prints each step as it is done.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from photographs import photograph
from torch import Tensor, nn

from napari_invisp.flow.base import InvertibleISP
from napari_invisp.flow.checkpoints import ARCHITECTURES
from napari_invisp.flow.convolution import InvertibleConv1x1
from napari_invisp.flow.profiles import PROFILES, Profile
from napari_invisp.sensor.libraw import reference_srgb
from napari_invisp.sensor.record import RawRecord
from napari_invisp.training.bidirectional import Bidirectional
from napari_invisp.training.objectives import OBJECTIVES
from napari_invisp.training.patch import Patch, PatchSource, Picture
from napari_invisp.training.run import Run
from napari_invisp.training.settings import TrainSettings
from napari_invisp.training.trainer import train


class Tiny(InvertibleISP):
    """A 1×1 convolution and one additive coupling."""

    name = "tiny"
    halo = 1

    def __init__(self, profile: Profile = PROFILES["paper"]) -> None:
        super().__init__()
        self.profile = profile
        self.mix = InvertibleConv1x1()
        self.shift = nn.Conv2d(1, 2, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        first, rest = self.mix(x).split((1, 2), dim=1)
        return torch.cat((first, rest + self.shift(first)), dim=1)

    def inverse(self, y: Tensor) -> Tensor:
        first, rest = y.split((1, 2), dim=1)
        return self.mix.inverse(torch.cat((first, rest - self.shift(first)), dim=1))


def tiny(settings: TrainSettings, source: PatchSource) -> Bidirectional:
    return Bidirectional(Tiny(), settings)


class Memory:
    """Pictures in memory, the last of them held out."""

    def __init__(self, records: Sequence[RawRecord]) -> None:
        self._pictures = [
            Picture(f"picture {number}", record, reference_srgb(record))
            for number, record in enumerate(records)
        ]

    def draw(self, rng: np.random.Generator, side: int, margin: int = 0) -> Patch:
        picture = self._pictures[rng.integers(len(self._pictures) - 1)]
        extent = side + 2 * margin
        top, left = (
            2 * int(rng.integers((length - extent) // 2 + 1))
            for length in picture.record.mosaic.shape
        )
        window = slice(top, top + extent), slice(left, left + extent)
        record = picture.record.replace(mosaic=picture.record.mosaic[window])
        return Patch(record, picture.reference[window], picture.name, margin)

    def picture(self, name: str) -> Picture:
        return next(each for each in self._pictures if each.name == name)

    def held_out(self) -> Sequence[Picture]:
        return self._pictures[-1:]


def memory() -> Memory:
    return Memory([photograph(72, 80, pattern) for pattern in ("RGGB", "GBRG", "BGGR")])


def settings(**changes: Any) -> TrainSettings:
    """Settings of a run that takes a second."""
    return TrainSettings(
        **{
            "model": "tiny",
            "steps": 30,
            "batch": 2,
            "patch": 24,
            "warmup": 5,
            "learning_rate": 5e-3,
            "log_every": 3,
            "validate_every": 15,
            "save_every": 10,
            "device": "cpu",
            "threads": 1,
            "quality": (60, 98),
            "subsampling": ("4:4:4", "4:2:2", "4:2:0"),
            **changes,
        }
    )


def register() -> None:
    ARCHITECTURES["tiny"] = Tiny
    OBJECTIVES["tiny"] = tiny


if __name__ == "__main__":
    register()
    train(
        Run.resume(Path(sys.argv[1])),
        memory(),
        progress=lambda stage, done, total: print(done, flush=True),
    )
