"""Training data of any folder of RAW files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_invisp.errors import DataError
from napari_invisp.sensor.libraw import reference_srgb
from napari_invisp.sensor.reading import is_raw_name, read_raw
from napari_invisp.sensor.record import RawRecord
from napari_invisp.training.splitting import Split, split_by_seed


@dataclass(frozen=True)
class RawPicture:
    """A RAW file with the reference sRGB.

    Attributes
    ----------
    name, path, split
        What it will be called, the file, the part of the set.
    """

    name: str
    path: Path
    split: Split

    def make(self) -> tuple[RawRecord, NDArray[np.uint8]]:
        """Read the file and render it.

        Raises
        ------
        RawFileError
            The file cannot be used as a Bayer RAW.
        """
        record = read_raw(self.path)
        return record, reference_srgb(record)


def jobs(sources: Sequence[Path], seed: int, share: float) -> list[RawPicture]:
    """Plan pictures of RAW files.

    Parameters
    ----------
    sources
        RAW files, and folders that hold such, in other folders too. A picture is called as its
        path in the folder; where there are several sources, the folder's name comes first.
    seed, share
        See :func:`~napari_invisp.training.splitting.split_by_seed`.

    Raises
    ------
    DataError
        There is no RAW file.
    """
    files: dict[str, Path] = {}
    for source in map(Path.resolve, sources):
        base = source if source.is_dir() and len(sources) == 1 else source.parent
        for path in raw_files(source):
            name = path.relative_to(base).as_posix()
            if files.setdefault(name, path) != path:
                raise DataError(f"{files[name]} and {path} would both be called {name}")
    if not files:
        raise DataError(f"there are no camera RAW files in {', '.join(map(str, sources))}")
    splits = split_by_seed(files, seed, share)
    return [RawPicture(name, path, splits[name]) for name, path in sorted(files.items())]


def raw_files(source: Path) -> list[Path]:
    """Find files that are named like camera RAW files.

    Parameters
    ----------
    source
        A file, which is taken as it is, or a folder, which is searched with all that it holds;
        hidden files are left alone.

    Raises
    ------
    DataError
        There is nothing of that name.
    """
    if source.is_file():
        return [source]
    if not source.is_dir():
        raise DataError(f"{source} does not exist")
    return sorted(
        path
        for path in source.rglob("*")
        if is_raw_name(path) and not path.name.startswith(".") and path.is_file()
    )
