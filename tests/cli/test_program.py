from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from cli_helpers import Run, contents, garbled, strict

COMMANDS = ("render", "recover", "compare", "evaluate", "demo", "view")


def test_help_names_every_command(run: Run) -> None:
    status, out, err = run("--help")
    assert (status, err) == (0, "")
    assert all(f"    {command} " in out for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_has_an_example(command: str, run: Run) -> None:
    status, out, err = run(command, "--help")
    assert (status, err) == (0, "")
    assert f"napari-invisp {command} " in out.split("example:")[1]
    assert "--json" in out
    if command in ("render", "recover", "evaluate"):
        assert "--device" in out
        assert "auto, cpu, cuda, mps; default auto" in " ".join(out.split())


def test_version(run: Run) -> None:
    from importlib.metadata import version

    assert run("--version") == (0, f"napari-invisp {version('napari-invisp')}\n", "")


# The installed program

SCRIPT = Path(sys.executable).with_name("napari-invisp")

script = pytest.mark.skipif(not SCRIPT.exists(), reason="the package is not installed")
posix = pytest.mark.skipif(os.name != "posix", reason="for POSIX systems")


def program(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, text=True, stderr=subprocess.PIPE, timeout=60, **options)


@script
def test_the_program(folder: Path) -> None:
    result = program("render", "photo.dng", "-o", "out.jpg", "--json", stdout=subprocess.PIPE)
    assert (result.returncode, result.stderr) == (0, "")
    assert strict(result.stdout)["jpeg_bytes"] == (folder / "out.jpg").stat().st_size


@script
def test_the_program_says_what_is_wrong_in_one_line(folder: Path) -> None:
    (folder / "bad.dng").write_bytes(garbled((folder / "photo.dng").read_bytes()))
    before = contents(folder)
    result = program("compare", "bad.dng", "photo.dng", stdout=subprocess.PIPE)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1
    assert "bad.dng is damaged" in result.stderr
    assert contents(folder) == before


@script
@posix
def test_a_reader_that_has_gone(folder: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    result = program("compare", "photo.dng", "photo.dng", stdout=writing)
    os.close(writing)
    assert (result.returncode, result.stderr) == (141, "")


@script
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_figures_that_cannot_be_printed(folder: Path) -> None:
    with Path("/dev/full").open("w") as full:
        result = program("compare", "photo.dng", "photo.dng", "--json", stdout=full)
    assert result.returncode == 2
    assert result.stderr == "napari-invisp: No space left on device\n"


def until_opened_by(process: subprocess.Popen[str], pipe: Path) -> BinaryIO:
    """Open a named pipe for writing once the program has opened it for reading."""
    while True:
        try:
            return os.fdopen(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK), "wb")
        except OSError:  # nobody reads yet
            with suppress(subprocess.TimeoutExpired):
                raise AssertionError(f"the program ended with {process.wait(0.05)}") from None


def interrupted(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Press Ctrl-C, again if it came just before a system call, which then goes on waiting."""
    for _ in range(6):
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            return process.communicate(timeout=10)
    raise AssertionError("the program cannot be interrupted")


@pytest.fixture
def _interruptible() -> Iterator[None]:
    """Let Ctrl-C reach programs that are started, also where the tests run in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@script
@posix
@pytest.mark.usefixtures("_interruptible")
def test_ctrl_c_in_the_program(folder: Path) -> None:
    os.mkfifo("camera.dng")
    before = sorted(path.name for path in folder.iterdir())
    command = [SCRIPT, "render", "camera.dng", "-o", "out.jpg"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with process, until_opened_by(process, Path("camera.dng")):
        out, err = interrupted(process)
    assert (process.returncode, out) == (130, "")
    assert err.count("\n") == 1
    assert "interrupted" in err
    assert sorted(path.name for path in folder.iterdir()) == before


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from napari_invisp.cli import main; main(['render', '--help']);"
        "heavy = {'torch', 'numpy', 'rawpy', 'PIL', 'tqdm', 'napari', 'qtpy'} & set(sys.modules);"
        "sys.exit(f'{heavy}' if heavy else 0)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")


def test_comparing_does_without_torch(folder: Path) -> None:
    code = (
        "import sys; from napari_invisp.cli import main;"
        "status = main(['compare', 'photo.dng', 'photo.dng']);"
        "sys.exit(status or 'torch' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")
