"""The whole way: RAW → network input → sRGB → JPEG with capsule → network inverse → RAW."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from napari_invisp.archive import correction, exact
from napari_invisp.conversion import as_seen_by
from napari_invisp.development import Demosaiced, recovered
from napari_invisp.devices import choose_device
from napari_invisp.errors import ArchiveError, CapsuleError, CheckpointError, RawFileError
from napari_invisp.flow.base import InvertibleISP
from napari_invisp.flow.checkpoints import weights_hash
from napari_invisp.flow.coded import Coded
from napari_invisp.jpeg.capsule import Capsule, check_coding, embed, from_jpeg
from napari_invisp.jpeg.codec import (
    JpegImage,
    decode_components,
    decode_jpeg,
    encode_jpeg,
    srgb_profile,
)
from napari_invisp.jpeg.exact import windows_of
from napari_invisp.jpeg.exif import build_exif
from napari_invisp.jpeg.tables import nearest_quality
from napari_invisp.sensor.original import Original
from napari_invisp.sensor.record import RawRecord
from napari_invisp.settings import ArchiveSettings, ComputeSettings, RenderSettings
from napari_invisp.tiling import CancelCheck, Focus, Progress, Tile, Watcher, tiles
from napari_invisp.trial import attempt
from napari_invisp.zoo import MODELS, load_model

#: Called with the stage, a tile and its pixels as soon as they are there, from any thread.
Arrived = Callable[[str, Tile, NDArray[Any]], None]

#: What a capsule calls the tags of the original file.
ORIGINAL_SECTION = "original"

#: Stages of :meth:`Pipeline.render` and :meth:`Pipeline.recover` that work in tiles.
RENDERING, RECOVERING = "rendering", "recovering"

# That a network works on at a time, if there are as many cores.
_NETWORK_TILES = 4


@dataclass(frozen=True, eq=False)
class Rendering:
    """A rendered frame, before JPEG.

    Attributes
    ----------
    rgb
        ``(H, W, 3)`` uint8 gamma-encoded sRGB, in the sensor's orientation.
    record
        What it was rendered from.
    model
        As it stands for this file, ready to be inverted.
    settings
        How it was asked for.
    device
        Where it ran: ``cpu``, ``cuda`` or ``mps``.
    """

    rgb: NDArray[np.uint8]
    record: RawRecord
    model: InvertibleISP
    settings: RenderSettings
    device: str


@dataclass(frozen=True, eq=False)
class Unpacked:
    """What a JPEG holds of its RAW, before it is recovered.

    Attributes
    ----------
    data
        The whole file.
    record
        The RAW's metadata, with an empty mosaic.
    jpeg
        The decoded JPEG.
    model
        The name of the model that it was rendered with.
    network
        That model as it stands for this file; ``None`` where an exact archive needs none.
    render
        How the JPEG was rendered, as far as its capsule says: quality, subsampling, headroom.
    warnings
        Sentences that the user should read, such as that the JPEG was saved again.
    sections
        What its capsule holds beside the facts, and can be used.
    """

    data: bytes
    record: RawRecord
    jpeg: JpegImage
    model: str
    network: InvertibleISP | None
    render: dict[str, Any]
    warnings: list[str] = field(default_factory=list)
    sections: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Recovery:
    """A RAW that was recovered from a JPEG.

    Attributes
    ----------
    record
        The recovered RAW with the original's metadata.
    jpeg
        The decoded JPEG that it was recovered from.
    model
        The name of the model.
    network
        The model as it stands for this file; ``None`` where an exact archive needed none.
    render
        How the JPEG was rendered, as far as its capsule says: quality, subsampling, headroom.
    device
        Where it ran.
    warnings
        Sentences that the user should read, such as that the JPEG was saved again.
    exact
        Whether each sample is the original's, from an exact archive.
    side_info
        Bytes of side information that were applied.
    original
        Tags of the original file, where the JPEG is an exact archive.
    """

    record: RawRecord
    jpeg: JpegImage
    model: str
    network: InvertibleISP | None
    render: dict[str, Any]
    device: str
    warnings: list[str] = field(default_factory=list)
    exact: bool = False
    side_info: int = 0
    original: Original | None = None


class Pipeline:
    """Renders RAW records with one model, writes them as JPEG, and recovers them.

    Parameters
    ----------
    settings
        Model, device, tiles, JPEG. For :meth:`recover` alone the JPEG itself names its model.
    progress
        Called with the stage's name, steps done, and steps in all.
    cancelled
        Called between tiles; when it returns true, the run ends with
        :class:`~napari_invisp.errors.Cancelled` and nothing is left behind.
    notify
        Called with sentences that the user should read.
    focus
        Tells before each tile what the user looks at, which is worked on first.
    arrived
        Called with each tile of sRGB, and of the recovered mosaic, as soon as it is there.
    largest_tile
        Side of the largest tile that a model may choose, where somebody waits for each.

    Raises
    ------
    SettingsError, CheckpointError
        From every method: a parameter is out of its range, or weights cannot be used.
    Cancelled
        From every method: the caller asked to stop.
    """

    def __init__(
        self,
        settings: RenderSettings | None = None,
        *,
        progress: Progress | None = None,
        cancelled: CancelCheck | None = None,
        notify: Callable[[str], None] | None = None,
        focus: Focus | None = None,
        arrived: Arrived | None = None,
        largest_tile: int | None = None,
    ) -> None:
        self.settings = settings if settings is not None else RenderSettings()
        self._watcher = Watcher(progress, cancelled, focus)
        self._notify = notify or (lambda sentence: None)
        self._arrived = arrived or (lambda stage, tile, pixels: None)
        self._largest_tile = largest_tile
        self._loaded: dict[str, InvertibleISP] = {}

    # -- RAW → sRGB ---------------------------------------------------------------------------

    def demosaic(self, record: RawRecord) -> Demosaiced:
        """Demosaic a RAW record for the model of the settings."""
        self._watcher.step("demosaicing", 0, 1)
        profile = self.load().profile
        demosaiced = Demosaiced.of(record, profile, partial(self._watcher.step, "demosaicing"))
        self._watcher.step("demosaicing", 1, 1)
        return demosaiced

    def render(self, record: RawRecord, demosaiced: Demosaiced | None = None) -> Rendering:
        """Render a RAW record.

        Parameters
        ----------
        record
            Any Bayer record, any size.
        demosaiced
            The same from :meth:`demosaic`, if that was done before for a model of this profile.

        Returns
        -------
        Rendering
            The picture, and what is needed to take it back.
        """
        source = self.demosaic(record) if demosaiced is None else demosaiced
        device = self.device()
        model = source.conditioned(self.load(), self.settings.headroom, device)
        rgb = np.empty(source.counts.shape, np.uint8)

        def render_tile(tile: Tile) -> None:
            pixels = rgb[tile.rows, tile.columns] = source.rendered(model, tile, device)
            self._arrived(RENDERING, tile, pixels)

        self._through(RENDERING, record, model, model.halo, device, self.settings, render_tile)
        return Rendering(rgb, record, model, self.settings, device.type)

    # -- sRGB → JPEG --------------------------------------------------------------------------

    def encode(
        self,
        rendering: Rendering,
        quality: int | None = None,
        subsampling: str | None = None,
        archive: ArchiveSettings | None = None,
        original: Original | None = None,
    ) -> bytes:
        """Write a rendering as a JPEG that its RAW can be recovered from.

        Parameters
        ----------
        rendering
            From :meth:`render`.
        quality, subsampling
            Other than those of the settings.
        archive
            What the JPEG carries besides; nothing by default.
        original
            Tags of the RAW's file, for an exact archive.

        Returns
        -------
        bytes
            An ordinary JPEG file: upright by its EXIF, with an sRGB profile and a capsule.

        Raises
        ------
        ArchiveError
            An exact archive was asked for, and the RAW did not come back from it.
        """
        record, settings = rendering.record, rendering.settings
        quality = settings.quality if quality is None else quality
        subsampling = settings.subsampling if subsampling is None else subsampling
        self._watcher.step("encoding", 0, 1)
        software = f"napari-invisp {version('napari-invisp')}"
        exif = build_exif(
            orientation=record.orientation,
            make=record.make or None,
            model=record.model or None,
            software=software,
            **{f.name: getattr(record.capture, f.name) for f in fields(record.capture)},
        )
        plain = encode_jpeg(rendering.rgb, quality, subsampling, exif=exif, icc=srgb_profile())
        model = self.tried(rendering, quality, subsampling)
        header: dict[str, Any] = {
            "software": software,
            "model": describe_model(model),
            "raw": record.facts() | {"height": record.height, "width": record.width},
            "render": {
                "quality": quality,
                "subsampling": subsampling,
                "headroom": settings.headroom,
                "gain": float(1 / record.balance.min()),
            },
        }
        self._watcher.step("encoding", 1, 1)
        archive = archive or ArchiveSettings()
        if archive.exact:
            return self._exact(plain, header, record, original)
        if archive.side_info:
            section = self._side_info(plain, record, model, rendering, archive.side_info)
            return embed(plain, Capsule(header, {correction.SECTION: section} if section else {}))
        return embed(plain, Capsule(header))

    def _exact(
        self, plain: bytes, header: dict[str, Any], record: RawRecord, original: Original | None
    ) -> bytes:
        """Add an exact archive to a JPEG, and see that the RAW comes back from it."""
        self._watcher.step("archiving", 0, 2)
        sections = {exact.SECTION: exact.pack(record, decode_jpeg(plain).rgb)}
        if original is not None:
            sections[ORIGINAL_SECTION] = exact.pack_original(original)
        data = embed(plain, Capsule(header, sections))
        self._watcher.step("archiving", 1, 2)
        kept = from_jpeg(data).sections
        mosaic = exact.unpack(kept[exact.SECTION], decode_jpeg(data).rgb)
        came_back = np.array_equal(mosaic, record.mosaic)
        if original is not None:
            came_back &= exact.unpack_original(kept[ORIGINAL_SECTION]) == original
        if not came_back:
            raise ArchiveError("the RAW did not come back from its archive; nothing was written")
        self._watcher.step("archiving", 2, 2)
        return data

    def _side_info(
        self,
        plain: bytes,
        record: RawRecord,
        model: InvertibleISP,
        rendering: Rendering,
        size: int,
    ) -> bytes:
        """Make side information: recover the RAW as a reader will, and see what is missing."""
        jpeg = decode_jpeg(plain)
        components = decode_components(plain)
        assert components is not None  # what is written here is YCbCr
        recovered = self._recovered(
            plain, record, jpeg, model, rendering.settings, lambda *args: None
        )
        self._watcher.step("making side information", 0, 1)
        section = correction.pack(
            record, record.replace(mosaic=recovered), components[..., 0], size
        )
        self._watcher.step("making side information", 1, 1)
        return section

    def tried(self, rendering: Rendering, quality: int, subsampling: str) -> InvertibleISP:
        """Return the model of a rendering as it stands for one JPEG of it."""
        profile = rendering.model.profile
        trial = partial(
            attempt,
            rendering.rgb,
            as_seen_by(rendering.record, profile),
            profile,
            Coded(quality, subsampling),
            torch.device(rendering.device),
        )
        with torch.inference_mode():
            return rendering.model.tried(trial)

    # -- JPEG → RAW ---------------------------------------------------------------------------

    def recover(
        self,
        data: bytes,
        name: str = "the JPEG",
        model: str | None = None,
        settings: ComputeSettings | None = None,
    ) -> Recovery:
        """Recover the RAW from a JPEG that :meth:`encode` wrote.

        Parameters
        ----------
        data
            The whole file.
        name
            What messages call it.
        model
            Where to find the weights, if they are not those of a named model.
        settings
            Device and tiles; by default those of the pipeline.

        Returns
        -------
        Recovery
            The RAW record, and what was noticed on the way.

        Raises
        ------
        CapsuleError
            It is not a JPEG, or carries no capsule that can be used.
        """
        return self.recover_unpacked(self.unpack(data, name, model), settings)

    def unpack(self, data: bytes, name: str = "the JPEG", model: str | None = None) -> Unpacked:
        """Decode a JPEG and its capsule; the first half of :meth:`recover`, with its parameters."""
        self._watcher.step("decoding", 0, 1)
        capsule = from_jpeg(data, name)
        resaved = check_coding(capsule, data, name)
        jpeg = decode_jpeg(data, name)
        warnings = [str(resaved)] if resaved is not None else []
        sections = capsule.sections if resaved is None else {}
        if len(sections) < len(capsule.sections):
            warnings.append("what it carried to bring back more of the RAW fits no longer")
        header: Mapping[str, Any] = capsule.header
        try:
            rendered_by = str(header["model"]["name"])
            archived = exact.SECTION in sections
            network = None if archived else self._model_of(header["model"], name, model)
            facts = dict(header["raw"])
            height, width = int(facts.pop("height")), int(facts.pop("width"))
            if (height, width) != jpeg.rgb.shape[:2]:
                raise CapsuleError(f"{name}: its capsule belongs to a picture of another size")
            record = RawRecord.from_facts(facts, np.zeros((height, width), np.uint16))
            render = dict(header.get("render") or {})
        except (KeyError, TypeError, ValueError, OverflowError, RawFileError) as error:
            raise CapsuleError(f"{name}: its capsule is damaged ({error})") from error
        for sentence in warnings:
            self._notify(sentence)
        self._watcher.step("decoding", 1, 1)
        return Unpacked(data, record, jpeg, rendered_by, network, render, warnings, sections)

    def recover_unpacked(
        self, unpacked: Unpacked, settings: ComputeSettings | None = None
    ) -> Recovery:
        """Recover the RAW: the second half of :meth:`recover`."""
        settings = settings or self.settings
        record, jpeg, sections = unpacked.record, unpacked.jpeg, unpacked.sections
        network = unpacked.network
        side_info = b"" if network is None else sections.get(correction.SECTION, b"")
        original = None
        if network is None:
            self._watcher.step("unpacking the archive", 0, 1)
            mosaic = exact.unpack(sections[exact.SECTION], jpeg.rgb)
            if ORIGINAL_SECTION in sections:
                original = exact.unpack_original(sections[ORIGINAL_SECTION])
            self._watcher.step("unpacking the archive", 1, 1)
        else:
            mosaic = self._recovered(unpacked.data, record, jpeg, network, settings, self._arrived)
        if side_info:
            self._watcher.step("applying side information", 0, 1)
            components = decode_components(unpacked.data)
            luma = jpeg.rgb[..., 1] if components is None else components[..., 0]
            mosaic = correction.corrected(side_info, record.replace(mosaic=mosaic), luma)
            self._watcher.step("applying side information", 1, 1)
        if network is None or side_info:
            frame = slice(0, record.height), slice(0, record.width)
            self._arrived(RECOVERING, Tile(*frame, *frame), mosaic)
        return Recovery(
            record=record.replace(mosaic=mosaic),
            jpeg=jpeg,
            model=unpacked.model,
            network=network,
            render=unpacked.render,
            device=self.device(settings).type,
            warnings=unpacked.warnings,
            exact=network is None,
            side_info=len(side_info),
            original=original,
        )

    def _recovered(
        self,
        data: bytes,
        record: RawRecord,
        jpeg: JpegImage,
        network: InvertibleISP,
        settings: ComputeSettings,
        arrived: Arrived,
    ) -> NDArray[np.uint16]:
        """Run the network backwards."""
        device = self.device(settings)
        network = network.to(device)
        seen = as_seen_by(record, network.profile)
        mosaic = np.empty(record.mosaic.shape, np.uint16)
        coded = _coded(jpeg)
        decoded = windows_of(data, jpeg)

        def recover_tile(tile: Tile) -> None:
            window = decoded(tile.outer_rows, tile.outer_columns, device)
            pixels = recovered(network, window, coded, tile, seen)
            mosaic[tile.rows, tile.columns] = pixels
            arrived(RECOVERING, tile, pixels)

        self._through(
            RECOVERING, record, network, network.recovery_halo, device, settings, recover_tile
        )
        return mosaic

    # -- parts --------------------------------------------------------------------------------

    def load(self) -> InvertibleISP:
        """Return the model of the settings as it was trained, for any file."""
        return self._model(self.settings.model)

    def _model(self, name: str) -> InvertibleISP:
        if name not in self._loaded:
            self._loaded[name] = load_model(name).eval()
        return self._loaded[name]

    def _model_of(self, wanted: Mapping[str, Any], name: str, given: str | None) -> InvertibleISP:
        """Find the model that a JPEG was rendered with."""
        asked = given or str(wanted["name"])
        if given is None and wanted["checkpoint"] is not None:
            asked = str(wanted["checkpoint"])
            raise CheckpointError(
                f"{name} was rendered with the weights of {asked} ({wanted['weights']}): "
                "give the path of that file as the model (--model PATH)"
            )
        if given is None and asked not in MODELS:
            raise CheckpointError(
                f"{name} was rendered with the model {asked!r}, which this version does not know"
            )
        network = self._model(asked)
        if network.name != wanted["name"] or identity(network) != wanted["weights"]:
            raise CheckpointError(
                f"{name} was rendered with other weights ({wanted['name']} {wanted['weights']}) "
                f"than those of {asked} ({network.name} {identity(network)})"
            )
        try:
            return network.remembering(wanted["memo"])
        except CheckpointError as error:
            raise CapsuleError(f"{name}: its capsule is damaged ({error})") from error

    def device(self, settings: ComputeSettings | None = None) -> torch.device:
        """Return where models run."""
        device, note = choose_device((settings or self.settings).device)
        if note is not None:
            self._notify(note)
        return device

    def _through(
        self,
        stage: str,
        record: RawRecord,
        model: InvertibleISP,
        halo: int,
        device: torch.device,
        settings: ComputeSettings,
        work: Callable[[Tile], None],
    ) -> None:
        """Work through a frame in tiles."""
        side = settings.tile or min(model.tile, self._largest_tile or model.tile)
        pieces = tiles(record.height, record.width, side, halo, model.grid)
        # Whole tiles at once use the cores better than each operation spread over them. Networks
        # take much memory for a tile.
        threads = torch.get_num_threads()
        most = threads if halo == 0 else _NETWORK_TILES
        workers = min(threads, most) if device.type == "cpu" else 1
        self._watcher.through(stage, pieces, torch.inference_mode()(work), workers)


def identity(model: InvertibleISP) -> str | None:
    """Hash of a model's weights, or none if it has no weights."""
    return weights_hash(model) if model.state_dict() else None


def asks_for_checkpoint(capsule: Capsule) -> bool:
    """Tell whether a JPEG was rendered with weights of the user's own, which have to be given.

    An exact archive does without them, but only as long as nobody saves it again.
    """
    model: Any = capsule.header.get("model")
    return isinstance(model, dict) and model.get("checkpoint") is not None


def describe_model(model: InvertibleISP) -> dict[str, Any]:
    """Return what a capsule says about the model."""
    return {
        "name": model.name,
        "weights": identity(model),
        "checkpoint": model.checkpoint,
        "profile": model.profile.to_dict(),
        "memo": model.memo(),
    }


def _coded(jpeg: JpegImage) -> Coded:
    """Return what a model may know of a JPEG; other encoders' tables are told by their average."""
    quality = jpeg.quality or nearest_quality(jpeg.tables[0])
    return Coded(quality, jpeg.subsampling or "4:2:0")
