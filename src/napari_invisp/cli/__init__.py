"""The command line: arguments in, figures out. It only imports what a command needs."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence

from napari_invisp.cli.parser import build_parser
from napari_invisp.cli.report import complain
from napari_invisp.errors import InvispError

#: Exit statuses.
SUCCESS, BAD_INPUT = 0, 2
INTERRUPTED, PIPE_CLOSED = 128 + 2, 128 + 13  # as a shell counts SIGINT and SIGPIPE


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    argv
        Arguments without the program's name; those of the process by default.

    Returns
    -------
    int
        Exit status: 0 on success, 2 on bad input with one line on stderr, 130 if interrupted.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A file name may hold what the terminal's encoding does not.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        arguments = build_parser().parse_args(argv)
        status: int = arguments.run(arguments)
        sys.stdout.flush()
        return status
    except SystemExit as stop:  # --help and --version
        return int(stop.code or SUCCESS)
    except InvispError as error:
        complain(error)
    except KeyboardInterrupt:
        complain("interrupted; nothing unfinished was left behind")
        return INTERRUPTED
    except BrokenPipeError:
        _let_go_of_stdout()
        return PIPE_CLOSED
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        complain(f"{place}{error.strerror or error}")
        _let_go_of_stdout()
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        complain("there is not enough memory for this; try a smaller --tile, or another --device")
    return BAD_INPUT


def _let_go_of_stdout() -> None:
    """Keep Python from failing once more when it flushes stdout at exit."""
    try:
        sys.stdout.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _is_out_of_memory(error: Exception) -> bool:
    # PyTorch says so in plain RuntimeErrors, in words that depend on the device.
    words = ("allocate memory", "out of memory", "not enough memory")
    return isinstance(error, MemoryError) or any(each in str(error).lower() for each in words)
