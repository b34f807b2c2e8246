from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import rawpy
from photographs import photograph
from size_rows import sized

from napari_invisp.errors import Cancelled, InvispError, RawFileError, SettingsError
from napari_invisp.evaluation import Compression, CompressionMean, CompressionRow, means
from napari_invisp.evaluation import compression as module
from napari_invisp.evaluation.compression import KINDS, Subject
from napari_invisp.evaluation.rows import read_rows, rows_from
from napari_invisp.evaluation.tables import table_values, write_table
from napari_invisp.metrics import raw_psnr
from napari_invisp.pipeline import Pipeline
from napari_invisp.sensor.dng import write_dng
from napari_invisp.sensor.reading import read_raw
from napari_invisp.settings import RenderSettings

pytestmark = pytest.mark.usefixtures("one_thread")

SETTINGS = RenderSettings(model="physics", device="cpu", headroom=1.0)
QUALITIES = (75, 95)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("raw") / "photo.dng"
    write_dng(path, photograph(480, 640), compression="none")
    return path


@pytest.fixture(scope="module")
def rows(path: Path) -> list[CompressionRow]:
    return list(Compression(SETTINGS, QUALITIES).rows(path))


def of_kind(rows: list[CompressionRow], kind: str) -> list[CompressionRow]:
    return [row for row in rows if row.kind == kind]


def test_every_kind_has_its_rows_in_order(rows: list[CompressionRow]) -> None:
    assert [(row.kind, row.setting) for row in rows] == [
        ("camera's own file", ""),
        ("lossless DNG", ""),
        ("lossless JPEG XL of the CFA planes", ""),
        ("JPEG with capsule", "quality 75, 4:2:2, headroom 1"),
        ("JPEG with capsule", "quality 95, 4:2:2, headroom 1"),
        ("JPEG with side information", "quality 95, 4 KB"),
        ("JPEG with side information", "quality 95, 16 KB"),
        ("JPEG with side information", "quality 95, 64 KB"),
        ("JPEG as exact archive", "quality 75"),
        ("JPEG as exact archive", "quality 95"),
        ("lossy DNG", "bytes of quality 75"),
        ("lossy DNG", "bytes of quality 95"),
    ]
    assert {(row.file, row.camera) for row in rows} == {("photo.dng", "Maker Model One")}


def test_bits_and_ratios_are_those_of_whole_files(rows: list[CompressionRow], path: Path) -> None:
    assert rows[0].bytes == path.stat().st_size
    for row in rows:
        assert row.bpp == pytest.approx(8 * row.bytes / (480 * 640))
        # 12 bits a sample, packed.
        assert row.compression_ratio == pytest.approx(480 * 640 * 12 / 8 / row.bytes)
        assert (row.seconds is None) == (row.kind == "camera's own file")
        assert row.seconds is None or row.seconds > 0


def test_lossless_kinds_are_smaller_than_the_file_and_keep_all(rows: list[CompressionRow]) -> None:
    camera, dng, jpegxl = rows[:3]
    assert jpegxl.bytes < dng.bytes < camera.bytes
    assert all(math.isinf(row.raw_psnr) and row.quality is None for row in rows[:3])


def test_our_jpeg_is_what_the_pipeline_writes(rows: list[CompressionRow], path: Path) -> None:
    record = read_raw(path)
    pipeline = Pipeline(SETTINGS)
    rendering = pipeline.render(record)
    for row, quality in zip(of_kind(rows, "JPEG with capsule"), QUALITIES, strict=True):
        jpeg = pipeline.encode(rendering, quality)
        assert (row.quality, row.bytes) == (quality, len(jpeg))
        assert row.raw_psnr == pytest.approx(raw_psnr(record, pipeline.recover(jpeg).record))


def test_side_information_and_archives_take_bytes_and_keep_more(
    rows: list[CompressionRow],
) -> None:
    plain = of_kind(rows, "JPEG with capsule")
    helped = [plain[1], *of_kind(rows, "JPEG with side information")]
    for less, more in pairwise(helped):
        assert more.raw_psnr > less.raw_psnr
        assert more.bytes > less.bytes
    for each, size in zip(helped[1:], (4096, 16384, 65536), strict=True):
        assert each.bytes <= plain[1].bytes + size + 1000
    for each, picture in zip(of_kind(rows, "JPEG as exact archive"), plain, strict=True):
        assert math.isinf(each.raw_psnr)
        assert each.bytes < picture.bytes + rows[1].bytes


def test_lossy_dng_gets_at_least_the_bytes_of_our_jpeg_and_no_quality_too_many(
    rows: list[CompressionRow], path: Path
) -> None:
    lossy = module.LossyDng(read_raw(path))
    for ours, theirs in zip(
        of_kind(rows, "JPEG with capsule"), of_kind(rows, "lossy DNG"), strict=True
    ):
        assert theirs.quality is not None
        assert theirs.bytes == len(lossy.dng_at(theirs.quality))
        assert len(lossy.dng_at(theirs.quality - 1)) < ours.bytes <= theirs.bytes
        assert theirs.raw_psnr == lossy.at_quality(theirs.quality).raw_psnr
        with rawpy.imread(io.BytesIO(lossy.dng_at(theirs.quality))) as raw:
            assert raw.raw_image_visible.shape[:2] == (480, 640)


