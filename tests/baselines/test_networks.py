"""The learned baselines as networks: shapes, how far they see, tiles, checkpoints."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
import safetensors.torch
import torch
from photographs import photograph
from torch import Tensor, nn

from napari_invisp.baselines import CycleIsp, InvertibleGrayscale, UNetPair
from napari_invisp.conversion import scene_of
from napari_invisp.errors import CheckpointError
from napari_invisp.flow.base import InvertibleISP
from napari_invisp.flow.checkpoints import load_checkpoint, save_checkpoint, weights_hash
from napari_invisp.jpeg.codec import decode_components, decode_jpeg
from napari_invisp.jpeg.exact import ExactDecoder
from napari_invisp.metrics import raw_psnr
from napari_invisp.pipeline import Pipeline
from napari_invisp.sensor.cfa import denormalise, mosaic_from_rgb
from napari_invisp.settings import RenderSettings
from napari_invisp.tiling import tiles
from napari_invisp.zoo import FOR_USE, MODELS, load_model

KINDS = [CycleIsp, InvertibleGrayscale, UNetPair]


def _noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", [(2, 3, 16, 24), (1, 3, 5, 3), (1, 3, 17, 33)])
def test_any_size_goes_through(learned: InvertibleISP, shape: tuple[int, ...]) -> None:
    x = _noise(*shape)
    for y in (learned.forward(x), learned.inverse(x)):
        assert y.shape == shape
        assert y.isfinite().all()
    assert not torch.equal(learned.inverse(x), x)


def test_a_new_one_leaves_its_input_as_it_is(fresh: InvertibleISP) -> None:
    x = _noise(1, 3, 20, 22)
    assert torch.equal(fresh.inverse(x), x)
    if not isinstance(fresh, CycleIsp):
        assert torch.equal(fresh.forward(x), x)


# --- how far they see ---------------------------------------------------------------------------


def _spread(network: nn.Module, side: int, at: int) -> int:
    """How far one lit pixel of a black picture is seen by a network of positive weights."""
    x = torch.zeros((1, 3, side, side), dtype=torch.float64)
    x[..., at, at] = 1
    lit = network.features(x)[0].amax(0) > 0  # type: ignore[operator]
    rows, columns = lit.nonzero(as_tuple=True)
    return int(max((rows - at).abs().max(), (columns - at).abs().max()))


@pytest.mark.parametrize(
    ("model", "last"),
    [
        (UNetPair(width=1, depth=2), 0),
        (UNetPair(width=1, depth=3), 0),
        (InvertibleGrayscale(width=1, middle=1, decoder=3), 1),
    ],
)
def test_reach_is_exact(model: Any, last: int) -> None:
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.fill_(0.0 if name.endswith("bias") else 0.25)
    model.double()
    side = -(-2 * model.halo // model.grid) * model.grid + 4 * model.grid
    centre = side // 2 // model.grid * model.grid
    with torch.inference_mode():
        # The last layer sees a pixel further, if it is a 3x3 convolution.
        seen = [_spread(model.encoder, side, centre + k) + last for k in range(model.grid)]
        assert max(seen) == model.encoder.reach
        assert _spread(model.decoder, side, centre) <= model.decoder.reach
    assert model.halo == max(model.encoder.reach, model.decoder.reach)


def test_reach_of_attention_is_exact() -> None:
    torch.manual_seed(0)
    model = CycleIsp(width=8, groups=1, blocks=1, context=2).double()
    nn.init.normal_(model.network.last.weight)
    side = 2 * model.halo + 9
    x = _noise(1, 3, side, side).double().requires_grad_()
    model.inverse(x)[0, :, side // 2, side // 2].sum().backward()
    assert x.grad is not None
    rows, columns = x.grad[0].abs().amax(0).nonzero(as_tuple=True)
    extent = max((rows - side // 2).abs().max(), (columns - side // 2).abs().max())
    assert extent == model.halo


@pytest.mark.parametrize("direction", ["forward", "inverse"])
def test_tiles_equal_the_whole(learned: InvertibleISP, direction: str) -> None:
    run = getattr(learned, direction)
    x = _noise(1, 3, 150, 133)
    with torch.inference_mode():
        whole = run(x)
        joined = torch.empty_like(x)
        pieces = tiles(150, 133, 50, learned.halo, learned.grid)
        assert len(pieces) >= 6
        for tile in pieces:
            part = run(x[:, :, tile.outer_rows, tile.outer_columns])
            joined[:, :, tile.rows, tile.columns] = part[..., *tile.inner]
    assert (joined - whole).abs().max() < 1e-5


def test_tiles_need_the_whole_halo(learned: InvertibleISP) -> None:
    # Else the test above could not fail.
    x = _noise(1, 3, 96, 96)
    with torch.inference_mode():
        cut = slice(48, 96)
        difference = (learned.inverse(x)[..., cut, cut] - learned.inverse(x[..., cut, cut])).abs()
    near = difference[..., : learned.grid, : learned.grid]
    assert near.max() > 1e-3


# --- checkpoints --------------------------------------------------------------------------------


def test_a_checkpoint_keeps_the_configuration(learned: InvertibleISP, tmp_path: Path) -> None:
    learned.profile = replace(learned.profile, name="custom", white=4000.0)
    path = tmp_path / "net.safetensors"
    save_checkpoint(path, learned, {"steps": 3})
    loaded = load_model(path)
    assert type(loaded) is type(learned)
    assert loaded.configuration() == learned.configuration()
    assert loaded.profile == learned.profile
    assert (loaded.halo, loaded.grid) == (learned.halo, learned.grid)
    assert weights_hash(loaded) == weights_hash(learned)
    x = _noise(1, 3, 16, 16)
    assert torch.equal(loaded.inverse(x), learned.inverse(x))


@pytest.mark.parametrize(
    "configuration",
    [{"width": 0}, {"width": 8.0}, {"width": True}, {"size": 3}, {"width": 10**9}, [], "wide", 3],
)
@pytest.mark.parametrize("kind", KINDS)
def test_an_impossible_configuration_is_refused(
    kind: type[InvertibleISP], configuration: Any, tmp_path: Path
) -> None:
    path = tmp_path / "net.safetensors"
    header = {
        "format": 1,
        "model": kind.name,
        "profile": {**kind(**kind.SMALL).profile.to_dict()},  # type: ignore[attr-defined]
        "card": {},
        "configuration": configuration,
    }
    safetensors.torch.save_file({}, path, {"napari_invisp": json.dumps(header)})
    with pytest.raises(CheckpointError, match=r"net\.safetensors"):
        load_checkpoint(path)


@pytest.mark.parametrize("kind", KINDS)
def test_the_small_configuration_is_small(kind: Any) -> None:
    small = sum(p.numel() for p in kind(**kind.SMALL).parameters())
    assert small < 1_000_000


@pytest.mark.parametrize("kind", KINDS)
def test_by_name_alone_they_ask_for_weights(kind: type[InvertibleISP]) -> None:
    assert kind.name in MODELS
    assert kind.name not in FOR_USE
    with pytest.raises(CheckpointError, match="--model PATH"):
        load_model(kind.name)


# --- the whole way ------------------------------------------------------------------------------


def test_raw_to_jpeg_to_raw(learned: InvertibleISP, tmp_path: Path) -> None:
    record = photograph(90, 110, "GRBG")
    path = str(tmp_path / "net.safetensors")
    save_checkpoint(path, learned)
    whole = Pipeline(RenderSettings(model=path, tile=4096))
    pieces = Pipeline(RenderSettings(model=path, tile=36))
    rendering, other = whole.render(record), pieces.render(record)
    assert np.abs(rendering.rgb.astype(int) - other.rgb).max() <= 1
    data = whole.encode(rendering, 95, "4:4:4")
    recovered = [p.recover(data, model=path).record for p in (whole, pieces)]
    assert recovered[0].replace(mosaic=record.mosaic) == record
    assert raw_psnr(recovered[0], recovered[1]) > 80
    # What the network says to the decoded JPEG, at the sites that the sensor measures.
    model = learned.remembering(
        learned.conditioned(scene_of(record), torch.zeros(3, 1), 0.5).memo()
    )
    components = decode_components(data)
    assert components is not None
    decoder = ExactDecoder(components, decode_jpeg(data))
    y = decoder.window(slice(0, 90), slice(0, 110), torch.device("cpu")) / 255
    with torch.inference_mode():
        balanced = model.inverse(y)[0].clamp(min=0).permute(1, 2, 0).double().numpy() ** 2.2
    mosaic = denormalise(
        mosaic_from_rgb(balanced / record.balance, record.channels), record.black, record.white
    )
    assert np.abs(mosaic.astype(int) - recovered[0].mosaic).max() <= 2
