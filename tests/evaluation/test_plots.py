from __future__ import annotations

import io
import math
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image
from size_rows import sized
from table_rows import made

from napari_invisp.errors import OutputError, SettingsError
from napari_invisp.evaluation.plots import (
    compression_plot,
    draw,
    headroom_plot,
    plot_format,
    plot_kind,
    rate_plot,
)

RATE = [
    made(
        file=file,
        model=model,
        quality=quality,
        bpp=quality / 50,
        raw_psnr=quality / 2 + (model == "invisp.safetensors"),
        lossy_dng_raw_psnr=quality / 2 - 1,
    )
    for file in ("a.dng", "b.dng")
    for model in ("physics", "invisp.safetensors")
    for quality in (95, 75, 90)
]
HEADROOM = [
    made(
        file=file,
        headroom=headroom,
        rgb_psnr=50 - 20 * headroom * (file == "a.dng"),
        raw_psnr=40 + 6 * headroom * (file == "a.dng"),
        lossy_dng_raw_psnr=46 + headroom / 10,
    )
    for file in ("a.dng", "b.dng")
    for headroom in (1.0, 0.0, 0.5)
]

SIZES = [
    sized(kind, bpp + (file == "b.dng"), psnr, file=file, setting=f"{bpp}")
    for file in ("a.dng", "b.dng")
    for kind, bpp, psnr in (
        ("camera's own file", 8.0, math.inf),
        ("JPEG", 2.0, 48.0),
        ("JPEG", 1.0, 45.0),
        ("lossy DNG", 1.5, 46.0),
    )
]


def lines_of(figure: Figure, panel: int = 0) -> dict[str, list[tuple[float, float]]]:
    return {
        str(line.get_label()): [(float(x), float(y)) for x, y in np.asarray(line.get_xydata())]
        for line in figure.axes[panel].lines
    }


def test_a_rate_plot_has_a_panel_a_file_and_a_line_a_model() -> None:
    figure = rate_plot(RATE)
    assert [axes.get_title() for axes in figure.axes] == ["a.dng", "b.dng"]
    lines = lines_of(figure)
    assert lines["physics"] == [(1.5, 37.5), (1.8, 45.0), (1.9, 47.5)]
    assert lines["invisp"] == [(1.5, 38.5), (1.8, 46.0), (1.9, 48.5)]
    assert lines["lossy DNG"] == [(1.5, 36.5), (1.8, 44.0), (1.9, 46.5)]
    assert figure.get_supxlabel() == "bits a pixel of the JPEG"
    assert figure.get_supylabel() == "RAW PSNR, dB"
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["physics", "invisp", "lossy DNG"]


def test_what_else_differs_is_a_line_of_its_own() -> None:
    rows = [made(quality=q, subsampling=s, bpp=q) for q in (75, 90) for s in ("4:2:0", "4:4:4")]
    assert list(lines_of(rate_plot(rows))) == [
        "physics, subsampling 4:2:0",
        "physics, subsampling 4:4:4",
    ]


def test_many_files_are_averaged() -> None:
    rows = [made(file=f"{n}.dng", quality=q, bpp=q, raw_psnr=n) for n in range(9) for q in (75, 90)]
    (axes,) = rate_plot(rows).axes
    assert axes.get_title() == "mean of 9 files"
    assert lines_of(rate_plot(rows))["physics"] == [(75, 4), (90, 4)]


def test_a_headroom_plot_goes_along_the_dial() -> None:
    figure = headroom_plot(HEADROOM)
    lines = lines_of(figure)
    assert lines["physics"] == [(50, 40), (40, 43), (30, 46)]
    assert sorted(text.get_text() for text in figure.axes[0].texts) == ["0", "0.5", "1"]
    assert all(y == pytest.approx(46.05) for _, y in lines["lossy DNG"])
    # Where nothing changes, the points are labelled once, and the axes do not magnify.
    assert [text.get_text() for text in figure.axes[1].texts] == ["0–1"]
    low, high = figure.axes[1].get_xlim()
    assert high - low >= 4
    assert low < 50 < high


