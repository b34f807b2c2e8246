from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image
from PIL import Image as Picture
from records import make_record, make_smooth_record

from napari_invisp.errors import RawFileError, SettingsError
from napari_invisp.inspection.maps import Summary, error_map, limits_of, summary
from napari_invisp.sensor.dng import write_dng
from napari_invisp.sensor.record import RawRecord
from napari_invisp.settings import ErrorMapSettings
from napari_invisp.viewer.layers import (
    KEPT,
    KIND,
    MAP,
    METADATA_KEY,
    ORIGINAL,
    Kind,
    facts_of,
    picture_layer,
    raw_layers,
)
from napari_invisp.viewer.layers.errors import (
    comparable,
    default_pair,
    dress,
    error_layer,
    find_map,
    frame_of,
    frames_of,
    map_layer,
    marks_layer,
    stretch,
)
from napari_invisp.viewer.layers.pyramids import peaks, pyramid
from napari_invisp.viewer.work.maps import Job, read_frame

SHAPE = (700, 900)
WHOLE = (slice(0, 700), slice(0, 900))


class Report:
    """Says when to stop."""

    def __init__(self) -> None:
        self.stop = threading.Event()

    def cancelled(self) -> bool:
        return self.stop.is_set()


def altered(record: RawRecord, seed: int = 1) -> RawRecord:
    noise = np.random.default_rng(seed).integers(0, 60, record.mosaic.shape, dtype=np.uint16)
    return record.replace(mosaic=record.mosaic + noise)


def layers_of(record: RawRecord, recovered: RawRecord, **facts: object) -> list[Image]:
    """Layers as a run makes them."""
    made = {ORIGINAL: record, **facts}
    data = [
        *raw_layers(record, "x", {}),
        error_layer(record, recovered, "x", made),
        *raw_layers(recovered, "x", made, recovered=True),
    ]
    return [Image(levels, **arguments) for levels, arguments, _ in data]


def test_the_map_of_a_run_holds_absolute_differences() -> None:
    original = make_smooth_record((60, 90)).replace(orientation=6)
    shifted = original.mosaic.copy()
    shifted[10, 20] += 7
    shifted[30, 40] -= 5
    data, arguments, kind = error_layer(original, original.replace(mosaic=shifted), "x", {})
    layer = Image(data, **arguments)
    assert kind == "image"
    assert (layer.name, layer.visible) == ("x RAW error", False)
    assert layer.data[0].dtype == np.float32
    assert layer.data[0][10, 20] == 7
    assert layer.data[0][30, 40] == 5
    assert layer.data[0].sum() == 12
    assert facts_of(layer)[MAP] == ErrorMapSettings()
    assert layer.data_to_world((0, 0)) == (0, 59)


def test_maps_of_all_qualities_have_one_scale() -> None:
    original = make_smooth_record((60, 90))  # white 3900, black 60
    for shift in (0, 1, 300):
        worse = original.replace(mosaic=original.mosaic + np.uint16(shift))
        data, arguments, _ = error_layer(original, worse, "x", {})
        layer = Image(data, **arguments)
        assert layer.contrast_limits == pytest.approx([0, 0.02 * (3900 - 60)])
        assert limits_of(ErrorMapSettings(), original)[1] == layer.contrast_limits[1]


def test_every_metric_looks_dark_where_there_is_no_error() -> None:
    original = make_smooth_record((60, 90))
    for metric, perfect in {"AE": 0, "E": 0, "SSIM": 1, "relative AE": 0}.items():
        settings = ErrorMapSettings(metric=metric)
        data, arguments, _ = error_layer(original, altered(original), "x", {}, settings)
        layer = Image(data, **arguments)
        low, high = layer.contrast_limits
        red, green, blue, _ = layer.colormap.map((perfect - low) / (high - low))[0]
        assert max(red, green, blue) < 0.05, metric
        assert metric in layer.name or metric == "AE"


