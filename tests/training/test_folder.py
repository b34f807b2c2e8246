from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from records import make_record, make_smooth_record

from napari_invisp.errors import DataError, RawFileError
from napari_invisp.sensor.dng import write_dng
from napari_invisp.sensor.libraw import reference_srgb_file
from napari_invisp.sensor.reading import read_raw
from napari_invisp.training.folder import jobs


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for n, name in enumerate(("a.dng", "2004/a.dng", "2004/May/b.DNG", "2005/c.dng", "d.dng")):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_dng(path, make_record((30, 40), seed=n))
    for name in ("a.jpg", "notes.txt", "._a.dng", "2004/readme"):
        (tmp_path / "photos" / name).write_text("no RAW")
    (tmp_path / "photos" / "folder.dng").mkdir()
    return tmp_path / "photos"


def test_all_raw_files_in_a_folder(photos: Path) -> None:
    found = jobs([photos], 0, 0.6)
    names = ["2004/May/b.DNG", "2004/a.dng", "2005/c.dng", "a.dng", "d.dng"]
    assert [job.name for job in found] == names
    assert [job.path for job in found] == [photos.resolve() / name for name in names]
    assert [job.split for job in found].count("train") == 3
    assert jobs([photos], 0, 0.6) == found
    assert any(jobs([photos], seed, 0.6) != found for seed in (1, 2, 3))


def test_several_sources(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(photos)
    found = jobs([Path("2004"), Path("2005"), Path("a.dng"), Path("2004")], 0, 1)
    assert [job.name for job in found] == [
        "2004/May/b.DNG",
        "2004/a.dng",
        "2005/c.dng",
        "a.dng",
    ]
    (photos / "2005" / "2004").mkdir()
    write_dng(photos / "2005" / "2004" / "a.dng", make_record((30, 40)))
    with pytest.raises(DataError, match=r"would both be called 2004/a\.dng"):
        jobs([Path("2004"), Path("2005/2004")], 0, 1)


def test_a_picture_is_the_file_and_its_reference(tmp_path: Path) -> None:
    path = tmp_path / "a.dng"
    write_dng(path, make_smooth_record((60, 72), "GBRG").replace(orientation=6))
    (job,) = jobs([path], 0, 0.85)
    record, reference = job.make()
    assert record == read_raw(path)
    assert record.orientation == 6
    assert reference.shape == (60, 72, 3)
    difference = reference.astype(int) - reference_srgb_file(path)
    assert np.abs(difference).max() <= 1


def test_nothing_to_use(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there are no camera RAW files in"):
        jobs([tmp_path], 0, 0.85)
    with pytest.raises(DataError, match="nowhere does not exist"):
        jobs([tmp_path / "nowhere"], 0, 0.85)
    (tmp_path / "a.txt").write_text("no RAW")
    (job,) = jobs([tmp_path / "a.txt"], 0, 0.85)
    with pytest.raises(RawFileError, match=r"a\.txt is not a camera RAW file"):
        job.make()
