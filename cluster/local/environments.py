"""Virtual environments for tests, made once for each set of requirements and shared by all runs that have it.

A folder is used only when it holds `.complete`, which is written last; a lock makes one builder of many. It is built
in its final place and not renamed into it: programs in a virtual environment know their own path.
"""

import fcntl
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from uv import find_uv_bin

BUILD_PATIENCE = 900.0
COMPLETE = ".complete"
_PASSED_ON = re.compile(
    r"PATH|HOME|LANG|TMPDIR|UV_.*|XDG_(CACHE|CONFIG|DATA)_.*|SSL_CERT_.*|(?i:(https?|all|no)_proxy)"
)
"""What the installer sees of our environment: where packages come from, and no more. It may run a package's code."""
_LARGEST_TREE = 10_000


class BuildError(ValueError):
    """The environment of a test cannot be made, mostly since its requirements cannot be met. Its author must act."""


def python_for(venvs: Path, requirements: Path | None, base: Path, patience: float = BUILD_PATIENCE) -> Path:
    """Return the interpreter of an environment with what the file `requirements` asks for, and pytest.

    `base` is a hashed requirements file for pytest itself: all there is without `requirements`, and what is added where
    those bring no pytest of their own. The second call with the same files needs no network.
    Raises: BuildError with the installer's own words.
    """
    folder = venvs / _key(requirements, base)
    if not (folder / COMPLETE).exists():
        with _only_builder(folder):
            if not (folder / COMPLETE).exists():
                _build(folder, requirements, base, patience)
    return folder / "bin" / "python"


def ready(venvs: Path, requirements: Path | None, base: Path) -> bool:
    """Return whether `python_for` would return at once: nothing to build, and nobody to wait for."""
    try:
        return (venvs / _key(requirements, base) / COMPLETE).exists()
    except BuildError:
        return False


def _build(folder: Path, requirements: Path | None, base: Path, patience: float) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    _uv(["venv", "--quiet", "--no-project", "--python", _interpreter(), str(folder)], folder.parent, patience)
    install = ["pip", "install", "--quiet", "--no-editable", "--compile-bytecode", "--python", str(folder)]
    if requirements is not None:
        _uv([*install, "-r", str(requirements.resolve())], requirements.resolve().parent, patience)
    if not any(folder.glob("lib/python*/site-packages/pytest/__init__.py")):
        _uv([*install, "--require-hashes", "-r", str(base.resolve())], folder.parent, patience)
    (folder / COMPLETE).touch()


def _interpreter() -> str:
    """Return the Python that our own environment was made from: it stays when ours is made anew."""
    return str(getattr(sys, "_base_executable", "") or sys.executable)


def _uv(arguments: Sequence[str], where: Path, patience: float) -> None:
    """Run the installer in `where`, to which relative paths in requirements refer."""
    process = subprocess.Popen(
        [find_uv_bin(), "--system-certs", *arguments],
        cwd=where,
        env={name: value for name, value in os.environ.items() if _PASSED_ON.fullmatch(name)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        said, _ = process.communicate(timeout=patience)
    except subprocess.TimeoutExpired as error:
        raise BuildError(f"setup.requirements: installing took more than {patience:g} s") from error
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    if process.returncode:
        raise BuildError(f"setup.requirements cannot be installed: {said.decode(errors='replace').strip()[-2000:]}")


@contextmanager
def _only_builder(folder: Path) -> Iterator[None]:
    """Wait until no other process builds in `folder`."""
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _key(requirements: Path | None, base: Path) -> str:
    """Return a digest of all that decides what is installed: both files, what they refer to, and our Python."""
    digest = hashlib.sha256(f"{sys.version}\0{_interpreter()}\0".encode())
    digest.update(base.read_bytes())
    if requirements is not None:
        if not requirements.is_file():
            raise BuildError(f"setup.requirements: there is no file {requirements.name} in the content")
        for path in sorted(_referred(requirements)):
            _add(digest, path, requirements.parent)
    return digest.hexdigest()[:32]


def _referred(requirements: Path) -> set[Path]:
    """Return the file and all existing files and folders that its words name, and so on through further files."""
    found: set[Path] = set()
    waiting = [requirements]
    while waiting:
        file = waiting.pop()
        if file in found:
            continue
        found.add(file)
        if file.is_file() and file.suffix in {".txt", ".in", ""}:
            waiting.extend(_named(file, requirements.parent))
    return found


def _named(file: Path, folder: Path) -> Iterator[Path]:
    words = re.split(r"[\s=@,;\[\]]+|file:(?://)?", file.read_text(encoding="utf-8", errors="replace"))
    for word in set(words):
        if word and word[0] != "#" and len(word) < 1024:  # noqa: PLR2004  longer ones are no paths
            for place in {folder, file.parent}:
                if (place / word).exists():
                    yield place / word


def _add(digest: "hashlib._Hash", path: Path, folder: Path) -> None:
    """Add a file, or all files of a folder, by name and content."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    if len(files) > _LARGEST_TREE:
        raise BuildError(f"setup.requirements refers to {path.name}, which holds more than {_LARGEST_TREE} files")
    for file in files:
        if file.is_file():
            digest.update(f"\0{os.path.relpath(file, folder)}\0".encode(errors="surrogateescape"))
            digest.update(hashlib.sha256(file.read_bytes()).digest())
