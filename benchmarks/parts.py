"""What each part of `universal` brings, on full frames: RGB PSNR before JPEG, RAW PSNR, bytes.

From `physics` on, one part after the other is added: joint highlights, the residual flow, the
restoration. Quality 90, 4:2:2; `--headroom` as for `render`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from torch import Tensor, nn

from napari_invisp.evaluation.fidelity import reference_of
from napari_invisp.flow.base import InvertibleISP
from napari_invisp.flow.universal import Universal
from napari_invisp.metrics import raw_psnr, rgb_psnr
from napari_invisp.pipeline import Pipeline
from napari_invisp.sensor.reading import read_raw
from napari_invisp.settings import RenderSettings
from napari_invisp.zoo import MODELS, load_model


class Nothing(nn.Module):
    """In the place of a learned part."""

    def forward(self, z: Tensor, *told: Tensor) -> Tensor:
        """Leave the picture as it is."""
        return z

    def inverse(self, z: Tensor, *told: Tensor) -> Tensor:
        """Leave the picture as it is."""
        return z


def stages(name: str) -> Iterator[tuple[str, InvertibleISP]]:
    yield "physics", load_model("physics")
    for label, missing in (
        ("joint highlights", ("flow", "restoration")),
        ("residual flow", ("restoration",)),
        ("restoration", ()),
    ):
        model = load_model(name)
        if not isinstance(model, Universal):
            raise SystemExit(f"{name} is not universal")
        for part in missing:
            setattr(model, part, Nothing())
        yield f"+ {label}", model


def _same(model: InvertibleISP) -> InvertibleISP:
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("raw", nargs="+", type=Path)
    parser.add_argument("--model", default="universal")
    parser.add_argument("--headroom", type=float, default=0.5)
    arguments = parser.parse_args()
    for path in arguments.raw:
        record = read_raw(path)
        reference = reference_of(path, record)
        print(f"{path.name}, headroom {arguments.headroom:g}")
        for label, model in stages(arguments.model):
            model.checkpoint = None  # found by its name, here and when it recovers
            usual = MODELS[model.name]
            MODELS[model.name] = partial(_same, model)
            pipeline = Pipeline(RenderSettings(model=model.name, headroom=arguments.headroom))
            rendering = pipeline.render(record)
            jpeg = pipeline.encode(rendering)
            recovered = pipeline.recover(jpeg).record
            MODELS[model.name] = usual
            print(
                f"  {label:18} RGB {rgb_psnr(reference, rendering.rgb):.2f} dB"
                f"  RAW {raw_psnr(record, recovered):.2f} dB  {len(jpeg) / 1e6:.3f} MB",
                flush=True,
            )


if __name__ == "__main__":
    main()
