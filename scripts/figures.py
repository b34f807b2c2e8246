"""Put figures into the documentation: `python scripts/figures.py`.

Each block between `<!-- figures: NAME -->` and `<!-- end -->` in the README and in docs/, and each
plot that such a block shows, is made of one file in results/. Those files are what
`napari-invisp evaluate … -o` writes; `--measure RESULT FILE…` makes one anew, by its recipe below:

    python scripts/figures.py --measure headroom RAW…
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import re
import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_invisp import cli
from napari_invisp.applications.comparing import PLAIN_CODES, RECOVERED
from napari_invisp.applications.table import ApplicationMean, ApplicationRow
from napari_invisp.evaluation.compression import LOSSY_DNG, CompressionMean, CompressionRow
from napari_invisp.evaluation.plots import draw
from napari_invisp.evaluation.rows import Mean, Row, means, read_rows, rows_from
from napari_invisp.evaluation.tables import markdown_lines, markdown_table
from napari_invisp.files import write_bytes_atomic

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"(<!-- figures: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)

#: How `napari-invisp evaluate` is to be asked for each result, besides files and output.
RECIPES = {
    "real-files": "--headroom 0.5 1 --yardstick",
    "universal": "--models physics universal --headroom 0.5 1 --yardstick",
    "headroom": "--models physics universal --headroom 0 0.125 0.25 0.375 0.5 0.625 0.75 0.875 1 "
    "--yardstick",
    "rate": "--models physics universal --quality 60 75 85 90 95 98 --yardstick",
    "compression": "--compression --quality 75 90 95",
    "compression-headroom": "--compression --quality 75 90 95 --headroom 1",
    "applications": "--applications --quality 90 95 --side-info 0 65536",
    "applications-bracket": "--applications --bracket --quality 90 95 --side-info 0 65536",
}

#: Rows of the paper's Table 1, by what `row_of_table_1` calls them; ours last.
TABLE_1 = {
    "upi": "UPI",
    "cycleisp": "CycleISP, RGB → RAW",
    "invertible-grayscale": "Invertible Grayscale",
    "unet": "U-net pair",
    "invisp-none": "InvISP without JPEG simulation",
    "invisp-dsq": "InvISP with DSQ",
    "invisp-fourier": "InvISP with Fourier",
    "universal": "`universal`",
}

#: Rows of the inspector's table, by what `benchmarks/inspector.py` calls them.
WAITS = {
    "first_picture": "click on Render to first picture",
    "quality_first_tile": "quality moved, to the first tile of the error map",
    "quality_whole_view": "quality moved, to the whole view's error map",
    "headroom_first_tile": "headroom moved, to the first tile of the error map",
    "headroom_whole_view": "headroom moved, to the whole view's error map",
    "cancel": "click on Cancel to all at rest",
    "longest_wait": "longest time that the window did not answer in a run",
    "longest_wait_of_all": "the same, the worst of all runs",
    "whole_run": "click on Render to all of it rendered, recovered and measured",
}


#: What stands in each column of a table, by the first cells of its line.
Cells = dict[tuple[str, ...], dict[str, str]]
FILE_AND_HEADROOM = ("file", "headroom")


def read(result: str) -> dict[str, Any]:
    """Return what a result's file holds."""
    values: dict[str, Any] = json.loads(path_of(result).read_text(encoding="utf-8"))
    return values


def path_of(result: str) -> Path:
    """Return the file of a result."""
    return ROOT / "results" / f"{result}.json"


