"""The differentiable JPEG simulator against the real codec, for each rounding.

PSNR in dB on photographs that ship with scikit-image, for each quality and subsampling.
"""

from __future__ import annotations

import numpy as np
import torch
from skimage import data

from napari_invisp.jpeg.codec import decode_jpeg, encode_jpeg
from napari_invisp.jpeg.rounding import ROUNDINGS
from napari_invisp.jpeg.simulator import JpegSimulator
from napari_invisp.jpeg.tables import SAMPLING_FACTORS
from napari_invisp.metrics import psnr

PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket")


def main() -> None:
    print(f"{'rounding':18}{'subsampling':13}" + "".join(f"Q {q:<8}" for q in (50, 75, 90, 95)))
    for rounding in ROUNDINGS:
        simulator = JpegSimulator(rounding)
        for subsampling in SAMPLING_FACTORS:
            row = []
            for quality in (50, 75, 90, 95):
                error, count = 0.0, 0
                for name in PHOTOGRAPHS:
                    rgb = getattr(data, name)()
                    real = decode_jpeg(encode_jpeg(rgb, quality, subsampling)).rgb
                    x = torch.from_numpy(rgb).permute(2, 0, 1)[None] / 255
                    with torch.no_grad():
                        y = simulator(x, quality, subsampling)[0].permute(1, 2, 0).numpy()
                    error += float(np.square(y * 255 - real).sum())
                    count += real.size
                row.append(psnr(error / count, 255))
            print(f"{rounding:18}{subsampling:13}" + "".join(f"{dB:<10.1f}" for dB in row))


if __name__ == "__main__":
    main()
