"""``napari-invisp prepare``: training data of RAW files, of FiveK, or of photographs."""

from __future__ import annotations

import argparse
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_invisp.cli.options import add_command, add_json, add_options, settings_from
from napari_invisp.cli.report import PROGRAM, complain, print_json
from napari_invisp.errors import DataError, OutputError
from napari_invisp.settings import PreparationSettings

if TYPE_CHECKING:
    from napari_invisp.training.preparing import Job

_ABOUT = """\
Make training data: pictures with the sRGB that goes with each, in a form that
is small and quick to read. Run again, it makes only what is missing.
"""

_FIVEK = """\
Make the paper's two sets, DIR/canon and DIR/nikon, of MIT-Adobe FiveK as
downloaded: the pictures of the Canon EOS 5D and of the Nikon D700, with what
LibRaw makes of them by default for ground truth.

The pictures to hold out are chosen at random, or named by lists: text files
with a picture's name a line, such as a0001-jmac_DSC1459.
"""

_RAW = """\
Make a set of RAW files, with LibRaw's rendering of each.
"""

_SYNTHETIC = """\
Make a set of RAW pictures that never were: photographs and EXR scenes are taken
back to the light of the scene, and measured anew by many cameras. Pictures of
every sixth source are held out.
"""

_LISTS = ("train_list", "test_list")
# What a set says about how it was made.
_NOTED = ("seed", "share", "count", *_LISTS)


