from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np
import pytest
from photographs import photograph
from PIL import Image
from records import make_record

from napari_invisp.evaluation import LossyDng, lossy_dng
from napari_invisp.metrics import raw_psnr
from napari_invisp.sensor.libraw import demosaic
from napari_invisp.sensor.reading import read_raw
from napari_invisp.sensor.record import RawRecord


def by_pillow(record: RawRecord, quality: int) -> tuple[int, RawRecord]:
    """Bytes and what comes back, worked out without anything of the module's."""
    rgb = demosaic(record).astype(np.float64)
    top = max(1, rgb.max())
    codes = np.rint((rgb / top) ** (1 / 2.2) * 255).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(codes).save(stream, "JPEG", quality=quality, subsampling=0)
    back = (np.asarray(Image.open(stream)) / 255) ** 2.2 * top / record.balance
    rows, columns = np.indices(record.mosaic.shape)
    black = record.black[rows % 2, columns % 2]
    values = back[rows, columns, record.channels[rows % 2, columns % 2]]
    counts = np.rint(black + values * (record.white - black))
    return stream.tell(), record.replace(mosaic=counts.clip(0, 65535).astype(np.uint16))


@pytest.mark.parametrize("pattern", ["RGGB", "GBRG"])
@pytest.mark.parametrize("quality", [40, 95])
def test_a_quality_gives_what_pillow_gives(pattern: str, quality: int) -> None:
    record = photograph(120, 160, pattern)
    size, back = by_pillow(record, quality)
    figure = LossyDng(record).at_quality(quality)
    assert figure.bytes == size
    assert figure.quality == quality
    assert figure.raw_psnr == pytest.approx(raw_psnr(record, back), abs=0.02)


def test_data_beyond_white_are_not_clipped() -> None:
    record = make_record((64, 64), white=2000)
    # The metric clips at white and cannot tell, so look at the samples themselves.
    record = record.replace(mosaic=np.full((64, 64), 3900, np.uint16))
    back = LossyDng(record).recovered_at(100)
    np.testing.assert_allclose(back.mosaic, 3900, rtol=0.02)


def test_between_qualities_the_figure_is_interpolated() -> None:
    yardstick = LossyDng(photograph(120, 160))
    low, high = yardstick.at_quality(80), yardstick.at_quality(81)
    between = yardstick.at(math.sqrt(low.bytes * high.bytes))
    assert between.raw_psnr == pytest.approx((low.raw_psnr + high.raw_psnr) / 2)
    assert between.quality == pytest.approx(80.5)
    assert yardstick.at(high.bytes).raw_psnr == pytest.approx(high.raw_psnr)


def test_more_bytes_keep_more() -> None:
    yardstick = LossyDng(photograph(120, 160))
    figures = [yardstick.at(size).raw_psnr for size in (1500, 3000, 6000, 12000)]
    assert figures == sorted(figures)
    assert figures[-1] > figures[0] + 5


def test_sizes_out_of_reach_say_what_was_reached() -> None:
    yardstick = LossyDng(photograph(60, 80))
    least, most = yardstick.at(1), yardstick.at(10**9)
    assert (least.quality, most.quality) == (1, 100)
    assert least == yardstick.at_quality(1)
    assert most.bytes < 10**9


def test_each_quality_is_encoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from napari_invisp.evaluation import yardstick as module

    asked: list[int] = []
    encode = module.encode_jpeg

    def counted(rgb: np.ndarray, quality: int, subsampling: str) -> bytes:
        asked.append(quality)
        return encode(rgb, quality, subsampling)

    monkeypatch.setattr(module, "encode_jpeg", counted)
    record = photograph(60, 80)
    yardstick = LossyDng(record)
    first = yardstick.at(2500)
    assert len(asked) == len(set(asked))
    asked.clear()
    assert yardstick.at(2500) == first
    assert asked == []
    assert lossy_dng(record, 2500) == first


@pytest.mark.parametrize(
    ("name", "bpp", "psnr"), [("sample2.dng", 0.98, 47.9), ("IMG_5952.CR2", 0.94, 47.3)]
)
def test_known_figures_of_real_files(shared_raw: Path, name: str, bpp: float, psnr: float) -> None:
    """Central crops at quality 90, measured once by other means."""
    record = read_raw(shared_raw / name)
    top, left = (record.height - 1024) // 4 * 2, (record.width - 1024) // 4 * 2
    crop = record.replace(mosaic=record.mosaic[top : top + 1024, left : left + 1024].copy())
    figure = LossyDng(crop).at_quality(90)
    assert 8 * figure.bytes / 1024**2 == pytest.approx(bpp, abs=0.01)
    assert figure.raw_psnr == pytest.approx(psnr, abs=0.06)
