"""Make the bundled sample from Halide's bayer_raw.png: `python scripts/make_sample.py PNG`.

Its middle is cut out, 2 MP around the dog's head, and turned upright; samples are not changed.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import cast

import numpy as np
from skimage.io import imread

from napari_invisp.samples import sample_path
from napari_invisp.sensor.dng import write_dng
from napari_invisp.sensor.record import Capture, CfaPattern, RawRecord, xyz_to_camera_from

# Halide's camera_pipe: sensor counts above black → sRGB at 7000 K.
SENSOR_TO_SRGB = np.array(
    [[2.2997, -0.4478, 0.1706], [-0.3826, 1.5906, -0.2080], [-0.0888, -0.7344, 2.2832]]
)
# Even, so that the crop begins at the same site of the CFA as the frame.
ROWS, COLUMNS = slice(260, 1540), slice(880, 2480)
PATTERN = [["G", "R"], ["B", "G"]]


def main(source: Path) -> None:
    """Write the sample."""
    upright = np.rot90(imread(source)[ROWS, COLUMNS])
    # The crop has even sides, so that turning it turns each 2x2 block of the CFA.
    pattern = cast("CfaPattern", "".join(np.rot90(PATTERN).ravel()))
    white = np.linalg.solve(SENSOR_TO_SRGB, np.ones(3))  # what the sensor measures of white
    matrix = SENSOR_TO_SRGB * white
    write_dng(
        sample_path(),
        RawRecord(
            mosaic=np.ascontiguousarray(upright, np.uint16),
            pattern=pattern,
            black=np.full((2, 2), 25.0),
            white=1023,
            white_balance=1 / white,
            camera_to_srgb=matrix,
            xyz_to_camera=xyz_to_camera_from(matrix, white),
            make="Halide",
            model="sample sensor",
            bit_depth=10,
            capture=Capture(copyright="Halide contributors, MIT License"),
        ),
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