def documents() -> list[Path]:
    """List the documents that may hold blocks."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@dataclass(frozen=True)
class Figure(ABC):
    """What a block shows."""

    result: str

    @property
    def measured(self) -> bool:
        """Whether there is anything to show."""
        return path_of(self.result).is_file()

    def text(self, document: Path) -> str:
        """Return the inside of a block in a document."""
        if not self.measured:
            return f"*`results/{self.result}.json` has not been measured yet.*\n"
        return self.filled(document)

    @abstractmethod
    def filled(self, document: Path) -> str:
        """Return the same where there is a result."""


class RowByRow(Figure):
    """Every row of a result."""

    def filled(self, document: Path) -> str:
        """Return a table."""
        return markdown_table(rows_from(read(self.result)), without=("camera", "width", "height"))


class ModelsByFiles(Figure):
    """A column a model, so that models can be compared."""

    def filled(self, document: Path) -> str:
        """Return a table."""
        rows = rows_from(read(self.result))
        averages = [mean for mean in means(rows) if isinstance(mean, Mean)]
        models = list(dict.fromkeys(row.model for row in rows))
        cells: Cells = {}
        for name, each in [*((row.file, row) for row in rows), *(("mean", m) for m in averages)]:
            cells.setdefault((name, f"{each.headroom:g}"), {})[each.model] = _cell(each)
        kinds = {(row.quality, row.subsampling) for row in rows}
        kind = ", ".join(f"quality {quality}, {subsampling}" for quality, subsampling in kinds)
        note = f"RGB PSNR before JPEG / after JPEG / RAW PSNR [lossy DNG of equal bytes]; {kind}."
        return f"{note}\n\n{_side_by_side(cells, FILE_AND_HEADROOM, models)}"


def _side_by_side(cells: Cells, keys: tuple[str, ...], columns: list[str]) -> str:
    """Make a table with a line for each key, such as a file and a headroom."""
    heads = [*keys, *columns]
    lines = [[*key, *(cell.get(column, "–") for column in columns)] for key, cell in cells.items()]
    return markdown_lines([heads, ["---", *["---:"] * (len(heads) - 1)], *lines])


def _cell(each: Row | Mean) -> str:
    figures = f"{each.rgb_psnr:.2f} / {each.rgb_psnr_jpeg:.2f} / **{each.raw_psnr:.2f}**"
    yardstick = each.lossy_dng_raw_psnr
    return figures + ("" if yardstick is None else f" [{yardstick:.2f}]")


class PaperTable1(Figure):
    """Our counterpart of the paper's Table 1, its own figures beside ours."""

    def filled(self, document: Path) -> str:
        """Return a table."""
        table = read(self.result)
        about = table["models"]
        ours = {row_of_table_1(about[mean["model"]]): mean for mean in table["means"]}
        # {"columns": ["Nikon D700: RAW PSNR", …], "rows": {"upi": ["29.30", …], …}}
        quoted = read("paper-table1") if path_of("paper-table1").is_file() else {}
        columns = quoted.get("columns", [])
        heads = ["method", "trained for", "RGB PSNR", "RGB SSIM", "RGB PSNR after JPEG", "RAW PSNR"]
        lines = [heads + [f"paper, other data: {column}" for column in columns]]
        lines.append(["---", "---", *["---:"] * (len(lines[0]) - 2)])
        for row, label in TABLE_1.items():
            mean = ours.get(row)
            figures = ["not measured", *["–"] * 4]
            if mean is not None:
                figures = [
                    budget(about[mean["model"]]["card"]),
                    f"{mean['rgb_psnr']:.2f}",
                    f"{mean['rgb_ssim']:.4f}",
                    f"{mean['rgb_psnr_jpeg']:.2f}",
                    f"{mean['raw_psnr']:.2f}",
                ]
            paper = quoted.get("rows", {}).get(row, ["–"] * len(columns))
            lines.append([label, *figures, *paper])
        return markdown_lines(lines)


class PartByPart(Figure):
    """A column a part of `universal`, each with all before it."""

    def filled(self, document: Path) -> str:
        """Return a table."""
        rows = read(self.result)["rows"]
        parts = list(dict.fromkeys(row["part"] for row in rows))
        cells: Cells = {}
        for row in rows:
            cells.setdefault((row["file"], f"{row['headroom']:g}"), {})[row["part"]] = (
                f"{row['rgb_psnr']:.2f} / **{row['raw_psnr']:.2f}** / {row['bytes'] / 1e6:.2f} MB"
            )
        note = "RGB PSNR before JPEG / RAW PSNR / size of the JPEG; quality 90, 4:2:2."
        return f"{note}\n\n{_side_by_side(cells, FILE_AND_HEADROOM, parts)}"


