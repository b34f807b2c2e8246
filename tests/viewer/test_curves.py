from __future__ import annotations

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QPoint, Qt

from napari_invisp.viewer.curves import CurveEdit, Limits

LIMITS = Limits(0.5, 2.0)


@pytest.fixture
def curve(qtbot: QtBot) -> CurveEdit:
    widget = CurveEdit("curve", "a curve", ["white"], LIMITS, 8)
    qtbot.addWidget(widget)
    widget.resize(300, 132)
    return widget


def test_a_straight_line_at_first(curve: CurveEdit) -> None:
    assert curve.slopes() == (1.0,) * 8
    assert curve.heights(0) == pytest.approx([n / 8 for n in range(9)])


def test_a_knot_takes_its_neighbours_along_unless_it_goes_alone(curve: CurveEdit) -> None:
    curve.move_knot(4, 0.02)
    moved = [after - n / 8 for n, after in enumerate(curve.heights(0))]
    assert moved[4] == pytest.approx(0.02)
    assert moved[3] == pytest.approx(moved[5])
    assert 0 < moved[3] < 0.02
    assert moved[0] == moved[8] == 0
    curve.straighten()
    curve.move_knot(4, -0.02, alone=True)
    moved = [after - n / 8 for n, after in enumerate(curve.heights(0))]
    assert moved == pytest.approx([0, 0, 0, 0, -0.02, 0, 0, 0, 0])


@pytest.mark.parametrize("distance", [1.0, -1.0])
@pytest.mark.parametrize("knot", [1, 4, 7])
def test_slopes_stay_within_their_limits(curve: CurveEdit, knot: int, distance: float) -> None:
    before = curve.heights(0)[knot]
    for _ in range(3):
        curve.move_knot(knot, distance)
    assert all(LIMITS.minimum <= slope <= LIMITS.maximum for slope in curve.slopes())
    assert (curve.heights(0)[knot] - before) * distance > 0.02
    heights = curve.heights(0)
    assert heights == sorted(heights)


def test_a_drag_moves_the_knot_under_the_mouse(qtbot: QtBot, curve: CurveEdit) -> None:
    middle = QPoint(150, 66)
    with qtbot.waitSignal(curve.changed):
        qtbot.mousePress(curve, Qt.MouseButton.LeftButton, pos=middle)
        qtbot.mouseMove(curve, middle - QPoint(0, 4))
    qtbot.mouseRelease(curve, Qt.MouseButton.LeftButton, pos=middle - QPoint(0, 4))
    assert curve.heights(0)[4] == pytest.approx(0.5 + 4 / 118, abs=0.01)
    with qtbot.waitSignal(curve.changed):
        qtbot.mouseDClick(curve, Qt.MouseButton.LeftButton, pos=middle)
    assert curve.slopes() == (1.0,) * 8


def test_keys_move_knots_too(qtbot: QtBot, curve: CurveEdit) -> None:
    for key in (Qt.Key.Key_Right, Qt.Key.Key_Right, Qt.Key.Key_Up):
        qtbot.keyClick(curve, key)
    assert curve.heights(0)[2] == pytest.approx(2 / 8 + 0.01)
    qtbot.keyClick(curve, Qt.Key.Key_Down)
    assert curve.heights(0)[2] == pytest.approx(2 / 8)


def test_several_curves_one_of_which_is_bent(qtbot: QtBot) -> None:
    curves = CurveEdit("curves", "curves", ["red", "blue"], Limits(0.9, 1.1), 8, magnified=5)
    qtbot.addWidget(curves)
    curves.choose(1)
    curves.move_knot(3, 0.005)
    assert curves.slopes(0) == (1.0,) * 8
    assert curves.heights(1)[3] == pytest.approx(3 / 8 + 0.005)
    loaded = (0.9, 1.1) * 4
    with qtbot.assertNotEmitted(curves.changed):
        curves.load(0, loaded)
    assert curves.slopes(0) == loaded


def test_it_draws_curve_and_handles(qtbot: QtBot, curve: CurveEdit) -> None:
    straight = curve.grab().toImage()
    curve.move_knot(4, 0.05)
    bent = curve.grab().toImage()
    assert straight != bent
    # Where the curve was, beside a knot, there is ground now.
    assert straight.pixelColor(150 + 18, 66 - 8).lightness() > bent.pixelColor(168, 58).lightness()
