"""Options made from the fields of the settings, so that each is described in one place."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import Field, fields
from typing import Any, TypeVar

from napari_invisp.errors import SettingsError
from napari_invisp.settings import ComputeSettings, Control, RenderSettings, controls

_Settings = TypeVar("_Settings", bound=ComputeSettings)

_KINDS = {int: "a whole number", float: "a number"}


def add_compute_options(parser: ArgumentParser) -> None:
    """Add an option for each field of :class:`ComputeSettings`."""
    group = parser.add_argument_group("computing")
    for each, control in controls(ComputeSettings):
        _add(group, each, control)


def add_render_options(parser: ArgumentParser) -> None:
    """Add an option for each field of :class:`RenderSettings`."""
    group = parser.add_argument_group("picture")
    for each, control in _render_only():
        _add(group, each, control)
    add_compute_options(parser)


def add_render_choices(parser: ArgumentParser, plurals: dict[str, str]) -> None:
    """Add the same options, those of the picture taking several values each.

    Parameters
    ----------
    parser
        Where to.
    plurals
        The option's name where it is not that of the field.
    """
    group = parser.add_argument_group("pictures; several values of each are combined")
    for each, control in _render_only():
        _add(group, each, control, name=plurals.get(each.name, each.name), several=True)
    add_compute_options(parser)


def settings_from(arguments: Namespace, kind: type[_Settings]) -> _Settings:
    """Make settings of the options; a field without an option keeps its default.

    Raises
    ------
    SettingsError
        A value is out of its range.
    """
    given = vars(arguments)
    return kind(**{each.name: given[each.name] for each in fields(kind) if each.name in given})


def _render_only() -> list[tuple[Field[Any], Control]]:
    shared = {each.name for each in fields(ComputeSettings)}
    return [
        (each, control) for each, control in controls(RenderSettings) if each.name not in shared
    ]


def _add(
    group: Any, each: Field[Any], control: Control, *, name: str = "", several: bool = False
) -> None:
    group.add_argument(
        f"--{name or each.name}",
        type=_converter(each, control),
        default=[each.default] if several else each.default,
        nargs="+" if several else None,
        metavar=each.name.upper(),
        help=_help(each, control),
    )


def _converter(each: Field[Any], control: Control) -> Callable[[str], Any]:
    kind: type[Any] = type(each.default)

    def convert(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            raise SettingsError(f"{each.name} {text!r} is not {_KINDS[kind]}") from None
        control.check(each.name, value)
        return value

    return convert


def _help(each: Field[Any], control: Control) -> str:
    allowed = ""
    if control.choices is not None:
        allowed = f"{', '.join(control.choices)}; "
    elif control.minimum is not None and control.maximum is not None:
        allowed = f"{control.minimum:g} to {control.maximum:g}; "
    return f"{control.help} ({allowed}default {each.default})".replace("%", "%%")
