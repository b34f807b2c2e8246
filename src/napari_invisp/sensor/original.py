"""The tags of an original RAW file, kept as they are: everything but its images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from napari_invisp.sensor.tiff import (
    Entry,
    byte_order,
    first_directory,
    read_directory,
    write_directory,
)

_EXIF, _GPS, _INTEROPERABILITY, _SUB_IFDS = 34665, 34853, 40965, 330
_LONG = 4
_PHOTOMETRIC, _CFA = 262, 32803

# How and where images are stored, which a file written anew says for itself.
_STRUCTURE = frozenset(
    {
        *range(254, 260),  # kind, size, bits, compression
        262,  # PhotometricInterpretation
        266,  # FillOrder
        273,  # strips
        274,  # Orientation
        *range(277, 280),
        284,  # PlanarConfiguration
        *range(322, 326),  # tiles
        _SUB_IFDS,
        347,  # JPEGTables
        *range(512, 522),  # JPEG previews
        *range(529, 533),  # YCbCr
        33421,  # the CFA
        33422,
        _EXIF,
        _GPS,
        *(50706, 50707),  # DNG versions
        *range(50710, 50718),  # CFA layout, LinearizationTable, black and white levels
        50752,  # of CR2: where slices of the image are
        *(50829, 50830),  # ActiveArea, MaskedAreas: what is written is the active area
        51008,  # OpcodeList1, for samples as they were stored
        *(50740, 50741),  # DNGPrivateData, which points into the file, and whether that is safe
    }
)


@dataclass(frozen=True)
class Original:
    """What a RAW file says beside its images.

    Attributes
    ----------
    image
        About the picture: camera, author, colour, whatever the maker put there.
    exif
        How it was taken, maker notes included.
    gps, interoperability
        What their names say.
    """

    image: tuple[Entry, ...] = ()
    exif: tuple[Entry, ...] = ()
    gps: tuple[Entry, ...] = ()
    interoperability: tuple[Entry, ...] = ()

    @classmethod
    def of(cls, data: bytes) -> Self:
        """Read the tags of a whole file; nothing if it is not built like a TIFF."""
        if not byte_order(data):
            return cls()
        image, _ = read_directory(data, first_directory(data))
        tags = {entry.tag: entry for entry in image}
        exif, _ = read_directory(data, _target(tags.get(_EXIF)))
        pointer = {entry.tag: entry for entry in exif}.get(_INTEROPERABILITY)
        for offset in tags[_SUB_IFDS].integers() if _SUB_IFDS in tags else ():
            sub = {entry.tag: entry for entry in read_directory(data, offset)[0]}
            if _PHOTOMETRIC in sub and sub[_PHOTOMETRIC].integers() == (_CFA,):
                tags = sub | tags
        return cls(
            tuple(sorted(entry for tag, entry in tags.items() if tag not in _STRUCTURE)),
            tuple(sorted(entry for entry in exif if entry.tag != _INTEROPERABILITY)),
            tuple(sorted(read_directory(data, _target(tags.get(_GPS)))[0])),
            tuple(sorted(read_directory(data, _target(pointer))[0])),
        )

    def to_bytes(self) -> bytes:
        """Write the tags as a TIFF file without an image; :meth:`of` reads it."""
        start = 8
        return b"II*\0\x08\0\0\0" + b"".join(self.directories(start))

    def directories(self, start: int, more: tuple[Entry, ...] = ()) -> list[bytes]:
        """Lay the directories out in a file that is being written.

        Parameters
        ----------
        start
            Where the first one begins.
        more
            Further entries of the first one, in place of those of the same tag.

        Returns
        -------
        list of bytes
            The first directory, and the others.
        """
        image = {entry.tag: entry for entry in (*self.image, *more)}
        exif = list(self.exif)
        others: list[bytes] = []

        def pointer(tag: int) -> Entry:
            return Entry(tag, _LONG, b"\0" * 4)

        for tag, entries in ((_EXIF, exif), (_GPS, self.gps)):
            if entries:
                image[tag] = pointer(tag)
        place = start + len(write_directory(image.values(), start))
        if self.interoperability and exif:
            others.append(write_directory(self.interoperability, place))
            exif.append(_pointing(_INTEROPERABILITY, place))
            place += len(others[-1])
        for tag, entries in ((_EXIF, exif), (_GPS, self.gps)):
            if entries:
                others.append(write_directory(entries, place))
                image[tag] = _pointing(tag, place)
                place += len(others[-1])
        return [write_directory(image.values(), start), *others]


def _target(pointer: Entry | None) -> int:
    values = pointer.integers() if pointer is not None else ()
    return values[0] if values else 0


def _pointing(tag: int, place: int) -> Entry:
    return Entry(tag, _LONG, place.to_bytes(4, "little"))
