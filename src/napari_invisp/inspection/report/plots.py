"""The plots of a report; each is drawn into axes that it is given."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle
from typing import Any

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from napari_invisp.inspection.regions import Region
from napari_invisp.inspection.report.contents import Contents
from napari_invisp.inspection.statistics import count, count_difference, linear_histogram
from napari_invisp.sensor.cfa import CHANNELS
from napari_invisp.sensor.record import RawRecord

_STYLE: dict[str, Any] = {
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 9,
    "figure.facecolor": "white",
    "font.size": 8,
    "grid.color": "#e4e4e4",
    "legend.frameon": False,
    "pdf.fonttype": 42,
    "svg.hashsalt": "napari-invisp",
}
# Of the CFA's sites, as they are called: G1 is the green in red's rows.
_COLOURS = {"R": "#d62728", "G1": "#2ca02c", "G2": "#11705a", "B": "#1f77b4"}
# Of Okabe and Ito, which the colour-blind can tell apart.
_LINE, _HERE = "#0072B2", "#D55E00"
_LINES = (_LINE, "#009E73", "#CC79A7", "#E69F00")
# Bins of a histogram over the sensor's range, and at most on either side of no error.
_BINS, _ERROR_BINS = 128, 60
# Share of the sites whose errors lie within the histogram.
_WITHIN = 0.999


#: What draws into the axes of a figure.
Draw = Callable[[Figure, Axes], None]


def plots(contents: Contents) -> list[tuple[str, Draw]]:
    """Give the report's plots: what to write below each, and what draws it."""
    original, recovered = contents.data.original, contents.data.recovered
    found: list[tuple[str, Draw]] = [
        (
            "RAW histogram; wide and pale: original",
            lambda _, axes: draw_histograms(axes, original, recovered),
        ),
        (
            "Errors: recovered − original",
            lambda _, axes: draw_errors(axes, original, recovered),
        ),
    ]
    if any(len(points) > 1 for _, points in contents.data.curves):
        found.append(("What more bytes keep", lambda _, axes: draw_rate(axes, contents)))
    return found


def draw_histograms(axes: Axes, original: RawRecord, recovered: RawRecord) -> None:
    """Draw how often each value occurs, channel by channel, before white balance."""
    highest = max(int(record.mosaic.max()) for record in (original, recovered))
    step = max(1, round(max(original.white, highest) / _BINS))
    looks: tuple[dict[str, Any], dict[str, Any]] = {"lw": 3, "alpha": 0.35}, {"lw": 0.8}
    for record, look in zip((original, recovered), looks, strict=True):
        histogram = linear_histogram(count(record, _frame(record)), step)
        for channel, counts in zip(CHANNELS, histogram.counts, strict=True):
            label = channel if record is original else None
            axes.stairs(counts, histogram.edges, color=_COLOURS[channel], label=label, **look)
    for level in (float(original.black.min()), original.white):
        axes.axvline(level, color="#777777", lw=0.8, ls="--")
    axes.set_yscale("log")
    axes.set_ylim(0.7, 10 * axes.get_ylim()[1])  # room for the legend
    axes.set_xlabel("DN; dashed: black and white")
    axes.set_ylabel(_sites_per(step))
    axes.legend(ncols=4, loc="upper center", fontsize="small", columnspacing=1, handlelength=1)


def draw_errors(axes: Axes, original: RawRecord, recovered: RawRecord) -> None:
    """Draw how often each error occurs."""
    found = count_difference(original, recovered, _frame(original))
    counts, values = found.counts.sum(axis=0), found.values
    size = np.abs(values)
    # Counts of errors of each size; the sizes that all but a few errors keep to.
    sizes = np.bincount(size, weights=counts).cumsum()
    reach = max(1, int(np.searchsorted(sizes, _WITHIN * sizes[-1])))
    step = 1 + 2 * (reach // (2 * _ERROR_BINS))  # odd, so that 0 is the middle of a bin
    reach = reach // step * step + step // 2
    edges = np.arange(-reach, reach + 2, step) - 0.5
    binned, _ = np.histogram(values, edges, weights=counts)
    axes.stairs(binned, edges, fill=True, color=_LINE)
    axes.axvline(0, color="#777777", lw=0.8, ls="--")
    axes.set_yscale("log")
    axes.set_xlabel(f"error, DN; {100 * (1 - _WITHIN):.1g} % of the sites lie beyond")
    axes.set_ylabel(_sites_per(step))


def draw_rate(axes: Axes, contents: Contents) -> None:
    """Draw RAW PSNR against bits a pixel, with this JPEG marked."""
    for colour, (line, points) in zip(cycle(_LINES), contents.data.curves, strict=False):
        across, up = [p.bpp for p in points], [p.raw_psnr for p in points]
        axes.plot(across, up, "o-", color=colour, markersize=3, label=str(line))
        for point in points:
            _note(axes, str(point.quality), (point.bpp, point.raw_psnr), (-4, 4), colour)
    bpp, raw_psnr = contents.data.figures.get("bpp"), contents.fidelity.raw_psnr
    if bpp is not None and np.isfinite(raw_psnr):
        axes.plot(bpp, raw_psnr, "*", color=_HERE, markersize=11)
        _note(axes, "this JPEG", (bpp, raw_psnr), (6, -10), _HERE)
    axes.set_xlabel("bits a pixel; numbers: JPEG quality")
    axes.set_ylabel("RAW PSNR, dB")
    axes.margins(x=0.12)
    axes.legend(loc="lower right", fontsize="small")


def _note(
    axes: Axes, text: str, place: tuple[float, float], offset: tuple[int, int], colour: str
) -> None:
    axes.annotate(
        text,
        place,
        xytext=offset,
        textcoords="offset points",
        horizontalalignment="left" if offset[0] > 0 else "right",
        fontsize="small",
        color=colour,
    )


def _frame(record: RawRecord) -> Region:
    return Region.frame(record.mosaic.shape)


def _sites_per(step: int) -> str:
    return "sites" if step == 1 else f"sites in {step} DN"


@contextmanager
def styled() -> Iterator[None]:
    """Draw the same whatever the user's matplotlibrc says."""
    with matplotlib.style.context(["default", _STYLE]):
        yield
