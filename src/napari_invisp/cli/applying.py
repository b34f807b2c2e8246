"""``napari-invisp evaluate --applications``: how well recovered RAW serves."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from typing import TYPE_CHECKING

from napari_invisp.applications.settings import ApplicationSettings
from napari_invisp.cli.options import add_options, given_values, settings_from
from napari_invisp.errors import SettingsError
from napari_invisp.settings import ComputeSettings, RenderSettings

if TYPE_CHECKING:
    from napari_invisp.applications.table import ApplicationRow
    from napari_invisp.cli.progress import ProgressBar


def add_application_options(parser: ArgumentParser) -> None:
    """Add the option that asks for this, and those that only this has."""
    parser.add_argument(
        "--applications",
        action="store_true",
        help="measure retouching and tone mapping instead: results from recovered RAW and from the "
        "plain JPEG against those from the original RAW",
    )
    add_options(parser, ApplicationSettings, "for --applications", only_given=True)


def refuse_application_options(arguments: Namespace) -> None:
    """Raise a :class:`SettingsError` if options were given that only ``--applications`` has."""
    for name in given_values(arguments, ApplicationSettings):
        option = name.replace("_", "-")
        raise SettingsError(f"--{option} is for --applications; give both, or leave it out")


def applications(
    arguments: Namespace, bar: ProgressBar, notes: list[str]
) -> Iterator[tuple[str, Iterator[ApplicationRow]]]:
    """Give the name of each file, or of the bracket, and the rows of its operations."""
    from napari_invisp.applications.operations import OPERATIONS, TONE_MAPPINGS
    from napari_invisp.applications.table import Applications

    if arguments.compression or arguments.yardstick or arguments.plot is not None:
        raise SettingsError(
            "--applications has a table of its own; leave --compression, --yardstick and --plot out"
        )
    choices = (arguments.models, arguments.headroom, arguments.subsampling)
    if any(len(choice) > 1 for choice in choices):
        raise SettingsError(
            "--applications compares qualities; give one model, one headroom and one subsampling"
        )
    asked = settings_from(arguments, ApplicationSettings)
    if asked.bracket and len(arguments.files) < 2:
        raise SettingsError("a bracket is two RAW files or more; name all of them")
    compute = settings_from(arguments, ComputeSettings)
    (model,), (headroom,), (subsampling,) = choices
    settings = RenderSettings(
        device=compute.device,
        tile=compute.tile,
        model=model,
        headroom=headroom,
        subsampling=subsampling,
    )
    work = Applications(
        settings,
        arguments.quality,
        asked.side_info,
        TONE_MAPPINGS if asked.bracket else OPERATIONS,
        middle=arguments.middle,
        progress=bar,
        notify=notes.append,
    )
    if asked.bracket:
        bar.subject = f"bracket of {len(arguments.files)}"
        yield " + ".join(map(str, arguments.files)), work.bracket_rows(arguments.files)
        return
    for number, path in enumerate(arguments.files, 1):
        bar.subject = f"{path.name} ({number} of {len(arguments.files)})"
        yield str(path), work.rows(path)
