"""The commands. What is heavy to import is imported by the command that needs it."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

from napari_invisp.cli.display import viewer_problem
from napari_invisp.cli.options import settings_from
from napari_invisp.cli.report import (
    complain,
    print_compare,
    print_json,
    print_recover,
    print_render,
)
from napari_invisp.errors import (
    CapsuleError,
    CheckpointError,
    InvispError,
    OutputError,
    RawFileError,
)
from napari_invisp.outputs import check_target, plan_outputs
from napari_invisp.settings import ArchiveSettings, ComputeSettings, RenderSettings

_Facts = dict[str, Any]


def render(arguments: Namespace) -> int:
    """RAW → JPEG with capsule."""
    targets = plan_outputs(arguments.files, arguments.output, (".jpg", ".jpeg"), "a JPEG")
    settings = settings_from(arguments, RenderSettings)
    from napari_invisp.batch import Renderer
    from napari_invisp.cli.progress import ProgressBar

    with ProgressBar() as bar:
        archive = settings_from(arguments, ArchiveSettings)
        job = Renderer(settings, bar, metrics=arguments.metrics, archive=archive)
        return _each(arguments, targets, job, bar, print_render, RawFileError)


def recover(arguments: Namespace) -> int:
    """JPEG with capsule → DNG."""
    targets = plan_outputs(arguments.files, arguments.output, (".dng",), "a DNG")
    settings = settings_from(arguments, ComputeSettings)
    from napari_invisp.batch import Recoverer
    from napari_invisp.cli.progress import ProgressBar

    with ProgressBar() as bar:
        job = Recoverer(settings, bar, weights=arguments.weights)
        bad = (CapsuleError, CheckpointError, RawFileError)
        return _each(arguments, targets, job, bar, print_recover, bad)


def compare(arguments: Namespace) -> int:
    """Two RAW files → figures."""
    from napari_invisp.cli.comparing import compare_files

    facts = compare_files(arguments.raw, arguments.recovered)
    (print_json if arguments.json else print_compare)(facts)
    return 0


def demo(arguments: Namespace) -> int:
    """Everything once, on the sample that comes with the package."""
    from napari_invisp.batch import Recoverer, Renderer
    from napari_invisp.cli.comparing import compare_files, draw_pictures
    from napari_invisp.cli.progress import ProgressBar
    from napari_invisp.samples import sample_path

    source = sample_path()
    folder: Path = arguments.output
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {folder}: {error.strerror or error}") from error
    jpeg, dng = folder / f"{source.stem}.jpg", folder / f"{source.stem}-recovered.dng"
    quiet = arguments.json

    def told(facts: _Facts, tell: Callable[[_Facts], None], heading: str) -> _Facts:
        bar.clear()
        if not quiet:
            print(heading, flush=True)
            tell(facts)
        return facts

    with ProgressBar() as bar:
        check_target(jpeg, [source])
        rendered = told(
            Renderer(RenderSettings(), bar, metrics=True)(source, jpeg),
            print_render,
            "1. Render the RAW as a JPEG that can be turned back",
        )
        recovered = told(
            Recoverer(ComputeSettings(), bar)(jpeg, dng),
            print_recover,
            "2. Recover the RAW from that JPEG alone",
        )
        compared = told(
            compare_files(source, dng),
            print_compare,
            "3. Compare the recovered RAW with the original",
        )
        bar("drawing", 0, 1)
        pictures = draw_pictures(source, dng, folder)
    problem = viewer_problem() if arguments.gui else "not asked for"
    if quiet:
        print_json(
            {
                "folder": str(folder),
                "render": rendered,
                "recover": recovered,
                "compare": compared,
                "pictures": pictures,
                "viewer": problem is None,
            }
        )
    else:
        _print_pictures(pictures)
        if arguments.gui:
            print(
                f"5. {'napari opens' if problem is None else f'No viewer: {problem}'}", flush=True
            )
    if problem is None:
        from napari_invisp.viewer.launch import launch

        launch([source, jpeg, dng])
    return 0


def view(arguments: Namespace) -> int:
    """Open the viewer."""
    problem = viewer_problem()
    if problem is not None:
        raise InvispError(problem)
    from napari_invisp.viewer.launch import launch

    launch(arguments.files)
    if arguments.json:
        print_json({"files": [str(path) for path in arguments.files]})
    return 0


def _each(
    arguments: Namespace,
    targets: list[Path],
    job: Callable[[Path, Path], _Facts],
    bar: Any,
    tell: Callable[[_Facts], None],
    bad: type[InvispError] | tuple[type[InvispError], ...],
) -> int:
    """Do one file after the other; a bad one among several is reported and left out."""
    files: list[Path] = arguments.files
    results: list[_Facts] = []
    errors: list[_Facts] = []
    for number, (source, target) in enumerate(zip(files, targets, strict=True), 1):
        bar.subject = source.name + (f" ({number} of {len(files)})" if len(files) > 1 else "")
        try:
            facts = job(source, target)
        except bad as error:
            if len(files) == 1:
                raise
            bar.clear()
            errors.append(_reported(source, error))
            continue
        bar.clear()
        results.append(facts)
        for sentence in facts["warnings"]:
            complain(f"warning: {source}: {sentence}")
        if not arguments.json:
            tell(facts)
    if arguments.json:
        print_json(results[0] if len(files) == 1 else {"files": results, "errors": errors})
    return 2 if errors else 0


def _reported(path: Path, error: InvispError) -> _Facts:
    complain(error)
    return {"input": str(path), "error": str(error)}


def _print_pictures(pictures: _Facts) -> None:
    print(
        "4. Look at them\n"
        f"  {pictures['original']}\n"
        f"  {pictures['recovered']}\n"
        f"  {pictures['error']} (white: an error of {pictures['error_white_dn']} DN or more)"
    )
