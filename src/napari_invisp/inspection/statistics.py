"""How often the untouched mosaic has which value: histograms and statistics of each channel.

Channels are the four sites of the CFA, in the order of
:data:`~napari_invisp.sensor.cfa.CHANNELS`. Samples are counted once, as whole numbers; histograms
on any axis and all statistics follow from the counts, exactly.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_invisp.inspection.regions import Region
from napari_invisp.metrics import check_comparable
from napari_invisp.sensor.cfa import CHANNELS, channel_sites
from napari_invisp.sensor.record import RawRecord
from napari_invisp.sensor.saturation import saturation

# As many bins as can be told apart; cameras that store compressed samples leave gaps between
# values, which finer bins would show as a comb.
_MOST_BINS = 256


class Frame(StrEnum):
    """Which samples are counted."""

    ORIGINAL = "original"
    RECOVERED = "recovered"
    #: Recovered minus original, site by site.
    DIFFERENCE = "difference"


@dataclass(frozen=True)
class Levels:
    """Where the values of each channel begin and end, in DN.

    Attributes
    ----------
    black
        Black level of each channel.
    white
        White level, as the file has it.
    saturation
        Where each channel's own samples end, see
        :func:`~napari_invisp.sensor.saturation.saturation`; the white level where they show no end.
    """

    black: tuple[float, ...]
    white: float
    saturation: tuple[float, ...]

    @classmethod
    def of(cls, record: RawRecord) -> Levels:
        """Read the levels of a RAW, and look where its samples end."""
        ends = saturation(record)
        black, ending = [], []
        for row, column in channel_sites(record.pattern).values():
            level = float(record.black[row, column])
            end = level + ends[record.channels[row, column]] * (record.white - level)
            black.append(level)
            # Samples are whole numbers, and the greens share an end but not always a black level.
            ending.append(end if math.isclose(end, record.white) else math.floor(end + 1e-6))
        return cls(tuple(black), record.white, tuple(map(float, ending)))

    @property
    def clipping(self) -> tuple[float, ...]:
        """Where each channel begins to clip: at its saturation, or at white if that is lower."""
        return tuple(min(self.white, end) for end in self.saturation)


@dataclass(frozen=True, eq=False)
class Counts:
    """How many sites of each channel have which value.

    Attributes
    ----------
    lowest
        The value in DN that the first column counts.
    counts
        ``(4, n)`` int64: sites of each channel that are ``lowest``, ``lowest + 1``, … DN.
    """

    lowest: int
    counts: NDArray[np.int64]

    @property
    def values(self) -> NDArray[np.int64]:
        """``(n,)`` int64, the value in DN of each column."""
        return np.arange(self.lowest, self.lowest + self.counts.shape[1])

    @property
    def span(self) -> tuple[int, int] | None:
        """The lowest and the highest value that there is; ``None`` if nothing was counted."""
        filled = np.flatnonzero(self.counts.any(0))
        if not filled.size:
            return None
        return int(filled[0]) + self.lowest, int(filled[-1]) + self.lowest

    def within(self, limit: int) -> Counts:
        """Leave out what is farther than ``limit`` from 0."""
        kept = np.flatnonzero(abs(self.values) <= limit)
        first, last = (kept[0], kept[-1] + 1) if kept.size else (0, 0)
        return Counts(self.lowest + int(first), self.counts[:, first:last])

    def reach(self, share: float) -> int:
        """Return the least distance from 0 that this share of the sites does not go beyond."""
        distance = abs(self.values)
        sites = np.bincount(distance, self.counts.sum(0), minlength=1).cumsum()
        return int(np.searchsorted(sites, share * sites[-1]))


@dataclass(frozen=True, eq=False)
class Histogram:
    """Counts, put into the bins of an axis.

    Attributes
    ----------
    edges
        ``(n + 1,)`` float64, rising.
    counts
        ``(4, n)`` int64, sites of each channel; a bin holds its left edge but not its right one.
    below
        ``(4,)`` int64, sites that have no place on the axis: at or below black, where it is in EV.
    """

    edges: NDArray[np.float64]
    counts: NDArray[np.int64]
    below: NDArray[np.int64]


@dataclass(frozen=True)
class ChannelStatistics:
    """Figures of one channel; what does not apply, or has no sites, is ``None``.

    Attributes
    ----------
    channel
        One of :data:`~napari_invisp.sensor.cfa.CHANNELS`.
    sites
        How many sites were counted.
    minimum, maximum, mean, standard_deviation
        In DN; the deviation is that of these sites, not of a population that they stand for.
    percent_at_white, percent_at_saturation
        Percent of the sites at or above the white level, and the channel's saturation.
    percent_at_black
        Percent of the sites at or below the black level.
    percent_equal
        Of differences: percent of the sites that did not change.
    black_level, white_level, saturation
        What the sites were judged by, in DN.
    """

    channel: str
    sites: int
    minimum: int | None
    maximum: int | None
    mean: float | None
    standard_deviation: float | None
    percent_at_white: float | None
    percent_at_saturation: float | None
    percent_at_black: float | None
    percent_equal: float | None
    black_level: float | None
    white_level: float | None
    saturation: float | None


@dataclass(frozen=True)
class Statistics:
    """Figures of all channels of one frame.

    Attributes
    ----------
    frame
        What was counted.
    region
        The name of the part of the frame.
    channels
        One for each of :data:`~napari_invisp.sensor.cfa.CHANNELS`.
    """

    frame: Frame
    region: str
    channels: tuple[ChannelStatistics, ...]


@dataclass(frozen=True, eq=False)
class Survey:
    """All that was counted within one region.

    Attributes
    ----------
    region
        The part of the frame.
    levels
        Of the original, or of the recovered RAW where there is no original.
    counts
        Of each frame that there is.
    """

    region: Region
    levels: Levels
    counts: dict[Frame, Counts]

    @cached_property
    def statistics(self) -> tuple[Statistics, ...]:
        """The figures of each frame."""
        return tuple(
            Statistics(frame, self.region.name, describe(counts, self._levels_of(frame)))
            for frame, counts in self.counts.items()
        )

    def _levels_of(self, frame: Frame) -> Levels | None:
        return None if frame is Frame.DIFFERENCE else self.levels


def survey(original: RawRecord | None, recovered: RawRecord | None, region: Region) -> Survey:
    """Count one RAW or two, and where there are two, how they differ.

    Parameters
    ----------
    original, recovered
        At least one of them.
    region
        The part of the frames to count.

    Raises
    ------
    RawFileError
        The two differ in size or CFA pattern.
    """
    records = {Frame.ORIGINAL: original, Frame.RECOVERED: recovered}
    counts = {f: count(record, region) for f, record in records.items() if record is not None}
    if original is not None and recovered is not None:
        counts[Frame.DIFFERENCE] = count_difference(original, recovered, region)
    judge = original if original is not None else recovered
    assert judge is not None
    return Survey(region, Levels.of(judge), counts)


def count(record: RawRecord, region: Region) -> Counts:
    """Count how often each channel has each value within a region."""
    sites = channel_sites(record.pattern).values()
    return _tally(region.samples(record.mosaic, sites), 0)


def count_difference(original: RawRecord, recovered: RawRecord, region: Region) -> Counts:
    """Count the signed differences in DN, recovered minus original, site by site.

    Raises
    ------
    RawFileError
        The two differ in size or CFA pattern.
    """
    check_comparable(original, recovered)
    sites = channel_sites(original.pattern).values()
    pairs = zip(
        region.samples(recovered.mosaic, sites),
        region.samples(original.mosaic, sites),
        strict=True,
    )
    differences = [np.subtract(ours, theirs, dtype=np.int32) for ours, theirs in pairs]
    lowest = min((int(d.min()) for d in differences if d.size), default=0)
    return _tally([d - lowest for d in differences], lowest)


def _tally(samples: Sequence[NDArray[Any]], lowest: int) -> Counts:
    """Count samples that begin at 0 and stand for values that begin at ``lowest``."""
    found = [np.bincount(each, minlength=1) for each in samples]
    counts = np.zeros((len(found), max(map(len, found))), np.int64)
    for row, each in zip(counts, found, strict=True):
        row[: len(each)] = each
    return Counts(lowest, counts)


def describe(counts: Counts, levels: Levels | None) -> tuple[ChannelStatistics, ...]:
    """Work out the figures of each channel; without levels, of differences."""
    described = []
    for i, channel in enumerate(CHANNELS):
        filled = np.flatnonzero(counts.counts[i])
        values = (filled + counts.lowest).tolist()
        times = counts.counts[i][filled].tolist()
        sites = sum(times)
        # Python's whole numbers are exact, whatever they grow to.
        total = sum(v * n for v, n in zip(values, times, strict=True))
        squares = sum(v * v * n for v, n in zip(values, times, strict=True))

        def percent(inside: NDArray[np.bool_] | bool, i: int = i, sites: int = sites) -> float:
            return 100 * int(counts.counts[i][inside].sum()) / sites

        here = levels if sites else None
        described.append(
            ChannelStatistics(
                channel,
                sites,
                values[0] if sites else None,
                values[-1] if sites else None,
                total / sites if sites else None,
                math.sqrt(sites * squares - total * total) / sites if sites else None,
                percent(counts.values >= here.white) if here else None,
                percent(counts.values >= here.saturation[i]) if here else None,
                percent(counts.values <= here.black[i]) if here else None,
                percent(counts.values == 0) if sites and levels is None else None,
                levels.black[i] if levels else None,
                levels.white if levels else None,
                levels.saturation[i] if levels else None,
            )
        )
    return tuple(described)


def linear_histogram(
    counts: Counts, width: int = 0, span: tuple[int, int] | None = None
) -> Histogram:
    """Put counts into bins of equal width in DN.

    Parameters
    ----------
    counts
        The counts.
    width
        Whole DN that a bin spans; 0 takes the smallest power of two that gives 256 bins or fewer.
    span
        Lowest and highest value that the axis has to reach, if that is more than the counts do.

    Returns
    -------
    Histogram
        Bins begin at multiples of the width. Edges lie half a DN below the first value of each
        bin, so that bins of 1 DN have their value in the middle.
    """
    ends = (*(counts.span or ()), *(span or ())) or (0,)
    low, high = min(ends), max(ends)
    width = width or 1 << max(0, math.ceil(math.log2((high - low + 1) / _MOST_BINS)))
    first, last = low // width, high // width
    padded = np.zeros((len(counts.counts), (last - first + 1) * width), np.int64)
    filled = np.flatnonzero(counts.counts.any(0))
    padded[:, filled + counts.lowest - first * width] = counts.counts[:, filled]
    edges = np.arange(first, last + 2) * width - 0.5
    binned = padded.reshape(len(padded), -1, width).sum(2)
    return Histogram(edges, binned, np.zeros(len(padded), np.int64))


def ev_histogram(counts: Counts, levels: Levels, bins_per_stop: int = 8) -> Histogram:
    """Put counts into bins of equal ratio: EV below white, black subtracted.

    A value ``v`` of a channel with black level ``b`` lies at ``log2((v − b) / (white − b))``; white
    is 0. Values at or below black have no logarithm: they are counted in ``below``. Just above
    black bins are narrower than 1 DN, and most of them are empty.

    Parameters
    ----------
    counts
        The counts.
    levels
        Of the RAW that was counted.
    bins_per_stop
        Bins of one EV.

    Returns
    -------
    Histogram
        Its axis begins at the first whole DN above black, and ends at white or beyond it where
        there are values beyond; 0 is an edge.
    """
    places = []
    for black in levels.black:
        above = counts.values > black
        ev = np.log2((counts.values[above] - black) / (levels.white - black))
        places.append((above, np.floor(ev * bins_per_stop).astype(np.int64)))
    low = min(
        math.floor(bins_per_stop * math.log2((math.floor(b) + 1 - b) / (levels.white - b)))
        for b in levels.black
    )
    high = max([0, *(int(bins[-1]) + 1 for _, bins in places if bins.size)])
    binned = np.zeros((len(places), high - low), np.int64)
    for row, line, (above, bins) in zip(binned, counts.counts, places, strict=True):
        np.add.at(row, bins - low, line[above])
    edges = np.arange(low, high + 1) / bins_per_stop
    return Histogram(edges, binned, counts.counts.sum(1) - binned.sum(1))


def as_csv(statistics: Iterable[Statistics], delimiter: str = ",") -> str:
    """Write figures as CSV: a line of names, then one for each frame and channel.

    Figures are in DN and percent, in full precision; what does not apply is left empty.
    """
    rows = [
        {"region": each.region, "frame": each.frame.value} | asdict(channel)
        for each in statistics
        for channel in each.channels
    ]
    names = [field.name for field in fields(ChannelStatistics)]
    stream = io.StringIO()
    writer = csv.DictWriter(stream, ["region", "frame", *names], delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()
