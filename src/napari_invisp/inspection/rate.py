"""What quality costs and keeps: the points of rate-distortion curves, as they are visited."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

#: Qualities of a sweep.
SWEEP = (50, 60, 70, 75, 80, 85, 90, 93, 95, 98)


@dataclass(frozen=True)
class Line:
    """What the points of one curve have in common."""

    model: str
    headroom: float
    subsampling: str

    def __str__(self) -> str:
        return f"{self.model}, headroom {self.headroom:g}, {self.subsampling}"


@dataclass(frozen=True)
class RatePoint:
    """One JPEG of a RAW.

    Attributes
    ----------
    line
        The curve that it belongs to.
    quality
        Of the JPEG.
    bpp
        Bits of the file for each pixel (paper Eq. 11).
    raw_psnr, rgb_psnr
        dB: recovered against original RAW, and decoded JPEG against LibRaw's rendering after the
        same codec settings.
    """

    line: Line
    quality: int
    bpp: float
    raw_psnr: float
    rgb_psnr: float


@dataclass
class RateCurves:
    """All JPEG files of one RAW that were measured; a quality that is visited again counts once."""

    _points: dict[tuple[Line, int], RatePoint] = field(default_factory=dict)

    def add(self, point: RatePoint) -> None:
        """Add a point, in place of an earlier one of the same settings."""
        self._points[point.line, point.quality] = point

    def clear(self) -> None:
        """Forget all points."""
        self._points.clear()

    def missing(self, line: Line) -> list[int]:
        """Return the qualities of :data:`SWEEP` that a curve lacks."""
        return [quality for quality in SWEEP if (line, quality) not in self._points]

    def __iter__(self) -> Iterator[tuple[Line, list[RatePoint]]]:
        """Give each curve with its points in order of quality."""
        for line in dict.fromkeys(line for line, _ in self._points):
            points = [point for point in self._points.values() if point.line == line]
            yield line, sorted(points, key=lambda point: point.quality)
