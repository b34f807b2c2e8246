"""Colours as the standard defines them, against those that the codec makes of the same file."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.data import astronaut

from napari_invisp.jpeg.codec import decode_components, decode_jpeg, encode_jpeg
from napari_invisp.jpeg.color import rgb_from_components

# A code's half, and what libjpeg's 16-bit constants are off by.
_ROUNDING = 0.51


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("kind", ["photograph", "noise"])
def test_rgb_is_the_codecs_but_for_rounding(kind: str, subsampling: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (256, 256, 3)).astype(np.uint8)
    rgb = noise if kind == "noise" else np.ascontiguousarray(astronaut()[:256, :256])
    data = encode_jpeg(rgb, 95, subsampling)
    components, codes = decode_components(data), decode_jpeg(data).rgb
    assert components is not None
    planes = torch.from_numpy(components).permute(2, 0, 1)[None].double()
    ours = rgb_from_components(planes)[0].permute(1, 2, 0).numpy()
    off = np.abs(ours - codes)
    assert off.max() < _ROUNDING
    assert (ours.min(), ours.max()) == (0, 255)  # some were clipped
    # What lies in between is left where it is: anywhere within half a code.
    assert off[(codes > 0) & (codes < 255)].mean() == pytest.approx(0.25, abs=0.03)
