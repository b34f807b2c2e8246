from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import convolve

from napari_invisp.errors import Cancelled
from napari_invisp.tiling import Tile, Watcher, tiles, tiles_of

lengths = st.integers(2, 90)


@given(lengths, lengths, st.integers(1, 100), st.integers(0, 40))
def test_tiles_cover_every_pixel_once(height: int, width: int, size: int, halo: int) -> None:
    covered = np.zeros((height, width), int)
    for tile in tiles(height, width, size, halo):
        covered[tile.rows, tile.columns] += 1
    assert (covered == 1).all()


@given(lengths, lengths, st.integers(1, 100), st.integers(0, 40))
def test_tiles_see_their_halo_as_far_as_the_frame_goes(
    height: int, width: int, size: int, halo: int
) -> None:
    for tile in tiles(height, width, size, halo):
        for length, part, outer, inner in (
            (height, tile.rows, tile.outer_rows, tile.inner[0]),
            (width, tile.columns, tile.outer_columns, tile.inner[1]),
        ):
            assert part.start % 2 == outer.start % 2 == 0, "not at the CFA's first site"
            assert 0 <= outer.start <= part.start < part.stop <= outer.stop <= length
            assert outer.start == 0 or part.start - outer.start >= halo
            assert outer.stop == length or outer.stop - part.stop >= halo
            assert range(length)[outer][inner] == range(length)[part]


def test_tiles_are_alike_and_in_reading_order() -> None:
    pieces = tiles(100, 70, 32, 4)
    corners = [(tile.rows.start, tile.columns.start) for tile in pieces]
    assert corners == [(y, x) for y in (0, 26, 52, 78) for x in (0, 24, 48)]


@given(lengths, lengths, st.integers(1, 100), st.sampled_from((2, 4, 16)))
def test_tiles_are_no_larger_and_no_more_than_asked(
    height: int, width: int, size: int, grid: int
) -> None:
    pieces = tiles(height, width, size, 0, grid)
    size = -(-size // grid) * grid
    assert len(pieces) <= math.ceil(height / size) * math.ceil(width / size)
    for tile in pieces:
        assert tile.rows.start % grid == tile.columns.start % grid == 0
        for part in (tile.rows, tile.columns):
            assert part.stop - part.start <= size


def test_one_tile_may_hold_everything() -> None:
    (tile,) = tiles(31, 45, 4096, 80)
    assert (tile.outer_rows, tile.outer_columns) == (slice(0, 31), slice(0, 45))


@given(
    shape=st.tuples(st.integers(5, 60), st.integers(5, 60)),
    size=st.integers(2, 40),
    radius=st.integers(0, 4),
    seed=st.integers(0, 99),
)
@settings(deadline=None, max_examples=50)
def test_a_convolution_is_the_same_in_tiles(
    shape: tuple[int, int], size: int, radius: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    frame = rng.normal(size=shape)
    kernel = rng.normal(size=(2 * radius + 1,) * 2)

    def convolved(values: np.ndarray) -> np.ndarray:
        return convolve(values, kernel, mode="constant")

    result = np.empty(shape)
    for tile in tiles(*shape, size, radius):
        seen = convolved(frame[tile.outer_rows, tile.outer_columns])
        result[tile.rows, tile.columns] = seen[tile.inner]
    np.testing.assert_allclose(result, convolved(frame), atol=1e-12)


# The caller's callbacks


PIECES = tiles(10, 10, 4, 0)


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_every_piece_is_worked_on_once_and_progress_tells(workers: int) -> None:
    calls: list[tuple[str, int, int]] = []
    seen: list[Tile] = []
    Watcher(lambda *call: calls.append(call)).through("rendering", PIECES, seen.append, workers)
    assert sorted(map(PIECES.index, seen)) == list(range(9))
    assert calls[0] == ("rendering", 0, 9)
    assert calls[-1] == ("rendering", 9, 9)
    assert calls == sorted(calls)


def test_pieces_are_worked_on_in_order() -> None:
    seen: list[Tile] = []
    Watcher().through("rendering", PIECES, seen.append)
    assert seen == PIECES


@pytest.mark.parametrize("workers", [1, 2])
def test_a_run_can_be_stopped(workers: int) -> None:
    many = tiles(100, 100, 4, 0)
    seen: list[Tile] = []
    watcher = Watcher(cancelled=lambda: len(seen) >= 2)
    with pytest.raises(Cancelled):
        watcher.through("rendering", many, seen.append, workers)
    assert 2 <= len(seen) < 20


def test_one_worker_stops_before_the_next_piece() -> None:
    seen: list[Tile] = []
    with pytest.raises(Cancelled):
        Watcher(cancelled=lambda: len(seen) == 2).through("rendering", PIECES, seen.append)
    assert seen == PIECES[:2]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_failure_in_a_piece_is_the_callers(workers: int) -> None:
    def fail(tile: Tile) -> None:
        raise ValueError("this tile")

    with pytest.raises(ValueError, match="this tile"):
        Watcher().through("rendering", PIECES, fail, workers)


def test_a_run_can_be_stopped_at_its_end() -> None:
    done: list[int] = []
    watcher = Watcher(lambda stage, now, total: done.append(now), lambda: done[-1] == 9)
    with pytest.raises(Cancelled):
        watcher.through("rendering", PIECES, lambda tile: None)


@pytest.mark.parametrize("workers", [1, 3])
def test_what_is_looked_at_comes_first(workers: int) -> None:
    pieces = tiles(100, 100, 10, 0)
    looked_at = [(slice(70, 90), slice(20, 30))]
    done: list[Tile] = []

    def work(tile: Tile) -> None:
        done.append(tile)
        if len(done) == 2:
            looked_at[0] = slice(0, 10), slice(90, 100)

    Watcher(focus=lambda: looked_at[0]).through("stage", pieces, work, workers)
    assert sorted((t.rows.start, t.columns.start) for t in done) == sorted(
        (t.rows.start, t.columns.start) for t in pieces
    )
    first = {(tile.rows.start, tile.columns.start) for tile in done[:2]}
    assert first == {(70, 20), (80, 20)}
    soon = [(tile.rows.start, tile.columns.start) for tile in done[2 : 3 + workers]]
    assert (0, 90) in soon, "what is looked at now has to wait for no more than what is going on"


def test_without_focus_tiles_come_in_reading_order() -> None:
    pieces = tiles(40, 40, 10, 0)
    done: list[Tile] = []
    Watcher(focus=lambda: None).through("stage", pieces, done.append)
    assert done == pieces


@given(lengths, lengths, st.integers(0, 40), st.integers(0, 40), st.sampled_from((2, 16)))
def test_a_part_is_covered_like_a_frame(
    height: int, width: int, top: int, left: int, grid: int
) -> None:
    frame = slice(0, height), slice(0, width)
    part = slice(min(top, height - 1), height), slice(min(left, width - 1), width)
    covered = np.zeros((height, width), int)
    for tile in tiles_of(part, frame, 24, 5, grid):
        covered[tile.rows, tile.columns] += 1
        assert tile.rows.start % grid == tile.columns.start % grid == 0
        assert tile.outer_rows.stop == min(height, tile.outer_rows.stop)
    assert (covered[part] == 1).all()
    assert covered.max() == 1
