from __future__ import annotations

import io
import math
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from records import make_record, make_smooth_record
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from napari_invisp.errors import CheckpointError, RawFileError, SettingsError
from napari_invisp.evaluation import Evaluation, Row, compare_rgb, lossy_dng, reference_of
from napari_invisp.metrics import raw_psnr
from napari_invisp.pipeline import Pipeline
from napari_invisp.sensor.dng import write_dng
from napari_invisp.sensor.libraw import reference_srgb_file
from napari_invisp.sensor.reading import read_raw
from napari_invisp.sensor.record import RawRecord
from napari_invisp.settings import ComputeSettings, RenderSettings

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = ComputeSettings(device="cpu")


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photo") / "smooth.dng"
    write_dng(path, make_smooth_record())
    return path


def pillow_round_trip(rgb: np.ndarray, quality: int, subsampling: str) -> np.ndarray:
    stream = io.BytesIO()
    Image.fromarray(rgb).save(stream, "JPEG", quality=quality, subsampling=subsampling)
    return np.asarray(Image.open(stream))


def test_picture_figures_are_those_of_independent_tools(photo: Path) -> None:
    settings = RenderSettings(device="cpu", quality=80, subsampling="4:2:0")
    pipeline = Pipeline(settings)
    rendering = pipeline.render(read_raw(photo))
    jpeg = pipeline.encode(rendering)
    figures = compare_rgb(photo, rendering, jpeg)

    reference = reference_srgb_file(photo)
    rgb = rendering.rgb
    assert figures.rgb_psnr == pytest.approx(peak_signal_noise_ratio(reference, rgb))
    assert figures.rgb_ssim == pytest.approx(structural_similarity(reference, rgb, channel_axis=2))
    assert figures.rgb_psnr_jpeg == pytest.approx(
        peak_signal_noise_ratio(
            pillow_round_trip(reference, 80, "4:2:0"), np.asarray(Image.open(io.BytesIO(jpeg)))
        )
    )


