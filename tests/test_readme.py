"""The README's commands, code and links are ones that work."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path

import pytest

from napari_invisp.cli.parser import build_parser

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("line", re.findall(r"^napari-invisp .*$", README, re.MULTILINE))
def test_every_command_is_understood(line: str) -> None:
    build_parser().parse_args(shlex.split(line)[1:])  # exits if it is not


@pytest.mark.parametrize("code", re.findall(r"```python\n(.*?)```", README, re.DOTALL))
def test_every_import_exists(code: str) -> None:
    imports = [node for node in ast.parse(code).body if isinstance(node, ast.ImportFrom)]
    assert imports
    exec(compile(ast.Module(imports, []), "README.md", "exec"), {})


def test_every_link_leads_somewhere() -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
