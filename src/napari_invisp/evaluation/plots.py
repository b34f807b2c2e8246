"""Plots of tables: what RAW costs in bytes, and what it costs in the picture.

Drawn without any global state of matplotlib; the same rows make the same file.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean
from typing import Any

import matplotlib.style
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from napari_invisp.errors import SettingsError
from napari_invisp.evaluation.compression import CompressionMean, CompressionRow
from napari_invisp.evaluation.rows import FileMean, FileRow, Mean, Row, means
from napari_invisp.files import known_suffix

FORMATS = (".svg", ".png")

# Okabe and Ito's colours, which the colour-blind can tell apart; markers tell them apart in print.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_MARKERS = ("o", "s", "^", "D", "v", "P")
_DASHES = ("-", "--", ":", "-.")
_YARDSTICK: dict[str, Any] = {
    "color": "#555555",
    "linestyle": "--",
    "zorder": 1,
    "label": "lossy DNG",
}
_STYLE = {
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.size": 10,
    "grid.color": "#dddddd",
    "legend.frameon": False,
    "savefig.dpi": 150,
    "svg.hashsalt": "napari-invisp",
}
# Where labels stand beside the points of the first line, the second and so on: left, below.
_CORNERS = ((True, True), (False, False), (False, True), (True, False))
# What a label covers of a panel, across and up.
_LABEL = (0.14, 0.05)
# In dB.
_LEAST_SPAN = 4.0
_PANEL = (4.2, 3.4)  # inches
_PANELS_A_ROW = 2
# More files than these are averaged.
_MOST_PANELS = 6

_VARIABLES = ("headroom", "quality", "subsampling")

_Point = Row | Mean
_Size = CompressionRow | CompressionMean
_Place = tuple[float, float]
_Lines = list[tuple[str, list[_Point]]]


def plot_format(path: Path) -> str:
    """Return the suffix that says how a plot is to be written: ``.svg`` or ``.png``.

    Raises
    ------
    OutputError
        It is neither.
    """
    return known_suffix(path, FORMATS, "plot")


def plot_kind(
    headrooms: Iterable[float], qualities: Iterable[int], subsamplings: Iterable[str]
) -> Callable[[Sequence[Row]], Figure]:
    """Choose the plot that suits some settings: over the headroom where it varies, else the bytes.

    Raises
    ------
    SettingsError
        Headroom and kind of JPEG both vary: there is no plot of that.
    """
    if len(set(headrooms)) == 1:
        return rate_plot
    if len(set(qualities)) == len(set(subsamplings)) == 1:
        return headroom_plot
    raise SettingsError(
        "a plot shows several headrooms or several kinds of JPEG, not both: give one headroom, or "
        "one quality and one subsampling"
    )


def draw(rows: Sequence[Row] | Sequence[CompressionRow], suffix: str, note: str = "") -> bytes:
    """Draw the plot that suits some rows: :func:`compression_plot`, or see :func:`plot_kind`.

    Parameters
    ----------
    rows
        One or more, all of one kind.
    suffix
        ``".svg"`` or ``".png"``.
    note
        Kept in the file's metadata, not to be seen.

    Returns
    -------
    bytes
        The file, the same for the same rows.

    Raises
    ------
    SettingsError
        There is no plot of what varies.
    """
    frames = [row for row in rows if isinstance(row, Row)]
    sizes = [row for row in rows if isinstance(row, CompressionRow)]
    # Neither time nor version of matplotlib, so that only the figures change the file.
    silent = ("Date", "Creator") if suffix == ".svg" else ("Software",)
    metadata: dict[str, Any] = dict.fromkeys(silent) | {"Description": note}
    with _styled():
        stream = io.BytesIO()
        figure = compression_plot(sizes) if sizes else _frames_plot(frames)
        figure.savefig(stream, format=suffix[1:], metadata=metadata)
    return stream.getvalue()


def _frames_plot(rows: Sequence[Row]) -> Figure:
    plot = plot_kind(*({getattr(row, name) for row in rows} for name in _VARIABLES))
    return plot(rows)


def rate_plot(rows: Sequence[Row]) -> Figure:
    """Plot RAW PSNR against bits a pixel: a line a model, a panel a file, or their mean."""

    def draw_panel(axes: Axes, points: Sequence[_Point]) -> None:
        for number, (label, line) in enumerate(_lines(points)):
            line = sorted(line, key=lambda point: point.bpp)
            _draw_line(axes, number, label, [p.bpp for p in line], [p.raw_psnr for p in line])
        yardstick = sorted({(p.bpp, p.lossy_dng_raw_psnr) for p in points if p.lossy_dng_raw_psnr})
        if yardstick:
            axes.plot(*zip(*yardstick, strict=True), **_YARDSTICK)

    return _panels(rows, draw_panel, "bits a pixel of the JPEG", "RAW PSNR, dB")


def headroom_plot(rows: Sequence[Row]) -> Figure:
    """Plot RAW PSNR against RGB PSNR over the headroom: a line a model, a panel a file."""

    def draw_panel(axes: Axes, points: Sequence[_Point]) -> None:
        for number, (label, line) in enumerate(_lines(points, over="headroom")):
            line = sorted(line, key=lambda point: point.headroom)
            places = [(p.rgb_psnr, p.raw_psnr) for p in line]
            _draw_line(axes, number, label, *zip(*places, strict=True))
            _label_points(axes, number, [f"{p.headroom:g}" for p in line], places, _spans(points))
        yardstick = [p.lossy_dng_raw_psnr for p in points if p.lossy_dng_raw_psnr is not None]
        if yardstick:
            # It depends on the bytes, and those a little on model and headroom.
            axes.axhspan(min(yardstick), max(yardstick), color="#555555", alpha=0.2, linewidth=0)
            axes.axhline(fmean(yardstick), **_YARDSTICK)
        axes.margins(0.12)
        _widen(axes)

    return _panels(rows, draw_panel, "RGB PSNR against LibRaw's rendering, dB", "RAW PSNR, dB")


def compression_plot(rows: Sequence[CompressionRow]) -> Figure:
    """Plot RAW PSNR against bits a pixel: a line a lossy kind, an upright mark a lossless one.

    A panel a file, or their mean. Bits a pixel are on a logarithmic scale.
    """
    kinds = list(dict.fromkeys(row.kind for row in rows))
    lossy = [kind for kind in kinds if any(_is_lossy(r) for r in rows if r.kind == kind)]
    lossless = [kind for kind in kinds if kind not in lossy]

    def draw_panel(axes: Axes, points: Sequence[_Size]) -> None:
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
        for number, kind in enumerate(lossy):
            line = sorted((p for p in points if p.kind == kind), key=lambda point: point.bpp)
            _draw_line(axes, number, kind, [p.bpp for p in line], [p.raw_psnr for p in line])
        for number, kind in enumerate(lossless):
            colour = _COLOURS[(len(lossy) + number) % len(_COLOURS)]
            for point in (p for p in points if p.kind == kind):
                style = _DASHES[number % len(_DASHES)]
                axes.axvline(point.bpp, color=colour, linestyle=style, label=kind)

    return _panels(rows, draw_panel, "bits a pixel of the file", "RAW PSNR, dB")


def _is_lossy(row: CompressionRow) -> bool:
    return math.isfinite(row.raw_psnr)


def _panels(
    rows: Sequence[FileRow],
    draw_panel: Callable[[Axes, Sequence[Any]], None],
    across: str,
    up: str,
) -> Figure:
    files = list(dict.fromkeys(row.file for row in rows))
    panels: list[tuple[str, Sequence[FileRow] | Sequence[FileMean]]]
    if len(files) <= _MOST_PANELS:
        panels = [(file, [row for row in rows if row.file == file]) for file in files]
    else:
        panels = [(f"mean of {len(files)} files", means(rows))]
    columns = min(len(panels), _PANELS_A_ROW)
    lines = math.ceil(len(panels) / columns)
    figure = Figure(figsize=(_PANEL[0] * columns, _PANEL[1] * lines + 0.4), layout="constrained")
    grid = figure.subplots(lines, columns, squeeze=False)
    named: dict[str, Artist] = {}
    for axes, (title, points) in zip(grid.flat, panels, strict=False):
        draw_panel(axes, points)
        axes.set_title(title)
        handles, labels = axes.get_legend_handles_labels()
        named = dict(zip(labels, handles, strict=True)) | named
    if _YARDSTICK["label"] in named:  # last, after the models
        named[_YARDSTICK["label"]] = named.pop(_YARDSTICK["label"])
    for axes in list(grid.flat)[len(panels) :]:
        axes.set_axis_off()
    figure.supxlabel(across, fontsize="medium")
    figure.supylabel(up, fontsize="medium")
    abreast = max(1, min(len(named), columns + 1))
    figure.legend(list(named.values()), list(named), loc="outside upper center", ncols=abreast)
    return figure


def _draw_line(
    axes: Axes, number: int, label: str, across: Sequence[float], up: Sequence[float]
) -> None:
    axes.plot(
        across,
        up,
        color=_COLOURS[number % len(_COLOURS)],
        marker=_MARKERS[number % len(_MARKERS)],
        markersize=5,
        label=label,
    )


def _label_points(
    axes: Axes,
    number: int,
    labels: Sequence[str],
    places: Sequence[_Place],
    spans: _Place,
) -> None:
    """Write what each point is beside it: once where points coincide, not where it would overlap.

    The ends of the line come first; ``spans`` are the extents of the panel.
    """
    together: dict[_Place, list[str]] = {}
    for label, (x, y) in zip(labels, places, strict=True):
        together.setdefault((round(x, 1), round(y, 1)), []).append(label)
    left, below = _CORNERS[number % len(_CORNERS)]
    first, *others = together
    labelled: list[_Place] = []
    for place in (first, *others[-1:], *others[:-1]):
        apart = (
            max(abs(a - b) / (least * span) for a, b, least, span in zip(*ends, strict=True))
            for ends in ((place, other, _LABEL, spans) for other in labelled)
        )
        if any(distance < 1 for distance in apart):
            continue
        labelled.append(place)
        names = together[place]
        axes.annotate(
            names[0] if len(names) == 1 else f"{names[0]}–{names[-1]}",
            place,
            xytext=(-5 if left else 5, -4 if below else 4),
            textcoords="offset points",
            horizontalalignment="right" if left else "left",
            verticalalignment="top" if below else "bottom",
            fontsize="small",
            color=_COLOURS[number % len(_COLOURS)],
            bbox={"facecolor": "white", "alpha": 0.8, "linewidth": 0, "pad": 0.5},
        )


def _spans(points: Sequence[_Point]) -> _Place:
    """Return how far points reach across and up."""
    across, up = [p.rgb_psnr for p in points], [p.raw_psnr for p in points]
    return (
        max(max(across) - min(across), _LEAST_SPAN),
        max(max(up) - min(up), _LEAST_SPAN),
    )


def _widen(axes: Axes) -> None:
    """Make differences that are too small to matter look so."""
    for limits, set_limits in ((axes.get_xlim(), axes.set_xlim), (axes.get_ylim(), axes.set_ylim)):
        missing = max(0.0, _LEAST_SPAN - (limits[1] - limits[0]))
        set_limits(limits[0] - missing / 2, limits[1] + missing / 2)


def _lines(points: Sequence[_Point], over: str = "quality") -> _Lines:
    """Sort points into lines, named by what differs between them besides ``over``."""
    names = [name for name in ("model", "subsampling", "headroom", "quality") if name != over]
    varying = [name for name in names if len({getattr(p, name) for p in points}) > 1]
    lines: dict[str, list[_Point]] = {}
    for point in points:
        words = [point.model.removesuffix(".safetensors")]
        words += [f"{name} {getattr(point, name)}" for name in varying if name != "model"]
        lines.setdefault(", ".join(words), []).append(point)
    return list(lines.items())


@contextmanager
def _styled() -> Iterator[None]:
    """Draw the same whatever the user's matplotlibrc says."""
    with matplotlib.style.context(["default", _STYLE]):
        yield
