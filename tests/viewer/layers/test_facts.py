from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Image
from PIL import Image as Picture
from PIL import ImageOps
from records import make_record, make_smooth_record

from napari_invisp.metrics import network_raw
from napari_invisp.viewer.layers import (
    KIND,
    METADATA_KEY,
    ORIGINAL,
    RECORD,
    SOURCE,
    Kind,
    base_name,
    facts_of,
    find_layer,
    raw_layers,
    raw_of,
    upright,
)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_frames_are_turned_as_pillow_turns_them(orientation: int) -> None:
    stored = np.arange(5 * 7, dtype=np.uint8).reshape(5, 7)
    picture = Picture.fromarray(stored)
    picture.getexif()[0x0112] = orientation
    expected = np.asarray(ImageOps.exif_transpose(picture))
    affine = upright(orientation, stored.shape)
    for row in range(5):
        for column in range(7):
            y, x, _ = (affine @ [row, column, 1]).astype(int)
            assert expected[y, x] == stored[row, column]


def test_a_raw_is_shown_as_its_mosaic_and_as_a_picture() -> None:
    record = make_smooth_record((60, 90), "GBRG")
    mosaic, picture = (
        Image(data, **arguments) for data, arguments, _ in raw_layers(record, "x", {})
    )
    assert (mosaic.name, picture.name) == ("x mosaic", "x")
    assert (mosaic.visible, picture.visible) == (False, True)
    np.testing.assert_array_equal(mosaic.data[0], record.mosaic)
    assert mosaic.contrast_limits == [60, 3900]
    assert picture.rgb
    np.testing.assert_allclose(picture.data[0], network_raw(record) * 255, atol=0.51)
    for layer in (mosaic, picture):
        assert facts_of(layer)[RECORD] is record
        assert base_name(layer) == "x"


def test_saturated_light_is_shown_white() -> None:
    record = make_record((40, 40)).replace(
        mosaic=np.full((40, 40), 3900, np.uint16), white_balance=[2.0, 1.0, 1.5]
    )
    _, (data, arguments, _) = raw_layers(record, "x", {})
    assert (data[0].min(axis=(0, 1)) >= np.floor(arguments["contrast_limits"][1])).all()


def test_results_replace_those_of_the_same_raw_under_any_name() -> None:
    first, second = make_record(seed=1), make_record(seed=2)

    def layer(**facts: object) -> Image:
        return Image(np.zeros((4, 4)), metadata={METADATA_KEY: facts}, name="renamed")

    kept = [
        layer(kind=Kind.RENDERED, original=first),
        layer(kind=Kind.ERROR, original=first),
        layer(kind=Kind.RENDERED, original=second),
        layer(kind=Kind.JPEG, source="a.jpg"),
        Image(np.zeros((4, 4))),
    ]
    assert find_layer(kept, {KIND: Kind.RENDERED, ORIGINAL: second}) is kept[2]
    assert find_layer(kept, {KIND: Kind.JPEG, SOURCE: "a.jpg"}) is kept[3]
    assert find_layer(kept, {KIND: Kind.JPEG, SOURCE: "b.jpg"}) is None
    assert find_layer(kept, {KIND: Kind.ERROR, ORIGINAL: second}) is None


def test_a_result_belongs_to_the_raw_that_it_was_made_from() -> None:
    original, recovered = make_record(seed=1), make_record(seed=2)
    data, arguments, _ = raw_layers(recovered, "x", {ORIGINAL: original}, recovered=True)[0]
    assert raw_of(Image(data, **arguments)) is original
    assert raw_of(Image(np.zeros((4, 4)))) is None
