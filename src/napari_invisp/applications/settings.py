"""The parameters of the comparison by operations."""

from __future__ import annotations

from dataclasses import dataclass

from napari_invisp.settings import ArchiveSettings, Settings, parameter


@dataclass(frozen=True)
class ApplicationSettings(Settings):
    """What recovered RAW is compared with.

    Raises
    ------
    SettingsError
        A value is out of its range.
    """

    side_info: tuple[int, ...] = parameter(
        (ArchiveSettings.side_info,),
        "Side information, bytes",
        "bytes of side information that the JPEGs carry; several are measured one after the other",
        minimum=0,
        maximum=10**8,
    )
    bracket: bool = parameter(
        False,
        "Bracket",
        "the files are one bracket: merge them, and tone-map what comes out",
    )
