"""How long sliders of the docks for retouching and HDR let one wait: medians of several tries.

Run it under an X server, a virtual one will do::

    xvfb-run -a -s "-screen 0 1920x1200x24" python benchmarks/previews.py RAW -o RESULT.json

- slider, 1:1: from moving a slider until the part in view has been drawn anew, at 1:1 zoom;
- slider, whole frame: the same with all of the frame on the canvas, where the first picture may be
  half as fine as the canvas; until it is as fine as that, is told beside it;
- full frame: from the click on Full frame until all is done;
- longest wait: the longest time that the event loop was held up meanwhile, told by a timer.

napari's own settings are neither read nor written.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from statistics import median
from typing import Any

from window import Pulse, Window, tell

from napari_invisp.viewer.docks.hdr import HdrDock
from napari_invisp.viewer.docks.opening import dock
from napari_invisp.viewer.docks.preview import PreviewDock
from napari_invisp.viewer.docks.retouch import RetouchDock
from napari_invisp.viewer.layers.view import part_in_view
from napari_invisp.viewer.work.previewing import Shown

# What each dock begins with, the slider that is moved, and where to.
CASES: dict[str, tuple[type[PreviewDock], dict[str, Any], str, tuple[float, float]]] = {
    "retouching, exposure": (RetouchDock, {}, "exposure", (-1, 1)),
    "retouching, all filters": (
        RetouchDock,
        {
            "exposure": 0.2,
            "gamma": 0.9,
            "contrast": 0.2,
            "white_red": 0.1,
            "saturation": 0.3,
            "black_and_white": 0.1,
        },
        "contrast",
        (0.1, 0.8),
    ),
    "local Laplacian": (HdrDock, {"detail": 0.2}, "contrast", (0.2, 0.9)),
    "Reinhard": (HdrDock, {"operator": "Reinhard"}, "adaptation", (0.2, 0.9)),
}


class Bench(Window):
    """A window with one RAW and one of the docks."""

    def __init__(self, path: Path, kind: type[PreviewDock], values: dict[str, Any]) -> None:
        super().__init__(path)
        self.dock = dock(self.viewer, kind)
        self.controls = self.dock.controls if isinstance(self.dock, RetouchDock) else self.dock.form
        for name, value in values.items():
            self.controls[name].value = value
        if isinstance(self.dock, RetouchDock) and values:
            self.dock.controls.tone_curve.move_knot(4, 0.03)
            self.dock.controls.colour_curves.move_knot(4, 0.005)
        self.dock.preview()
        self.idle()

    def idle(self) -> None:
        """Wait until nothing goes on."""
        while self.dock.running or self.dock._runner.busy:
            self.rest(0.1)
        self.rest(0.3)

    def moved(self, name: str, value: float) -> tuple[float, float, float]:
        """Move a slider; return when the view is drawn, when it is finished, the longest wait."""
        self.idle()
        times: list[float] = []

        def note(result: object) -> None:
            if isinstance(result, Shown):
                self.drawn()
                times.append(time.perf_counter())

        produced = self.dock._runner.produced
        produced.connect(note)
        with Pulse() as pulse:
            start = time.perf_counter()
            self.controls[name].value = value
            while self.dock.running:
                self.rest(0.02)
        produced.disconnect(note)
        return times[0] - start, times[-1] - start, pulse.worst

    def full_frame(self) -> tuple[float, float]:
        """Click Full frame; return when all is done, and the longest wait."""
        self.idle()
        with Pulse() as pulse:
            start = time.perf_counter()
            self.dock.full_button.click()
            self.until(self.dock._runner.finished)
            done = time.perf_counter() - start
        return done, pulse.worst


def measure(path: Path, case: str, tries: int) -> dict[str, Any]:
    """Measure one case on one file."""
    kind, values, name, (low, high) = CASES[case]
    bench = Bench(path, kind, values)
    source = bench.dock.source
    # A slider that stays where it is changes nothing, so these places differ from one another.
    step = (high - low) / tries
    wholes = [bench.moved(name, low + step * n) for n in range(tries)]
    bench.viewer.scene.camera.zoom = 1.0
    bench.idle()
    rows, columns = part_in_view(bench.viewer, source)
    views = [bench.moved(name, low + step * (n + 0.5)) for n in range(tries)]
    frames = [bench.full_frame() for _ in range(3)]
    shape = source.data[0].shape
    bench.viewer.close()
    return {
        "file": path.name,
        "megapixels": shape[0] * shape[1] / 1e6,
        "case": case,
        "tries": tries,
        "view_megapixels": (rows.stop - rows.start) * (columns.stop - columns.start) / 1e6,
        "slider": median(each[0] for each in views),
        "whole_frame_slider": median(each[0] for each in wholes),
        "whole_frame_rested": median(each[1] for each in wholes),
        "full_frame": median(each[0] for each in frames),
        "longest_wait": median(each[2] for each in (*views, *wholes)),
        "longest_wait_of_all": max(each[-1] for each in (*views, *wholes, *frames)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("raw", type=Path)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=[*CASES])
    parser.add_argument("--tries", type=int, default=10)
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    measured = (measure(arguments.raw, case, arguments.tries) for case in arguments.cases)
    tell(measured, arguments.output)


if __name__ == "__main__":
    main()
