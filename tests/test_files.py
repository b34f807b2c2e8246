from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from napari_invisp.errors import OutputError
from napari_invisp.files import atomic_path, write_bytes_atomic


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_whole_file_is_there_or_none(tmp_path: Path) -> None:
    target = tmp_path / "a.jpg"
    with atomic_path(target) as temporary:
        temporary.write_bytes(b"half")
        assert not target.exists()
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".jpg"
    assert target.read_bytes() == b"half"
    assert names(tmp_path) == ["a.jpg"]


def test_a_file_is_replaced(tmp_path: Path) -> None:
    target = tmp_path / "a.jpg"
    target.write_bytes(b"old")
    write_bytes_atomic(target, b"new")
    assert target.read_bytes() == b"new"
    assert names(tmp_path) == ["a.jpg"]


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
def test_after_a_failure_all_is_as_before(failure: type[BaseException], tmp_path: Path) -> None:
    target = tmp_path / "a.jpg"
    target.write_bytes(b"old")

    def fail() -> None:
        with atomic_path(target) as temporary:
            temporary.write_bytes(b"new")
            raise failure

    with pytest.raises(failure):
        fail()
    assert target.read_bytes() == b"old"
    assert names(tmp_path) == ["a.jpg"]


def test_a_full_disk_is_an_output_error(tmp_path: Path) -> None:
    target = tmp_path / "a.jpg"
    with (
        pytest.raises(OutputError, match=r"cannot write .*a\.jpg: No space left"),
        atomic_path(target),
    ):
        raise OSError(28, "No space left on device")
    assert names(tmp_path) == []


def test_a_missing_folder(tmp_path: Path) -> None:
    target = tmp_path / "nowhere" / "a.jpg"
    with pytest.raises(OutputError, match=r"cannot write .*a\.jpg: No such file or directory"):
        write_bytes_atomic(target, b"")
    assert names(tmp_path) == []


def test_a_file_in_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"kept")
    with pytest.raises(OutputError, match="cannot write"):
        write_bytes_atomic(tmp_path / "file" / "a.jpg", b"")
    assert (tmp_path / "file").read_bytes() == b"kept"


def test_a_folder_in_place_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "folder.jpg").mkdir()
    with pytest.raises(OutputError, match=r"folder\.jpg is a folder; name a file to write"):
        write_bytes_atomic(tmp_path / "folder.jpg", b"")
    assert names(tmp_path) == ["folder.jpg"]


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_others_may_read_it_as_far_as_the_umask_says(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_bytes_atomic(tmp_path / "a.jpg", b"")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.jpg").stat().st_mode) == 0o640
