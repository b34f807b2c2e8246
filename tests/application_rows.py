"""Rows of tables of applications that tests make up."""

from __future__ import annotations

from dataclasses import replace

from napari_invisp.applications.table import ApplicationRow


def applied(operation: str, source: str, psnr: float, **changes: object) -> ApplicationRow:
    row = ApplicationRow(
        file="a.dng",
        camera="Maker One",
        operation=operation,
        source=source,
        quality=90,
        side_info=None,
        width=100,
        height=80,
        psnr=psnr,
        ssim=0.98,
        delta_e=1.5,
        delta_e_95=3.0,
    )
    return replace(row, **changes)  # type: ignore[arg-type]
