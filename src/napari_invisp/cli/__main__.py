"""``python -m napari_invisp.cli``, which torchrun can start in several processes."""

import sys

from napari_invisp.cli import main

sys.exit(main())
