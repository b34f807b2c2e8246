"""The main job, end to end, on records made here."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
import rawpy
import torch
from photographs import photograph
from PIL import Image, ImageCms

from napari_invisp import metrics
from napari_invisp.devices import choose_device
from napari_invisp.errors import Cancelled, CapsuleError, CheckpointError
from napari_invisp.flow.base import InvertibleISP
from napari_invisp.flow.checkpoints import save_checkpoint
from napari_invisp.flow.invisp import Invisp
from napari_invisp.flow.parameters import PhysicsParameters
from napari_invisp.flow.physics import Physics
from napari_invisp.flow.profiles import PROFILES
from napari_invisp.flow.scene import Scene
from napari_invisp.flow.zoo import MODELS, load_model
from napari_invisp.jpeg.capsule import Capsule, embed, from_jpeg
from napari_invisp.pipeline import Pipeline
from napari_invisp.samples import sample_path
from napari_invisp.sensor.cfa import demosaic_bilinear
from napari_invisp.sensor.dng import write_dng
from napari_invisp.sensor.libraw import reference_srgb
from napari_invisp.sensor.reading import read_raw
from napari_invisp.sensor.record import CFA_PATTERNS, CfaPattern, RawRecord
from napari_invisp.settings import RenderSettings
from napari_invisp.tiling import tiles


@pytest.fixture(scope="module")
def record() -> RawRecord:
    return photograph(height=300, width=410)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of the paper's network that do something, but nothing wild."""
    torch.manual_seed(1)
    model = Invisp()
    state = model.state_dict()
    for key, value in state.items():
        if key.endswith(("lower", "upper", "log_s")):
            value.zero_()
        elif key.endswith("sign_s"):
            value.fill_(1)
        elif key.endswith(".p"):
            value.copy_(torch.eye(3))
        else:
            value.add_(0.003 * torch.randn_like(value))
    model.load_state_dict(state)
    path = tmp_path_factory.mktemp("weights") / "mine.safetensors"
    save_checkpoint(path, model)
    return path


@pytest.mark.parametrize("pattern", CFA_PATTERNS)
@pytest.mark.parametrize("shape", [(120, 160), (121, 163)])
def test_recovers_the_raw_of_every_bayer_phase(
    pattern: CfaPattern, shape: tuple[int, int], tmp_path: Path
) -> None:
    original = photograph(*shape, pattern=pattern, orientation=6)
    pipeline = Pipeline()
    rendering = pipeline.render(original)
    recovered = pipeline.recover(pipeline.encode(rendering, 95, "4:4:4")).record
    assert metrics.raw_psnr(original, recovered) > 40
    assert metrics.rgb_psnr(reference_srgb(original), rendering.rgb) > 40
    assert recovered.replace(mosaic=original.mosaic) == original

    write_dng(tmp_path / "recovered.dng", recovered)
    with rawpy.imread(str(tmp_path / "recovered.dng")) as raw:
        assert raw.raw_image_visible.shape == shape
        assert np.array_equal(raw.raw_image_visible, recovered.mosaic)
        assert raw.sizes.flip == 6
    assert read_raw(tmp_path / "recovered.dng").pattern == pattern


