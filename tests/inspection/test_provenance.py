from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from records import make_smooth_record

from napari_invisp.inspection.provenance import FORMAT, Provenance, of_recovery, recall
from napari_invisp.pipeline import Pipeline
from napari_invisp.sensor.dng import write_dng
from napari_invisp.settings import ArchiveSettings, RenderSettings

FULL = Provenance(
    kind="recovered_mosaic",
    source="Büro.CR2",
    camera="Canon EOS 30D",
    taken="2005:06:07 08:09:10",
    model="universal",
    headroom=0.5,
    quality=90,
    subsampling="4:2:2",
    figures={"raw_psnr": 48.25, "jpeg_bytes": 123456, "identical": False},
    values="sensor counts in DN",
)


def test_what_is_written_is_read() -> None:
    text = FULL.to_json()
    assert text.isascii()
    assert json.loads(text)[FORMAT] == 1
    assert Provenance.from_json(text) == FULL
    assert FULL.software is not None
    assert FULL.software.startswith("napari-invisp ")


def test_what_is_unknown_stays_unknown() -> None:
    bare = Provenance("mosaic", software=None, made=None)
    assert json.loads(bare.to_json()) == {FORMAT: 1, "kind": "mosaic"}
    assert Provenance.from_json(bare.to_json()) == bare


def test_infinite_figures_become_none() -> None:
    same = FULL.replace(figures={"raw_psnr": float("inf")})
    assert Provenance.from_json(same.to_json()).figures == {"raw_psnr": None}


def test_later_versions_may_say_more() -> None:
    text = json.dumps(json.loads(FULL.to_json()) | {"weather": "fine"})
    assert Provenance.from_json(text) == FULL


@pytest.mark.parametrize(
    "changes",
    [
        {FORMAT: 2},
        {FORMAT: True},
        {FORMAT: "1"},
        {"kind": None},
        {"kind": 3},
        {"quality": 90.5},
        {"quality": True},
        {"headroom": "half"},
        {"headroom": float("nan")},
        {"figures": [1]},
        {"figures": {"raw_psnr": [1]}},
        {"source": ["a"]},
    ],
)
def test_nonsense_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"cannot be|is not known"):
        Provenance.from_json(json.dumps(json.loads(FULL.to_json()) | changes))


@pytest.mark.parametrize("text", ["", "[]", "3", "{}", '{"napari-invisp": 1}', "[" * 100_000])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Provenance.from_json(text)


@given(st.text() | st.dictionaries(st.text(), st.integers() | st.text()).map(json.dumps))
def test_no_text_breaks_the_reader(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Provenance.from_json(text)


def test_a_jpeg_and_its_dng_say_how_they_were_made(tmp_path: Path) -> None:
    record = make_smooth_record()
    pipeline = Pipeline(RenderSettings(model="physics", headroom=0.25, quality=80))
    path = tmp_path / "photo.jpg"
    path.write_bytes(pipeline.encode(pipeline.render(record)))
    shown = recall(path)
    assert shown is not None
    assert (shown.kind, shown.camera, shown.taken) == (
        "jpeg",
        "Maker Model One",
        "2021:06:05 04:03:02",
    )
    settings = ("physics", 0.25, 80, "4:2:2")
    assert (shown.model, shown.headroom, shown.quality, shown.subsampling) == settings

    recovery = pipeline.recover(path.read_bytes())
    made = of_recovery(recovery, path)
    write_dng(tmp_path / "photo.dng", recovery.record, private=made.to_private())
    again = recall(tmp_path / "photo.dng")
    assert again == made
    assert (again.kind, again.source, again.model) == ("recovered_mosaic", "photo.jpg", "physics")
    assert (again.headroom, again.quality, again.subsampling) == settings[1:]
    assert (again.side_info, again.exact, again.helped_by) == (None, None, "")


@pytest.mark.parametrize("archive", [{"exact": True}, {"side_info": 2048}])
def test_recovered_raw_says_what_helped(tmp_path: Path, archive: dict[str, Any]) -> None:
    record, pipeline = make_smooth_record(), Pipeline(RenderSettings(model="physics"))
    data = pipeline.encode(pipeline.render(record), archive=ArchiveSettings(**archive))
    recovery = pipeline.recover(data)
    made = of_recovery(recovery, "photo.jpg")
    write_dng(tmp_path / "photo.dng", recovery.record, private=made.to_private())
    again = recall(tmp_path / "photo.dng")
    assert again == made
    if "exact" in archive:
        assert (again.exact, again.side_info) == (True, None)
        assert again.helped_by == "an exact archive"
    else:
        assert again.exact is None
        assert again.side_info == recovery.side_info > 0
        assert again.helped_by == f"{recovery.side_info:,} bytes of side information"


def test_files_of_others_say_nothing(tmp_path: Path) -> None:
    pixels = np.zeros((30, 40, 3), np.uint8)
    for name in ("a.png", "a.jpg", "a.tif"):
        Image.fromarray(pixels).save(tmp_path / name)
    tifffile.imwrite(tmp_path / "b.tif", pixels, description=f"about {FORMAT}", metadata=None)
    write_dng(tmp_path / "a.dng", make_smooth_record())
    write_dng(
        tmp_path / "b.dng", make_smooth_record(), private=b"Adobe\0" + FULL.to_json().encode()
    )
    for name in ("c.dng", "c.tif", "c.exr", "c.png", "c.jpg", "c.txt"):
        (tmp_path / name).write_bytes(b"nothing that is known")
    for path in (*tmp_path.iterdir(), tmp_path / "missing.tif"):
        assert recall(path) is None
