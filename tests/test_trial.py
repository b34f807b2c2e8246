"""Windows that went through JPEG are what the file will hold at their places."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from photographs import photograph

from napari_invisp.flow.coded import Coded, Trial
from napari_invisp.flow.profiles import PROFILES
from napari_invisp.jpeg.codec import decode_jpeg, encode_jpeg
from napari_invisp.jpeg.exact import windows_of
from napari_invisp.metrics import network_raw
from napari_invisp.sensor.record import CFA_PATTERNS, CfaPattern, RawRecord
from napari_invisp.trial import attempt

PROFILE = PROFILES["physics"]
CPU = torch.device("cpu")


def places(shape: tuple[int, int]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Tell where in the frame the pixels of a trial are from, by painting blocks' numbers."""
    rows, columns = np.indices(shape)
    painted = np.stack([rows // 16 * 4, columns // 16 * 4, rows * 0], 2).astype(np.uint8)
    record = photograph(*shape)
    trial = attempt(painted, record, PROFILE, Coded(100, "4:4:4"), CPU)
    assert trial is not None
    numbers = (trial.decoded[0, :2] * (255 / 4)).round().to(torch.int64).numpy()
    within_rows, within_columns = np.indices(numbers.shape[1:]) % 16
    return numbers[0] * 16 + within_rows, numbers[1] * 16 + within_columns


def rendered(record: RawRecord) -> NDArray[np.uint8]:
    return (network_raw(record) * 255).astype(np.uint8)


@pytest.mark.parametrize("pattern", CFA_PATTERNS)
@pytest.mark.parametrize("shape", [(900, 1010), (250, 611), (97, 130), (50, 300)])
@pytest.mark.parametrize(("quality", "subsampling"), [(90, "4:2:2"), (60, "4:2:0")])
def test_inner_pixels_are_those_of_the_frame(
    pattern: CfaPattern, shape: tuple[int, int], quality: int, subsampling: str
) -> None:
    record = photograph(*shape, pattern)
    rgb = rendered(record)
    trial = attempt(rgb, record, PROFILE, Coded(quality, subsampling), CPU)
    assert trial is not None
    where, inner = places(shape), trial.inner
    data = encode_jpeg(rgb, quality, subsampling)
    frame = windows_of(data, decode_jpeg(data))(*(slice(0, n) for n in shape), CPU)[0] / 255
    difference = (trial.decoded[0] - frame[:, *where])[:, inner].abs()
    # The interpolation of chroma cannot always be undone to the last, which windows may see.
    assert difference.max() < 0.5 / 255
    assert (difference > 1e-5).double().mean() < 0.005
    truth = torch.from_numpy(network_raw(record))[where]
    assert torch.equal(trial.truth[inner], truth[inner])


def a_trial(shape: tuple[int, int] = (900, 1010)) -> Trial:
    record = photograph(*shape)
    trial = attempt(rendered(record), record, PROFILE, Coded(), CPU)
    assert trial is not None
    return trial


def test_windows_come_from_all_over_the_frame() -> None:
    trial = a_trial()
    for where, length in zip(places((900, 1010)), (900, 1010), strict=True):
        seen = np.unique(where[trial.inner.numpy()])
        assert seen.min() < 100
        assert seen.max() > length - 100
        assert np.diff(seen).max() < 120


def test_they_are_a_small_part_of_a_large_frame() -> None:
    assert a_trial((1024, 1024)).decoded[0, 0].numel() < 0.35 * 1024**2


def test_what_a_model_recovers_is_measured_as_the_truth_is() -> None:
    record = photograph(200, 300)
    trial = attempt(rendered(record), record, PROFILE, Coded(), CPU)
    assert trial is not None
    # A model that recovers the very light, in all three channels at every site.
    mosaics = trial.truth.permute(2, 0, 1)[None] ** 2.2
    difference = (trial.network_raw(mosaics) - trial.truth)[trial.inner]
    assert difference.abs().max() < 2e-2
    assert difference.abs().mean() < 1e-4


@pytest.mark.parametrize("shape", [(30, 200), (200, 47), (4, 4)])
def test_small_frames_are_not_tried(shape: tuple[int, int]) -> None:
    record = photograph(*shape)
    assert attempt(rendered(record), record, PROFILE, Coded(), CPU) is None
