"""What the paper compares its network with (its Table 1), behind the same interface."""

from napari_invisp.baselines.conventional import Upi
from napari_invisp.baselines.cycleisp import CycleIsp
from napari_invisp.baselines.grayscale import InvertibleGrayscale
from napari_invisp.baselines.unet import UNetPair

__all__ = ["CycleIsp", "InvertibleGrayscale", "UNetPair", "Upi"]
