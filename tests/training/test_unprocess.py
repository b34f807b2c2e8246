"""Pictures that no camera took: all kinds of them, and each a RAW with LibRaw's rendering."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR
import pytest
from numpy.typing import NDArray
from PIL import Image
from skimage.data import astronaut

from napari_invisp.errors import DataError
from napari_invisp.sensor.cfa import normalise
from napari_invisp.sensor.dng import write_dng
from napari_invisp.sensor.libraw import known_camera_matrix, reference_srgb, reference_srgb_file
from napari_invisp.sensor.reading import read_raw
from napari_invisp.sensor.record import CFA_PATTERNS, RawRecord, camera_to_srgb_from
from napari_invisp.sensor.saturation import saturation
from napari_invisp.training.unprocess import CAMERAS, Unprocessing, jobs

Made = tuple[RawRecord, NDArray[np.uint8]]


def write_exr(path: Path, **channels: NDArray[Any]) -> Path:
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    with OpenEXR.File(header, channels) as file:
        file.write(str(path))
    return path


def scene(height: int = 160, width: int = 180) -> NDArray[np.float16]:
    """Make the light of a photograph, with a sun in it that is a hundred times as bright."""
    light = (astronaut()[:height, 150 : 150 + width] / 255) ** 2.2
    light[20:26, 30:36] = 100
    return light.astype(np.float16)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A JPEG, a PNG and an EXR scene, two of them in folders of their own."""
    folder = tmp_path_factory.mktemp("sources")
    (folder / "photographs" / "more").mkdir(parents=True)
    large = Image.fromarray(astronaut()).resize((1800, 1640), Image.Resampling.BICUBIC)
    large.save(folder / "photographs" / "large.jpg", quality=95)
    large.resize((640, 500)).save(folder / "photographs" / "more" / "small.png")
    write_exr(folder / "scene.exr", RGB=scene())
    (folder / "notes.txt").write_text("not a photograph")
    return folder


@pytest.fixture(scope="module")
def many(folder: Path) -> list[Made]:
    """A good number of small pictures of one scene."""
    return [job.make() for job in jobs([folder / "scene.exr"], 80, 0)]


# -- planning ------------------------------------------------------------------------------------


def test_sources_take_turns(folder: Path) -> None:
    plan = jobs([folder], 7, 0)
    stems = [job.source.name for job in plan]
    assert set(stems[:3]) == {"large.jpg", "small.png", "scene.exr"}
    assert stems == (stems[:3] * 3)[:7]
    assert len({job.name for job in plan}) == 7
    assert len({job.seed for job in plan}) == 7
    assert [job.name for job in plan] == sorted(job.name for job in plan)
    assert jobs([folder], 7, 0) == plan
    assert [job.seed for job in jobs([folder], 7, 1)] != [job.seed for job in plan]


def test_files_and_folders_are_sources(folder: Path) -> None:
    files = [folder / "scene.exr", folder / "photographs" / "large.jpg"]
    assert {job.source for job in jobs(files, 4, 0)} == set(files)
    both = jobs([folder / "photographs", folder / "scene.exr"], 3, 0)
    assert len({job.source for job in both}) == 3


def test_pictures_of_a_source_are_all_taught_or_all_held_out(tmp_path: Path) -> None:
    sources = [tmp_path / f"{number}.png" for number in range(12)]
    for seed in range(4):
        plan = jobs(sources, 50, seed)
        kinds = {source: {job.split for job in plan if job.source == source} for source in sources}
        assert all(len(kind) == 1 for kind in kinds.values())
        held_out = {source for source, kind in kinds.items() if kind == {"test"}}
        assert len(held_out) == 2
    assert {job.split for job in jobs(sources[:3], 9, 0)} == {"train"}
    choices = [
        frozenset(job.source for job in jobs(sources, 12, seed) if job.split == "test")
        for seed in range(8)
    ]
    assert len(set(choices)) > 1


def test_without_a_source_there_is_no_plan(folder: Path, tmp_path: Path) -> None:
    for nothing in (folder / "notes.txt", tmp_path, tmp_path / "gone"):
        with pytest.raises(DataError, match=rf"no photograph .*\.exr\) in .*{nothing.name}"):
            jobs([nothing], 3, 0)


# -- making --------------------------------------------------------------------------------------


def test_a_picture_is_decided_by_its_seed(folder: Path) -> None:
    one, other = (jobs([folder / "scene.exr"], 3, 0)[1] for _ in range(2))
    first, again = one.make(), other.make()
    assert first[0] == again[0]
    assert np.array_equal(first[1], again[1])
    different = jobs([folder / "scene.exr"], 3, 1)[1].make()
    assert different[0] != first[0]
    neighbour = jobs([folder / "scene.exr"], 3, 0)[2].make()
    assert neighbour[0] != first[0]


