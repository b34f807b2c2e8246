"""``napari-invisp train-retouch``: a policy that retouches in the style of some photographs."""

from __future__ import annotations

from argparse import SUPPRESS, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_invisp.cli.options import add_command, add_json, add_options, given_values
from napari_invisp.cli.report import PROGRAM, complain, print_json
from napari_invisp.cli.training import add_run_folder
from napari_invisp.errors import SettingsError
from napari_invisp.training.retouch.settings import CHANGEABLE, PolicySettings

if TYPE_CHECKING:
    from napari_invisp.training.retouch.run import PolicyRun
    from napari_invisp.training.retouch.trainer import PolicyOutcome

_ABOUT = f"""\
Train a policy to retouch in the style of some photographs, or go on with a run
that was interrupted.

The photographs and the RAW files need not show the same: the policy learns
to make the light of the one look like the other, filter by filter. It is used by
"{PROGRAM} retouch --auto policy:RUN/best.safetensors".

All that belongs to the run goes to one folder: settings.json, log.csv, small
copies of the pictures, the policy (model.safetensors, and best.safetensors by
validation), and state.pt. Ctrl-C ends the run after the step; --resume goes on
with it as if nothing had happened. Of the settings only {" and ".join(CHANGEABLE)} may be
other then.
"""


def add_train_retouch(commands: Any) -> None:
    """Add the command to the program's commands."""
    examples = (
        "examples:\n"
        f"  {PROGRAM} train-retouch favourites photos -o runs/mine\n"
        f"  {PROGRAM} train-retouch --resume runs/mine"
    )
    summary = "train a policy to retouch in a style"
    added = add_command(commands, "train-retouch", run, summary, _ABOUT, examples)
    added.add_argument(
        "retouched",
        metavar="RETOUCHED",
        nargs="?",
        default=SUPPRESS,
        help="folder of photographs in the style to learn: JPEG, PNG, TIFF",
    )
    added.add_argument(
        "light",
        metavar="LIGHT",
        nargs="*",
        default=SUPPRESS,
        help=f'RAW files, EXR scenes, folders of such, and folders that "{PROGRAM} prepare" made',
    )
    add_run_folder(added)
    add_json(added)
    add_options(added, PolicySettings, "training", ("retouched", "light"), only_given=True)


def run(arguments: Namespace) -> int:
    """Train, and tell how far that came."""
    if isinstance(vars(arguments).get("retouched"), str):
        arguments.retouched = [arguments.retouched]
    given = given_values(arguments, PolicySettings)
    for name in ("retouched", "light"):  # the run may go on from elsewhere
        if name in given:
            given[name] = tuple(str(Path(each).resolve()) for each in given[name])
    if arguments.output is not None and not {"retouched", "light"} <= given.keys():
        raise SettingsError(
            "a new run needs a folder of photographs and RAW files; "
            f'"{PROGRAM} train-retouch --help" shows how'
        )
    from napari_invisp.cli.progress import ProgressBar
    from napari_invisp.training.retouch.run import PolicyRun
    from napari_invisp.training.retouch.trainer import train_policy

    training: PolicyRun
    if arguments.output is None:
        training = PolicyRun.resume(arguments.resume, given)
    else:
        training = PolicyRun.begin(arguments.output, PolicySettings(**given))
    notes: list[str] = []
    with ProgressBar() as bar:
        bar.subject = "policy"
        outcome = train_policy(training, progress=bar, notify=notes.append)
    for note in notes:
        complain(f"warning: {note}")
    if not outcome.finished:
        complain(
            f"interrupted after step {outcome.steps} of {training.settings.steps}; "
            f"go on with: {PROGRAM} train-retouch --resume {training.folder}"
        )
    facts = _facts(outcome, training) | {"warnings": notes}
    if arguments.json:
        print_json(facts)
    else:
        _print(facts, training)
    return 0


def _facts(outcome: PolicyOutcome, training: PolicyRun) -> dict[str, Any]:
    return {
        "run": str(training.folder),
        "steps": outcome.steps,
        "finished": outcome.finished,
        "seconds": outcome.seconds,
        "untouched": outcome.untouched,
        "figures": outcome.figures,
        "best": outcome.best,
        "weights": str(training.best if outcome.best else training.model),
    }


def _print(facts: dict[str, Any], training: PolicyRun) -> None:
    print(f"{facts['steps']} of {training.settings.steps} steps in {facts['seconds']:.0f} s")
    if facts["best"]:
        print(
            f"  distance from the retouched photographs: {facts['untouched']:.3f} untouched, "
            f"{facts['best']['distance']:.3f} after step {facts['best']['step']}"
        )
    print(f"  policy: {facts['weights']}", flush=True)
