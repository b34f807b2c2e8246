"""Weights on disk: our own safetensors files, and the authors' ``.pth`` files.

Our format is a safetensors file of float32 tensors under the names of the model's ``state_dict``.
Its metadata hold one JSON object under the key ``napari_invisp``::

    {"format": 1, "model": "invisp", "profile": {…}, "card": {…}}

``card`` is free: the training recipe, figures, credits. Models of various sizes have another key,
``configuration``: the arguments that their class is made with.
"""

from __future__ import annotations

import hashlib
import json
import pickle
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from napari_invisp.errors import CheckpointError
from napari_invisp.files import write_bytes_atomic
from napari_invisp.flow.base import InvertibleISP
from napari_invisp.flow.convolution import InvertibleConv1x1
from napari_invisp.flow.invisp import Invisp
from napari_invisp.flow.profiles import PROFILES, Profile
from napari_invisp.flow.universal import Universal

FORMAT = 1
_HEADER = "napari_invisp"

#: Architectures that have weights, by the model name that a checkpoint gives. They take a profile,
#: and what :meth:`~napari_invisp.flow.base.InvertibleISP.configuration` gave by name.
ARCHITECTURES: dict[str, Callable[..., InvertibleISP]] = {
    "invisp": Invisp,
    "universal": Universal,
}

# What training scripts wrap a state_dict in.
_WRAPPERS = ("state_dict", "model_state_dict", "model")
_DATA_PARALLEL = "module."

# Beyond this a float32 round trip through a 1×1 convolution keeps no digit.
_WORST_CONDITION = 1e6
_NAMED_AT_MOST = 3


def save_checkpoint(
    path: str | Path, model: InvertibleISP, card: Mapping[str, Any] | None = None
) -> None:
    """Write a model's weights and profile, atomically.

    Parameters
    ----------
    path
        The file to write, by custom ``*.safetensors``.
    model
        One of :data:`ARCHITECTURES`. Weights are stored as float32, whatever it computes in.
    card
        Anything JSON can hold that should go with the weights; :func:`read_card` gives it back.

    Raises
    ------
    CheckpointError
        The weights could not be loaded again (NaN, singular), or ``card`` is no JSON.
    OutputError
        The file cannot be written.
    """
    _check_architecture(model.name)
    header = {
        "format": FORMAT,
        "model": model.name,
        "profile": model.profile.to_dict(),
        "card": dict(card or {}),
    }
    if configuration := model.configuration():
        header["configuration"] = configuration
    try:
        text = json.dumps(header, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"the card cannot be stored as JSON: {error}") from error
    state = {name: _float32(tensor) for name, tensor in model.state_dict().items()}
    _check_values(state)
    _check_invertible(model)
    write_bytes_atomic(Path(path), safetensors.torch.save(state, {_HEADER: text}))


def load_checkpoint(path: str | Path, profile: Profile | str | None = None) -> InvertibleISP:
    """Read a model's weights.

    Parameters
    ----------
    path
        Our own safetensors file, or a ``state_dict`` of the paper's network as the authors' code
        writes it (bare or in one of the usual wrappers). No file is ever allowed to run code.
    profile
        How the weights expect their input: a profile or the name of one. By default our own files
        say so themselves; for the authors' it follows from "canon" or "nikon" in the file name.

    Returns
    -------
    InvertibleISP
        On the CPU, in float32, in evaluation mode.

    Raises
    ------
    CheckpointError
        The file is missing, is no checkpoint, holds more than weights, does not fit the model, or
        holds weights that cannot be inverted; or the profile is unknown.
    """
    path = Path(path)
    chosen = _named_profile(profile) if isinstance(profile, str) else profile
    header, state = _read(path)
    try:
        if header is None:
            name, own, configuration = Invisp.name, None, {}
        else:
            name, own = _check_architecture(header["model"]), Profile.from_dict(header["profile"])
            configuration = header.get("configuration", {})
        model = _build(name, chosen or own or _guessed_profile(path), configuration)
        _check_fit(state, model.state_dict())
        state = {name: _float32(tensor) for name, tensor in state.items()}
        _check_values(state)
        model.load_state_dict(state)
        _check_invertible(model)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    return model.eval()


def read_card(path: str | Path) -> dict[str, Any]:
    """Return the card that :func:`save_checkpoint` stored; the authors' files have an empty one.

    Raises
    ------
    CheckpointError
        As for :func:`load_checkpoint`.
    """
    header, _ = _read(Path(path))
    return {} if header is None else dict(header["card"])