class Waits(Figure):
    """How long the inspector lets one wait, a column a model."""

    def filled(self, document: Path) -> str:
        """Return a table."""
        result = read(self.result)
        rows = result["rows"]
        first = rows[0]
        lines = [["seconds", *(f"`{row['model']}`" for row in rows)]]
        lines.append(["---", *["---:"] * len(rows)])
        for name, title in WAITS.items():
            lines.append([title, *(f"{row[name]:.2f}" for row in rows)])
        note = (
            f"{first['file']}, {first['megapixels']:.1f} megapixels, "
            f"{first['view_megapixels']:.1f} of them in view at 1:1; medians of {first['tries']}, "
            f"on {result['cores']} cores without a graphics card."
        )
        return f"{note}\n\n{markdown_lines(lines)}"


class Gains(Figure):
    """What the parts of side information gain, a row a variant."""

    def filled(self, document: Path) -> str:
        """Return a table."""
        result = read(self.result)
        lines = [["variant", "RAW PSNR", "gain"], ["---", "---:", "---:"]]
        for row in result["rows"]:
            lines.append([row["variant"], f"{row['raw_psnr']:.2f}", f"{row['gain']:+.2f}"])
        note = (
            f"{result['file']}, quality 90, 4:2:2, {result['bytes']:,} bytes of side information."
        )
        return f"{note}\n\n{markdown_lines(lines)}"


class SameBudget(Figure):
    """Models that were trained equally long, file by file, with their times."""

    def filled(self, document: Path) -> str:
        """Return a table."""
        table = read(self.result)
        rows = rows_from(table)
        heads = ["file", "model", "trained for", "RGB PSNR", "RGB PSNR after JPEG", "RAW PSNR"]
        heads += ["render, s/MP", "recover, s/MP"]
        lines = [heads, ["---", "---", "---", *["---:"] * (len(heads) - 3)]]
        for row in rows:
            model = table["models"][row.model]
            figures = [row.rgb_psnr, row.rgb_psnr_jpeg, row.raw_psnr]
            times = [row.seconds_per_megapixel_render, row.seconds_per_megapixel_recover]
            line = [row.file, f"`{model['name']}`", budget(model["card"])]
            lines.append([*line, *(f"{each:.2f}" for each in (*figures, *times))])
        return markdown_lines(lines)


class Speed(Figure):
    """How long each file takes, beside LibRaw and the paper's network."""

    def filled(self, document: Path) -> str:
        """Return a table."""
        measured = read(self.result)
        cells: Cells = {}
        for row in measured["rows"]:
            line = cells.setdefault((row["file"],), {})
            if row["model"] == "LibRaw":
                line["megapixels"] = f"{row['megapixels']:.1f}"
                line["LibRaw"] = f"{row['seconds']:.2f} s"
            elif "times_libraw" in row:
                cell = f"{row['times_libraw']:.1f} ×"
                if "faster_than_paper" in row:
                    cell += f" (1/{row['faster_than_paper']:.0f})"
                line[f"`{row['model']}`, {row['job']}"] = cell
        columns = list(dict.fromkeys(column for line in cells.values() for column in line))
        note = (
            f"Medians, from file to file, of LibRaw's time (and of the paper's network's time a "
            f"pixel); {measured['cores']} cores, {measured['processor']}."
        )
        return f"{note}\n\n{_side_by_side(cells, ('file',), columns)}"


class BytesByFiles(Figure):
    """A line a way to keep RAW, a column a file."""

    def filled(self, document: Path) -> str:
        """Return a table."""
        rows = compression_rows(self.result)
        averages = [mean for mean in means(rows) if isinstance(mean, CompressionMean)]
        files = list(dict.fromkeys(row.file for row in rows))
        cells: Cells = {}
        for name, each in [*((row.file, row) for row in rows), *(("mean", m) for m in averages)]:
            cells.setdefault((each.kind, each.setting), {})[name] = _size_cell(each)
        note = (
            "Bits a pixel / compression ratio / **RAW PSNR**, which is left out where every sample "
            "was found to be kept; [JPEG quality of a lossy DNG]."
        )
        return f"{note}\n\n{_side_by_side(cells, ('kept as', 'setting'), [*files, 'mean'])}"


