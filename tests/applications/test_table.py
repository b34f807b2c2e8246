from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from application_rows import applied
from photographs import photograph
from records import CAPTURE

from napari_invisp.applications.comparing import compare_sources, differences, worked_on_codes
from napari_invisp.applications.operations import OPERATIONS, TONE_MAPPINGS
from napari_invisp.applications.table import ApplicationMean, ApplicationRow, Applications
from napari_invisp.errors import Cancelled, InvispError, RawFileError, SettingsError
from napari_invisp.evaluation.rows import means, read_rows
from napari_invisp.evaluation.tables import write_table
from napari_invisp.jpeg.codec import decode_jpeg
from napari_invisp.pipeline import Pipeline
from napari_invisp.sensor.dng import write_dng
from napari_invisp.sensor.reading import read_raw
from napari_invisp.settings import RenderSettings

pytestmark = pytest.mark.usefixtures("one_thread")

SETTINGS = RenderSettings(model="physics", device="cpu")
BY_NAME = {each.name: each for each in OPERATIONS}
CHOSEN = [BY_NAME[name] for name in ("neutral", "exposure +2 EV", "tone mapping")]
SOURCES = [
    ("recovered RAW", 0),
    ("recovered RAW", 8192),
    ("plain JPEG", None),
    ("plain JPEG, filters on its codes", None),
]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("raw") / "photo.dng"
    write_dng(path, photograph(240, 320))
    return path


@pytest.fixture(scope="module")
def rows(path: Path) -> list[ApplicationRow]:
    return list(Applications(SETTINGS, [90], [0, 8192], CHOSEN).rows(path))


@pytest.fixture(scope="module")
def bracket(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """One scene at two exposures, 2 EV apart."""
    folder = tmp_path_factory.mktemp("bracket")
    long = photograph(160, 224)
    rows, columns = np.mgrid[:160, :224]
    black = long.black[rows % 2, columns % 2]
    short = black + (long.mosaic - black) / 4
    paths = []
    for name, mosaic, time in (("long", long.mosaic, 1 / 100), ("short", short, 1 / 400)):
        record = long.replace(
            mosaic=np.rint(mosaic).astype(np.uint16),
            capture=replace(CAPTURE, exposure_time=time),
        )
        paths.append(folder / f"{name}.dng")
        write_dng(paths[-1], record)
    return paths


def test_every_operation_has_its_sources_in_order(rows: list[ApplicationRow]) -> None:
    assert [(row.operation, row.source, row.side_info) for row in rows] == [
        *(("neutral", *source) for source in SOURCES[:3]),
        *(("exposure +2 EV", *source) for source in SOURCES),
        *(("tone mapping", *source) for source in SOURCES[:3]),
    ]
    assert {(row.file, row.camera, row.quality) for row in rows} == {
        ("photo.dng", "Maker Model One", 90)
    }
    assert {(row.width, row.height) for row in rows} == {(320, 240)}


def test_figures_are_those_of_the_pipeline_and_the_operation(
    rows: list[ApplicationRow], path: Path
) -> None:
    record = read_raw(path)
    pipeline = Pipeline(SETTINGS)
    jpeg = pipeline.encode(pipeline.render(record), 90)
    picture = decode_jpeg(jpeg).rgb
    for operation in CHOSEN:
        shown = compare_sources(record, pipeline.recover(jpeg).record, picture, operation)
        for source in ("recovered RAW", "plain JPEG"):
            (row,) = (
                row
                for row in rows
                if (row.operation, row.source) == (operation.name, source) and not row.side_info
            )
            found = differences(shown["original RAW"], shown[source])
            assert (row.psnr, row.ssim) == pytest.approx((found.psnr, found.ssim))
            assert row.delta_e == pytest.approx(found.delta_e)
    (on_codes,) = (row for row in rows if row.source == SOURCES[-1][0])
    brighter = compare_sources(record, record, picture, CHOSEN[1])["original RAW"]
    naive = worked_on_codes(picture, lambda codes: codes * 4)
    assert on_codes.psnr == pytest.approx(differences(brighter, naive).psnr)


def test_recovered_raw_serves_better_than_the_jpeg_and_more_so_with_side_information(
    rows: list[ApplicationRow],
) -> None:
    for operation in CHOSEN:
        psnrs = [row.psnr for row in rows if row.operation == operation.name]
        plain, helped, jpeg = psnrs[:3]
        assert helped > plain + 1
        assert plain > jpeg
    *_, light, codes = (row.psnr for row in rows if row.operation == "exposure +2 EV")
    assert light > codes + 10


def test_brackets_are_merged_from_every_source(bracket: list[Path]) -> None:
    notes: list[str] = []
    work = Applications(SETTINGS, [90], [0], TONE_MAPPINGS[:1], notify=notes.append)
    recovered, plain = work.bracket_rows(bracket)
    assert recovered.file == plain.file == "long.dng + short.dng"
    assert [recovered.source, plain.source] == ["recovered RAW", "plain JPEG"]
    assert recovered.psnr > plain.psnr > 20
    with pytest.raises(RawFileError, match="two RAW files or more"):
        list(work.bracket_rows(bracket[:1]))


def test_only_the_middle_is_worked_on_if_asked_for(path: Path) -> None:
    work = Applications(SETTINGS, [90], [0], CHOSEN[:1], middle=96)
    assert {(row.width, row.height) for row in work.rows(path)} == {(96, 96)}


def test_progress_is_reported_and_work_can_be_stopped(path: Path) -> None:
    stages: list[str] = []
    work = Applications(
        SETTINGS,
        [90],
        operations=CHOSEN[:1],
        progress=lambda stage, done, total: stages.append(stage),
        middle=96,
    )
    list(work.rows(path))
    assert {"developing: original RAW", "rendering", "recovering", "neutral: plain JPEG"} <= set(
        stages
    )
    with pytest.raises(Cancelled):
        list(Applications(SETTINGS, [90], cancelled=lambda: True).rows(path))


def test_bad_settings_and_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="quality 101"):
        Applications(SETTINGS, [90, 101])
    with pytest.raises(SettingsError, match="side_info -1"):
        Applications(SETTINGS, [90], [-1])
    with pytest.raises(RawFileError, match="does not exist"):
        list(Applications(SETTINGS, [90]).rows(tmp_path / "none.dng"))


