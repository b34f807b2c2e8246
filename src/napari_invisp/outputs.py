"""Where results go: one file to a file, any number of files to a folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from napari_invisp.errors import OutputError


def plan_outputs(
    inputs: Sequence[Path], output: Path, suffixes: tuple[str, ...], kind: str
) -> list[Path]:
    """Name the output file of each input, and find out beforehand what would go wrong.

    Parameters
    ----------
    inputs
        At least one file.
    output
        A file if there is one input, or a folder in any case.
    suffixes
        What an output's name may end in; in a folder the first one is used.
    kind
        What is written, for messages.

    Raises
    ------
    OutputError
        An output cannot be written, or would replace an input or another output.
    """
    if output.is_dir():
        targets = [output / f"{path.stem}{suffixes[0]}" for path in inputs]
    elif len(inputs) > 1:
        raise OutputError(f"{output} is not a folder; {len(inputs)} files need one to go to")
    elif output.suffix.lower() not in suffixes:
        raise OutputError(f"{output} is to hold {kind}: let its name end in {suffixes[0]}")
    else:
        targets = [output]
    sources: dict[str, Path] = {}
    for path, target in zip(inputs, targets, strict=True):
        check_target(target, inputs)
        other = sources.setdefault(os.path.normcase(target), path)
        if other is not path:
            raise OutputError(f"{other} and {path} would both be written to {target}")
    return targets


def check_target(target: Path, inputs: Sequence[Path]) -> None:
    """Make sure that a file can be written, and that it is none of the inputs.

    Raises
    ------
    OutputError
        It cannot, or it is.
    """
    folder = target.parent
    if not folder.is_dir():
        raise OutputError(f"cannot write {target}: there is no folder {folder}")
    if not os.access(folder, os.W_OK):
        raise OutputError(f"cannot write {target}: no permission to write to {folder}")
    if target.resolve() in {path.resolve() for path in inputs}:
        raise OutputError(f"{target} would replace an input file; choose another name")
