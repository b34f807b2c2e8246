"""Data that the tests share: what the repository makes itself, and the RAW files beside it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# Examples take as long as the machine is busy; in CI the same ones are tried every time.
settings.register_profile("default", deadline=None)
settings.register_profile("ci", parent=settings.get_profile("default"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared_raw() -> Path:
    """The folder of full-size camera files, which the repository does not hold."""
    folder = SHARED / "raw"
    if not folder.is_dir():
        pytest.skip("the full-size RAW files are not here")
    return folder
