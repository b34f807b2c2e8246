"""How long the inspector lets one wait: in a real window, medians of several tries.

Run it under an X server, a virtual one will do::

    xvfb-run -a -s "-screen 0 1920x1200x24" python benchmarks/inspector.py RAW -o RESULT.json

- first picture: from the click on Render until a picture of all that is in view has been drawn;
- first tile, whole view: from moving the quality or headroom slider, at 1:1 zoom with the error map
  on the canvas, until its first tile, and all of it, have been drawn;
- cancel: from the click until no thread is at work any more, at moments spread over a whole run;
- longest wait: the longest time that the event loop was held up during whole runs, told by a timer.

napari's own settings are neither read nor written.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from statistics import median
from typing import Any

from window import Pulse, Window, tell

from napari_invisp.viewer.docks.opening import dock
from napari_invisp.viewer.docks.render import RenderDock
from napari_invisp.viewer.layers import ORIGINAL, facts_of
from napari_invisp.viewer.layers.view import part_in_view
from napari_invisp.viewer.work.following import Glimpse


class Bench(Window):
    """A window with one RAW, and what can be measured in it."""

    def __init__(self, path: Path, model: str) -> None:
        super().__init__(path)
        self.dock: RenderDock = dock(self.viewer)
        self.dock.controls["model"].value = model
        self.rest()

    def idle(self) -> None:
        """Wait until the whole frame is of one setting."""
        while self.dock.running or self.dock.runs.busy or self._unsettled():
            self.rest(0.1)
        self.rest(0.3)

    def _unsettled(self) -> bool:
        raw = self.dock.raw_layer
        return raw is not None and self.dock.runs.partial(raw)

    def forget_results(self) -> None:
        """Take all results away, so that the next run begins from nothing."""
        for layer in [each for each in self.viewer.layers if ORIGINAL in facts_of(each)]:
            self.viewer.layers.remove(layer)
        self.dock.runs._bench = None
        self.dock.show_only("Original")
        self.rest()

    def first_picture(self) -> tuple[float, float, float]:
        """Click Render; return when there is a picture, when all is done, and the longest wait."""
        layers = self.viewer.layers
        self.forget_results()
        with Pulse() as pulse:
            start = time.perf_counter()
            self.dock.render_button.click()
            self.until(layers.events.inserted)
            self.drawn()
            first = time.perf_counter() - start
            self.until(self.dock.runs.ended)
            whole = time.perf_counter() - start
        return first, whole, pulse.worst

    def moved(self, name: str, value: float) -> tuple[float, float, float]:
        """Move a slider; return when the first tile is drawn, when all is, and the longest wait."""
        self.idle()
        produced = self.dock.runs._runner.produced
        glimpses: list[float] = []

        def note(result: object) -> None:
            if isinstance(result, Glimpse):
                self.drawn()
                glimpses.append(time.perf_counter())

        with Pulse() as pulse:
            produced.connect(note)
            start = time.perf_counter()
            self.dock.controls[name].value = value
            self.until(self.dock.runs.moved)
            produced.disconnect(note)
        return glimpses[0] - start, glimpses[-1] - start, pulse.worst

    def cancelled(self, delay: float) -> float:
        """Click Render, and Cancel after a while; return when no thread is at work any more."""
        self.forget_results()
        self.dock.render_button.click()
        self.rest(delay)
        start = time.perf_counter()
        self.dock.cancel_button.click()
        while self.dock.runs.busy:
            self.rest(0.002)
        return time.perf_counter() - start


def measure(path: Path, model: str, tries: int) -> dict[str, Any]:
    """Measure one model on one file."""
    bench = Bench(path, model)
    runs = [bench.first_picture() for _ in range(tries + 1)][1:]  # the first one loads the model
    bench.idle()
    bench.viewer.scene.camera.zoom = 1.0
    bench.dock.show_only("Error")
    raw = bench.dock.raw_layer
    rows, columns = part_in_view(bench.viewer, raw)
    megapixels = raw.data[0].shape[0] * raw.data[0].shape[1] / 1e6
    qualities = [bench.moved("quality", 40 + 5 * n) for n in range(tries)]
    headrooms = [bench.moved("headroom", n / tries) for n in range(tries)]
    bench.idle()
    whole = median(run[1] for run in runs)
    cancels = [bench.cancelled(whole * (n + 0.5) / tries) for n in range(tries)]
    waits = [run[2] for run in runs]
    bench.viewer.close()
    return {
        "file": path.name,
        "megapixels": megapixels,
        "model": model,
        "tries": tries,
        "view_megapixels": (rows.stop - rows.start) * (columns.stop - columns.start) / 1e6,
        "first_picture": median(run[0] for run in runs),
        "whole_run": whole,
        "quality_first_tile": median(each[0] for each in qualities),
        "quality_whole_view": median(each[1] for each in qualities),
        "headroom_first_tile": median(each[0] for each in headrooms),
        "headroom_whole_view": median(each[1] for each in headrooms),
        "cancel": median(cancels),
        "cancel_longest": max(cancels),
        "longest_wait": median(waits),
        "longest_wait_of_all": max(run[2] for run in (*runs, *qualities, *headrooms)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("raw", type=Path)
    parser.add_argument("--models", nargs="+", default=["physics", "universal"])
    parser.add_argument("--tries", type=int, default=10)
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    measured = (measure(arguments.raw, model, arguments.tries) for model in arguments.models)
    tell(measured, arguments.output)


if __name__ == "__main__":
    main()
