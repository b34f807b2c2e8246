from __future__ import annotations

import json
import pickle
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from records import make_record

from napari_invisp.errors import DataError, OutputError, SettingsError
from napari_invisp.sensor.record import CFA_PATTERNS
from napari_invisp.training.prepared import (
    PreparedSet,
    finished_picture,
    open_set,
    write_picture,
    write_set,
)
from napari_invisp.training.splitting import Split

RNG = np.random.default_rng(0)


def colours(shape: tuple[int, int]) -> np.ndarray:
    return RNG.integers(0, 256, (*shape, 3), dtype=np.uint8)


def make_set(folder: Path, sizes: dict[str, tuple[int, int]], **splits: Split) -> PreparedSet:
    for name, shape in sizes.items():
        write_picture(folder, name, make_record(shape), colours(shape), "train")
    write_set(folder, "test", {}, {name: splits.get(name, "train") for name in sizes})
    return open_set(folder)


@pytest.fixture
def numbered(tmp_path: Path) -> tuple[PreparedSet, np.ndarray, np.ndarray]:
    """A set of one picture whose samples are their own numbers, and what is in it."""
    mosaic = np.arange(197 * 331, dtype=np.uint16).reshape(197, 331)
    record = make_record((197, 331), "GBRG", mosaic=mosaic)
    reference = colours((197, 331))
    write_picture(tmp_path, "a", record, reference, "train")
    write_set(tmp_path, "test", {}, {"a": "train"})
    return open_set(tmp_path), mosaic, reference


# Round trip


@pytest.mark.parametrize("pattern", CFA_PATTERNS)
@pytest.mark.parametrize("shape", [(2, 2), (128, 128), (127, 257), (300, 129)])
def test_a_picture_comes_back_as_it_was(
    shape: tuple[int, int], pattern: str, tmp_path: Path
) -> None:
    record, reference = make_record(shape, pattern, orientation=6), colours(shape)
    write_picture(tmp_path, "a", record, reference, "test")
    write_set(tmp_path, "raw", {"seed": 3}, {"a": "test"})
    ready = open_set(tmp_path)
    assert (ready.kind, ready.made) == ("raw", {"seed": 3})
    (picture,) = ready.held_out()
    assert picture.name == "a"
    assert picture.record == record
    np.testing.assert_array_equal(picture.reference, reference)


def test_parts_and_names(tmp_path: Path) -> None:
    names = ["2004/été (1).CR2", "2005/été (1).CR2", "b/c:d?.nef", "a%2Fb"]
    ready = make_set(tmp_path, dict.fromkeys(names, (20, 30)), **{"a%2Fb": "test"})
    assert ready.names() == sorted(names)
    assert ready.names("test") == ["a%2Fb"]
    assert [each.name for each in ready.pictures("train")] == sorted(set(names) - {"a%2Fb"})
    assert [each.name for each in ready.pictures()[1:3]] == sorted(names)[1:3]
    assert len(ready) == 4
    with pytest.raises(DataError, match="no picture 'x'"):
        ready.picture("x")


def test_five_bytes_a_pixel(tmp_path: Path) -> None:
    ready = make_set(tmp_path, {"a": (1024, 1024)})
    assert 5 <= ready.stored_bytes / 1024**2 < 5.001
    on_disk = sum(path.stat().st_size for path in (tmp_path / "pictures").iterdir())
    assert on_disk / 1024**2 < 5.01


# Patches


def test_patches_are_windows_of_the_picture(
    numbered: tuple[PreparedSet, np.ndarray, np.ndarray],
) -> None:
    ready, mosaic, reference = numbered
    whole = ready.picture("a").record
    corners = []
    for _ in range(400):
        patch = ready.draw(RNG, 140, 4)
        assert (patch.side, patch.margin, patch.picture) == (140, 4, "a")
        top, left = divmod(int(patch.record.mosaic[0, 0]), 331)
        window = slice(top, top + 148), slice(left, left + 148)
        assert patch.record == whole.replace(mosaic=mosaic[window])
        np.testing.assert_array_equal(patch.reference, reference[window])
        corners.append((top, left))
    tops, lefts = np.array(corners).T
    assert set(tops) == set(range(0, 49 + 1, 2))
    assert (lefts % 2 == 0).all()
    assert (lefts.min(), lefts.max()) == (0, 182)


def test_a_patch_may_be_as_large_as_the_picture(tmp_path: Path) -> None:
    ready = make_set(tmp_path, {"a": (64, 64)})
    patch = ready.draw(RNG, 44, 10)
    assert patch.record == ready.picture("a").record


def test_larger_pictures_are_drawn_more_often_and_held_out_ones_never(tmp_path: Path) -> None:
    sizes = {"large": (120, 80), "small": (60, 40), "tiny": (20, 90), "kept": (200, 200)}
    ready = make_set(tmp_path, sizes, kept="test")
    rng = np.random.default_rng(1)
    names = [ready.draw(rng, 32).picture for _ in range(500)]
    assert set(names) == {"large", "small"}
    assert 370 < names.count("large") < 430  # 400 ± 3.4 σ


def test_chance_is_the_callers(numbered: tuple[PreparedSet, np.ndarray, np.ndarray]) -> None:
    ready = numbered[0]
    one, same = (ready.draw(np.random.default_rng(7), 32).record for _ in range(2))
    assert one == same


def test_a_set_works_in_other_processes(
    numbered: tuple[PreparedSet, np.ndarray, np.ndarray],
) -> None:
    ready = numbered[0]
    ready.draw(RNG, 32)
    copy = pickle.loads(pickle.dumps(ready))
    patches = [each.draw(np.random.default_rng(7), 32).record for each in (ready, copy)]
    assert patches[0] == patches[1]


