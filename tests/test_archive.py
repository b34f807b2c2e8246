"""JPEG files that carry more than their picture: from the RAW file to the JPEG and back."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from photographs import photograph
from PIL import Image

from napari_invisp.archive import correction, exact
from napari_invisp.batch import Recoverer, Renderer, State, Task, perform
from napari_invisp.errors import ArchiveError, Cancelled, CheckpointError
from napari_invisp.flow.checkpoints import save_checkpoint
from napari_invisp.flow.invisp import Invisp
from napari_invisp.jpeg.capsule import Capsule, embed, from_jpeg, to_segments
from napari_invisp.jpeg.segments import JpegStream
from napari_invisp.metrics import raw_psnr
from napari_invisp.pipeline import Pipeline, Rendering
from napari_invisp.sensor.dng import encode_dng
from napari_invisp.sensor.original import Original
from napari_invisp.sensor.reading import read_raw
from napari_invisp.sensor.record import RawRecord
from napari_invisp.sensor.tiff import Entry
from napari_invisp.settings import ArchiveSettings, BatchSettings, ComputeSettings, RenderSettings

pytestmark = pytest.mark.usefixtures("one_thread")

MAKER_NOTE = Entry(37500, 7, b"Acme\0" + bytes(range(200)))
PROFILE_NAME = Entry(50936, 2, b"Faithful\0")


@pytest.fixture(scope="module")
def record() -> RawRecord:
    return photograph(height=301, width=410)


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return Pipeline(RenderSettings(model="physics", device="cpu"))


@pytest.fixture(scope="module")
def rendering(pipeline: Pipeline, record: RawRecord) -> Rendering:
    return pipeline.render(record)


@pytest.fixture(scope="module")
def archive(pipeline: Pipeline, rendering: Rendering) -> bytes:
    original = Original(image=(PROFILE_NAME,), exif=(MAKER_NOTE,))
    return pipeline.encode(rendering, archive=ArchiveSettings(exact=True), original=original)


def resaved(jpeg: bytes) -> bytes:
    """What a program writes that keeps the capsule and compresses once more."""
    stream = io.BytesIO()
    with Image.open(io.BytesIO(jpeg)) as image:
        image.save(stream, "JPEG", quality=80)
    changed = stream.getvalue()
    with_old_facts = embed(changed, from_jpeg(jpeg))
    # The fingerprint has to stay that of the file as it was.
    header = from_jpeg(jpeg).header
    there = from_jpeg(with_old_facts)
    assert there.header["jpeg"] != header["jpeg"]
    return replaced_header(changed, Capsule(header, there.sections))


def replaced_header(jpeg: bytes, capsule: Capsule) -> bytes:
    """Put a capsule into a file as it is."""

    stream = JpegStream.parse(jpeg)
    return stream.with_application(to_segments(capsule)).to_bytes()


def test_an_exact_archive_gives_every_sample_back(
    pipeline: Pipeline, record: RawRecord, archive: bytes
) -> None:
    recovery = pipeline.recover(archive)
    assert recovery.exact
    assert recovery.record == record
    assert recovery.original == Original(image=(PROFILE_NAME,), exif=(MAKER_NOTE,))
    assert recovery.warnings == []


def test_an_archive_needs_no_weights_as_long_as_it_is_exact(tmp_path: Path) -> None:
    record, weights = photograph(height=64, width=96), tmp_path / "mine.safetensors"
    torch.manual_seed(0)
    save_checkpoint(weights, Invisp())
    rendering = Pipeline(RenderSettings(model=str(weights), device="cpu")).render(record)
    archive = Pipeline().encode(rendering, archive=ArchiveSettings(exact=True))
    # What was saved again has to be recovered with them.
    (tmp_path / "kept.jpg").write_bytes(archive)
    (tmp_path / "resaved.jpg").write_bytes(resaved(archive))
    settings = BatchSettings(model=str(weights), device="cpu")
    again = perform(Task.of(tmp_path / "resaved.jpg"), None, settings)
    assert again.state is State.DONE, again.problem
    weights.unlink()
    recovery = Pipeline().recover(archive)
    assert recovery.record == record
    assert recovery.model == "invisp"
    for given in (settings, BatchSettings(device="cpu")):
        assert perform(Task.of(tmp_path / "kept.jpg"), None, given).state is State.DONE
        assert perform(Task.of(tmp_path / "resaved.jpg"), None, given).state is State.FAILED
    with pytest.raises(CheckpointError, match=r"weights of mine\.safetensors"):
        Pipeline().recover(resaved(archive))


def test_others_see_an_ordinary_jpeg(
    pipeline: Pipeline, rendering: Rendering, archive: bytes
) -> None:
    with (
        Image.open(io.BytesIO(archive)) as carrying,
        Image.open(io.BytesIO(pipeline.encode(rendering))) as plain,
    ):
        assert np.array_equal(np.asarray(carrying), np.asarray(plain))
        assert carrying.getexif() == plain.getexif()


def test_an_archive_that_was_saved_again_is_recovered_as_without_it(
    pipeline: Pipeline, record: RawRecord, archive: bytes
) -> None:
    recovery = pipeline.recover(resaved(archive))
    assert not recovery.exact
    assert 25 < raw_psnr(record, recovery.record) < 60
    assert [sentence for sentence in recovery.warnings if "fits no longer" in sentence]


def test_what_does_not_come_back_is_not_written(
    pipeline: Pipeline, rendering: Rendering, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoilt(*arguments: object) -> np.ndarray:
        mosaic = rendering.record.mosaic.copy()
        mosaic[7, 9] ^= 1
        return mosaic

    monkeypatch.setattr(exact, "unpack", spoilt)
    with pytest.raises(ArchiveError, match="did not come back"):
        pipeline.encode(rendering, archive=ArchiveSettings(exact=True))


def test_side_information_brings_back_more(
    pipeline: Pipeline, record: RawRecord, rendering: Rendering
) -> None:
    plain = pipeline.encode(rendering)
    helped = pipeline.encode(rendering, archive=ArchiveSettings(side_info=8192))
    assert len(helped) <= len(plain) + 8192 + 100
    recovery = pipeline.recover(helped)
    assert recovery.side_info == len(from_jpeg(helped).sections[correction.SECTION])
    without = pipeline.recover(plain)
    assert without.side_info == 0
    assert raw_psnr(record, recovery.record) > raw_psnr(record, without.record) + 0.5


def test_tiles_are_told_of_corrected_samples(rendering: Rendering, pipeline: Pipeline) -> None:
    """Whoever paints tiles as they come in ends with what was recovered."""
    helped = pipeline.encode(rendering, archive=ArchiveSettings(side_info=8192))
    painted = np.zeros(rendering.record.mosaic.shape, np.uint16)

    def arrived(stage: str, tile: object, pixels: np.ndarray) -> None:
        painted[tile.rows, tile.columns] = pixels

    recovery = Pipeline(arrived=arrived).recover(helped)
    assert np.array_equal(painted, recovery.record.mosaic)


def test_archiving_can_be_cancelled(rendering: Rendering) -> None:
    stages = []
    for wanted in (ArchiveSettings(exact=True), ArchiveSettings(side_info=4096)):

        def progress(stage: str, done: int, total: int) -> None:
            stages.append(stage)

        pipeline = Pipeline(
            progress=progress,
            cancelled=lambda: "archiving" in stages or "making side information" in stages,
        )
        with pytest.raises(Cancelled):
            pipeline.encode(rendering, archive=wanted)


def test_from_file_to_file(tmp_path: Path, record: RawRecord) -> None:
    """All that a DNG says comes back in the DNG that is recovered, maker notes included."""
    raw, jpeg, back = (tmp_path / name for name in ("photo.dng", "photo.jpg", "back.dng"))
    raw.write_bytes(encode_dng(record, original=Original((PROFILE_NAME,), (MAKER_NOTE,))))
    settings = RenderSettings(model="physics", device="cpu")
    rendered = Renderer(settings, archive=ArchiveSettings(exact=True))(raw, jpeg)
    assert (rendered["exact"], rendered["side_info"]) == (True, 0)
    recovered = Recoverer(ComputeSettings(device="cpu"))(jpeg, back)
    assert recovered["exact"]
    assert read_raw(back) == read_raw(raw)
    before, after = (Original.of(path.read_bytes()) for path in (raw, back))
    assert set(before.image) <= set(after.image)
    assert MAKER_NOTE in after.exif
