"""Data that the tests share: what the repository makes itself, and the RAW files beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared_raw() -> Path:
    """The folder of full-size camera files, which the repository does not hold."""
    folder = SHARED / "raw"
    if not folder.is_dir():
        pytest.skip("the full-size RAW files are not here")
    return folder
