"""What a table says about the models in it, so that its figures can be traced."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from napari_invisp.flow.checkpoints import read_card
from napari_invisp.flow.zoo import WEIGHTS
from napari_invisp.pipeline import identity
from napari_invisp.zoo import MODELS, load_model


def describe(models: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Describe models by the names that they have in a table.

    Parameters
    ----------
    models
        Names of models, or paths of checkpoints.

    Returns
    -------
    dict
        Of each: ``name`` of the model, hash of its ``weights`` (or ``None``), how many
        ``parameters`` they are, and the ``card`` of their checkpoint, which tells how they were
        trained.

    Raises
    ------
    CheckpointError
        Weights cannot be used.
    """
    described = {}
    for asked in models:
        model = load_model(asked)
        path = WEIGHTS / f"{asked}.safetensors" if asked in MODELS else Path(asked)
        described[model.checkpoint or model.name] = {
            "name": model.name,
            "weights": identity(model),
            "parameters": sum(each.numel() for each in model.parameters()),
            "card": read_card(path) if path.is_file() else {},
        }
    return described
