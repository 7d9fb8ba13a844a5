"""Copies of the checkout, in which modules may be changed and tests run."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PASSED, TIMED_OUT = 0, -1
LONG_AGO = 1_000_000_000
"""A time that no compiled module was made for, so that Python compiles a changed module anew."""


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
    os.utime(path, (LONG_AGO, LONG_AGO))
    try:
        yield
    finally:
        path.write_bytes(kept)
        os.utime(path, ns=(stamp, stamp))


def run(folder: Path, tests: Sequence[str], arguments: Sequence[str], patience: float, **env: str) -> tuple[int, str]:
    """Run test files in a copy, with the same examples each time; return pytest's exit code and the end of its output.

    A run that takes longer than `patience` seconds is ended, and has the code `TIMED_OUT`.
    """
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *arguments, *tests]
    with subprocess.Popen(
        command,
        cwd=folder,
        env={**_environment(folder), **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            output, _ = process.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.communicate()
            return TIMED_OUT, ""
    return process.returncode, output[-3000:]


def _environment(folder: Path) -> Mapping[str, str]:
    """Return the environment of a run. `CI` makes Hypothesis choose the same examples each time (tests/conftest.py)."""
    ours = {"CI": "1", "PYTHONPATH": f"{folder}{os.pathsep}{folder / 'tests'}", "PYTHONDONTWRITEBYTECODE": "1"}
    return {**os.environ, **ours}
