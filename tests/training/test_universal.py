"""What `universal` learns from: the way that the pipeline takes, and its price."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import runs
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from photographs import photograph
from torch import Tensor

from napari_invisp.conversion import scene_of
from napari_invisp.errors import SettingsError
from napari_invisp.flow.coded import Coded
from napari_invisp.flow.headroom import price
from napari_invisp.flow.parameters import PhysicsParameters
from napari_invisp.flow.physics import Physics
from napari_invisp.flow.scene import Scene
from napari_invisp.flow.universal import STYLE, Universal
from napari_invisp.jpeg.codec import decode_components, decode_jpeg, encode_jpeg
from napari_invisp.jpeg.exact import ExactDecoder
from napari_invisp.pipeline import Pipeline
from napari_invisp.sensor.cfa import mosaic_from_rgb, normalise
from napari_invisp.sensor.record import CFA_PATTERNS
from napari_invisp.settings import RenderSettings
from napari_invisp.training import universal as training
from napari_invisp.training.objectives import OBJECTIVES, make_objective
from napari_invisp.training.patch import ORIENTATIONS, Patch
from napari_invisp.training.universal import UniversalObjective, packed, unpacked

# The networks see 48 of 50 pixels, whether they begin at the first or at the second.
SIDE = 50
SUBSAMPLINGS = ("4:4:4", "4:2:2", "4:2:0")


def made(memory: runs.Memory, **changes: Any) -> UniversalObjective:
    torch.manual_seed(0)
    chosen = {"model": "universal", "patch": SIDE, "rounding": "straight-through"} | changes
    return UniversalObjective(runs.settings(**chosen), memory)


@pytest.fixture(scope="module")
def memory() -> runs.Memory:
    """Pictures in which a good part of the light is beyond what the sensor can hold."""
    records = []
    for pattern in ("RGGB", "GBRG", "BGGR"):
        record = photograph(72, 80, pattern)
        brighter = np.rint((record.mosaic - 60.0).clip(0) * 2.5 + 60).clip(0, 4095)
        records.append(record.replace(mosaic=brighter.astype(np.uint16)))
    return runs.Memory(records)


@pytest.fixture(scope="module")
def fresh(memory: runs.Memory) -> UniversalObjective:
    return made(memory)


@pytest.fixture
def learned(fresh: UniversalObjective, memory: runs.Memory) -> UniversalObjective:
    """The same with weights that do something, and with the chains that are already fitted."""
    objective = made(memory)
    objective._chains = fresh._chains
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in objective.model.parameters():
            noise = torch.rand(parameter.shape, generator=generator) * 2 - 1
            parameter.copy_(0.5 * noise / max(1, parameter[0].numel()) ** 0.5)
    return objective


def patch_of(memory: runs.Memory, seed: int = 0) -> Patch:
    return memory.draw(np.random.default_rng(seed), SIDE, UniversalObjective.margin)


def batch_of(
    objective: UniversalObjective, memory: runs.Memory, count: int = 4
) -> dict[str, Tensor]:
    examples = [
        objective.example(
            patch_of(memory, seed).turned(seed % ORIENTATIONS), np.random.default_rng(seed)
        )
        for seed in range(count)
    ]
    return {name: torch.stack([each[name] for each in examples]) for name in examples[0]}


def flat(memory: runs.Memory, level: int) -> Patch:
    patch = patch_of(memory)
    mosaic = np.full_like(patch.record.mosaic, level)
    return Patch(patch.record.replace(mosaic=mosaic), patch.reference, patch.picture, patch.margin)


def as_batch(example: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value[None] for name, value in example.items()}


# -- examples ------------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(ORIENTATIONS))
def test_the_red_site_is_right_however_a_patch_is_turned(
    fresh: UniversalObjective, memory: runs.Memory, orientation: int
) -> None:
    for seed in (0, 1, 2):
        patch = patch_of(memory, seed).turned(orientation)
        example = fresh.example(patch, np.random.default_rng(0))
        row, column = example["red"].tolist()
        assert patch.record.pattern[2 * row + column] == "R"
        # LibRaw's interpolation keeps samples, so sites tell which of them were measured.
        inner = slice(patch.margin, -patch.margin)
        samples = normalise(patch.record)[inner, inner].astype(float)
        balance = patch.record.balance
        raw = example["raw"].numpy() ** 2.2
        for channel, (down, right) in ((0, (0, 0)), (1, (0, 1)), (1, (1, 0)), (2, (1, 1))):
            sites = slice((row + down) % 2, None, 2), slice((column + right) % 2, None, 2)
            expected = (samples[sites] * balance[channel]).clip(1e-4, 1)
            np.testing.assert_allclose(raw[channel][sites], expected, rtol=2e-5)


def test_an_example_is_what_its_chain_makes_of_the_patch(
    fresh: UniversalObjective, memory: runs.Memory
) -> None:
    example = fresh.example(patch_of(memory), np.random.default_rng(0))
    assert example["compressed"].shape == example["raw"].shape == (3, SIDE, SIDE)
    physics = Physics(unpacked(example["chain"].numpy()))
    linear = physics.expanded(example["compressed"][None], exact=True)[0]
    torch.testing.assert_close(
        linear.clamp(1e-4, 1) ** (1 / 2.2), example["raw"], rtol=0, atol=2e-4
    )


def test_examples_are_drawn_by_the_rng_alone(
    fresh: UniversalObjective, memory: runs.Memory
) -> None:
    one, again, other = (
        [
            fresh.example(patch_of(memory), np.random.default_rng((seed, k)))["quality"].item()
            for k in range(20)
        ]
        for seed in (0, 0, 1)
    )
    assert one == again != other
    assert set(one) <= set(range(60, 99))


def test_chains_are_those_of_the_whole_picture(
    fresh: UniversalObjective, memory: runs.Memory
) -> None:
    chains = {
        fresh.example(patch_of(memory), np.random.default_rng(seed))["chain"].numpy().tobytes()
        for seed in range(12)
    }
    assert len(chains) == 2  # at the usual headroom, and at another
    for name in ("picture 0", "picture 1"):
        scene = scene_of(memory.picture(name).record)
        headroom, chain = fresh._chains.of(name, 0)
        assert headroom == 0.5
        assert chain.neutral == 1
        assert chain.scene == scene


def test_chains_are_fitted_as_the_pipeline_fits_them(
    fresh: UniversalObjective, memory: runs.Memory
) -> None:
    """The pipeline's sample is of 16 bits, so not every number needs to come out the same."""
    pipeline = Pipeline(RenderSettings(device="cpu", model="fresh", headroom=0.5))
    pipeline._loaded["fresh"] = Universal()
    memo = pipeline.render(memory.picture("picture 0").record).model.memo()["chain"]
    chain = fresh._chains.of("picture 0", 0)[1]
    assert memo["knees"] == pytest.approx(chain.knees, abs=0.06)
    assert memo["departure"] == pytest.approx(chain.departure, rel=0.2)
    assert (memo["scene"], memo["neutral"]) == (chain.to_dict()["scene"], chain.neutral)


