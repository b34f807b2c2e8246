"""All models by name: those to work with, and the baselines to compare them with."""

from napari_invisp.baselines import CycleIsp, InvertibleGrayscale, UNetPair, Upi
from napari_invisp.flow.zoo import MODELS, load_model, register

#: Names of the models that are meant for use.
FOR_USE = tuple(MODELS)

register(Upi, learned=False)
register(CycleIsp)
register(InvertibleGrayscale)
register(UNetPair)

__all__ = ["FOR_USE", "MODELS", "checkpoint_of", "load_model"]


def checkpoint_of(model: str) -> str | None:
    """Return the path of a checkpoint, if that is what a model was called by."""
    return None if model in MODELS else model
