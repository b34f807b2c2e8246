from __future__ import annotations

import pytest
import torch

from napari_invisp.devices import choose_device
from napari_invisp.errors import SettingsError


def pretend(monkeypatch: pytest.MonkeyPatch, **there: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there.get("cuda", False))
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: there.get("mps", False))


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        ({}, "cpu"),
        ({"mps": True}, "mps"),
        ({"cuda": True}, "cuda"),
        ({"cuda": True, "mps": True}, "cuda"),
    ],
)
def test_auto_takes_the_best_there_is(
    there: dict[str, bool], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, **there)
    device, note = choose_device("auto")
    assert device.type == expected
    assert note is None
    assert choose_device()[0] == device


@pytest.mark.parametrize("name", ["cuda", "mps"])
def test_a_gpu_that_is_there_is_taken(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, cuda=True, mps=True)
    assert choose_device(name) == (torch.device(name), None)


@pytest.mark.parametrize("name", ["cuda", "mps"])
def test_a_gpu_that_is_not_there_is_replaced_and_the_user_told(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch)
    device, note = choose_device(name)
    assert device.type == "cpu"
    assert note == f"{name} is not available here; running on the CPU instead"


def test_the_cpu_is_taken_beside_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, cuda=True)
    assert choose_device("cpu") == (torch.device("cpu"), None)


@pytest.mark.parametrize("name", ["gpu", "", "CUDA", "cuda:1"])
def test_an_unknown_name(name: str) -> None:
    with pytest.raises(SettingsError, match="is not one of auto, cpu, cuda, mps"):
        choose_device(name)
