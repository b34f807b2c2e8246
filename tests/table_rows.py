"""Rows of tables that tests make up."""

from __future__ import annotations

from dataclasses import replace

from napari_invisp.evaluation import Row


def made(**changes: object) -> Row:
    row = Row(
        file="a.dng",
        camera="Maker One",
        model="physics",
        quality=90,
        subsampling="4:2:2",
        headroom=0.5,
        width=100,
        height=50,
        rgb_psnr=50.0,
        rgb_ssim=0.99,
        rgb_psnr_jpeg=45.0,
        raw_psnr=47.123456,
        raw_psnr_linear=51.0,
        bpp=1.2,
        compression_ratio=10.0,
        seconds_per_megapixel_render=0.25,
        seconds_per_megapixel_recover=0.125,
        peak_memory_mb=512.4,
    )
    return replace(row, **changes)  # type: ignore[arg-type]