def test_other_settings_give_other_looks_and_names() -> None:
    original = make_smooth_record((60, 90))
    data, arguments, _ = error_layer(original, altered(original), "x", {"quality": 90})
    layer = Image(data, **arguments)
    settings = ErrorMapSettings(metric="E", unit="EV")
    dress(layer, settings, (-0.5, 0.5))
    assert layer.name == "x RAW error (E, EV)"
    assert layer.contrast_limits == [-0.5, 0.5]
    assert layer.contrast_limits_range == [-2, 2]
    assert facts_of(layer)[MAP] == settings
    assert facts_of(layer)["quality"] == 90
    layer.name = "mine"
    dress(layer, ErrorMapSettings(), (0, 76.8))
    assert layer.name == "mine"
    assert layer.contrast_limits == pytest.approx([0, 76.8])
    assert layer.colormap.name == "inferno"


def test_sliders_reach_beyond_the_limits() -> None:
    original = make_smooth_record((60, 90))
    settings = ErrorMapSettings(metric="SSIM")
    data, arguments, _ = error_layer(original, altered(original), "x", {}, settings)
    layer = Image(data, **arguments)
    stretch(layer, (0.9, 1.0))
    assert layer.contrast_limits == [0.9, 1]
    assert layer.contrast_limits_range == pytest.approx([0.6, 1])


def test_layers_of_any_origin_can_be_compared() -> None:
    record = make_smooth_record((60, 90))
    mosaic, picture, error, *_ = layers_of(record, altered(record))
    foreign = [
        Image(np.zeros((60, 90), np.float32)),
        Image(np.zeros((60, 90, 4), np.uint8), rgb=True),
    ]
    stack = Image(np.zeros((3, 60, 90)))
    marks, arguments, _ = marks_layer(mosaic, mosaic, [np.zeros((60, 90), np.uint8)])
    every = [mosaic, picture, error, *foreign, stack, Image(marks, **arguments)]
    assert comparable(every) == [mosaic, picture, *foreign]
    assert frame_of(mosaic) == record
    assert frame_of(picture).shape == frame_of(foreign[1]).shape == (60, 90, 3)


def test_a_mosaic_that_was_worked_on_is_compared_as_it_is_now() -> None:
    record = make_smooth_record((60, 90))
    mosaic, *_ = layers_of(record, altered(record))
    mosaic.data = [record.mosaic + np.uint16(3)]
    np.testing.assert_array_equal(frame_of(mosaic).mosaic, record.mosaic + 3)


def test_camera_colours_have_no_delta_e() -> None:
    record = make_smooth_record((60, 90))
    _, picture, _, _, recovered = layers_of(record, altered(record))
    with pytest.raises(SettingsError, match="camera's own"):
        frames_of(picture, recovered, ErrorMapSettings(metric="ΔE2000"))
    with pytest.raises(RawFileError, match="'x mosaic' is a mosaic, 'x' is a picture"):
        frames_of(layers_of(record, record)[0], picture, ErrorMapSettings())


def test_the_pair_to_begin_with_is_a_raw_and_its_latest_recovery() -> None:
    first, second = make_smooth_record((60, 90)), make_record((60, 90))
    a, b = layers_of(first, altered(first)), layers_of(second, altered(second))
    layers = [*a, *b]
    assert default_pair(layers, None) == (b[0], b[3])
    assert default_pair(layers, first) == (a[0], a[3])
    kept = layers_of(first, altered(first, 2), **{KEPT: "A"})[2:]
    assert default_pair([*layers, *kept], first) == (a[0], a[3])
    assert default_pair(a[:2], first) is None
    assert default_pair([], None) is None


