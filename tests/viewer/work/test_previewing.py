from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from records import make_smooth_record

from napari_invisp.errors import Cancelled
from napari_invisp.hdr.highlights import linear_srgb_hdr
from napari_invisp.hdr.settings import ToneSettings
from napari_invisp.hdr.toning import toned
from napari_invisp.linear import codes_from_linear, linear_from_codes
from napari_invisp.retouching.filters import retouched
from napari_invisp.retouching.settings import RetouchSettings
from napari_invisp.tiling import Part, Watcher
from napari_invisp.viewer.layers import KIND, LOOK, MADE_OF, METADATA_KEY, PARTIAL, RECORD, Kind
from napari_invisp.viewer.layers.pyramids import halved, pyramid
from napari_invisp.viewer.layers.sources import Source
from napari_invisp.viewer.work import looks
from napari_invisp.viewer.work.looks import Look, Retouching, ToneMapping
from napari_invisp.viewer.work.previewing import Sheet, Shown, Wanted, follow

pytestmark = pytest.mark.usefixtures("one_thread")

SHAPE = (600, 520)
RECORD_OF = make_smooth_record(SHAPE)
BRIGHT = RetouchSettings(exposure=0.5, contrast=0.4)
DARK = RetouchSettings(exposure=-1)
WHOLE: Part = (slice(0, 600), slice(0, 520))
VIEW: Part = (slice(100, 220), slice(60, 200))


class Report:
    """Where follow reports to."""

    def __init__(self, stop: Callable[[], bool] = lambda: False) -> None:
        self.stages: list[str] = []
        self.cancelled = stop

    def progress(self, stage: str, done: int, total: int) -> None:
        self.stages.append(stage)


def of_raw() -> Source:
    return Source("key", "scene", SHAPE, RECORD_OF, None, RECORD_OF, np.eye(3), None)


def of_pixels(pixels: NDArray[Any]) -> Source:
    height, width = pixels.shape[:2]
    return Source("key", "x", (height, width), None, pixels, None, np.eye(3), None)


@pytest.fixture(scope="module")
def light() -> NDArray[np.float32]:
    return linear_srgb_hdr(RECORD_OF)


def test_the_part_in_view_is_as_in_the_whole_picture(light: NDArray[np.float32]) -> None:
    sheet = Sheet(of_raw(), Retouching())
    wanted = Wanted(BRIGHT, VIEW, 0, resting=True)
    first, last = sheet.pictures(wanted, Watcher())
    assert (first.partial, last.partial, last.done) == (True, True, True)
    levels = sheet.painting.levels
    whole = codes_from_linear(retouched(light, BRIGHT))
    np.testing.assert_array_equal(levels[0][VIEW], whole[VIEW])
    # Elsewhere it is of the same settings, if less fine.
    rough = np.abs(levels[0].astype(int) - whole)
    assert rough.mean() < 2
    assert not np.array_equal(levels[0], whole)
    half = VIEW[0].start // 2, VIEW[1].start // 2
    np.testing.assert_array_equal(
        levels[1][half[0] : half[0] + 60, half[1] : half[1] + 70], halved(whole[VIEW])
    )


def test_while_a_slider_moves_the_rest_of_the_frame_stays(light: NDArray[np.float32]) -> None:
    sheet = Sheet(of_raw(), Retouching())
    list(sheet.whole(BRIGHT, Watcher()))
    before = sheet.painting.levels[0].copy()
    np.testing.assert_array_equal(before, codes_from_linear(retouched(light, BRIGHT)))
    (shown,) = sheet.pictures(Wanted(DARK, VIEW, 0), Watcher())
    assert not shown.done
    after = sheet.painting.levels[0].copy()
    np.testing.assert_array_equal(after[VIEW], codes_from_linear(retouched(light[VIEW], DARK)))
    after[VIEW] = before[VIEW]
    np.testing.assert_array_equal(after, before)
    list(sheet.pictures(Wanted(DARK, VIEW, 0, resting=True), Watcher()))
    assert sheet.painting.levels[0].mean() < before.mean() - 20  # all of it is darker


def test_the_whole_frame_in_view_is_the_whole_frame() -> None:
    sheet = Sheet(of_raw(), Retouching())
    *_, last = sheet.pictures(Wanted(BRIGHT, WHOLE, 0, resting=True), Watcher())
    seen = sheet.painting.levels[0].copy()
    assert not last.partial
    *_, last = sheet.whole(BRIGHT, Watcher())
    assert not last.partial
    np.testing.assert_array_equal(sheet.painting.levels[0], seen)


def test_what_is_too_much_at_once_is_shown_coarsely_first(
    light: NDArray[np.float32], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Retouching, "most", 100_000)
    sheet = Sheet(of_raw(), Retouching())
    pictures = sheet.pictures(Wanted(BRIGHT, WHOLE, 0, resting=True), Watcher())
    next(pictures)
    half = codes_from_linear(retouched(halved(light), BRIGHT))
    np.testing.assert_array_equal(sheet.painting.levels[0], half.repeat(2, 0).repeat(2, 1))
    list(pictures)
    whole = codes_from_linear(retouched(light, BRIGHT))
    np.testing.assert_array_equal(sheet.painting.levels[0], whole)


