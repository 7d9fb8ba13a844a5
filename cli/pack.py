"""Packs a folder. The same files always give the same bytes, so that a folder is not sent twice."""

import gzip
import hashlib
import io
import os
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from pathspec import GitIgnoreSpec, PathSpec

from cli.failure import UsageError

PACKED_LIMIT = 50 * 2**20
UNPACKED_LIMIT = 500 * 2**20
MEMBER_LIMIT = 20_000
IGNORE_FILE = ".assayignore"
ALWAYS_IGNORED = (".git/", "__pycache__/", ".pytest_cache/", ".venv/", ".assay/", "*.pyc")


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """A packed folder, in a temporary file that the caller removes."""

    file: Path
    sha256: str
    size: int
    left_out: tuple[str, ...] = ()
    """The symbolic links that were not followed, with the reason."""


class Ignored:
    """What is not packed: what never is, and what `.assayignore` adds, in the syntax of `.gitignore`.

    The last pattern that matches decides. pathspec's rules for files keep `!*/` from bringing back all that is in a
    folder; for folders themselves its plain order is what git does.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        self._files = GitIgnoreSpec.from_lines([*ALWAYS_IGNORED, *lines])
        self._folders = PathSpec(self._files.patterns)

    def file(self, path: str) -> bool:
        """Return whether a file is left out, if the folder that it is in is not."""
        return self._files.match_file(path)

    def folder(self, path: str) -> bool:
        """Return whether a whole folder is left out. `sub/**` means what is in `sub`, not `sub` itself."""
        found = self._folders.check_file(f"{path}/")
        if not found.include or found.index is None:
            return False
        return not str(self._folders.patterns[found.index].pattern).endswith("/**")


def read_ignored(folder: Path) -> Ignored:
    """Read the ignore file of a folder. Raises: UsageError naming the file that cannot be read."""
    file = folder / IGNORE_FILE
    try:
        return Ignored(file.read_text(encoding="utf-8").splitlines() if file.is_file() else [])
    except (OSError, ValueError) as error:
        raise UsageError(f"{file} cannot be read: {error}") from error


def pack(folder: Path) -> Packed:
    """Pack `folder` into a temporary tar.gz. Raises: UsageError when it is too large or no folder."""
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder")
    with tempfile.NamedTemporaryFile(prefix="assay-", suffix=".tar.gz", delete=False) as target:
        file, tree = Path(target.name), Tree(folder)
        try:
            with (
                gzip.GzipFile(filename="", mode="wb", fileobj=target, mtime=0, compresslevel=6) as compressed,
                tarfile.open(fileobj=compressed, mode="w", format=tarfile.PAX_FORMAT) as tar,
            ):
                _add_all(tar, folder, tree.files())
        except BaseException:
            file.unlink()
            raise
    return replace(_measured(file, folder), left_out=tuple(tree.left_out))


def _measured(file: Path, folder: Path) -> Packed:
    size = file.stat().st_size
    if size > PACKED_LIMIT:
        file.unlink()
        raise UsageError(
            f"{folder} is {size} bytes when packed, at most {PACKED_LIMIT} are allowed: exclude files in {IGNORE_FILE}"
        )
    with file.open("rb") as stream:
        return Packed(file=file, sha256=hashlib.file_digest(stream, "sha256").hexdigest(), size=size)


def _add_all(tar: tarfile.TarFile, folder: Path, packed: Iterator[Path]) -> None:
    total = 0
    for count, path in enumerate(packed, start=1):
        data = path.read_bytes()
        total += len(data)
        if total > UNPACKED_LIMIT or count > MEMBER_LIMIT:
            limits = f"at most {UNPACKED_LIMIT} bytes in {MEMBER_LIMIT} files are allowed"
            raise UsageError(f"{folder} is too large, {limits}: exclude files in {IGNORE_FILE}")
        tar.addfile(_member(path, path.relative_to(folder).as_posix(), len(data)), io.BytesIO(data))


def _member(path: Path, name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size = size
    member.mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
    return member


def files(folder: Path) -> Iterator[Path]:
    """Yield the regular files to pack, in one order everywhere. Links are followed where they stay in the folder."""
    return Tree(folder).files()


class Tree:
    """A folder that is packed. `left_out` names the links that are not, with the reason, once `files` is through."""

    def __init__(self, folder: Path) -> None:
        self.left_out: list[str] = []
        self._folder = folder
        self._root = folder.resolve()
        self._ignored = read_ignored(folder)

    def files(self) -> Iterator[Path]:
        """Yield the files: those of a folder first, then those of the folders in it."""
        yield from self._files(Path(), (self._root,))

    def _files(self, inside: Path, above: tuple[Path, ...]) -> Iterator[Path]:
        folders = []
        for entry in self._entries(inside):
            name = (inside / entry.name).as_posix()
            if self._is_ignored(entry, name) or (entry.is_symlink() and self._leads_away(entry, name, above)):
                continue
            if entry.is_dir():
                folders.append(inside / entry.name)
            elif entry.is_file():
                yield self._folder / inside / entry.name
        for each in folders:
            yield from self._files(each, (*above, (self._folder / each).resolve()))

    def _entries(self, inside: Path) -> "list[os.DirEntry[str]]":
        try:
            with os.scandir(self._folder / inside) as found:
                return sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            raise UsageError(f"{self._folder / inside} cannot be read: {error.strerror}") from error

    def _is_ignored(self, entry: "os.DirEntry[str]", name: str) -> bool:
        if entry.is_symlink():
            return self._ignored.file(name) or self._ignored.folder(name)
        return self._ignored.folder(name) if entry.is_dir() else self._ignored.file(name)

    def _leads_away(self, entry: "os.DirEntry[str]", name: str, above: tuple[Path, ...]) -> bool:
        """Say whether a link is not followed, and note why."""
        why = self._why_not(Path(entry.path), above)
        if why:
            self.left_out.append(f"{name}: {why}")
        return bool(why)

    def _why_not(self, link: Path, above: tuple[Path, ...]) -> str | None:
        try:
            target = link.resolve(strict=True)
        except (OSError, RuntimeError):  # up to Python 3.12 a link to itself is a RuntimeError
            return "its target does not exist"
        if not target.is_relative_to(self._root):
            return "it leads out of the folder"
        if target in above:
            return "it leads to a folder that it is in"
        if self._is_left_out(target.relative_to(self._root), folder=target.is_dir()):
            return "its target is ignored"
        return None

    def _is_left_out(self, inside: Path, *, folder: bool) -> bool:
        folders = [each.as_posix() for each in reversed(inside.parents[:-1])]
        if any(self._ignored.folder(each) for each in folders):
            return True
        return self._ignored.folder(inside.as_posix()) if folder else self._ignored.file(inside.as_posix())
