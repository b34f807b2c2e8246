"""Measure the README's table anew: `python scripts/figures.py RAW…`.

Runs `napari-invisp evaluate`, keeps its JSON in results/, and puts its Markdown into the README.
"""

from __future__ import annotations

import sys
from pathlib import Path

from napari_invisp import cli

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "results" / "real-files.md"
BEGIN, END = "<!-- begin: results/real-files.md -->\n", "<!-- end -->"


def main(files: list[str]) -> None:
    """Measure and write."""
    command = ["evaluate", *files, "--headroom", "0.5", "1", "--quality", "90"]
    for target in (TABLE, TABLE.with_suffix(".json")):
        if cli.main([*command, "-o", str(target)]) != 0:
            sys.exit(2)
    readme = ROOT / "README.md"
    before, rest = readme.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END, 1)[1]
    table = TABLE.read_text(encoding="utf-8")
    readme.write_text(before + BEGIN + table + END + after, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
