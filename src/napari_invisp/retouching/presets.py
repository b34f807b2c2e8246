"""Settings by name, and in JSON files."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, NoReturn

from napari_invisp.errors import SettingsError
from napari_invisp.files import read_whole, write_bytes_atomic
from napari_invisp.retouching.settings import RetouchSettings
from napari_invisp.strictjson import dumps

#: What a file says that it is, and the newest version that is read.
FORMAT, VERSION = "napari-invisp retouching", 1

_LARGE = 10**9

# LibRaw renders darker than cameras do; all but the neutral preset make up for some of that.
_PRESETS = {
    "neutral": RetouchSettings(),
    "natural": RetouchSettings(
        exposure=0.7,
        tone_curve=(1.0, 1.15, 1.25, 1.1, 1.0, 0.9, 0.85, 0.75),
        contrast=0.15,
        saturation=0.15,
    ),
    "bright and airy": RetouchSettings(
        exposure=1.1,
        white_blue=-0.03,
        gamma=0.85,
        tone_curve=(1.3, 1.25, 1.15, 1.05, 0.95, 0.85, 0.75, 0.7),
        contrast=-0.1,
        black_and_white=0.12,
    ),
    "punchy": RetouchSettings(
        exposure=0.7,
        tone_curve=(1.0, 1.05, 1.25, 1.25, 1.1, 0.95, 0.85, 0.7),
        contrast=0.45,
        saturation=0.45,
    ),
    "warm evening": RetouchSettings(
        exposure=0.5,
        white_red=0.11,
        white_blue=-0.16,
        gamma=0.95,
        tone_curve=(1.1, 1.15, 1.15, 1.05, 1.0, 0.9, 0.85, 0.8),
        contrast=0.25,
        saturation=0.25,
        blue_curve=(1.08, 1.04, 1.0, 1.0, 1.0, 0.98, 0.96, 0.94),
    ),
    "black and white, contrasty": RetouchSettings(
        exposure=0.6,
        tone_curve=(0.95, 1.0, 1.25, 1.3, 1.15, 1.0, 0.85, 0.7),
        contrast=0.6,
        black_and_white=1.0,
    ),
    "matte": RetouchSettings(
        exposure=0.7,
        white_red=0.02,
        white_blue=-0.02,
        tone_curve=(1.9, 1.2, 1.0, 1.0, 0.95, 0.85, 0.75, 0.65),
        contrast=-0.2,
        blue_curve=(1.1, 1.05, 1.0, 1.0, 0.98, 0.96, 0.95, 0.94),
        black_and_white=0.22,
    ),
}


def preset_names() -> tuple[str, ...]:
    """Name the presets that come with the package, the neutral one first."""
    return tuple(_PRESETS)


def load_preset(path_or_name: Path | str) -> RetouchSettings:
    """Return a preset of :func:`preset_names`, or one from a file.

    Parameters
    ----------
    path_or_name
        Names come first: a file that is called like one is reached as ``./matte``. What a file
        does not mention is neutral.

    Raises
    ------
    SettingsError
        There is neither such a preset nor such a file; or it is damaged, of a newer version, or
        holds a parameter that is unknown or out of its range.
    """
    if isinstance(path_or_name, str) and path_or_name in _PRESETS:
        return _PRESETS[path_or_name]
    path = Path(path_or_name)
    if not path.exists():
        raise SettingsError(
            f"there is no preset or preset file {str(path_or_name)!r}; presets: "
            f"{', '.join(_PRESETS)}"
        )
    data = read_whole(path, "a preset", SettingsError)
    try:
        about = json.loads(data, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"{path} is damaged: it is no JSON") from error
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise SettingsError(f"{path} is not a retouching preset")
    number = about.get("version")
    if type(number) is not int or number < 1:
        raise SettingsError(f"{path} is damaged: its version is {number!r}")
    if number > VERSION:
        raise SettingsError(
            f"{path} is of version {number}, and this program reads up to {VERSION}; update it"
        )
    if about.keys() != {"format", "version", "settings"}:
        raise SettingsError(f"{path} is damaged: it holds {', '.join(sorted(about))}")
    try:
        return settings_from_dict(about["settings"])
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from error


def save_preset(path: Path | str, settings: RetouchSettings) -> None:
    """Write settings to a JSON file that :func:`load_preset` reads.

    Raises
    ------
    OutputError
        The file cannot be written there.
    """
    about = {"format": FORMAT, "version": VERSION, "settings": settings_to_dict(settings)}
    write_bytes_atomic(Path(path), (dumps(about) + "\n").encode())


def settings_to_dict(settings: RetouchSettings) -> dict[str, Any]:
    """Give every parameter as a plain JSON value, by name."""
    values = asdict(settings)
    return {name: list(v) if isinstance(v, tuple) else v for name, v in values.items()}


def settings_from_dict(values: Any) -> RetouchSettings:
    """Make settings of what :func:`settings_to_dict` gave; what is missing is neutral.

    Raises
    ------
    SettingsError
        A parameter is unknown, of the wrong kind, or out of its range.
    """
    if not isinstance(values, dict):
        raise SettingsError("the settings are no JSON object")
    defaults = {each.name: each.default for each in fields(RetouchSettings)}
    for name, value in values.items():
        if name not in defaults:
            raise SettingsError(f"there is no parameter {name!r}")
        parts = value if isinstance(value, list) else [value]
        several = isinstance(defaults[name], tuple)
        if several != isinstance(value, list) or not all(map(_is_plain, parts)):
            raise SettingsError(f"{name} cannot be {json.dumps(value)[:60]}")
    given: dict[str, Any] = {
        name: tuple(v) if isinstance(v, list) else v for name, v in values.items()
    }
    return RetouchSettings(**given)


def _is_plain(value: Any) -> bool:
    # Of larger numbers, messages would be hard to read, or could not be written at all.
    return isinstance(value, str) or (type(value) in (int, float) and abs(value) < _LARGE)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
