"""``napari-invisp retouch``: a RAW, or the RAW that a JPEG holds, as a retouched picture."""

from __future__ import annotations

import time
from argparse import ArgumentParser, Namespace
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_invisp.cli.options import (
    add_command,
    add_compute_options,
    add_json,
    add_options,
    given_values,
    settings_from,
)
from napari_invisp.cli.report import PROGRAM, complain, print_json
from napari_invisp.errors import OutputError, SettingsError
from napari_invisp.files import known_suffix
from napari_invisp.outputs import check_target
from napari_invisp.retouching.presets import (
    load_preset,
    preset_names,
    save_preset,
    settings_to_dict,
)
from napari_invisp.retouching.settings import RetouchSettings
from napari_invisp.settings import ComputeSettings, RenderSettings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_invisp.cli.progress import ProgressBar
    from napari_invisp.sensor.record import RawRecord

_ABOUT = """\
Retouch a RAW file, or the RAW that is recovered from a JPEG of "napari-invisp
render", and write the picture upright, as JPEG or as 16-bit TIFF.

It begins with a preset, neutral unless another is named. --auto then finds
settings for this picture; options of your own have the last word.
"""

_POLICY = "policy:"
_OUTPUTS = (".jpg", ".jpeg", ".tif", ".tiff")


def add_retouch(commands: Any) -> None:
    """Add the command to the program's commands."""
    examples = (
        "examples:\n"
        f"  {PROGRAM} retouch IMG_1234.CR2 -o IMG_1234.jpg --auto camera --saturation 0.2\n"
        f'  {PROGRAM} retouch IMG_1234.jpg -o IMG_1234.tif --preset "warm evening"\n'
        f"  {PROGRAM} retouch IMG_1234.CR2 -o IMG_1234.tif --exposure -1.5 --save-preset my.json"
    )
    summary = "retouch a RAW, or the RAW that a JPEG holds"
    added = add_command(commands, "retouch", run, summary, _ABOUT, examples)
    added.add_argument(
        "input", metavar="INPUT", type=Path, help="a RAW file, or a JPEG that holds its RAW"
    )
    added.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        type=Path,
        required=True,
        help="picture to write: *.jpg, 8 bit, or *.tif, 16 bit",
    )
    added.add_argument(
        "--preset",
        metavar="NAME",
        default=preset_names()[0],
        help=f"what to begin with: {', '.join(preset_names())}, or the path of a preset file",
    )
    added.add_argument(
        "--auto",
        metavar="HOW",
        help="find settings: camera makes it look like the preview in the RAW file, target makes "
        "it well exposed, PATH makes it look like that picture of the same scene, "
        f"{_POLICY}PATH lets a policy of train-retouch do it",
    )
    added.add_argument(
        "--save-preset", metavar="PATH", type=Path, help="write the settings to a preset file"
    )
    added.add_argument(
        "--model",
        dest="weights",
        metavar="PATH",
        help="the checkpoint that the JPEG was rendered with, if it was with one of your own",
    )
    add_json(added)
    add_options(added, RetouchSettings, "filters", only_given=True)
    _add_jpeg_options(added)
    add_compute_options(added)


def _add_jpeg_options(parser: ArgumentParser) -> None:
    wanted = ("quality", "subsampling")
    others = [each.name for each in fields(RenderSettings) if each.name not in wanted]
    add_options(parser, RenderSettings, "JPEG", others)


def run(arguments: Namespace) -> int:
    """Find the settings, apply them, and write the picture."""
    source, output = arguments.input, arguments.output
    suffix = known_suffix(output, _OUTPUTS, "picture")
    own = given_values(arguments, RetouchSettings)
    settings = replace(load_preset(arguments.preset), **own)
    saved: Path | None = arguments.save_preset
    for target in (output, *([saved] if saved else [])):
        check_target(target, [source])
    if saved is not None and saved.resolve() == output.resolve():
        raise OutputError(f"{output} cannot hold both the picture and the preset")
    from napari_invisp.cli.progress import ProgressBar
    from napari_invisp.hdr.highlights import linear_srgb_hdr
    from napari_invisp.pictures import upright
    from napari_invisp.retouching.filters import retouched

    start = time.perf_counter()
    warnings: list[str] = []
    with ProgressBar() as bar:
        bar.subject = source.name
        record = _record(arguments, bar, warnings)
        linear = linear_srgb_hdr(record, step=lambda done, total: bar("developing", done, total))
        linear = upright(linear, record)
        if arguments.auto is not None:
            settings = replace(_found(arguments, record, linear, settings, bar), **own)
        bar("retouching", 0, 1)
        result = retouched(linear, settings)
        bar("writing", 0, 1)
        _write(output, suffix, result, record, arguments)
        if saved is not None:
            save_preset(saved, settings)
    height, width = result.shape[:2]
    facts = {
        "input": str(source),
        "output": str(output),
        "width": width,
        "height": height,
        "settings": settings_to_dict(settings),
        "preset": None if saved is None else str(saved),
        "seconds": time.perf_counter() - start,
        "warnings": warnings,
    }
    for sentence in warnings:
        complain(f"warning: {source}: {sentence}")
    if arguments.json:
        print_json(facts)
    else:
        _print(facts, settings)
    return 0


