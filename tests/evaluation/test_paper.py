from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from photographs import photograph
from PIL import Image
from skimage.metrics import structural_similarity
from torch import nn

from napari_invisp.errors import CheckpointError, RawFileError, SettingsError
from napari_invisp.evaluation.paper import PaperProtocol, PaperRow
from napari_invisp.flow.checkpoints import load_checkpoint
from napari_invisp.flow.invisp import Invisp
from napari_invisp.sensor.libraw import reference_srgb
from napari_invisp.sensor.record import RawRecord
from napari_invisp.settings import ComputeSettings

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = ComputeSettings(device="cpu")


@pytest.fixture(scope="module", params=["canon", "nikon"])
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights such as the authors', that make something like a picture."""
    model = Invisp(generator=torch.Generator().manual_seed(3))
    noise = torch.Generator().manual_seed(4)
    for name, parameter in model.named_parameters():
        if "operations" in name and parameter.ndim == 4:
            parameter.data += 0.003 * torch.randn(parameter.shape, generator=noise)
    path = tmp_path_factory.mktemp("weights") / f"{request.param}.pth"
    torch.save(model.state_dict(), path)
    return path


def picture(maker: str, orientation: int = 1) -> tuple[RawRecord, np.ndarray]:
    bits = {"canon": 12, "nikon": 14}[maker]
    record = photograph(50, 65, bit_depth=bits, orientation=orientation)
    factor = 2 ** (bits - 12)
    record = record.replace(
        mosaic=record.mosaic * np.uint16(factor), black=record.black * factor, white=4095 * factor
    )
    return record, reference_srgb(record)


def saved(codes: np.ndarray) -> tuple[np.ndarray, int]:
    stream = io.BytesIO()
    Image.fromarray(codes).save(stream, "JPEG", quality=90, subsampling=1)
    return np.asarray(Image.open(stream)), stream.tell()


def turned(picture: np.ndarray, orientation: int) -> np.ndarray:
    image = {1: None, 3: Image.ROTATE_180, 6: Image.ROTATE_270, 8: Image.ROTATE_90}[orientation]
    if image is None:
        return picture
    planes = [Image.fromarray(plane).transpose(image) for plane in np.moveaxis(picture, -1, 0)]
    return np.stack([np.asarray(plane) for plane in planes], axis=-1)


def demosaiced(plane: np.ndarray) -> np.ndarray:
    """RGGB, each channel the weighted mean of what its neighbours measured; zeros outside."""
    height, width = plane.shape
    padded = np.zeros((height + 2, width + 2))
    padded[1:-1, 1:-1] = plane
    rgb = np.zeros((height, width, 3))
    for row in range(height):
        for column in range(width):
            for y in (-1, 0, 1):
                for x in (-1, 0, 1):
                    value = padded[row + y + 1, column + x + 1]
                    site = ((row + y) % 2, (column + x) % 2)
                    channel = {(0, 0): 0, (0, 1): 1, (1, 0): 1, (1, 1): 2}[site]
                    if channel == 1:
                        weight = 1.0 if y == x == 0 else 0.25 if y == 0 or x == 0 else 0.0
                    else:
                        weight = 1 / (1 + abs(y)) / (1 + abs(x))
                    rgb[row, column, channel] += weight * value
    return rgb


def recomputed(
    network: nn.Module, record: RawRecord, rendering: np.ndarray, top: int
) -> tuple[list[float], int]:
    """Mean RGB PSNR, SSIM and RAW PSNR, and bytes: the protocol, written down once more."""
    balance = record.white_balance / record.white_balance.max()
    raw = (demosaiced(record.mosaic.astype(float)) * balance / top) ** (1 / 2.2)
    raw = turned(raw.astype(np.float32), record.orientation)
    once, _ = saved(turned(rendering, record.orientation))
    height, width = once.shape[:2]
    figures, total = [], 0
    for i in range(3):
        for j in range(3):
            rows = slice(int(i * height / 3), int((i + 1) * height / 3))
            columns = slice(int(j * width / 3), int((j + 1) * width / 3))
            x = torch.from_numpy(raw[rows, columns].transpose(2, 0, 1).copy())[None]
            with torch.no_grad():
                y = network(x).clamp(0, 1)[0].permute(1, 2, 0).numpy()
            predicted, size = saved(np.uint8(y * 255))
            truth, _ = saved(np.ascontiguousarray(once[rows, columns]))
            given = torch.from_numpy(predicted.transpose(2, 0, 1) / 255).float()[None]
            with torch.no_grad():
                back = network.inverse(given).clamp(0, 1)[0].permute(1, 2, 0).numpy()
            errors = truth / 255 - predicted / 255, back.astype(float) - raw[rows, columns]
            rgb_psnr, raw_psnr = (20 * math.log10(1 / math.sqrt(np.mean(e**2))) for e in errors)
            span = float(truth.max()) - float(truth.min())
            ssim = structural_similarity(truth, predicted, channel_axis=2, data_range=span)
            figures.append([rgb_psnr, ssim, raw_psnr])
            total += size
    return np.mean(figures, axis=0).tolist(), total


