"""LibRaw's rendering, and UPI's step-by-step inversion of it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from photographs import photograph
from records import make_record, make_smooth_record

from napari_invisp.baselines import Upi
from napari_invisp.conversion import scene_of
from napari_invisp.errors import CheckpointError
from napari_invisp.flow.scene import Scene
from napari_invisp.metrics import raw_psnr, rgb_psnr
from napari_invisp.pipeline import Pipeline
from napari_invisp.sensor.cfa import demosaic_bilinear, normalise
from napari_invisp.sensor.libraw import reference_srgb
from napari_invisp.sensor.record import RawRecord
from napari_invisp.settings import RenderSettings

RECORD = make_record(white_balance=[2.1, 1.0, 1.6])


def _upi(record: RawRecord = RECORD) -> Upi:
    return Upi().conditioned(scene_of(record), torch.zeros(3, 1), headroom=0.5)


@pytest.mark.parametrize("headroom", [0.0, 1.0])
@pytest.mark.parametrize("make", [make_smooth_record, lambda: photograph(160, 200, "GBRG")])
def test_it_renders_as_libraw_does(make: Any, headroom: float) -> None:
    record = make()
    rendering = Pipeline(RenderSettings(model="upi", headroom=headroom)).render(record)
    reference = reference_srgb(record)
    assert rgb_psnr(reference, rendering.rgb) > 50
    assert (np.abs(reference.astype(int) - rendering.rgb) <= 1).mean() > 0.98


def test_it_clips_as_libraw_does() -> None:
    # Samples of all levels, on patches that no demosaicing can change.
    colours = np.random.default_rng(0).uniform(0, 1, (6, 8, 3))
    rows, columns = np.mgrid[:96, :128]
    values = colours[rows // 16, columns // 16, RECORD.channels[rows % 2, columns % 2]]
    black = RECORD.black[rows % 2, columns % 2]
    mosaic = np.rint(black + values * (RECORD.white - black)).astype(np.uint16)
    record = RECORD.replace(mosaic=mosaic)
    rendered = Pipeline(RenderSettings(model="upi")).render(record).rgb.astype(int)
    centres = (slice(7, None, 16), slice(7, None, 16))
    reference = reference_srgb(record).astype(int)[centres]
    assert (reference == 0).any()
    assert (reference == 255).any()
    assert np.abs(rendered[centres] - reference).max() <= 1


def test_what_did_not_clip_comes_back() -> None:
    upi = _upi().double()
    rgb = 0.8 * torch.rand((1, 3, 2000), generator=torch.Generator().manual_seed(0)).double()
    u = (torch.linalg.inv(torch.tensor(upi.scene.matrix)) @ rgb)[..., None]
    # Neither beyond white nor so bright that UPI takes it for a highlight.
    kept = ((u > 0) & (u < 1)).all(1, keepdim=True) & (u.mean(1, keepdim=True) < 0.9)
    x = (u / upi.scene.gain).clamp(min=0) ** (1 / 2.2)
    returned = upi.inverse(upi.forward(x))
    assert kept.to(torch.float32).mean() > 0.5
    assert (returned - x).abs().mul(kept).max() < 1e-9


def test_the_inverse_is_the_published_one() -> None:
    upi = _upi()
    y = np.random.default_rng(0).uniform(0, 1, (3, 500))
    y[:, :100] = np.random.default_rng(1).uniform(0.95, 1, (3, 100))

    # In float64, by the formulas of BT.709 and of Brooks et al. with their names.
    z = (255 * y + 0.5) / 256
    linear = np.where(z < 0.0812, z / 4.5, ((z + 0.0993) / 1.0993) ** (1 / 0.45))
    image = np.linalg.solve(RECORD.camera_to_srgb, linear)
    red_gain, blue_gain = 2.1, 1.6
    gains = np.array([1 / red_gain, 1.0, 1 / blue_gain])[:, None]
    grey = image.mean(0).clip(max=1)
    alpha = np.square(np.maximum(grey - 0.9, 0) / 0.1)
    camera = image * np.maximum(alpha + (1 - alpha) * gains, gains)
    network_raw = (camera.clip(0, 1) * np.array([[1], [1 / 2.1], [1.6 / 2.1]])) ** (1 / 2.2)

    got = upi.inverse(torch.from_numpy(y).float()[None, :, None])[0, :, 0].numpy()
    assert (alpha > 0.3).any()
    np.testing.assert_allclose(got, network_raw, atol=2e-3)


def test_white_comes_back_as_saturation() -> None:
    white = torch.ones(1, 3, 2, 2)
    x = _upi().inverse(white)[0, :, 0, 0]
    # Every channel saturated: balanced RGB is the balance itself.
    np.testing.assert_allclose(x.numpy() ** 2.2, RECORD.balance, rtol=1e-4)


def test_raw_comes_back_from_the_jpeg() -> None:
    record = photograph(160, 200)
    pipeline = Pipeline(RenderSettings(model="upi", quality=100, subsampling="4:4:4"))
    recovered = Pipeline().recover(pipeline.encode(pipeline.render(record))).record
    assert raw_psnr(record, recovered) > 45
    assert recovered.replace(mosaic=record.mosaic) == record


def test_the_memo_survives_json() -> None:
    upi = _upi(photograph(64, 64))
    y = torch.rand((1, 3, 8, 8), generator=torch.Generator().manual_seed(0))
    other = Upi().remembering(json.loads(json.dumps(upi.memo())))
    assert torch.equal(other.inverse(y), upi.inverse(y))
    assert not torch.equal(Upi().inverse(y), upi.inverse(y))


@pytest.mark.parametrize(
    "changes",
    [
        {"white_balance": [1, 2]},
        {"white_balance": [1, 0, 2]},
        {"white_balance": ["red", 1, 1]},
        {"camera_to_srgb": [[1, 0, 0]] * 3},
        {"camera_to_srgb": [1, 0, 0]},
        {"saturation": [1, float("nan"), 1]},
        {"saturation": None},
        {"colour": 3},
    ],
)
def test_a_damaged_memo_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(CheckpointError, match="metadata"):
        Upi().remembering(_upi().memo() | changes)
    with pytest.raises(CheckpointError, match="metadata"):
        Upi().remembering(None)


def test_its_input_is_what_the_paper_calls_raw() -> None:
    record = make_smooth_record()
    balanced = demosaic_bilinear(normalise(record), record.channels) * record.balance
    x = torch.from_numpy(balanced.astype(np.float32) ** (1 / 2.2)).permute(2, 0, 1)[None]
    upi = Upi().conditioned(
        Scene.of(record.white_balance, record.camera_to_srgb, (1, 1, 1)), x[0].flatten(1), 0.5
    )
    codes = (upi.forward(x) * 255).round()[0].permute(1, 2, 0).numpy()
    assert rgb_psnr(reference_srgb(record), codes.clip(0, 255).astype(np.uint8)) > 40
