"""A report as one HTML file: pictures and plots are in it, and it prints on one page."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterable
from html import escape
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from napari_invisp.inspection.report.contents import Contents, Picture
from napari_invisp.inspection.report.plots import plots, styled

_STYLE = """\
body { font: 14px/1.4 system-ui, sans-serif; color: #222; background: #fff; margin: 24px auto;
  max-width: 1000px; padding: 0 16px; }
h1 { font-size: 20px; margin: 0 0 12px; }
h2 { font-size: 15px; margin: 20px 0 8px; }
header, .pictures { display: grid; grid-template-columns: 1fr 1fr; gap: 12px 20px; }
.pictures.tall { grid-template-columns: repeat(4, 1fr); gap: 12px; }
.three { display: grid; grid-template-columns: repeat(3, 1fr); gap: 12px; }
table { border-collapse: collapse; align-self: start; width: 100%; }
th, td { border-bottom: 1px solid #ddd; padding: 3px 6px; text-align: left;
  vertical-align: top; overflow-wrap: anywhere; }
th { font-weight: normal; color: #666; width: 22%; }
.figures th { width: 62%; }
.figures td { font-variant-numeric: tabular-nums; white-space: nowrap; }
figure { margin: 0; break-inside: avoid; }
figure img { max-width: 100%; display: block; }
figcaption { color: #666; font-size: 12px; }
.crop img { image-rendering: pixelated; }
.scale { max-width: 480px; }
@page { size: A4; margin: 10mm; }
@media print {
  body { font-size: 9px; margin: 0; max-width: none; padding: 0; }
  h1 { font-size: 14px; margin-bottom: 6px; }
  h2 { font-size: 11px; margin: 8px 0 3px; }
  figcaption { font-size: 8px; }
  th, td { padding: 1px 4px; }
  header, .pictures, .three { gap: 4px 10px; }
  .pictures img { max-height: 47mm; }
  .three img { max-height: 42mm; }
  .scale img { max-height: 11mm; }
}
"""


def to_html(contents: Contents) -> bytes:
    """Write a report as an HTML document that needs no other file, and runs no script."""
    title = escape(contents.title)
    with styled():
        scale = _svg(5, 0.55, contents.look.draw_bar)
        drawn = [_figure("", _svg(4.2, 3, draw), words) for words, draw in plots(contents)]
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{title}</title>",
        f"<style>\n{_STYLE}</style></head><body>",
        f"<h1>{title}</h1>",
        "<header>",
        _table("facts", contents.facts),
        _table("figures", contents.figures),
        "</header>",
        "<h2>Pictures</h2>",
        f'<div class="pictures{" tall" * (contents.columns > 2)}">',
        *(_figure("", _photograph(each), each.title) for each in contents.pictures),
        "</div>",
        _figure("scale", scale, f"RAW error: {contents.look.words}"),
        f"<h2>Where the error is largest, pixel for pixel: {escape(contents.place)}</h2>",
        '<div class="three">',
        *(_figure("crop", _exact(each), each.title) for each in contents.crops),
        "</div>",
        "<h2>Distributions</h2>",
        '<div class="three">',
        *drawn,
        "</div>",
        "</body></html>",
    ]
    return "\n".join(parts).encode()


def _table(name: str, rows: Iterable[tuple[str, str]]) -> str:
    lines = (
        f'<tr><th scope="row">{escape(each)}</th><td>{escape(text)}</td></tr>'
        for each, text in rows
    )
    return f'<table class="{name}">\n' + "\n".join(lines) + "\n</table>"


def _figure(name: str, source: str, words: str) -> str:
    kind = f' class="{name}"' if name else ""
    text = escape(words)
    return (
        f'<figure{kind}><img src="{source}" alt="{text}"><figcaption>{text}</figcaption></figure>'
    )


def _photograph(picture: Picture) -> str:
    return _encoded("jpeg", picture.pixels, quality=92, subsampling=0)


def _exact(picture: Picture) -> str:
    return _encoded("png", picture.pixels)


def _encoded(kind: str, pixels: NDArray[Any], **options: Any) -> str:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind, **options)
    return _data(f"image/{kind}", stream.getvalue())


def _svg(width: float, height: float, draw: Callable[[Figure, Axes], None]) -> str:
    figure = Figure(figsize=(width, height), layout="constrained")
    draw(figure, figure.subplots())
    stream = io.BytesIO()
    figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    return _data("image/svg+xml", stream.getvalue())


def _data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
