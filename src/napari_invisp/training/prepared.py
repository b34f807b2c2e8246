"""Prepared sets: pictures on disk in a form of which training reads only what it needs.

A set is a folder of

- ``set.json``: what the set is, how it was made, and of each picture name, part, size and the facts
  of its RAW record;
- ``pictures/NAME.mosaic.npy``: the mosaic, uint16, in tiles: ``(rows, columns, 128, 128)``;
- ``pictures/NAME.reference.npy``: the sRGB, uint8, likewise: ``(rows, columns, 128, 128, 3)``;
- ``pictures/NAME.json``: the picture's entry, written last, so that what has one is complete.

Tiles at the right and lower border are filled up with their last column and row. A window lies in
few tiles, each in one piece in its file, which is mapped into memory: 5 bytes a pixel on disk, and
only the pages that a window touches are read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, overload
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from napari_invisp.errors import DataError, OutputError, RawFileError, SettingsError
from napari_invisp.files import atomic_path, read_whole, write_bytes_atomic
from napari_invisp.sensor.record import RawRecord
from napari_invisp.strictjson import dumps
from napari_invisp.training.patch import Patch, Picture
from napari_invisp.training.splitting import SPLITS, Split

VERSION = 1
#: Side of a tile in pixels.
TILE = 128

_SET = "set.json"
_PICTURES = "pictures"
_FORMAT = "napari-invisp prepared set"
_AGAIN = "run napari-invisp prepare again"


@dataclass(frozen=True)
class Entry:
    """What a set says about a picture.

    Attributes
    ----------
    name
        Unique in its set.
    split
        The part that it belongs to.
    height, width
        Of the mosaic, in pixels.
    facts
        The record without its mosaic, see :meth:`~napari_invisp.sensor.record.RawRecord.facts`.
    """

    name: str
    split: Split
    height: int
    width: int
    facts: Mapping[str, Any]

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            raise ValueError(f"{self.split!r} is no part of a set")


# -- writing -----------------------------------------------------------------------------------


def write_picture(
    folder: Path,
    name: str,
    record: RawRecord,
    reference: NDArray[np.uint8],
    split: Split,
    recipe: str = "",
) -> None:
    """Put a picture into a set, or replace it there.

    Parameters
    ----------
    folder
        The set; made if it does not exist.
    name
        Any text that does not start with a dot; slashes are allowed.
    record
        The RAW.
    reference
        ``(H, W, 3)`` uint8, the sRGB that goes with it, pixel for pixel.
    split
        The part that it belongs to.
    recipe
        How the picture was made; :func:`finished_picture` tells by it whether that has changed.

    Raises
    ------
    DataError
        The reference does not fit the mosaic, or the name cannot be used.
    OutputError
        The folder cannot be written to.
    """
    if not name or name.startswith("."):
        raise DataError(f"a picture cannot be called {name!r}")
    if reference.shape != (*record.mosaic.shape, 3) or reference.dtype != np.uint8:
        raise DataError(
            f"the reference of {name} is {reference.shape} {reference.dtype}, "
            f"but its mosaic {record.mosaic.shape}"
        )
    entry = Entry(name, split, record.height, record.width, record.facts())
    sidecar = _sidecar(folder, name)
    try:
        sidecar.parent.mkdir(parents=True, exist_ok=True)
        sidecar.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write to {folder}: {error.strerror or error}") from error
    planes: tuple[NDArray[Any], ...] = record.mosaic, reference
    for path, plane in zip(_arrays(folder, name), planes, strict=True):
        with atomic_path(path) as temporary:
            np.save(temporary, _tiled(plane))
    write_bytes_atomic(sidecar, dumps(asdict(entry) | {"recipe": recipe}).encode())


def finished_picture(folder: Path, name: str, recipe: str = "") -> bool:
    """Tell whether a set holds a picture, whole, and made by the same recipe."""
    try:
        known = json.loads(_sidecar(folder, name).read_bytes())
        recipe_then, entry = known.pop("recipe"), Entry(**known)
        return recipe_then == recipe and _missing(folder, entry) is None
    except (OSError, ValueError, TypeError, AttributeError, KeyError):
        return False


def write_set(
    folder: Path, kind: str, made: Mapping[str, Any], splits: Mapping[str, Split]
) -> None:
    """Complete a set.

    Parameters
    ----------
    folder
        Where its pictures are.
    kind
        What the pictures are, such as ``"fivek"``.
    made
        How the set was made, JSON values.
    splits
        The pictures that belong to it and the part of each, which may have changed since the
        picture was written.

    Raises
    ------
    OSError, ValueError, TypeError
        A picture is not finished.
    OutputError
        The file cannot be written.
    """
    entries = []
    for name, split in sorted(splits.items()):
        entry = json.loads(_sidecar(folder, name).read_bytes())
        del entry["recipe"]
        entries.append(asdict(Entry(**entry | {"split": split})))
    about = {"format": _FORMAT, "version": VERSION, "kind": kind, "made": dict(made)}
    write_bytes_atomic(folder / _SET, dumps(about | {"pictures": entries}).encode())


def reopen_set(folder: Path) -> None:
    """Make a folder ready to be worked on: no set until :func:`write_set`, no half-written files.

    Raises
    ------
    OutputError
        The folder cannot be made or changed.
    """
    try:
        (folder / _PICTURES).mkdir(parents=True, exist_ok=True)
        for path in ((folder / _SET), *(folder / _PICTURES).glob(".*")):
            path.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write to {folder}: {error.strerror or error}") from error


# -- reading -----------------------------------------------------------------------------------


class PreparedSet:
    """A prepared set: a :class:`~napari_invisp.training.patch.PatchSource`.

    It keeps no file open, so that it can be copied to any process. :func:`open_set` makes it.

    Parameters
    ----------
    folder
        Where it is.
    kind, made
        What it is, and how it was made.
    entries
        Its pictures.
    """

    def __init__(
        self, folder: Path, kind: str, made: Mapping[str, Any], entries: Sequence[Entry]
    ) -> None:
        self.folder = folder
        self.kind = kind
        self.made = made
        self.entries = {entry.name: entry for entry in entries}
        self._fitting: dict[int, tuple[list[Entry], NDArray[np.int64]]] = {}

    def __len__(self) -> int:
        """Return the number of pictures."""
        return len(self.entries)

    @property
    def stored_bytes(self) -> int:
        """Of its pictures on disk."""
        return sum(
            path.stat().st_size for name in self.entries for path in _arrays(self.folder, name)
        )

    def names(self, split: Split | None = None) -> list[str]:
        """List the pictures of a part, or all, in alphabetical order."""
        return sorted(e.name for e in self.entries.values() if split in (None, e.split))

    def pictures(self, split: Split | None = None) -> Sequence[Picture]:
        """Give the pictures of a part, or all; each is read when it is asked for."""
        return _Pictures(self, self.names(split))

    def held_out(self) -> Sequence[Picture]:
        """Give the pictures that nothing is learned from; each is read when it is asked for."""
        return self.pictures("test")

    def picture(self, name: str) -> Picture:
        """Read a whole picture.

        Raises
        ------
        DataError
            There is none of that name, or its files are missing or damaged.
        """
        if name not in self.entries:
            raise DataError(f"there is no picture {name!r} in {self.folder}")
        entry = self.entries[name]
        record, reference = self._window(entry, 0, 0, entry.height, entry.width)
        return Picture(name, record, reference)

    def draw(self, rng: np.random.Generator, side: int, margin: int = 0) -> Patch:
        """Cut a window from a picture to train on.

        Of the pictures that are large enough, one is as likely as its area is large. The window
        starts at an even site, so that the CFA pattern is the picture's.

        Parameters
        ----------
        rng
            Source of chance.
        side
            Of what is learned from, in pixels; even.
        margin
            Width of the frame around that.

        Raises
        ------
        DataError
            There is no picture to train on that is large enough, or one is missing or damaged.
        SettingsError
            The side is not even, or not positive.
        """
        if side <= 0 or side % 2 or margin < 0:
            raise SettingsError(f"a patch of {side} pixels and a margin of {margin} is impossible")
        extent = side + 2 * margin
        entries, areas = self._large_enough(extent)
        entry = entries[int(np.searchsorted(areas, rng.integers(areas[-1]), side="right"))]
        top, left = (
            2 * int(rng.integers((length - extent) // 2 + 1))
            for length in (entry.height, entry.width)
        )
        record, reference = self._window(entry, top, left, extent, extent)
        return Patch(record, reference, entry.name, margin)

    def _large_enough(self, extent: int) -> tuple[list[Entry], NDArray[np.int64]]:
        """Give the pictures that hold a window, and how their areas add up."""
        if extent not in self._fitting:
            training = [e for e in self.entries.values() if e.split == "train"]
            if not training:
                raise DataError(f"{self.folder} holds no picture to train on, only held-out ones")
            entries = [e for e in training if min(e.height, e.width) >= extent]
            if not entries:
                raise DataError(
                    f"no picture in {self.folder} is as large as {extent} pixels a side; "
                    "train on smaller patches"
                )
            areas = np.cumsum([e.height * e.width for e in entries], dtype=np.int64)
            self._fitting[extent] = entries, areas
        return self._fitting[extent]

    def _window(
        self, entry: Entry, top: int, left: int, height: int, width: int
    ) -> tuple[RawRecord, NDArray[np.uint8]]:
        mosaic, reference = (
            _cut(_mapped(path, shape, dtype), top, left, height, width)
            for path, shape, dtype in _expected(self.folder, entry)
        )
        try:
            return RawRecord.from_facts(entry.facts, mosaic), reference
        except RawFileError as error:
            raise DataError(f"{self.folder / _SET}, {entry.name}: {error}; {_AGAIN}") from error


class _Pictures(Sequence[Picture]):
    """Pictures of a set that are read when they are asked for, and not kept."""

    def __init__(self, source: PreparedSet, names: Sequence[str]) -> None:
        self._source = source
        self._names = names

    def __len__(self) -> int:
        return len(self._names)

    @overload
    def __getitem__(self, index: int) -> Picture: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Picture]: ...
    def __getitem__(self, index: int | slice) -> Picture | Sequence[Picture]:
        if isinstance(index, slice):
            return _Pictures(self._source, self._names[index])
        return self._source.picture(self._names[index])


def open_set(path: Path | str) -> PreparedSet:
    """Open a prepared set.

    Parameters
    ----------
    path
        Its folder.

    Raises
    ------
    DataError
        There is no set, its preparation was not finished, it is of another version, or something
        in it is missing or cut short.
    """
    folder = Path(path)
    listing = folder / _SET
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder of training data")
    if not listing.exists():
        reason = (
            f"its preparation was not finished; {_AGAIN}"
            if (folder / _PICTURES).is_dir()
            else "make some with napari-invisp prepare"
        )
        raise DataError(f"{folder} holds no training data: {reason}")
    try:
        about = json.loads(read_whole(listing, "a set", DataError))
        if about["format"] != _FORMAT:
            raise ValueError
        if about["version"] != VERSION:
            raise DataError(f"{folder} was prepared by another version of this program; {_AGAIN}")
        entries = [Entry(**each) for each in about["pictures"]]
        kind, made = about["kind"], about["made"]
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(f"{listing} is damaged; {_AGAIN}") from error
    for entry in entries:
        missing = _missing(folder, entry)
        if missing is not None:
            raise DataError(f"{missing} is missing or cut short; {_AGAIN}, to make it anew")
    return PreparedSet(folder, kind, made, entries)


# -- files and tiles ---------------------------------------------------------------------------


def _file(folder: Path, name: str, suffix: str) -> Path:
    return folder / _PICTURES / (quote(name, safe=" ()+,=@&") + suffix)


def _sidecar(folder: Path, name: str) -> Path:
    return _file(folder, name, ".json")


def _arrays(folder: Path, name: str) -> tuple[Path, Path]:
    return _file(folder, name, ".mosaic.npy"), _file(folder, name, ".reference.npy")


def _expected(folder: Path, entry: Entry) -> list[tuple[Path, tuple[int, ...], Any]]:
    """Give path, shape and type of a picture's two arrays."""
    tiles = (-(-entry.height // TILE), -(-entry.width // TILE), TILE, TILE)
    mosaic, reference = _arrays(folder, entry.name)
    return [(mosaic, tiles, np.uint16), (reference, (*tiles, 3), np.uint8)]


def _missing(folder: Path, entry: Entry) -> Path | None:
    """Give the first file of a picture that is not there or too short."""
    for path, shape, dtype in _expected(folder, entry):
        size = path.stat().st_size if path.is_file() else 0
        if size <= np.prod(shape) * np.dtype(dtype).itemsize:  # a header comes on top
            return path
    return None


def _tiled(plane: NDArray[Any]) -> NDArray[Any]:
    """Cut ``(H, W, …)`` into ``(rows, columns, TILE, TILE, …)``."""
    height, width, *channels = plane.shape
    beyond = [(0, -height % TILE), (0, -width % TILE), *((0, 0) for _ in channels)]
    padded = np.pad(plane, beyond, mode="edge")
    rows, columns = padded.shape[0] // TILE, padded.shape[1] // TILE
    tiles = padded.reshape(rows, TILE, columns, TILE, *channels)
    return np.ascontiguousarray(tiles.swapaxes(1, 2))


def _mapped(path: Path, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    try:
        tiles: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path} cannot be read; {_AGAIN}, to make it anew") from error
    if tiles.shape != shape or tiles.dtype != dtype:
        raise DataError(f"{path} does not fit its set; {_AGAIN}, to make it anew")
    return tiles


def _cut(tiles: NDArray[Any], top: int, left: int, height: int, width: int) -> NDArray[Any]:
    """Put a window together from its tiles."""
    window = np.empty((height, width, *tiles.shape[4:]), tiles.dtype)
    for row in range(top // TILE, -(-(top + height) // TILE)):
        for column in range(left // TILE, -(-(left + width) // TILE)):
            down, across = top - row * TILE, left - column * TILE
            tile = tiles[row, column, max(down, 0) : down + height, max(across, 0) : across + width]
            place = window[max(-down, 0) :, max(-across, 0) :]
            place[: tile.shape[0], : tile.shape[1]] = tile
    return window
