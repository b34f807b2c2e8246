from __future__ import annotations

from napari.components import ViewerModel
from records import make_smooth_record
from result_layers import add_raw, add_results, noisy

from napari_invisp.sensor.record import RawRecord
from napari_invisp.viewer.layers import (
    FIGURES,
    KEPT,
    KIND,
    METADATA_KEY,
    PARTIAL,
    RECORD,
    SOURCE,
    Kind,
    facts_of,
    picture_layer,
    raw_layers,
)
from napari_invisp.viewer.layers.family import family_of


def test_a_raw_and_its_results_belong_together(viewer: ViewerModel, record: RawRecord) -> None:
    mosaic, picture = add_raw(viewer, record)
    for selected in (mosaic, picture):
        family = family_of(viewer.layers, selected)
        assert family.original is family.raw is record
        assert family.recovered is family.recovered_layer is None
        assert family.original_layer is mosaic
    recovered, shown, decoded, rendered = add_results(viewer, record)
    for selected in viewer.layers:
        family = family_of(viewer.layers, selected)
        assert family.original is record
        assert family.recovered is facts_of(recovered)[RECORD]
        assert family.recovered_layer is recovered
        assert family.members == [mosaic, picture, recovered, shown, decoded, rendered]
        assert family.picture(Kind.RENDERED) is rendered.data[0]
        assert family.picture(Kind.JPEG, Kind.DECODED) is decoded.data[0]
        assert family.picture(Kind.JPEG) is None
    viewer.layers.remove(recovered)
    assert family_of(viewer.layers, mosaic).recovered_layer is shown


def test_the_selected_layer_decides_and_else_what_was_there_before(
    viewer: ViewerModel, record: RawRecord
) -> None:
    assert family_of(viewer.layers, None) is None
    other = make_smooth_record((64, 64))
    first, _ = add_raw(viewer, record)
    second, _ = add_raw(viewer, other, "other")
    shapes = viewer.add_shapes()
    assert family_of(viewer.layers, first).raw is record
    assert family_of(viewer.layers, second).raw is other
    assert family_of(viewer.layers, shapes).raw is other
    assert family_of(viewer.layers, shapes, record).raw is record
    assert family_of(viewer.layers, None, noisy(record)).raw is other
    viewer.layers.remove("scene")
    viewer.layers.remove("scene mosaic")
    assert family_of(viewer.layers, shapes, record).raw is other


def test_kept_results_are_seen_when_one_of_them_is_selected(
    viewer: ViewerModel, record: RawRecord
) -> None:
    mosaic, _ = add_raw(viewer, record)
    kept = add_results(viewer, record, **{KEPT: "A"})
    assert family_of(viewer.layers, mosaic).recovered_layer is kept[0]
    new = add_results(viewer, record)
    assert family_of(viewer.layers, mosaic).recovered_layer is new[0]
    assert family_of(viewer.layers, new[3]).recovered_layer is new[0]
    assert family_of(viewer.layers, kept[3]).recovered_layer is kept[0]
    viewer.layers.move(viewer.layers.index(kept[0]), len(viewer.layers))
    assert family_of(viewer.layers, mosaic).recovered_layer is new[0]


def test_a_jpeg_has_no_original(viewer: ViewerModel, record: RawRecord) -> None:
    facts = {SOURCE: "photo.jpg"}
    made = [*raw_layers(record, "photo", facts, recovered=True)]
    made.append(picture_layer(made[1][0][0], record, "photo", Kind.JPEG, facts | {FIGURES: None}))
    layers = [viewer.add_image(data, **arguments) for data, arguments, _ in made]
    for layer in layers:
        family = family_of(viewer.layers, layer)
        assert family.original is family.original_layer is None
        assert family.recovered is record
        assert family.recovered_layer is layers[0]
    # Once it has been rendered again it is an original like any other.
    results = add_results(viewer, record)
    family = family_of(viewer.layers, layers[0])
    assert family.original is record
    assert family.original_layer is layers[0]
    assert family.recovered_layer is results[0]


def test_results_that_are_worked_on_are_partial(viewer: ViewerModel, record: RawRecord) -> None:
    mosaic, _ = add_raw(viewer, record)
    assert not family_of(viewer.layers, mosaic).partial
    add_results(viewer, record, **{PARTIAL: True})
    assert family_of(viewer.layers, mosaic).partial


def test_strange_metadata_do_no_harm(viewer: ViewerModel, record: RawRecord) -> None:
    mosaic, _ = add_raw(viewer, record)
    for facts in ({}, {RECORD: record}, {KIND: Kind.RAW}, "text"):
        layer = viewer.add_image(record.mosaic, metadata={METADATA_KEY: facts})
        assert layer not in family_of(viewer.layers, layer).members
    assert family_of(viewer.layers, mosaic).original_layer is mosaic
