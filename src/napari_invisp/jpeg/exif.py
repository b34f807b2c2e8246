"""The EXIF block of a rendered JPEG: which camera took it, how, and which way is up."""

from __future__ import annotations

from fractions import Fraction

from PIL import ExifTags, Image
from PIL.ExifTags import Base
from PIL.TiffImagePlugin import IFDRational


def build_exif(
    *,
    orientation: int = 1,
    make: str | None = None,
    model: str | None = None,
    taken: str | None = None,
    exposure_time: float | None = None,
    f_number: float | None = None,
    iso: int | None = None,
    focal_length: float | None = None,
    exposure_bias: float | None = None,
    lens: str | None = None,
    artist: str | None = None,
    copyright: str | None = None,
    software: str | None = None,
) -> bytes:
    """Build an EXIF block. What is ``None`` or empty is left out.

    Parameters
    ----------
    orientation
        1 … 8. Pixels are stored as the sensor saw them; this tag turns them upright elsewhere.
    make, model, artist, copyright, software
        Text, stored as UTF-8.
    lens
        Text, stored as ASCII with question marks for all else.
    taken
        ``YYYY:MM:DD HH:MM:SS``, local time.
    exposure_time
        Seconds.
    f_number, iso, focal_length
        Aperture, sensitivity, focal length in millimetres.
    exposure_bias
        Exposure compensation in EV.

    Returns
    -------
    bytes
        The payload of an APP1 segment, from the ``Exif`` identifier on.
    """
    exif = Image.Exif()
    tags = {
        Base.Orientation: orientation,
        Base.Make: _text(make),
        Base.Model: _text(model),
        Base.Software: _text(software),
        Base.DateTime: _text(taken),
        Base.Artist: _text(artist),
        Base.Copyright: _text(copyright),
    }
    capture = {
        Base.ExifVersion: b"0232",
        Base.ColorSpace: 1,  # sRGB
        Base.DateTimeOriginal: taken or None,
        Base.ExposureTime: _ratio(exposure_time),
        Base.FNumber: _ratio(f_number),
        # EXIF 2.3: a sensitivity beyond 16 bits is given as 65535 here and whole in ISOSpeed.
        Base.ISOSpeedRatings: None if iso is None else min(iso, 65535),
        Base.ISOSpeed: iso if iso is not None and iso > 65535 else None,
        Base.FocalLength: _ratio(focal_length),
        Base.ExposureBiasValue: _ratio(exposure_bias),
        Base.LensModel: lens or None,
    }
    exif.update({tag.value: value for tag, value in tags.items() if value is not None})
    exif[ExifTags.IFD.Exif.value] = {
        tag.value: value for tag, value in capture.items() if value is not None
    }
    return exif.tobytes()


def _text(text: str | None) -> bytes | None:
    # Pillow writes question marks beyond ASCII unless it gets bytes, and takes those for text in
    # the first IFD only.
    return text.encode() if text else None


def _ratio(value: float | None) -> IFDRational | None:
    # Fine enough for 1/32000 s, coarse enough to find 1/3 in 0.333333.
    if value is None:
        return None
    ratio = Fraction(value).limit_denominator(100_000)
    return IFDRational(ratio.numerator, ratio.denominator)
