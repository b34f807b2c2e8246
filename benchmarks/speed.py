"""How long models take, against LibRaw's rendering of the same file and against each other.

`render` is what `napari-invisp render --no-metrics` does, from the RAW file to the JPEG file;
`recover` what `napari-invisp recover` does, from the JPEG file to the DNG file. Jobs take turns, so
that a busy moment hits all alike, and medians are compared.

With `--paper`, in memory, models against the paper's network (fresh weights: values cost no time).
It needs minutes for a frame, so it is given the middle megapixel; what is compared is the time a
pixel.
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
from napari_invisp.flow.checkpoints import save_checkpoint
from napari_invisp.flow.invisp import Invisp
from napari_invisp.pipeline import Pipeline
from napari_invisp.sensor.dng import write_dng
from napari_invisp.sensor.reading import read_raw
from napari_invisp.sensor.record import RawRecord
from napari_invisp.settings import RenderSettings

Jobs = dict[str, Callable[[], object]]

MIDDLE = 1024


def seconds(job: Callable[[], object]) -> float:
    start = time.perf_counter()
    job()
    return time.perf_counter() - start


def medians(jobs: Jobs, runs: int) -> dict[str, float]:
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(runs):
        for name, job in jobs.items():
            times[name].append(seconds(job))
    return {name: statistics.median(values) for name, values in times.items()}


def file_jobs(path: Path, folder: Path, model: str) -> Jobs:
    """From file to file."""
    jpeg = folder / f"{Path(model).stem}.jpg"
    given = model if Path(model).exists() else None

    def render() -> None:
        pipeline = Pipeline(RenderSettings(model=model))
        write_bytes_atomic(jpeg, pipeline.encode(pipeline.render(read_raw(path))))

    def recover() -> None:
        recovered = Pipeline().recover(jpeg.read_bytes(), model=given)
        write_dng(folder / "recovered.dng", recovered.record)

    return {f"render, {model}": render, f"recover, {model}": recover}


def memory_jobs(record: RawRecord, model: str) -> Jobs:
    """From record to record."""
    pipeline = Pipeline(RenderSettings(model=model))
    given = model if Path(model).exists() else None
    kept: dict[str, bytes] = {}

    def render() -> None:
        kept["jpeg"] = pipeline.encode(pipeline.render(record))

    name = Path(model).stem
    return {
        f"render, {name}": render,
        f"recover, {name}": lambda: pipeline.recover(kept["jpeg"], model=given),
    }


def whole_frame(path: Path, models: list[str], runs: int) -> None:
    with tempfile.TemporaryDirectory() as folder, rawpy.imread(str(path)) as raw:

        def libraw() -> None:
            raw.postprocess(
                use_camera_wb=True, no_auto_bright=True, adjust_maximum_thr=0, user_flip=0
            )

        jobs: Jobs = {"LibRaw": libraw}
        for model in models:
            jobs |= file_jobs(path, Path(folder), model)
        found = medians(jobs, runs)
    print(f"{path.name}: LibRaw {found['LibRaw']:.2f} s", end="")
    for name, median in list(found.items())[1:]:
        print(f"; {name} {median:.2f} s = {median / found['LibRaw']:.2f} x", end="")
    print(f" (median of {runs}, {torch.get_num_threads()} threads)")


def against_paper(path: Path, models: list[str], runs: int) -> None:
    record = read_raw(path)
    middle = record.middle(MIDDLE)
    with tempfile.TemporaryDirectory() as folder:
        network = Path(folder) / "invisp.safetensors"
        save_checkpoint(network, Invisp().eval())
        jobs = memory_jobs(middle, str(network))
        for model in models:
            jobs |= memory_jobs(record, model)
        found = medians(jobs, runs)
    sizes = {name: middle if name.endswith("invisp") else record for name in found}
    each = {name: median / sizes[name].mosaic.size * 1e6 for name, median in found.items()}
    print(f"{path.name}, seconds a megapixel:", end="")
    for name, time_ in each.items():
        ratio = each[f"{name.split(',')[0]}, invisp"] / time_
        print(f" {name} {time_:.3f} (1/{ratio:.0f} of invisp);", end="")
    print(f" median of {runs}, {torch.get_num_threads()} threads")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("raw", nargs="+", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--models", nargs="+", default=["physics", "universal"])
    parser.add_argument("--paper", action="store_true", help="compare with the paper's network")
    arguments = parser.parse_args()
    for path in arguments.raw:
        if arguments.paper:
            against_paper(path, arguments.models, arguments.runs)
        else:
            whole_frame(path, arguments.models, arguments.runs)


if __name__ == "__main__":
    main()
