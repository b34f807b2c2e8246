"""The commands' arguments, and their help."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn

from napari_invisp.cli import commands
from napari_invisp.cli.evaluating import add_evaluate_options, evaluate
from napari_invisp.cli.options import (
    add_command,
    add_compute_options,
    add_json,
    add_options,
    add_render_choices,
    add_render_options,
)
from napari_invisp.cli.preparing import add_prepare
from napari_invisp.cli.report import PROGRAM
from napari_invisp.cli.reporting import add_report
from napari_invisp.cli.retouching import add_retouch
from napari_invisp.cli.toning import add_merge, add_tonemap
from napari_invisp.cli.training import add_train
from napari_invisp.cli.training_retouch import add_train_retouch
from napari_invisp.errors import SettingsError
from napari_invisp.settings import ArchiveSettings

_ABOUT = """\
Develop a camera's RAW files into ordinary JPEGs that can be turned back into
RAW.

A JPEG made here looks like any other and opens everywhere. It also carries
what is needed to undo its development, so that a DNG close to the original RAW
can be made from it later.
"""

_EXAMPLES = """\
a first try:
  napari-invisp demo

with a picture of your own:
  napari-invisp render IMG_1234.CR2 -o IMG_1234.jpg
  napari-invisp recover IMG_1234.jpg -o IMG_1234.dng
  napari-invisp compare IMG_1234.CR2 IMG_1234.dng

"napari-invisp COMMAND --help" explains a command.
"""

_RENDER = """\
Develop RAW files into JPEGs that their RAW can be recovered from.

The picture is developed as LibRaw would do it, with the white balance of the
camera. Afterwards it is compared with LibRaw's own rendering, which takes a
while; --no-metrics leaves that out.

With --side-info BYTES the JPEG also carries a correction of the recovered RAW
where it errs most, with --exact all that is missing to the very RAW. Other
programs see the same picture.
"""

_RECOVER = """\
Recover the RAW from JPEGs that "napari-invisp render" wrote, and write it as
DNG.

Nothing but the JPEG is needed. It has to be the file as it was written:
programs that resize, crop or rotate it, or drop its metadata, make recovery
impossible; one that only saves it again makes it less faithful, and a warning
says so. From a JPEG that was rendered with --exact, each sample comes back, and
the tags of the original file.
"""

_COMPARE = """\
Tell how close a recovered RAW is to the original.

PSNR is given in dB: more is closer, and 40 dB is hard to tell apart by eye.
Errors are in DN, the counts of the sensor. With --json, an infinite PSNR (of
identical files) is null.
"""

_EVALUATE = """\
Render and recover RAW files in all combinations of some settings, and write a
table of figures.

A row of the table is one file, model, headroom, quality and subsampling; means
over the files follow. The JPEGs are kept in memory only. JSON tables also say
which weights were measured and how they were trained.

With --compression, a row is one file and one way to keep it; of the settings,
only the quality may have several values.

With --applications, a row is one file, one thing done with it (retouching,
exposure, tone mapping), and what it was done with: the recovered RAW or the
plain JPEG. Figures are against the same from the original RAW. With --bracket,
the files are merged first.
"""

_DEMO = """\
Render the sample that comes with the program, recover its RAW, and compare.

The JPEG, the recovered DNG and pictures to look at are written to a folder. If
there is a display, they are opened in napari.
"""

_VIEW = "Open napari with the panels of this plugin, and with files if you name some."


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise SettingsError(f'{message}; "{self.prog} --help" shows what can be asked for')


class _Version(argparse.Action):
    """Looks the version up only when it is asked for."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        print(f"{PROGRAM} {version(PROGRAM)}")
        parser.exit()


def build_parser() -> argparse.ArgumentParser:
    """Make the parser; parsed arguments have the command's function as ``run``."""
    parser = _Parser(
        prog=PROGRAM,
        description=_ABOUT,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    commands_of = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(
        run: Callable[[argparse.Namespace], int], summary: str, about: str, example: str
    ) -> argparse.ArgumentParser:
        name = run.__name__
        more = f"example:\n  {PROGRAM} {name} {example}"
        added = add_command(commands_of, name, run, summary, about, more)
        add_json(added)
        return added

    render = command(
        commands.render,
        "develop RAW into JPEG that can be turned back",
        _RENDER,
        "IMG_1234.CR2 -o IMG_1234.jpg --quality 95",
    )
    _add_files(render, "RAW", "RAW files of cameras with a Bayer sensor")
    _add_output(render, "OUT.jpg", "file to write; a folder if there are several RAW files")
    render.add_argument(
        "--no-metrics",
        dest="metrics",
        action="store_false",
        help="do not compare with LibRaw's rendering",
    )
    add_render_options(render)
    add_options(render, ArchiveSettings, "what the JPEG carries besides")

    recover = command(
        commands.recover,
        "recover the RAW from such a JPEG, as DNG",
        _RECOVER,
        "IMG_1234.jpg -o IMG_1234.dng",
    )
    _add_files(recover, "JPEG", "JPEG files that were written by this program")
    _add_output(recover, "OUT.dng", "file to write; a folder if there are several JPEG files")
    recover.add_argument(
        "--model",
        dest="weights",
        metavar="PATH",
        help="the checkpoint that the JPEG was rendered with, if it was with one of your own",
    )
    add_compute_options(recover)

    compare = command(
        commands.compare,
        "tell how close a recovered RAW is to the original",
        _COMPARE,
        "IMG_1234.CR2 IMG_1234.dng",
    )
    compare.add_argument("raw", metavar="RAW", type=Path, help="the original RAW file")
    compare.add_argument("recovered", metavar="RECOVERED", type=Path, help="the recovered DNG")

    add_report(commands_of)
    add_tonemap(commands_of)
    add_merge(commands_of)
    add_retouch(commands_of)

    evaluation = command(
        evaluate,
        "make a table of figures for many files and settings",
        _EVALUATE,
        "*.CR2 --quality 75 90 95 -o table.md",
    )
    _add_files(evaluation, "RAW", "RAW files; for the paper's protocol, prepared sets")
    _add_output(evaluation, "TABLE", "table to write: *.csv, *.json or *.md (Markdown)")
    add_evaluate_options(evaluation)
    add_render_choices(evaluation, plurals={"model": "models"})

    demo = command(
        commands.demo,
        "try everything on a sample that comes with the program",
        _DEMO,
        "-o demo-output",
    )
    demo.add_argument(
        "-o",
        "--output",
        metavar="DIR",
        type=Path,
        default=Path("demo-output"),
        help="folder for the results (default demo-output)",
    )
    demo.add_argument("--no-gui", dest="gui", action="store_false", help="do not open napari")

    view = command(commands.view, "open napari with this plugin", _VIEW, "IMG_1234.CR2")
    view.add_argument("files", metavar="FILE", nargs="*", type=Path, help="RAW or JPEG files")

    add_prepare(commands_of)
    add_train(commands_of)
    add_train_retouch(commands_of)
    return parser


def _add_files(parser: argparse.ArgumentParser, metavar: str, text: str) -> None:
    parser.add_argument("files", metavar=metavar, nargs="+", type=Path, help=text)


def _add_output(parser: argparse.ArgumentParser, metavar: str, text: str) -> None:
    parser.add_argument("-o", "--output", metavar=metavar, type=Path, required=True, help=text)
