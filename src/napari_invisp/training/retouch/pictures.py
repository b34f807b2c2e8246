"""Small copies of the pictures that a policy learns from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import tifffile
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from napari_invisp.errors import DataError, InvispError
from napari_invisp.files import write_bytes_atomic
from napari_invisp.flow.tone import encode_gamma
from napari_invisp.inspection.exports import TIFF_SUFFIXES, read_exr
from napari_invisp.linear import linear_from_codes, linear_srgb
from napari_invisp.retouching.policy import SIDE
from napari_invisp.retouching.reduction import reduced, sampled
from napari_invisp.sensor.reading import RAW_EXTENSIONS, is_raw_name, read_raw
from napari_invisp.tiling import Progress
from napari_invisp.training.prepared import PreparedSet, open_set
from napari_invisp.training.splitting import split_by_seed
from napari_invisp.training.unprocess import PHOTOGRAPHS, SCENES

#: Side of the copies, of which a window of :data:`~napari_invisp.retouching.policy.SIDE` is drawn.
COPY = SIDE * 5 // 4

_SET = "set.json"


@dataclass(frozen=True, eq=False)
class Pictures:
    """What a policy learns from.

    Attributes
    ----------
    retouched
        ``(M, 3, COPY, COPY)`` display values of the photographs whose style is to be learned.
    light
        ``(N, 3, COPY, COPY)`` linear sRGB to train on.
    held_out
        ``(K, 3, COPY, COPY)`` linear sRGB to validate by.
    """

    retouched: Tensor
    light: Tensor
    held_out: Tensor

    def save(self, path: Path) -> None:
        """Keep them in a file, in half precision."""
        halves = {name: each.half().contiguous() for name, each in vars(self).items()}
        write_bytes_atomic(path, safetensors.torch.save(halves))

    @classmethod
    def load(cls, path: Path) -> Pictures:
        """Read what :meth:`save` wrote.

        Raises
        ------
        DataError
            The file is missing or damaged.
        """
        try:
            halves = safetensors.torch.load(path.read_bytes())
            return cls(**{name: each.float() for name, each in halves.items()})
        except (OSError, safetensors.SafetensorError, TypeError) as error:
            raise DataError(f"{path} is missing or damaged: begin a new run") from error


def gather(
    retouched: Sequence[Path],
    light: Sequence[Path],
    seed: int,
    share: float,
    *,
    progress: Progress | None = None,
    notify: Callable[[str], None] | None = None,
) -> Pictures:
    """Read all pictures and reduce them.

    What is held out depends on the order of the sources and the names in them, not on where
    they lie.

    Parameters
    ----------
    retouched
        Photographs (JPEG, PNG, TIFF), and folders of them.
    light
        RAW files, EXR scenes with 1 at white, folders of such, and prepared sets.
    seed, share
        See :func:`~napari_invisp.training.splitting.split_by_seed`; of the light.
    progress, notify
        Told of pictures read, and of those that cannot be.

    Raises
    ------
    DataError
        There are no pictures of one kind.
    """
    tell = notify or (lambda sentence: None)
    report = progress or (lambda stage, done, total: None)
    photographs = _files(retouched, PHOTOGRAPHS)
    shown = _read([(str(path), partial(_photograph, path)) for path in photographs], report, tell)
    if not shown:
        raise DataError(
            f"there is no photograph ({', '.join(PHOTOGRAPHS)}) in {_listed(retouched)}"
        )
    found = _read(list(_light_jobs(light)), report, tell)
    if not found:
        raise DataError(f"there is no RAW file, EXR scene or prepared set in {_listed(light)}")
    splits = split_by_seed(found, seed, share)
    parts = {
        part: [each for name, each in sorted(found.items()) if splits[name] == part]
        for part in ("train", "test")
    }
    train, test = parts["train"] or parts["test"], parts["test"] or parts["train"]
    if not all(parts.values()):
        tell("too few light pictures to hold any out: validated by those that are trained on")
    return Pictures(
        encode_gamma(torch.cat(list(shown.values()))), torch.cat(train), torch.cat(test)
    )


_Job = Callable[[], NDArray[np.float32]]


def _read(
    jobs: Sequence[tuple[str, _Job]], report: Progress, tell: Callable[[str], None]
) -> dict[str, Tensor]:
    """Give the copies by name; what cannot be read is told and left out."""
    copies: dict[str, Tensor] = {}
    for done, (name, job) in enumerate(jobs):
        report("reading pictures", done, len(jobs))
        try:
            copies[name] = reduced(job(), COPY, COPY)
        except InvispError as error:
            tell(str(error))
    return copies


def _files(sources: Sequence[Path], suffixes: Sequence[str]) -> list[Path]:
    found: list[Path] = []
    for source in sources:
        if not source.exists():
            raise DataError(f"{source} does not exist")
        inside = sorted(source.rglob("*")) if source.is_dir() else [source]
        found += [
            path
            for path in inside
            if path.suffix.lower() in suffixes and not path.name.startswith(".") and path.is_file()
        ]
    return found


def _light_jobs(sources: Sequence[Path]) -> Iterator[tuple[str, _Job]]:
    for number, source in enumerate(sources):
        # What is held out must not depend on where a folder lies.
        if (source / _SET).exists():
            prepared = open_set(source)
            for name in prepared.names():
                yield f"{number}/{name}", partial(_prepared, prepared, name)
            continue
        folder = source if source.is_dir() else source.parent
        for path in _files([source], (*RAW_EXTENSIONS, *SCENES)):
            read = _developed if is_raw_name(path) else _scene
            yield f"{number}/{path.relative_to(folder).as_posix()}", partial(read, path)


def _prepared(prepared: PreparedSet, name: str) -> NDArray[np.float32]:
    return linear_srgb(prepared.picture(name).record)


def _developed(path: Path) -> NDArray[np.float32]:
    return linear_srgb(read_raw(path))


def _scene(path: Path) -> NDArray[np.float32]:
    light = read_exr(path)
    if light.ndim != 3:
        raise DataError(f"{path} holds one channel; R, G and B are needed")
    return np.nan_to_num(light, posinf=0, neginf=0)


def _photograph(path: Path) -> NDArray[np.float32]:
    try:
        if path.suffix.lower() in TIFF_SUFFIXES:
            codes = _eight_bit(tifffile.imread(path))
        else:
            with Image.open(path) as image:
                # As a JPEG is read, it can be made smaller by up to 8 for nothing.
                image.draft("RGB", (8 * COPY, 8 * COPY))
                codes = np.asarray(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"{path} cannot be read as a photograph: {error}") from error
    return linear_from_codes(sampled(codes, COPY, COPY))


def _eight_bit(array: NDArray[Any]) -> NDArray[np.uint8]:
    if array.ndim == 2:
        array = np.stack([array] * 3, axis=-1)
    if array.ndim != 3 or array.shape[2] < 3:
        raise ValueError(f"it holds an array of {array.shape}")
    if array.dtype == np.uint16:
        array = array // np.uint16(257)
    elif array.dtype != np.uint8:
        raise ValueError(f"its samples are {array.dtype}, not 8 or 16 bit")
    return array[..., :3].astype(np.uint8)


def _listed(sources: Sequence[Path]) -> str:
    return ", ".join(map(str, sources))
