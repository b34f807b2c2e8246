from __future__ import annotations

import numpy as np
import pytest
from archive_helpers import any_picture
from records import make_record

from napari_invisp.archive.correction import LEAST_BYTES, corrected, pack
from napari_invisp.errors import CapsuleError
from napari_invisp.metrics import raw_psnr
from napari_invisp.sensor.saturation import saturation


def gain(dog, size: int) -> float:
    data = pack(dog.record, dog.recovered, dog.luma, size)
    assert len(data) <= size
    mosaic = corrected(data, dog.recovered, dog.luma)
    better = dog.recovered.replace(mosaic=mosaic)
    return raw_psnr(dog.record, better) - raw_psnr(dog.record, dog.recovered)


def test_more_bytes_bring_back_more(dog) -> None:
    gains = [gain(dog, size) for size in (1000, 4096, 16384, 65536)]
    assert gains == sorted(gains)
    assert gains[1] > 0.2
    assert gains[3] > 2


def test_the_bytes_are_spent(dog) -> None:
    assert len(pack(dog.record, dog.recovered, dog.luma, 16384)) > 0.95 * 16384


def test_too_few_bytes_hold_nothing(dog) -> None:
    assert pack(dog.record, dog.recovered, dog.luma, LEAST_BYTES - 1) == b""
    assert len(pack(dog.record, dog.recovered, dog.luma, LEAST_BYTES)) <= LEAST_BYTES


@pytest.mark.parametrize("shape", [(2, 2), (3, 5), (22, 40), (37, 64)])
def test_small_frames_survive(shape: tuple[int, int]) -> None:
    original, recovered = make_record(shape), make_record(shape, seed=1)
    luma = any_picture(*shape)[..., 0]
    data = pack(original, recovered, luma, 20_000)
    better = corrected(data, recovered, luma)

    def error(mosaic: np.ndarray) -> float:
        return float(np.abs(mosaic.astype(int) - original.mosaic).mean())

    assert better.shape == shape
    assert error(better) < error(recovered.mosaic)


def test_damage_is_told(dog) -> None:
    data = pack(dog.record, dog.recovered, dog.luma, 8000)
    for broken in (data[:10], data[:100], data[: len(data) // 2]):
        with pytest.raises(CapsuleError, match="side information is damaged"):
            corrected(broken, dog.recovered, dog.luma)
    with pytest.raises(CapsuleError, match="newer napari-invisp"):
        corrected(bytes([data[0] + 1]) + data[1:], dog.recovered, dog.luma)


def test_saturation_stays_where_it_is() -> None:
    """It is told by the highest level that occurs; beyond it there is no light."""
    rng = np.random.default_rng(0)
    light = rng.normal(3000, 900, (200, 300))
    counts = np.clip(light, 64, 3800).astype(np.uint16)
    original = make_record(mosaic=counts, black=np.full((2, 2), 64.0), white=4095)
    near = np.clip(light + rng.normal(0, 60, light.shape), 64, 3800).astype(np.uint16)
    recovered = original.replace(mosaic=near)
    luma = (counts // 16).astype(np.uint8)
    mosaic = corrected(pack(original, recovered, luma, 30_000), recovered, luma)
    better = original.replace(mosaic=mosaic)
    np.testing.assert_array_equal(saturation(better), saturation(original))
    assert mosaic.max() == 3800
    assert raw_psnr(original, better) > raw_psnr(original, recovered)
