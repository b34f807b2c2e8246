from __future__ import annotations

import numpy as np
import pytest
import torch
from records import make_smooth_record
from skimage.transform import downscale_local_mean

from napari_invisp.development import Demosaiced, preview
from napari_invisp.metrics import rgb_psnr
from napari_invisp.pipeline import Pipeline
from napari_invisp.samples import sample_path
from napari_invisp.sensor.reading import read_raw
from napari_invisp.settings import RenderSettings


@pytest.mark.parametrize("headroom", [0.0, 1.0])
def test_a_preview_is_about_what_will_be_rendered(headroom: float) -> None:
    record = read_raw(sample_path())
    rgb, factor = preview(record, headroom)
    assert factor == 2
    rendered = Pipeline(RenderSettings(headroom=headroom)).render(record).rgb
    # Pixel by pixel noise differs: demosaicing smooths it.
    small, large = (downscale_local_mean(each, (n, n, 1)) for each, n in ((rgb, 8), (rendered, 16)))
    assert rgb_psnr(np.rint(large).astype(np.uint8), np.rint(small).astype(np.uint8)) > 32
    assert np.abs((large - small).mean((0, 1))).max() < 3


@pytest.mark.parametrize("pattern", ["RGGB", "GBRG"])
@pytest.mark.parametrize("shape", [(97, 133), (2, 2)])
def test_any_frame_has_a_preview(pattern: str, shape: tuple[int, int]) -> None:
    record = make_smooth_record(shape, pattern)
    rgb, factor = preview(record, 0.5)
    assert rgb.shape == (shape[0] // factor, shape[1] // factor, 3)
    if min(shape) > 2:
        assert np.ptp(rgb) > 50


def test_large_frames_are_previewed_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_invisp.development._PREVIEW", 900)
    record = make_smooth_record((120, 240))
    rgb, factor = preview(record, 0.5)
    assert factor == 6
    assert rgb.shape == (20, 40, 3)


def test_demosaicing_once_serves_every_headroom() -> None:
    record = make_smooth_record((120, 160))
    settings = [RenderSettings(headroom=headroom) for headroom in (0.0, 0.7)]
    source = Pipeline(settings[0]).demosaic(record)
    assert isinstance(source, Demosaiced)
    for each in settings:
        apart = Pipeline(each).render(record)
        together = Pipeline(each).render(record, source)
        np.testing.assert_array_equal(apart.rgb, together.rgb)


def test_what_was_told_of_a_jpeg_can_be_adopted() -> None:
    record = read_raw(sample_path()).middle(512)
    pipeline = Pipeline()
    rendering = pipeline.render(record)
    tried = pipeline.tried(rendering, 60, "4:2:0")
    other = Pipeline(RenderSettings(headroom=0.1)).render(record).model
    assert other.memo()["confidence"] != tried.memo()["confidence"]
    adopted = other.adopting(tried)
    assert adopted.memo() == other.memo() | {"confidence": tried.memo()["confidence"]}
    y = torch.rand(1, 3, 32, 32)
    assert not torch.equal(adopted.recover(y), other.recover(y))
