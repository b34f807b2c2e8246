from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from PIL import Image
from records import make_smooth_record

from napari_invisp.errors import OutputError, RawFileError
from napari_invisp.inspection.provenance import Provenance
from napari_invisp.inspection.rate import Line, RateCurves, RatePoint
from napari_invisp.inspection.report import ReportData, report_format, write_report
from napari_invisp.inspection.report.contents import CROP_SIDE, Contents, reduced, worst_part
from napari_invisp.metrics import compare_raw
from napari_invisp.sensor.record import RawRecord

FIGURES = {"jpeg_bytes": 1234567, "bpp": 1.234, "compression_ratio": 9.87, "rgb_psnr": 51.236}


@pytest.fixture
def original() -> RawRecord:
    return make_smooth_record((400, 560), "GRBG").replace(orientation=6)


@pytest.fixture
def data(original: RawRecord) -> ReportData:
    """A recovery that is off by 3 DN, and by 61 DN in one corner."""
    mosaic = original.mosaic + np.uint16(3)
    mosaic[350:, 500:] += 58
    curves = RateCurves()
    for quality, bpp, psnr in ((75, 0.7, 45.0), (90, 1.2, 48.0)):
        curves.add(RatePoint(Line("universal", 0.5, "4:2:2"), quality, bpp, psnr, 40.0))
    return ReportData(
        original,
        original.replace(mosaic=mosaic),
        "<photo> & co.dng",
        "photo.jpg",
        picture=np.full((400, 560, 3), (200, 100, 50), np.uint8),
        provenance=Provenance("recovered", model="universal", headroom=0.5, quality=90),
        figures=FIGURES,
        curves=curves,
    )


