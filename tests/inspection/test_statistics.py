from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
import rawpy
from hypothesis import given
from hypothesis import strategies as st
from records import make_record

from napari_invisp.errors import RawFileError
from napari_invisp.inspection.regions import Region
from napari_invisp.inspection.statistics import (
    Frame,
    Levels,
    Statistics,
    as_csv,
    count,
    count_difference,
    describe,
    ev_histogram,
    linear_histogram,
    survey,
)
from napari_invisp.samples import sample_path
from napari_invisp.sensor.cfa import CHANNELS
from napari_invisp.sensor.reading import read_raw
from napari_invisp.sensor.record import CFA_PATTERNS, RawRecord
from napari_invisp.sensor.saturation import saturation

# Where the channels of a quad are, written down by hand: R, G1 beside it, B, G2 beside that.
PLACES = {
    "RGGB": ((0, 0), (0, 1), (1, 1), (1, 0)),
    "GRBG": ((0, 1), (0, 0), (1, 0), (1, 1)),
    "GBRG": ((1, 0), (1, 1), (0, 1), (0, 0)),
    "BGGR": ((1, 1), (1, 0), (0, 0), (0, 1)),
}


def planes(record: RawRecord, mosaic: np.ndarray | None = None) -> list[np.ndarray]:
    values = record.mosaic if mosaic is None else mosaic
    return [values[y::2, x::2].ravel() for y, x in PLACES[record.pattern]]


def whole(record: RawRecord) -> Region:
    return Region.frame(record.mosaic.shape)


def blacks(record: RawRecord) -> list[float]:
    return [record.black[site] for site in PLACES[record.pattern]]


def other(record: RawRecord, seed: int = 1) -> RawRecord:
    noise = np.random.default_rng(seed).integers(-9, 12, record.mosaic.shape)
    return record.replace(mosaic=(record.mosaic.astype(int) + noise).clip(0).astype(np.uint16))


@pytest.mark.parametrize("pattern", CFA_PATTERNS)
@pytest.mark.parametrize("shape", [(48, 64), (47, 63)])
def test_figures_are_those_of_plain_numpy(pattern: str, shape: tuple[int, int]) -> None:
    record = make_record(shape, pattern)
    described = describe(count(record, whole(record)), Levels.of(record))
    assert [channel.channel for channel in described] == list(CHANNELS)
    for found, plane, black in zip(described, planes(record), blacks(record), strict=True):
        assert found.sites == plane.size
        assert (found.minimum, found.maximum) == (plane.min(), plane.max())
        assert found.mean == pytest.approx(plane.mean(), rel=1e-12)
        assert found.standard_deviation == pytest.approx(plane.std(), rel=1e-12)
        assert found.percent_at_white == pytest.approx(100 * (plane >= record.white).mean())
        assert found.percent_at_black == pytest.approx(100 * (plane <= black).mean())
        assert found.percent_at_white > 0
        assert found.percent_at_black > 0
        assert found.black_level == black
        assert found.percent_equal is None


def test_figures_are_exact_where_floats_are_not() -> None:
    mosaic = np.full((400, 400), 65535, np.uint16)
    mosaic[0, 0] = 65534
    record = make_record(mosaic=mosaic, white=65535, bit_depth=16)
    red = describe(count(record, whole(record)), None)[0]
    n = 200 * 200
    assert red.mean == 65535 - 1 / n
    assert red.standard_deviation == pytest.approx(np.sqrt((1 - 1 / n) / n), rel=1e-12)


@given(st.sampled_from(CFA_PATTERNS), st.integers(1, 300))
def test_linear_bins_are_those_of_numpy(pattern: str, width: int) -> None:
    record = make_record(pattern=pattern)
    histogram = linear_histogram(count(record, whole(record)), width)
    np.testing.assert_allclose(np.diff(histogram.edges), width)
    for counts, plane in zip(histogram.counts, planes(record), strict=True):
        np.testing.assert_array_equal(counts, np.histogram(plane, histogram.edges)[0])
        assert counts.sum() == plane.size


def test_bins_of_one_dn_have_their_value_in_the_middle() -> None:
    record = make_record(mosaic=np.full((4, 4), 700, np.uint16))
    histogram = linear_histogram(count(record, whole(record)), 1, (698, 702))
    assert histogram.edges.tolist() == [697.5, 698.5, 699.5, 700.5, 701.5, 702.5]
    assert histogram.counts[0].tolist() == [0, 0, 4, 0, 0]


