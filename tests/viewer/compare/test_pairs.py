from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel
from records import make_smooth_record
from stacks import add_raw, add_results

from napari_invisp.sensor.record import RawRecord
from napari_invisp.viewer.compare.pairs import (
    can_keep,
    counterpart,
    default_pair,
    keep,
    release,
    results,
)
from napari_invisp.viewer.layers import (
    KEPT,
    KIND,
    METADATA_KEY,
    PARTIAL,
    SOURCE,
    Kind,
    facts_of,
    find_layer,
    picture_layer,
    raw_layers,
)


def names(*layers: object) -> list[str | None]:
    return [getattr(layer, "name", None) for layer in layers]


def test_a_raw_stands_against_what_was_recovered_of_it(
    viewer: ViewerModel, record: RawRecord
) -> None:
    assert default_pair(viewer.layers) == (None, None)
    add_raw(viewer, record)
    assert names(*default_pair(viewer.layers)) == ["scene mosaic", "scene"]
    add_results(viewer, record)
    viewer.layers["scene"].name = "renamed"
    viewer.layers.move(1, -1)
    assert names(*default_pair(viewer.layers)) == ["renamed", "scene recovered RAW (bilinear)"]


def test_the_selected_layer_says_which_raw(viewer: ViewerModel, record: RawRecord) -> None:
    other = make_smooth_record()
    for base, each in (("first", record), ("second", other)):
        add_raw(viewer, each, base)
        add_results(viewer, each, base)
    viewer.layers.selection.active = viewer.layers["first rendered sRGB"]
    assert names(*default_pair(viewer.layers)) == ["first", "first recovered RAW (bilinear)"]
    viewer.layers.selection.active = viewer.layers["second mosaic"]
    assert names(*default_pair(viewer.layers)) == ["second", "second recovered RAW (bilinear)"]


def test_a_jpeg_stands_against_its_raw(viewer: ViewerModel, record: RawRecord) -> None:
    facts = {SOURCE: "photo.jpg"}
    for data, arguments, _ in (
        *raw_layers(record, "photo", facts, recovered=True),
        picture_layer(np.zeros((96, 128, 3), np.uint8), record, "photo", Kind.JPEG, facts),
    ):
        viewer.add_image(data, **arguments)
    assert names(*default_pair(viewer.layers)) == ["photo JPEG", "photo recovered RAW (bilinear)"]


def test_without_a_raw_the_topmost_images_are_taken(viewer: ViewerModel) -> None:
    viewer.add_image(np.zeros((4, 4)), name="one")
    assert names(*default_pair(viewer.layers)) == ["one", None]
    viewer.add_image(np.zeros((4, 4)), name="two")
    viewer.add_image(np.zeros((4, 4)), name="three")
    viewer.add_points(np.zeros((1, 2)))
    assert names(*default_pair(viewer.layers)) == ["two", "three"]


def test_kept_results_stay_and_later_ones_face_them(viewer: ViewerModel, record: RawRecord) -> None:
    add_raw(viewer, record)
    add_results(viewer, record, model="/models/mine.safetensors", quality=90)
    first = results(viewer.layers, record)
    pixels = [layer.data[0] for layer in first]
    facts = dict(facts_of(first[1]))
    keep(viewer.layers, record)
    assert [layer.name for layer in first] == [
        "scene recovered RAW [A mine q90]",
        "scene recovered RAW (bilinear) [A mine q90]",
        "scene decoded JPEG [A mine q90]",
        "scene rendered sRGB [A mine q90]",
    ]
    assert all(layer.data[0] is old for layer, old in zip(first, pixels, strict=True))
    assert all(facts_of(layer)[KEPT] == "A" for layer in first)
    assert find_layer(viewer.layers, facts) is None
    assert counterpart(viewer.layers, first[1]) is None
    assert not can_keep(viewer.layers, record)

    add_results(viewer, record, quality=50)
    second = results(viewer.layers, record)
    assert len(second) == 4
    assert not set(map(id, first)) & set(map(id, second))
    for layer in first:
        facing = counterpart(viewer.layers, layer)
        assert facing in second
        assert facts_of(facing)[KIND] == facts_of(layer)[KIND]
    assert counterpart(viewer.layers, second[0]) is None


def test_keeping_again_lets_go_of_what_was_kept(viewer: ViewerModel, record: RawRecord) -> None:
    add_raw(viewer, record)
    add_results(viewer, record, quality=90)
    keep(viewer.layers, record)
    add_results(viewer, record, quality=50)
    second = results(viewer.layers, record)
    keep(viewer.layers, record)
    assert results(viewer.layers, record, kept=True) == second
    assert len(viewer.layers) == 6
    assert "scene decoded JPEG [A universal q50]" in viewer.layers


def test_released_results_are_present_again_unless_replaced(
    viewer: ViewerModel, record: RawRecord
) -> None:
    other = make_smooth_record()
    for base, each in (("scene", record), ("other", other)):
        add_raw(viewer, each, base)
        add_results(viewer, each, base)
        keep(viewer.layers, each)
    viewer.layers["scene decoded JPEG [A universal q90]"].name = "mine"
    release(viewer.layers, record)
    assert {x.name for x in results(viewer.layers, record)} == {
        "scene recovered RAW",
        "scene recovered RAW (bilinear)",
        "mine",
        "scene rendered sRGB",
    }
    assert all(KEPT not in facts_of(x) for x in results(viewer.layers, record))
    assert len(results(viewer.layers, other, kept=True)) == 4

    add_results(viewer, other, "other", quality=10)
    later = results(viewer.layers, other)
    release(viewer.layers, other)
    assert results(viewer.layers, other) == later
    assert not results(viewer.layers, other, kept=True)


@pytest.mark.parametrize("partial", [True, False])
def test_half_a_result_is_not_kept(viewer: ViewerModel, record: RawRecord, partial: bool) -> None:
    add_raw(viewer, record)
    assert not can_keep(viewer.layers, record)
    add_results(viewer, record)
    viewer.layers[-1].metadata[METADATA_KEY][PARTIAL] = partial
    assert can_keep(viewer.layers, record) is not partial
