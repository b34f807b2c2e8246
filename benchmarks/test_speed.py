"""How long models take, beside LibRaw's rendering of the same file and the paper's network.

To render is what `napari-invisp render --no-metrics` does, from the RAW file to the JPEG file; to
recover what `napari-invisp recover` does, from the JPEG file to the DNG file. The paper's network
(fresh weights: values cost no time) would need minutes for a frame, so it is given the middle
megapixel, and what is compared is the time a pixel.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import rawpy

from napari_invisp.files import write_bytes_atomic
from napari_invisp.flow.checkpoints import save_checkpoint
from napari_invisp.flow.invisp import Invisp
from napari_invisp.pipeline import Pipeline
from napari_invisp.sensor.dng import write_dng
from napari_invisp.sensor.reading import read_raw
from napari_invisp.settings import RenderSettings

PAPER = "invisp"
MODELS = ("physics", "universal", PAPER)
MIDDLE = 1024


class Way:
    """A model's way there and back, with files in a folder."""

    def __init__(self, raw_file: Path, model: str, folder: Path) -> None:
        self.raw_file, self.model = raw_file, model
        self.jpeg = folder / f"{raw_file.stem}-{model}.jpg"
        self.dng = folder / "recovered.dng"
        self.given: str | None = None
        if model == PAPER:
            checkpoint = folder / "invisp.safetensors"
            if not checkpoint.exists():
                save_checkpoint(checkpoint, Invisp().eval())
            self.model = self.given = str(checkpoint)
            middle = read_raw(raw_file).middle(MIDDLE)
            self.raw_file = folder / f"{raw_file.stem}-middle.dng"
            write_dng(self.raw_file, middle)
        megapixels = read_raw(self.raw_file).mosaic.size / 1e6
        self.about = {"file": raw_file.name, "model": model, "megapixels": megapixels}

    def render(self) -> None:
        """From the RAW file to the JPEG file."""
        pipeline = Pipeline(RenderSettings(model=self.model))
        rendering = pipeline.render(read_raw(self.raw_file))
        write_bytes_atomic(self.jpeg, pipeline.encode(rendering))

    def recover(self) -> None:
        """From the JPEG file to the DNG file."""
        recovery = Pipeline().recover(self.jpeg.read_bytes(), model=self.given)
        write_dng(self.dng, recovery.record)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("speed")


def test_libraw(raw_file: Path, timed: Callable[..., None]) -> None:
    with rawpy.imread(str(raw_file)) as raw:

        def postprocess() -> None:
            raw.postprocess(
                use_camera_wb=True, no_auto_bright=True, adjust_maximum_thr=0, user_flip=0
            )

        megapixels = raw.sizes.height * raw.sizes.width / 1e6
        timed(postprocess, file=raw_file.name, job="render", model="LibRaw", megapixels=megapixels)


@pytest.mark.parametrize("model", MODELS)
def test_render(raw_file: Path, model: str, folder: Path, timed: Callable[..., None]) -> None:
    way = Way(raw_file, model, folder)
    timed(way.render, job="render", **way.about)


@pytest.mark.parametrize("model", MODELS)
def test_recover(raw_file: Path, model: str, folder: Path, timed: Callable[..., None]) -> None:
    way = Way(raw_file, model, folder)
    if not way.jpeg.exists():
        way.render()
    timed(way.recover, job="recover", **way.about)