def test_where_no_lossy_dng_is_large_enough_it_is_the_largest(path: Path) -> None:
    lossy = module.LossyDng(read_raw(path).middle(64))
    assert lossy.quality_reaching(10**9) == 100
    assert lossy.quality_reaching(0) == 1


def test_what_does_not_come_back_is_never_called_lossless(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoilt(mosaic: np.ndarray) -> list[bytes]:
        changed = mosaic.copy()
        changed[3, 5] ^= 1
        return [
            imagecodecs.jpegxl_encode(changed[y::2, x::2].copy(), lossless=True)
            for y in (0, 1)
            for x in (0, 1)
        ]

    monkeypatch.setattr(module, "jpegxl_planes", spoilt)
    with pytest.raises(RuntimeError, match=r"JPEG XL .* of photo.dng does not decode"):
        list(Compression(SETTINGS, [90], [module.lossless_jpegxl]).rows(path))


def test_kinds_can_be_added(path: Path) -> None:
    def thumbnail(subject: Subject) -> Iterator[CompressionRow]:
        yield subject.row("thumbnail", 100, 10.0, None, "as ever")

    *_, last = Compression(SETTINGS, [90], [KINDS[0], thumbnail]).rows(path)
    assert (last.kind, last.setting, last.bytes) == ("thumbnail", "as ever", 100)
    assert last.bpp == pytest.approx(800 / (480 * 640))


def test_the_frame_is_rendered_once_and_only_for_kinds_that_need_it(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rendered: list[object] = []
    render = Pipeline.render

    def counted(self: Pipeline, record: object) -> object:
        rendered.append(record)
        return render(self, record)  # type: ignore[arg-type]

    monkeypatch.setattr(Pipeline, "render", counted)
    list(Compression(SETTINGS, [60, 70], KINDS[:3]).rows(path))
    assert rendered == []
    list(Compression(SETTINGS, [60, 70]).rows(path))
    assert len(rendered) == 1


def test_progress_is_reported_and_work_can_be_stopped(path: Path) -> None:
    stages: list[str] = []
    work = Compression(SETTINGS, [90], progress=lambda stage, done, total: stages.append(stage))
    list(work.rows(path))
    assert {"lossless DNG", "rendering", "recovering", "lossy DNG"} <= set(stages)
    with pytest.raises(Cancelled):
        list(Compression(SETTINGS, [90], cancelled=lambda: True).rows(path))


def test_bad_settings_and_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="quality 101"):
        Compression(SETTINGS, [90, 101])
    with pytest.raises(RawFileError, match="does not exist"):
        list(Compression(SETTINGS, [90]).rows(tmp_path / "none.dng"))


TABLE = [
    sized("lossless DNG", 7.0, setting=""),
    sized("lossy DNG", 1.0, 45.0, setting="bytes of quality 90", quality=92),
    sized("lossless DNG", 9.0, file="b.dng"),
    sized("lossy DNG", 3.0, 47.0, file="b.dng", setting="bytes of quality 90", quality=95),
    sized("camera's own file", 8.0, file="b.dng", seconds=None),
]


def test_means_are_taken_by_kind_and_setting() -> None:
    lossless, lossy, camera = (m for m in means(TABLE) if isinstance(m, CompressionMean))
    assert (lossless.kind, lossless.files, lossless.bpp) == ("lossless DNG", 2, 8.0)
    assert math.isinf(lossless.raw_psnr)
    assert (lossy.setting, lossy.raw_psnr, lossy.seconds) == ("bytes of quality 90", 46.0, 0.5)
    assert (camera.files, camera.seconds) == (1, None)


def test_tables_of_bytes_are_written_and_read_back(tmp_path: Path) -> None:
    write_table(tmp_path / "t.json", TABLE, {"physics": {}})
    table = json.loads((tmp_path / "t.json").read_text())
    assert table["rows"][0]["raw_psnr"] is None
    assert table["rows"][1]["raw_psnr"] == 45.0
    assert table["rows"][4]["seconds"] is None
    assert read_rows(table, CompressionRow, "table of bytes") == TABLE
    assert len(table["means"]) == 3
    with pytest.raises(InvispError, match="no table of full frames"):
        rows_from(table)
    with pytest.raises(InvispError, match="no table of bytes"):
        read_rows({"rows": [{"file": "a"}]}, CompressionRow, "table of bytes")

    write_table(tmp_path / "t.md", TABLE)
    heads, _, first, *_ = (tmp_path / "t.md").read_text().splitlines()
    titles = "file | camera | kept as | setting | quality | width | height | bytes | RAW PSNR"
    assert heads == f"| {titles} | bpp | ratio | seconds |"
    numbers = "100 | 80 | 7000 | inf | 7.00 | 1.71 | 0.50"
    assert first == f"| a.dng | Maker One | lossless DNG |  |  | {numbers} |"
    write_table(tmp_path / "t.csv", TABLE)
    assert len((tmp_path / "t.csv").read_text().splitlines()) == 1 + 5 + 3
    assert table_values(TABLE)["rows"][1]["quality"] == 92