class Page(HTMLParser):
    """What stands on a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.images: list[tuple[str, str]] = []
        self.text = ""
        self._style = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._style = tag == "style"
        known: dict[str, Any] = dict(attrs)
        if tag == "img":
            self.images.append((known["alt"], known["src"]))

    def handle_data(self, data: str) -> None:
        self.text += "" if self._style else data


def pixels(source: str) -> np.ndarray:
    kind, _, content = source.partition(";base64,")
    assert kind in ("data:image/jpeg", "data:image/png")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content))))


def test_the_page_needs_no_other_file(data: ReportData, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    write_report(path, data)
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    assert "script" not in page.tags
    assert "link" not in page.tags
    assert not re.search(r"(?:src|href)=\"(?!data:)", text)
    assert "<photo> & co.dng: recovered RAW against the original" in page.text
    names = [name for name, _ in page.images]
    assert names[:4] == ["original RAW", "decoded JPEG", "recovered RAW", "RAW error"]
    assert len(names) == 4 + 1 + 3 + 3  # pictures, scale, crops, plots
    assert "What more bytes keep" in names
    for _, source in page.images:
        if source.startswith("data:image/svg+xml"):
            root = ElementTree.fromstring(base64.b64decode(source.partition(",")[2]))
            assert root.tag.endswith("svg")
    for _, source in page.images[:4]:
        assert pixels(source).shape == (560, 400, 3)  # upright
    decoded = pixels(page.images[1][1])
    np.testing.assert_allclose(decoded.mean(axis=(0, 1)), (200, 100, 50), atol=2)


def test_figures_are_those_of_the_command_line(
    data: ReportData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from napari_invisp.cli.comparing import compared
    from napari_invisp.cli.report import print_compare, print_render

    fidelity = compare_raw(data.original, data.recovered)
    names = {"raw": "a", "recovered": "b"}
    print_compare(names | compared(data.original, data.recovered, fidelity))
    of_jpeg = dict.fromkeys(("camera", "width", "height", "headroom", "quality", "seconds"), 1)
    facts: dict[str, Any] = of_jpeg | {"input": "", "output": "", "model": "", "device": ""}
    print_render(facts | {"subsampling": "", "rgb_ssim": 0.98765, "rgb_psnr_jpeg": 40.0} | FIGURES)
    printed = capsys.readouterr().out
    figures = dict(Contents.of(data).figures)
    assert len(figures) == 5 + len(FIGURES)
    for text in figures.values():
        assert text in printed
    assert figures["RAW PSNR, linear"] == f"{fidelity.raw_psnr_linear:.2f} dB"
    assert figures["JPEG file"] == "1.23 MB"


def test_the_crop_shows_where_it_is_worst(data: ReportData) -> None:
    contents = Contents.of(data)
    assert [crop.title for crop in contents.crops] == ["original RAW", "recovered RAW", "RAW error"]
    # The last rows and columns, upright: the last rows are at the left.
    assert contents.place == "rows 144 to 399, columns 304 to 559 of the sensor"
    error = contents.crops[2].pixels
    assert error.shape == (CROP_SIDE, CROP_SIDE, 3)
    low, high = contents.look.limits
    assert (low, high) == (0, 0.02 * (3900 - 60))
    colours = matplotlib.colormaps["inferno"](np.array([3, 61]) / high, bytes=True)[:, :3]
    assert error[0, -1].tolist() == colours[0].tolist()
    assert error[-1, 0].tolist() == colours[1].tolist()
    original, recovered = (crop.pixels.astype(int) for crop in contents.crops[:2])
    assert np.abs(recovered - original)[-40:, :40].mean() > 2
    assert np.abs(recovered - original)[:100, 100:].mean() < 2


def test_small_frames_are_shown_whole() -> None:
    small = make_smooth_record((10, 600))
    contents = Contents.of(ReportData(small, small, "a.dng", "b.dng"))
    assert contents.crops[0].pixels.shape == (10, CROP_SIDE, 3)
    assert [picture.title for picture in contents.pictures] == [
        "original RAW",
        "recovered RAW",
        "RAW error",
    ]
    assert dict(contents.figures)["RAW PSNR, linear"] == "infinite"


@pytest.mark.parametrize("place", [(0, 0), (16, 48), (128, 64)])
def test_the_worst_part_is_found(place: tuple[int, int]) -> None:
    error = np.zeros((250, 200), np.uint16)
    top, left = place
    error[top : top + 96, left : left + 96] = 5
    assert worst_part(error, 96) == (slice(top, top + 96), slice(left, left + 96))


def test_pictures_are_reduced_by_means() -> None:
    picture = np.arange(7 * 9).reshape(7, 9)
    expected = [
        [picture[3 * y : 3 * y + 3, 3 * x : 3 * x + 3].mean() for x in range(3)] for y in (0, 1)
    ]
    np.testing.assert_allclose(reduced(picture, 3), expected)


def test_large_frames_are_reduced() -> None:
    wide = make_smooth_record((64, 1900))
    contents = Contents.of(ReportData(wide, wide, "a.dng", "b.dng"))
    assert contents.pictures[0].pixels.shape == (21, 633, 3)


def test_header_says_what_is_known(data: ReportData) -> None:
    facts = dict(Contents.of(data).facts)
    assert facts["Camera"] == "Maker Model One"
    assert facts["Taken"] == "2021:06:05 04:03:02, 1/320 s, f/5.6, ISO 400, 35 mm"
    assert facts["Made with"] == "model universal, headroom 0.5, JPEG quality 90"
    assert "560 × 400 pixels, GRBG, 12 bit, black 60/62/64/66, white 3900 DN" in facts["Sensor"]


def test_a_pdf_is_one_page_of_a4(data: ReportData, tmp_path: Path) -> None:
    path = tmp_path / "report.PDF"
    write_report(path, data)
    content = path.read_bytes()
    assert content.startswith(b"%PDF-")
    assert re.findall(rb"/Type /Pages /Kids \[[^\]]*\] /Count (\d+)", content) == [b"1"]
    box = re.search(rb"/MediaBox \[ 0 0 ([\d.]+) ([\d.]+) \]", content)
    assert box is not None
    assert [float(side) for side in box.groups()] == pytest.approx([595, 842], abs=1)
    assert content.count(b"/Subtype /Image") >= 7


def test_what_cannot_be_written_is_explained(data: ReportData, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"report\.txt does not say what kind of report"):
        report_format(tmp_path / "report.txt")
    other = ReportData(data.original, make_smooth_record((40, 60), "GRBG"), "a", "b")
    with pytest.raises(RawFileError, match="differ in size"):
        write_report(tmp_path / "report.html", other)
    assert list(tmp_path.iterdir()) == []