def test_a_reference_that_libraw_stretches_is_not_compared_pixel_by_pixel(
    photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = read_raw(photo)
    plain = reference_of(photo, record)
    np.testing.assert_array_equal(plain, reference_srgb_file(photo))
    # As LibRaw does for sensors whose pixels are oblong.
    stretched = np.repeat(plain, 2, axis=0)
    monkeypatch.setattr(
        "napari_invisp.evaluation.fidelity.reference_srgb_file", lambda path: stretched
    )
    np.testing.assert_array_equal(reference_of(photo, record), plain)


# Rows


@pytest.fixture(scope="module")
def rows(photo: Path) -> list[Row]:
    evaluation = Evaluation(["physics"], [0.0, 1.0], [75, 95], ["4:2:2", "4:4:4"], CPU)
    return list(evaluation.rows(photo))


def test_every_combination_has_its_row_in_order(rows: list[Row]) -> None:
    assert [(r.model, r.headroom, r.quality, r.subsampling) for r in rows] == [
        ("physics", headroom, quality, subsampling)
        for headroom in (0, 1)
        for quality in (75, 95)
        for subsampling in ("4:2:2", "4:4:4")
    ]
    for row in rows:
        assert (row.file, row.camera) == ("smooth.dng", "Maker Model One")
        assert (row.width, row.height) == (128, 96)


def test_a_row_says_what_rendering_and_recovering_one_by_one_gives(
    photo: Path, rows: list[Row]
) -> None:
    row = rows[-1]
    pipeline = Pipeline(
        RenderSettings(device="cpu", model="physics", headroom=1.0, quality=95, subsampling="4:4:4")
    )
    record = read_raw(photo)
    rendering = pipeline.render(record)
    jpeg = pipeline.encode(rendering)
    recovered = pipeline.recover(jpeg).record

    picture = compare_rgb(photo, rendering, jpeg)
    assert {name: getattr(row, name) for name in asdict(picture)} == asdict(picture)
    # An independent way to the linear PSNR.
    rows_, columns = np.indices(record.mosaic.shape) % 2
    span = record.white - record.black[rows_, columns]
    difference = (record.mosaic.astype(float) - recovered.mosaic) / span
    assert row.raw_psnr_linear == pytest.approx(-10 * math.log10((difference**2).mean()), abs=1e-4)
    assert row.bpp == pytest.approx(8 * len(jpeg) / (96 * 128))
    assert row.compression_ratio == pytest.approx(96 * 128 * 12 / 8 / len(jpeg))


def test_figures_move_as_they_should(rows: list[Row]) -> None:
    by_kind = {(r.headroom, r.quality, r.subsampling): r for r in rows}
    worse, better = by_kind[0, 75, "4:2:2"], by_kind[0, 95, "4:4:4"]
    assert better.raw_psnr > worse.raw_psnr > 30
    assert better.bpp > worse.bpp
    assert better.compression_ratio < worse.compression_ratio
    # What precedes JPEG does not depend on it.
    assert (better.rgb_psnr, better.rgb_ssim) == (worse.rgb_psnr, worse.rgb_ssim)
    assert better.seconds_per_megapixel_render == worse.seconds_per_megapixel_render
    assert all(
        r.seconds_per_megapixel_render > 0 and r.seconds_per_megapixel_recover > 0 for r in rows
    )
    assert all(r.peak_memory_mb is None or r.peak_memory_mb > 50 for r in rows)


def test_the_yardstick_is_at_the_bytes_of_each_row(photo: Path, rows: list[Row]) -> None:
    assert all(row.lossy_dng_raw_psnr is None for row in rows)
    evaluation = Evaluation(["physics"], [0.5], [75, 95], ["4:2:2"], CPU, yardstick=True)
    for row in evaluation.rows(photo):
        size = row.bpp * row.width * row.height / 8
        expected = lossy_dng(read_raw(photo), size).raw_psnr
        assert row.lossy_dng_raw_psnr == pytest.approx(expected)


def test_times_are_of_a_megapixel(photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(100))
    monkeypatch.setattr("napari_invisp.evaluation.cost.time.perf_counter", lambda: next(clock))
    (row,) = Evaluation(["physics"], [0.5], [90], ["4:2:2"], CPU).rows(photo)
    megapixels = 96 * 128 / 1e6
    assert row.seconds_per_megapixel_render == pytest.approx(1 / megapixels)
    assert row.seconds_per_megapixel_recover == pytest.approx(1 / megapixels)


def test_memory_counts_where_the_system_tells(photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("only Linux tells")
    evaluation = Evaluation(["physics"], [0.5], [90], ["4:2:2"], CPU)
    (before,) = evaluation.rows(photo)
    rendered = Pipeline.render

    def wasteful(self: Pipeline, record: RawRecord) -> object:
        np.ones(400 << 20, np.uint8)
        return rendered(self, record)

    monkeypatch.setattr(Pipeline, "render", wasteful)
    (during,) = evaluation.rows(photo)
    monkeypatch.undo()
    (after,) = evaluation.rows(photo)
    assert before.peak_memory_mb is not None
    assert during.peak_memory_mb is not None
    assert after.peak_memory_mb is not None
    assert during.peak_memory_mb > before.peak_memory_mb + 200
    assert after.peak_memory_mb < during.peak_memory_mb - 200


def test_a_bad_file_is_refused_and_the_next_one_works(photo: Path, tmp_path: Path) -> None:
    evaluation = Evaluation(["physics"], [0.5], [90], ["4:2:2"], CPU)
    with pytest.raises(RawFileError, match="does not exist"):
        list(evaluation.rows(tmp_path / "none.dng"))
    assert len(list(evaluation.rows(photo))) == 1


def test_a_model_without_weights_is_refused_before_any_work() -> None:
    with pytest.raises(CheckpointError, match=r"nowhere\.safetensors"):
        Evaluation(["physics", "nowhere.safetensors"], [0.5], [90], ["4:2:2"], CPU)


@pytest.mark.parametrize(
    ("headroom", "quality", "subsampling", "message"),
    [
        (2.0, 90, "4:2:2", "headroom 2 is not between 0 and 1"),
        (0.5, 0, "4:2:2", "quality 0 is not between 1 and 100"),
        (0.5, 90, "4:1:0", "subsampling '4:1:0' is not one of"),
    ],
)
def test_settings_are_checked_before_any_work(
    headroom: float, quality: int, subsampling: str, message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        Evaluation(["physics"], [headroom], [quality], [subsampling], CPU)


def test_a_checkpoint_is_called_by_its_file(photo: Path, tmp_path: Path) -> None:
    from napari_invisp.flow.checkpoints import save_checkpoint
    from napari_invisp.flow.invisp import Invisp

    path = tmp_path / "mine.safetensors"
    save_checkpoint(path, Invisp(generator=torch.Generator().manual_seed(0)))
    small = tmp_path / "small.dng"
    write_dng(small, make_record((24, 32)))
    evaluation = Evaluation([str(path)], [0.5], [90], ["4:2:2"], CPU)
    (row,) = evaluation.rows(small)
    assert row.model == "mine.safetensors"


def test_models_are_described_by_weights_and_card(tmp_path: Path) -> None:
    from napari_invisp.evaluation.models import describe
    from napari_invisp.flow.checkpoints import save_checkpoint, weights_hash
    from napari_invisp.flow.invisp import Invisp

    model = Invisp(generator=torch.Generator().manual_seed(0))
    path = tmp_path / "mine.safetensors"
    save_checkpoint(path, model, {"steps": 7})
    assert describe(["physics", str(path)]) == {
        "physics": {"name": "physics", "weights": None, "parameters": 0, "card": {}},
        "mine.safetensors": {
            "name": "invisp",
            "weights": weights_hash(model),
            "parameters": 1_413_760,
            "card": {"steps": 7},
        },
    }


def test_the_middle_alone(photo: Path) -> None:
    (row,) = Evaluation(["physics"], [0.5], [90], ["4:2:2"], CPU, middle=64).rows(photo)
    assert (row.width, row.height) == (64, 64)
    whole = read_raw(photo)
    part = whole.middle(64)
    assert part.channels.tolist() == whole.channels.tolist()
    np.testing.assert_array_equal(part.mosaic, whole.mosaic[16:80, 32:96])
    pipeline = Pipeline(RenderSettings(device="cpu", model="physics"))
    recovered = pipeline.recover(pipeline.encode(pipeline.render(part))).record
    assert row.raw_psnr == raw_psnr(part, recovered)
    assert whole.middle(1000) == whole
