"""Rows of tables of bytes that tests make up."""

from __future__ import annotations

import math
from dataclasses import replace

from napari_invisp.evaluation import CompressionRow


def sized(kind: str, bpp: float, psnr: float = math.inf, **changes: object) -> CompressionRow:
    row = CompressionRow(
        file="a.dng",
        camera="Maker One",
        kind=kind,
        setting="",
        quality=None,
        width=100,
        height=80,
        bytes=round(bpp * 1000),
        bpp=bpp,
        compression_ratio=12 / bpp,
        raw_psnr=psnr,
        seconds=0.5,
    )
    return replace(row, **changes)  # type: ignore[arg-type]