def add_prepare(commands: Any) -> None:
    """Add the command and its three kinds to the program's commands."""
    prepare: ArgumentParser = commands.add_parser(
        "prepare",
        help="make training data",
        description=_ABOUT,
        epilog=f'"{PROGRAM} prepare KIND --help" explains a kind.',
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    kinds = prepare.add_subparsers(title="kinds", metavar="KIND", required=True, dest="kind")

    def kind(
        name: str, summary: str, about: str, example: str, sources: str, unused: tuple[str, ...]
    ) -> ArgumentParser:
        more = f"example:\n  {PROGRAM} prepare {name} {example}"
        added = add_command(kinds, name, run, summary, about, more)
        added.add_argument(
            "sources",
            metavar="SOURCE",
            nargs=1 if name == "fivek" else "+",
            type=Path,
            help=sources,
        )
        added.add_argument(
            "-o", "--output", metavar="DIR", type=Path, required=True, help="folder to make"
        )
        add_json(added)
        add_options(added, PreparationSettings, "preparation", unused)
        return added

    fivek = kind(
        "fivek",
        "the paper's two cameras of MIT-Adobe FiveK",
        _FIVEK,
        "fivek_dataset -o data --workers 8",
        "the folder that FiveK was unpacked into",
        ("count",),
    )
    for part, text in (("train", "to train on"), ("test", "to hold out")):
        fivek.add_argument(
            f"--{part}-list",
            metavar="FILE",
            nargs="+",
            type=Path,
            default=[],
            help=f"lists of the pictures {text}; what no list names is left out",
        )
    kind(
        "raw",
        "any RAW files",
        _RAW,
        "photos -o data/photos",
        "RAW files, and folders of them",
        ("count",),
    )
    kind(
        "synthetic",
        "pictures of many cameras, made of photographs",
        _SYNTHETIC,
        "gallery hdr -o data/synthetic --count 1500",
        "photographs (JPEG, PNG, TIFF) and EXR scenes, and folders of them",
        ("share",),
    )


def run(arguments: Namespace) -> int:
    """Make one set, or two of FiveK."""
    from napari_invisp.cli.progress import ProgressBar
    from napari_invisp.training.prepared import open_set
    from napari_invisp.training.preparing import prepare

    start = time.perf_counter()
    settings = settings_from(arguments, PreparationSettings)
    output: Path = arguments.output
    for source in arguments.sources:
        if output.resolve() == source.resolve():
            raise OutputError(f"{output} is the source; name another folder to make")
    made = {name: vars(arguments)[name] for name in _NOTED if name in arguments}
    made |= {name: [path.name for path in made[name]] for name in _LISTS if name in made}
    sets: list[dict[str, Any]] = []
    errors: list[dict[str, str]] = []
    notes: list[str] = []
    with ProgressBar() as bar:
        for folder, jobs in _planned(arguments, settings, bar, notes).items():
            bar.subject = folder.name
            result = prepare(folder, arguments.kind, jobs, settings, made, progress=bar)
            bar.clear()
            ready = open_set(folder)
            sets.append(
                {
                    "output": str(folder),
                    "pictures": len(ready),
                    "train": len(ready.names("train")),
                    "test": len(ready.names("test")),
                    "skipped": result.skipped,
                    "failed": len(result.errors),
                    "bytes": ready.stored_bytes,
                }
            )
            for part, lack in (("train", "to be trained on"), ("test", "held out")):
                if not sets[-1][part]:
                    notes.append(f"nothing in {folder} is {lack}")
            errors += [{"picture": name, "error": text} for name, text in result.errors.items()]
            for text in result.errors.values():
                complain(text)
            if not arguments.json:
                _tell(sets[-1])
    for note in notes:
        complain(f"warning: {note}")
    seconds = time.perf_counter() - start
    if arguments.json:
        counts = [name for name in sets[0] if name != "output"]
        totals = {name: sum(each[name] for each in sets) for name in counts}
        about = {"sets": sets, "errors": errors, "warnings": notes, "seconds": seconds}
        print_json({"output": str(output)} | totals | about)
    else:
        print(f"took {seconds:.0f} s")
    return 2 if errors else 0


def _planned(
    arguments: Namespace, settings: PreparationSettings, bar: Any, notes: list[str]
) -> dict[Path, Sequence[Job]]:
    """Give the folder of each set, and its pictures."""
    sources: list[Path] = arguments.sources
    output: Path = arguments.output
    if arguments.kind == "raw":
        from napari_invisp.training import folder

        return {output: folder.jobs(sources, settings.seed, settings.share)}
    if arguments.kind == "synthetic":
        from napari_invisp.training import unprocess

        resolved = [source.resolve() for source in sources]
        return {output: unprocess.jobs(resolved, settings.count, settings.seed)}
    return {output / name: jobs for name, jobs in _fivek(arguments, settings, bar, notes).items()}


def _fivek(
    arguments: Namespace, settings: PreparationSettings, bar: Any, notes: list[str]
) -> dict[str, Sequence[Job]]:
    from napari_invisp.training import fivek
    from napari_invisp.training.splitting import split_by_lists

    lists = arguments.train_list, arguments.test_list
    listed = split_by_lists(*lists) if any(lists) else None
    found = fivek.find_cameras(arguments.sources[0], progress=bar)
    sets: dict[str, Sequence[Job]] = {}
    for name, pictures in found.items():
        sets[name] = fivek.jobs(pictures, settings.seed, settings.share, listed)
        if not sets[name]:
            del sets[name]
            listing = " that the lists name" if pictures else ""
            notes.append(f"there is no picture of a {fivek.CAMERAS[name]}{listing}; no set of it")
    if not sets:
        raise DataError(f"the lists name none of the pictures in {arguments.sources[0]}")
    missing = fivek.missing_pictures(found, listed or {})
    if missing:
        notes.append(
            f"{len(missing)} of the pictures that the lists name are not there, "
            f"the first of them {missing[0]}"
        )
    return sets


def _tell(facts: dict[str, Any]) -> None:
    parts = [
        f"{facts['pictures']} pictures, {facts['train']} to train on and {facts['test']} held out",
        f"{facts['bytes'] / 1e9:.2f} GB",
    ]
    if facts["skipped"]:
        parts.append(f"{facts['skipped']} were there already")
    if facts["failed"]:
        parts.append(f"{facts['failed']} could not be made")
    print(f"{facts['output']}: {', '.join(parts)}", flush=True)
