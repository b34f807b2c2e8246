"""The figures of one JPEG: what it costs, and what it keeps."""

from __future__ import annotations

from dataclasses import dataclass

from napari_invisp.inspection.rate import Line, RatePoint
from napari_invisp.metrics import RawFidelity
from napari_invisp.tiling import Part


@dataclass(frozen=True)
class Figures:
    """How good a JPEG and the RAW recovered from it are.

    Attributes
    ----------
    model, headroom
        How it was rendered; ``None`` where that is not known.
    quality, subsampling
        Of the JPEG; ``None`` where they are not known.
    jpeg_bytes, bpp, compression_ratio
        Its size; bits for each pixel; how many times smaller it is than the packed RAW samples.
    raw
        How far the recovered RAW is from the original; ``None`` where there is no original.
    rgb_psnr, rgb_psnr_jpeg
        dB between the rendered sRGB and LibRaw's, before JPEG, and after both went through it;
        ``None`` where nothing was rendered.
    part
        The part of the frame that ``raw`` is of, if it is not the whole one: then a slider is
        being moved, and the size may be estimated.
    """

    model: str | None
    headroom: float | None
    quality: int | None
    subsampling: str | None
    jpeg_bytes: int
    bpp: float
    compression_ratio: float
    raw: RawFidelity | None = None
    rgb_psnr: float | None = None
    rgb_psnr_jpeg: float | None = None
    part: Part | None = None

    def point(self) -> RatePoint | None:
        """Return these figures as a point of a rate-distortion curve, if they are whole."""
        if self.raw is None or self.rgb_psnr_jpeg is None or self.part is not None:
            return None
        line = Line(str(self.model), float(self.headroom or 0), str(self.subsampling))
        psnr = self.raw.raw_psnr, self.rgb_psnr_jpeg
        return RatePoint(line, int(self.quality or 0), self.bpp, *psnr)
