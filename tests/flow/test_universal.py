"""`universal`: the physics of a file with learned parts in between, exact whatever they learn."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from photographs import photograph
from records import XYZ_TO_CAMERA, make_record
from torch import nn

from napari_invisp.errors import CheckpointError
from napari_invisp.flow.base import InvertibleISP
from napari_invisp.flow.checkpoints import load_checkpoint, save_checkpoint
from napari_invisp.flow.coded import Coded
from napari_invisp.flow.headroom import from_metadata
from napari_invisp.flow.parameters import NEUTRAL, WHITE, PhysicsParameters
from napari_invisp.flow.physics import Physics
from napari_invisp.flow.profiles import PROFILES
from napari_invisp.flow.scene import Scene
from napari_invisp.flow.universal import STYLE, Universal, believed
from napari_invisp.jpeg.capsule import embed, from_jpeg
from napari_invisp.jpeg.codec import encode_jpeg
from napari_invisp.jpeg.tables import quantization_tables
from napari_invisp.metrics import raw_psnr, rgb_psnr
from napari_invisp.pipeline import Pipeline
from napari_invisp.samples import sample_path
from napari_invisp.sensor.libraw import reference_srgb
from napari_invisp.sensor.reading import read_raw
from napari_invisp.sensor.record import CFA_PATTERNS, CfaPattern, camera_to_srgb_from
from napari_invisp.settings import ComputeSettings, RenderSettings
from napari_invisp.tiling import tiles

Fill = Callable[[nn.Module, int], None]
BALANCE = (2.0, 1.0, 1.5)
SITES = {"RGGB": (0, 0), "GRBG": (0, 1), "GBRG": (1, 0), "BGGR": (1, 1)}


def learned_by_chance(randomise: Fill, model: Universal) -> Universal:
    """Give a model weights that change a picture by some twenty codes."""
    randomise(model, 1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(0.5)
    return model.eval().requires_grad_(False)


@pytest.fixture
def learned(randomise: Fill) -> Universal:
    return learned_by_chance(randomise, Universal())


def light(height: int, width: int, seed: int = 0) -> torch.Tensor:
    """Everything that a sensor can give, at random, up to saturation."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.rand((1, 3, height, width), generator=generator, dtype=torch.float64)
    return values * torch.tensor(BALANCE).view(1, 3, 1, 1) / max(BALANCE)


def of_file(model: Universal, pattern: str = "RGGB", headroom: float = 0.5) -> Universal:
    """Give a model a chain that covers all that the sensor can give, without a picture's fit."""
    return model.remembering(memo_of(from_metadata(scene_of(pattern), headroom, STYLE)))


def memo_of(chain: PhysicsParameters) -> dict[str, Any]:
    return {"chain": chain.to_dict(), "confidence": [1.0] * 6}


def scene_of(pattern: str) -> Scene:
    return Scene.of(BALANCE, camera_to_srgb_from(XYZ_TO_CAMERA), (1, 1, 1), pattern)


def fitted(model: Universal, pattern: str = "RGGB") -> Universal:
    """Condition a model on a file with clipped highlights and saturated colours."""
    return model.conditioned(scene_of(pattern), light(1, 2000)[0, :, 0].float(), 0.8)


def physics_of(model: Universal) -> Physics:
    """Give the chain of a model without its learned parts."""
    return Physics().remembering(model.memo()["chain"])


# -- the chain inside ----------------------------------------------------------------------------


@pytest.mark.parametrize("pattern", CFA_PATTERNS)
@pytest.mark.parametrize("coded", [None, Coded(50, "4:2:0", (4, 12))])
def test_before_it_has_learned_it_is_its_chain(pattern: CfaPattern, coded: Coded | None) -> None:
    model = of_file(Universal().double().requires_grad_(False), pattern)
    physics = physics_of(model)
    x = light(23, 30)
    y = physics(x)
    torch.testing.assert_close(model(x), y)
    torch.testing.assert_close(model.inverse(y), x)
    decoded = (y * 255).round().clamp(0, 255) / 255
    torch.testing.assert_close(model.recover(decoded, coded), physics.recover(decoded))


