"""A small MIT-Adobe FiveK: the folders of the download, tiny DNG files of several cameras."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from photographs import photograph

from napari_invisp.sensor.dng import write_dng

#: Name of a set → names of its pictures in the small FiveK.
CANON = tuple(f"a{n:04}-jmac_MG_{n:04}" for n in (4, 19, 705, 1400, 1401, 2800, 4999))
NIKON = ("a0002-dgw_005", "a0701-_DSC1379 (original)", "a2103-_DGW6251", "a3501-_DGW0247")
#: Pictures of cameras that the paper does not use.
OTHERS = ("a0001-jmac_DSC1459", "a2102-IMG_0001")

_CAMERAS = {
    CANON: ("Canon", "Canon EOS 5D", "RGGB", 12),
    NIKON: ("NIKON CORPORATION", "NIKON D700", "RGGB", 14),
    OTHERS[:1]: ("NIKON CORPORATION", "NIKON D70", "BGGR", 12),
    OTHERS[1:]: ("Canon", "Canon EOS 5D Mark II", "GBRG", 14),
}
_FIRST = (1, 701, 1401, 2101, 2801, 3501, 4201, 5001)


def make_fivek(folder: Path, height: int = 128, width: int = 160) -> Path:
    """Write the files and return the folder ``fivek_dataset`` that holds them."""
    root = folder / "fivek_dataset"
    for names, (make, model, pattern, bits) in _CAMERAS.items():
        for name in names:
            number = int(name[1:5])
            part = max(n for n, first in enumerate(_FIRST) if first <= number)
            photos = f"HQa{_FIRST[part]}to{_FIRST[part + 1] - 1}/photos"
            (root / "raw_photos" / photos).mkdir(parents=True, exist_ok=True)
            record = photograph(2 * height, 2 * width, pattern, make=make, model=model)
            top, left = (int(v) for v in 2 * np.random.default_rng(number).integers(0, 40, 2))
            mosaic = record.mosaic[top : top + height, left : left + width]
            shift = bits - 12  # the photograph has 12 bits
            record = record.replace(
                mosaic=mosaic << shift,
                black=record.black * 2**shift,
                white=record.white * 2**shift,
                bit_depth=bits,
            )
            write_dng(root / "raw_photos" / photos / f"{name}.dng", record)
    (root / "filesAdobe.txt").write_text("\n".join(sorted(CANON + NIKON + OTHERS)))
    (root / "LicenseAdobe.txt").write_text("a licence")
    return root
