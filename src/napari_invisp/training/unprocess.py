"""Making RAW pictures of photographs: many cameras, lights and exposures for one model to learn.

As in *Unprocessing Images for Learned Raw Denoising* (Brooks et al. 2019), finished photographs are
taken back to the light of the scene and measured anew by a camera that does not exist. Unlike
there, every camera's colours are a real one's, light goes well beyond what the sensor can hold, and
the picture that belongs to the RAW is what LibRaw makes of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn import functional

from napari_invisp.errors import DataError
from napari_invisp.sensor.cfa import mosaic_from_rgb
from napari_invisp.sensor.libraw import known_camera_matrix, reference_srgb
from napari_invisp.sensor.record import CFA_PATTERNS, RawRecord, camera_to_srgb_from
from napari_invisp.training.splitting import Split

Light = NDArray[np.float32]
"""``(H, W, 3)`` linear sRGB of a scene, any scale."""

PHOTOGRAPHS = (".jpg", ".jpeg", ".png", ".tif", ".tiff")
SCENES = (".exr",)

#: Cameras whose colours are borrowed; makers and years differ, so do the matrices.
CAMERAS = (
    ("Canon", "Canon EOS 5D Mark II"),
    ("Canon", "Canon EOS 5D Mark IV"),
    ("Canon", "Canon EOS 350D DIGITAL"),
    ("Canon", "Canon EOS 7D"),
    ("Canon", "Canon EOS 600D"),
    ("Canon", "Canon EOS R5"),
    ("Canon", "Canon EOS M50"),
    ("Canon", "Canon PowerShot G10"),
    ("NIKON CORPORATION", "NIKON D3"),
    ("NIKON CORPORATION", "NIKON D70"),
    ("NIKON CORPORATION", "NIKON D90"),
    ("NIKON CORPORATION", "NIKON D300"),
    ("NIKON CORPORATION", "NIKON D610"),
    ("NIKON CORPORATION", "NIKON D800"),
    ("NIKON CORPORATION", "NIKON D3300"),
    ("NIKON CORPORATION", "NIKON Z 6"),
    ("SONY", "DSLR-A900"),
    ("SONY", "SLT-A77V"),
    ("SONY", "NEX-5N"),
    ("SONY", "ILCE-7"),
    ("SONY", "ILCE-7M3"),
    ("SONY", "ILCE-6000"),
    ("SONY", "DSC-RX100"),
    ("PENTAX", "PENTAX K10D"),
    ("PENTAX", "PENTAX K-5"),
    ("RICOH IMAGING COMPANY, LTD.", "PENTAX K-1"),
    ("OLYMPUS IMAGING CORP.", "E-M5"),
    ("OLYMPUS IMAGING CORP.", "E-30"),
    ("OLYMPUS CORPORATION", "E-M1MarkII"),
    ("Panasonic", "DMC-GH4"),
    ("Panasonic", "DMC-LX5"),
    ("Panasonic", "DMC-G1"),
    ("Panasonic", "DC-S1"),
    ("FUJIFILM", "X100"),
    ("FUJIFILM", "FinePix S5600"),
    ("LEICA CAMERA AG", "LEICA M9"),
    ("SAMSUNG", "NX1"),
    ("Phase One", "P45"),
    ("EPSON", "R-D1"),
)

#: Side of the pictures, in pixels, where the source is large enough.
_SIDE = 768
#: A photograph is made smaller by at least this, against traces of demosaicing and JPEG; an EXR
#: scene by at least that.
_SMALLER = (2.5, 6.0)
_SMALLER_SCENE = (1.0, 1.6)
_HELD_OUT = 6  # every sixth source teaches nothing


@dataclass(frozen=True)
class Unprocessing:
    """One picture to make.

    Attributes
    ----------
    name
        What it will be called.
    source
        The photograph or EXR scene.
    seed
        Of everything random about it.
    split
        ``"train"`` or ``"test"``: pictures of one source stay together.
    """

    name: str
    source: Path
    seed: tuple[int, int]
    split: Split

    def make(self) -> tuple[RawRecord, NDArray[np.uint8]]:
        """Take the picture.

        Returns
        -------
        record : RawRecord
            At most 768 x 768.
        reference : numpy.ndarray
            ``(H, W, 3)`` uint8, LibRaw's rendering.

        Raises
        ------
        DataError
            The source cannot be read, or is too small.
        """
        rng = np.random.default_rng(self.seed)
        light = _lit(_window(self.source, rng), rng)
        record = _taken(light, rng)
        return record, reference_srgb(record)


def jobs(sources: Sequence[Path], count: int, seed: int) -> list[Unprocessing]:
    """Plan pictures.

    Parameters
    ----------
    sources
        Photographs, EXR scenes, and folders of them. Photographs should be sharp and much larger
        than 768 pixels, as they are made 2.5 to 6 times smaller.
    count
        Pictures to make; sources take turns.
    seed
        Another seed makes other pictures.

    Raises
    ------
    DataError
        There is no photograph and no scene among the sources.
    """
    files: list[Path] = []
    for source in sources:
        found = sorted(source.rglob("*")) if source.is_dir() else [source]
        files += [f for f in found if f.suffix.lower() in PHOTOGRAPHS + SCENES]
    if not files:
        asked = ", ".join(map(str, sources))
        raise DataError(f"no photograph ({', '.join(PHOTOGRAPHS)}) and no scene (.exr) in {asked}")
    order = np.random.default_rng(seed).permutation(len(files))
    held_out = {int(i) for i in order[: len(files) // _HELD_OUT]}
    digits = len(str(count - 1))
    return [
        Unprocessing(
            name=f"{n:0{digits}}-{files[n % len(files)].stem}",
            source=files[n % len(files)],
            seed=(seed, n),
            split="test" if n % len(files) in held_out else "train",
        )
        for n in range(count)
    ]


# -- scenes ------------------------------------------------------------------------------------


@lru_cache(maxsize=16)
def _scene(path: Path) -> Light:
    """Read a source as linear light; photographs at half their size."""
    try:
        if path.suffix.lower() in SCENES:
            with OpenEXR.File(str(path)) as file:
                channels = file.channels()
                name = next((n for n in ("RGBA", "RGB") if n in channels), None)
                if name is None:
                    raise ValueError(f"its channels {', '.join(channels)} are not RGB")
                rgb = np.asarray(channels[name].pixels[..., :3], np.float32)
            return np.maximum(np.nan_to_num(rgb, posinf=0), 0)
        with Image.open(path) as image:
            if image.mode.startswith(("I", "F")):  # converting these would clip, not scale
                raise ValueError("its samples are not of 8 bits")
            half = (max(1, image.width // 2), max(1, image.height // 2))
            codes = np.asarray(image.convert("RGB").reduce(2).resize(half), np.float32)
    except (OSError, RuntimeError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{path} cannot be read as a photograph or scene: {error}") from error
    encoded = codes / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    # What is nearly white was brighter still: the camera's shoulder is undone, hue kept.
    brightest = linear.max(axis=2, keepdims=True)
    light: Light = (linear / (1 - 0.85 * brightest**3)).astype(np.float32)
    return light


def _window(path: Path, rng: np.random.Generator) -> Light:
    """Cut a window out of a source and make it smaller."""
    scene = _scene(path)
    is_scene = path.suffix.lower() in SCENES
    least, most = _SMALLER_SCENE if is_scene else (side / 2 for side in _SMALLER)
    shorter = min(scene.shape[:2])
    side = min(_SIDE, int(shorter / least)) // 2 * 2
    if side < 64:
        raise DataError(f"{path} is too small to make a RAW picture of")
    smaller = rng.uniform(least, min(most, shorter / side))
    extent = int(side * smaller)
    top, left = (int(rng.integers(0, n - extent + 1)) for n in scene.shape[:2])
    crop = torch.from_numpy(scene[top : top + extent, left : left + extent].transpose(2, 0, 1))
    scaled = functional.interpolate(
        crop[None], (side, side), mode="bilinear", antialias=True, align_corners=False
    )
    return np.ascontiguousarray(scaled[0].numpy().transpose(1, 2, 0))


def _lit(light: Light, rng: np.random.Generator) -> Light:
    """Change the scene: blur, colours, coloured light, lamps."""
    if rng.random() < 0.7:
        light = _blurred(light, rng.uniform(0.2, 0.9))
    if rng.random() < 0.15:
        light = light[..., rng.permutation(3)]
    luminance = light @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    saturation = rng.choice([1.0, rng.uniform(0.2, 1.0), rng.uniform(1.0, 1.6)])
    lit = np.maximum(luminance[..., None] * (1 - saturation) + light * saturation, 0)
    lit = lit * rng.uniform(0.9, 1.1, 3)  # white balance is never quite right
    if rng.random() < 0.15:  # stage light: two colours that meet
        across = _gradient(lit.shape[:2], rng)[..., None]
        one, other = 10 ** rng.uniform(-1.5, 0.3, (2, 3))
        lit = lit * (one * across + other * (1 - across))
    if rng.random() < 0.25:
        lit = lit + _lamps(lit, rng)
    return np.asarray(lit, np.float32)


def _blurred(light: Light, sigma: float) -> Light:
    radius = 4
    x = torch.arange(-radius, radius + 1, dtype=torch.float32)
    kernel = torch.exp(-(x**2) / (2 * sigma**2))
    kernel = (kernel / kernel.sum()).expand(3, 1, 1, -1)
    planes = torch.from_numpy(np.ascontiguousarray(light.transpose(2, 0, 1)))[None]
    planes = functional.pad(planes, (radius,) * 4, mode="reflect")
    planes = functional.conv2d(planes, kernel, groups=3)
    planes = functional.conv2d(planes, kernel.transpose(2, 3), groups=3)
    blurred: Light = planes[0].numpy().transpose(1, 2, 0)
    return blurred


def _gradient(shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float64]:
    """0 to 1 across a frame, in a random direction and place."""
    angle, middle, steepness = rng.uniform(0, 2 * np.pi), rng.uniform(0.2, 0.8), rng.uniform(2, 30)
    rows, columns = np.mgrid[: shape[0], : shape[1]] / max(shape)
    along = rows * np.sin(angle) + columns * np.cos(angle)
    along = (along - along.min()) / np.ptp(along)
    gradient: NDArray[np.float64] = 1 / (1 + np.exp(-steepness * (along - middle)))
    return gradient


def _lamps(light: NDArray[Any], rng: np.random.Generator) -> NDArray[np.float64]:
    """Small bright sources with a glow around them."""
    shape = light.shape[:2]
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    glow = np.zeros(light.shape)
    usual = float(np.quantile(light, 0.9)) + 1e-6
    for _ in range(int(rng.integers(1, 6))):
        centre = rng.uniform(0, 1, 2) * shape
        radius = rng.uniform(0.003, 0.06) * max(shape)
        distance = np.hypot(rows - centre[0], columns - centre[1]) / radius
        halo = 1 / (1 + distance ** rng.uniform(2, 6))
        colour = rng.choice([rng.uniform(0.6, 1.0, 3), 10 ** rng.uniform(-1.5, 0, 3)])
        glow += halo[..., None] * colour * usual * 10 ** rng.uniform(0, 1.8)
    return glow


# -- cameras -----------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _matrices() -> list[tuple[str, NDArray[np.float64]]]:
    known = [(model, known_camera_matrix(make, model)) for make, model in CAMERAS]
    return [(model, matrix) for model, matrix in known if matrix is not None]


def _illuminant(rng: np.random.Generator) -> NDArray[np.float64]:
    """CIE XYZ of a white under a light of 2300 to 10000 K (Krystek 1985), somewhat off."""
    t = 1e6 / rng.uniform(100, 435)
    u = (0.860117757 + 1.54118254e-4 * t + 1.28641212e-7 * t**2) / (
        1 + 8.42420235e-4 * t + 7.08145163e-7 * t**2
    )
    v = (0.317398726 + 4.22806245e-5 * t + 4.20481691e-8 * t**2) / (
        1 - 2.89741816e-5 * t + 1.61456053e-7 * t**2
    )
    v += rng.normal(0, 0.004)
    scale = 2 * u - 8 * v + 4
    x, y = 3 * u / scale, 2 * v / scale
    return np.array([x / y, 1.0, (1 - x - y) / y])


def _taken(light: Light, rng: np.random.Generator) -> RawRecord:
    """Measure the light of a scene with a camera."""
    cameras = _matrices()
    model, matrix = cameras[int(rng.integers(len(cameras)))]
    to_srgb = camera_to_srgb_from(matrix)
    multipliers = np.maximum(matrix @ _illuminant(rng), 0.05) ** -1
    multipliers /= multipliers[1]
    # Balanced light on the scale on which the first channel to saturate does so at 1.
    balanced = np.maximum(light @ np.linalg.inv(to_srgb).T, 0)
    exposed = balanced * (multipliers.min() / multipliers)
    exposed *= _exposure(exposed.max(axis=2), rng)

    pattern = CFA_PATTERNS[int(rng.integers(4))]
    channels = np.array(["RGB".index(c) for c in pattern]).reshape(2, 2)
    mosaic = mosaic_from_rgb(exposed, channels)
    # In units of what a pixel holds: shot noise of 1/gain electrons, read noise of a few.
    gain = 10 ** rng.uniform(-4.8, -2.3)
    read = gain * 10 ** rng.uniform(0.2, 1.1)
    mosaic += rng.normal(size=mosaic.shape) * np.sqrt(mosaic * gain + read**2)

    bits = int(rng.choice([10, 12, 14, 16], p=[0.05, 0.4, 0.5, 0.05]))
    highest = 2**bits - 1
    black = float(round(highest * rng.choice([0.0, 0.0156, 0.0313, 0.125])))
    saturated = highest if rng.random() < 0.5 else round(highest * rng.uniform(0.85, 1))
    levels = np.rint(black + np.minimum(mosaic, 1) * (saturated - black))
    # Files often put white beside where the sensor saturates.
    white = round(black + (saturated - black) * rng.choice([1.0, 1.0, rng.uniform(0.93, 1.03)]))
    return RawRecord(
        mosaic=np.clip(levels, 0, highest).astype(np.uint16),
        pattern=pattern,
        black=np.full((2, 2), black),
        white=min(white, 65535),
        white_balance=multipliers,
        camera_to_srgb=to_srgb,
        xyz_to_camera=matrix,
        make="Simulated",
        model=f"Simulated {model}",
        bit_depth=bits,
    )


def _exposure(brightest: NDArray[Any], rng: np.random.Generator) -> float:
    """Choose what takes the scene to the sensor's range, by one of three rules."""
    kind = rng.random()
    if kind < 0.3:  # nothing clips
        quantile, level = 0.999, rng.uniform(0.2, 0.95)
    elif kind < 0.7:  # up to a little over half of the picture does
        quantile, level = 1 - 10 ** rng.uniform(-3, -0.25), 1.0
    else:  # the subject decides, whatever becomes of the highlights
        quantile, level = 0.5, 10 ** rng.uniform(-1.6, -0.4)
    return float(level / max(np.quantile(brightest, quantile), 1e-6))
