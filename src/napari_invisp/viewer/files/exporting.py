"""Commands that write what is looked at to files, beside the window."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from napari import Viewer
from napari.layers import Layer
from napari.utils import progress
from napari.utils.notifications import show_error, show_info
from qtpy.QtWidgets import QFileDialog

from napari_invisp.errors import OutputError
from napari_invisp.files import write_bytes_atomic
from napari_invisp.inspection.regions import Region
from napari_invisp.inspection.report import ReportData, write_report
from napari_invisp.inspection.statistics import as_csv, survey
from napari_invisp.sensor.record import RawRecord
from napari_invisp.viewer.failures import report_failure
from napari_invisp.viewer.files.writers import (
    MAPS,
    SRGB,
    unfinished,
    write_dng_layer,
    write_exr_layer,
    write_float_tiff_layer,
    write_jpeg_layer,
    write_map_layer,
    write_tiff_layer,
)
from napari_invisp.viewer.layers import (
    CURVES,
    KIND,
    LOOKS,
    METADATA_KEY,
    MOSAICS,
    PARTIAL,
    PROVENANCE,
    RAW_PICTURES,
    RECORD,
    RENDERING,
    SOURCE,
    Kind,
    facts_of,
)
from napari_invisp.viewer.layers.family import Family, family_of
from napari_invisp.viewer.layers.provenance import provenance_of
from napari_invisp.viewer.proxy import unproxied
from napari_invisp.viewer.work.worker import Runner

Writer = Callable[[str, Any, dict[str, Any]], list[str]]
Write = Callable[[Path], object]


@dataclass(frozen=True)
class Format:
    """A kind of file that layers can be exported to.

    Attributes
    ----------
    name
        What people choose.
    suffix
        Of the file.
    kinds
        Of the layers that it is for.
    write
        What writes it.
    """

    name: str
    suffix: str
    kinds: Collection[Kind]
    write: Writer

    @property
    def filter(self) -> str:
        """What a file dialog calls it."""
        return f"{self.name} (*{self.suffix})"


_RAW = (*MOSAICS, *RAW_PICTURES)
_ALL = (*_RAW, *SRGB, *MAPS, Kind.MERGED)

DNG = Format("DNG, the RAW", ".dng", _RAW, write_dng_layer)
JPEG = Format("JPEG that holds its RAW", ".jpg", (Kind.RENDERED,), write_jpeg_layer)
#: What a layer can be exported to; what suits most people comes first.
FORMATS = (
    DNG,
    JPEG,
    Format("PNG with colour bar", ".png", MAPS, write_map_layer),
    Format("16-bit TIFF", ".tif", (*_RAW, *SRGB), write_tiff_layer),
    Format("float32 TIFF, linear", ".tif", _ALL, write_float_tiff_layer),
    Format("OpenEXR, linear", ".exr", _ALL, write_exr_layer),
)

_REPORTS = {"HTML report (*.html)": ".html", "PDF report (*.pdf)": ".pdf"}
_TABLES = {"Table (*.csv)": ".csv"}


def formats_of(layer: Layer) -> list[Format]:
    """Return the formats that a layer can be exported to; none if it is not ours."""
    facts = facts_of(layer)
    if RECORD not in facts:
        return []
    return [
        each
        for each in FORMATS
        if facts.get(KIND) in each.kinds
        and (each.write is not write_jpeg_layer or RENDERING in facts)
    ]


def export_layer(viewer: Viewer) -> None:
    """Ask for a file and a format, and write the selected layer to it."""
    viewer = unproxied(viewer)
    layer = viewer.layers.selection.active
    formats = formats_of(layer) if layer is not None else []
    if layer is None or not formats:
        show_error("select a layer that napari-invisp made, to export it")
    elif facts_of(layer).get(PARTIAL):
        show_error(unfinished(layer.name, facts_of(layer)))
    else:
        ask_and_export(viewer, layer, layer.name, formats)


def ask_and_export(viewer: Viewer, layer: Layer, name: str, formats: Sequence[Format]) -> None:
    """Ask for a file of one of some formats, proposing a name, and write a layer to it."""
    filters = {each.filter: each.suffix for each in formats}
    path, chosen = ask("Save", viewer, layer, name, filters)
    if path is not None:
        export(viewer, layer, path, formats[[*filters].index(chosen)])


def ask(
    title: str, viewer: Viewer, layer: Layer, name: str, filters: Mapping[str, str]
) -> tuple[Path | None, str]:
    """Ask for a file, and which of some filters it is to be; the first suffix is proposed."""
    first, suffix = next(iter(filters.items()))
    source = _source(viewer, layer)
    proposal = (Path(source).parent if source else Path.cwd()) / f"{name}{suffix}"
    chosen, kind = QFileDialog.getSaveFileName(
        None, title, str(proposal), ";;".join(filters), first
    )
    kind = kind or first
    if not chosen:
        return None, kind
    path, wanted = Path(chosen), filters[kind]
    if path.suffix.lower() == wanted:
        return path, kind
    known = path.suffix.lower() in filters.values()
    return (path.with_suffix(wanted) if known else path.with_name(path.name + wanted)), kind


def export(viewer: Viewer, layer: Layer, path: Path, chosen: Format) -> Runner:
    """Write a layer to a file as it is now, beside the window; see :func:`run`."""
    data, arguments, _ = layer.as_layer_data_tuple()
    facts = facts_of(layer)
    # Runs paint into the pixels of later results.
    pixels = np.array(data[0] if layer.multiscale else data)
    copied = _copied(facts[RECORD]) if facts[KIND] in RAW_PICTURES else facts[RECORD]
    provenance = provenance_of(facts, map(facts_of, viewer.layers))
    facts = {**facts, RECORD: copied, PROVENANCE: provenance}
    arguments |= {"multiscale": False, "metadata": {METADATA_KEY: facts}}
    return run(path, lambda target: chosen.write(str(target), pixels, arguments))


def export_statistics(viewer: Viewer) -> None:
    """Ask for a file and write the statistics of a RAW, and of what was recovered of it, as CSV."""
    viewer = unproxied(viewer)
    family = _family(viewer)
    if family is None:
        show_error("select a layer of a RAW first, to export its statistics")
        return
    if _refused(family):
        return
    name = f"{_name(family)} statistics"
    path, _ = ask("Export statistics", viewer, family.members[0], name, _TABLES)
    if path is not None:
        original, recovered = (
            each and _copied(each) for each in (family.original, family.recovered)
        )
        run(path, partial(_write_statistics, original, recovered))


def export_report(viewer: Viewer) -> None:
    """Ask for a file and write a report on a RAW and what was recovered of it."""
    viewer = unproxied(viewer)
    family = _family(viewer)
    if family is None or family.original is None or family.recovered is None:
        show_error(
            "select a RAW that was rendered and recovered first, to write a report about that"
        )
        return
    if _refused(family):
        return
    path, _ = ask("Report", viewer, family.members[0], f"{_name(family)} report", _REPORTS)
    if path is not None:
        data = _report_data(viewer, family, family.original, family.recovered)
        run(path, lambda target: write_report(target, data))


def run(path: Path, write: Write) -> Runner:
    """Write a file in a thread, with a bar in napari's activity dock, and tell how that ended.

    Parameters
    ----------
    path
        The file to write or replace.
    write
        What does that; free of Qt.

    Returns
    -------
    Runner
        Lives until the file is written.
    """

    def work(_: object) -> Iterator[Path]:
        write(path)
        yield path

    runner = Runner(alone=False)
    bar = progress(total=0, desc=f"Saving {path.name}")
    runner.produced.connect(lambda _: show_info(f"saved {path}"))
    runner.failed.connect(report_failure)
    for ending in (runner.finished, runner.failed):
        ending.connect(lambda *_: bar.close())
    runner.start(work)
    return runner


def _source(viewer: Viewer, layer: Layer) -> str | None:
    """Return the path of the file that a layer began with."""
    family = family_of(viewer.layers, layer)
    for each in (layer, *(family.sources.values() if family is not None else ())):
        path: str | None = facts_of(each).get(SOURCE) or each.source.path
        if path:
            return path
    return None


def _family(viewer: Viewer) -> Family | None:
    return family_of(viewer.layers, viewer.layers.selection.active)


def _name(family: Family) -> str:
    source = next((facts_of(each).get(SOURCE) for each in family.sources.values()), None)
    return Path(source).stem if source else family.members[0].name


def _refused(family: Family) -> bool:
    """Tell the user if a layer of the family is not finished."""
    for layer in family.members:
        facts = facts_of(layer)
        if facts.get(PARTIAL) and facts[KIND] not in LOOKS:
            show_error(unfinished(layer.name, facts))
            return True
    return False


def _copied(record: RawRecord) -> RawRecord:
    return record.replace(mosaic=record.mosaic.copy())


def _write_statistics(original: RawRecord | None, recovered: RawRecord | None, path: Path) -> None:
    judge = original or recovered
    if judge is None:
        raise OutputError(f"{path} would be empty: there is no RAW to count")
    counted = survey(original, recovered, Region.frame(judge.mosaic.shape))
    write_bytes_atomic(path, as_csv(counted.statistics).encode())


def _report_data(
    viewer: Viewer, family: Family, original: RawRecord, recovered: RawRecord
) -> ReportData:
    layer = family.recovered_layer
    assert layer is not None
    provenance = provenance_of(facts_of(layer), map(facts_of, viewer.layers))
    shown = next((kind for kind in (Kind.RENDERED, Kind.DECODED) if kind in family.results), None)
    picture = family.picture(shown) if shown is not None else None
    name = provenance.source or _name(family)
    curves = next(
        (facts[CURVES] for each in family.sources.values() if CURVES in (facts := facts_of(each))),
        None,
    )
    return ReportData(
        original,
        _copied(recovered),
        original_name=name,
        recovered_name=layer.name,
        picture=None if picture is None else picture.copy(),
        picture_name=shown or "",
        provenance=provenance,
        figures=provenance.figures,
        **({} if curves is None else {"curves": curves}),
    )