@pytest.mark.parametrize(
    "name", ["scene.exr", "photographs/large.jpg", "photographs/more/small.png"]
)
def test_the_reference_is_what_libraw_makes_of_the_file(
    folder: Path, tmp_path: Path, name: str
) -> None:
    for job in jobs([folder / name], 2, 3):
        record, reference = job.make()
        assert reference.shape == (*record.mosaic.shape, 3)
        assert record.height == record.width
        assert record.height % 2 == 0
        assert record.height <= 768
        np.testing.assert_array_equal(reference, reference_srgb(record))
        write_dng(tmp_path / "it.dng", record)
        np.testing.assert_array_equal(reference_srgb_file(tmp_path / "it.dng"), reference)
        assert read_raw(tmp_path / "it.dng").mosaic.tobytes() == record.mosaic.tobytes()


def test_large_photographs_fill_the_frame(folder: Path) -> None:
    large, small = (
        jobs([folder / "photographs" / name], 1, 0)[0].make()[0]
        for name in ("large.jpg", "more/small.png")
    )
    assert large.height == 656  # 1640 / 2.5
    assert small.height == 200


def test_the_photograph_can_be_seen(folder: Path) -> None:
    """Somewhere at some scale; the window is drawn at random, so whole pictures are compared."""
    flat = np.full((160, 160, 3), 0.2, np.float16)
    flat[:, 80:] = 0.8
    path = write_exr(folder / "halves.exr", RGB=flat)
    ratios = []
    for job in jobs([path], 12, 0):
        record, _ = job.make()
        values = normalise(record)
        profile = values.reshape(record.height // 2, 2, -1, 2).mean((0, 1, 3))
        ratios.append(profile.max() / max(profile.min(), 1e-3))
    path.unlink()
    assert np.median(ratios) > 1.8


def test_grey_scenes_stay_about_grey(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    grey = (0.2 + 0.1 * rng.random((120, 120, 1))).repeat(3, 2).astype(np.float16)
    path = write_exr(tmp_path / "grey.exr", RGB=grey)
    casts = []
    for job in jobs([path], 30, 0):
        _, reference = job.make()
        colour = np.median(reference.reshape(-1, 3).astype(float), axis=0)
        casts.append(np.ptp(colour) / max(colour.max(), 1))
    assert np.median(casts) < 0.12
    assert max(casts) > 0.2  # stage light


def test_all_kinds_of_records_are_made(many: list[Made]) -> None:
    records = [record for record, _ in many]
    assert {record.pattern for record in records} == set(CFA_PATTERNS)
    assert {record.bit_depth for record in records} == {10, 12, 14, 16}
    assert len({record.model for record in records}) > 25
    blacks = [float(record.black.max()) for record in records]
    assert 0 in blacks
    assert max(b / 2**r.bit_depth for b, r in zip(blacks, records, strict=True)) > 0.1
    assert len({tuple(record.white_balance) for record in records}) == len(records)
    assert all(record.mosaic.max() < 2**record.bit_depth for record in records)
    assert all(record.black.min() == record.black.max() < record.white for record in records)


def test_multipliers_span_candle_light_to_shade(many: list[Made]) -> None:
    red_to_blue = [record.white_balance[0] / record.white_balance[2] for record, _ in many]
    assert min(red_to_blue) < 0.7
    assert max(red_to_blue) > 1.3
    for record, _ in many:
        assert record.white_balance[1] == 1
        assert record.white_balance.max() / record.white_balance.min() < 8


def clipped(record: RawRecord) -> float:
    """Share of the sites at the level where the sensor saturates."""
    return float((record.mosaic == record.mosaic.max()).mean())


def test_exposures_go_from_nothing_clipped_to_half_of_it(many: list[Made]) -> None:
    shares = np.array([clipped(record) for record, _ in many])
    assert (shares < 1e-3).mean() > 0.15
    assert (shares > 0.05).mean() > 0.1
    assert shares.max() > 0.3
    brightness = [reference.mean() for _, reference in many]
    assert min(brightness) < 30
    assert max(brightness) > 150


def test_saturated_sites_have_one_level_wherever_white_is(many: list[Made]) -> None:
    beside, short, found = 0, 0, 0
    for record, _ in many:
        if clipped(record) < 0.02:
            continue
        level = int(record.mosaic.max())
        for row in (0, 1):
            for column in (0, 1):
                sites = record.mosaic[row::2, column::2]
                near = (sites > level - max(2, 0.002 * level)) & (sites < level)
                if (sites == level).mean() > 0.02:
                    # A wall, not a slope: noise never goes beyond it, and hardly stops before.
                    assert near.sum() < (sites == level).sum()
        top = (level - record.black[0, 0]) / (record.white - record.black[0, 0])
        assert saturation(record).max() == pytest.approx(max(top, saturation(record).min()))
        assert abs(top - 1) < 0.08
        beside += abs(top - 1) > 0.003
        short += level < 2**record.bit_depth - 1
        found += 1
    assert found > 10
    assert 0 < beside < found
    assert 0 < short < found


def test_colours_are_those_of_real_cameras(many: list[Made]) -> None:
    makes = {f"Simulated {model}": (make, model) for make, model in CAMERAS}
    for record, _ in many:
        matrix = known_camera_matrix(*makes[record.model])
        assert matrix is not None
        np.testing.assert_array_equal(record.xyz_to_camera, matrix)
        np.testing.assert_allclose(record.camera_to_srgb, camera_to_srgb_from(matrix))


def test_every_camera_is_known() -> None:
    assert [each for each in CAMERAS if known_camera_matrix(*each) is None] == []
    assert len(set(CAMERAS)) == len(CAMERAS)


def test_noise_grows_with_the_light(tmp_path: Path) -> None:
    steps = np.repeat([0.02, 0.3], 60).astype(np.float16)[:, None, None].repeat(120, 1)
    path = write_exr(tmp_path / "steps.exr", RGB=steps.repeat(3, 2))
    noisier = 0
    plan = jobs([path], 20, 0)
    for job in plan:
        record, _ = job.make()
        green = record.mosaic[:, record.channels[0].tolist().index(1) :: 2][::2].astype(float)
        noise = [np.median(np.abs(np.diff(part, axis=1))) for part in (green[:8], green[-8:])]
        noisier += noise[1] >= noise[0]
    assert noisier > 0.7 * len(plan)


# -- what cannot be used -------------------------------------------------------------------------


def text(path: Path) -> None:
    path.write_text("hello")


def empty(path: Path) -> None:
    path.touch()


def gone(path: Path) -> None:
    path.unlink(missing_ok=True)


def cut(path: Path) -> None:
    if path.suffix == ".exr":
        write_exr(path, RGB=np.random.default_rng(0).random((300, 320, 3)).astype(np.float16))
    else:
        noise = np.random.default_rng(0).integers(0, 256, (400, 400, 3), dtype=np.uint8)
        Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".exr"])