def test_the_width_of_bins_is_chosen() -> None:
    counts = count(record := make_record(), whole(record))
    histogram = linear_histogram(counts, span=(0, 16383))
    assert np.diff(histogram.edges).tolist() == [64] * 256
    assert histogram.counts.sum() == record.mosaic.size


@given(st.sampled_from(CFA_PATTERNS), st.integers(1, 24))
def test_ev_bins_are_those_of_numpy(pattern: str, bins_per_stop: int) -> None:
    record = make_record(pattern=pattern)
    levels = Levels.of(record)
    histogram = ev_histogram(count(record, whole(record)), levels, bins_per_stop)
    np.testing.assert_allclose(np.diff(histogram.edges), 1 / bins_per_stop)
    assert 0 in histogram.edges
    for i, (plane, black) in enumerate(zip(planes(record), blacks(record), strict=True)):
        above = plane[plane > black]
        ev = np.log2((above - black) / (record.white - black))
        assert histogram.edges[0] <= ev.min()
        assert ev.max() < histogram.edges[-1]
        np.testing.assert_array_equal(histogram.counts[i], np.histogram(ev, histogram.edges)[0])
        assert histogram.below[i] == (plane <= black).sum() > 0


def test_white_begins_the_bins_beyond_it() -> None:
    record = make_record(mosaic=np.full((4, 4), 3900, np.uint16))
    histogram = ev_histogram(count(record, whole(record)), Levels.of(record), 4)
    at = histogram.edges.tolist().index(0)
    assert histogram.counts[:, at].tolist() == [4] * 4
    assert histogram.counts.sum() == 16


def test_differences_have_their_sign() -> None:
    record = make_record()
    recovered = other(record)
    error = recovered.mosaic.astype(int) - record.mosaic
    counts = count_difference(record, recovered, whole(record))
    for found, plane in zip(describe(counts, None), planes(record, error), strict=True):
        assert (found.minimum, found.maximum) == (plane.min(), plane.max())
        assert found.minimum < 0 < found.maximum
        assert found.mean == pytest.approx(plane.mean())
        assert found.standard_deviation == pytest.approx(plane.std())
        assert found.percent_equal == pytest.approx(100 * (plane == 0).mean())
        assert found.percent_at_white is None
        assert found.percent_at_black is None
    histogram = linear_histogram(counts, 1)
    for binned, plane in zip(histogram.counts, planes(record, error), strict=True):
        np.testing.assert_array_equal(binned, np.histogram(plane, histogram.edges)[0])


def test_the_reach_leaves_the_farthest_out() -> None:
    mosaic = np.full((40, 40), 1000, np.uint16)
    changed = mosaic.copy()
    changed[:20] += 3
    changed[20:36] -= 5
    changed[0, 0] = 4000
    record = make_record(mosaic=mosaic)
    counts = count_difference(record, record.replace(mosaic=changed), whole(record))
    assert counts.reach(1) == 3000
    assert counts.reach(0.999) == 5
    assert counts.reach(0.5) == 3
    near = counts.within(5)
    assert near.counts.sum() == 40 * 40 - 1
    assert (near.values[0], near.values[-1]) == (-5, 5)


def test_only_what_lies_within_is_counted() -> None:
    record = make_record((40, 50), "GBRG")
    part = (slice(5, 31), slice(8, 40))
    inside = np.zeros(record.mosaic.shape, bool)
    inside[part] = True
    described = describe(count(record, Region("part", *part)), None)
    for found, plane, mask in zip(described, planes(record), planes(record, inside), strict=True):
        assert found.sites == mask.sum()
        assert found.mean == pytest.approx(plane[mask].mean())


def test_a_region_without_sites_has_no_figures() -> None:
    record = make_record()
    away = Region.within("away", [[(900, 900), (950, 900), (900, 950)]], record.mosaic.shape)
    found = survey(record, other(record), away)
    for each in found.statistics:
        for channel in each.channels:
            assert channel.sites == 0
            assert channel.minimum is channel.mean is channel.percent_at_white is None
    assert linear_histogram(found.counts[Frame.DIFFERENCE]).counts.sum() == 0
    assert ev_histogram(found.counts[Frame.ORIGINAL], found.levels).counts.sum() == 0