def test_the_same_seed_draws_the_same_headrooms(
    fresh: UniversalObjective, memory: runs.Memory
) -> None:
    assert made(memory)._chains.of("picture 0", 1) == fresh._chains.of("picture 0", 1)
    other, _ = made(memory, seed=1)._chains.of("picture 0", 1)
    assert other != fresh._chains.of("picture 0", 1)[0]


class Broken:
    """A source whose pictures cannot be had any more."""

    def picture(self, name: str) -> Any:
        raise AssertionError(f"{name} was asked for")


def test_chains_are_kept_with_the_run(
    memory: runs.Memory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "_KEPT_EVERY", 1)
    objective = made(memory)
    objective.keep_in(tmp_path)
    chains = [objective._chains.of(f"picture {n}", k) for n in (0, 1) for k in (0, 1)]

    source: Any = Broken()
    again = made(source)
    again.keep_in(tmp_path)
    assert [again._chains.of(f"picture {n}", k) for n in (0, 1) for k in (0, 1)] == chains

    with pytest.raises(AssertionError, match="picture 0 was asked for"):
        made(source)._chains.of("picture 0", 0)
    other = made(source, seed=1)
    other.keep_in(tmp_path)
    with pytest.raises(AssertionError, match="picture 0 was asked for"):
        other._chains.of("picture 0", 0)


