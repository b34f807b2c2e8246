"""What each part of `universal` brings, on full frames: RGB PSNR before JPEG, RAW PSNR, bytes.

From `physics` on, one part after the other is added: joint highlights, the residual flow, the
restoration believed in full, and the confidence in it that the encoder finds. Quality 90, 4:2:2;
`--headroom` as for `render`. `-o results/parts.json` and then `python scripts/figures.py` put the
figures into the documentation.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from napari_invisp.evaluation.fidelity import reference_of
from napari_invisp.files import write_bytes_atomic
from napari_invisp.flow.base import InvertibleISP
from napari_invisp.flow.coded import Trial
from napari_invisp.flow.universal import Universal
from napari_invisp.metrics import raw_psnr, rgb_psnr
from napari_invisp.pipeline import Pipeline
from napari_invisp.sensor.reading import read_raw
from napari_invisp.settings import RenderSettings
from napari_invisp.strictjson import dumps
from napari_invisp.zoo import MODELS, load_model


class Nothing(nn.Module):
    """In the place of a learned part."""

    reach = 0

    def forward(self, z: Tensor, *told: Tensor) -> Tensor:
        """Leave the picture as it is."""
        return z

    def inverse(self, z: Tensor, *told: Tensor) -> Tensor:
        """Leave the picture as it is."""
        return z


class Sure(Universal):
    """Believes its restoration in full."""

    def tried(self, attempt: Callable[[], Trial | None]) -> Universal:
        """Try nothing."""
        return self


def stages(name: str) -> Iterator[tuple[str, InvertibleISP]]:
    yield "physics", load_model("physics")
    for label, missing, kind in (
        ("joint highlights", ("flow", "restoration"), Sure),
        ("residual flow", ("restoration",), Sure),
        ("restoration", (), Sure),
        ("confidence", (), Universal),
    ):
        model = load_model(name)
        if not isinstance(model, Universal):
            raise SystemExit(f"{name} is not universal")
        for part in missing:
            setattr(model, part, Nothing())
        model.__class__ = kind
        yield f"+ {label}", model


def _same(model: InvertibleISP) -> InvertibleISP:
    return model


def rows(path: Path, name: str, headroom: float) -> Iterator[dict[str, Any]]:
    """Measure one file with ever more parts."""
    record = read_raw(path)
    reference = reference_of(path, record)
    for label, model in stages(name):
        model.checkpoint = None  # found by its name, here and when it recovers
        usual = MODELS[model.name]
        MODELS[model.name] = partial(_same, model)
        pipeline = Pipeline(RenderSettings(model=model.name, headroom=headroom))
        rendering = pipeline.render(record)
        jpeg = pipeline.encode(rendering)
        recovered = pipeline.recover(jpeg).record
        MODELS[model.name] = usual
        yield {
            "file": path.name,
            "headroom": headroom,
            "part": label,
            "rgb_psnr": rgb_psnr(reference, rendering.rgb),
            "raw_psnr": raw_psnr(record, recovered),
            "bytes": len(jpeg),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("raw", nargs="+", type=Path)
    parser.add_argument("--model", default="universal")
    parser.add_argument("--headroom", type=float, nargs="+", default=[0.5])
    parser.add_argument("-o", "--output", type=Path, help="JSON file to keep the figures in")
    arguments = parser.parse_args()
    found = []
    for path in arguments.raw:
        for headroom in arguments.headroom:
            print(f"{path.name}, headroom {headroom:g}")
            for row in rows(path, arguments.model, headroom):
                found.append(row)
                print(
                    "  {part:18} RGB {rgb_psnr:.2f} dB  RAW {raw_psnr:.2f} dB  "
                    "{bytes:,} bytes".format(**row),
                    flush=True,
                )
    if arguments.output is not None:
        write_bytes_atomic(arguments.output, dumps({"rows": found}).encode())


if __name__ == "__main__":
    main()
