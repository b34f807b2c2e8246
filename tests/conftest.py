"""Data that the tests share: what the repository makes itself, and the RAW files beside it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# Examples take as long as the machine is busy; in CI the same ones are tried every time.
settings.register_profile("default", deadline=None)
settings.register_profile("ci", parent=settings.get_profile("default"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")

# Its assertions are to be explained as those of the tests are.
pytest.register_assert_rewrite("cli_helpers")

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared_raw() -> Path:
    """The folder of full-size camera files, which the repository does not hold."""
    folder = SHARED / "raw"
    if not folder.is_dir():
        pytest.skip("the full-size RAW files are not here")
    return folder


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """On frames this small, starting threads takes longer than the work itself."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