triples = st.tuples(*[st.floats(0.01, 9)] * 3)
pairs = st.tuples(*[st.floats(0.01, 9)] * 2)


@settings(max_examples=50)
@given(
    st.builds(
        PhysicsParameters,
        scene=st.builds(
            Scene,
            white_balance=triples,
            camera_to_srgb=st.tuples(triples, triples, triples),
            saturation=triples,
        ),
        knees=triples,
        shapes=triples,
        neutral=st.floats(0, 1),
        low=pairs,
        high=pairs,
        scale=st.floats(0.5, 1),
        snap=st.floats(0, 1),
        trust=triples,
        departure=st.floats(0, 1),
    )
)
def test_chains_survive_as_tensors(chain: PhysicsParameters) -> None:
    row = packed(chain)
    assert row.shape == packed(Physics().chain).shape
    assert unpacked(row) == chain


# -- the way there and back ----------------------------------------------------------------------


def plain_error(example: dict[str, Tensor], model: Physics | Universal, pattern: str) -> float:
    """Go by LibRaw's demosaicing, a model, and a real JPEG file; measure the mosaic."""
    number, quality = int(example["subsampling"]), int(example["quality"])
    chain = physics_of(example)
    with torch.no_grad():
        linear = chain.expanded(example["compressed"][None], exact=True)
        rendered = model(linear)[0].permute(1, 2, 0).numpy()
        codes = np.rint(rendered * 255).clip(0, 255).astype(np.uint8)
        file = encode_jpeg(codes, quality, SUBSAMPLINGS[number])
        recovered = model.recover(decoded(file), Coded(quality, SUBSAMPLINGS[number]))
    channels = np.array(["RGB".index(c) for c in pattern]).reshape(2, 2)
    planes: list[NDArray[Any]] = [
        mosaic_from_rgb(each.permute(1, 2, 0).double().numpy(), channels)
        for each in (recovered[0].clamp(1e-4, 1) ** (1 / 2.2), example["raw"])
    ]
    row, column = (int(n) for n in np.argwhere(channels == 0)[0])
    inner = slice(row + 16, row + 48 - 16), slice(column + 16, column + 48 - 16)
    return float(np.mean((planes[0][inner] - planes[1][inner]) ** 2))


def decoded(file: bytes) -> torch.Tensor:
    """Decode a real file as the pipeline does."""
    components = decode_components(file)
    assert components is not None
    height, width = components.shape[:2]
    exact = ExactDecoder(components, decode_jpeg(file))
    return exact.window(slice(0, height), slice(0, width), torch.device("cpu")) / 255


def plain_rendering(example: dict[str, Tensor]) -> NDArray[np.float32]:
    """Render by the chain alone."""
    rgb: NDArray[np.float32] = physics_of(example).stored(example["compressed"][None])[0].numpy()
    return rgb


def physics_of(example: dict[str, Tensor]) -> Physics:
    return Physics(unpacked(example["chain"].numpy()))


def test_fresh_networks_report_what_physics_alone_comes_to(
    fresh: UniversalObjective, memory: runs.Memory
) -> None:
    errors, examples = [], []
    for seed in range(6):
        patch = patch_of(memory, seed).turned(seed)
        examples.append(fresh.example(patch, np.random.default_rng(seed)))
        errors.append(plain_error(examples[-1], physics_of(examples[-1]), patch.record.pattern))
    batch = {name: torch.stack([each[name] for each in examples]) for name in examples[0]}
    with torch.no_grad():
        reported = fresh(batch)
    expected = np.mean(-10 * np.log10(np.array(errors) + 1e-7))
    assert 25 < expected < 60
    assert float(reported["raw"]) == pytest.approx(expected, abs=0.1)
    distances = [
        np.square(plain_rendering(each).clip(0, 1) - each["rgb"].numpy()).mean()
        for each in examples
    ]
    expected = np.mean(-10 * np.log10(np.array(distances) + 1e-7))
    assert float(reported["rgb"]) == pytest.approx(expected, abs=0.02)
    assert float(reported["away"]) == pytest.approx(0, abs=1e-3)
    assert float(reported["bytes"]) == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("seed", range(6))