@pytest.mark.parametrize("damage", [text, empty, gone, cut])
def test_what_cannot_be_read_is_named(
    tmp_path: Path, suffix: str, damage: Callable[[Path], None]
) -> None:
    path = tmp_path / f"broken{suffix}"
    damage(path)
    with pytest.raises(DataError, match=rf"broken{suffix} cannot be read as a photograph"):
        Unprocessing("it", path, (0, 0), "train").make()


def test_what_is_too_small_is_named(tmp_path: Path) -> None:
    Image.new("RGB", (150, 900)).save(tmp_path / "narrow.png")
    write_exr(tmp_path / "low.exr", RGB=np.zeros((40, 900, 3), np.float16))
    for name in ("narrow.png", "low.exr"):
        with pytest.raises(DataError, match=f"{name} is too small"):
            Unprocessing("it", tmp_path / name, (0, 0), "train").make()


def test_a_scene_without_colours_is_refused(tmp_path: Path) -> None:
    path = write_exr(tmp_path / "depth.exr", Z=np.ones((120, 120), np.float32))
    with pytest.raises(DataError, match=r"depth\.exr cannot be read .*channels Z are not RGB"):
        Unprocessing("it", path, (0, 0), "train").make()


def test_alpha_is_left_out(tmp_path: Path) -> None:
    light = scene(100, 100)
    plain = write_exr(tmp_path / "plain.exr", RGB=light)
    alpha = np.concatenate([light, np.zeros((100, 100, 1), np.float16)], 2)
    veiled = write_exr(tmp_path / "veiled.exr", RGBA=alpha)
    one, other = (Unprocessing("it", path, (3, 4), "train").make() for path in (plain, veiled))
    assert one[0] == other[0]


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf, 1000.0])
def test_scenes_without_anything_to_see_still_make_records(tmp_path: Path, value: float) -> None:
    path = write_exr(tmp_path / "flat.exr", RGB=np.full((100, 100, 3), value, np.float16))
    for job in jobs([path], 4, 0):
        record, reference = job.make()
        assert reference.shape == (*record.mosaic.shape, 3)


@pytest.mark.parametrize("mode", ["L", "RGBA", "CMYK", "P"])
def test_photographs_of_every_kind_are_read(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "photo.tif"
    Image.fromarray(astronaut()[:200, :200]).convert(mode).save(path)
    record, _ = Unprocessing("it", path, (0, 0), "train").make()
    assert record.height == 80


def test_photographs_of_sixteen_bits_are_refused_rather_than_clipped(tmp_path: Path) -> None:
    path = tmp_path / "deep.png"
    Image.fromarray(np.full((200, 200), 30_000, np.uint16)).save(path)
    with pytest.raises(DataError, match=r"deep\.png cannot be read .*8 bits"):
        Unprocessing("it", path, (0, 0), "train").make()