def test_tables_are_written_averaged_and_read_back(tmp_path: Path) -> None:
    table = [
        applied("neutral", "recovered RAW", 44.0, side_info=0),
        applied("neutral", "plain JPEG", math.inf),
        applied("neutral", "recovered RAW", 46.0, side_info=0, file="b.dng"),
        applied("neutral", "recovered RAW", 50.0, side_info=4096, file="b.dng"),
    ]
    first, *others = (m for m in means(table) if isinstance(m, ApplicationMean))
    assert (first.operation, first.source, first.files, first.psnr) == (
        *("neutral", "recovered RAW"),
        *(2, 45.0),
    )
    assert [mean.files for mean in others] == [1, 1]
    write_table(tmp_path / "t.json", table, {"physics": {}})
    values = json.loads((tmp_path / "t.json").read_text())
    assert values["rows"][1]["psnr"] is None
    assert read_rows(values, ApplicationRow, "table of applications") == table
    with pytest.raises(InvispError, match="no table of applications"):
        read_rows({"rows": [{"file": "a"}]}, ApplicationRow, "table of applications")
    write_table(tmp_path / "t.md", table)
    note, _, heads, _, line, *_ = (tmp_path / "t.md").read_text().splitlines()
    assert note == "All rows: operation neutral, quality 90."
    assert heads == (
        "| file | camera | from | side information, bytes | width | height "
        "| PSNR | SSIM | ΔE2000 | ΔE2000, 95 % |"
    )
    assert line == (
        "| a.dng | Maker One | recovered RAW | 0 | 100 | 80 | 44.00 | 0.9800 | 1.50 | 3.00 |"
    )
