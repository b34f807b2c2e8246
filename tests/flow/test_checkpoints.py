"""Weights on disk: what fits is loaded exactly, and all else is refused with its reason."""

from __future__ import annotations

import json
import pickle
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from napari_invisp.errors import CheckpointError, OutputError
from napari_invisp.flow.checkpoints import (
    load_checkpoint,
    read_card,
    save_checkpoint,
    weights_hash,
)
from napari_invisp.flow.invisp import Invisp
from napari_invisp.flow.profiles import PROFILES

State = dict[str, Any]
KERNEL = "operations.3.G.conv2.weight"
SCALE = "operations.2.invconv.log_s"


@pytest.fixture
def state(invisp: Invisp) -> State:
    return {name: tensor.clone() for name, tensor in invisp.state_dict().items()}


def _same(a: nn.Module, b: nn.Module) -> bool:
    first, second = a.state_dict(), b.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


# --- our own format -----------------------------------------------------------------------------


def test_what_is_saved_is_loaded(invisp: Invisp, tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    invisp.profile = replace(PROFILES["paper"], name="custom", gamma=2.4)
    card = {"recipe": "L1, 10 epochs", "raw_psnr": 48.6, "files": ["a", "b"]}
    save_checkpoint(path, invisp.train(), card)
    loaded = load_checkpoint(path)
    assert isinstance(loaded, Invisp)
    assert not loaded.training
    assert _same(loaded, invisp)
    assert loaded.profile == invisp.profile
    assert read_card(path) == card


def test_the_file_is_plain_safetensors_with_a_json_header(invisp: Invisp, tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    save_checkpoint(path, invisp.double())
    with safetensors.safe_open(path, framework="np") as file:
        header = json.loads(file.metadata()["napari_invisp"])
        assert set(file.keys()) == set(invisp.state_dict())
        assert file.get_tensor(KERNEL).dtype == "float32"
    assert header == {
        "format": 1,
        "model": "invisp",
        "profile": PROFILES["paper"].to_dict(),
        "card": {},
    }


def test_an_explicit_profile_wins(invisp: Invisp, tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    save_checkpoint(path, invisp)
    assert load_checkpoint(path, "authors-canon").profile is PROFILES["authors-canon"]
    custom = replace(PROFILES["paper"], name="custom")
    assert load_checkpoint(path, custom).profile == custom


def test_what_could_not_be_loaded_is_not_saved(invisp: Invisp, tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    path.write_bytes(b"before")
    with pytest.raises(CheckpointError, match="card"):
        save_checkpoint(path, invisp, {"score": object()})
    with pytest.raises(CheckpointError, match="card"):
        save_checkpoint(path, invisp, {"score": float("nan")})
    with torch.no_grad():
        invisp.get_parameter(KERNEL)[0] = float("nan")
    with pytest.raises(CheckpointError, match=KERNEL):
        save_checkpoint(path, invisp)
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_saving_into_no_folder_says_so(invisp: Invisp, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="nowhere"):
        save_checkpoint(tmp_path / "nowhere" / "net.safetensors", invisp)


def _rewrite(path: Path, state: State, header: str | None) -> None:
    plain = {name: tensor.contiguous() for name, tensor in state.items()}
    safetensors.torch.save_file(plain, path, None if header is None else {"napari_invisp": header})


def _header(**changes: Any) -> str:
    fields = {"format": 1, "model": "invisp", "profile": PROFILES["paper"].to_dict(), "card": {}}
    return json.dumps(fields | changes)


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("{", "no JSON object"),
        ("[]", "no JSON object"),
        (_header(format=2), "format 2"),
        (json.dumps({"format": 1, "model": "invisp"}), "lacks card, profile"),
        (_header(card=3), "card"),
        (_header(model="resnet"), "'resnet'"),
        (_header(model=["invisp"]), "model"),
        (_header(profile={}), "profile lacks"),
        (_header(profile=PROFILES["paper"].to_dict() | {"gamma": 0}), "'gamma'"),
    ],
)
def test_damaged_headers(state: State, tmp_path: Path, header: str, reason: str) -> None:
    path = tmp_path / "net.safetensors"
    _rewrite(path, state, header)
    with pytest.raises(CheckpointError, match=reason) as caught:
        load_checkpoint(path)
    assert str(path) in str(caught.value)


def test_safetensors_of_others_need_a_profile(state: State, tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    _rewrite(path, state, None)
    with pytest.raises(CheckpointError, match="choose the profile"):
        load_checkpoint(path)
    assert load_checkpoint(path, "paper").profile is PROFILES["paper"]
    assert read_card(path) == {}


# --- the authors' files -------------------------------------------------------------------------


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda s: s,
        lambda s: {"state_dict": s, "epoch": 3},
        lambda s: {"model": s},
        lambda s: {"model": {"state_dict": s}},
        lambda s: {"module." + name: tensor for name, tensor in s.items()},
        lambda s: {"state_dict": {"module." + name: tensor for name, tensor in s.items()}},
    ],
    ids=["bare", "state_dict", "model", "nested", "parallel", "wrapped parallel"],
)
def test_usual_wrappings_are_opened(
    invisp: Invisp, state: State, tmp_path: Path, wrap: Callable[[State], State], legacy: bool
) -> None:
    path = tmp_path / "canon.pth"
    torch.save(wrap(state), path, _use_new_zipfile_serialization=not legacy)
    loaded = load_checkpoint(path)
    assert _same(loaded, invisp)
    assert not loaded.training


@pytest.mark.parametrize(
    ("name", "profile"),
    [("canon.pth", "authors-canon"), ("my_NIKON_0.pth", "authors-nikon")],
)
def test_the_file_name_tells_the_camera(
    state: State, tmp_path: Path, name: str, profile: str
) -> None:
    torch.save(state, tmp_path / name)
    assert load_checkpoint(tmp_path / name).profile is PROFILES[profile]


@pytest.mark.parametrize("name", ["latest.pth", "canon_and_nikon.pth"])
def test_a_name_that_tells_nothing_asks_for_the_profile(
    state: State, tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    torch.save(state, path)
    with pytest.raises(CheckpointError, match="'authors-canon', 'authors-nikon'"):
        load_checkpoint(path)
    assert load_checkpoint(path, "authors-nikon").profile is PROFILES["authors-nikon"]
    with pytest.raises(CheckpointError, match=r"'sony'.*authors-canon"):
        load_checkpoint(path, "sony")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_become_float32(state: State, tmp_path: Path, dtype: torch.dtype) -> None:
    path = tmp_path / "canon.pth"
    torch.save({name: tensor.to(dtype) for name, tensor in state.items()}, path)
    loaded = load_checkpoint(path).state_dict()
    for name, tensor in state.items():
        assert loaded[name].dtype == torch.float32
        assert torch.equal(loaded[name], tensor.to(dtype).float())


# --- what is refused ----------------------------------------------------------------------------


class _Payload:
    """Unpickled carelessly, it makes a file."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.trace,)


@pytest.mark.parametrize("way", ["zip", "legacy", "pickle", "old pickle"])
def test_no_file_runs_code(state: State, tmp_path: Path, way: str) -> None:
    path, trace = tmp_path / "canon.pth", tmp_path / "trace"
    content = {"state_dict": state, "extra": _Payload(trace)}
    match way:
        case "zip" | "legacy":
            torch.save(content, path, _use_new_zipfile_serialization=way == "zip")
        case "pickle":
            path.write_bytes(pickle.dumps(_Payload(trace)))
        case "old pickle":
            path.write_bytes(pickle.dumps(_Payload(trace), protocol=0))
    reason = "not a checkpoint" if way == "old pickle" else "more than weights"
    with pytest.raises(CheckpointError, match=reason):
        load_checkpoint(path)
    assert not trace.exists()
    if way == "pickle":  # the payload is live: only refusing it kept it from running
        pickle.loads(path.read_bytes())
        assert trace.exists()


def test_a_pickled_network_is_refused(invisp: Invisp, tmp_path: Path) -> None:
    path = tmp_path / "canon.pth"
    torch.save(invisp, path)
    with pytest.raises(CheckpointError, match="ask for a file of its state_dict alone"):
        load_checkpoint(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no checkpoint .*gone\.pth"):
        load_checkpoint(tmp_path / "gone.pth")


def test_a_folder_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot read"):
        load_checkpoint(tmp_path)


def _write(content: Any) -> Callable[[Path, State], None]:
    return lambda path, state: torch.save(content, path)


def _zip_of_text(path: Path, state: State) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "no weights here")


def _truncated_zip(path: Path, state: State) -> None:
    torch.save(state, path)
    path.write_bytes(path.read_bytes()[:100_000])


def _truncated_safetensors(path: Path, state: State) -> None:
    _rewrite(path, state, _header())
    path.write_bytes(path.read_bytes()[:100_000])


@pytest.mark.parametrize(
    "write",
    [
        lambda path, state: path.write_bytes(b""),
        lambda path, state: path.write_text("state_dict, honestly"),
        lambda path, state: path.write_bytes(b"\xff\xd8\xff\xe0" + bytes(100)),
        _zip_of_text,
        _truncated_zip,
        _truncated_safetensors,
        _write([1, 2, 3]),
        _write({"epoch": 3}),
        _write({"state_dict": {"epoch": 3}}),
        _write({1: torch.zeros(1)}),
        _write(torch.zeros(3)),
    ],
    ids=[
        "empty",
        "text",
        "jpeg",
        "zip of text",
        "truncated zip",
        "truncated safetensors",
        "list",
        "no tensors",
        "wrapped no tensors",
        "unnamed",
        "one tensor",
    ],
)
def test_what_is_no_checkpoint(
    state: State, tmp_path: Path, write: Callable[[Path, State], None]
) -> None:
    path = tmp_path / "canon.pth"
    write(path, state)
    with pytest.raises(CheckpointError, match=r"not a checkpoint|damaged") as caught:
        load_checkpoint(path)
    assert str(path) in str(caught.value)


def _without(*names: str) -> Callable[[State], None]:
    def change(state: State) -> None:
        for name in names:
            del state[name]

    return change


def _with(name: str, make: Callable[[Tensor], Any]) -> Callable[[State], None]:
    def change(state: State) -> None:
        state[name] = make(state[name])

    return change


def _added(state: State) -> None:
    state["discriminator.weight"] = torch.zeros(1)


def _without_a_block(state: State) -> None:
    for name in [name for name in state if name.startswith("operations.7.")]:
        del state[name]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_without(KERNEL), f"missing: {KERNEL}$"),
        (_without_a_block, r"missing: operations\.7\.F\.conv1\.weight, .* and 32 more"),
        (dict.clear, "missing: .* and 277 more"),
        (_added, r"do not belong to the model: discriminator\.weight"),
        (_with(KERNEL, lambda t: t[:, 1:]), rf"{KERNEL} has shape \(32, 32, 3, 3\), not \(32, 33,"),
        (_with(SCALE, lambda t: t[:, None]), rf"{SCALE} has shape \(3, 1\)"),
        (_with(KERNEL, lambda t: t.long()), f"{KERNEL} is int64"),
        (_with(KERNEL, lambda t: t.to(torch.complex64)), f"{KERNEL} is complex64"),
        (_with(KERNEL, lambda t: t.to_sparse()), f"{KERNEL} is not a plain tensor"),
        (_with(KERNEL, lambda t: t.to("meta")), f"{KERNEL} is not a plain tensor"),
        (_with(KERNEL, lambda t: t * float("nan")), f"{KERNEL} holds NaN"),
        (_with(SCALE, lambda t: t + float("inf")), f"{SCALE} holds NaN or inf"),
        (_with(KERNEL, lambda t: t.double() + 1e300), f"{KERNEL} holds NaN or inf"),
        (_with("operations.2.invconv.sign_s", torch.zeros_like), r"operations\.2\.invconv is sing"),
        (_with("operations.2.invconv.p", torch.ones_like), r"operations\.2\.invconv is singular"),
        (_with(SCALE, lambda t: t - torch.tensor([99.0, 0, 0])), r"operations\.2\.invconv is sing"),
        (_with(SCALE, lambda t: t + 999), r"operations\.2\.invconv is singular"),
    ],
)
def test_weights_that_do_not_fit(
    state: State, tmp_path: Path, change: Callable[[State], None], reason: str
) -> None:
    path = tmp_path / "nikon.pth"
    change(state)
    torch.save(state, path)
    with pytest.raises(CheckpointError, match=reason) as caught:
        load_checkpoint(path)
    assert str(caught.value).startswith(f"{path}: ")


# --- fingerprints -------------------------------------------------------------------------------


def test_the_hash_is_of_the_weights_alone(invisp: Invisp, state: State, tmp_path: Path) -> None:
    expected = weights_hash(invisp)
    assert len(bytes.fromhex(expected)) == 8
    save_checkpoint(tmp_path / "net.safetensors", invisp, {"note": "a card"})
    torch.save(state, tmp_path / "canon.pth")
    for name in ("net.safetensors", "canon.pth"):
        assert weights_hash(load_checkpoint(tmp_path / name)) == expected
    assert weights_hash(invisp.double()) == expected
    assert weights_hash(invisp.float().to(memory_format=torch.contiguous_format)) == expected


@pytest.mark.parametrize(
    "name", ["operations.0.F.conv1.weight", "operations.7.invconv.sign_s", KERNEL, SCALE]
)
def test_the_hash_changes_with_any_weight(invisp: Invisp, name: str) -> None:
    before = weights_hash(invisp)
    invisp.state_dict()[name][-1] += 1e-3
    assert weights_hash(invisp) != before


def test_the_hash_knows_names_and_shapes() -> None:
    class Tiny(nn.Module):
        def __init__(self, name: str, *shape: int) -> None:
            super().__init__()
            self.register_buffer(name, torch.zeros(shape))

    hashes = [weights_hash(Tiny(*arguments)) for arguments in (("a", 6), ("b", 6), ("a", 2, 3))]
    assert len(set(hashes)) == 3
