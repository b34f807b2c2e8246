from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_invisp.errors import DataError
from napari_invisp.training.splitting import split_by_lists, split_by_seed

NAMES = [f"a{n:04}" for n in range(777)]


def test_the_papers_share() -> None:
    splits = split_by_seed(NAMES, 0, 0.85)
    assert list(splits.values()).count("train") == 660
    assert splits == split_by_seed(NAMES[::-1], 0, 0.85)
    other = split_by_seed(NAMES, 1, 0.85)
    # Two random choices of 117 share 18 on average.
    both = sum(splits[name] == other[name] == "test" for name in NAMES)
    assert 5 < both < 32


@given(st.sets(st.text()), st.floats(0, 1), st.integers(0))
def test_every_picture_is_in_one_part(names: set[str], share: float, seed: int) -> None:
    splits = split_by_seed(names, seed, share)
    assert set(splits) == names
    count = list(splits.values()).count("train")
    assert abs(count - share * len(names)) <= 1
    if len(names) > 1 and 0 < share < 1:
        assert 0 < count < len(names)


def test_lists_of_the_authors(tmp_path: Path) -> None:
    first, second, test = (tmp_path / name for name in ("canon.txt", "nikon.txt", "test.txt"))
    first.write_text("a0001-jmac_DSC1459\na0002-dgw_005\n")
    second.write_bytes(b"\xef\xbb\xbfa1379-_DSC5348 (original)\r\n\r\na0003-x.dng")
    test.write_text("a0004-_MG_1")
    assert split_by_lists([first, second], [test]) == {
        "a0001-jmac_DSC1459": "train",
        "a0002-dgw_005": "train",
        "a1379-_DSC5348 (original)": "train",
        "a0003-x": "train",
        "a0004-_MG_1": "test",
    }


def test_lists_that_make_no_sense(tmp_path: Path) -> None:
    train, test = tmp_path / "train.txt", tmp_path / "test.txt"
    train.write_text("a\nb\n")
    test.write_text("c\nb\n")
    with pytest.raises(DataError, match="both train on b and hold it out"):
        split_by_lists([train], [test])
    test.write_text("\n")
    with pytest.raises(DataError, match=r"test\.txt names no picture"):
        split_by_lists([train], [test])
    test.write_bytes(b"\xff\x00")
    with pytest.raises(DataError, match=r"test\.txt is not a text file"):
        split_by_lists([train], [test])
    with pytest.raises(DataError, match="does not exist"):
        split_by_lists([tmp_path / "no.txt"], [])
