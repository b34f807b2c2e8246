"""Statistics of a RAW as a table for people to read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from napari_invisp.inspection.statistics import ChannelStatistics, Frame, Levels, Statistics
from napari_invisp.sensor.cfa import CHANNELS
from napari_invisp.viewer.docks.histogram_plots import COLOURS, TITLES

_NOTHING = "–"
_FIGURES = ("min", "max", "mean", "σ")
_SHARES = ("≥ white", "≤ black")
_SHARES_OF_DIFFERENCE = ("equal", "")


def table(statistics: Iterable[Statistics]) -> str:
    """Return the figures as rich text: a heading for each frame, a row for each channel."""
    rows = []
    for each in statistics:
        shares = _SHARES_OF_DIFFERENCE if each.frame is Frame.DIFFERENCE else _SHARES
        rows.append(f'<td colspan="7"><b>{TITLES[each.frame]}</b></td>')
        rows.append(_cells(["", *_FIGURES, *shares]))
        for channel, colour in zip(each.channels, COLOURS, strict=True):
            name = f'<td style="color: {colour}"><b>{channel.channel}</b></td>'
            rows.append(name + _cells(_figures(channel)))
    lines = "".join(f"<tr>{row}</tr>" for row in rows)
    return f'<table width="100%" cellspacing="0" cellpadding="1">{lines}</table>'


def saturation_note(statistics: Statistics, levels: Levels) -> str:
    """Say which channels end elsewhere than at the white level; empty if none does."""
    ends = [
        f"{name} {end:g} DN ({percent(channel.percent_at_saturation)} of its sites)"
        for name, end, channel in zip(CHANNELS, levels.saturation, statistics.channels, strict=True)
        if end != levels.white
    ]
    if not ends:
        return ""
    return (
        f"The file's white level is {levels.white:g} DN, but samples end at {', '.join(ends)}: "
        "dotted lines."
    )


def percent(share: float | None) -> str:
    """Return a share in percent with two decimals; what is there is never shown as nothing."""
    if share is None:
        return _NOTHING
    return "< 0.01 %" if 0 < share < 0.005 else f"{share:.2f} %"


def _figures(channel: ChannelStatistics) -> Sequence[str]:
    if channel.percent_equal is not None:
        shares = (percent(channel.percent_equal), "")
    else:
        shares = (percent(channel.percent_at_white), percent(channel.percent_at_black))
    return (
        _NOTHING if channel.minimum is None else f"{channel.minimum}",
        _NOTHING if channel.maximum is None else f"{channel.maximum}",
        _NOTHING if channel.mean is None else f"{channel.mean:.1f}",
        _NOTHING if channel.standard_deviation is None else f"{channel.standard_deviation:.1f}",
        *shares,
    )


def _cells(texts: Iterable[str]) -> str:
    return "".join(
        f'<td align="right" style="white-space: nowrap">{escape(text)}</td>' for text in texts
    )