def test_fresh_weights_render_the_codes_of_the_chain() -> None:
    record = photograph(64, 90)
    pipeline = Pipeline(RenderSettings(device="cpu", model="fresh"))
    pipeline._loaded["fresh"] = Universal()
    rendering = pipeline.render(record)
    assert isinstance(rendering.model, Universal)
    chain = Pipeline(RenderSettings(device="cpu", model="chain"))
    chain._loaded["chain"] = physics_of(rendering.model)
    chain._loaded["chain"].conditioned = lambda *_: chain._loaded["chain"]  # type: ignore[method-assign]
    by_chain = chain.render(record).rgb
    assert np.abs(rendering.rgb.astype(int) - by_chain).max() <= 1
    assert (rendering.rgb != by_chain).mean() < 1e-3


def test_its_chain_is_fitted_to_the_file_with_joint_highlights() -> None:
    chain = physics_of(fitted(Universal(), "GRBG")).chain
    assert chain.neutral == 1
    assert chain.departure > 0
    assert chain.scene == scene_of("GRBG")
    assert chain.knees != from_metadata(chain.scene, 0.8).knees


# -- exact whatever it has learned ---------------------------------------------------------------


@pytest.mark.parametrize("pattern", CFA_PATTERNS)
@pytest.mark.parametrize("shape", [(24, 32), (25, 34), (31, 27), (6, 61)])
def test_exact_inverse(learned: Universal, pattern: CfaPattern, shape: tuple[int, int]) -> None:
    x = light(*shape)
    single = of_file(learned, pattern)
    assert (single.inverse(single(x.float())) - x.float()).abs().max() < 1e-4
    double = of_file(learned.double(), pattern)
    assert (double(x) - physics_of(double)(x)).abs().max() > 10 / 255
    assert (double.inverse(double(x)) - x).abs().max() < 1e-9
    y = double(x)
    assert (double(double.inverse(y)) - y).abs().max() < 1e-9