def test_training_goes_the_way_that_the_pipeline_goes(
    learned: UniversalObjective, memory: runs.Memory, seed: int
) -> None:
    patch = patch_of(memory, seed).turned(seed)
    example = learned.example(patch, np.random.default_rng(seed))
    memo = physics_of(example).memo()
    memo["scene"]["pattern"] = patch.record.pattern
    model = learned.model.remembering({"chain": memo, "confidence": [1.0] * 6})
    expected = -10 * math.log10(plain_error(example, model, patch.record.pattern) + 1e-7)
    with torch.no_grad():
        reported = learned(as_batch(example))
        linear = physics_of(example).expanded(example["compressed"][None], exact=True)
        rendered = model(linear)[0].numpy()
    assert float(reported["raw"]) == pytest.approx(expected, abs=0.1)
    target = example["rgb"].numpy()
    distance, usual = (
        float(np.square(rgb.clip(0, 1) - target).mean())
        for rgb in (rendered, plain_rendering(example))
    )
    assert distance > usual + 1e-4
    assert float(reported["rgb"]) == pytest.approx(-10 * math.log10(distance + 1e-7), abs=0.05)
    meant = physics_of(example).chain.departure
    before = (distance - usual) / (1e-5 + meant)
    after = further_in_jpeg(example, rendered) / (2e-5 + meant)
    assert float(reported["away"]) == pytest.approx((before + after) / 2, rel=0.05)


def further_in_jpeg(example: dict[str, Tensor], rendered: NDArray[np.float32]) -> float:
    """By how much the JPEG of a rendering is further from the reference's than that of physics."""
    quality = int(example["quality"])
    subsampling = SUBSAMPLINGS[int(example["subsampling"])]
    pictures = [
        decoded(encode_jpeg(codes_of(rgb), quality, subsampling))
        for rgb in (rendered, plain_rendering(example), example["rgb"].numpy())
    ]
    distance, usual = (float((each - pictures[2]).square().mean()) for each in pictures[:2])
    return max(0.0, distance - usual)


def codes_of(rgb: NDArray[np.float32]) -> NDArray[np.uint8]:
    codes = np.floor(rgb.clip(0, 1) * 255 + 0.5).astype(np.uint8)
    return np.ascontiguousarray(codes.transpose(1, 2, 0))


def test_every_kind_of_camera_is_among_the_patches(memory: runs.Memory) -> None:
    seen = {patch_of(memory, seed).turned(seed % 8).record.pattern for seed in range(16)}
    assert seen == set(CFA_PATTERNS)


# -- the price -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lam", "picture", "growth"), [(1, 0, 0), (0, 0, 0), (0, 1, 0), (0, 0, 1), (2, 0.3, 0.7)]
)
def test_the_loss_adds_what_it_says(
    learned: UniversalObjective, memory: runs.Memory, lam: float, picture: float, growth: float
) -> None:
    objective = made(memory, lam=lam, picture_price=picture, bytes_price=growth)
    objective.load_state_dict(learned.state_dict())
    for seed in range(4):
        batch = as_batch(learned.example(patch_of(memory, seed), np.random.default_rng(seed)))
        with torch.no_grad():
            found = {name: float(value) for name, value in objective(batch).items()}
        error, distance = (10 ** (-found[name] / 10) - 1e-7 for name in ("raw", "rgb"))
        expected = math.log(lam * error + float(batch["price"]) * distance + 1e-7)
        expected += picture * found["away"] + growth * found["bytes"]
        assert found["loss"] == pytest.approx(expected, rel=1e-3, abs=1e-3)


