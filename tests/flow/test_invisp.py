"""The paper's network: the authors' weights fit it, give their numbers, and can be inverted."""

from __future__ import annotations

import re
from collections.abc import Callable
from math import prod
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from napari_invisp.flow.invisp import Invisp
from napari_invisp.flow.profiles import PROFILES

DATA = Path(__file__).parents[1] / "data"


def _listed() -> dict[str, tuple[int, ...]]:
    """Names and shapes of the authors' ``state_dict``, in order."""
    lines = (DATA / "state_dict_keys.txt").read_text().splitlines()
    return {
        name: tuple(int(n) for n in re.findall(r"\d+", shape))
        for name, shape in (line.split(" ", 1) for line in lines)
    }


def _prescribed() -> dict[str, Tensor]:
    """The weights for which the authors' implementation was run: sines of their index."""
    state = {}
    for i, (name, shape) in enumerate(_listed().items()):
        j = np.arange(prod(shape))
        block = int(name.split(".")[1])
        wave = np.sin(0.37 * j + 1.1 * i)
        match name.rpartition(".")[2]:
            case "weight":
                values = 0.6 * wave / np.sqrt(prod(shape[1:]))
            case "bias":
                values = 0.02 * wave
            case "lower" | "upper":
                values = 0.2 * wave
            case "log_s":
                values = 0.1 * wave
            case "sign_s":
                values = np.where((j + block) % 3 == 0, -1.0, 1.0)
            case "p":
                values = np.roll(np.eye(3), block, axis=0)
        state[name] = torch.tensor(values.reshape(shape), dtype=torch.float32)
    return state


@pytest.fixture(scope="module")
def prescribed() -> Invisp:
    model = Invisp()
    model.load_state_dict(_prescribed(), strict=True)
    return model.eval()


def test_weights_have_the_authors_names_shapes_and_order() -> None:
    model = Invisp()
    found = [(name, tuple(tensor.shape)) for name, tensor in model.state_dict().items()]
    assert found == list(_listed().items())
    assert len(found) == 280
    assert sum(p.numel() for p in model.parameters()) == 1_413_760
    assert (model.name, model.halo, model.profile) == ("invisp", 80, PROFILES["paper"])


@pytest.mark.parametrize("gradients", [False, True], ids=["inference", "training"])
@pytest.mark.parametrize("direction", ["forward", "inverse"])
def test_gives_the_authors_numbers(prescribed: Invisp, direction: str, gradients: bool) -> None:
    expected = np.load(DATA / "invisp_expected.npz")
    with torch.set_grad_enabled(gradients):
        result = getattr(prescribed, direction)(torch.from_numpy(expected["x"]))
    np.testing.assert_allclose(result.detach().numpy(), expected[direction], rtol=0, atol=1e-5)


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 3), st.integers(1, 40), st.integers(1, 40))
def test_round_trip_in_float32(
    randomise: Callable[[nn.Module, int], None], seed: int, n: int, height: int, width: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    model = Invisp(generator=generator)
    randomise(model, seed)
    x = torch.rand(n, 3, height, width, generator=generator)
    with torch.no_grad():
        y = model(x)
        assert (y - x).abs().max() > 0.01
        assert (model.inverse(y) - x).abs().max() <= 1e-4
        assert (model(model.inverse(x)) - x).abs().max() <= 1e-4


def test_round_trip_in_float64(invisp: Invisp) -> None:
    x = torch.rand(2, 3, 17, 30, dtype=torch.float64)
    with torch.no_grad():
        assert (invisp.double().inverse(invisp(x)) - x).abs().max() <= 1e-9


@pytest.mark.parametrize("direction", ["forward", "inverse"])
def test_inference_equals_training(invisp: Invisp, direction: str) -> None:
    x = torch.rand(2, 3, 50, 64)
    with torch.no_grad():
        fast = getattr(invisp, direction)(x)
    assert (fast - getattr(invisp, direction)(x).detach()).abs().max() <= 1e-5


@pytest.mark.parametrize("direction", ["forward", "inverse"])
def test_nothing_beyond_the_halo_matters(invisp: Invisp, direction: str) -> None:
    x = torch.rand(1, 3, 6, 200, dtype=torch.float64)
    run = getattr(invisp.double(), direction)
    with torch.no_grad():
        whole = run(x)
        tile = run(x[..., : 60 + invisp.halo])
    assert torch.allclose(tile[..., :60], whole[..., :60], rtol=0, atol=1e-12)
    assert not torch.allclose(tile, whole[..., : 60 + invisp.halo], rtol=0, atol=1e-4)


def test_pictures_of_a_batch_do_not_mix(invisp: Invisp) -> None:
    x = torch.rand(3, 3, 12, 10)
    with torch.no_grad():
        together, alone = invisp(x), torch.cat([invisp(picture[None]) for picture in x])
    assert torch.allclose(together, alone, atol=1e-5)


def test_a_fresh_network_only_rotates_colours() -> None:
    x = torch.rand(1, 3, 8, 8)
    with torch.no_grad():
        y = Invisp(generator=torch.Generator().manual_seed(0))(x)
    assert not torch.allclose(x, y, atol=0.1)
    assert torch.allclose(x.norm(dim=1), y.norm(dim=1), atol=1e-5)


def test_the_generator_alone_decides_the_start() -> None:
    first, again, other = (Invisp(generator=torch.Generator().manual_seed(s)) for s in (0, 0, 1))
    assert all(map(torch.equal, first.state_dict().values(), again.state_dict().values()))
    assert not torch.equal(first.operations[0].F.conv1.weight, other.operations[0].F.conv1.weight)


def test_learns_in_both_directions() -> None:
    generator = torch.Generator().manual_seed(0)
    model = Invisp(generator=generator)
    raw = torch.rand(1, 3, 8, 8, generator=generator)
    rgb = raw.flip(1) ** 0.5
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-4)
    losses = []
    for _ in range(12):
        rendered = (model(raw) - rgb).abs().mean()
        recovered = (model.inverse(rgb) - raw).abs().mean()
        optimiser.zero_grad()
        (rendered + recovered).backward()
        optimiser.step()
        losses.append((rendered.item(), recovered.item()))
    assert losses[-1][0] < 0.7 * losses[0][0]
    assert losses[-1][1] < 0.7 * losses[0][1]
