from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from napari_invisp.errors import OutputError, SettingsError
from napari_invisp.retouching.presets import load_preset, preset_names, save_preset
from napari_invisp.retouching.settings import RetouchSettings

SETTINGS = RetouchSettings(
    exposure=-1.25,
    tone_curve=(1, 2, 1, 1, 0.5, 1, 1, 1.5),
    order=RetouchSettings.order[::-1],
)


def test_presets_that_come_with_the_package_differ() -> None:
    names = preset_names()
    assert names[0] == "neutral"
    assert load_preset("neutral") == RetouchSettings()
    assert len({load_preset(name) for name in names}) == len(names) >= 6


def test_settings_come_back_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    save_preset(path, SETTINGS)
    assert load_preset(path) == SETTINGS
    assert load_preset(str(path)) == SETTINGS
    assert json.loads(path.read_text())["settings"]["exposure"] == -1.25


def test_what_a_file_does_not_mention_is_neutral(tmp_path: Path) -> None:
    path = tmp_path / "short.json"
    about = {"format": "napari-invisp retouching", "version": 1, "settings": {"contrast": 0.5}}
    path.write_text(json.dumps(about))
    assert load_preset(path) == RetouchSettings(contrast=0.5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "other"}, "is not a retouching preset"),
        ({"version": 2}, "is of version 2, and this program reads up to 1; update it"),
        ({"version": "1"}, "is damaged: its version is '1'"),
        ({"extra": 1}, "is damaged: it holds extra, format, settings, version"),
        ({"settings": [1]}, "the settings are no JSON object"),
        ({"settings": {"blur": 1}}, "there is no parameter 'blur'"),
        ({"settings": {"exposure": 9}}, "exposure 9 is not between -3.5 and 3.5"),
        ({"settings": {"exposure": 10**400}}, "exposure cannot be 1000"),
        ({"settings": {"exposure": None}}, "exposure cannot be null"),
        ({"settings": {"exposure": True}}, "exposure cannot be true"),
        ({"settings": {"exposure": "1"}}, "exposure '1' is not a number"),
        ({"settings": {"exposure": [1]}}, "exposure cannot be [1]"),
        ({"settings": {"tone_curve": 1}}, "tone_curve cannot be 1"),
        ({"settings": {"tone_curve": [1, 1]}}, "tone_curve has 2 slopes, not 8"),
        ({"settings": {"tone_curve": [[1]] * 8}}, "tone_curve cannot be [[1]"),
        ({"settings": {"order": ["exposure"]}}, "does not name each of"),
        ({"settings": {"order": []}}, "order () is not one value or more"),
    ],
)
def test_bad_files(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    path = tmp_path / "bad.json"
    about = {"format": "napari-invisp retouching", "version": 1, "settings": {}}
    path.write_text(json.dumps(about | changes))
    with pytest.raises(SettingsError) as caught:
        load_preset(path)
    assert str(caught.value).startswith(str(path))
    assert message in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", '{"settings": NaN}', "\x00\xff", "[" * 100_000])
def test_what_is_no_json(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(SettingsError, match="it is no JSON"):
        load_preset(path)


def test_missing_files(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no preset or preset file 'nosuch'; presets: neutral"):
        load_preset("nosuch")
    with pytest.raises(SettingsError, match="is a folder"):
        load_preset(tmp_path)
    with pytest.raises(OutputError, match="cannot write"):
        save_preset(tmp_path / "missing" / "a.json", SETTINGS)
