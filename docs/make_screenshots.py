"""Drive the real window and save the pictures of the documentation.

Run it under an X server, a virtual one will do::

    xvfb-run -a -s "-screen 0 1600x1000x24" python docs/make_screenshots.py

napari's own settings are neither read nor written.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from screenshots.scenes import SCENES
from screenshots.stage import save

IMAGES = Path(__file__).parent / "images"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=SCENES, default=SCENES)
    parser.add_argument("-o", "--output", type=Path, default=IMAGES, help="folder to save in")
    arguments = parser.parse_args()
    arguments.output.mkdir(exist_ok=True)
    for name in arguments.only:
        size = save(SCENES[name](), arguments.output / name)
        print(f"{name}: {size:,} bytes", flush=True)


if __name__ == "__main__":
    main()
