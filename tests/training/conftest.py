"""A model and pictures that are trained in a second."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import runs
import torch

from napari_invisp.flow.checkpoints import ARCHITECTURES
from napari_invisp.training.objectives import OBJECTIVES


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the tiny model be trained, and give the threads back that a run has taken."""
    monkeypatch.setitem(ARCHITECTURES, "tiny", runs.Tiny)
    monkeypatch.setitem(OBJECTIVES, "tiny", runs.tiny)
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def memory() -> runs.Memory:
    return runs.memory()
