"""What a JPEG file is: one that holds its RAW, or one of another program."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from napari_invisp.archive import correction
from napari_invisp.archive import exact as exact_archive
from napari_invisp.errors import CapsuleError, CheckpointError, RawFileError
from napari_invisp.files import read_whole
from napari_invisp.jpeg.capsule import Resaved, carries_capsule, check_coding, from_jpeg
from napari_invisp.jpeg.codec import quality_of, subsampling_of
from napari_invisp.jpeg.segments import EXIF_IDENTIFIER, JpegStream
from napari_invisp.jpeg.tables import nearest_quality
from napari_invisp.pipeline import identity
from napari_invisp.sensor.exif import read_exif, read_writing
from napari_invisp.sensor.record import Capture, RawRecord, camera_name
from napari_invisp.zoo import MODELS, load_model


@dataclass(frozen=True)
class Inside:
    """What the capsule of a JPEG says about the RAW in it.

    Attributes
    ----------
    model
        Name of the model that rendered it.
    checkpoint
        Name of the file that its weights are from, or ``None`` for those that come with the model.
    known
        Whether these weights are here, so that nothing else is needed to recover the RAW.
    quality, subsampling, headroom
        How it was rendered, as far as the capsule says.
    resaved
        How the image data were changed since; ``None`` if they are as they were written.
    side_info
        Bytes of side information that it carries; of use only if nothing was changed since.
    exact
        Whether it is an exact archive, in which side information has no part; of use only if
        nothing was changed since.
    """

    model: str
    checkpoint: str | None
    known: bool
    quality: int | None
    subsampling: str | None
    headroom: float | None
    resaved: Resaved | None
    side_info: int = 0
    exact: bool = False

    @property
    def carries(self) -> str:
        """What it carries to bring back more of the RAW, in words; empty if nothing."""
        if self.exact:
            return "exact archive"
        return f"{self.side_info:,} bytes of side information" if self.side_info else ""


@dataclass(frozen=True)
class JpegFacts:
    """What a JPEG file says about itself; unknown facts are ``None`` or empty.

    Attributes
    ----------
    size
        Bytes of the file.
    width, height
        In pixels, as stored.
    quality
        The libjpeg quality whose luma table is its own or, of another encoder, comes closest.
    exact
        Whether it has the very tables of that quality.
    subsampling
        ``"4:4:4"``, ``"4:2:2"``, ``"4:2:0"``, or ``None`` for any other.
    make, model, capture
        Which camera took it, and how.
    software
        What wrote it, by its own account.
    orientation
        EXIF orientation, 1 to 8.
    inside
        Of the RAW that it holds; ``None`` if no RAW can be recovered.
    problem
        Why the RAW in it cannot be recovered, a sentence; ``None`` where it can be, and where there
        is none.
    """

    size: int
    width: int
    height: int
    quality: int
    exact: bool
    subsampling: str | None
    make: str
    model: str
    capture: Capture
    software: str
    orientation: int
    inside: Inside | None
    problem: str | None

    @property
    def foreign(self) -> bool:
        """Whether there is nothing of a RAW in it."""
        return self.inside is None and self.problem is None

    @property
    def camera(self) -> str:
        """Maker and model in one string, the maker named once."""
        return camera_name(self.make, self.model)

    def __str__(self) -> str:
        """Say in one line what it is."""
        taken = f"taken {self.capture.taken}" if self.capture.taken else None
        if self.inside is not None:
            rendered = f"quality {self.inside.quality or '?'}"
            carries = self.inside.carries if self.inside.resaved is None else ""
            parts = [self.camera, self.inside.model, rendered, carries, taken]
            kind = "napari-invisp JPEG"
        elif self.problem is not None:
            parts, kind = [self.problem], "napari-invisp JPEG whose RAW is lost"
        else:
            about = f"quality {'' if self.exact else 'about '}{self.quality}"
            parts = ["no RAW inside", self.camera, about, taken]
            kind = "a JPEG of another program"
        return f"{kind}: {', '.join(part for part in parts if part)}"


def describe(source: Path | bytes, name: str | None = None) -> JpegFacts:
    """Tell what a JPEG file is, without decoding its pixels.

    Parameters
    ----------
    source
        The file, or its path.
    name
        What to call it in messages; the path where not given.

    Raises
    ------
    CapsuleError
        It cannot be read, is not a JPEG, or is cut short or damaged. A damaged capsule in a sound
        JPEG is a :attr:`JpegFacts.problem` instead.
    """
    name = name or (str(source) if isinstance(source, Path) else "the JPEG")
    if isinstance(source, Path):
        source = read_whole(source, "a JPEG file", CapsuleError)
    stream = JpegStream.parse(source, name)
    frame, tables = stream.frame, stream.tables
    exact = quality_of(tables)
    exif = stream.application(1, EXIF_IDENTIFIER)
    block = exif[0].payload[len(EXIF_IDENTIFIER) :] if exif else b""
    make, model, capture = read_exif(block)
    software, orientation = read_writing(block)
    inside, problem = None, None
    if carries_capsule(stream):
        try:
            inside, record = _look_inside(source, name)
            make, model, capture = record.make, record.model, record.capture
        except CapsuleError as error:
            problem = str(error)
    return JpegFacts(
        size=len(source),
        width=frame.width,
        height=frame.height,
        quality=exact or nearest_quality(tables[0]),
        exact=exact is not None,
        subsampling=subsampling_of(stream),
        make=make,
        model=model,
        capture=capture,
        software=software,
        orientation=orientation,
        inside=inside,
        problem=problem,
    )


def _look_inside(data: bytes, name: str) -> tuple[Inside, RawRecord]:
    """Read the capsule; the record that comes with it has no pixels."""
    capsule = from_jpeg(data, name)
    resaved = check_coding(capsule, data, name)
    header: Any = capsule.header
    try:
        facts = {k: v for k, v in header["raw"].items() if k not in ("height", "width")}
        record = RawRecord.from_facts(facts, np.empty((2, 2), np.uint16))
        sections = capsule.sections
        archived = exact_archive.SECTION in sections
        model, render = header["model"], header.get("render") or {}
        inside = Inside(
            model=str(model["name"]),
            checkpoint=model["checkpoint"],
            known=model["checkpoint"] is None and _weights(model["name"]) == model["weights"],
            quality=render.get("quality"),
            subsampling=render.get("subsampling"),
            headroom=render.get("headroom"),
            resaved=resaved,
            side_info=0 if archived else len(sections.get(correction.SECTION, b"")),
            exact=archived,
        )
    except (KeyError, TypeError, AttributeError, RawFileError) as error:
        raise CapsuleError(f"{name}: its capsule is damaged ({error})") from error
    return inside, record


@lru_cache
def _weights(model: str) -> str | None:
    """Return the hash of a named model's weights; a text that is none if it is not here."""
    try:
        return identity(load_model(model)) if model in MODELS else "unknown"
    except CheckpointError:
        return "missing"
