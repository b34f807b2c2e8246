"""All models by name: those to work with, and the baselines to compare them with."""

from napari_invisp.baselines import CycleIsp, InvertibleGrayscale, UNetPair, Upi
from napari_invisp.flow.zoo import MODELS, load_model, register

#: Names of the models that are meant for use.
FOR_USE = tuple(MODELS)

register(Upi, learned=False)
register(CycleIsp)
register(InvertibleGrayscale)
register(UNetPair)

__all__ = ["FOR_USE", "MODELS", "load_model"]