def test_only_what_is_needed_is_read(tmp_path: Path) -> None:
    """A picture of 400 MP, 2 GB on disk if the files were not sparse."""
    write_picture(tmp_path, "a", make_record((128, 128)), colours((128, 128)), "train")
    for path, depth in zip(_arrays(tmp_path), ((), (3,)), strict=True):
        dtype = np.load(path).dtype
        shape = (157, 157, 128, 128, *depth)
        np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)[9, 9] = 1
    sidecar = tmp_path / "pictures" / "a.json"
    entry = json.loads(sidecar.read_text()) | {"height": 20000, "width": 20000}
    sidecar.write_text(json.dumps(entry))
    write_set(tmp_path, "test", {}, {"a": "train"})
    tracemalloc.start()
    ready = open_set(tmp_path)
    for _ in range(20):
        assert not ready.draw(np.random.default_rng(5), 256).record.mosaic.any()
    assert ready.pictures()
    assert len(ready.held_out()) == 0
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5e6


def _arrays(folder: Path) -> list[Path]:
    return sorted((folder / "pictures").glob("*.npy"))


@pytest.mark.parametrize(("side", "margin"), [(0, 8), (33, 0), (32, -2)])
def test_impossible_patches(side: int, margin: int, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=f"patch of {side}"):
        make_set(tmp_path, {"a": (64, 64)}).draw(RNG, side, margin)


def test_no_picture_to_draw_from(tmp_path: Path) -> None:
    ready = make_set(tmp_path / "one", {"a": (64, 200)})
    with pytest.raises(DataError, match=r"no picture in .*one is as large as 68 pixels"):
        ready.draw(RNG, 64, 2)
    ready = make_set(tmp_path / "two", {"a": (64, 200)}, a="test")
    with pytest.raises(DataError, match="two holds no picture to train on"):
        ready.draw(RNG, 32)


# What may be wrong


def _truncate(path: Path, missing: int = 1000) -> None:
    path.write_bytes(path.read_bytes()[:-missing])


@pytest.mark.parametrize("harm", [Path.unlink, _truncate])
@pytest.mark.parametrize("number", [0, 1])
def test_missing_and_truncated_pictures(
    number: int, harm: Callable[[Path], None], tmp_path: Path
) -> None:
    ready = make_set(tmp_path, {"a": (64, 64)})
    path = _arrays(tmp_path)[number]
    assert finished_picture(tmp_path, "a")
    harm(path)
    assert not finished_picture(tmp_path, "a")
    with pytest.raises(DataError, match=f"{path.name} is missing or cut short; run"):
        open_set(tmp_path)
    with pytest.raises(DataError, match=f"{path.name} cannot be read; run"):
        ready.draw(RNG, 32)


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda p: p.write_bytes(b"X" * p.stat().st_size), "cannot be read"),
        (lambda p: np.save(p, np.zeros((1, 1, 128, 128, 3, 9), np.uint8)), "does not fit its set"),
        (lambda p: _truncate(p, 20), "cannot be read"),
    ],
)
def test_damaged_pictures(harm: Callable[[Path], None], message: str, tmp_path: Path) -> None:
    make_set(tmp_path, {"a": (64, 64)})
    harm(_arrays(tmp_path)[1])
    with pytest.raises(DataError, match=rf"a\.reference\.npy {message}"):
        open_set(tmp_path).draw(RNG, 32)


def test_damaged_sets(tmp_path: Path) -> None:
    make_set(tmp_path, {"a": (64, 64)})
    listing = tmp_path / "set.json"
    sound = json.loads(listing.read_text())

    def changed(**changes: object) -> None:
        listing.write_text(json.dumps(sound | changes))

    for text in (listing.read_text()[:-9], "[]", "{}", "\0", '{"format": "of another kind"}'):
        listing.write_text(text)
        with pytest.raises(DataError, match=r"set\.json is damaged"):
            open_set(tmp_path)
    changed(version=99)
    with pytest.raises(DataError, match="prepared by another version"):
        open_set(tmp_path)
    (entry,) = sound["pictures"]
    for wrong in ({"split": "both"}, {"size": 3}):
        changed(pictures=[entry | wrong])
        with pytest.raises(DataError, match=r"set\.json is damaged"):
            open_set(tmp_path)
    changed(pictures=[entry | {"facts": entry["facts"] | {"pattern": "RGBW"}}])
    with pytest.raises(DataError, match=r"set\.json, a: .*RGBW"):
        open_set(tmp_path).draw(RNG, 32)


def test_no_set(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere is not a folder"):
        open_set(tmp_path / "nowhere")
    with pytest.raises(DataError, match="holds no training data: make some"):
        open_set(tmp_path)
    write_picture(tmp_path, "a", make_record(), colours((48, 64)), "train")
    with pytest.raises(DataError, match="its preparation was not finished"):
        open_set(tmp_path)


def test_what_cannot_be_written(tmp_path: Path) -> None:
    record = make_record()
    for reference in (colours((48, 62)), colours((48, 64)).astype(np.float32)):
        with pytest.raises(DataError, match="reference of a is"):
            write_picture(tmp_path, "a", record, reference, "train")
    for name in ("", ".a"):
        with pytest.raises(DataError, match="cannot be called"):
            write_picture(tmp_path, name, record, colours((48, 64)), "train")
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot write to"):
        write_picture(tmp_path / "file", "a", record, colours((48, 64)), "train")
