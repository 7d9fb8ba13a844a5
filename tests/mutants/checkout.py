"""Copies of the checkout, in which modules may be changed and tests run."""

import itertools
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PASSED, TIMED_OUT = 0, -9
PRELOADED = ("-W", "ignore::pytest.PytestAssertRewriteWarning")
"""pytest warns of plugins that were imported before it could change their asserts."""
KEPT = 3000
"""Characters of the output that are kept, from its end."""
LIBRARIES = ["pytest", "hypothesis", "numpy", "pydantic", "sqlalchemy.orm", "psycopg2", "alembic.config"]
"""What is imported once, and not again in each run. None of ours: a run must import the changed module."""

_processes = get_context("forkserver")
_processes.set_forkserver_preload(LIBRARIES)
_long_ago = itertools.count(1_000_000_000)
"""A time for each change that no module was compiled for, so that Python compiles the changed module anew."""


def files() -> list[str]:
    """Return what belongs to the checkout: what git knows, and what it does not ignore."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return [path for path in listed.stdout.split("\0") if path and (ROOT / path).is_file()]


def copy(folder: Path) -> None:
    """Copy the checkout into an empty folder."""
    for path in files():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / path, folder / path)


@contextmanager
def changed(path: Path, text: str) -> Iterator[None]:
    """Change a module of a copy for a while."""
    kept, stamp = path.read_bytes(), path.stat().st_mtime_ns
    path.write_text(text)
    then = next(_long_ago)
    os.utime(path, (then, then))
    try:
        yield
    finally:
        path.write_bytes(kept)
        os.utime(path, ns=(stamp, stamp))


def run(folder: Path, tests: Sequence[str], arguments: Sequence[str], patience: float, **env: str) -> tuple[int, str]:
    """Run test files in a copy, with the same examples each time; return pytest's exit code and the end of its output.

    A run that takes longer than `patience` seconds is ended, and has the code `TIMED_OUT`.
    """
    command = ["-q", "-x", "-p", "no:cacheprovider", *PRELOADED, *arguments, *tests]
    output = folder / f"output-{threading.get_ident()}"
    process = _processes.Process(target=_run, args=(folder, command, {**env, "CI": "1"}, output))
    process.start()
    process.join(patience)
    if process.is_alive():
        process.kill()
        process.join()
    return process.exitcode or PASSED, output.read_text(errors="replace")[-KEPT:]


def _run(folder: Path, command: list[str], env: Mapping[str, str], output: Path) -> None:
    """Run pytest in this process. `CI` makes Hypothesis choose the same examples each time (tests/conftest.py)."""
    with output.open("w") as file:
        os.dup2(file.fileno(), sys.stdout.fileno())
        os.dup2(file.fileno(), sys.stderr.fileno())
    os.environ.update(env)
    os.chdir(folder)
    sys.dont_write_bytecode = False
    ours = [str(folder), str(folder / "tests")]
    sys.path[:] = [*ours, *(path for path in sys.path if Path(path) not in {ROOT, ROOT / "tests", Path()})]
    sys.exit(pytest.main(command))
