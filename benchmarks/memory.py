"""Peak resident memory of a 45 MP frame (8256 x 5504, 14 bit), rendered and recovered.

Each step runs in a process of its own. `--model PATH` measures a checkpoint of the paper's network
at its tile size; that takes hours on a CPU at full size, so `--height` may cut the frame: its
memory does not depend on the number of tiles, that of the frame itself is added.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from napari_invisp.pipeline import Pipeline
from napari_invisp.samples import sample_path
from napari_invisp.sensor.dng import write_dng
from napari_invisp.sensor.reading import read_raw
from napari_invisp.settings import RenderSettings


def make_frame(path: Path, height: int, width: int) -> None:
    """Repeat the bundled sample until it fills the frame, as 14-bit data."""
    sample = read_raw(sample_path())
    repeats = (-(-height // sample.height), -(-width // sample.width))
    mosaic = np.tile(sample.mosaic * np.uint16(16), repeats)[:height, :width]
    large = sample.replace(
        mosaic=mosaic, black=sample.black * 16, white=sample.white * 16, bit_depth=14
    )
    write_dng(path, large)


def step(name: str, folder: Path, model: str) -> None:
    """Do one step and print the peak in MB."""
    raw, jpeg = folder / "frame.dng", folder / "frame.jpg"
    if name == "render":
        pipeline = Pipeline(RenderSettings(model=model))
        jpeg.write_bytes(pipeline.encode(pipeline.render(read_raw(raw))))
    else:
        named = model if Path(model).exists() else None
        record = Pipeline().recover(jpeg.read_bytes(), model=named).record
        write_dng(folder / "recovered.dng", record)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="physics")
    parser.add_argument("--height", type=int, default=5504)
    parser.add_argument("--width", type=int, default=8256)
    parser.add_argument("--step", choices=["render", "recover"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step:
        step(arguments.step, arguments.folder, arguments.model)
        return
    with tempfile.TemporaryDirectory() as folder:
        make_frame(Path(folder) / "frame.dng", arguments.height, arguments.width)
        for name in ("render", "recover"):
            command = [sys.executable, __file__, "--step", name, "--folder", folder]
            command += ["--model", arguments.model]
            peak = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            megapixels = arguments.height * arguments.width / 1e6
            print(f"{arguments.model}, {megapixels:.1f} MP, {name}: {peak.strip()} MB")


if __name__ == "__main__":
    main()
