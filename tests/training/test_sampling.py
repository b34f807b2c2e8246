"""What a step sees follows from the seed and its number, and from nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import runs
import torch
from numpy.typing import NDArray
from photographs import photograph
from torch import Tensor

from napari_invisp.errors import InvispError
from napari_invisp.flow.invisp import Invisp
from napari_invisp.flow.profiles import PROFILES
from napari_invisp.jpeg.codec import decode_components, decode_jpeg, encode_jpeg
from napari_invisp.jpeg.exact import ExactDecoder
from napari_invisp.metrics import raw_psnr
from napari_invisp.pipeline import Pipeline
from napari_invisp.sensor.cfa import demosaic_bilinear
from napari_invisp.settings import RenderSettings
from napari_invisp.training.average import Average
from napari_invisp.training.bidirectional import Bidirectional, invisp, network_input
from napari_invisp.training.channel import JpegChannel
from napari_invisp.training.patch import ORIENTATIONS, Patch
from napari_invisp.training.sampling import Batches, Mixture, load, seed_torch
from napari_invisp.training.schedule import average_decay, learning_rate


def batches(memory: runs.Memory, **changes: Any) -> Batches:
    objective = Bidirectional(runs.Tiny(), runs.settings())
    return Batches(memory, objective, **({"seed": 0, "batch": 2, "side": 24} | changes))


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def test_processes_share_what_one_would_see(memory: runs.Memory) -> None:
    whole, _ = batches(memory, batch=6)[17]
    parts = [batches(memory, rank=rank, size=3)[17][0] for rank in range(3)]
    assert equal(whole, {name: torch.cat([part[name] for part in parts]) for name in whole})


def test_steps_and_seeds_see_other_patches(memory: runs.Memory) -> None:
    seen = [batches(memory, seed=seed)[step][0] for seed, step in ((0, 1), (0, 2), (1, 1))]
    assert not any(torch.equal(seen[a]["raw"], seen[b]["raw"]) for a, b in ((0, 1), (0, 2), (1, 2)))


def test_workers_change_nothing_and_tell_their_time(memory: runs.Memory) -> None:
    alone = list(load(batches(memory), range(5, 9), 0))
    helped = list(load(batches(memory), range(5, 9), 2))
    assert len(alone) == len(helped) == 4
    assert all(equal(a, b) for (a, _), (b, _) in zip(alone, helped, strict=True))
    assert all(seconds == 0 for _, seconds in alone)
    assert all(seconds > 0 for _, seconds in helped)


def test_every_orientation_is_learned_from(memory: runs.Memory) -> None:
    turns: list[bytes] = []

    class Fixed:
        """Always draws the same patch."""

        held_out = memory.held_out

        def draw(self, rng: np.random.Generator, side: int, margin: int = 0) -> Patch:
            return memory.draw(np.random.default_rng(0), side, margin)

    many = Batches(Fixed(), Bidirectional(runs.Tiny(), runs.settings()), seed=0, batch=60, side=24)
    turns = [each.numpy().tobytes() for each in many[1][0]["rgb"]]
    patch = Fixed().draw(np.random.default_rng(0), 24, 2)
    expected = {
        (patch.turned(o).reference[2:-2, 2:-2].transpose(2, 0, 1) / np.float32(255)).tobytes()
        for o in range(ORIENTATIONS)
    }
    assert len(expected) == 8
    assert set(turns) == expected


def test_a_mixture_draws_by_share(memory: runs.Memory) -> None:
    patch = memory.draw(np.random.default_rng(0), 8)

    class Named:
        def __init__(self, name: str, held_out: int) -> None:
            self.name, self.count = name, held_out

        def draw(self, rng: np.random.Generator, side: int, margin: int = 0) -> Patch:
            return replace(patch, picture=self.name)

        def held_out(self) -> Any:
            return [f"{self.name}{number}" for number in range(self.count)]

    sources: list[Any] = [Named("a", 3), Named("b", 1)]
    rng = np.random.default_rng(0)
    equally = [Mixture(sources).draw(rng, 8).picture for _ in range(400)]
    assert 150 < equally.count("0/a") < 250
    mostly = [Mixture(sources, (3, 1)).draw(rng, 8).picture for _ in range(400)]
    assert 260 < mostly.count("0/a") < 340
    assert set(equally + mostly) == {"0/a", "1/b"}
    assert list(Mixture(sources).held_out()) == ["a0", "b0", "a1", "a2"]


def test_a_mixture_finds_pictures_by_the_names_of_their_patches(memory: runs.Memory) -> None:
    others = runs.Memory([photograph(72, 80, pattern) for pattern in ("GRBG", "RGGB")])
    mixture = Mixture([others, Mixture([others, memory])])
    rng = np.random.default_rng(0)
    patterns = {}
    for _ in range(40):
        patch = mixture.draw(rng, 24, 2)
        picture = mixture.picture(patch.picture)
        assert picture.name == patch.picture
        windows = np.lib.stride_tricks.sliding_window_view(picture.record.mosaic, (28, 28))
        assert (windows[::2, ::2] == patch.record.mosaic).all((2, 3)).any()
        patterns[picture.name] = picture.record.pattern
    assert patterns == {
        "0/picture 0": "GRBG",
        "1/0/picture 0": "GRBG",
        "1/1/picture 0": "RGGB",
        "1/1/picture 1": "GBRG",
    }


def test_chance_inside_a_step_belongs_to_the_step() -> None:
    def drawn(*key: int) -> list[float]:
        seed_torch(*key)
        values: list[float] = torch.rand(4).tolist()
        return values

    assert drawn(0, 5, 0) == drawn(0, 5, 0)
    keys = [(0, 5, 0), (0, 6, 0), (0, 5, 1), (1, 5, 0)]
    assert len({tuple(drawn(*key)) for key in keys}) == 4


# -- schedule ------------------------------------------------------------------------------------


def test_cosine_rises_then_falls_to_a_hundredth() -> None:
    settings = runs.settings(steps=1000, warmup=100, learning_rate=0.2)
    rates = [learning_rate(settings, step) for step in range(1, 1001)]
    assert np.all(np.diff(rates[:100]) > 0)
    assert np.all(np.diff(rates[99:]) < 0)
    assert (rates[0], rates[99]) == pytest.approx((0.002, 0.2))
    assert rates[-1] == pytest.approx(0.002)
    assert rates[99 + 450] == pytest.approx(0.2 * 0.505)


def test_halved_is_constant_but_for_two_steps() -> None:
    settings = runs.settings(schedule="halved", steps=300, warmup=0, learning_rate=1e-4)
    rates = [learning_rate(settings, epoch) for epoch in range(1, 301)]
    assert rates == pytest.approx([1e-4] * 50 + [5e-5] * 30 + [2.5e-5] * 220)


def test_the_average_forgets_fresh_weights_soon() -> None:
    settings = runs.settings(average=0.999)
    assert average_decay(settings, 1) < 0.1
    assert average_decay(settings, 100_000) == 0.999
    model = runs.Tiny()
    average = Average(model)
    with torch.no_grad():
        model.shift.bias.fill_(1)
        average.model.shift.bias.fill_(0)
    average.update(0.75)
    assert average.model.shift.bias.tolist() == [0.25, 0.25]
    assert model.shift.bias.tolist() == [1, 1]


# -- the JPEG in between -------------------------------------------------------------------------


def picture(memory: runs.Memory) -> NDArray[np.uint8]:
    return np.ascontiguousarray(memory.held_out()[0].reference[:48, :48])


def exactly(data: bytes) -> Tensor:
    """Decode a file as recovering does: ``(3, 48, 48)``, 0 … 255, without rounding."""
    components = decode_components(data)
    assert components is not None
    decoder = ExactDecoder(components, decode_jpeg(data))
    return decoder.window(slice(0, 48), slice(0, 48), torch.device("cpu"))[0]


def test_every_example_goes_through_its_own_kind_of_jpeg(memory: runs.Memory) -> None:
    channel = JpegChannel(runs.settings(rounding="straight-through"))
    rgb = torch.from_numpy(picture(memory)).permute(2, 0, 1) / 255
    batch = rgb.repeat(4, 1, 1, 1).requires_grad_()
    kinds = {"quality": torch.tensor([60, 98, 75, 60]), "subsampling": torch.tensor([2, 0, 1, 0])}
    decoded = channel(batch, kinds)
    for each, quality, number in zip(decoded, *(k.tolist() for k in kinds.values()), strict=True):
        name = ("4:4:4", "4:2:2", "4:2:0")[number]
        off = (each.detach() * 255 - exactly(encode_jpeg(picture(memory), quality, name))).abs()
        # At 98 some steps are so fine that a decoder's rounding hides which multiple it was.
        assert off.mean() < (0.2 if quality == 98 else 0.02)
        assert off.max() < (2 if quality == 98 else 1)
    decoded.sum().backward()  # type: ignore[no-untyped-call]
    assert batch.grad is not None
    assert all((gradient != 0).any() for gradient in batch.grad)


def test_kinds_of_jpeg_are_drawn_from_all_that_are_asked_for() -> None:
    channel = JpegChannel(runs.settings())
    rng = np.random.default_rng(0)
    drawn = [channel.draw(rng) for _ in range(500)]
    assert {int(each["quality"]) for each in drawn} == set(range(60, 99))
    assert {int(each["subsampling"]) for each in drawn} == {0, 1, 2}


def test_without_jpeg_only_clipping_is_left() -> None:
    channel = JpegChannel(runs.settings(jpeg="none"))
    values = torch.tensor([-0.5, 0.123, 1.5]).reshape(1, 3, 1, 1)
    assert channel(values, {}).flatten().tolist() == pytest.approx([0, 0.123, 1])


# -- the paper's network -------------------------------------------------------------------------


def test_input_is_what_the_pipeline_makes_of_the_whole_frame(memory: runs.Memory) -> None:
    record = memory.held_out()[0].record
    profile = PROFILES["paper"]
    window = slice(8, 40), slice(12, 44)
    patch = Patch(
        record.replace(mosaic=record.mosaic[window]), np.zeros((32, 32, 3), np.uint8), "", 2
    )
    black = record.black[np.mgrid[:72, :80][0] % 2, np.mgrid[:72, :80][1] % 2]
    balanced = demosaic_bilinear((record.mosaic - black) / (record.white - black), record.channels)
    expected = np.maximum(balanced * record.balance, 0) ** (1 / 2.2)
    ours = network_input(patch, profile).permute(1, 2, 0).numpy()
    np.testing.assert_allclose(ours, expected[10:38, 14:42], atol=1e-5)


def test_the_unbalanced_variant_sees_the_sensor_as_it_is(memory: runs.Memory) -> None:
    patch = memory.draw(np.random.default_rng(0), 24, 2)
    balanced, plain = (
        network_input(patch, PROFILES[name]) ** 2.2 for name in ("paper", "paper-unbalanced")
    )
    gains = torch.from_numpy(patch.record.balance).float()[:, None, None]
    torch.testing.assert_close(balanced, plain * gains, rtol=1e-4, atol=1e-5)
    objective = invisp(runs.settings(white_balance=False), memory)
    assert objective.model.profile == PROFILES["paper-unbalanced"]


def test_the_pipeline_undoes_the_unbalanced_variant(memory: runs.Memory) -> None:
    record = memory.held_out()[0].record
    pipeline = Pipeline(RenderSettings(device="cpu", model="unbalanced"))

    class Identity(runs.Tiny):
        def forward(self, x: Tensor) -> Tensor:
            return x

        def inverse(self, y: Tensor) -> Tensor:
            return y

    pipeline._loaded["unbalanced"] = Identity(PROFILES["paper-unbalanced"])
    rendering = pipeline.render(record)
    plain = record.replace(white_balance=[1, 1, 1])
    recovered = pipeline.recover(pipeline.encode(rendering, 100, "4:4:4"), model="unbalanced")
    assert raw_psnr(plain, recovered.record.replace(white_balance=[1, 1, 1])) > 40
    np.testing.assert_array_equal(recovered.record.white_balance, record.white_balance)


def test_an_analytic_start_renders_before_it_has_learned(memory: runs.Memory) -> None:
    rng = np.random.default_rng(1)
    errors = []
    for analytic in (False, True):
        torch.manual_seed(0)
        objective = invisp(runs.settings(analytic=analytic), memory)
        examples = [objective.example(memory.draw(rng, 24, 2), rng) for _ in range(4)]
        batch = {name: torch.stack([each[name] for each in examples]) for name in examples[0]}
        with torch.no_grad():
            rendered = objective.model(batch["raw"])
        errors.append(float((rendered - batch["rgb"]).abs().mean()))
        back = objective.model.inverse(rendered)
        torch.testing.assert_close(back, batch["raw"], rtol=0, atol=1e-4)
    assert errors[1] < 0.06 < 0.2 < errors[0]


def test_colourless_pictures_fit_no_matrix(memory: runs.Memory) -> None:
    grey = runs.Memory(
        [each.record.replace(mosaic=np.full((72, 80), 60, np.uint16)) for each in memory._pictures]
    )
    with pytest.raises(InvispError, match="too little colour for an analytic start"):
        invisp(runs.settings(analytic=True), grey)


def test_lambda_weighs_the_raw(memory: runs.Memory) -> None:
    torch.manual_seed(0)
    model = Invisp()
    batch, _ = batches(memory)[1]
    with torch.no_grad():
        losses = [Bidirectional(model, runs.settings(lam=lam))(batch) for lam in (0.0, 3.0)]
    for each, lam in zip(losses, (0.0, 3.0), strict=True):
        assert float(each["loss"]) == pytest.approx(float(each["rgb"] + lam * each["raw"]))
    assert float(losses[0]["raw"]) > 0
