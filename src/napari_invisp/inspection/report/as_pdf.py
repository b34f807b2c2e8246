"""A report as PDF, on one A4 page."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from napari_invisp.inspection.report.contents import Contents, Picture
from napari_invisp.inspection.report.plots import plots, styled

# In inches, from the top and the left of the page.
_WIDTH, _HEIGHT = _A4 = (8.27, 11.69)
_LEFT, _RIGHT = 0.45, 7.82
_AXIS = 0.4  # what a plot's scale needs on its left
_TABLES, _PICTURES, _PLOTS = (0.75, 2.4), (2.65, 6.45), (9.75, 11.2)
# Below the pictures, which are as high as they need: the scale of their errors, then crops.
_TO_SCALE, _SCALE, _TO_CROPS, _CROPS_END = 0.3, 0.1, 0.75, 9.4
_TITLE = 0.2  # what a picture's title needs above it
# Where a table's second column begins, and how many letters fit into it.
_COLUMNS = {"facts": (0.18, 46), "figures": (0.66, 26)}
_LINE = 0.09  # of a table's height


def to_pdf(contents: Contents) -> bytes:
    """Write a report as a PDF file of one page."""
    with styled():
        figure = Figure(figsize=_A4)
        _write(figure, 0.45, contents.title, fontsize=12, fontweight="bold")
        facts, table = _band(figure, _TABLES, 2, 0.08)
        _draw_table(facts, contents.facts, *_COLUMNS["facts"])
        _draw_table(table, contents.figures, *_COLUMNS["figures"])
        lines = -(-len(contents.pictures) // contents.columns)
        top = _PICTURES[0]
        end = min(_PICTURES[1], top + lines * (_TITLE + _height(contents)))
        _show(_band(figure, (top, end), contents.columns, 0.04, lines), contents.pictures)
        scale = end + _TO_SCALE, end + _TO_SCALE + _SCALE
        beside, bar = _band(figure, scale, 2, 0.04)
        beside.set_axis_off()
        contents.look.draw_bar(figure, bar)
        bar.set_title(f"RAW error: {contents.look.words}", fontsize=8, pad=3)
        worst = f"Where the error is largest, pixel for pixel: {contents.place}"
        crops = scale[1] + _TO_CROPS
        _write(figure, crops - 0.32, worst, fontsize=9)
        _show(_band(figure, (crops, _CROPS_END), 3, 0.04), contents.crops)
        found = plots(contents)
        places = _band(figure, _PLOTS, len(found), 0.25, left=_LEFT + _AXIS)
        for axes, (words, draw) in zip(places, found, strict=True):
            draw(figure, axes)
            axes.set_title(words, fontsize=8)
        stream = io.BytesIO()
        about = {"Title": contents.title, "Creator": dict(contents.facts)["Report"]}
        figure.savefig(stream, format="pdf", dpi=300, metadata=about)
    return stream.getvalue()


def _height(contents: Contents) -> float:
    """Return how high a picture is that fills its column."""
    height, width = contents.pictures[0].pixels.shape[:2]
    return float((_RIGHT - _LEFT) / contents.columns * height / width)


def _write(figure: Figure, top: float, text: str, **look: Any) -> None:
    figure.text(_LEFT / _WIDTH, 1 - top / _HEIGHT, text, va="top", **look)


def _band(
    figure: Figure,
    extent: tuple[float, float],
    columns: int,
    gap: float,
    lines: int = 1,
    left: float = _LEFT,
) -> list[Axes]:
    """Make axes side by side between two heights of the page."""
    top, bottom = extent
    grid = figure.add_gridspec(
        lines,
        columns,
        left=left / _WIDTH,
        right=_RIGHT / _WIDTH,
        top=1 - top / _HEIGHT,
        bottom=1 - bottom / _HEIGHT,
        wspace=gap,
        hspace=0.1,
    )
    return [figure.add_subplot(grid[number]) for number in range(lines * columns)]


def _show(places: Sequence[Axes], pictures: Sequence[Picture]) -> None:
    for axes in places:
        axes.set_axis_off()
    for axes, picture in zip(places, pictures, strict=False):
        # The pixels themselves, not what the page's resolution would make of them.
        axes.imshow(picture.pixels, interpolation="none")
        axes.set_title(picture.title, fontsize=8, pad=2)


def _draw_table(axes: Axes, rows: Sequence[tuple[str, str]], second: float, letters: int) -> None:
    axes.set_axis_off()
    line = 0
    for name, text in rows:
        wrapped = textwrap.wrap(text, letters)
        axes.text(0, 1 - line * _LINE, name, color="#666666", fontsize=7.5, va="top")
        axes.text(second, 1 - line * _LINE, "\n".join(wrapped), fontsize=7.5, va="top")
        line += len(wrapped)
