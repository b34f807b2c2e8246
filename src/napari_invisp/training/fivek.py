"""The paper's training data: two cameras of the MIT-Adobe FiveK data set.

*Learning Photographic Global Tonal Adjustment with a Database of Input/Output Image Pairs*
(Bychkovsky et al. 2011), 5000 DNG files of many cameras. The paper takes those of two (section
4.1), and what LibRaw makes of them by default for ground truth.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import rawpy
from numpy.typing import NDArray

from napari_invisp.errors import DataError, RawFileError
from napari_invisp.sensor.exif import read_exif
from napari_invisp.sensor.libraw import opened, read_file
from napari_invisp.sensor.reading import read_raw
from napari_invisp.sensor.record import RawRecord
from napari_invisp.training.folder import raw_files
from napari_invisp.training.splitting import Split, split_by_seed

if TYPE_CHECKING:
    from napari_invisp.tiling import Progress

#: Name of a set and the camera of its pictures, as EXIF spells it.
CAMERAS = {"canon": "Canon EOS 5D", "nikon": "NIKON D700"}

# As the authors render: their white depends on the scene (LibRaw's adjust_maximum_thr is 0.75 by
# default). They turn the sRGB and the RAW upright; both stay as the sensor stored them here.
_GROUND_TRUTH: dict[str, Any] = {"use_camera_wb": True, "no_auto_bright": True, "user_flip": 0}

# EXIF stands at the beginning of these files; reading all of them would take minutes.
_BEGINNING = 1 << 18


@dataclass(frozen=True)
class FiveKPicture:
    """A DNG file of FiveK with the paper's ground truth.

    Attributes
    ----------
    path, split
        The file, the part of the set.
    """

    path: Path
    split: Split

    @property
    def name(self) -> str:
        """The file's name without ``.dng``, as in the authors' lists."""
        return self.path.stem

    def make(self) -> tuple[RawRecord, NDArray[np.uint8]]:
        """Read the file and render it by LibRaw's defaults, before any JPEG.

        Raises
        ------
        RawFileError
            The file cannot be used as a Bayer RAW.
        """
        record = read_raw(self.path)
        try:
            with opened(read_file(self.path)) as raw:
                rgb: NDArray[np.uint8] = raw.postprocess(**_GROUND_TRUTH)
        except (RawFileError, rawpy.LibRawError) as error:
            raise RawFileError(f"{self.path}: LibRaw cannot render it: {error}") from error
        if rgb.shape[:2] != record.mosaic.shape:
            raise RawFileError(f"{self.path}: LibRaw's rendering is not as large as the mosaic")
        return record, rgb


def find_cameras(
    folder: Path, cameras: Mapping[str, str] = CAMERAS, progress: Progress | None = None
) -> dict[str, dict[str, Path]]:
    """Find the pictures of some cameras by their EXIF.

    Parameters
    ----------
    folder
        FiveK as downloaded, with its DNG files at any depth.
    cameras
        Name of a set → camera model.
    progress
        Callback.

    Returns
    -------
    dict
        Name of a set → name of a picture → file. A picture that is there twice counts once.

    Raises
    ------
    DataError
        There are no DNG files, or none of these cameras.
    """
    files = [path for path in raw_files(folder.resolve()) if path.suffix.lower() == ".dng"]
    if not files:
        raise DataError(f"there are no DNG files in {folder}; unpack MIT-Adobe FiveK there")
    found: dict[str, dict[str, Path]] = {name: {} for name in cameras}
    for number, path in enumerate(files):
        if progress is not None:
            progress("looking for cameras", number, len(files))
        model = _model(path)
        for name, camera in cameras.items():
            if model == camera.casefold():
                found[name].setdefault(path.stem, path)
    if not any(found.values()):
        wanted = " or a ".join(cameras.values())
        raise DataError(f"none of the {len(files)} DNG files in {folder} is of a {wanted}")
    return found


def _model(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(_BEGINNING)
            model = read_exif(data)[1] or read_exif(data + file.read())[1]
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    return model.casefold()


def jobs(
    pictures: Mapping[str, Path],
    seed: int,
    share: float,
    listed: Mapping[str, Split] | None = None,
) -> list[FiveKPicture]:
    """Plan the pictures of one camera.

    Parameters
    ----------
    pictures
        As :func:`find_cameras` finds them.
    seed, share
        Of the split, where there are no lists.
    listed
        The split by lists; pictures that are not in them are left out.
    """
    splits = split_by_seed(pictures, seed, share) if listed is None else listed
    return [
        FiveKPicture(path, splits[name])
        for name, path in sorted(pictures.items())
        if name in splits
    ]


def missing_pictures(
    found: Mapping[str, Mapping[str, Path]], listed: Mapping[str, Split]
) -> Sequence[str]:
    """Give the names in the lists of which there is no picture of any of the cameras."""
    known = {name for pictures in found.values() for name in pictures}
    return sorted(listed.keys() - known)
