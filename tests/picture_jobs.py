"""Pictures to prepare, in a module that worker processes can import."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from records import make_record

from napari_invisp.errors import RawFileError
from napari_invisp.sensor.record import RawRecord
from napari_invisp.training.splitting import Split

#: Size of the pictures.
SHAPE = (60, 72)


@dataclass(frozen=True)
class PictureJob:
    """Makes a picture, unless the folder holds a file ``NAME.MISHAP``; counts its calls there."""

    name: str
    folder: Path
    split: Split = "train"
    seed: int = 0

    def make(self) -> tuple[RawRecord, np.ndarray]:
        with (self.folder / f"{self.name}.calls").open("a") as log:
            log.write("x")
        if (self.folder / f"{self.name}.unreadable").exists():
            raise RawFileError(f"{self.name} is unreadable")
        if (self.folder / f"{self.name}.odd").exists():
            raise ZeroDivisionError("odd")
        if (self.folder / f"{self.name}.deadly").exists():
            os._exit(1)
        return self.picture()

    def picture(self) -> tuple[RawRecord, np.ndarray]:
        rng = np.random.default_rng(self.seed)
        return make_record(SHAPE, seed=self.seed), rng.integers(0, 256, (*SHAPE, 3), np.uint8)

    @property
    def calls(self) -> int:
        log = self.folder / f"{self.name}.calls"
        return len(log.read_text()) if log.exists() else 0
