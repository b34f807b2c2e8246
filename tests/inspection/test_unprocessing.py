from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from skimage.data import astronaut

from napari_invisp.errors import Cancelled, RawFileError
from napari_invisp.inspection.jpegs import JpegFacts, describe
from napari_invisp.inspection.unprocessing import GENERIC_MATRIX, approximate_raw
from napari_invisp.jpeg.codec import decode_jpeg, encode_jpeg
from napari_invisp.jpeg.exif import build_exif
from napari_invisp.metrics import raw_psnr
from napari_invisp.sensor.cfa import demosaic_bilinear, mosaic_from_rgb, normalise
from napari_invisp.sensor.dng import write_dng
from napari_invisp.sensor.libraw import known_camera_matrix, reference_srgb
from napari_invisp.sensor.reading import read_raw
from napari_invisp.sensor.record import camera_to_srgb_from
from napari_invisp.tiling import Watcher

NIKON = {"make": "NIKON CORPORATION", "model": "NIKON D5000"}


def facts_of(rgb: np.ndarray, **exif: object) -> JpegFacts:
    return describe(encode_jpeg(rgb, exif=build_exif(**exif) if exif else None))


def by_hand(code: float) -> float:
    """One grey value, step by step as in Brooks et al., up to the gains."""
    encoded = 0.5 - np.sin(np.arcsin(1 - 2 * code / 255) / 3)
    return encoded / 12.92 if encoded <= 0.04045 else ((encoded + 0.055) / 1.055) ** 2.4


@pytest.mark.parametrize("code", [0, 1, 20, 100, 180])
def test_grey_is_dimmed_by_each_channel_s_gain(code: int) -> None:
    rgb = np.full((9, 11, 3), code, np.uint8)
    record = approximate_raw(rgb, facts_of(rgb))
    light = by_hand(code)
    # The generic camera's answer to daylight, 0.8 for the brightest channel.
    camera = GENERIC_MATRIX @ [0.9504559, 1.0, 1.0890578]
    expected = (light * 0.8 * camera / camera.max())[[[0, 1], [1, 2]]] * record.white
    tiled = np.tile(expected, (5, 6))[:9, :11]
    assert np.abs(record.mosaic - tiled).max() <= 1


def test_white_comes_back_as_saturation() -> None:
    rgb = np.full((8, 8, 3), 255, np.uint8)
    record = approximate_raw(rgb, facts_of(rgb))
    assert (record.mosaic == record.white).all()


def test_it_is_an_ordinary_raw(tmp_path: Path) -> None:
    rgb = astronaut()[:301, :403]
    facts = facts_of(rgb, **NIKON, orientation=6, taken="2014:03:09 13:25:51", iso=200)
    record = approximate_raw(rgb, facts)
    assert (record.pattern, record.bit_depth, record.white) == ("RGGB", 14, 16383)
    assert record.mosaic.shape == (301, 403)
    assert record.orientation == 6
    assert record.capture.iso == 200
    assert record.camera == "NIKON D5000 (approximate RAW)"
    matrix = known_camera_matrix(**NIKON)
    np.testing.assert_allclose(record.camera_to_srgb, camera_to_srgb_from(matrix))
    path = tmp_path / "guess.dng"
    write_dng(path, record)
    again = read_raw(path)
    assert np.array_equal(again.mosaic, record.mosaic)
    assert again.camera == "NIKON D5000 (approximate RAW)"
    np.testing.assert_allclose(again.camera_to_srgb, record.camera_to_srgb, atol=1e-3)


@pytest.mark.parametrize(
    ("exif", "camera"),
    [({}, "Unknown camera"), ({"make": "Nobody", "model": "Nothing 1"}, "Nobody Nothing 1")],
)
def test_a_camera_that_libraw_does_not_know_gets_generic_colours(
    exif: dict[str, str], camera: str
) -> None:
    rgb = astronaut()[:64, :64]
    record = approximate_raw(rgb, facts_of(rgb, **exif))
    np.testing.assert_array_equal(record.xyz_to_camera, GENERIC_MATRIX)
    assert record.camera in (
        "Unknown camera (approximate RAW)",
        "Nobody Nothing 1 (approximate RAW)",
    )
    # As cameras have it: green sees most of daylight.
    assert (record.white_balance[[0, 2]] > 1).all()


def test_mirrored_pictures_are_taken_as_stored() -> None:
    rgb = astronaut()[:64, :64]
    assert approximate_raw(rgb, facts_of(rgb, orientation=4)).orientation == 1


def test_colours_are_those_of_the_photograph() -> None:
    """Rendered anew, what was guessed is a flatter version of the same picture."""
    rgb = astronaut()
    rendered = reference_srgb(approximate_raw(rgb, facts_of(rgb)))
    for channel in range(3):
        original, again = rgb[..., channel].ravel(), rendered[..., channel].ravel()
        assert np.corrcoef(original, again)[0, 1] > 0.97


def test_it_is_closer_to_the_raw_than_the_picture_s_own_values(shared_raw: Path) -> None:
    record = read_raw(shared_raw / "sample2.dng").middle(512)
    jpeg = encode_jpeg(reference_srgb(record), 95, exif=build_exif(**NIKON))
    rgb = decode_jpeg(jpeg).rgb
    guess = approximate_raw(rgb, describe(jpeg))
    layout = [["RGB".index(c) for c in record.pattern[i : i + 2]] for i in (0, 2)]
    span = record.white - record.black.mean()

    def scored(values: np.ndarray) -> float:
        mosaic = np.rint(values * span + record.black.mean()).astype(np.uint16)
        return raw_psnr(record, record.replace(mosaic=mosaic))

    # The guess has another CFA pattern, so it is compared where the camera measured.
    guessed = mosaic_from_rgb(demosaic_bilinear(normalise(guess), guess.channels), layout)
    plain = mosaic_from_rgb(rgb / np.float32(255), layout)
    assert scored(guessed) > scored(plain) + 5
    assert scored(guessed) > 20


def test_it_can_be_watched_and_stopped() -> None:
    rgb = np.tile(astronaut(), (2, 1, 1))
    seen: list[tuple[int, int]] = []
    approximate_raw(rgb, facts_of(rgb), Watcher(lambda _, done, total: seen.append((done, total))))
    assert seen == [(done, 16) for done in range(17)]
    with pytest.raises(Cancelled):
        approximate_raw(rgb, facts_of(rgb), Watcher(cancelled=lambda: True))


def test_too_small_a_picture_is_refused() -> None:
    rgb = np.zeros((1, 5, 3), np.uint8)
    with pytest.raises(RawFileError, match="at least 2x2"):
        approximate_raw(rgb, facts_of(rgb))


def test_bands_leave_no_seam() -> None:
    rgb = astronaut()[:200]
    whole = approximate_raw(rgb, facts_of(rgb))
    for top in (0, 64, 66, 130):
        part = approximate_raw(rgb[top : top + 40], facts_of(rgb))
        np.testing.assert_array_equal(part.mosaic, whole.mosaic[top : top + 40])
