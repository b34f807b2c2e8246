from __future__ import annotations

import csv
import json
import math
from dataclasses import asdict, fields
from pathlib import Path

import pytest
from table_rows import made

from napari_invisp.errors import InvispError, OutputError
from napari_invisp.evaluation import Mean, Row, means
from napari_invisp.evaluation.paper import PaperRow
from napari_invisp.evaluation.rows import rows_from
from napari_invisp.evaluation.tables import table_format, table_values, write_table

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
    assert set(read[0]) == {each.name for each in fields(Row)}
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
    assert table["models"] == {}
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


def test_markdown_has_a_yardstick_only_where_one_was_measured(tmp_path: Path) -> None:
    write_table(tmp_path / "without.md", TABLE)
    write_table(tmp_path / "with.md", [made(lossy_dng_raw_psnr=46.5), made(file="b.dng")])
    assert "lossy DNG" not in (tmp_path / "without.md").read_text()
    text = (tmp_path / "with.md").read_text()
    assert "| lossy DNG |" in text
    assert "| 46.50 |" in text
    assert text.count("46.50") == 1  # unknown of one file, so there is no mean


def test_rows_come_back_from_json(tmp_path: Path) -> None:
    write_table(tmp_path / "t.json", TABLE, {"physics": {"weights": None}})
    table = json.loads((tmp_path / "t.json").read_text())
    assert rows_from(table) == TABLE
    assert table["models"] == {"physics": {"weights": None}}
    for broken in ({}, {"rows": [{"file": "a"}]}, {"rows": 3}):
        with pytest.raises(InvispError, match="no table of full frames"):
            rows_from(broken)


def test_rows_of_the_papers_protocol_have_a_table_of_their_own(tmp_path: Path) -> None:
    rows = [
        PaperRow(
            file=file,
            camera="Canon EOS 5D",
            model="canon.pth",
            quality=90,
            subsampling="4:2:2",
            headroom=0.5,
            width=30,
            height=20,
            protocol="paper",
            rgb_psnr=psnr,
            rgb_ssim=0.9,
            raw_psnr=40.0,
            bpp=2.0,
        )
        for file, psnr in (("a", 30.0), ("b", 34.0))
    ]
    (mean,) = table_values(rows)["means"]
    assert mean["files"] == 2
    assert mean["rgb_psnr"] == pytest.approx(32)
    assert mean["protocol"] == "paper"
    write_table(tmp_path / "t.md", rows)
    text = (tmp_path / "t.md").read_text()
    assert text.startswith("All rows: protocol paper, model canon.pth, ")
    assert "| RGB PSNR | RGB SSIM | RAW PSNR | bpp |" in text
    with pytest.raises(InvispError, match="no table of full frames"):
        rows_from(table_values(rows))


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