def _record(arguments: Namespace, bar: ProgressBar, warnings: list[str]) -> RawRecord:
    """Read the RAW, or recover it."""
    from napari_invisp.jpeg.codec import JPEG_SUFFIXES
    from napari_invisp.sensor.reading import read_raw

    source: Path = arguments.input
    if source.suffix.lower() not in JPEG_SUFFIXES:
        return read_raw(source)

    from napari_invisp.errors import CapsuleError
    from napari_invisp.files import read_whole
    from napari_invisp.pipeline import Pipeline

    compute = settings_from(arguments, ComputeSettings)
    data = read_whole(source, "a JPEG file", CapsuleError)
    pipeline = Pipeline(progress=bar, notify=warnings.append)
    return pipeline.recover(data, str(source), arguments.weights, compute).record


def _found(
    arguments: Namespace,
    record: RawRecord,
    linear: NDArray[np.float32],
    settings: RetouchSettings,
    bar: ProgressBar,
) -> RetouchSettings:
    """Find settings as --auto says, for a picture that stands upright."""
    how: str = arguments.auto
    if how.startswith(_POLICY):
        from napari_invisp.retouching.policy import policy_settings

        return policy_settings(how.removeprefix(_POLICY), linear)[-1]

    from napari_invisp.retouching.fitting import camera_preview, fit

    if how == "target":
        return fit(linear, None, settings, progress=bar)
    if how != "camera":
        return fit(linear, _reference(Path(how)), settings, progress=bar)

    from napari_invisp.jpeg.codec import JPEG_SUFFIXES
    from napari_invisp.pictures import upright

    source: Path = arguments.input
    preview = None
    if source.suffix.lower() not in JPEG_SUFFIXES:
        preview = camera_preview(source)
    if preview is None:
        raise SettingsError(
            f"{source} holds no preview of the camera; use --auto target, or name a picture"
        )
    return fit(linear, upright(preview, record), settings, progress=bar)


def _reference(path: Path) -> NDArray[np.uint8]:
    """Read a picture, upright."""
    import numpy as np
    from PIL import Image, ImageOps

    if not path.exists():
        raise SettingsError(
            f"--auto {path} is neither camera, target, {_POLICY}PATH nor a picture that exists"
        )
    try:
        with Image.open(path) as image:
            return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise SettingsError(f"{path} cannot be read as a picture: {error}") from error


def _write(
    output: Path,
    suffix: str,
    result: NDArray[np.float32],
    record: RawRecord,
    arguments: Namespace,
) -> None:
    if suffix in (".tif", ".tiff"):
        from napari_invisp.inspection.exports import write_tiff
        from napari_invisp.inspection.provenance import Provenance
        from napari_invisp.retouching.pictures import sixteen_bit

        made = Provenance(
            "retouched",
            source=arguments.input.name,
            camera=record.camera or None,
            taken=record.capture.taken,
        )
        write_tiff(output, sixteen_bit(result), made)
        return
    from napari_invisp.files import write_bytes_atomic
    from napari_invisp.retouching.pictures import jpeg_of

    data = jpeg_of(result, record, arguments.quality, arguments.subsampling)
    write_bytes_atomic(output, data)


def _print(facts: dict[str, Any], settings: RetouchSettings) -> None:
    print(
        f"{facts['input']} -> {facts['output']}\n"
        f"  {facts['width']} x {facts['height']} pixels; filters: "
        f"{', '.join(settings.active) or 'none'}"
    )
    if facts["preset"]:
        print(f"  settings: {facts['preset']}")
    print(f"  took {facts['seconds']:.1f} s", flush=True)
