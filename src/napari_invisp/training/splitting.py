"""Which pictures are trained on, and which are held out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Literal, get_args

from napari_invisp.errors import DataError
from napari_invisp.files import read_whole

Split = Literal["train", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)


def split_by_seed(names: Collection[str], seed: int, share: float) -> dict[str, Split]:
    """Hold out a random part.

    The outcome depends on the names and the seed alone, not on the order of the names.

    Parameters
    ----------
    names
        Of the pictures, each once.
    seed
        Another one holds out others.
    share
        The part to train on, 0 to 1; 0.85 in the paper (section 4.1). Unless it is 0 or 1, both
        parts get at least one of two pictures.
    """
    ordered = sorted(names, key=lambda name: sha256(f"{seed}/{name}".encode()).digest())
    count = round(share * len(ordered))
    if 0 < share < 1 and len(ordered) > 1:
        count = min(max(count, 1), len(ordered) - 1)
    return {name: "train" if n < count else "test" for n, name in enumerate(ordered)}


def split_by_lists(train: Sequence[Path], test: Sequence[Path]) -> dict[str, Split]:
    """Read split files as the paper's authors publish them: a picture's name a line.

    Parameters
    ----------
    train, test
        The files, such as one for each camera. Names may end in ``.dng``.

    Raises
    ------
    DataError
        A file cannot be read or holds no names, or a picture is in both parts.
    """
    splits: dict[str, Split] = dict.fromkeys(_listed(train), "train")
    for name in _listed(test):
        if splits.get(name) == "train":
            raise DataError(f"the lists both train on {name} and hold it out; remove it from one")
        splits[name] = "test"
    return splits


def _listed(files: Iterable[Path]) -> list[str]:
    names: list[str] = []
    for path in files:
        try:
            text = read_whole(path, "a list of pictures", DataError).decode("utf-8-sig")
        except UnicodeDecodeError:
            raise DataError(f"{path} is not a text file of picture names") from None
        found = [line.strip().removesuffix(".dng") for line in text.splitlines() if line.strip()]
        if not found:
            raise DataError(f"{path} names no picture")
        names += found
    return names
