"""Directories of TIFF files, entry by entry, with values as they are stored."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

# Bytes of a value by its type, and of what is swapped between byte orders.
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_UNITS = _SIZES | {5: 4, 10: 4}
_ENTRY = 12
# More entries than any camera writes; a directory with more is none.
_MOST_ENTRIES = 2000


@dataclass(frozen=True, order=True)
class Entry:
    """One entry of a directory.

    Attributes
    ----------
    tag, kind
        What it says, and TIFF's number of its type.
    data
        All of its values, little-endian.
    """

    tag: int
    kind: int
    data: bytes

    @property
    def count(self) -> int:
        """How many values it has."""
        return len(self.data) // _SIZES[self.kind]

    def integers(self) -> tuple[int, ...]:
        """Return its values if they are unsigned whole numbers, else nothing."""
        if self.kind not in (1, 3, 4, 13):
            return ()
        return tuple(np.frombuffer(self.data, f"<u{_SIZES[self.kind]}").tolist())


def byte_order(data: bytes) -> str:
    """Return ``"<"`` or ``">"``, or ``""`` if a file does not begin as TIFF-like files do."""
    return {b"II": "<", b"MM": ">"}.get(data[:2], "") if len(data) >= 8 else ""


def first_directory(data: bytes) -> int:
    """Return where the first directory of a TIFF-like file is."""
    (offset,) = struct.unpack_from(byte_order(data) + "I", data, 4)
    return int(offset)


def read_directory(data: bytes, offset: int) -> tuple[list[Entry], int]:
    """Read a directory of a TIFF-like file.

    Parameters
    ----------
    data
        The whole file.
    offset
        Where the directory begins.

    Returns
    -------
    entries : list of Entry
        Those that are whole and of a known type, in order.
    following : int
        Where the next directory is, 0 if there is none.
    """
    order = byte_order(data)
    if not 0 < offset <= len(data) - 2:
        return [], 0
    (count,) = struct.unpack_from(f"{order}H", data, offset)
    end = offset + 2 + count * _ENTRY
    if count > _MOST_ENTRIES or end + 4 > len(data):
        return [], 0
    entries = []
    for place in range(offset + 2, end, _ENTRY):
        tag, kind, values = struct.unpack_from(f"{order}HHI", data, place)
        size = _SIZES.get(kind, 0) * values
        start = place + 8
        if size > 4:
            (start,) = struct.unpack_from(f"{order}I", data, start)
        if size and start + size <= len(data):
            content = data[start : start + size]
            unit = _UNITS[kind]
            if order == ">" and unit > 1:
                content = np.frombuffer(content, f">u{unit}").astype(f"<u{unit}").tobytes()
            entries.append(Entry(tag, kind, content))
    (following,) = struct.unpack_from(f"{order}I", data, end)
    return entries, int(following)


def write_directory(entries: Iterable[Entry], offset: int) -> bytes:
    """Write a directory, little-endian, with its values behind it.

    Parameters
    ----------
    entries
        At most one a tag.
    offset
        Where it will begin in the file, an even number.

    Returns
    -------
    bytes
        An even number of them; how many does not depend on ``offset``.
    """
    ordered = sorted(entries)
    place = offset + 2 + _ENTRY * len(ordered) + 4
    head, values = [struct.pack("<H", len(ordered))], []
    for each in ordered:
        head.append(struct.pack("<HHI", each.tag, each.kind, each.count))
        if len(each.data) <= 4:
            head.append(each.data.ljust(4, b"\0"))
            continue
        head.append(struct.pack("<I", place))
        padded = each.data + b"\0" * (len(each.data) % 2)
        values.append(padded)
        place += len(padded)
    return b"".join([*head, b"\0" * 4, *values])
