from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from photographs import photograph

from napari_invisp.pipeline import Pipeline, Rendering
from napari_invisp.settings import RenderSettings
from napari_invisp.viewer.layers import Kind
from napari_invisp.viewer.work.bench import Bench, Result
from napari_invisp.viewer.work.following import Glimpse, Moved, follow
from napari_invisp.viewer.work.frames import Frames
from napari_invisp.viewer.work.worker import Report

SETTINGS = RenderSettings(model="physics", device="cpu")
VIEW = slice(32, 432), slice(48, 560)


@pytest.fixture(scope="module")
def rendering() -> Rendering:
    return Pipeline(SETTINGS).render(photograph(height=480, width=600))


@pytest.mark.parametrize(("quality", "headroom"), [(40, SETTINGS.headroom), (90, 0.0)])
@pytest.mark.parametrize(("seconds", "glimpses"), [(0.01, 1), (1.0, 2)])
def test_a_tile_comes_first_only_where_all_of_the_view_takes_long(
    rendering: Rendering, quality: int, headroom: float, seconds: float, glimpses: int
) -> None:
    record = rendering.record
    bench, frames = Bench(record), Frames(record, "photograph")
    kind = "physics", headroom == SETTINGS.headroom
    bench.paces[kind] = seconds / (400 * 512)
    moved = Moved(replace(SETTINGS, quality=quality, headroom=headroom), VIEW)
    report = Report(lambda *sent: None)
    seen, first = [], None
    for each in follow(lambda: moved, bench, frames, rendering, report):
        if first is None:
            first = (frames[Kind.DECODED].levels[0] > 0).any(axis=2)
        seen.append(type(each))
    assert seen[:glimpses] == [Glimpse] * glimpses
    assert seen[glimpses] is Result
    # A first tile lies in the middle of what is looked at.
    rows = np.flatnonzero(first.any(axis=1))
    assert (rows.max() - rows.min() < 300) == (glimpses == 2)
    # What was found out counts the next time.
    assert bench.paces[kind] != seconds / (400 * 512)