@pytest.mark.parametrize("orientation", [1, 6])
def test_the_protocol_is_the_authors(checkpoint: Path, orientation: int) -> None:
    record, rendering = picture(checkpoint.stem, orientation)
    (row,) = PaperProtocol([str(checkpoint)], [0.5], CPU).rows("a0001", record, rendering)
    network = load_checkpoint(checkpoint)
    top = {"canon": 4095, "nikon": 16383}[checkpoint.stem]
    (rgb_psnr, ssim, raw_psnr), size = recomputed(network, record, rendering, top)
    assert row.rgb_psnr == pytest.approx(rgb_psnr, abs=0.02)
    assert row.rgb_ssim == pytest.approx(ssim, abs=2e-4)
    assert row.raw_psnr == pytest.approx(raw_psnr, abs=0.02)
    assert row.bpp == pytest.approx(8 * size / record.mosaic.size, rel=0.002)
    assert (row.file, row.model, row.protocol) == ("a0001", checkpoint.name, "paper")
    assert (row.quality, row.subsampling) == (90, "4:2:2")


def rows_of(model: object, record: RawRecord, rendering: np.ndarray) -> PaperRow:
    protocol = PaperProtocol(["physics"], [0.5], CPU)
    protocol._models = [model]  # type: ignore[list-item]
    (row,) = protocol.rows("a", record, rendering)
    return row


def test_ground_truth_is_compressed_twice() -> None:
    """A model that renders the ground truth itself is compared with what was compressed twice."""
    record, rendering = picture("canon")
    once, _ = saved(rendering)
    model = load_physics()
    places = iter(
        [
            (slice(i * 50 // 3, (i + 1) * 50 // 3), slice(j * 65 // 3, (j + 1) * 65 // 3))
            for i in range(3)
            for j in range(3)
        ]
    )
    model.forward = lambda x: (  # type: ignore[method-assign, assignment]
        torch.from_numpy(once[next(places)].transpose(2, 0, 1).copy())[None] / 255
    )
    assert rows_of(model, record, rendering).rgb_psnr == 100  # the limit, for no error at all


def load_physics() -> Invisp:
    from napari_invisp.zoo import load_model

    model = load_model("physics")
    model.conditioned = lambda *arguments: model  # type: ignore[method-assign]
    return model  # type: ignore[return-value]


def test_other_models_can_be_measured_so() -> None:
    record, rendering = picture("canon")
    rows = list(PaperProtocol(["physics"], [0.0, 1.0], CPU).rows("a", record, rendering))
    assert [row.headroom for row in rows] == [0, 1]
    assert all(row.raw_psnr > 25 and row.rgb_psnr > 20 for row in rows)


@pytest.mark.parametrize("checkpoint", ["canon"], indirect=True)
def test_tiles_make_no_difference(checkpoint: Path) -> None:
    record, rendering = picture("canon")
    whole, tiled = (
        next(
            PaperProtocol([str(checkpoint)], [0.5], ComputeSettings("cpu", tile)).rows(
                "a", record, rendering
            )
        )
        for tile in (512, 16)
    )
    assert tiled.rgb_psnr == pytest.approx(whole.rgb_psnr, abs=0.02)
    assert tiled.raw_psnr == pytest.approx(whole.raw_psnr, abs=0.02)


def test_what_cannot_be_measured_is_refused(checkpoint: Path) -> None:
    with pytest.raises(SettingsError, match="headroom 3"):
        PaperProtocol([str(checkpoint)], [3], CPU)
    with pytest.raises(CheckpointError, match=r"none\.pth"):
        PaperProtocol(["none.pth"], [0.5], CPU)
    record = photograph(20, 80)
    with pytest.raises(RawFileError, match="tiny is too small"):
        list(PaperProtocol(["physics"], [0.5], CPU).rows("tiny", record, reference_srgb(record)))
