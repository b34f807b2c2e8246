"""How long rendering and recovery take against LibRaw's own rendering of the same file.

`render` is what `napari-invisp render --no-metrics` does, from the RAW file to the JPEG file;
`recover` what `napari-invisp recover` does, from the JPEG file to the DNG file.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import rawpy
import torch

from napari_invisp.files import write_bytes_atomic
from napari_invisp.pipeline import Pipeline
from napari_invisp.sensor.dng import write_dng
from napari_invisp.sensor.reading import read_raw
from napari_invisp.settings import RenderSettings


def seconds(job: Callable[[], object]) -> float:
    start = time.perf_counter()
    job()
    return time.perf_counter() - start


def measure(path: Path, runs: int, model: str) -> None:
    with tempfile.TemporaryDirectory() as folder, rawpy.imread(str(path)) as raw:
        jpeg, dng = Path(folder) / "rendered.jpg", Path(folder) / "recovered.dng"

        def libraw() -> None:
            raw.postprocess(
                use_camera_wb=True, no_auto_bright=True, adjust_maximum_thr=0, user_flip=0
            )

        def render() -> None:
            pipeline = Pipeline(RenderSettings(model=model))
            write_bytes_atomic(jpeg, pipeline.encode(pipeline.render(read_raw(path))))

        def recover() -> None:
            named = model if Path(model).exists() else None
            write_dng(dng, Pipeline().recover(jpeg.read_bytes(), model=named).record)

        jobs = {"LibRaw": libraw, "render": render, "recover": recover}
        times: dict[str, list[float]] = {name: [] for name in jobs}
        for _ in range(runs):  # in turn, so that a busy moment hits all alike
            for name, job in jobs.items():
                times[name].append(seconds(job))
        median = {name: statistics.median(values) for name, values in times.items()}
        print(
            f"{path.name}: LibRaw {median['LibRaw']:.2f} s; "
            f"render {median['render']:.2f} s = {median['render'] / median['LibRaw']:.2f} x; "
            f"recover {median['recover']:.2f} s = {median['recover'] / median['LibRaw']:.2f} x "
            f"(median of {runs}, {torch.get_num_threads()} threads)"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("raw", nargs="+", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--model", default="physics")
    arguments = parser.parse_args()
    for path in arguments.raw:
        measure(path, arguments.runs, arguments.model)


if __name__ == "__main__":
    main()
