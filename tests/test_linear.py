from __future__ import annotations

import numpy as np

from napari_invisp.linear import codes_from_linear, linear_from_codes, linear_srgb
from napari_invisp.samples import sample_path
from napari_invisp.sensor.libraw import reference_srgb
from napari_invisp.sensor.reading import read_raw


def test_a_developed_raw_looks_as_libraw_renders_it() -> None:
    dog = read_raw(sample_path())
    ours = codes_from_linear(linear_srgb(dog)).astype(int)
    error = np.abs(ours - reference_srgb(dog))
    assert error.mean() < 0.7  # LibRaw rounds down
    assert np.mean(error <= 2) > 0.98  # it clips before it interpolates


def test_codes_come_back() -> None:
    codes = np.arange(256, dtype=np.uint8).reshape(1, -1, 1).repeat(3, axis=2)
    linear = linear_from_codes(codes)
    assert linear[0, 0, 0] == 0
    assert linear[0, -1, 0] == 1
    np.testing.assert_array_equal(codes_from_linear(linear), codes)
