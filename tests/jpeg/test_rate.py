"""What detail costs in a JPEG: an estimate that ranks pictures as their files rank."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.fft import dctn
from scipy.stats import spearmanr
from skimage.data import astronaut

from napari_invisp.errors import SettingsError
from napari_invisp.jpeg.codec import encode_jpeg
from napari_invisp.jpeg.rate import detail_bits
from napari_invisp.jpeg.tables import SAMPLING_FACTORS, quantization_tables

SIDE = 96
QUALITIES = (30, 60, 80, 90, 97)


def pictures() -> dict[str, NDArray[np.uint8]]:
    """Make pictures from the plainest to the busiest, in colour and without."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:SIDE, :SIDE] / SIDE
    photo = astronaut()[100 : 100 + SIDE, 180 : 180 + SIDE] / 255
    small = astronaut()[::5, ::5][:SIDE, :SIDE] / 255
    noise = rng.normal(size=(SIDE, SIDE, 3))
    made = {
        "gradient": np.stack([rows, columns, 1 - rows], 2),
        "waves": 0.5 + 0.3 * np.sin(40 * rows * columns)[..., None] * [1, 0.8, 0.6],
        "photograph": photo,
        "flatter photograph": 0.5 + 0.3 * (photo - 0.5),
        "small photograph": small,
        "grey photograph": small.mean(2, keepdims=True).repeat(3, 2),
        "checks": np.indices((SIDE, SIDE)).sum(0)[..., None] // 4 % 2 * [0.5, 0.5, 0.5],
        "little noise": photo + 0.02 * noise,
        "grey noise": 0.5 + 0.1 * noise[..., :1].repeat(3, 2),
        "coloured noise": 0.5 + 0.1 * noise,
    }
    return {name: np.rint(255 * p.clip(0, 1)).astype(np.uint8) for name, p in made.items()}


def tensor(rgb: NDArray[np.uint8]) -> torch.Tensor:
    return torch.from_numpy(rgb).permute(2, 0, 1)[None] / 255


@pytest.mark.parametrize("subsampling", SAMPLING_FACTORS)
def test_ranks_pictures_and_qualities_as_files_do(subsampling: str) -> None:
    every = pictures().values()
    sizes, bits = (
        np.array([[measure(rgb, quality) for rgb in every] for quality in QUALITIES])
        for measure in (
            lambda rgb, quality: len(encode_jpeg(rgb, quality, subsampling)),
            lambda rgb, quality: float(detail_bits(tensor(rgb), quality, subsampling)),
        )
    )
    for of_pictures, of_files in zip(bits, sizes, strict=True):
        assert spearmanr(of_pictures, of_files).statistic > 0.8
    assert spearmanr(bits.ravel(), sizes.ravel()).statistic > 0.95
    assert (np.diff(sizes, axis=0) >= 0).all()
    assert (np.diff(bits, axis=0) > 0).all()


@pytest.mark.parametrize("quality", [50, 90])
def test_bytes_grow_about_as_it_grows(quality: int) -> None:
    """A change by some share changes real files by a similar one: what training pays for."""
    photo = pictures()["photograph"].astype(float)
    blurred = (
        photo + np.roll(photo, 1, 0) + np.roll(photo, 1, 1) + np.roll(photo, (1, 1), (0, 1))
    ) / 4
    growths = []
    for strength in (0.5, 1.5, 2.0):
        changed = np.rint(blurred + strength * (photo - blurred)).clip(0, 255).astype(np.uint8)
        plain = photo.astype(np.uint8)
        header = len(encode_jpeg(np.full_like(plain, 128), quality))
        files = [len(encode_jpeg(each, quality)) - header for each in (changed, plain)]
        bits = [float(detail_bits(tensor(each), quality, "4:2:2")) for each in (changed, plain)]
        growths.append((np.log(files[0] / files[1]), np.log(bits[0] / bits[1])))
    for real, estimated in growths:
        assert np.sign(real) == np.sign(estimated)
        assert 0.5 < estimated / real < 2


def test_luma_counts_its_quantized_coefficients() -> None:
    grey = np.random.default_rng(1).integers(0, 256, (16, 24), dtype=np.uint8)
    blocks = grey.astype(float).reshape(2, 8, 3, 8).transpose(0, 2, 1, 3)
    steps = np.abs(dctn(blocks, axes=(2, 3), norm="ortho")) / quantization_tables(75)[0]
    expected = np.log2(1 + steps.reshape(6, 64)[:, 1:]).sum() / grey.size
    rgb = tensor(grey[..., None].repeat(3, 2)).double()
    assert float(detail_bits(rgb, 75, "4:4:4")) == pytest.approx(expected, rel=1e-4)


