from __future__ import annotations

import numpy as np
import pytest
import torch
from records import make_smooth_record

from napari_invisp.development import Demosaiced
from napari_invisp.flow.coded import Coded
from napari_invisp.live import Anew, Live
from napari_invisp.pipeline import Pipeline
from napari_invisp.settings import RenderSettings
from napari_invisp.tiling import Part, Tile

CPU = torch.device("cpu")
SHAPE = (310, 422)


@pytest.fixture(scope="module", params=["physics", "universal"])
def pipeline(request: pytest.FixtureRequest) -> Pipeline:
    return Pipeline(RenderSettings(model=request.param))


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize(
    "part",
    [
        (slice(97, 215), slice(131, 300)),
        (slice(0, 50), slice(390, 422)),
        (slice(0, SHAPE[0]), slice(0, SHAPE[1])),
    ],
)
def test_a_part_is_what_the_whole_file_gives(
    pipeline: Pipeline, subsampling: str, part: Part
) -> None:
    record = make_smooth_record(SHAPE, "GBRG")
    rendering = pipeline.render(record)
    jpeg = pipeline.encode(rendering, 71, subsampling)
    whole = pipeline.recover(jpeg)
    live = Live(
        lambda rows, columns: rendering.rgb[rows, columns],
        whole.network,
        record,
        Coded(71, subsampling),
        CPU,
    )
    seen = np.zeros(SHAPE, bool)
    for tile in live.tiles(part):
        excerpt = live.through(tile)
        place = excerpt.rows, excerpt.columns
        np.testing.assert_array_equal(excerpt.rgb, rendering.rgb[place])
        np.testing.assert_array_equal(excerpt.decoded, whole.jpeg.rgb[place])
        off = excerpt.mosaic.astype(int) - whole.record.mosaic[place]
        assert np.abs(off).max() <= 1  # a network's sums round differently in other tiles
        assert (off != 0).mean() < 1e-3
        seen[place] = True
    assert seen[part].all()


def test_the_first_tile_is_small_and_in_the_middle(pipeline: Pipeline) -> None:
    record = make_smooth_record((1000, 1400))
    live = Live(lambda rows, columns: np.empty(0), pipeline.load(), record, Coded(), CPU)
    first, *others = live.tiles((slice(100, 900), slice(200, 1300)))
    assert first.rows.start < 500 < first.rows.stop
    assert first.columns.start < 750 < first.columns.stop
    assert first.rows.stop - first.rows.start < 256
    assert len(others) >= 2  # there is something for each core
    assert sum(map(_area, others)) < 1.1 * 800 * 1100


def _area(tile: Tile) -> int:
    return (tile.rows.stop - tile.rows.start) * (tile.columns.stop - tile.columns.start)


@pytest.mark.parametrize("prepared", [False, True])
def test_any_part_can_be_rendered_anew(
    pipeline: Pipeline, prepared: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_invisp.live._SIDE", 64)
    record = make_smooth_record(SHAPE)
    rendering = pipeline.render(record)
    source = Anew(pipeline.demosaic(record), rendering.model, CPU)
    parts = [(slice(0, 40), slice(300, 422)), (slice(98, 310), slice(2, 30))]
    if prepared:
        pieces = source.prepare(parts)
        assert len(pieces) > 20
        for piece in pieces:
            source.render(piece)
    for rows, columns in parts:
        off = source(rows, columns).astype(int) - rendering.rgb[rows, columns]
        assert np.abs(off).max() <= 1
        assert (off != 0).mean() < 1e-3


def test_what_was_prepared_is_not_rendered_again(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = make_smooth_record(SHAPE)
    demosaiced, model = pipeline.demosaic(record), pipeline.render(record).model
    source = Anew(demosaiced, model, CPU)
    part = slice(90, 200), slice(102, 240)
    for piece in source.prepare([part]):
        source.render(piece)
    known = source(*part)
    monkeypatch.setattr(Demosaiced, "rendered", None)
    inside = source(slice(100, 120), slice(110, 130))
    np.testing.assert_array_equal(inside, known[10:30, 8:28])
    with pytest.raises(TypeError):
        source(slice(80, 120), slice(110, 130))