def test_only_the_jpeg_limits_the_recovery(record: RawRecord) -> None:
    pipeline = Pipeline(RenderSettings(headroom=1))
    rendering = pipeline.render(record)
    fidelity = [
        metrics.raw_psnr(record, pipeline.recover(pipeline.encode(rendering, quality)).record)
        for quality in (50, 75, 90, 98)
    ]
    assert fidelity == sorted(fidelity)


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2"])
def test_what_a_decoder_rounds_off_is_made_use_of(
    subsampling: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = photograph(200, 240)
    pipeline = Pipeline(RenderSettings(model="physics"))
    data = pipeline.encode(pipeline.render(original), 95, subsampling)
    ours = metrics.raw_psnr(original, pipeline.recover(data).record)
    # Without components it goes by the 8-bit RGB.
    monkeypatch.setattr("napari_invisp.jpeg.exact.decode_components", lambda data: None)
    by_rgb = metrics.raw_psnr(original, pipeline.recover(data).record)
    assert ours > by_rgb + 0.05


def test_the_jpeg_is_an_ordinary_one(record: RawRecord) -> None:
    turned = record.replace(orientation=8, make="Maker", model="Model 1")
    pipeline = Pipeline()
    rendering = pipeline.render(turned)
    with Image.open(io.BytesIO(pipeline.encode(rendering))) as image:
        image.load()
        assert image.size == (record.width, record.height)
        exif = image.getexif()
        assert exif[0x0112] == 8
        assert exif[0x010F] == "Maker"
        profile = ImageCms.getOpenProfile(io.BytesIO(image.info["icc_profile"]))
        assert "sRGB" in ImageCms.getProfileDescription(profile)


class _Spread(InvertibleISP):
    """A model whose every pixel depends on all within its halo."""

    name, halo = "spread", 6
    profile = Physics.profile

    def __init__(self) -> None:
        super().__init__()
        self.blur = torch.nn.AvgPool2d(13, stride=1, padding=6, count_include_pad=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.blur(x)

    inverse = forward


def _in_tiles(model: InvertibleISP, x: torch.Tensor, size: int) -> torch.Tensor:
    y = torch.empty_like(x)
    for tile in tiles(x.shape[2], x.shape[3], size, model.halo):
        part = model(x[:, :, tile.outer_rows, tile.outer_columns])
        y[:, :, tile.rows, tile.columns] = part[..., *tile.inner]
    return y


def test_tiles_equal_the_whole(checkpoint: Path, record: RawRecord) -> None:
    scene = Scene.of(record.white_balance, record.camera_to_srgb, (1, 1, 1))
    x = torch.rand((1, 3, 250, 203), generator=torch.Generator().manual_seed(0))
    invisp = load_model(checkpoint)
    for model in (Physics(PhysicsParameters(scene)), _Spread(), invisp):
        with torch.inference_mode():
            assert (_in_tiles(model, x, 96) - model(x)).abs().max() <= 1e-5


@pytest.mark.parametrize("model", ["physics", "universal"])
def test_tile_size_does_not_show(record: RawRecord, model: str) -> None:
    whole = Pipeline(RenderSettings(model=model, tile=4096))
    pieces = Pipeline(RenderSettings(model=model, tile=64))
    one, other = whole.render(record), pieces.render(record)
    # Rounding to 8 bit may turn a difference of 1e-7 into one code.
    assert np.abs(one.rgb.astype(int) - other.rgb).max() <= 1
    assert (one.rgb != other.rgb).mean() < 1e-4
    data = whole.encode(one)
    mosaics = [p.recover(data).record.mosaic.astype(int) for p in (whole, pieces)]
    assert np.abs(mosaics[0] - mosaics[1]).max() <= 1


def test_progress_and_cancel(record: RawRecord) -> None:
    steps: list[tuple[str, int, int]] = []
    pipeline = Pipeline(RenderSettings(tile=64), progress=lambda *step: steps.append(step))
    rendering = pipeline.render(record)
    pipeline.recover(pipeline.encode(rendering))
    stages = list(dict.fromkeys(stage for stage, _, _ in steps))
    assert stages == ["demosaicing", "rendering", "encoding", "decoding", "recovering"]
    for stage in stages:
        done = [(n, total) for name, n, total in steps if name == stage]
        assert done == sorted(done)
        assert done[-1][0] == done[-1][1]

    begun: list[int] = []
    stopping = Pipeline(
        RenderSettings(tile=64),
        progress=lambda stage, done, total: begun.append(done) if stage == "rendering" else None,
        cancelled=lambda: len(begun) >= 3,
    )
    with pytest.raises(Cancelled):
        stopping.render(record)
    assert max(begun) < len(tiles(record.height, record.width, 64, 0))


class _Through(InvertibleISP):
    """What the network is given, as it is given."""

    name, halo = "through", 0
    profile = PROFILES["authors-canon"]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x

    inverse = forward


def test_the_authors_habits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MODELS, "through", _Through)
    record = photograph(60, 80, pattern="GBRG")
    pipeline = Pipeline(RenderSettings(model="through"))
    rendering = pipeline.render(record)
    # No black level, a fixed white level, RGGB whatever the file says, truncation.
    balance = record.white_balance / record.white_balance.max()
    rggb = np.array([[0, 1], [1, 2]])
    expected = (demosaic_bilinear(record.mosaic / 4095, rggb) * balance).clip(0, 1) ** (1 / 2.2)
    difference = rendering.rgb - np.floor(expected * 255)
    assert np.abs(difference).max() <= 1
    assert (difference != 0).mean() < 0.01  # within a rounding of the next code
    recovered = pipeline.recover(pipeline.encode(rendering, 100, "4:4:4")).record
    assert recovered.replace(mosaic=record.mosaic) == record
    assert metrics.raw_psnr(record, recovered) > 35


def test_the_papers_network_end_to_end(checkpoint: Path) -> None:
    record = photograph(height=96, width=112)
    pipeline = Pipeline(RenderSettings(model=str(checkpoint), tile=64))
    rendering = pipeline.render(record)
    data = pipeline.encode(rendering, 100, "4:4:4")
    recovered = Pipeline().recover(data, model=str(checkpoint)).record
    assert metrics.raw_psnr(record, recovered) > 30
    with pytest.raises(CheckpointError, match=r"mine\.safetensors.*--model"):
        Pipeline().recover(data)
    other = checkpoint.with_name("other.safetensors")
    save_checkpoint(other, Invisp())
    with pytest.raises(CheckpointError, match="other weights"):
        Pipeline().recover(data, model=str(other))


def _tampered(data: bytes, **changes: object) -> bytes:
    header = json.loads(json.dumps(from_jpeg(data).header))
    for path, value in changes.items():
        *parents, last = path.split("__")
        place = header
        for parent in parents:
            place = place[parent]
        if value is None:
            del place[last]
        else:
            place[last] = value
    return embed(data, Capsule(header))


@pytest.mark.parametrize(
    "changes",
    [
        {"raw": None},
        {"raw__pattern": "RGGX"},
        {"raw__black": [1, 2, 3]},
        {"raw__height": 10_000},
        {"raw__width": "wide"},
        {"raw__white_balance": [1, 0, 1]},
        {"raw__surprise": 1},
        {"model__memo": {}},
        {"model": 3},
        {"model__memo__confidence": [1, 1, 1]},
        {"model__memo__chain__knees": [0.9, "x", 0.9]},
        {"model__memo__chain__scene__camera_to_srgb": [[0, 0, 0], [0, 0, 0], [0, 0, 0]]},
    ],
)
def test_a_capsule_that_makes_no_sense_is_told(
    record: RawRecord, changes: dict[str, object]
) -> None:
    pipeline = Pipeline()
    data = _tampered(pipeline.encode(pipeline.render(record)), **changes)
    with pytest.raises((CapsuleError, CheckpointError)) as caught:
        pipeline.recover(data, "broken.jpg")
    assert "broken.jpg" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_model_that_is_not_known(record: RawRecord) -> None:
    pipeline = Pipeline()
    data = _tampered(pipeline.encode(pipeline.render(record)), model__name="of-tomorrow")
    with pytest.raises(CheckpointError, match="of-tomorrow"):
        pipeline.recover(data)


def test_a_device_that_is_not_there_is_replaced_and_said(
    monkeypatch: pytest.MonkeyPatch, record: RawRecord
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("cuda")[0].type == "cpu"
    said: list[str] = []
    rendering = Pipeline(RenderSettings(device="cuda"), notify=said.append).render(record)
    assert rendering.device == "cpu"
    assert said == ["cuda is not available here; running on the CPU instead"]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("model", ["physics", "universal"])
def test_a_gpu_renders_the_same(record: RawRecord, model: str) -> None:
    one, other = (
        Pipeline(RenderSettings(device=device, model=model)).render(record).rgb
        for device in ("cuda", "cpu")
    )
    assert np.abs(one.astype(int) - other).max() <= 1


@pytest.mark.parametrize(
    ("model", "name", "headroom", "rgb", "raw"),
    [
        ("universal", "IMG_5952.CR2", 0.5, 50, 47.5),
        ("universal", "sample2.dng", 0.5, 50, 48.5),
        ("universal", "sample1.dng", 0.5, 41, 44),
        ("universal", "sample3.dng", 0.5, 38, 41.65),
        ("universal", "sample1.dng", 1.0, 25, 45.9),
        ("universal", "sample3.dng", 1.0, 25, 44.4),
        ("physics", "IMG_5952.CR2", 0.5, 55, 47),
        ("physics", "sample1.dng", 0.5, 41, 43),
        ("physics", "sample3.dng", 0.5, 36, 40),
        ("physics", "sample3.dng", 1.0, 0, 43.5),
    ],
)
def test_figures_of_real_files(
    shared_raw: Path, model: str, name: str, headroom: float, rgb: float, raw: float
) -> None:
    from napari_invisp.sensor.libraw import reference_srgb_file

    original = read_raw(shared_raw / name)
    pipeline = Pipeline(RenderSettings(model=model, headroom=headroom))
    rendering = pipeline.render(original)
    recovered = pipeline.recover(pipeline.encode(rendering, 90)).record
    assert metrics.rgb_psnr(reference_srgb_file(shared_raw / name), rendering.rgb) >= rgb
    assert metrics.raw_psnr(original, recovered) >= raw


def test_universal_keeps_more_of_the_sample_than_physics() -> None:
    record = read_raw(sample_path())
    kept = {}
    for model in ("physics", "universal"):
        pipeline = Pipeline(RenderSettings(model=model, device="cpu"))
        rendering = pipeline.render(record)
        kept[model] = metrics.raw_psnr(record, pipeline.recover(pipeline.encode(rendering)).record)
    assert kept["universal"] > kept["physics"]
