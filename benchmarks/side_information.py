"""What the parts of side information gain: RAW PSNR over none, on one file, at a number of bytes.

python benchmarks/side_information.py RAW [--bytes 65536] [-o results/side-information.json]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from scipy.linalg import hadamard

from napari_invisp.archive import correction
from napari_invisp.archive.correction import _coded, _decoded, _mosaic, _network_planes, _Seen
from napari_invisp.files import write_bytes_atomic
from napari_invisp.jpeg.codec import decode_components
from napari_invisp.metrics import raw_psnr
from napari_invisp.pipeline import Pipeline
from napari_invisp.sensor.reading import read_raw
from napari_invisp.sensor.record import RawRecord

CLASSES = ((1, 1, 1), (8, 1, 1), (8, 8, 1), (6, 6, 3))


def variants(
    record: RawRecord, recovered: RawRecord, luma: np.ndarray, size: int
) -> Iterator[tuple[str, float]]:
    """Give each variant's name, and the RAW PSNR that it reaches."""
    seen = _Seen.of(recovered, luma)
    wanted = _network_planes(record) - seen.planes

    def reached(correction: np.ndarray) -> float:
        mosaic = _mosaic(seen.planes + correction, recovered)
        return raw_psnr(record, record.replace(mosaic=mosaic))

    def residual(left: np.ndarray, matrix: np.ndarray, rest: float) -> np.ndarray:
        streams = _coded(np.einsum("ab,bhw->ahw", matrix, left), int(rest))
        return np.einsum("ba,bhw->ahw", matrix, _decoded(streams, left.shape[1:]))

    sites = (hadamard(4) / 2).astype(np.float32)
    yield "none", reached(np.zeros_like(wanted))
    yield "JPEG 2000 alone, Hadamard over the sites", reached(residual(wanted, sites, size))
    for counts in CLASSES:
        regression = correction._Regression._of(counts, seen, wanted)
        predicted = regression(seen)
        title = f"regression, {counts[0]} x {counts[1]} x {counts[2]} classes"
        yield f"{title}, alone", reached(predicted)
    rest = size * (1 - correction._SHARE)
    left = wanted - predicted
    yield f"{title}, JPEG 2000, Hadamard", reached(predicted + residual(left, sites, rest))
    yield "as it is", reached_by(record, recovered, luma, size)


def reached_by(record: RawRecord, recovered: RawRecord, luma: np.ndarray, size: int) -> float:
    """Return what the package itself reaches."""
    data = correction.pack(record, recovered, luma, size)
    mosaic = correction.corrected(data, recovered, luma)
    return raw_psnr(record, record.replace(mosaic=mosaic))


def main() -> None:
    """Measure, print, and write a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("raw", type=Path)
    parser.add_argument("--bytes", type=int, default=65536)
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    record, pipeline = read_raw(arguments.raw), Pipeline()
    jpeg = pipeline.encode(pipeline.render(record))
    components = decode_components(jpeg)
    assert components is not None
    recovered = pipeline.recover(jpeg).record
    rows: list[dict[str, Any]] = []
    for title, psnr in variants(record, recovered, components[..., 0], arguments.bytes):
        without = rows[0]["raw_psnr"] if rows else psnr
        rows.append({"variant": title, "raw_psnr": psnr, "gain": psnr - without})
        print(f"{title:50} {psnr:6.2f} dB  {psnr - without:+.2f}", flush=True)
    if arguments.output is not None:
        table = {"file": arguments.raw.name, "bytes": arguments.bytes, "rows": rows}
        write_bytes_atomic(arguments.output, (json.dumps(table, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
