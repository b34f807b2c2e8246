"""``napari-invisp tonemap`` and ``merge``: pictures of more light than a screen can show."""

from __future__ import annotations

import time
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_invisp.cli.options import (
    add_command,
    add_compute_options,
    add_json,
    add_options,
    settings_from,
)
from napari_invisp.cli.report import PROGRAM, complain, print_json
from napari_invisp.errors import CapsuleError, InvispError
from napari_invisp.hdr.settings import ToneSettings
from napari_invisp.outputs import check_target
from napari_invisp.settings import ComputeSettings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_invisp.cli.progress import ProgressBar
    from napari_invisp.sensor.record import RawRecord

_TONEMAP = """\
Turn the light of a scene into a picture: bring down highlights, bring up
shadows, keep detail.

The input is a RAW file, a JPEG of "napari-invisp render", whose RAW is
recovered first, or an OpenEXR file of linear sRGB light. The output is an
8-bit JPEG, a 16-bit TIFF, or an OpenEXR file of the picture's linear light.
"""

_MERGE = """\
Merge a bracket, RAW files of one scene at several exposures, into one picture
with the highlights of the short ones and the shadows of the long ones.

Exposures are those of the EXIF, checked against the frames themselves; frames
of a camera that moved a little are aligned. An OpenEXR file gets the scene's
light, 1 at white of the middle exposure; JPEG and TIFF are tone-mapped.
JPEG files of "napari-invisp render" do as well as RAW files.
"""

_TONES = "tones"


def add_tonemap(commands: Any) -> None:
    """Add the command to the program's commands."""
    examples = (
        "examples:\n"
        f"  {PROGRAM} tonemap IMG_1234.CR2 -o IMG_1234-toned.jpg --contrast 0.5\n"
        f"  {PROGRAM} tonemap scene.exr -o scene.tif --operator Drago"
    )
    summary = "bring highlights and shadows into a picture"
    added = add_command(commands, "tonemap", tonemap, summary, _TONEMAP, examples)
    added.add_argument("input", metavar="INPUT", type=Path, help="RAW, JPEG or OpenEXR file")
    _add_common(added)


def add_merge(commands: Any) -> None:
    """Add the command to the program's commands."""
    examples = (
        "examples:\n"
        f"  {PROGRAM} merge short.NEF middle.NEF long.NEF -o scene.exr\n"
        f"  {PROGRAM} merge *.NEF -o scene.jpg --contrast 0.4"
    )
    summary = "merge a bracket of RAW files into one HDR picture"
    added = add_command(commands, "merge", merge, summary, _MERGE, examples)
    added.add_argument("files", metavar="RAW", nargs="+", type=Path, help="two files or more")
    _add_common(added)


def _add_common(parser: ArgumentParser) -> None:
    parser.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        type=Path,
        required=True,
        help="picture to write: *.jpg, *.tif or *.exr",
    )
    parser.add_argument(
        "--model",
        dest="weights",
        metavar="PATH",
        help="the checkpoint that a JPEG was rendered with, if it was with one of your own",
    )
    add_json(parser)
    add_options(parser, ToneSettings, _TONES)
    add_compute_options(parser)


def tonemap(arguments: Namespace) -> int:
    """Develop, tone-map, and write."""
    settings, source, output = _checked(arguments, [arguments.input])
    start = time.perf_counter()
    from napari_invisp.cli.progress import ProgressBar
    from napari_invisp.hdr.toning import toned
    from napari_invisp.inspection.provenance import Provenance

    warnings: list[str] = []
    with ProgressBar() as bar:
        bar.subject = source[0].name
        linear, record = _light_of(source[0], arguments, settings, bar, warnings)
        picture = toned(linear, settings, step=partial(bar, "tone mapping"))
        made = Provenance(
            kind="tone_mapped",
            source=source[0].name,
            camera=(record.camera or None) if record else None,
            taken=record.capture.taken if record else None,
            figures=asdict(settings),
        )
        shape = _write(output, picture, made, record, bar)
    facts = {
        "input": str(source[0]),
        "output": str(output),
        **shape,
        "settings": asdict(settings),
        "seconds": time.perf_counter() - start,
        "warnings": warnings,
    }
    return _told(arguments, facts, f"{source[0]} -> {output}", [settings.operator])


