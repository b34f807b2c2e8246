"""Models by name or path."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from napari_invisp.errors import CheckpointError
from napari_invisp.flow import zoo
from napari_invisp.flow.checkpoints import read_card, save_checkpoint, weights_hash
from napari_invisp.flow.invisp import Invisp


@pytest.fixture
def file(invisp: Invisp, tmp_path: Path) -> Path:
    path = tmp_path / "mine.safetensors"
    save_checkpoint(path, invisp)
    return path


@pytest.mark.parametrize("kind", [str, Path])
def test_a_path_gives_its_checkpoint(kind: type, file: Path, invisp: Invisp) -> None:
    assert weights_hash(zoo.load_model(kind(file))) == weights_hash(invisp)


def test_the_profile_goes_with_the_path(invisp: Invisp, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save(invisp.state_dict(), path)
    assert zoo.load_model(path, "authors-nikon").profile.name == "authors-nikon"


def test_an_unknown_name_lists_the_known_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError) as caught:
        zoo.load_model("invips")
    message = str(caught.value)
    assert "'invips'" in message
    assert "path" in message
    assert all(name in message for name in zoo.MODELS)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"gone\.pth"):
        zoo.load_model(tmp_path / "gone.pth")


def test_without_bundled_weights_invisp_asks_for_a_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zoo, "WEIGHTS", tmp_path)
    with pytest.raises(CheckpointError, match="--model PATH"):
        zoo.load_model("invisp")


def test_bundled_weights_are_found_by_name(
    file: Path, invisp: Invisp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zoo, "WEIGHTS", file.parent)
    file.rename(file.parent / "invisp.safetensors")
    assert weights_hash(zoo.load_model("invisp")) == weights_hash(invisp)


def test_a_name_comes_before_a_file_of_that_name(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(zoo, "WEIGHTS", tmp_path / "none")
    file.rename(tmp_path / "invisp")
    with pytest.raises(CheckpointError, match="--model PATH"):
        zoo.load_model("invisp")
    assert isinstance(zoo.load_model("./invisp"), Invisp)


def test_the_shipped_weights_of_universal_are_small_and_say_what_they_are() -> None:
    path = zoo.WEIGHTS / "universal.safetensors"
    assert path.stat().st_size < 4e6
    card = read_card(path)
    assert card["data"]
    assert card["steps"] > 0
    assert card["settings"]["model"] == "universal"
    assert "/" not in "".join(card["data"])
    assert zoo.load_model("universal").name == "universal"
