from __future__ import annotations

import zlib
from fractions import Fraction
from itertools import product
from math import floor

import numpy as np
import pytest
import torch
from archive_helpers import any_picture

from napari_invisp.archive.prediction import NODES, Prediction


def any_prediction() -> Prediction:
    """The same on every machine: no generator of random numbers has a say in it."""
    count = len(NODES)
    values = np.arange(4 * count**3, dtype=np.int64)
    values = values * values * 7919 % (1 << 20)
    return Prediction(np.minimum(values, 65535 << 4).astype(np.int32).reshape(4, *[count] * 3))


def test_it_is_the_same_on_every_machine() -> None:
    """Archives that were written elsewhere, and earlier, depend on this very number."""
    predicted = any_prediction()(any_picture(64, 96))
    assert zlib.crc32(predicted.astype("<u2").tobytes()) == 2204343349


def test_it_does_not_depend_on_the_number_of_threads() -> None:
    prediction, picture = any_prediction(), any_picture(513, 200)
    threads = torch.get_num_threads()
    results = []
    for count in (1, 2, 5):
        torch.set_num_threads(count)
        results.append(prediction(picture))
    torch.set_num_threads(threads)
    assert all(np.array_equal(results[0], each) for each in results)


def test_it_interpolates_between_nodes() -> None:
    """Within what rounding at each step may do, next to exact fractions."""
    prediction, picture = any_prediction(), any_picture(6, 8)
    predicted = prediction(picture)
    for row, column in product(range(6), range(8)):
        table = prediction.tables[2 * (row % 2) + column % 2]
        total = Fraction(0)
        sides = []
        for code in picture[row, column].tolist():
            below = max(k for k in range(len(NODES) - 1) if NODES[k] <= code)
            width = NODES[below + 1] - NODES[below]
            # Weights have eight bits.
            towards = Fraction(
                floor(Fraction(code - NODES[below], width) * 256 + Fraction(1, 2)), 256
            )
            sides.append(((below, 1 - towards), (below + 1, towards)))
        for (r, wr), (g, wg), (b, wb) in product(*sides):
            total += int(table[r, g, b]) * wr * wg * wb
        assert abs(int(predicted[row, column]) - total / 16) <= Fraction(5, 8)


def test_fitting_brings_it_closer_to_the_raw(dog) -> None:
    fitted = Prediction.fitted(dog.picture, dog.record)
    error = dog.record.mosaic.astype(int) - fitted(dog.picture)
    recovered = dog.record.mosaic.astype(int) - dog.recovered.mosaic
    # In DN, where bright samples count most, as good as the model itself.
    assert np.std(error) < 1.1 * np.std(recovered)


def test_tables_come_back(dog) -> None:
    fitted = Prediction.fitted(dog.picture, dog.record)
    data = fitted.to_bytes()
    assert np.array_equal(Prediction.from_bytes(data).tables, fitted.tables)
    assert len(data) < 40_000


def test_tables_out_of_range_are_refused() -> None:
    tables = any_prediction().tables.copy()
    tables[0, 0, 0, 0] = -1
    with pytest.raises(ValueError, match="out of range"):
        Prediction.from_bytes(Prediction(tables).to_bytes())
