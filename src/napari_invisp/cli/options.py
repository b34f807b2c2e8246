"""Options made from the fields of the settings, so that each is described in one place."""

from __future__ import annotations

from argparse import (
    SUPPRESS,
    ArgumentParser,
    BooleanOptionalAction,
    Namespace,
    RawDescriptionHelpFormatter,
)
from collections.abc import Callable, Collection
from dataclasses import Field, fields
from typing import Any, TypeVar

from napari_invisp.errors import SettingsError
from napari_invisp.settings import (
    ComputeSettings,
    Control,
    RenderSettings,
    Settings,
    controls,
    kind_of,
    takes_several,
)

_Settings = TypeVar("_Settings", bound=Settings)

_KINDS = {int: "a whole number", float: "a number"}


def add_command(
    commands: Any, name: str, run: Callable[[Namespace], int], summary: str, about: str, more: str
) -> ArgumentParser:
    """Add a command that is explained in paragraphs as they are written.

    Parameters
    ----------
    commands
        What :meth:`~argparse.ArgumentParser.add_subparsers` returned.
    name, run
        What it is called, and what does it.
    summary, about, more
        A line, what its help begins with, and what it ends with.
    """
    added: ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=about,
        epilog=more,
        formatter_class=RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    added.set_defaults(run=run)
    return added


def add_json(parser: ArgumentParser) -> None:
    """Add ``--json``."""
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object instead of lines to read"
    )


def add_options(
    parser: ArgumentParser,
    settings: type[Settings],
    title: str,
    leave_out: Collection[str] = (),
    *,
    only_given: bool = False,
) -> None:
    """Add an option for each field of some settings.

    Parameters
    ----------
    parser
        Where to.
    settings
        The class.
    title
        Heading of these options in the help.
    leave_out
        Fields that get no option.
    only_given
        Whether the parsed arguments hold nothing for options that were not given, in place of
        defaults.
    """
    group = parser.add_argument_group(title)
    for each, control in controls(settings):
        if each.name not in leave_out:
            changes: dict[str, Any] = {"default": SUPPRESS} if only_given else {}
            _add(group, each, control, **changes)


def add_compute_options(parser: ArgumentParser) -> None:
    """Add an option for each field of :class:`ComputeSettings`."""
    add_options(parser, ComputeSettings, "computing")


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
    return kind(**given_values(arguments, kind))


def given_values(arguments: Namespace, kind: type[Settings]) -> dict[str, Any]:
    """Return what the arguments hold for the fields of some settings, by name."""
    given = {name: tuple(v) if isinstance(v, list) else v for name, v in vars(arguments).items()}
    return {each.name: given[each.name] for each in fields(kind) if each.name in given}


def _render_only() -> list[tuple[Field[Any], Control]]:
    shared = {each.name for each in fields(ComputeSettings)}
    return [
        (each, control) for each, control in controls(RenderSettings) if each.name not in shared
    ]


def _add(
    group: Any,
    each: Field[Any],
    control: Control,
    *,
    name: str = "",
    several: bool = False,
    **changes: Any,
) -> None:
    option = f"--{(name or each.name).replace('_', '-')}"
    common = {
        "default": [each.default] if several else each.default,
        "help": _help(each, control),
        **changes,
    }
    if kind_of(each) is bool:
        group.add_argument(option, action=BooleanOptionalAction, **common)
    else:
        group.add_argument(
            option,
            type=_converter(each, control),
            nargs="+" if several or takes_several(each) else None,
            metavar=each.name.upper(),
            **common,
        )


def _converter(each: Field[Any], control: Control) -> Callable[[str], Any]:
    kind = kind_of(each)

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
    default = each.default
    if isinstance(default, tuple):
        default = " ".join(map(str, default))
    elif isinstance(default, bool):
        default = "yes" if default else "no"
    elif default in ("", None):
        default = "none"
    return f"{control.help} ({allowed}default {default})".replace("%", "%%")