def _size_cell(each: CompressionRow | CompressionMean) -> str:
    figures = f"{each.bpp:.2f} / {each.compression_ratio:.2f}"
    if math.isfinite(each.raw_psnr):
        figures += f" / **{each.raw_psnr:.2f}**"
    if isinstance(each, CompressionRow) and each.kind == LOSSY_DNG:
        figures += f" [{each.quality}]"
    return figures


def compression_rows(result: str) -> list[CompressionRow]:
    """Return the rows of a result that `--compression` measured."""
    return read_rows(read(result), CompressionRow, "table of bytes")


@dataclass(frozen=True)
class Applications(Figure):
    """What `--applications` measured, at one quality."""

    quality: int

    def rows(self) -> list[ApplicationRow]:
        """Return the rows of this quality."""
        rows = read_rows(read(self.result), ApplicationRow, "table of applications")
        return [row for row in rows if row.quality == self.quality]


class ApplicationsByFiles(Applications):
    """PSNR, a line an operation, a column a file."""

    def filled(self, document: Path) -> str:
        """Return a table."""
        rows = self.rows()
        averages = [mean for mean in means(rows) if isinstance(mean, ApplicationMean)]
        files = list(dict.fromkeys(row.file for row in rows))
        sources = [source for source in _sources(rows) if source[0] != PLAIN_CODES]
        sources += [(PLAIN_CODES, None)]
        figures: dict[tuple[str, str], dict[tuple[str, int | None], str]] = {}
        for name, each in [*((row.file, row) for row in rows), *(("mean", m) for m in averages)]:
            of_cell = figures.setdefault((each.operation, name), {})
            of_cell[each.source, each.side_info] = f"{each.psnr:.2f}"
        cells: Cells = {}
        for (operation, name), of_cell in figures.items():
            cells.setdefault((operation,), {})[name] = " / ".join(
                _marked(source, of_cell.get(source, "–")) for source in sources
            )
        note = f"PSNR: {' / '.join(_marked(s, _source_name(*s)) for s in sources)}; "
        note += f"quality {self.quality}."
        return f"{note}\n\n{_side_by_side(cells, ('operation',), [*files, 'mean'])}"


class ApplicationMeans(Applications):
    """All figures, a line an operation and a source; means over the files if there are several."""

    def filled(self, document: Path) -> str:
        """Return a table."""
        averages = [mean for mean in means(self.rows()) if isinstance(mean, ApplicationMean)]
        heads = ["operation", "from", "PSNR", "SSIM", "ΔE2000", "ΔE2000, 95 %"]
        lines = [heads, ["---", "---", *["---:"] * 4]]
        for mean in averages:
            figures = [f"{mean.psnr:.2f}", f"{mean.ssim:.4f}"]
            figures += [f"{mean.delta_e:.2f}", f"{mean.delta_e_95:.2f}"]
            lines.append([mean.operation, _source_name(mean.source, mean.side_info), *figures])
        files = averages[0].files
        note = f"Quality {self.quality}{f'; means of {files} files' if files > 1 else ''}."
        return f"{note}\n\n{markdown_lines(lines)}"


def _sources(rows: list[ApplicationRow]) -> list[tuple[str, int | None]]:
    return list(dict.fromkeys((row.source, row.side_info) for row in rows))


def _source_name(source: str, side_info: int | None) -> str:
    return f"{source} with {side_info / 1024:g} KB of side information" if side_info else source


def _marked(source: tuple[str, int | None], text: str) -> str:
    return f"**{text}**" if source[0] == RECOVERED else text


def row_of_table_1(model: dict[str, Any]) -> str:
    """Tell which row a model belongs to; variants of the paper's network differ in training."""
    settings = model["card"].get("settings")
    if model["name"] != "invisp" or settings is None:
        return str(model["name"])
    return f"invisp-{'none' if settings['jpeg'] == 'none' else settings['rounding']}"


