"""The RAW file that comes with the package."""

from __future__ import annotations

from pathlib import Path


def sample_path() -> Path:
    """Path of the bundled sample: a dog on grass, 2 MP, 10 bit, MIT licence."""
    return Path(__file__).parent / "dog.dng"