def weights_hash(model: InvertibleISP) -> str:
    """Fingerprint a model's weights, to tell whether two files or machines use the same.

    Returns
    -------
    str
        The first 16 hexadecimal digits (64 bits: plenty against mix-ups, not meant against forgery)
        of the SHA-256 over names, shapes and float32 bytes of the ``state_dict`` in sorted order.
        It does not depend on device, dtype, memory order or file format.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)}\n".encode())
        digest.update(_float32(tensor).numpy().astype("<f4").tobytes())
    return digest.hexdigest()[:16]


def _float32(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu", torch.float32).contiguous()


# --- reading ------------------------------------------------------------------------------------


def _read(path: Path) -> tuple[dict[str, Any] | None, dict[str, Tensor]]:
    """Header (None for a file that is not ours) and tensors, neither checked against a model."""
    try:
        with path.open("rb") as stream:
            start = stream.read(9)
    except FileNotFoundError:
        raise CheckpointError(f"there is no checkpoint {path}") from None
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror or error}") from error
    # safetensors: the length of a JSON object as 8 bytes, then the object.
    if start[8:] == b"{":
        return _read_safetensors(path)
    # torch.save: a zip archive, or in old files a pickle.
    if start.startswith((b"PK\x03\x04", b"\x80")):
        return None, _read_pickled(path)
    raise CheckpointError(f"{path} is not a checkpoint: neither safetensors nor PyTorch wrote it")


def _read_safetensors(path: Path) -> tuple[dict[str, Any] | None, dict[str, Tensor]]:
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(_HEADER)
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (safetensors.SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is damaged: {error}") from error
    return None if text is None else _header(path, text), state


def _header(path: Path, text: str) -> dict[str, Any]:
    try:
        header = json.loads(text)
    except ValueError:
        header = None
    if not isinstance(header, dict):
        raise CheckpointError(f"{path} is damaged: its header is no JSON object")
    if header.get("format") != FORMAT:
        raise CheckpointError(
            f"{path} has checkpoint format {header.get('format')!r}, but this version reads "
            f"format {FORMAT}"
        )
    if missing := {"model", "profile", "card"} - header.keys():
        raise CheckpointError(f"{path} is damaged: its header lacks {', '.join(sorted(missing))}")
    if not isinstance(header["card"], dict):
        raise CheckpointError(f"{path} is damaged: its card is no JSON object")
    return header


def _read_pickled(path: Path) -> dict[str, Tensor]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on pickles that torch.save did not write
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} is refused: it holds more than weights, and loading that could run code; "
            "ask for a file of its state_dict alone"
        ) from error
    except Exception as error:  # whatever a damaged archive makes the reader stumble over
        raise CheckpointError(
            f"{path} is not a checkpoint, or it is damaged: PyTorch cannot read it"
        ) from error
    while isinstance(content, Mapping) and (inner := _wrapped(content)) is not None:
        content = inner
    if not isinstance(content, Mapping) or not all(
        isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in content.items()
    ):
        raise CheckpointError(f"{path} is not a checkpoint: it holds no state_dict")
    if content and all(name.startswith(_DATA_PARALLEL) for name in content):
        return {name.removeprefix(_DATA_PARALLEL): t for name, t in content.items()}
    return dict(content)


def _wrapped(content: Mapping[Any, Any]) -> Mapping[Any, Any] | None:
    found = (content[key] for key in _WRAPPERS if isinstance(content.get(key), Mapping))
    return next(found, None)


def _named_profile(name: str) -> Profile:
    if name not in PROFILES:
        raise CheckpointError(f"there is no profile {name!r}; profiles: {', '.join(PROFILES)}")
    return PROFILES[name]


def _guessed_profile(path: Path) -> Profile:
    found = [maker for maker in ("canon", "nikon") if maker in path.name.lower()]
    if len(found) != 1:
        raise CheckpointError(
            "the file does not say how its RAW was prepared; choose the profile 'authors-canon', "
            "'authors-nikon' or 'paper', or put 'canon' or 'nikon' into the file name"
        )
    return PROFILES[f"authors-{found[0]}"]


# --- checking -----------------------------------------------------------------------------------


def _check_architecture(name: object) -> str:
    if not isinstance(name, str) or name not in ARCHITECTURES:
        raise CheckpointError(
            f"no weights are known for a model {name!r}, only for {', '.join(ARCHITECTURES)}"
        )
    return name


def _build(name: str, profile: Profile, configuration: Any) -> InvertibleISP:
    try:
        return ARCHITECTURES[name](profile, **configuration)
    except TypeError as error:
        raise CheckpointError(
            f"its configuration {configuration!r} is not one of a model {name!r}"
        ) from error


def _check_fit(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    if missing := [name for name in expected if name not in state]:
        raise CheckpointError(f"these weights are missing: {_few(missing)}")
    if unexpected := [name for name in state if name not in expected]:
        raise CheckpointError(f"these weights do not belong to the model: {_few(unexpected)}")
    for name, tensor in state.items():
        if tensor.shape != expected[name].shape:
            raise CheckpointError(
                f"{name} has shape {tuple(tensor.shape)}, not {tuple(expected[name].shape)}"
            )
        if not tensor.is_floating_point():
            raise CheckpointError(f"{name} is {_dtype(tensor)}, not floating-point")
        if tensor.layout is not torch.strided or tensor.device.type != "cpu":
            raise CheckpointError(f"{name} is not a plain tensor with its values")


def _check_values(state: Mapping[str, Tensor]) -> None:
    for name, tensor in state.items():
        if not tensor.isfinite().all():
            raise CheckpointError(f"{name} holds NaN or infinity")


def _check_invertible(model: InvertibleISP) -> None:
    for name, module in model.named_modules():
        if isinstance(module, InvertibleConv1x1) and not module.condition() < _WORST_CONDITION:
            raise CheckpointError(f"the 1×1 convolution {name} is singular and cannot be inverted")


def _few(names: list[str]) -> str:
    more = len(names) - _NAMED_AT_MOST
    return ", ".join(names[:_NAMED_AT_MOST]) + (f" and {more} more" if more > 0 else "")


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
