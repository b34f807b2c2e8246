"""Reading files whole, and writing them so that a reader never meets half of one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from napari_invisp.errors import InvispError, OutputError


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Give a temporary path beside ``target`` that takes its name once the block succeeds.

    Parameters
    ----------
    target
        Where the finished file shall stand. An existing file is replaced.

    Yields
    ------
    pathlib.Path
        An empty file in the same folder, with the same suffix. It is removed if the block raises.

    Raises
    ------
    OutputError
        The folder does not exist or cannot be written.
    """
    target = Path(target)
    if target.is_dir():
        raise OutputError(f"{target} is a folder; name a file to write")
    try:
        descriptor, name = tempfile.mkstemp(
            prefix=f".{target.stem}-", suffix=target.suffix, dir=target.parent
        )
    except OSError as error:
        raise OutputError(f"cannot write {target}: {error.strerror or error}") from error
    os.close(descriptor)
    temporary = Path(name)
    try:
        try:
            yield temporary
            # mkstemp makes the file private; give it what open() would have given it.
            umask = os.umask(0)
            os.umask(umask)
            temporary.chmod(0o666 & ~umask)
            temporary.replace(target)
        except OSError as error:
            raise OutputError(f"cannot write {target}: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes_atomic(target: Path, data: bytes) -> None:
    """Write ``data`` to ``target`` by way of a temporary name (see :func:`atomic_path`)."""
    with atomic_path(target) as temporary:
        temporary.write_bytes(data)


def known_suffix(path: Path, suffixes: Collection[str], kind: str, between: str = ", ") -> str:
    """Return the suffix that says how a file is to be written, lower case.

    Parameters
    ----------
    path
        The file.
    suffixes
        Those that can be written, lower case.
    kind
        What is written, for messages: "plot", "table".
    between
        What stands between the suffixes in messages.

    Raises
    ------
    OutputError
        It is none of these.
    """
    suffix = path.suffix.lower()
    if suffix not in suffixes:
        raise OutputError(
            f"{path} does not say what kind of {kind} to write: let its name end in "
            f"{between.join(suffixes)}"
        )
    return suffix


def read_whole(path: Path, kind: str, error: type[InvispError]) -> bytes:
    """Read a file into memory.

    Parameters
    ----------
    path
        The file.
    kind
        What is expected, for messages: "a RAW file", "a JPEG file".
    error
        What to raise.

    Raises
    ------
    InvispError
        An ``error``: there is no such file, it is a folder, or it cannot be read.
    """
    try:
        if path.is_dir():
            raise error(f"{path} is a folder; name {kind} in it")
        return path.read_bytes()
    except FileNotFoundError:
        raise error(f"{path} does not exist") from None
    except OSError as reason:
        raise error(f"{path} cannot be read: {reason.strerror or reason}") from reason
