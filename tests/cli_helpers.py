"""What the tests of the command line have in common, besides their fixtures."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Run = Callable[..., tuple[int, str, str]]
Facts = Callable[..., dict[str, Any]]


def contents(folder: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def strict(text: str) -> dict[str, Any]:
    def refuse(constant: str) -> float:
        raise AssertionError(f"{constant} is not JSON")

    value = json.loads(text, parse_constant=refuse)
    assert isinstance(value, dict)
    return value


def refused(run: Run, folder: Path, message: str, *arguments: object) -> None:
    """Assert that a command fails with one line, and changes nothing."""
    before = contents(folder)
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert err.startswith("napari-invisp: ")
    assert err.endswith("\n")
    assert err.count("\n") == 1
    assert message in err
    assert contents(folder) == before


def garbled(data: bytes) -> bytes:
    rng = np.random.default_rng(0)
    middle = len(data) // 2
    return data[:middle] + rng.bytes(2000) + data[middle + 2000 :]
