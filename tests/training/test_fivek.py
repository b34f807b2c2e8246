from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rawpy
from fivek_helpers import CANON, NIKON, OTHERS, make_fivek
from photographs import photograph

from napari_invisp.errors import DataError, RawFileError
from napari_invisp.sensor.dng import write_dng
from napari_invisp.sensor.reading import read_raw
from napari_invisp.training.fivek import (
    FiveKPicture,
    find_cameras,
    jobs,
    missing_pictures,
)


@pytest.fixture(scope="module")
def fivek(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_fivek(tmp_path_factory.mktemp("download"))


def test_the_layout_of_the_download(fivek: Path) -> None:
    files = {path.name: path.relative_to(fivek) for path in fivek.rglob("*.dng")}
    assert len(files) == len(CANON + NIKON + OTHERS)
    assert files["a0001-jmac_DSC1459.dng"].parent == Path("raw_photos/HQa1to700/photos")
    assert files["a4999-jmac_MG_4999.dng"].parent == Path("raw_photos/HQa4201to5000/photos")


def test_cameras_are_told_by_their_exif(fivek: Path) -> None:
    steps = []
    found = find_cameras(fivek, progress=lambda *step: steps.append(step))
    assert set(found) == {"canon", "nikon"}
    assert set(found["canon"]) == set(CANON)
    assert set(found["nikon"]) == set(NIKON)
    assert len(steps) == len(CANON + NIKON + OTHERS)
    for name, path in found["nikon"].items():
        assert path.stem == name
        assert read_raw(path).camera == "NIKON D700"
    # The files may also lie in one folder, or be of one camera only.
    folder = found["canon"][CANON[0]].parent
    some = find_cameras(folder)
    assert set(some["canon"]) == {name for name in CANON if int(name[1:5]) <= 700}


def test_parts_by_seed_and_by_lists(fivek: Path) -> None:
    found = find_cameras(fivek)["canon"]
    planned = jobs(found, 0, 0.85)
    assert sorted(job.name for job in planned) == sorted(CANON)
    assert [job.split for job in planned].count("train") == 6
    listed = {CANON[2]: "train", CANON[0]: "test", NIKON[0]: "train", "a1111-none": "test"}
    planned = jobs(found, 0, 0.85, listed)
    assert {job.name: job.split for job in planned} == {CANON[0]: "test", CANON[2]: "train"}
    assert missing_pictures({"canon": found}, listed) == [NIKON[0], "a1111-none"]


def test_ground_truth_is_libraws_default(tmp_path: Path) -> None:
    """White depends on the scene in it, unlike in the reference: here it is lower."""
    path = tmp_path / "a0001.dng"
    record = photograph(128, 160, make="NIKON CORPORATION", model="NIKON D700", orientation=8)
    mosaic = (record.mosaic * (0.85 * record.white / record.mosaic.max())).astype(np.uint16)
    write_dng(path, record.replace(mosaic=mosaic))
    record, truth = FiveKPicture(path, "train").make()
    assert record == read_raw(path)
    assert truth.shape == (*record.mosaic.shape, 3)
    with rawpy.imread(str(path)) as raw:
        upright = raw.postprocess(use_camera_wb=True, no_auto_bright=True)
    np.testing.assert_array_equal(np.rot90(truth), upright)
    with rawpy.imread(str(path)) as raw:
        fixed = raw.postprocess(use_camera_wb=True, no_auto_bright=True, adjust_maximum_thr=0)
    assert (upright.astype(int) - fixed).mean() > 3


def test_damaged_files(fivek: Path, tmp_path: Path) -> None:
    source = next(fivek.rglob("*.dng"))
    path = tmp_path / "a0001.dng"
    path.write_bytes(source.read_bytes()[:-3000])
    with pytest.raises(RawFileError, match=r"a0001\.dng is cut short"):
        FiveKPicture(path, "train").make()


def test_other_folders(fivek: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no DNG files in .*; unpack MIT-Adobe FiveK there"):
        find_cameras(tmp_path)
    (tmp_path / "a.dng").write_text("no RAW")
    with pytest.raises(DataError, match=r"none of the 1 DNG files .* Canon EOS 5D or a NIKON D700"):
        find_cameras(tmp_path)