def test_labels_do_not_overlap() -> None:
    places = ((0.0, 50, 40), (0.25, 49.6, 40.1), (0.5, 45, 43), (0.75, 40.5, 45.9), (1.0, 40, 46))
    rows = [made(headroom=h, rgb_psnr=rgb, raw_psnr=raw) for h, rgb, raw in places]
    texts = headroom_plot(rows).axes[0].texts
    assert sorted(text.get_text() for text in texts) == ["0", "0.5", "1"]


def test_a_compression_plot_has_curves_and_marks() -> None:
    figure = compression_plot(SIZES)
    assert [axes.get_title() for axes in figure.axes] == ["a.dng", "b.dng"]
    lines = lines_of(figure)
    assert lines["JPEG"] == [(1, 45), (2, 48)]
    assert lines["lossy DNG"] == [(1.5, 46)]
    assert {x for x, _ in lines["camera's own file"]} == {8}
    assert {x for x, _ in lines_of(figure, 1)["camera's own file"]} == {9}
    (legend,) = figure.legends
    names = [text.get_text() for text in legend.get_texts()]
    assert sorted(names) == ["JPEG", "camera's own file", "lossy DNG"]
    ticks = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert {"1", "2", "4", "8"} <= set(ticks)


def test_compression_of_many_files_is_averaged() -> None:
    rows = [
        sized("JPEG", 1.0 + n, 40.0 + n, file=f"{n}.dng", setting="quality 90") for n in range(7)
    ]
    (axes,) = compression_plot(rows).axes
    assert axes.get_title() == "mean of 7 files"
    assert lines_of(compression_plot(rows))["JPEG"] == [(4, 43)]


def test_the_plot_follows_what_varies() -> None:
    assert plot_kind([0.5], [75, 90], ["4:2:2"]) is rate_plot
    assert plot_kind([0.5], [90], ["4:2:2"]) is rate_plot
    assert plot_kind([0, 1], [90], ["4:2:2"]) is headroom_plot
    for kinds in (([75, 90], ["4:2:2"]), ([90], ["4:2:2", "4:4:4"])):
        with pytest.raises(SettingsError, match="several headrooms or several kinds of JPEG"):
            plot_kind([0, 1], *kinds)


@pytest.mark.parametrize("rows", [RATE, HEADROOM, SIZES], ids=["rate", "headroom", "sizes"])
def test_the_same_rows_make_the_same_file(rows: list[object]) -> None:
    for suffix in (".svg", ".png"):
        first = draw(rows, suffix, "made of x.json")  # type: ignore[arg-type]
        with mpl.rc_context({"font.size": 20, "svg.hashsalt": None, "axes.grid": False}):
            assert draw(rows, suffix, "made of x.json") == first  # type: ignore[arg-type]
    svg = draw(rows, ".svg", "made of x.json")  # type: ignore[arg-type]
    ElementTree.fromstring(svg)
    assert b"made of x.json" in svg
    assert b"<dc:date>" not in svg


def test_png_is_a_picture_with_something_on_it() -> None:
    picture = np.asarray(Image.open(io.BytesIO(draw(HEADROOM, ".png"))).convert("RGB"))
    assert picture.shape[1] > 1000
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 20


def test_infinite_figures_leave_gaps() -> None:
    rows = [made(quality=q, bpp=q, raw_psnr=math.inf if q == 95 else q) for q in (75, 95)]
    assert draw(rows, ".svg").startswith(b"<?xml")


def test_nothing_global_is_touched() -> None:
    before = dict(mpl.rcParams)
    draw(RATE, ".png")
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("name", ["plot", "plot.pdf", "plot.jpg"])
def test_other_kinds_of_file_are_refused(name: str) -> None:
    assert plot_format(Path("a.SVG")) == ".svg"
    with pytest.raises(OutputError, match=r"let its name end in \.svg, \.png"):
        plot_format(Path(name))
