"""Make docs/images/highlights.jpg: LibRaw's rendering and ours side by side, where light clips.

    python docs/make_highlights.py PHOTOGRAPHS

PHOTOGRAPHS is the folder with the photographs of the `rimc_engine` 0.3.1 gallery (MIT License); RAW
pictures are made of them, as for training.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from napari_invisp.files import write_bytes_atomic
from napari_invisp.pipeline import Pipeline
from napari_invisp.settings import RenderSettings
from napari_invisp.training.unprocess import Unprocessing

TARGET = Path(__file__).parent / "images" / "highlights.jpg"
#: Photograph, and the seed of a picture of it in which much light clips.
PICTURES = (("ex1.JPG", 100), ("ex1.JPG", 119), ("DSC_0081.JPG", 109), ("DSC_0200.JPG", 109))
RENDERINGS = (("universal", 0.5), ("universal", 1.0), ("physics", 1.0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photographs", type=Path)
    folder = parser.parse_args().photographs
    columns = 1 + len(RENDERINGS)
    figure = Figure(figsize=(2.6 * columns, 2.6 * len(PICTURES) + 0.3), dpi=100)
    axes = figure.subplots(len(PICTURES), columns, squeeze=False)
    for row, (name, seed) in zip(axes, PICTURES, strict=True):
        record, reference = Unprocessing(name, folder / name, (seed, 0), "test").make()
        row[0].imshow(reference)
        for axis, (model, headroom) in zip(row[1:], RENDERINGS, strict=True):
            settings = RenderSettings(model=model, headroom=headroom)
            axis.imshow(Pipeline(settings).render(record).rgb)
    for axis in axes.flat:
        axis.set_axis_off()
    labels = ["LibRaw", *(f"{model}, headroom {headroom:g}" for model, headroom in RENDERINGS)]
    for axis, label in zip(axes[0], labels, strict=True):
        axis.set_title(label, fontsize=10)
    figure.subplots_adjust(0, 0, 1, 1 - 0.3 / figure.get_figheight(), 0.01, 0.01)
    FigureCanvasAgg(figure)
    stream = io.BytesIO()
    figure.savefig(stream, format="jpeg", pil_kwargs={"quality": 88})
    write_bytes_atomic(TARGET, stream.getvalue())


if __name__ == "__main__":
    main()
