from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from napari.settings import get_plugin_settings
from napari.utils.notifications import notification_manager
from npe2 import PluginManager, PluginManifest
from pytestqt.qtbot import QtBot

import napari_invisp
from napari_invisp.settings import ArchiveSettings, RenderSettings, control_of, controls, kind_of
from napari_invisp.viewer.preferences import (
    HEADINGS,
    PLUGIN,
    default_archive,
    default_settings,
    on_change,
)

MANIFEST = Path(napari_invisp.__file__).parent / "napari.yaml"
KINDS = {"string": str, "number": float, "integer": int, "boolean": bool}


@pytest.fixture
def preferences(plugin_settings: None, npe2pm: PluginManager) -> Any:
    """napari's settings of this plugin, kept apart from those of whoever runs the tests."""
    npe2pm.register(PluginManifest.from_file(MANIFEST))
    return get_plugin_settings(PLUGIN)


@pytest.fixture
def warnings() -> Iterator[list[str]]:
    """What the user was told."""
    sentences: list[str] = []

    def note(event: Any) -> None:
        sentences.append(event.message)

    notification_manager.notification_ready.connect(note)
    yield sentences
    notification_manager.notification_ready.disconnect(note)


def test_every_property_is_a_field_of_the_settings() -> None:
    """Titles, help, defaults, choices and limits are written twice, but never differ."""
    configurations = PluginManifest.from_file(MANIFEST).contributions.configurations
    assert tuple(configurations) == HEADINGS
    properties = {n: p for each in configurations.values() for n, p in each.properties.items()}
    offered = (*controls(RenderSettings), *controls(ArchiveSettings))
    named = {each.name: (each, control) for each, control in offered}
    assert properties.keys() == named.keys()
    for name, prop in properties.items():
        field, control = named[name]
        assert KINDS[prop.type] is kind_of(field), name
        assert prop.default == field.default
        assert type(prop.default) is type(field.default)
        assert (prop.title, prop.description) == (control.label, control.help)
        assert (tuple(prop.enum) if prop.enum else None) == control.choices
        assert (prop.minimum, prop.maximum) == (control.minimum, control.maximum)


def test_without_a_word_from_the_user_the_defaults_hold(
    preferences: Any, warnings: list[str]
) -> None:
    assert default_settings() == RenderSettings()
    assert default_archive() == ArchiveSettings()
    assert warnings == []


def test_where_the_plugin_is_not_installed_the_defaults_hold(plugin_settings: None) -> None:
    assert default_settings() == RenderSettings()
    on_change(pytest.fail)()


def test_what_the_user_prefers_is_what_is_used(preferences: Any, warnings: list[str]) -> None:
    wanted = RenderSettings(
        device="cpu", tile=256, model="physics", headroom=0.25, quality=75, subsampling="4:4:4"
    )
    carried = ArchiveSettings(side_info=4096, exact=True)
    for heading in HEADINGS:
        group = getattr(preferences, heading)
        for name in type(group).model_fields:
            setattr(group, name, getattr(carried if heading == "archive" else wanted, name))
    assert default_settings() == wanted
    assert default_archive() == carried
    assert warnings == []


def test_what_was_preferred_is_remembered(preferences: Any) -> None:
    preferences.rendering.quality = 42
    again = type(preferences)(config_path=preferences.config_path)
    assert again.rendering.quality == 42


def test_a_checkpoint_may_be_preferred(preferences: Any, tmp_path: Path) -> None:
    checkpoint = tmp_path / "mine.safetensors"
    checkpoint.touch()
    preferences.rendering.model = str(checkpoint)
    assert default_settings().model == str(checkpoint)


def test_a_bad_value_is_told_and_left_out(preferences: Any, warnings: list[str]) -> None:
    preferences.rendering.model = "nonsense"
    preferences.rendering.quality = 70
    assert default_settings() == RenderSettings(quality=70)
    (sentence,) = warnings
    assert sentence == (
        "Preferences of napari-invisp: there is no model or checkpoint file 'nonsense', "
        "so it stays at 'universal'."
    )


def test_a_file_edited_by_hand_does_no_harm(
    plugin_settings: None, npe2pm: PluginManager, tmp_path: Path, warnings: list[str]
) -> None:
    npe2pm.register(PluginManifest.from_file(MANIFEST))
    (tmp_path / f"{PLUGIN}.yaml").write_text("rendering:\n  quality: 500\n  headroom: 0.75\n")
    assert default_settings() == RenderSettings(headroom=0.75)


def test_changes_are_told_once_they_rest_until_nobody_listens(
    qtbot: QtBot, preferences: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_invisp.viewer.preferences._REST_MS", 1)
    seen: list[RenderSettings] = []
    stop = on_change(lambda: seen.append(default_settings()))
    for quality in (3, 30):
        preferences.rendering.quality = quality
    preferences.computing.tile = 128
    qtbot.waitUntil(lambda: bool(seen))
    assert seen == [RenderSettings(quality=30, tile=128)]
    preferences.rendering.quality = 31
    stop()
    heard: list[int] = []
    stop_other = on_change(lambda: heard.append(1))
    preferences.rendering.quality = 32
    qtbot.waitUntil(lambda: bool(heard))
    stop_other()
    assert len(seen) == 1


def test_all_fields_have_limits_that_the_preferences_can_check() -> None:
    for each in fields(RenderSettings):
        control = control_of(each)
        assert each.name == "model" or control.choices or control.maximum is not None