def test_flat_pictures_cost_nothing_whatever_their_colour() -> None:
    flat = torch.tensor([[0.2, 0.5, 0.9], [0.0, 0.0, 0.0], [1.0, 1.0, 1.0]])[..., None, None]
    bits = detail_bits(flat.expand(3, 3, 32, 32), 95, "4:2:0")
    assert bits.shape == (3,)
    assert bits.abs().max() < 1e-3


def test_grows_with_contrast() -> None:
    photo = tensor(pictures()["photograph"]) - 0.5
    bits = [float(detail_bits(0.5 + c * photo, 85, "4:2:2")) for c in (0.1, 0.2, 0.4, 0.8)]
    assert bits == sorted(bits)
    assert bits[0] < 0.5 * bits[-1]


def test_subsampling_saves_chroma_alone() -> None:
    names = ("coloured noise", "grey noise")
    coloured, grey = (
        [float(detail_bits(tensor(pictures()[name]), 90, s)) for s in SAMPLING_FACTORS]
        for name in names
    )
    assert coloured[0] > 1.2 * coloured[1] > 1.2 * coloured[2]
    assert grey == pytest.approx([grey[0]] * 3, rel=1e-3)


def test_subsampling_saves_along_its_direction() -> None:
    """Stripes of two colours of the same luma, a pixel wide, across and along the rows."""
    stripes = torch.arange(32).remainder(2).mul(2.0).sub(1).expand(32, 32)
    change = torch.tensor([0.3, -0.1527, 0.0])[:, None, None]
    across, along = (
        [float(detail_bits(0.5 + change * each[None, None], 90, s)) for s in SAMPLING_FACTORS]
        for each in (stripes, stripes.T)
    )
    assert across[0] == pytest.approx(along[0], rel=1e-3)
    assert across[1] < 0.1 * along[1]
    assert max(across[2], along[2]) < 0.1 * along[0]


def test_pictures_of_a_batch_are_measured_one_by_one() -> None:
    batch = torch.cat([tensor(each) for each in pictures().values()])
    together = detail_bits(batch, 80, "4:2:0")
    alone = torch.cat([detail_bits(each[None], 80, "4:2:0") for each in batch])
    torch.testing.assert_close(together, alone)


def test_only_whole_blocks_count() -> None:
    busy = tensor(pictures()["coloured noise"])
    whole = detail_bits(busy[..., :48, :64], 80, "4:2:0")
    torch.testing.assert_close(detail_bits(busy[..., :60, :79], 80, "4:2:0"), whole)


@pytest.mark.parametrize("name", ["photograph", "coloured noise", "gradient"])
def test_gradients_lead_to_smaller_files(name: str) -> None:
    rgb = tensor(pictures()[name]).requires_grad_()
    detail_bits(rgb, 90, "4:2:2").sum().backward()  # type: ignore[no-untyped-call]
    assert rgb.grad is not None
    assert rgb.grad.isfinite().all()
    step = 0.01 * rgb.grad / rgb.grad.square().mean().sqrt()
    smaller, larger = (
        (rgb.detach() + sign * step)[0].permute(1, 2, 0).mul(255).round().clamp(0, 255)
        for sign in (-1, 1)
    )
    sizes = [len(encode_jpeg(each.to(torch.uint8).numpy(), 90)) for each in (smaller, larger)]
    assert sizes[0] < sizes[1]


def test_gradients_of_flat_pictures_are_finite() -> None:
    rgb = torch.zeros((1, 3, 16, 16), requires_grad=True)
    detail_bits(rgb, 90, "4:2:2").sum().backward()  # type: ignore[no-untyped-call]
    assert rgb.grad is not None
    assert rgb.grad.isfinite().all()


def test_what_no_jpeg_can_have_is_refused() -> None:
    rgb = torch.zeros((1, 3, 16, 16))
    with pytest.raises(SettingsError, match="quality 0"):
        detail_bits(rgb, 0, "4:4:4")
    with pytest.raises(SettingsError, match="'4:1:1'"):
        detail_bits(rgb, 90, "4:1:1")
