"""``napari-invisp report``: one page that shows what a JPEG kept of a RAW."""

from __future__ import annotations

import time
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_invisp.cli.options import add_command, add_compute_options, add_json, settings_from
from napari_invisp.cli.report import PROGRAM, complain, print_compare, print_json
from napari_invisp.errors import CapsuleError
from napari_invisp.outputs import check_target
from napari_invisp.settings import ComputeSettings

if TYPE_CHECKING:
    from napari_invisp.cli.progress import ProgressBar
    from napari_invisp.inspection.report import ReportData
    from napari_invisp.sensor.record import RawRecord

_ABOUT = """\
Write a page that shows how close a recovered RAW is to the original.

It holds pictures, an error map, the part where the error is largest, figures
and histograms; HTML and PDF hold the same. The recovered RAW is a DNG, or a
JPEG of "napari-invisp render", which it is then recovered from first.
"""


def add_report(commands: Any) -> None:
    """Add the command to the program's commands."""
    examples = (
        "examples:\n"
        f"  {PROGRAM} report IMG_1234.CR2 IMG_1234.jpg -o report.html\n"
        f"  {PROGRAM} report IMG_1234.CR2 IMG_1234.dng -o report.pdf"
    )
    summary = "write a page on what a JPEG kept of the RAW"
    added = add_command(commands, "report", run, summary, _ABOUT, examples)
    added.add_argument("raw", metavar="RAW", type=Path, help="the original RAW file")
    added.add_argument(
        "recovered",
        metavar="RECOVERED",
        type=Path,
        help="the recovered DNG, or the JPEG that holds the RAW",
    )
    added.add_argument(
        "-o",
        "--output",
        metavar="REPORT",
        type=Path,
        required=True,
        help="report to write: *.html or *.pdf",
    )
    added.add_argument(
        "--model",
        dest="weights",
        metavar="PATH",
        help="the checkpoint that the JPEG was rendered with, if it was with one of your own",
    )
    add_json(added)
    add_compute_options(added)


def run(arguments: Namespace) -> int:
    """Compare, and write the report."""
    from napari_invisp.cli.comparing import compared
    from napari_invisp.cli.progress import ProgressBar
    from napari_invisp.inspection.report import report_format, write_report
    from napari_invisp.sensor.reading import read_raw

    output: Path = arguments.output
    report_format(output)
    check_target(output, [arguments.raw, arguments.recovered])
    start = time.perf_counter()
    warnings: list[str] = []
    with ProgressBar() as bar:
        bar.subject = output.name
        original = read_raw(arguments.raw)
        data = _data(arguments, original, bar, warnings)
        bar("drawing", 0, 1)
        contents = write_report(output, data)
    made = data.provenance
    facts = {
        "raw": str(arguments.raw),
        "recovered": str(arguments.recovered),
        "output": str(output),
        **compared(original, data.recovered, contents.fidelity),
        "model": made and made.model,
        "headroom": made and made.headroom,
        "quality": made and made.quality,
        "subsampling": made and made.subsampling,
        **dict.fromkeys(("jpeg_bytes", "bpp", "compression_ratio", "rgb_psnr_jpeg")),
        **data.figures,
        "seconds": time.perf_counter() - start,
        "warnings": warnings,
    }
    for sentence in warnings:
        complain(f"warning: {arguments.recovered}: {sentence}")
    if arguments.json:
        print_json(facts)
    else:
        print_compare(facts)
        print(f"report: {output}")
    return 0


def _data(
    arguments: Namespace, original: RawRecord, bar: ProgressBar, warnings: list[str]
) -> ReportData:
    from napari_invisp.inspection import provenance
    from napari_invisp.inspection.report import ReportData
    from napari_invisp.jpeg.codec import JPEG_SUFFIXES
    from napari_invisp.sensor.reading import read_raw

    path: Path = arguments.recovered
    names = {"original_name": arguments.raw.name, "recovered_name": path.name}
    if path.suffix.lower() not in JPEG_SUFFIXES:
        made = provenance.recall(path)
        return ReportData(original, read_raw(path), **names, provenance=made)

    from napari_invisp.evaluation.fidelity import reference_of, rgb_psnr_through_jpeg
    from napari_invisp.files import read_whole
    from napari_invisp.metrics import bits_per_pixel, check_comparable, compression_ratio
    from napari_invisp.pipeline import Pipeline

    settings = settings_from(arguments, ComputeSettings)
    jpeg = read_whole(path, "a JPEG file", CapsuleError)
    pipeline = Pipeline(progress=bar, notify=warnings.append)
    recovery = pipeline.recover(jpeg, str(path), arguments.weights, settings)
    check_comparable(original, recovery.record)
    figures: dict[str, Any] = {
        "jpeg_bytes": len(jpeg),
        "bpp": bits_per_pixel(len(jpeg), original),
        "compression_ratio": compression_ratio(len(jpeg), original),
    }
    quality, subsampling = recovery.jpeg.quality, recovery.jpeg.subsampling
    if quality is not None and subsampling is not None:
        bar("comparing with LibRaw", 0, 1)
        reference = reference_of(arguments.raw, original)
        figures["rgb_psnr_jpeg"] = rgb_psnr_through_jpeg(reference, jpeg, quality, subsampling)
    return ReportData(
        original,
        recovery.record,
        **names,
        picture=recovery.jpeg.rgb,
        provenance=provenance.of_recovery(recovery, path),
        figures=figures,
    )
