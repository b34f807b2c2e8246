"""How long tone mapping takes: a view of one megapixel, and a whole frame.

python benchmarks/tones.py RAW…
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from napari_invisp.hdr.highlights import linear_srgb_hdr
from napari_invisp.hdr.settings import ToneSettings
from napari_invisp.hdr.toning import anchor_of, toned
from napari_invisp.sensor.reading import read_raw

VIEW = 1000
CASES = {
    "local Laplacian": ToneSettings(),
    "local Laplacian, detail 0.5": ToneSettings(detail=0.5),
    "local Laplacian, detail -0.5": ToneSettings(detail=-0.5),
    "Reinhard": ToneSettings(operator="Reinhard"),
    "Drago": ToneSettings(operator="Drago"),
}


def seconds(work: Callable[[], object], rounds: int) -> float:
    """Median time of some rounds, after one that does not count."""
    work()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("raw", nargs="+", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    print("| file | operator | view of 1 MP, s | frame, s | frame, s/MP |")
    print("| --- | --- | ---: | ---: | ---: |")
    for path in arguments.raw:
        light = linear_srgb_hdr(read_raw(path))
        anchor = anchor_of(light)
        view = np.ascontiguousarray(light[:VIEW, :VIEW])
        megapixels = light.shape[0] * light.shape[1] / 1e6
        for name, settings in CASES.items():
            in_view = seconds(partial(toned, view, settings, anchor=anchor), arguments.rounds)
            whole = seconds(partial(toned, light, settings, anchor=anchor), 1)
            row = f"{in_view:.3f} | {whole:.2f} | {whole / megapixels:.3f}"
            print(f"| {path.name} | {name} | {row} |", flush=True)


if __name__ == "__main__":
    main()
