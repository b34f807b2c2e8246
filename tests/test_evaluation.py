from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import asdict, fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from records import make_record, make_smooth_record
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from napari_invisp.errors import CheckpointError, OutputError, RawFileError, SettingsError
from napari_invisp.evaluation import Evaluation, Mean, Row, compare_rgb, means, reference_of
from napari_invisp.pipeline import Pipeline
from napari_invisp.sensor.dng import write_dng
from napari_invisp.sensor.libraw import reference_srgb_file
from napari_invisp.sensor.reading import read_raw
from napari_invisp.sensor.record import RawRecord
from napari_invisp.settings import ComputeSettings, RenderSettings
from napari_invisp.tables import table_format, write_table

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
    monkeypatch.setattr("napari_invisp.evaluation.reference_srgb_file", lambda path: stretched)
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
    pipeline = Pipeline(RenderSettings(device="cpu", headroom=1.0, quality=95, subsampling="4:4:4"))
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
    assert better.seconds_render == worse.seconds_render
    assert all(r.seconds_render > 0 and r.seconds_recover > 0 for r in rows)
    assert all(r.peak_memory_mb is None or r.peak_memory_mb > 50 for r in rows)


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


# Means and tables


def made(**changes: object) -> Row:
    row = Row(
        file="a.dng",
        camera="Maker One",
        model="physics",
        quality=90,
        subsampling="4:2:2",
        headroom=0.5,
        width=100,
        height=50,
        rgb_psnr=50.0,
        rgb_ssim=0.99,
        rgb_psnr_jpeg=45.0,
        raw_psnr=47.123456,
        raw_psnr_linear=51.0,
        bpp=1.2,
        compression_ratio=10.0,
        seconds_render=3.0,
        seconds_recover=1.0,
        peak_memory_mb=512.4,
    )
    return replace(row, **changes)  # type: ignore[arg-type]


TABLE = [
    made(),
    made(quality=95, raw_psnr=48.0),
    made(file="b|c.dng", raw_psnr=41.0, peak_memory_mb=None),
    made(file="b|c.dng", quality=95, raw_psnr=math.inf),
]


def test_means_are_means_of_psnrs_by_kind() -> None:
    first, second = means(TABLE)
    assert (first.quality, second.quality) == (90, 95)
    assert first.files == second.files == 2
    assert first.raw_psnr == pytest.approx((47.123456 + 41) / 2)
    assert second.raw_psnr == math.inf
    assert first.rgb_ssim == pytest.approx(0.99)


@pytest.mark.parametrize(
    "change", [{"model": "invisp"}, {"headroom": 1.0}, {"subsampling": "4:4:4"}]
)
def test_each_setting_has_a_mean_of_its_own(change: dict[str, object]) -> None:
    assert [mean.files for mean in means([made(), made(**change), made(file="x")])] == [2, 1]


def test_no_rows_no_means() -> None:
    assert means([]) == []


def test_csv(tmp_path: Path) -> None:
    write_table(tmp_path / "t.CSV", TABLE)
    read = list(csv.DictReader((tmp_path / "t.CSV").read_text().splitlines()))
    assert list(read[0]) == [each.name for each in fields(Row)]
    assert [line["file"] for line in read] == [
        "a.dng",
        "a.dng",
        "b|c.dng",
        "b|c.dng",
        *["mean"] * 2,
    ]
    assert read[0]["raw_psnr"] == "47.12"
    assert read[0]["peak_memory_mb"] == "512"
    assert read[2]["peak_memory_mb"] == ""
    assert read[3]["raw_psnr"] == "inf"
    assert (read[4]["quality"], read[4]["raw_psnr"], read[4]["camera"]) == ("90", "44.06", "")


def test_json_keeps_all_digits_and_is_strict(tmp_path: Path) -> None:
    write_table(tmp_path / "t.json", TABLE)

    def refuse(constant: str) -> float:
        raise AssertionError(f"{constant} is not JSON")

    table = json.loads((tmp_path / "t.json").read_text(), parse_constant=refuse)
    assert table["rows"][0] == asdict(TABLE[0])
    assert table["rows"][3]["raw_psnr"] is None
    assert [list(mean) for mean in table["means"]] == [[f.name for f in fields(Mean)]] * 2
    assert table["means"][0]["raw_psnr"] == pytest.approx(44.061728)
    assert table["means"][1]["raw_psnr"] is None


def test_markdown(tmp_path: Path) -> None:
    write_table(tmp_path / "t.md", TABLE)
    note, empty, *lines = (tmp_path / "t.md").read_text().splitlines()
    assert note == "All rows: model physics, subsampling 4:2:2, headroom 0.5."
    assert empty == ""
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    assert {len(line) for line in cells} == {len(cells[0])}
    heads, rules, *body = cells
    assert "model" not in heads
    assert "quality" in heads
    assert set(rules) == {"---", "---:"}
    column = heads.index("RAW PSNR")
    assert [line[column] for line in body] == ["47.12", "48.00", "41.00", "inf", "44.06", "inf"]
    assert [line[0] for line in body] == [
        "a.dng", "a.dng", r"b\|c.dng", r"b\|c.dng", "mean", "mean",
    ]  # fmt: skip


@pytest.mark.parametrize("suffix", [".csv", ".json", ".md"])
def test_the_same_rows_make_the_same_file(suffix: str, tmp_path: Path) -> None:
    first, second = tmp_path / f"1{suffix}", tmp_path / f"2{suffix}"
    write_table(first, TABLE)
    write_table(second, TABLE)
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("name", ["table", "table.txt", "table.xlsx"])
def test_other_kinds_of_table_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"let its name end in \.csv, \.json, \.md"):
        table_format(Path(name))
    with pytest.raises(OutputError):
        write_table(tmp_path / name, TABLE)
    assert list(tmp_path.iterdir()) == []


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