def budget(card: dict[str, Any]) -> str:
    """Say what training took."""
    if "steps" not in card:
        return "nothing to train"
    settings = card["settings"]
    patches = f"{settings['batch']} × {settings['patch']}²"
    return f"{card['steps']:,} steps of {patches} pixels, {card['cpu_seconds'] / 60:.0f} min"


@dataclass(frozen=True)
class Plot(Figure):
    """A plot, beside the documents."""

    caption: str

    @property
    def image(self) -> Path:
        """The file of the plot."""
        return ROOT / "docs" / "images" / f"{self.result}.svg"

    @property
    def source(self) -> str:
        """What the plot's metadata say that it was made of."""
        data = path_of(self.result).read_bytes()
        return f"results/{self.result}.json, SHA-256 {hashlib.sha256(data).hexdigest()}"

    def filled(self, document: Path) -> str:
        """Return a link to the plot."""
        return f"![{self.caption}]({self.image.relative_to(document.parent).as_posix()})\n"

    def draw(self) -> None:
        """Make the plot."""
        write_bytes_atomic(self.image, draw(self.rows(), ".svg", self.source))

    def rows(self) -> list[Row] | list[CompressionRow]:
        """Return what is plotted."""
        return rows_from(read(self.result))


class BytesPlot(Plot):
    """The plot of a table of bytes."""

    def rows(self) -> list[Row] | list[CompressionRow]:
        """Return what is plotted."""
        return compression_rows(self.result)


#: What can be shown, by the names of the blocks.
FIGURES: dict[str, Figure] = {
    "real-files": RowByRow("real-files"),
    "universal": ModelsByFiles("universal"),
    "headroom": Plot("headroom", "RAW PSNR against RGB PSNR over the headroom, for each file"),
    "rate": Plot("rate", "RAW PSNR against bits a pixel over the JPEG quality, for each file"),
    "table-1": PaperTable1("table1"),
    "same-budget": SameBudget("same-budget"),
    "parts": PartByPart("parts"),
    "speed": Speed("speed"),
    "inspector": Waits("inspector"),
    "side-information": Gains("side-information"),
    "compression": BytesByFiles("compression"),
    "compression-headroom": BytesByFiles("compression-headroom"),
    "applications-90": ApplicationsByFiles("applications", 90),
    "applications-95": ApplicationsByFiles("applications", 95),
    "applications-means": ApplicationMeans("applications", 95),
    "applications-bracket-90": ApplicationMeans("applications-bracket", 90),
    "applications-bracket-95": ApplicationMeans("applications-bracket", 95),
    "compression-plot": BytesPlot(
        "compression", "RAW PSNR against bits a pixel of the ways to keep RAW, for each file"
    ),
    "compression-headroom-plot": BytesPlot(
        "compression-headroom",
        "RAW PSNR against bits a pixel of the ways to keep RAW, with all headroom, for each file",
    ),
}


def with_figures(document: Path, text: str) -> str:
    """Return a document's text with its blocks filled."""

    def fill(block: re.Match[str]) -> str:
        return block[1] + FIGURES[block[2]].text(document) + block[3]

    return BLOCK.sub(fill, text)


def main(arguments: list[str]) -> int:
    """Measure what was asked for, and fill all documents."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--measure", metavar="RESULT", choices=list(RECIPES))
    parser.add_argument("files", metavar="FILE", nargs="*")
    asked = parser.parse_args(arguments)
    if asked.measure:
        options = [*asked.files, *RECIPES[asked.measure].split()]
        status = cli.main(["evaluate", *options, "-o", str(path_of(asked.measure))])
        if status != 0:
            return status
    for figure in FIGURES.values():
        if isinstance(figure, Plot) and figure.measured:
            figure.draw()
    for document in documents():
        before = document.read_text(encoding="utf-8")
        after = with_figures(document, before)
        if after != before:
            write_bytes_atomic(document, after.encode())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