@pytest.mark.parametrize("pattern", CFA_PATTERNS)
def test_what_lies_beyond_whole_cells_is_left_to_physics(
    learned: Universal, pattern: CfaPattern
) -> None:
    model = of_file(learned.double(), pattern)
    physics = physics_of(model)
    x = light(31, 38)
    y = physics(x)
    differences = (
        model(x) - y,
        model.inverse(y) - physics.inverse(y),
        model.recover(y, Coded(60)) - physics.recover(y),
    )
    top, left = SITES[pattern]
    cells = torch.zeros(31, 38, dtype=torch.bool)
    cells[top : top + (31 - top) // 4 * 4, left : left + (38 - left) // 4 * 4] = True
    for difference in differences:
        changed = difference.abs().amax((0, 1))
        assert changed[~cells].max() < 1e-12
        assert (changed[cells] > 1e-6).float().mean() > 0.9


@pytest.mark.parametrize("pattern", CFA_PATTERNS)
@pytest.mark.parametrize("shape", [(2, 2), (3, 3), (4, 4), (3, 50), (40, 2)])
def test_frames_without_a_whole_cell(
    learned: Universal, pattern: CfaPattern, shape: tuple[int, int]
) -> None:
    pipeline = Pipeline(RenderSettings(device="cpu", model="learned"))
    pipeline._loaded["learned"] = learned
    record = make_record(shape, pattern)
    data = pipeline.encode(pipeline.render(record), 100, "4:4:4")
    assert pipeline.recover(data, model="learned").record.mosaic.shape == shape
    if min(shape) < 4:
        model, x = of_file(learned.double(), pattern), light(*shape)
        assert torch.equal(model(x), physics_of(model)(x))


# -- how far it sees -----------------------------------------------------------------------------


@pytest.mark.parametrize("pattern", ["RGGB", "BGGR"])
@pytest.mark.parametrize("way", ["forward", "inverse", "recover"])
def test_sees_no_further_than_its_halo(learned: Universal, way: str, pattern: CfaPattern) -> None:
    model = of_file(learned.double(), pattern)
    start = light(160, 160)
    start = start if way == "forward" else physics_of(model)(start)
    furthest = 0
    for row, column in ((80, 83), (81, 82)):
        dot = start.clone()
        dot[..., row, column] = 0.4
        run = getattr(model, way)
        changed = (run(dot) - run(start)).abs().amax((0, 1)) > 0
        reach = max(
            int((changed.any(1).nonzero() - row).abs().max()),
            int((changed.any(0).nonzero() - column).abs().max()),
        )
        furthest = max(furthest, reach)
    halo = model.recovery_halo if way == "recover" else model.halo
    assert halo / 2 < furthest <= halo


def in_tiles(
    model: InvertibleISP, picture: torch.Tensor, halo: int, coded: Coded | None = None
) -> torch.Tensor:
    """Render, or recover what is ``coded``, tile by tile."""
    result = torch.empty_like(picture)
    for tile in tiles(picture.shape[2], picture.shape[3], 64, halo, model.grid):
        part = picture[..., tile.outer_rows, tile.outer_columns]
        origin = tile.outer_rows.start, tile.outer_columns.start
        if coded is None:
            part = model(part)
        else:
            part = model.recover(part, Coded(coded.quality, coded.subsampling, origin))
        result[..., tile.rows, tile.columns] = part[..., *tile.inner]
    return result


@pytest.mark.parametrize("pattern", CFA_PATTERNS)
@pytest.mark.parametrize("coded", [None, Coded(75, "4:2:0")])
def test_tiles_with_halo_equal_the_whole(
    learned: Universal, coded: Coded | None, pattern: CfaPattern
) -> None:
    model = of_file(learned.double(), pattern)
    picture = light(150, 175)
    whole = model(picture)
    if coded is not None:
        picture, whole = whole, model.recover(whole, coded)
    halo = model.halo if coded is None else model.recovery_halo
    assert (in_tiles(model, picture, halo, coded) - whole).abs().max() < 1e-9
    assert (in_tiles(model, picture, 8, coded) - whole).abs().max() > 1e-4


@pytest.mark.parametrize(
    "sizes",
    [
        {"depth": 0, "restoration_depth": 0},
        {"depth": 2, "restoration_depth": 1},
        {"depth": 1, "restoration_depth": 4},
    ],
)
def test_other_depths_have_other_halos(randomise: Fill, sizes: dict[str, int]) -> None:
    small = Universal(width=6, restoration_width=6, **sizes)
    model = of_file(learned_by_chance(randomise, small).double(), "BGGR")
    assert model.recovery_halo != Universal().recovery_halo
    picture, coded = light(150, 170), Coded(75, "4:2:0")
    whole = model.recover(picture, coded)
    assert (in_tiles(model, picture, model.recovery_halo, coded) - whole).abs().max() < 1e-9


@pytest.fixture
def checkpoint(learned: Universal, tmp_path: Path) -> Path:
    path = tmp_path / "mine.safetensors"
    save_checkpoint(path, learned)
    return path


@pytest.mark.parametrize(("pattern", "quality"), [("RGGB", 95), ("GBRG", 60)])
def test_tile_size_does_not_show(checkpoint: Path, pattern: CfaPattern, quality: int) -> None:
    record = photograph(203, 250, pattern)
    settings = RenderSettings(device="cpu", tile=4096, model=str(checkpoint), quality=quality)
    whole = Pipeline(settings)
    pieces = Pipeline(RenderSettings(device="cpu", tile=64, model=str(checkpoint)))
    one, other = whole.render(record), pieces.render(record)
    # Rounding to 8 bit may turn a difference of 1e-7 into one code.
    assert np.abs(one.rgb.astype(int) - other.rgb).max() <= 1
    assert (one.rgb != other.rgb).mean() < 1e-4
    data = whole.encode(one)
    mosaics = [p.recover(data, model=str(checkpoint)).record.mosaic for p in (whole, pieces)]
    assert np.abs(mosaics[0].astype(int) - mosaics[1]).max() <= 1
    assert (mosaics[0] != mosaics[1]).mean() < 1e-3


def test_the_pipeline_takes_back_what_the_flow_did(randomise: Fill) -> None:
    model = Universal()
    learned_by_chance(randomise, model)
    model.restoration = Universal().restoration
    pipeline = Pipeline(RenderSettings(device="cpu", model="mine", headroom=1))
    pipeline._loaded["mine"] = model
    for pattern in CFA_PATTERNS:
        record = photograph(101, 122, pattern)
        rendering = pipeline.render(record)
        assert rgb_psnr(reference_srgb(record), rendering.rgb) < 36
        data = pipeline.encode(rendering, 100, "4:4:4")
        recovered = pipeline.recover(data, model="mine").record
        assert recovered.replace(mosaic=record.mosaic) == record
        assert raw_psnr(record, recovered) > 38


def test_machines_with_and_without_bfloat16_understand_each_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    record, pipeline = photograph(200, 260), Pipeline(RenderSettings(device="cpu"))

    def on_machine(native: bool) -> None:
        monkeypatch.setattr("napari_invisp.flow.stack._has_bfloat16", lambda: native)

    pictures, files, figures = {}, {}, {}
    for there in (True, False):
        on_machine(there)
        rendering = pipeline.render(record)
        pictures[there], files[there] = rendering.rgb, pipeline.encode(rendering)
    for there, back in product((True, False), repeat=2):
        on_machine(back)
        figures[there, back] = raw_psnr(record, pipeline.recover(files[there]).record)
    difference = np.abs(pictures[True].astype(int) - pictures[False])
    assert 0 < difference.mean() < 0.02
    assert difference.max() <= 1
    assert max(figures.values()) - min(figures.values()) < 0.05


def test_weights_that_are_not_those_of_the_file_are_refused(checkpoint: Path) -> None:
    pipeline = Pipeline(RenderSettings(device="cpu", model=str(checkpoint)))
    data = pipeline.encode(pipeline.render(photograph(40, 40)))
    other = load_checkpoint(checkpoint)
    with torch.no_grad():
        other.get_parameter("restoration.stack.last.bias").add_(0.01)
    save_checkpoint(checkpoint, other)
    with pytest.raises(CheckpointError, match="other weights"):
        Pipeline().recover(data, model=str(checkpoint))


# -- what it is told of the JPEG -----------------------------------------------------------------


@pytest.mark.parametrize(
    "other",
    [
        Coded(quality=60),
        Coded(subsampling="4:4:4"),
        Coded(subsampling="4:2:0"),
        Coded(origin=(8, 0)),
        Coded(origin=(0, 4)),
    ],
)
def test_recovery_depends_on_how_and_where_a_picture_is_stored(
    learned: Universal, other: Coded
) -> None:
    model = of_file(learned.double())
    y = model(light(32, 32))
    usual = model.recover(y)
    assert torch.equal(model.recover(y, Coded(90, "4:2:2", (0, 0))), usual)
    assert (model.recover(y, other) - usual).abs().max() > 1e-5


def test_the_grid_is_that_of_the_frame_whatever_the_pattern(learned: Universal) -> None:
    for pattern in CFA_PATTERNS:
        model = of_file(learned.double(), pattern)
        y = model(light(34, 35))
        here, there = (model.recover(y, Coded(origin=origin)) for origin in ((0, 0), (16, 32)))
        torch.testing.assert_close(here, there, rtol=0, atol=1e-6)


class Listening(Physics):
    """Takes note of what it is told."""

    heard: list[Coded]

    def recover(self, y: torch.Tensor, coded: Coded | None = None) -> torch.Tensor:
        assert coded is not None
        type(self).heard.append(coded)
        return super().recover(y, coded)


@pytest.fixture
def listening() -> Pipeline:
    Listening.heard = []
    pipeline = Pipeline(RenderSettings(device="cpu", model="listening"))
    pipeline._loaded["listening"] = Listening()
    return pipeline


@pytest.mark.parametrize(("quality", "subsampling"), [(83, "4:2:0"), (97, "4:4:4")])
def test_the_pipeline_tells_how_and_where_a_picture_is_stored(
    listening: Pipeline, quality: int, subsampling: str
) -> None:
    data = listening.encode(listening.render(photograph(60, 90)), quality, subsampling)
    listening.recover(data, model="listening", settings=ComputeSettings(device="cpu", tile=32))
    assert {(coded.quality, coded.subsampling) for coded in Listening.heard} == {
        (quality, subsampling)
    }
    expected = {(row, column) for row in (0, 30) for column in (0, 30, 60)}
    assert {coded.origin for coded in Listening.heard} == expected


def test_another_encoders_tables_are_told_by_the_nearest_quality(listening: Pipeline) -> None:
    rendering = listening.render(photograph(60, 90))
    capsule = from_jpeg(listening.encode(rendering), "ours")
    data = embed(with_other_tables(encode_jpeg(rendering.rgb, 80, "4:2:2")), capsule)
    listening.recover(data, model="listening")
    assert {(coded.quality, coded.subsampling) for coded in Listening.heard} == {(80, "4:2:2")}


def with_other_tables(data: bytes) -> bytes:
    """Change one step of the luma table, so that no quality of libjpeg has it."""
    table = quantization_tables(80)[0]
    assert table[7, 7] > 1
    start = data.index(b"\xff\xdb\x00\x43\x00") + 5
    last = start + 63
    assert data[last] == table[7, 7]
    return data[:last] + bytes([data[last] + 1]) + data[last + 1 :]


def test_a_restoration_is_believed_up_to_the_lowest_knee_and_not_at_white() -> None:
    neutral = from_metadata(scene_of("RGGB"), 0.5, STYLE)
    knees = ((0.9, 0.8, 0.95), (0.9, 0.95, 0.92))
    chains = [replace(neutral, knees=each) for each in knees]
    generator = torch.Generator().manual_seed(0)
    dark, change = torch.rand((2, 2, 3, 1, 5), generator=generator, dtype=torch.float64)
    z = 0.3 * dark
    for picture, lowest in enumerate((0.8, 0.9)):
        # The brightest channel of a pixel, whichever it is, says how near to white it is.
        z[picture, picture + 1, 0] = torch.tensor([0.3, lowest, (lowest + WHITE) / 2, WHITE, 1.1])
    believing = (believed(z, z + change, chains) - z) / change
    expected = torch.tensor([1, 1, 0.5, 0, 0], dtype=torch.float64).expand(2, 3, 1, 5)
    torch.testing.assert_close(believing, expected, rtol=0, atol=1e-5)


# -- what it finds out when the RAW is at hand ---------------------------------------------------


class Misled(Universal):
    """Takes a pattern for JPEG's noise, in one kind of pixel or in all."""

    name = "misled"

    def __init__(self, where: str) -> None:
        super().__init__()
        self.where = where
        self.restoration.forward = self.mislead  # type: ignore[method-assign]

    def mislead(self, z: torch.Tensor, places: torch.Tensor, told: torch.Tensor) -> torch.Tensor:
        wrong = 0.02 * torch.sign(torch.sin(torch.arange(z.shape[-1]) * 2.3))
        dark = z.mean(1, keepdim=True) < 0.3
        return z + wrong * (dark if self.where == "dark" else torch.ones_like(dark))


def recovered_raw_psnr(model: Universal) -> tuple[float, list[float]]:
    pipeline = Pipeline(RenderSettings(device="cpu", model=model.name))
    pipeline._loaded[model.name] = model
    record = photograph(300, 420)
    data = pipeline.encode(pipeline.render(record))
    memo = from_jpeg(data, "a JPEG").header["model"]["memo"]
    recovered = pipeline.recover(data, model=model.name).record
    return raw_psnr(record, recovered), memo["confidence"]


def try_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_invisp.pipeline.attempt", lambda *_: None)


@pytest.mark.parametrize("where", ["everywhere", "dark"])
def test_what_does_harm_is_not_followed(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, unsure = recovered_raw_psnr(Universal())
    assert unsure == [1.0] * 6
    wary, confidence = recovered_raw_psnr(Misled(where))
    try_nothing(monkeypatch)
    misled, _ = recovered_raw_psnr(Misled(where))
    assert misled < plain - 1.5
    assert wary > plain - 0.2
    assert max(confidence[:2]) < 0.25
    assert (max(confidence[3:]) < 0.25) == (where == "everywhere")


def test_the_shipped_restoration_is_better_for_being_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    record = read_raw(sample_path()).middle(640)
    pipeline = Pipeline(RenderSettings(device="cpu"))
    rendering = pipeline.render(record)
    tried = pipeline.recover(pipeline.encode(rendering)).record
    try_nothing(monkeypatch)
    in_full = pipeline.recover(pipeline.encode(rendering)).record
    assert raw_psnr(record, tried) > raw_psnr(record, in_full) + 0.1


def test_a_frame_too_small_to_try_is_recovered_all_the_same(learned: Universal) -> None:
    pipeline = Pipeline(RenderSettings(device="cpu", model="mine"))
    pipeline._loaded["mine"] = learned
    data = pipeline.encode(pipeline.render(photograph(30, 200)))
    assert from_jpeg(data, "a JPEG").header["model"]["memo"]["confidence"] == [1.0] * 6
    assert pipeline.recover(data, model="mine").record.mosaic.shape == (30, 200)


# -- one set of weights, many files --------------------------------------------------------------


def test_files_share_the_weights(learned: Universal) -> None:
    learned.checkpoint = "mine.safetensors"
    one, other = fitted(learned, "RGGB"), of_file(learned, "BGGR", headroom=0.2)
    assert one.memo() != other.memo()
    for model in (one, other, learned.remembering(one.memo())):
        assert [p.data_ptr() for p in model.parameters()] == [
            p.data_ptr() for p in learned.parameters()
        ]
        assert model.checkpoint == "mine.safetensors"
        assert not model.training
        assert model.configuration() == learned.configuration()
    x = light(8, 8).float()
    before = one(x)
    learned.flow.finish.everywhere.last.bias += 0.5
    assert (one(x) - before).abs().max() > 0.01
    assert of_file(learned.train()).training


def test_conditioning_leaves_the_model_as_it_was(learned: Universal) -> None:
    x = light(8, 8).float()
    before = learned(x), learned.memo()
    fitted(learned, "BGGR")
    assert torch.equal(learned(x), before[0])
    assert learned.memo() == before[1]


def test_the_memo_brings_the_model_of_the_file_back(learned: Universal) -> None:
    model = fitted(learned, "GRBG")
    again = learned.remembering(json.loads(json.dumps(model.memo(), allow_nan=False)))
    x = light(21, 26).float()
    y = model(x)
    assert torch.equal(again(x), y)
    assert torch.equal(again.inverse(y), model.inverse(y))
    coded = Coded(70, "4:2:0", (4, 8))
    assert torch.equal(again.recover(y, coded), model.recover(y, coded))


@pytest.mark.parametrize(
    "memo",
    [
        None,
        [],
        {},
        {"chain": {}, "confidence": [1.0] * 6},
        {"chain": Physics().memo() | {"departure": -1}, "confidence": [1.0] * 6},
        {"chain": Physics().memo()},
        memo_of(NEUTRAL) | {"confidence": [1.0] * 5},
        memo_of(NEUTRAL) | {"confidence": [1.0] * 5 + [float("nan")]},
        memo_of(NEUTRAL) | {"confidence": 1},
    ],
)
def test_a_damaged_memo_is_refused(learned: Universal, memo: object) -> None:
    with pytest.raises(CheckpointError, match="damaged"):
        learned.remembering(memo)


@pytest.mark.parametrize("field", ["pattern", "saturation"])
def test_a_memo_that_lacks_a_fact_of_its_scene_is_refused(learned: Universal, field: str) -> None:
    memo = learned.memo()
    del memo["chain"]["scene"][field]
    with pytest.raises(CheckpointError, match=field):
        learned.remembering(memo)


# -- on disk -------------------------------------------------------------------------------------


def test_checkpoints_keep_weights_and_sizes(randomise: Fill, tmp_path: Path) -> None:
    sizes = {"width": 8, "depth": 2, "restoration_width": 6, "restoration_depth": 1}
    model = learned_by_chance(randomise, Universal(PROFILES["physics"], **sizes))
    path = tmp_path / "small.safetensors"
    save_checkpoint(path, model)
    loaded = load_checkpoint(path)
    assert isinstance(loaded, Universal)
    assert loaded.configuration() == sizes
    assert (loaded.halo, loaded.profile) == (model.halo, PROFILES["physics"])
    x, coded = light(20, 20).float(), Coded(60)
    ours, theirs = of_file(model), of_file(loaded)
    assert torch.equal(theirs(x), ours(x))
    assert torch.equal(theirs.recover(x, coded), ours.recover(x, coded))


def test_what_a_file_says_about_sizes_is_checked(learned: Universal, tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    for sizes, reason in (
        ({"width": 16}, "has shape"),
        ({"depth": 3}, "missing"),
        ({"depth": 0}, "do not belong"),
        ({"height": 3}, "configuration"),
    ):
        learned._configuration = sizes
        save_checkpoint(path, learned)
        with pytest.raises(CheckpointError, match=reason):
            load_checkpoint(path)


def test_gradients_reach_every_weight(randomise: Fill) -> None:
    model = learned_by_chance(randomise, Universal()).requires_grad_(True)
    chained = of_file(model)
    x = light(24, 24).float()
    (chained.recover(chained(x)) - x).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in model.parameters())
