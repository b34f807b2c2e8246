from __future__ import annotations

from pathlib import Path

import yaml
from napari._app_model.constants._menus import is_menu_contributable
from npe2 import PluginManifest
from npe2.manifest.contributions import ContributionPoints, MenuCommand
from npe2.manifest.utils import import_python_name

import napari_invisp
from napari_invisp.sensor.reading import RAW_EXTENSIONS

FILE = Path(napari_invisp.__file__).parent / "napari.yaml"


def test_the_installed_package_offers_the_manifest() -> None:
    installed = PluginManifest.from_distribution("napari-invisp")
    assert installed.contributions == PluginManifest.from_file(FILE).contributions
    installed.validate_imports()


def test_every_command_is_there_to_be_called() -> None:
    commands = PluginManifest.from_file(FILE).contributions.commands
    assert commands
    for command in commands:
        assert callable(import_python_name(command.python_name))


def test_titles_fit_into_the_command_palette() -> None:
    commands = PluginManifest.from_file(FILE).contributions.commands
    assert [each.title for each in commands if len(each.title) > 37] == []


def test_no_key_is_unknown_to_napari() -> None:
    """Unknown keys are ignored without a word."""
    raw = yaml.safe_load(FILE.read_text())
    assert raw.keys() <= PluginManifest.model_fields.keys()
    assert raw["contributions"].keys() <= ContributionPoints.model_fields.keys()


def test_every_raw_extension_is_claimed_and_nothing_else() -> None:
    """Except for OpenEXR, which napari claims but cannot read."""
    raw, exr = PluginManifest.from_file(FILE).contributions.readers
    assert sorted(raw.filename_patterns) == sorted(f"*{suffix}" for suffix in RAW_EXTENSIONS)
    assert exr.filename_patterns == ["*.exr"]


def test_menu_entries_are_shown() -> None:
    """napari ignores entries of menus that are not open to plugins."""
    contributions = PluginManifest.from_file(FILE).contributions
    known = {command.id for command in contributions.commands}
    submenus = {submenu.id for submenu in contributions.submenus}
    reached = set()
    for menu, items in contributions.menus.items():
        assert is_menu_contributable(menu), menu
        assert menu.startswith("napari/") or menu in submenus
        commands = {item.command for item in items if isinstance(item, MenuCommand)}
        assert commands <= known
        reached |= {item.submenu for item in items if not isinstance(item, MenuCommand)}
    assert reached == submenus


def test_the_manifest_is_found_at_the_top_of_the_repository() -> None:
    top = Path(__file__).parents[2] / "napari.yaml"
    assert top.read_text() == FILE.read_text()