def test_channels_may_end_elsewhere_than_at_the_white_level() -> None:
    mosaic = (np.arange(64 * 64).reshape(64, 64) % 997 + 500).astype(np.uint16)
    mosaic[0:20:2, 0:20:2] = 3700  # red stops short of white
    mosaic[1::2, 1::2] = np.arange(32 * 32).reshape(32, 32) % 500 + 3600  # blue goes beyond it
    record = make_record(mosaic=mosaic, black=np.full((2, 2), 100.3))
    levels = Levels.of(record)
    assert levels.saturation == (3700, 3900, 4099, 3900)
    assert levels.clipping == (3700, 3900, 3900, 3900)
    red, *_ = describe(count(record, whole(record)), levels)
    assert red.percent_at_white == 0
    assert red.percent_at_saturation == pytest.approx(100 * 100 / 1024)
    ends = saturation(record)
    assert 100.3 + ends[2] * (3900 - 100.3) == pytest.approx(4099)


def test_recovered_is_judged_by_the_levels_of_the_original() -> None:
    record = make_record()
    recovered = other(record).replace(white=2000)
    found = survey(record, recovered, whole(record))
    assert list(found.counts) == list(Frame)
    of_recovered = found.statistics[1].channels[0]
    expected = 100 * (planes(recovered)[0] >= 3900).mean()
    assert of_recovered.percent_at_white == pytest.approx(expected)
    alone = survey(None, recovered, whole(record))
    assert list(alone.counts) == [Frame.RECOVERED]
    assert alone.levels.white == 2000


def test_frames_that_do_not_belong_together_are_refused() -> None:
    record = make_record()
    with pytest.raises(RawFileError, match="differ in size"):
        survey(record, make_record((40, 64)), whole(record))
    with pytest.raises(RawFileError, match="CFA pattern"):
        survey(record, make_record(pattern="BGGR"), whole(record))


def test_figures_can_be_read_back_from_csv() -> None:
    record = make_record()
    found = survey(record, other(record), Region("corner", slice(0, 9), slice(0, 9)))
    rows = list(csv.DictReader(io.StringIO(as_csv(found.statistics))))
    assert [(r["region"], r["frame"], r["channel"]) for r in rows] == [
        ("corner", frame, channel)
        for frame in ("original", "recovered", "difference")
        for channel in CHANNELS
    ]
    original: Statistics = found.statistics[0]
    assert float(rows[2]["mean"]) == original.channels[2].mean
    assert float(rows[1]["white_level"]) == 3900
    assert rows[11]["percent_at_white"] == ""
    assert float(rows[11]["percent_equal"]) == found.statistics[2].channels[3].percent_equal
    assert "corner\tdifference\tG2" in as_csv(found.statistics, "\t")


def files() -> list[Path]:
    shared = Path(__file__).resolve().parents[3] / "shared" / "raw"
    return [sample_path(), *(shared / name for name in ("IMG_5952.CR2", "sample3.dng"))]


@pytest.mark.parametrize("path", files(), ids=lambda path: path.stem)
def test_real_files_are_counted_as_libraw_reads_them(path: Path) -> None:
    if not path.is_file():
        pytest.skip("the full-size RAW files are not here")
    with rawpy.imread(str(path)) as raw:
        mosaic = raw.raw_image_visible.copy()
        colours = raw.raw_colors_visible.copy()
        names = raw.color_desc.decode()
    record = read_raw(path)
    counts = count(record, whole(record))
    described = describe(counts, Levels.of(record))
    kinds = {letter: [i for i, name in enumerate(names) if name == letter] for letter in "RGB"}
    for letter, channels in {"R": [0], "B": [2], "G": [1, 3]}.items():
        plane = mosaic[np.isin(colours, kinds[letter])]
        total = counts.counts[channels].sum(0)
        np.testing.assert_array_equal(
            total[plane.min() : plane.max() + 1], np.bincount(plane)[plane.min() :]
        )
        assert sum(described[c].sites for c in channels) == plane.size
        assert max(described[c].maximum for c in channels) == plane.max()
    red_rows = np.isin(colours, kinds["R"]).any(axis=1)
    green = np.isin(colours, kinds["G"])
    assert described[1].mean == pytest.approx(mosaic[red_rows][green[red_rows]].mean())
