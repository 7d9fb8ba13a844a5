"""Virtual environments for tests, made once for each set of requirements and shared by all runs that have it.

A folder is used only when it holds `.complete`, which is written last. A lock allows one builder at a time. The folder
is built in its final place and not renamed: programs in a virtual environment know their own path. The installer holds
the lock, too: if its builder is killed, the next builder waits until nothing writes into the folder any more.
"""

import fcntl
import hashlib
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from uv import find_uv_bin

from cluster.local import guarded_command
from cluster.local.guarded_command import GuardedCommand, StoppedError, never
from cluster.local.unreachable import HostAwayError, is_away

BUILD_PATIENCE = 900.0
COMPLETE = ".complete"
_PASSED_ON = re.compile(
    r"PATH|HOME|LANG|TMPDIR|UV_.*|XDG_(CACHE|CONFIG|DATA)_.*|SSL_CERT_.*|(?i:(https?|all|no)_proxy)"
)
"""The variables that the installer gets: only where packages come from, since it may run the code of a package."""
_LARGEST_TREE = 10_000
_LAST_WORDS = 2000


class BuildError(ValueError):
    """The environment of a test cannot be made, mostly because its requirements cannot be met. Its author must act."""

    def __init__(self, said: str) -> None:
        super().__init__(f"setup.requirements cannot be installed: {said}")
        self.said = said


class OwnError(Exception):
    """What Assay installs by itself cannot be installed. The operator of the worker must act."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where environments are built, how long one call of the installer may take, and what breaks it off."""

    venvs: Path
    patience: float = BUILD_PATIENCE
    stopped: Callable[[], bool] = never


def python_for(site: Site, requirements: Path | None, base: Path, *, module: str = "pytest") -> Path:
    """Return the interpreter of an environment with what the file `requirements` asks for, and what the tool needs.

    `base` is a hashed requirements file of the tool: all there is without `requirements`, and what is added where
    those do not bring the package `module`. The second call with the same files needs no network.
    Raises: BuildError with the installer's own words; HostAwayError if the registry does not answer; OwnError;
    StoppedError, also while another one builds the same.
    """
    folder = site.venvs / _key(requirements, base)
    if not (folder / COMPLETE).exists():
        with _only_builder(folder, site.stopped) as lock:
            if not (folder / COMPLETE).exists():
                _Build(site=site, folder=folder, lock=lock, module=module).make(requirements, base)
    return folder / "bin" / "python"


def ready(venvs: Path, requirements: Path | None, base: Path) -> bool:
    """Return whether `python_for` would return at once, with nothing to build or to wait for."""
    try:
        return (venvs / _key(requirements, base) / COMPLETE).exists()
    except BuildError:
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Build:
    """One environment under construction."""

    site: Site
    folder: Path
    lock: int
    module: str

    def make(self, requirements: Path | None, base: Path) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        where = str(self.folder)
        self._our_own(["venv", "--quiet", "--no-project", "--python", _interpreter(), where])
        install = ["pip", "install", "--quiet", "--no-editable", "--compile-bytecode", "--python", where]
        if requirements is not None:
            self._uv([*install, "-r", str(requirements.resolve())], requirements.resolve().parent)
        if not any(self.folder.glob(f"lib/python*/site-packages/{self.module}/__init__.py")):
            self._our_own([*install, "--require-hashes", "-r", str(base.resolve())])
        (self.folder / COMPLETE).touch()

    def _our_own(self, arguments: Sequence[str]) -> None:
        """Run the installer for what the request does not ask for."""
        try:
            self._uv(arguments, self.folder.parent)
        except BuildError as error:
            raise OwnError(f"the environment of the tool itself cannot be made: {error.said}") from error

    def _uv(self, arguments: Sequence[str], where: Path) -> None:
        """Run the installer in `where`, to which relative paths in requirements refer."""
        env = {name: value for name, value in os.environ.items() if _PASSED_ON.fullmatch(name)}
        command = (find_uv_bin(), "--system-certs", *arguments)
        with tempfile.TemporaryFile() as words:
            wanted = GuardedCommand(command=command, cwd=where, env=env, words=words, locks=(self.lock,))
            code = guarded_command.run(wanted, self._look())
            words.seek(-min(_LAST_WORDS, words.seek(0, os.SEEK_END)), os.SEEK_END)
            said = words.read().decode(errors="replace").strip()
        if code:
            raise HostAwayError(f"the package registry does not answer: {said}") if is_away(said) else BuildError(said)

    def _look(self) -> Callable[[], None]:
        """Return a function that raises when the installer is to be broken off."""
        deadline = time.monotonic() + self.site.patience

        def look() -> None:
            if self.site.stopped():
                raise StoppedError
            if time.monotonic() > deadline:
                raise BuildError(f"it took more than {self.site.patience:g} s")

        return look


def _interpreter() -> str:
    """Return the Python that our own environment was made from. It stays when our environment is made again."""
    return str(getattr(sys, "_base_executable", "") or sys.executable)


@contextmanager
def _only_builder(folder: Path, stopped: Callable[[], bool]) -> Iterator[int]:
    """Hold the lock of `folder`, once no builder and no installer holds it. Raises: StoppedError."""
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        while not _locked(lock.fileno()):
            if stopped():
                raise StoppedError
            time.sleep(guarded_command.LOOK_SECONDS)
        yield lock.fileno()


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _key(requirements: Path | None, base: Path) -> str:
    """Return a digest of everything that decides what is installed: both files, what they refer to, and our Python."""
    digest = hashlib.sha256(f"{sys.version}\0{_interpreter()}\0".encode())
    digest.update(base.read_bytes())
    if requirements is not None:
        if not requirements.is_file():
            raise BuildError(f"there is no file {requirements.name} in the content")
        for path in sorted(_referred(requirements)):
            _add(digest, path, requirements.parent)
    return digest.hexdigest()[:32]


def _referred(requirements: Path) -> set[Path]:
    """Return the file and all existing files and folders that it names, also through further requirements files."""
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
        raise BuildError(f"they refer to {path.name}, which holds more than {_LARGEST_TREE} files")
    for file in files:
        if file.is_file():
            digest.update(f"\0{os.path.relpath(file, folder)}\0".encode(errors="surrogateescape"))
            digest.update(hashlib.sha256(file.read_bytes()).digest())
