import io

import numpy as np
import pytest
from PIL import Image

from napari_invisp.errors import SettingsError
from napari_invisp.jpeg.tables import (
    ZIGZAG,
    nearest_quality,
    quantization_tables,
    sampling_factors,
)


@pytest.mark.parametrize("quality", range(1, 101))
def test_tables_are_those_that_libjpeg_writes(quality: int) -> None:
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "JPEG", quality=quality)
    # Pillow keeps the tables in the file's (zigzag) order unless it says otherwise.
    written = file.getvalue()
    for number, table in enumerate(quantization_tables(quality)):
        start = written.index(b"\xff\xdb\x00\x43" + bytes([number])) + 5
        in_file = np.frombuffer(written, np.uint8, 64, start)
        np.testing.assert_array_equal(in_file, table.ravel()[ZIGZAG])
        from_pillow = np.array(Image.open(file).quantization[number])
        np.testing.assert_array_equal(from_pillow, table.ravel())


@pytest.mark.parametrize("quality", [0, 101, -5, 90.0, "90", True, None])
def test_impossible_quality_is_named(quality: object) -> None:
    with pytest.raises(SettingsError, match=r"quality .*1 to 100"):
        quantization_tables(quality)  # type: ignore[arg-type]


def test_numpy_integers_are_a_quality() -> None:
    np.testing.assert_array_equal(quantization_tables(np.int64(90)), quantization_tables(90))


@pytest.mark.parametrize("name", ["4:1:1", "", "422", None])
def test_unknown_subsampling_is_named(name: str) -> None:
    with pytest.raises(SettingsError, match="4:4:4, 4:2:2, 4:2:0"):
        sampling_factors(name)


@pytest.mark.parametrize("quality", range(1, 101))
def test_libjpegs_own_tables_have_their_own_quality(quality: int) -> None:
    assert nearest_quality(quantization_tables(quality)[0]) == quality


def test_other_tables_have_the_quality_of_like_coarseness() -> None:
    found = [nearest_quality(np.full((8, 8), step)) for step in (1, 2, 5, 12, 30, 100, 255)]
    assert found == sorted(found, reverse=True)
    assert (found[0], found[-1]) == (100, 1)
    for quality in (20, 75, 92):
        table = quantization_tables(quality)[0].copy()
        table[0, 0] += 1
        assert abs(nearest_quality(table) - quality) <= 1
    beyond = np.full((8, 8), 60_000)  # tables of 16 bits may hold that
    assert nearest_quality(beyond) == 1