def merge(arguments: Namespace) -> int:
    """Merge, tone-map where the output ends at white, and write."""
    settings, sources, output = _checked(arguments, arguments.files)
    start = time.perf_counter()
    from napari_invisp.cli.progress import ProgressBar
    from napari_invisp.hdr.merging import merge as merged_from
    from napari_invisp.hdr.toning import toned
    from napari_invisp.inspection.light import PICTURE_SUFFIXES
    from napari_invisp.inspection.provenance import Provenance

    warnings: list[str] = []
    is_picture = output.suffix.lower() in PICTURE_SUFFIXES
    with ProgressBar() as bar:
        bar.subject = output.name
        records = [_record_of(path, arguments, bar, warnings) for path in sources]
        merged = merged_from(records, step=partial(bar, "merging"))
        linear, record = merged.linear, merged.record
        if is_picture:
            linear = toned(linear, settings, step=partial(bar, "tone mapping"))
        made = Provenance(
            kind="merged",
            source=", ".join(path.name for path in sources),
            camera=record.camera or None,
            taken=record.capture.taken,
            figures=asdict(settings) if is_picture else {},
        )
        shape = _write(output, linear, made, record, bar)
    facts = {
        "inputs": [str(path) for path in sources],
        "output": str(output),
        **shape,
        "reference": str(sources[merged.reference]),
        "exposures": list(merged.exposures),
        "measured_exposures": list(merged.measured),
        "shifts": [list(shift) for shift in merged.shifts],
        "shares": list(merged.shares),
        "notes": list(merged.notes),
        "settings": asdict(settings) if is_picture else None,
        "seconds": time.perf_counter() - start,
        "warnings": warnings,
    }
    lines = [
        f"{path.name}: {exposure:+.2f} EV, counts {share:.0%}"
        for path, exposure, share in zip(sources, merged.exposures, merged.shares, strict=True)
    ]
    return _told(arguments, facts, f"{len(sources)} frames -> {output}", [*lines, *merged.notes])


def _checked(
    arguments: Namespace, inputs: Sequence[Path]
) -> tuple[ToneSettings, Sequence[Path], Path]:
    """Find out beforehand what would go wrong."""
    from napari_invisp.inspection.light import light_suffix

    output: Path = arguments.output
    light_suffix(output)
    check_target(output, inputs)
    return settings_from(arguments, ToneSettings), inputs, output


def _light_of(
    path: Path,
    arguments: Namespace,
    settings: ToneSettings,
    bar: ProgressBar,
    warnings: list[str],
) -> tuple[NDArray[np.float32], RawRecord | None]:
    from napari_invisp.hdr.highlights import linear_srgb_hdr
    from napari_invisp.inspection.exports import EXR_SUFFIXES

    if path.suffix.lower() in EXR_SUFFIXES:
        return _scene_light(path), None
    record = _record_of(path, arguments, bar, warnings)
    step = partial(bar, "developing")
    return linear_srgb_hdr(record, settings.highlights, step=step), record


def _scene_light(path: Path) -> NDArray[np.float32]:
    import numpy as np

    from napari_invisp.inspection.exports import read_exr

    if not path.is_file():
        raise InvispError(f"{path} does not exist")
    light = read_exr(path)
    if light.ndim == 2:
        light = np.repeat(light[..., None], 3, axis=2)
    finite = np.isfinite(light)
    if not finite.any():
        raise InvispError(f"{path} holds no finite light")
    # Of half floats, infinity is what was too bright for them.
    return np.nan_to_num(light, posinf=float(light[finite].max()), neginf=0)


def _record_of(
    path: Path, arguments: Namespace, bar: ProgressBar, warnings: list[str]
) -> RawRecord:
    from napari_invisp.jpeg.codec import JPEG_SUFFIXES
    from napari_invisp.sensor.reading import read_raw

    if path.suffix.lower() not in JPEG_SUFFIXES:
        return read_raw(path)

    from napari_invisp.files import read_whole
    from napari_invisp.pipeline import Pipeline

    settings = settings_from(arguments, ComputeSettings)
    data = read_whole(path, "a JPEG file", CapsuleError)

    def notify(sentence: str) -> None:
        warnings.append(f"{path}: {sentence}")

    pipeline = Pipeline(progress=bar, notify=notify)
    return pipeline.recover(data, str(path), arguments.weights, settings).record


def _write(
    output: Path, linear: NDArray[np.float32], made: Any, record: RawRecord | None, bar: ProgressBar
) -> dict[str, int]:
    from napari_invisp.inspection.light import write_light
    from napari_invisp.pictures import upright

    bar("writing", 0, 1)
    picture = linear if record is None else upright(linear, record)
    write_light(output, picture, made, record)
    height, width = picture.shape[:2]
    return {"width": width, "height": height}


def _told(arguments: Namespace, facts: dict[str, Any], heading: str, lines: Sequence[str]) -> int:
    for sentence in facts["warnings"]:
        complain(f"warning: {sentence}")
    if arguments.json:
        print_json(facts)
    else:
        size = f"{facts['width']} x {facts['height']} pixels"
        for line in (heading, *(f"  {line}" for line in (size, *lines))):
            print(line)
        print(f"  took {facts['seconds']:.1f} s", flush=True)
    return 0
