from __future__ import annotations

import numpy as np
import pytest
from records import make_record

from napari_invisp.inspection.readout import HEADER, read
from napari_invisp.sensor.record import CFA_PATTERNS

# R, G1 beside it, B, G2 beside that.
PLACES = {
    "RGGB": ((0, 0), (0, 1), (1, 1), (1, 0)),
    "GRBG": ((0, 1), (0, 0), (1, 0), (1, 1)),
    "GBRG": ((1, 0), (1, 1), (0, 1), (0, 0)),
    "BGGR": ((1, 1), (1, 0), (0, 0), (0, 1)),
}


@pytest.mark.parametrize("pattern", CFA_PATTERNS)
@pytest.mark.parametrize("at", [(0, 0), (7, 9), (8, 11), (47, 62)])
def test_the_quad_is_the_one_that_the_pixel_lies_in(pattern: str, at: tuple[int, int]) -> None:
    original, recovered = make_record(pattern=pattern), make_record(pattern=pattern, seed=1)
    found = read(*at, original, recovered)
    top, left = at[0] // 2 * 2, at[1] // 2 * 2
    places = [(top + y, left + x) for y, x in PLACES[pattern]]
    assert found.original == tuple(original.mosaic[place] for place in places)
    assert found.recovered == tuple(recovered.mosaic[place] for place in places)
    difference = recovered.mosaic.astype(int) - original.mosaic
    assert found.difference == tuple(difference[place] for place in places)
    assert (found.row, found.column) == at
    assert found.rendered is found.jpeg is None


def test_colours_are_those_of_the_pixel_itself() -> None:
    rng = np.random.default_rng(0)
    rendered, jpeg = rng.integers(0, 256, (2, 48, 64, 3), np.uint8)
    found = read(13, 21, make_record(), None, rendered, jpeg)
    assert found.rendered == tuple(rendered[13, 21])
    assert found.jpeg == tuple(jpeg[13, 21])
    assert found.recovered is found.difference is None


@pytest.mark.parametrize("at", [(-1, 0), (0, -1), (48, 0), (0, 64)])
def test_there_is_nothing_outside_the_frame(at: tuple[int, int]) -> None:
    assert read(*at, make_record(), None) is None
    assert read(*at, None, make_record()) is None


def test_frames_may_end_within_a_quad() -> None:
    record = make_record((5, 7))
    corner = record.mosaic[4, 6]
    assert read(4, 6, record, None).original == (corner, None, None, None)
    assert read(4, 6, record, record).difference == (0, None, None, None)
    assert "–" in read(4, 6, record, None).line()


def test_the_line_says_all_of_it_in_its_place() -> None:
    low, high = (
        make_record(mosaic=np.full((48, 64), value, np.uint16), white=65535) for value in (0, 65535)
    )
    white = np.full((48, 64, 3), 255, np.uint8)
    widest = read(47, 63, low, high, white, white).line()
    parts = [part.split() for part in widest.split("│")]
    assert parts == [
        ["47", "63"],
        ["0"] * 4,
        ["65535"] * 4,
        ["+65535"] * 4,
        ["255"] * 3,
        ["255"] * 3,
    ]
    lines = [
        widest,
        read(0, 0, low, low, white // 255, white * 0).line(),
        read(3, 4, high, low, white, white).line(),
        read(5, 5, None, low).line(),
        *HEADER,
    ]
    assert len({len(line) for line in lines}) == 1
    assert len({tuple(i for i, c in enumerate(line) if c == "│") for line in lines}) == 1
    # Each value ends where the name above it does.
    ends = [i for i, c in enumerate(HEADER[1]) if c != " " and (HEADER[1] + " ")[i + 1] == " "]
    assert all(line[end] not in " " for line in lines[:4] for end in ends)


def test_no_difference_has_no_sign() -> None:
    record = make_record()
    assert read(0, 0, record, record).line().split("│")[3].split() == ["0"] * 4
