import io

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from skimage import data

from napari_invisp.errors import SettingsError
from napari_invisp.jpeg.rounding import ROUNDINGS, FourierRounding
from napari_invisp.jpeg.simulator import JpegSimulator

SUBSAMPLINGS = ("4:4:4", "4:2:2", "4:2:0")
PHOTOGRAPHS = {
    "astronaut": data.astronaut()[60:191, 150:307],
    "chelsea": data.chelsea()[60:188, 100:243],
    "coffee": data.coffee()[100:244, 150:310],
    "rocket": data.rocket()[150:283, 200:346],
}


def through_pillow(rgb: NDArray[np.uint8], quality: int, subsampling: str) -> NDArray[np.uint8]:
    file = io.BytesIO()
    image = Image.fromarray(rgb)
    image.save(file, "JPEG", quality=quality, subsampling=SUBSAMPLINGS.index(subsampling))
    return np.asarray(Image.open(file))


def tensor(rgb: NDArray[np.uint8], dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.tensor(rgb).permute(2, 0, 1)[None].to(dtype) / 255


def pixels(rgb: torch.Tensor) -> NDArray[np.uint8]:
    return (255 * rgb[0]).round().to(torch.uint8).permute(1, 2, 0).numpy()


def psnr(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    error = np.mean((a.astype(float) - b.astype(float)) ** 2)
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))


@pytest.mark.parametrize("subsampling", SUBSAMPLINGS)
@pytest.mark.parametrize("quality", [50, 75, 90, 95, 100])
@pytest.mark.parametrize("photograph", PHOTOGRAPHS)
def test_hard_simulation_is_the_codec(photograph: str, quality: int, subsampling: str) -> None:
    rgb = PHOTOGRAPHS[photograph]
    expected = through_pillow(rgb, quality, subsampling)
    simulate = JpegSimulator("hard")
    exact = simulate(tensor(rgb, torch.float64), quality, subsampling)
    # Exact for libjpeg-turbo; other libjpegs may use another DCT.
    assert psnr(pixels(exact), expected) > 80
    assert psnr(pixels(simulate(tensor(rgb), quality, subsampling)), expected) > 80


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 40),
    st.integers(1, 40),
    st.integers(1, 100),
    st.sampled_from(SUBSAMPLINGS),
    st.sampled_from(["noise", "stripes", "faint"]),
)
def test_any_size_and_quality(
    height: int, width: int, quality: int, subsampling: str, kind: str
) -> None:
    noise = np.random.default_rng(height * 100 + width).integers(0, 256, (height, width, 3))
    rgb = {"noise": noise, "stripes": noise // 128 * 255, "faint": 120 + noise // 32}[kind]
    rgb = rgb.astype(np.uint8)
    result = JpegSimulator("hard")(tensor(rgb, torch.float64), quality, subsampling)
    assert psnr(pixels(result), through_pillow(rgb, quality, subsampling)) > 60


def test_straight_through_is_the_codec_forward_and_passes_gradients() -> None:
    rgb = tensor(PHOTOGRAPHS["coffee"][:41, :53]).requires_grad_()
    result = JpegSimulator("straight-through")(rgb, 80, "4:2:0")
    torch.testing.assert_close(result, JpegSimulator("hard")(rgb, 80, "4:2:0"), rtol=0, atol=0)
    # Light added everywhere comes out everywhere: the gradient of the sum is one a sample inside.
    result.sum().backward()
    assert rgb.grad is not None
    assert rgb.grad.sum() == pytest.approx(rgb.numel(), rel=0.02)


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("subsampling", SUBSAMPLINGS)
def test_gradients(rounding: str, subsampling: str) -> None:
    rgb = tensor(PHOTOGRAPHS["chelsea"][60:91, 30:77]).requires_grad_()
    result = JpegSimulator(rounding)(rgb, 90, subsampling)
    assert result.shape == rgb.shape
    assert ((result >= 0) & (result <= 1)).all()
    (result - 0.3).square().sum().backward()
    assert rgb.grad is not None
    assert torch.isfinite(rgb.grad).all()
    if rounding == "hard":
        assert (rgb.grad == 0).all()
    else:
        assert (rgb.grad != 0).double().mean() > 0.99


def test_training_through_it_can_undo_clipping() -> None:
    target = torch.full((1, 3, 16, 16), 0.5)
    start = torch.full((1, 3, 16, 16), 1.1).requires_grad_()
    optimizer = torch.optim.SGD([start], lr=target.numel() / 4)
    simulate = JpegSimulator("straight-through")
    losses = []
    for _ in range(10):
        optimizer.zero_grad()
        loss = (simulate(start, 90) - target).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(0.25)
    assert losses[-1] < 1e-4


@pytest.mark.parametrize(("rounding", "gain"), [("fourier", 10), ("dsq", 2)])
def test_soft_roundings_come_near_the_codec(rounding: str, gain: float) -> None:
    rgb = PHOTOGRAPHS["astronaut"][:96, :96]
    expected = through_pillow(rgb, 75, "4:2:2")
    simulated = pixels(JpegSimulator(rounding)(tensor(rgb), 75, "4:2:2"))
    assert psnr(simulated, expected) > psnr(rgb, expected) + gain


def test_a_rounding_of_ones_own() -> None:
    rgb = tensor(PHOTOGRAPHS["rocket"][:24, :24])
    ours, named = JpegSimulator(FourierRounding(10)), JpegSimulator("fourier")
    torch.testing.assert_close(ours(rgb, 90), named(rgb, 90))
    assert not torch.equal(JpegSimulator(FourierRounding(1))(rgb, 90), named(rgb, 90))


@pytest.mark.parametrize("subsampling", SUBSAMPLINGS)
def test_each_sample_has_its_own_quality(subsampling: str) -> None:
    batch = torch.cat([tensor(PHOTOGRAPHS[name][:40, :56]) for name in ("coffee", "chelsea")])
    simulate = JpegSimulator("hard")
    mixed = simulate(batch, torch.tensor([30, 95]), subsampling)
    torch.testing.assert_close(mixed[:1], simulate(batch[:1], 30, subsampling))
    torch.testing.assert_close(mixed[1:], simulate(batch[1:], 95, subsampling))


def test_half_precision_and_autocast_do_not_coarsen_it() -> None:
    rgb = tensor(PHOTOGRAPHS["coffee"][:32, :32])
    simulate = JpegSimulator("straight-through")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = simulate(rgb, 90)
    torch.testing.assert_close(inside, simulate(rgb, 90), rtol=0, atol=0)
    half = simulate(rgb.half(), 90)
    assert half.dtype == torch.float16
    torch.testing.assert_close(half.float(), simulate(rgb.half().float(), 90), rtol=0, atol=1e-3)


def test_it_adds_nothing_to_a_checkpoint() -> None:
    simulate = JpegSimulator("straight-through")
    assert not simulate.state_dict()
    assert not list(simulate.parameters())


@pytest.mark.parametrize(
    "quality", [0, 101, 90.0, torch.tensor([90, 101]), torch.tensor([90]), torch.tensor([0.5, 0.5])]
)
def test_impossible_quality_is_refused(quality) -> None:
    with pytest.raises(SettingsError, match="quality"):
        JpegSimulator()(torch.zeros(2, 3, 8, 8), quality)


def test_unknown_subsampling_and_rounding_are_refused() -> None:
    with pytest.raises(SettingsError, match="4:1:1"):
        JpegSimulator()(torch.zeros(1, 3, 8, 8), 90, "4:1:1")
    with pytest.raises(SettingsError, match="nearest"):
        JpegSimulator("nearest")  # type: ignore[arg-type]
