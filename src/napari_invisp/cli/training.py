"""``napari-invisp train``: weights of prepared pictures."""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_invisp.cli.options import add_command, add_json, add_options, given_values
from napari_invisp.cli.report import PROGRAM, complain, print_json
from napari_invisp.errors import SettingsError
from napari_invisp.training.settings import CHANGEABLE, TrainSettings

if TYPE_CHECKING:
    from napari_invisp.training.run import Run
    from napari_invisp.training.trainer import Outcome

_ABOUT = f"""\
Train a model on prepared pictures, or go on with a run that was interrupted.

All that belongs to the run goes to one folder: settings.json, log.csv, the
weights (model.safetensors, and best.safetensors by validation), and state.pt.
Ctrl-C ends the run after the step; --resume goes on with it, and gives the same
weights as if nothing had happened, even after a crash. Of the settings only
{", ".join(CHANGEABLE[:-1])} and {CHANGEABLE[-1]} may be other then.
"""


def add_train(commands: Any) -> None:
    """Add the command to the program's commands."""
    examples = (
        "examples:\n"
        f"  {PROGRAM} train invisp data/canon -o runs/canon --steps 200000\n"
        f"  {PROGRAM} train --resume runs/canon\n"
        "  torchrun --nproc-per-node 4 -m napari_invisp.cli train invisp data/canon "
        "-o runs/canon"
    )
    summary = "train a model on prepared pictures"
    added = add_command(commands, "train", run, summary, _ABOUT, examples)
    added.add_argument(
        "model", metavar="MODEL", nargs="?", default=SUPPRESS, help="name of the model to train"
    )
    added.add_argument(
        "data",
        metavar="DATA",
        nargs="*",
        default=SUPPRESS,
        help=f'folders that "{PROGRAM} prepare" made',
    )
    add_run_folder(added)
    add_json(added)
    add_options(added, TrainSettings, "training", ("model", "data"), only_given=True)


def add_run_folder(parser: ArgumentParser) -> None:
    """Add what says where a new run goes, or which one goes on."""
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("-o", "--output", metavar="RUN", type=Path, help="folder of a new run")
    where.add_argument("--resume", metavar="RUN", type=Path, help="folder of a run to go on with")


def run(arguments: Namespace) -> int:
    """Train, and tell how far that came."""
    given = given_values(arguments, TrainSettings)
    for name in ("data", "start"):  # the run may go on from elsewhere
        if name in given:
            given[name] = _absolute(given[name])
    if arguments.output is not None and not {"model", "data"} <= given.keys():
        raise SettingsError(
            f'a new run needs a model and folders of data; "{PROGRAM} train --help" shows how'
        )
    settings = None if arguments.output is None else TrainSettings(**given)
    from napari_invisp.cli.progress import ProgressBar
    from napari_invisp.training.run import Run
    from napari_invisp.training.trainer import open_data, train

    if settings is None:
        training: Run = Run.resume(arguments.resume, given)
        source = open_data(training.settings)
    else:
        source = open_data(settings)
        training = Run.begin(arguments.output, settings)
    notes: list[str] = []
    with ProgressBar() as bar:
        bar.subject = training.settings.model
        outcome = train(training, source, progress=bar, notify=notes.append)
    if not outcome.leads:
        return 0
    for note in notes:
        complain(f"warning: {note}")
    if not outcome.finished:
        complain(
            f"interrupted after step {outcome.steps} of {training.settings.steps}; "
            f"go on with: {PROGRAM} train --resume {training.folder}"
        )
    if arguments.json:
        print_json(_facts(outcome, training) | {"warnings": notes})
    else:
        _print(outcome, training)
    return 0


def _absolute(value: str | tuple[str, ...]) -> str | tuple[str, ...]:
    if isinstance(value, tuple):
        return tuple(str(Path(each).resolve()) for each in value)
    return str(Path(value).resolve())


def _facts(outcome: Outcome, training: Run) -> dict[str, Any]:
    return {
        "run": str(outcome.run),
        "model": outcome.model,
        "steps": outcome.steps,
        "finished": outcome.finished,
        "seconds": outcome.seconds,
        "cpu_seconds": outcome.cpu_seconds,
        "figures": outcome.figures,
        "best": outcome.best,
        "weights": str(training.best if outcome.best else training.model),
    }


def _print(outcome: Outcome, training: Run) -> None:
    print(
        f"{outcome.model}: {outcome.steps} of {training.settings.steps} steps in "
        f"{outcome.seconds:.0f} s, {outcome.cpu_seconds:.0f} s of processor time"
    )
    for name, figures in (("at last", outcome.figures), ("at best", outcome.best)):
        if figures:
            print(
                f"  {name}, after step {figures['step']}: RGB {figures['rgb_psnr']:.2f} dB, "
                f"RAW {figures['raw_psnr']:.2f} dB on held-out pictures"
            )
    print(f"  weights: {training.best if outcome.best else training.model}", flush=True)
