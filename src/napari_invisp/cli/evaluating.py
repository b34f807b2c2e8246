"""``napari-invisp evaluate``: tables and plots of figures."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_invisp.cli.applying import (
    add_application_options,
    applications,
    refuse_application_options,
)
from napari_invisp.cli.compressing import compression
from napari_invisp.cli.options import settings_from
from napari_invisp.cli.report import (
    complain,
    print_application,
    print_compression,
    print_json,
    print_mean,
)
from napari_invisp.errors import RawFileError, SettingsError
from napari_invisp.outputs import check_target
from napari_invisp.settings import ComputeSettings

if TYPE_CHECKING:
    from napari_invisp.cli.progress import ProgressBar
    from napari_invisp.evaluation.rows import FileRow

_FRAMES, _PAPER = "frames", "paper"
_SMALLEST = 64


def add_evaluate_options(parser: ArgumentParser) -> None:
    """Add what the command has besides files, output, and choices of settings."""
    parser.add_argument(
        "--plot",
        metavar="FILE",
        type=Path,
        help="plot to draw besides, *.svg or *.png: RAW PSNR against bits a pixel; where several "
        "headrooms are given, against RGB PSNR",
    )
    parser.add_argument(
        "--middle",
        metavar="SIDE",
        type=_side,
        help="work only on the square of SIDE x SIDE pixels in the middle, for slow models",
    )
    parser.add_argument(
        "--yardstick",
        action="store_true",
        help="tell for each row what a lossy DNG of the same bytes keeps of the RAW",
    )
    parser.add_argument(
        "--compression",
        action="store_true",
        help="measure bytes instead: of the camera's own file, lossless DNG and JPEG XL, our JPEG "
        "at each quality, and lossy DNG of its bytes",
    )
    add_application_options(parser)
    parser.add_argument(
        "--protocol",
        choices=(_FRAMES, _PAPER),
        default=_FRAMES,
        help="frames (default): full frames of RAW files; paper: as the paper's authors measured, "
        "on the held-out pictures of sets that were made with prepare fivek",
    )


def evaluate(arguments: Namespace) -> int:
    """RAW files or prepared sets → a table, and a plot."""
    from napari_invisp.cli.progress import ProgressBar
    from napari_invisp.evaluation.models import describe
    from napari_invisp.evaluation.tables import table_format, table_values, write_table

    output: Path = arguments.output
    table_format(output)
    check_target(output, arguments.files)
    if arguments.plot is not None:
        _check_plot(arguments)
    notes: list[str] = []
    errors: list[dict[str, str]] = []
    rows: list[FileRow] = []
    work = _work_of(arguments)
    with ProgressBar() as bar:
        for name, found in work(arguments, bar, notes):
            try:
                rows += found
            except RawFileError as error:
                bar.clear()
                complain(error)
                errors.append({"input": name, "error": str(error)})
    if not rows:
        return 2
    models = describe(arguments.models)
    write_table(output, rows, models)
    if arguments.plot is not None:
        _plot(arguments.plot, rows)
    table = table_values(rows, models)
    warnings = list(dict.fromkeys(notes))
    for note in warnings:
        complain(f"warning: {note}")
    if arguments.json:
        drawn = None if arguments.plot is None else str(arguments.plot)
        report = {"output": str(output), "plot": drawn, **table}
        print_json(report | {"errors": errors, "warnings": warnings})
    else:
        print_one = _printer(arguments)
        for mean in table["means"]:
            print_one(mean)
        print(f"table of {len(rows)} rows: {output}")
        if arguments.plot is not None:
            print(f"plot: {arguments.plot}")
    return 2 if errors else 0


_Work = Iterator[tuple[str, "Iterator[FileRow]"]]


def _work_of(arguments: Namespace) -> Callable[[Namespace, ProgressBar, list[str]], _Work]:
    if not arguments.applications:
        refuse_application_options(arguments)
    if arguments.protocol == _FRAMES:
        if arguments.applications:
            return applications
        return compression if arguments.compression else _frames
    for name in ("compression", "applications"):
        if getattr(arguments, name):
            raise SettingsError(f"--{name} is for RAW files; leave it out of the paper's protocol")
    return _paper


def _printer(arguments: Namespace) -> Callable[[Mapping[str, Any]], None]:
    if arguments.applications:
        return print_application
    return print_compression if arguments.compression else print_mean


def _frames(arguments: Namespace, bar: ProgressBar, notes: list[str]) -> _Work:
    from napari_invisp.evaluation.frames import Evaluation

    evaluation = Evaluation(
        arguments.models,
        arguments.headroom,
        arguments.quality,
        arguments.subsampling,
        settings_from(arguments, ComputeSettings),
        middle=arguments.middle,
        yardstick=arguments.yardstick,
        progress=bar,
        notify=notes.append,
    )
    for number, path in enumerate(arguments.files, 1):
        bar.subject = f"{path.name} ({number} of {len(arguments.files)})"
        yield str(path), evaluation.rows(path)


def _paper(arguments: Namespace, bar: ProgressBar, notes: list[str]) -> _Work:
    from napari_invisp.evaluation.paper import QUALITY, SUBSAMPLING, PaperProtocol
    from napari_invisp.training.prepared import open_set

    if (arguments.quality, arguments.subsampling) != ([QUALITY], [SUBSAMPLING]):
        raise SettingsError(
            f"the paper's protocol has quality {QUALITY} and subsampling {SUBSAMPLING}; "
            "leave --quality and --subsampling out"
        )
    if arguments.yardstick or arguments.middle is not None or arguments.plot is not None:
        raise SettingsError(
            "--yardstick, --middle and --plot are for RAW files; "
            "leave them out of the paper's protocol"
        )
    protocol = PaperProtocol(
        arguments.models,
        arguments.headroom,
        settings_from(arguments, ComputeSettings),
        progress=bar,
        notify=notes.append,
    )
    sets = [open_set(path) for path in arguments.files]
    for path, prepared in zip(arguments.files, sets, strict=True):
        held_out = prepared.held_out()
        if not held_out:
            raise SettingsError(f"{path} holds no pictures that were held out to be measured on")
        for number, picture in enumerate(held_out, 1):
            bar.subject = f"{picture.name} ({number} of {len(held_out)})"
            name = f"{path}: {picture.name}"
            yield name, protocol.rows(picture.name, picture.record, picture.reference)


def _side(text: str) -> int:
    """Read a side that LibRaw can develop."""
    try:
        side = int(text)
    except ValueError:
        side = 0
    if side < _SMALLEST:
        raise ArgumentTypeError(f"{text!r} is not a whole number of {_SMALLEST} pixels or more")
    return side


def _check_plot(arguments: Namespace) -> None:
    from napari_invisp.evaluation.plots import plot_format, plot_kind

    plot_format(arguments.plot)
    if not arguments.compression:
        plot_kind(arguments.headroom, arguments.quality, arguments.subsampling)
    check_target(arguments.plot, [*arguments.files, arguments.output])


def _plot(path: Path, rows: list[Any]) -> None:
    from napari_invisp.evaluation.plots import draw, plot_format
    from napari_invisp.files import write_bytes_atomic

    write_bytes_atomic(path, draw(rows, plot_format(path)))
