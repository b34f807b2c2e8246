"""Records and RAW files that tests make themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from napari_invisp.sensor.record import Capture, RawRecord, camera_to_srgb_from

#: XYZ → camera of an ordinary single-lens reflex camera.
XYZ_TO_CAMERA = np.array(
    [[0.7309, -0.1403, -0.0519], [-0.8474, 1.6008, 0.2622], [-0.2433, 0.2826, 0.8064]]
)

CAPTURE = Capture(
    taken="2021:06:05 04:03:02",
    exposure_time=1 / 320,
    f_number=5.6,
    iso=400,
    focal_length=35.0,
    exposure_bias=-2 / 3,
    lens="35mm f/1.8",
    artist="A. Müller",
    copyright="CC0",
)


def make_record(
    shape: tuple[int, int] = (48, 64), pattern: str = "RGGB", **changes: Any
) -> RawRecord:
    """Make a record of random 12-bit samples, some of them beyond the white level."""
    rng = np.random.default_rng(changes.pop("seed", 0))
    facts: dict[str, Any] = {
        "mosaic": rng.integers(0, 4096, shape, dtype=np.uint16),
        "pattern": pattern,
        "black": [[60, 62], [64, 66]],
        "white": 3900,
        "white_balance": [2.0, 1.0, 1.5],
        "camera_to_srgb": camera_to_srgb_from(XYZ_TO_CAMERA),
        "xyz_to_camera": XYZ_TO_CAMERA,
        "make": "Maker",
        "model": "Model One",
        "bit_depth": 12,
        "capture": CAPTURE,
    }
    return RawRecord(**(facts | changes))


def make_smooth_record(shape: tuple[int, int] = (96, 128), pattern: str = "RGGB") -> RawRecord:
    """Make a record of a smooth, colourful scene, nothing of it beyond white."""
    record = make_record(shape, pattern)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    scene = np.stack(
        [
            0.30 + 0.20 * np.sin(rows / 19) * np.cos(columns / 23),
            0.35 + 0.25 * np.cos(columns / 17),
            0.30 + 0.20 * np.sin((rows + columns) / 29),
        ]
    )
    site = record.channels[rows % 2, columns % 2]
    values = np.take_along_axis(scene, site[None], axis=0)[0]
    black = record.black[rows % 2, columns % 2]
    mosaic = np.rint(black + values * (record.white - black)).astype(np.uint16)
    return record.replace(mosaic=mosaic)


def write_dng_of(path: Path, image: np.ndarray, **tags: Any) -> Path:
    """Write a DNG by hand: ``image`` with the tags that are given, and no others.

    Tags: ``cfa`` (rows of colour numbers), ``planes``, ``layout``, ``black``, ``white``,
    ``neutral``, ``matrix``, ``calibration``, ``area``, ``orientation``, ``make``, ``model``,
    ``photometric``.
    """
    extra: list[tuple[int, int, int, Any, bool]] = [
        (50706, 1, 4, bytes((1, 4, 0, 0)), True),
        (50708, 2, 0, "Test", True),
    ]

    def add(name: str, code: int, kind: int) -> None:
        if name in tags:
            values = np.ravel(tags[name]).tolist()
            if kind == 1:
                extra.append((code, kind, len(values), bytes(values), True))
            elif kind in (5, 10):
                pairs = [part for value in values for part in (round(value * 10**6), 10**6)]
                extra.append((code, kind, len(values), pairs, True))
            else:
                extra.append((code, kind, len(values), values, True))

    if "cfa" in tags:
        extra.append((33421, 3, 2, np.shape(tags["cfa"]), True))
    if np.ndim(tags.get("black", 0)) == 2:
        extra.append((50713, 3, 2, np.shape(tags["black"]), True))
    for name, code in (("make", 271), ("model", 272)):
        if name in tags:
            extra.append((code, 2, 0, tags[name], True))
    add("orientation", 274, 3)
    add("cfa", 33422, 1)
    add("planes", 50710, 1)
    add("layout", 50711, 3)
    add("black", 50714, 4)
    add("white", 50717, 4)
    add("matrix", 50721, 10)
    add("calibration", 50723, 10)
    add("neutral", 50728, 5)
    add("area", 50829, 4)
    photometric = tags.get("photometric", 32803)
    tifffile.imwrite(path, image, photometric=photometric, extratags=extra, metadata=None)
    return path
