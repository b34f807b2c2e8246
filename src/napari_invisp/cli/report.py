"""What the commands print: a JSON object, or short lines for people."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from typing import Any

from napari_invisp.inspection.wording import decibels, megabytes
from napari_invisp.strictjson import dumps

PROGRAM = "napari-invisp"


def complain(problem: object) -> None:
    """Print one line on stderr."""
    print(f"{PROGRAM}: {' '.join(str(problem).split())}", file=sys.stderr)


def print_json(values: Mapping[str, Any]) -> None:
    """Print one strict JSON object: what is infinite or NaN is ``null``."""
    print(dumps(values), flush=True)


def print_render(facts: Mapping[str, Any]) -> None:
    """Tell how a RAW was rendered."""
    print(
        f"{facts['input']} -> {facts['output']}\n"
        f"  {_frame(facts)}, model {facts['model']} on {facts['device']}, "
        f"headroom {facts['headroom']:g}\n"
        f"  JPEG quality {facts['quality']}, {facts['subsampling']}: "
        f"{megabytes(facts['jpeg_bytes'])}, {facts['bpp']:.2f} bits a pixel, "
        f"{facts['compression_ratio']:.1f} times smaller than the RAW unpacked"
    )
    if facts["rgb_psnr"] is not None:
        print(
            f"  against LibRaw's rendering: {decibels(facts['rgb_psnr'])}, "
            f"SSIM {facts['rgb_ssim']:.4f}; both after JPEG: {decibels(facts['rgb_psnr_jpeg'])}"
        )
    print(f"  took {facts['seconds']:.1f} s", flush=True)


def print_recover(facts: Mapping[str, Any]) -> None:
    """Tell what was recovered."""
    print(
        f"{facts['input']} -> {facts['output']}\n"
        f"  {_frame(facts)}, model {facts['model']} on {facts['device']}, "
        f"DNG of {megabytes(facts['dng_bytes'])}\n"
        f"  took {facts['seconds']:.1f} s",
        flush=True,
    )


def print_compare(facts: Mapping[str, Any]) -> None:
    """Tell how far two RAW files are apart."""
    print(f"{facts['recovered']} against {facts['raw']}")
    if facts["identical"]:
        print("  every sample is the same")
    else:
        print(
            f"  error {facts['mean_abs_error']:.2f} DN on average, {facts['max_abs_error']} DN at "
            f"most, in a range of {facts['range']} DN"
        )
    print(
        f"  RAW PSNR {decibels(facts['raw_psnr'])} (balanced, gamma-encoded), "
        f"{decibels(facts['raw_psnr_linear'])} (linear)"
    )
    if facts["note"]:
        print(f"  note: {facts['note']}")
    sys.stdout.flush()


def print_mean(mean: Mapping[str, Any]) -> None:
    """Give the averages of one kind of rendering in one line."""
    print(
        f"{mean['model']}, quality {mean['quality']}, {mean['subsampling']}, "
        f"headroom {mean['headroom']:g}, {_files(mean)}: RGB {decibels(mean['rgb_psnr'])}, "
        f"RAW {decibels(mean['raw_psnr'])}, {mean['bpp']:.2f} bits a pixel"
    )


def print_compression(mean: Mapping[str, Any]) -> None:
    """Give the averages of one way to keep RAW in one line."""
    kept = f"{mean['kind']}, {mean['setting']}" if mean["setting"] else mean["kind"]
    exact = math.isinf(mean["raw_psnr"])
    print(
        f"{kept}, {_files(mean)}: {mean['bpp']:.2f} bits a pixel, "
        f"{mean['compression_ratio']:.2f} times smaller than the RAW unpacked, "
        + ("every sample kept" if exact else f"RAW {decibels(mean['raw_psnr'])}")
    )


def print_application(mean: Mapping[str, Any]) -> None:
    """Give the averages of one operation on one source in one line."""
    helped = f" and {mean['side_info']} bytes of side information" if mean["side_info"] else ""
    print(
        f"{mean['operation']}: {mean['source']}, quality {mean['quality']}{helped}, "
        f"{_files(mean)}: {decibels(mean['psnr'])}, SSIM {mean['ssim']:.4f}, "
        f"ΔE2000 {mean['delta_e']:.2f}"
    )


def _files(mean: Mapping[str, Any]) -> str:
    return "1 file" if mean["files"] == 1 else f"mean of {mean['files']} files"


def _frame(facts: Mapping[str, Any]) -> str:
    camera = f"{facts['camera']}, " if facts["camera"] else ""
    return f"{camera}{facts['width']} x {facts['height']} pixels"
