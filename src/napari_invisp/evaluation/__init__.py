"""How faithful renderings and recovered RAW files are: figures, tables, protocols, plots."""

from napari_invisp.evaluation.compression import Compression, CompressionMean, CompressionRow
from napari_invisp.evaluation.fidelity import (
    RgbFidelity,
    compare_rgb,
    reference_of,
    rgb_psnr_through_jpeg,
)
from napari_invisp.evaluation.frames import Evaluation
from napari_invisp.evaluation.rows import SETTINGS, Mean, Row, means
from napari_invisp.evaluation.yardstick import LossyDng, lossy_dng

__all__ = [
    "SETTINGS",
    "Compression",
    "CompressionMean",
    "CompressionRow",
    "Evaluation",
    "LossyDng",
    "Mean",
    "RgbFidelity",
    "Row",
    "compare_rgb",
    "lossy_dng",
    "means",
    "reference_of",
    "rgb_psnr_through_jpeg",
]
