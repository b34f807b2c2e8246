"""Decoding without rounding: nearer to what was encoded, and what the codec gives but for that."""

from __future__ import annotations

import imagecodecs
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.fft import dctn
from skimage.data import astronaut

from napari_invisp.jpeg.codec import decode_components, decode_jpeg, encode_jpeg
from napari_invisp.jpeg.exact import ExactDecoder
from napari_invisp.jpeg.simulator import JpegSimulator
from napari_invisp.jpeg.tables import quantization_tables

SUBSAMPLINGS = ("4:4:4", "4:2:2", "4:2:0")
CPU = torch.device("cpu")


def decoder(data: bytes) -> ExactDecoder:
    components = decode_components(data)
    assert components is not None
    return ExactDecoder(components, decode_jpeg(data))


def whole(data: bytes) -> NDArray[np.float32]:
    height, width = decode_jpeg(data).rgb.shape[:2]
    rgb = decoder(data).window(slice(0, height), slice(0, width), CPU)
    return rgb[0].permute(1, 2, 0).numpy()


@pytest.fixture(scope="module")
def soft() -> NDArray[np.uint8]:
    """A photograph that no codec clips, with some noise: nothing in it is flat."""
    noise = np.random.default_rng(0).normal(0, 4, (144, 160, 3))
    return np.rint(astronaut()[100:244, 60:220] * 0.8 + 20 + noise).astype(np.uint8)


@pytest.mark.parametrize("subsampling", SUBSAMPLINGS)
@pytest.mark.parametrize("quality", [60, 90, 98])
def test_it_is_what_the_codec_decodes_but_for_rounding(
    soft: NDArray[np.uint8], quality: int, subsampling: str
) -> None:
    data = encode_jpeg(soft, quality, subsampling)
    difference = whole(data) - decode_jpeg(data).rgb
    assert np.abs(difference).mean() < 0.6
    assert np.quantile(np.abs(difference), 0.999) < 2.5
    assert 0 < np.abs(difference).max() < 4


@pytest.mark.parametrize("subsampling", SUBSAMPLINGS)
def test_it_equals_the_simulator_that_leaves_out_rounding(
    soft: NDArray[np.uint8], subsampling: str
) -> None:
    x = torch.from_numpy(soft).permute(2, 0, 1)[None].double() / 255
    simulated = JpegSimulator("hard", exact=True)(x, 90, subsampling) * 255
    difference = whole(encode_jpeg(soft, 90, subsampling)) - simulated[0].permute(1, 2, 0).numpy()
    # The frame's sides are whole blocks here; steps of 2 are near the decoder's rounding.
    assert np.quantile(np.abs(difference), 0.9) < 0.03
    assert np.abs(difference).max() < 2


def test_luma_has_the_coefficients_of_the_file(soft: NDArray[np.uint8]) -> None:
    """By an independent DCT: they are whole multiples of the steps, as the codec's are not."""
    grey = np.repeat(soft[..., 1:2], 3, axis=2)
    data = encode_jpeg(grey, 85, "4:2:0")
    table = quantization_tables(85)[0]

    def off(luma: NDArray[np.floating]) -> float:
        height, width = luma.shape
        blocks = (luma - 128).reshape(height // 8, 8, width // 8, 8).transpose(0, 2, 1, 3)
        steps = dctn(blocks, axes=(2, 3), norm="ortho") / table
        return float(np.abs(steps - np.rint(steps)).max())

    assert off(whole(data)[..., 1]) < 0.02 < off(decode_jpeg(data).rgb[..., 1].astype(float))


@pytest.mark.parametrize("subsampling", SUBSAMPLINGS)
def test_it_is_nearer_to_what_was_encoded(soft: NDArray[np.uint8], subsampling: str) -> None:
    data = encode_jpeg(soft, 96, subsampling)
    errors = [
        float(np.square(decoded - soft.astype(float)).mean())
        for decoded in (whole(data), decode_jpeg(data).rgb)
    ]
    assert errors[0] < 0.985 * errors[1]


@pytest.mark.parametrize("subsampling", SUBSAMPLINGS)
@pytest.mark.parametrize("shape", [(16, 16), (33, 47), (8, 5), (2, 2), (40, 3), (3, 40)])
def test_any_size_and_clipped_blocks_stay_near_the_codec(
    shape: tuple[int, int], subsampling: str
) -> None:
    rng = np.random.default_rng(0)
    wild = rng.choice([0, 255], (*shape, 3)).astype(np.uint8)
    for rgb in (wild, np.ascontiguousarray(astronaut()[: shape[0], : shape[1]])):
        data = encode_jpeg(rgb, 90, subsampling)
        decoded = whole(data)
        assert decoded.shape == (*shape, 3)
        assert decoded.min() >= 0
        assert decoded.max() <= 255
        assert np.abs(decoded - decode_jpeg(data).rgb).max() < 8


@pytest.mark.parametrize("subsampling", SUBSAMPLINGS)
def test_windows_are_parts_of_the_whole(soft: NDArray[np.uint8], subsampling: str) -> None:
    data = encode_jpeg(soft, 90, subsampling)
    all_of_it, exact = whole(data), decoder(data)
    for rows, columns in (
        (slice(0, 20), slice(0, 22)),
        (slice(34, 70), slice(18, 50)),
        (slice(100, 144), slice(120, 160)),
        (slice(6, 8), slice(158, 160)),
    ):
        part = exact.window(rows, columns, CPU)[0].permute(1, 2, 0).numpy()
        np.testing.assert_array_equal(part, all_of_it[rows, columns])


def test_rgb_files_are_left_to_the_codec(soft: NDArray[np.uint8]) -> None:
    data = imagecodecs.jpeg8_encode(soft, colorspace="RGB", outcolorspace="RGB")
    assert decode_components(data) is None
