"""Write docs/shortcuts.md from the table in napari_invisp.viewer.shortcuts."""

from __future__ import annotations

from pathlib import Path

from napari_invisp.viewer.shortcuts import as_markdown

if __name__ == "__main__":
    Path(__file__).with_name("shortcuts.md").write_text(as_markdown())
