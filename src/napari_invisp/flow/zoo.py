"""Models by name, or by the path of a checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from napari_invisp.errors import CheckpointError
from napari_invisp.flow.base import InvertibleISP
from napari_invisp.flow.checkpoints import ARCHITECTURES, load_checkpoint
from napari_invisp.flow.physics import Physics
from napari_invisp.flow.profiles import Profile

#: Weights that come with the package, ``<model name>.safetensors``.
WEIGHTS = Path(__file__).parent / "weights"


def _bundled(name: str) -> Callable[[], InvertibleISP]:
    """Return a factory for a model whose weights may come with the package."""

    def load() -> InvertibleISP:
        path = WEIGHTS / f"{name}.safetensors"
        if not path.is_file():
            raise CheckpointError(
                f"no trained weights for {name!r} come with this version: "
                "give the path of a checkpoint as the model (--model PATH)"
            )
        return load_checkpoint(path)

    return load


#: Every model that can be asked for by name, and what makes it.
MODELS: dict[str, Callable[[], InvertibleISP]] = {
    "invisp": _bundled("invisp"),
    "physics": Physics,
    "universal": _bundled("universal"),
}


def register(model: type[InvertibleISP], learned: bool = True) -> None:
    """Make a model known by its name, beside those of this package.

    Parameters
    ----------
    model
        A class that is made with a profile and its configuration, or with nothing at all.
    learned
        Whether it has weights. Then it can be loaded from checkpoints, and by its name alone if its
        weights come with the package.
    """
    if learned:
        ARCHITECTURES[model.name] = model
    MODELS[model.name] = _bundled(model.name) if learned else model


def load_model(name_or_path: str | Path, profile: Profile | str | None = None) -> InvertibleISP:
    """Give a model, ready to run.

    Parameters
    ----------
    name_or_path
        A name from :data:`MODELS`, or the path of a checkpoint. Names come first: a file that is
        called like a model is reached as ``./invisp``.
    profile
        For a path alone: see :func:`~napari_invisp.flow.checkpoints.load_checkpoint`.

    Raises
    ------
    CheckpointError
        There is neither such a model nor such a file, or its weights cannot be used.
    """
    if isinstance(name_or_path, str) and name_or_path in MODELS:
        return MODELS[name_or_path]()
    path = Path(name_or_path)
    if not path.exists():
        raise CheckpointError(
            f"there is no model or checkpoint file {str(name_or_path)!r}; "
            f"models: {', '.join(MODELS)}, or give the path of a checkpoint"
        )
    model = load_checkpoint(path, profile)
    model.checkpoint = path.name
    return model