def test_what_is_shown_small_is_made_small(
    light: NDArray[np.float32], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    def count(part: NDArray[np.float32], settings: RetouchSettings) -> NDArray[np.float32]:
        sizes.append(part.shape[0] * part.shape[1])
        return retouched(part, settings)

    monkeypatch.setattr(looks, "retouched", count)
    sheet = Sheet(of_raw(), Retouching())
    list(sheet.pictures(Wanted(BRIGHT, WHOLE, 1, resting=True), Watcher()))
    assert max(sizes) == 300 * 260
    np.testing.assert_array_equal(
        sheet.painting.levels[1], codes_from_linear(retouched(halved(light), BRIGHT))
    )


@pytest.mark.parametrize(
    ("look", "settings", "times"),
    [
        (Retouching(), (BRIGHT, DARK), 1),
        (ToneMapping(), (ToneSettings(), ToneSettings(contrast=0.3)), 1),
        (ToneMapping(), (ToneSettings(), ToneSettings(highlights="clip")), 2),
    ],
)
def test_a_raw_is_developed_once(
    look: Look, settings: tuple[Any, Any], times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    developed: list[str] = []
    original = linear_srgb_hdr

    def develop(*arguments: Any, **named: Any) -> NDArray[np.float32]:
        developed.append("once")
        return original(*arguments, **named)

    monkeypatch.setattr(looks, "linear_srgb_hdr", develop)
    sheet = Sheet(of_raw(), look)
    for each in (*settings, settings[1]):
        list(sheet.pictures(Wanted(each, VIEW, 0), Watcher()))
    list(sheet.whole(settings[1], Watcher()))
    assert len(developed) == times


def test_tones_in_view_are_close_to_those_of_the_whole_frame(light: NDArray[np.float32]) -> None:
    settings = ToneSettings(contrast=0.4, detail=0.3)
    sheet = Sheet(of_raw(), ToneMapping())
    list(sheet.pictures(Wanted(settings, VIEW, 0, resting=True), Watcher()))
    whole = codes_from_linear(toned(light, settings)).astype(int)
    off = np.abs(sheet.painting.levels[0][VIEW] - whole[VIEW]).mean()
    alone = codes_from_linear(toned(light[VIEW], settings)).astype(int)
    assert off < 3 < np.abs(alone - whole[VIEW]).mean()
    *_, last = sheet.whole(settings, Watcher())
    assert not last.partial
    np.testing.assert_array_equal(sheet.painting.levels[0], whole)


def test_sources_without_a_raw() -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 256, (64, 80, 3), np.uint8)
    sheet = Sheet(of_pixels(codes), Retouching())
    frame = (slice(0, 64), slice(0, 80))
    list(sheet.pictures(Wanted(RetouchSettings(), frame, 0, resting=True), Watcher()))
    np.testing.assert_array_equal(sheet.painting.levels[0], codes)  # neutral

    light = (4 * rng.random((64, 80, 3))).astype(np.float16)
    light[3, 4] = np.nan
    sheet = Sheet(of_pixels(light), Retouching())
    made = sheet.light(BRIGHT, Watcher())
    assert made.dtype == np.float32
    np.testing.assert_array_equal(made[5], light[5].astype(np.float32))
    assert not made[3, 4].any()
    assert linear_from_codes(codes).shape == made.shape


def test_earlier_levels_are_painted_over() -> None:
    levels = pyramid(np.zeros((*SHAPE, 3), np.uint8))
    sheet = Sheet(of_raw(), Retouching(), levels)
    assert sheet.painting.levels[0] is levels[0]
    others = pyramid(np.zeros((64, 64, 3), np.uint8))
    assert Sheet(of_raw(), Retouching(), others).painting.levels[0] is not others[0]


def test_the_layer_knows_what_it_is() -> None:
    sheet = Sheet(of_raw(), ToneMapping())
    data, arguments, kind = Shown(sheet, ToneSettings(), partial=True).layer()
    assert (kind, arguments["name"]) == ("image", "scene tone-mapped")
    assert data[0] is sheet.painting.levels[0]
    facts = arguments["metadata"][METADATA_KEY]
    assert facts == {
        KIND: Kind.TONE_MAPPED,
        MADE_OF: ("key",),
        LOOK: ToneSettings(),
        RECORD: RECORD_OF,
        PARTIAL: True,
    }
    _, arguments, _ = Shown(sheet, ToneSettings(), partial=False).layer()
    assert PARTIAL not in arguments["metadata"][METADATA_KEY]


def test_the_newest_is_shown() -> None:
    sheet = Sheet(of_raw(), Retouching())
    places = [Wanted(RetouchSettings(exposure=e), VIEW, 0) for e in (0.1, 0.2, 0.3)]
    now = [places[0]]
    shown = []
    for each in follow(lambda: now[0], sheet, Report()):
        shown.append(each.settings.exposure)
        now[0] = places[2]  # past the one between
    assert shown == [0.1, 0.3]
    np.testing.assert_array_equal(
        sheet.painting.levels[0][VIEW],
        codes_from_linear(retouched(sheet.light(BRIGHT, Watcher())[VIEW], places[2].settings)),
    )


def test_a_preview_can_be_cancelled() -> None:
    report = Report(stop=lambda: True)
    with pytest.raises(Cancelled):
        list(follow(lambda: Wanted(BRIGHT, VIEW, 0), Sheet(of_raw(), Retouching()), report))