def test_the_price_of_the_picture_is_that_of_the_headroom(
    fresh: UniversalObjective, memory: runs.Memory
) -> None:
    prices = {}
    for seed in range(12):
        example = fresh.example(patch_of(memory), np.random.default_rng(seed))
        prices[example["chain"].numpy().tobytes()] = float(example["price"])
    usual, other = (fresh._chains.of(patch_of(memory).picture, number) for number in (0, 1))
    for headroom, chain in (usual, other):
        # By how much the price of the whole picture grows with its distance.
        step = 1e-9
        least, most = (STYLE.price_of(chain.departure + each) for each in (-step, step))
        slope = (most - least) / (2 * step)
        expected = min(price(headroom) * slope, 1)
        assert prices[packed(chain).tobytes()] == pytest.approx(expected, rel=1e-3)


def test_bytes_are_those_that_the_picture_gained(
    learned: UniversalObjective, memory: runs.Memory
) -> None:
    with torch.no_grad():
        learned.model.flow.finish.everywhere.last.bias += 1
        grown = float(learned(batch_of(learned, memory))["bytes"])
        learned.model.flow.finish.everywhere.last.bias -= 2
        shrunk = float(learned(batch_of(learned, memory))["bytes"])
    assert grown > 0.1
    assert shrunk < grown - 0.2


def test_the_loss_falls(memory: runs.Memory, fresh: UniversalObjective) -> None:
    objective = made(memory)
    objective._chains = fresh._chains
    batch = batch_of(objective, memory)
    optimizer = torch.optim.Adam(objective.parameters(), lr=1e-4)
    losses = []
    for _ in range(20):
        values = objective(batch)
        optimizer.zero_grad()
        values["loss"].backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(float(values["loss"].detach()))
    assert max(losses[-5:]) < losses[0] - 0.05


def test_gradients_reach_flow_and_restoration(
    learned: UniversalObjective, memory: runs.Memory
) -> None:
    learned(batch_of(learned, memory))["loss"].backward()
    for name, parameter in learned.model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 0, name


def test_fresh_networks_begin_to_learn(fresh: UniversalObjective, memory: runs.Memory) -> None:
    fresh.zero_grad()
    fresh(batch_of(fresh, memory))["loss"].backward()
    moved = {
        name.split(".")[0]
        for name, parameter in fresh.model.named_parameters()
        if parameter.grad is not None and parameter.grad.abs().max() > 0
    }
    fresh.zero_grad()
    assert moved == {"flow", "restoration"}


@pytest.mark.parametrize("level", [0, 64, 4095, 65535])
def test_black_and_saturated_patches_have_a_finite_price(
    learned: UniversalObjective, memory: runs.Memory, level: int
) -> None:
    example = learned.example(flat(memory, level), np.random.default_rng(3))
    values = learned(as_batch(example))
    assert all(value.isfinite() for value in values.values())
    values["loss"].backward()
    gradients = [p.grad for p in learned.parameters()]
    assert all(g is not None and g.isfinite().all() for g in gradients)


def test_jpeg_can_be_left_out(memory: runs.Memory, fresh: UniversalObjective) -> None:
    objective = made(memory, jpeg="none")
    batch = batch_of(fresh, memory)
    with torch.no_grad():
        assert float(objective(batch)["raw"]) > float(fresh(batch)["raw"]) + 3


@pytest.mark.parametrize("patch", [16, 36])
def test_patches_that_are_all_edge_are_refused(memory: runs.Memory, patch: int) -> None:
    with pytest.raises(SettingsError, match=f"patch {patch} is too small .* 38 pixels"):
        made(memory, patch=patch)


def test_the_smallest_patches_are_enough(memory: runs.Memory, fresh: UniversalObjective) -> None:
    objective = made(memory, patch=38)
    objective._chains = fresh._chains
    patch = memory.draw(np.random.default_rng(1), 38, objective.margin)
    with torch.no_grad():
        values = objective(as_batch(objective.example(patch, np.random.default_rng(0))))
    assert values["loss"].isfinite()


def test_it_is_what_a_run_of_universal_learns(memory: runs.Memory) -> None:
    objective = make_objective(runs.settings(model="universal", patch=SIDE), memory)
    assert isinstance(objective, UniversalObjective)
    assert set(objective.state_dict()) == {f"model.{name}" for name in Universal().state_dict()}
    assert "universal" in OBJECTIVES