def test_a_map_is_found_again_under_any_name() -> None:
    record = make_smooth_record((60, 90))
    layers = layers_of(record, altered(record))
    kept = layers_of(record, altered(record, 2), **{KEPT: "A"})[2:]
    everything = [*kept, *layers]
    for layer in everything:
        layer.name = "renamed"
    assert find_map(everything, layers[0], layers[3]) is layers[2]
    assert find_map(everything, layers[0], kept[1]) is kept[0]
    assert find_map(everything, layers[3], layers[0]) is None

    foreign = Image(record.mosaic + np.uint16(1))
    settings = ErrorMapSettings(metric="E")
    frames = frames_of(layers[0], foreign, settings)
    levels = pyramid(error_map(*frames, settings))
    data, arguments, _ = map_layer(layers[0], foreign, settings, levels, (-1.0, 1.0))
    made = Image(data, **arguments)
    assert find_map([*everything, made], layers[0], foreign) is made
    assert find_map([*everything, made], foreign, layers[0]) is None
    assert facts_of(made)[KIND] is Kind.MAP
    np.testing.assert_array_equal(made.affine, layers[0].affine)


def test_the_map_of_a_run_that_was_deleted_is_made_again_as_such() -> None:
    record = make_smooth_record((60, 90)).replace(orientation=6)
    recovered = altered(record)
    original, _, error, candidate, _ = layers_of(record, recovered, quality=70)
    levels = [np.zeros((60, 90), np.float32)]
    data, arguments, _ = map_layer(original, candidate, ErrorMapSettings(), levels, (0.0, 1.0))
    made = Image(data, **arguments)
    assert made.name == error.name
    assert facts_of(made) == facts_of(error)
    np.testing.assert_array_equal(made.affine, error.affine)


def run(job: Job, report: Report | None = None) -> tuple[list, Summary]:
    *painted, figures = job.run(report or Report())
    return painted, figures


@pytest.mark.parametrize("view", [WHOLE, (slice(301, 420), slice(5, 333))])
def test_a_job_paints_all_of_the_map_at_all_levels(view: tuple[slice, slice]) -> None:
    first = make_smooth_record(SHAPE)
    second = altered(first)
    settings = ErrorMapSettings(metric="E", marked=True, threshold=50)
    painted, figures = run(Job(first, second, settings, view))
    expected = error_map(first, second, settings)
    for found, level in zip(painted[-1].levels, pyramid(expected), strict=True):
        np.testing.assert_array_equal(found, level)
    off = (np.abs(expected) > 50).astype(np.uint8)
    for found, level in zip(painted[-1].marks, pyramid(off, peaks), strict=True):
        np.testing.assert_array_equal(found, level)
    assert painted[-1].done
    assert painted[-1].limits == limits_of(settings, first)
    assert figures == summary(first, second, settings)


def test_what_is_looked_at_is_painted_first() -> None:
    first = make_smooth_record(SHAPE)
    second = altered(first)
    mosaic = second.mosaic.copy()
    mosaic[:50, :50] += 500  # out of view
    second = second.replace(mosaic=mosaic)
    view = (slice(600, 690), slice(700, 880))
    work = Job(first, second, ErrorMapSettings(limits="percentile"), view).run(Report())
    shown = next(work)
    seen = shown.levels[0][view]
    np.testing.assert_array_equal(seen, error_map(first, second, ErrorMapSettings(), view))
    assert shown.limits == limits_of(ErrorMapSettings(limits="percentile"), first, seen)
    assert np.isnan(shown.levels[0][0, 0])
    assert not shown.done
    whole = [each for each in work if not isinstance(each, Summary)][-1]
    assert np.isfinite(whole.levels[0]).all()
    assert whole.limits[1] > 500 > shown.limits[1]


def test_the_rest_may_have_to_wait() -> None:
    first = make_smooth_record(SHAPE)
    view = (slice(600, 690), slice(700, 880))
    job = Job(first, altered(first), ErrorMapSettings(), view, view_only=True)
    (painted,) = job.run(Report())
    assert painted.done
    assert np.isfinite(painted.levels[0][view]).all()
    assert np.isnan(painted.levels[0][0, 0])


