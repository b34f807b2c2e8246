from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from napari.components import ViewerModel
from pytestqt.qtbot import QtBot

from napari_invisp.inspection.rate import SWEEP, Line, RateCurves, RatePoint
from napari_invisp.viewer.docks.rate import RateDock
from napari_invisp.viewer.docks.render import RenderDock
from napari_invisp.viewer.layers import FIGURES, facts_of

PLUGIN = "napari-invisp"


@pytest.fixture
def render(qtbot: QtBot, viewer: ViewerModel, monkeypatch: pytest.MonkeyPatch) -> RenderDock:
    monkeypatch.setattr("napari_invisp.viewer.controls._REST_MS", 1)
    dock = RenderDock(viewer)
    dock.controls["model"].value = "physics"
    qtbot.addWidget(dock)
    return dock


@pytest.fixture
def dock(qtbot: QtBot, viewer: ViewerModel, render: RenderDock) -> RateDock:
    dock = RateDock(viewer, render)
    qtbot.addWidget(dock)
    return dock


@pytest.fixture
def finish(qtbot: QtBot, render: RenderDock) -> Callable[[], None]:
    return lambda: qtbot.waitUntil(lambda: not render.running, timeout=20_000)


def rows(dock: RateDock) -> list[list[str]]:
    table = dock.table
    return [
        [table.item(row, column).text() for column in range(table.columnCount())]
        for row in range(table.rowCount())
    ]


def test_a_curve_keeps_one_point_for_each_quality() -> None:
    curves, line = RateCurves(), Line("physics", 0.5, "4:2:2")
    curves.add(RatePoint(line, 90, 1.2, 45.0, 44.0))
    curves.add(RatePoint(line, 50, 0.6, 41.0, 40.0))
    curves.add(RatePoint(line, 90, 1.3, 46.0, 44.0))
    other = Line("physics", 1.0, "4:2:2")
    curves.add(RatePoint(other, 90, 1.2, 45.0, 44.0))
    found = {str(each): [(p.quality, p.bpp) for p in points] for each, points in curves}
    assert found == {
        "physics, headroom 0.5, 4:2:2": [(50, 0.6), (90, 1.3)],
        "physics, headroom 1, 4:2:2": [(90, 1.2)],
    }
    assert curves.missing(line) == [quality for quality in SWEEP if quality not in (50, 90)]


def test_without_a_rendering_there_is_nothing_to_sweep(dock: RateDock) -> None:
    assert not dock.sweep_button.isEnabled()
    assert "Render a RAW" in dock.note.text()


def test_qualities_come_in_as_they_are_visited(
    qtbot: QtBot,
    viewer: ViewerModel,
    render: RenderDock,
    dock: RateDock,
    finish: Callable[[], None],
    dng: Path,
) -> None:
    viewer.open(dng, plugin=PLUGIN)
    render.render_raw()
    finish()
    figures = facts_of(viewer.layers["scene rendered sRGB"])[FIGURES]
    assert rows(dock) == [
        [
            "90",
            f"{figures.bpp:.2f}",
            f"{figures.raw.raw_psnr:.2f}",
            f"{figures.rgb_psnr_jpeg:.2f}",
            "physics, headroom 0.5, 4:2:2",
        ]
    ]
    render.controls["quality"].value = 60
    qtbot.waitUntil(lambda: dock.table.rowCount() == 2, timeout=20_000)
    finish()
    assert [row[0] for row in rows(dock)] == ["60", "90"]
    assert dock.table.item(0, 0).font().bold()
    assert not dock.table.item(1, 0).font().bold()
    curve, ring = dock.plots["raw_psnr"].listDataItems()
    np.testing.assert_allclose(ring.getData()[0], curve.getData()[0][0])
    np.testing.assert_allclose(ring.getData()[1], curve.getData()[1][0])


def test_a_sweep_measures_what_is_missing(
    viewer: ViewerModel, render: RenderDock, dock: RateDock, finish: Callable[[], None], dng: Path
) -> None:
    viewer.open(dng, plugin=PLUGIN)
    render.render_raw()
    finish()
    shown = viewer.layers["scene decoded JPEG"].data[0].copy()
    dock.sweep_button.click()
    assert not dock.sweep_button.isEnabled()
    finish()
    assert [int(row[0]) for row in rows(dock)] == list(SWEEP)
    assert "All standard qualities" in dock.note.text()
    assert not dock.sweep_button.isEnabled()
    np.testing.assert_array_equal(viewer.layers["scene decoded JPEG"].data[0], shown)
    dock.clear_button.click()
    assert rows(dock) == []
    assert dock.sweep_button.isEnabled()


def test_each_raw_has_its_own_curves(
    viewer: ViewerModel,
    render: RenderDock,
    dock: RateDock,
    finish: Callable[[], None],
    dng: Path,
) -> None:
    viewer.open(dng, plugin=PLUGIN)
    render.render_raw()
    finish()
    viewer.open_sample(PLUGIN, "dog")
    assert rows(dock) == []
    viewer.layers.selection.active = viewer.layers["scene"]
    assert len(rows(dock)) == 1


def test_figures_are_not_pushed_out_of_sight(
    viewer: ViewerModel, render: RenderDock, dock: RateDock, finish: Callable[[], None], dng: Path
) -> None:
    dock.resize(dock.sizeHint())
    dock.show()
    viewer.open(dng, plugin=PLUGIN)
    render.render_raw()
    finish()
    header = dock.table.horizontalHeader()
    assert header.length() <= dock.table.viewport().width()
    assert dock.table.item(0, dock.table.columnCount() - 1).toolTip() == rows(dock)[0][-1]


def test_plots_leave_the_canvas_its_room(dock: RateDock, render: RenderDock) -> None:
    assert dock.sizeHint().width() == render.sizeHint().width() < 450
    assert dock.contents.sizeHint().width() > 450