def test_a_map_is_painted_in_place_where_that_is_possible() -> None:
    first = make_smooth_record(SHAPE)
    levels = pyramid(np.full(SHAPE, 3, np.float32))
    view = (slice(600, 690), slice(700, 880))
    job = Job(first, altered(first), ErrorMapSettings(), view, levels, anew=False, view_only=True)
    (painted,) = job.run(Report())
    assert painted.levels[0] is levels[0]
    assert levels[0][0, 0] == 3  # as it was, until its turn
    (painted,) = replace(job, anew=True).run(Report())
    assert painted.levels[0] is levels[0]
    assert np.isnan(levels[0][0, 0])
    for other in (pyramid(np.zeros(SHAPE, np.uint16)), pyramid(np.zeros((700, 800), np.float32))):
        (painted,) = replace(job, levels=other).run(Report())
        assert painted.levels is not other
        assert painted.levels[0].shape == SHAPE


def test_a_job_that_was_cancelled_paints_no_more() -> None:
    first = make_smooth_record(SHAPE)
    report = Report()
    job = Job(first, altered(first), ErrorMapSettings(), (slice(0, 9), slice(0, 9)))
    work = job.run(report)
    levels = next(work).levels[0]
    before = levels.copy()
    report.stop.set()
    assert list(work) == []
    np.testing.assert_array_equal(levels, before)


def test_raw_files_and_pictures_are_read_as_layers(viewer: ViewerModel, tmp_path: Path) -> None:
    record = make_smooth_record((60, 90))
    write_dng(tmp_path / "truth.dng", record)
    (layers,) = read_frame(tmp_path / "truth.dng", Report())
    assert [arguments["name"] for _, arguments, _ in layers] == ["truth mosaic", "truth"]

    pixels = np.random.default_rng(0).integers(0, 256, (700, 600, 3), dtype=np.uint8)
    Picture.fromarray(pixels).save(tmp_path / "truth.png")
    ((data, arguments, kind),) = next(read_frame(tmp_path / "truth.png", Report()))
    layer = Image(data, **arguments)
    assert (layer.name, kind, layer.rgb, len(layer.data)) == ("truth", "image", True, 2)
    np.testing.assert_array_equal(layer.data[0], pixels)


@pytest.mark.parametrize(
    ("name", "content", "word"),
    [
        ("no.png", None, "does not exist"),
        ("empty.png", b"", "empty"),
        ("bad.npy", b"nonsense", "cannot be opened"),
        ("bad.xyz", b"nonsense", "cannot be opened"),
        ("bad.dng", b"nonsense", "bad.dng"),
    ],
)
def test_what_cannot_be_read_is_said(
    viewer: ViewerModel, tmp_path: Path, name: str, content: bytes | None, word: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RawFileError, match=word):
        list(read_frame(path, Report()))


def test_results_that_replace_others_leave_maps_of_pairs_alone() -> None:
    from napari_invisp.viewer.layers import find_layer

    record = make_smooth_record((60, 90))
    original, *_ = layers_of(record, altered(record))
    foreign = Image(record.mosaic)
    levels = [np.zeros((60, 90), np.float32)]
    data, arguments, _ = map_layer(original, foreign, ErrorMapSettings(), levels, (0.0, 1.0))
    made = Image(data, **arguments)
    assert find_layer([made], {KIND: Kind.ERROR, ORIGINAL: record}) is None
    assert METADATA_KEY in made.metadata


def test_pictures_of_a_run_can_be_compared_as_colours() -> None:
    record = make_smooth_record((60, 90))
    rgb = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    rendered, decoded = (
        Image(data, **arguments)
        for data, arguments, _ in (
            picture_layer(pixels, record, "x", kind, {})
            for pixels, kind in ((rgb, Kind.RENDERED), (rgb // 2, Kind.DECODED))
        )
    )
    settings = ErrorMapSettings(metric="ΔE2000")
    frames = frames_of(rendered, decoded, settings)
    assert error_map(*frames, settings).max() > 5
