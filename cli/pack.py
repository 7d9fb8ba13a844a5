"""Pack a folder: the same files always give the same bytes, so that what was sent once is not sent again."""

import gzip
import hashlib
import io
import os
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One line of an ignore file."""

    pattern: str
    keeps: bool
    folders_only: bool

    def matches(self, path: str, *, folder: bool) -> bool:
        """Say whether the rule speaks of `path`, which is relative with slashes."""
        if self.folders_only and not folder:
            return False
        if "/" in self.pattern:
            return fnmatchcase(path, self.pattern.lstrip("/"))
        return fnmatchcase(path.rpartition("/")[2], self.pattern)


def read_rules(folder: Path) -> tuple[Rule, ...]:
    """Return what is never packed and what `.assayignore` adds; the last matching rule decides."""
    file = folder / IGNORE_FILE
    lines = file.read_text().splitlines() if file.is_file() else []
    return tuple(_rule(line.strip()) for line in (*ALWAYS_IGNORED, *lines) if line.strip() and line[0] != "#")


def _rule(line: str) -> Rule:
    keeps = line.startswith("!")
    text = line.removeprefix("!")
    return Rule(pattern=text.rstrip("/"), keeps=keeps, folders_only=text.endswith("/"))


def pack(folder: Path) -> Packed:
    """Pack `folder` into a temporary tar.gz. Raises: UsageError when it is too large or no folder."""
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder")
    with tempfile.NamedTemporaryFile(prefix="assay-", suffix=".tar.gz", delete=False) as target:
        file = Path(target.name)
        try:
            with (
                gzip.GzipFile(filename="", mode="wb", fileobj=target, mtime=0, compresslevel=6) as compressed,
                tarfile.open(fileobj=compressed, mode="w", format=tarfile.PAX_FORMAT) as tar,
            ):
                _add_all(tar, folder)
        except BaseException:
            file.unlink()
            raise
    return _measured(file, folder)


def _measured(file: Path, folder: Path) -> Packed:
    size = file.stat().st_size
    if size > PACKED_LIMIT:
        file.unlink()
        raise UsageError(f"{folder} is {size} bytes when packed, {PACKED_LIMIT} at most: name files in {IGNORE_FILE}")
    with file.open("rb") as stream:
        return Packed(file=file, sha256=hashlib.file_digest(stream, "sha256").hexdigest(), size=size)


def _add_all(tar: tarfile.TarFile, folder: Path) -> None:
    total = 0
    for count, path in enumerate(files(folder), start=1):
        data = path.read_bytes()
        total += len(data)
        if total > UNPACKED_LIMIT or count > MEMBER_LIMIT:
            limits = f"{UNPACKED_LIMIT} bytes in {MEMBER_LIMIT} files at most"
            raise UsageError(f"{folder} is too large, {limits}: name files in {IGNORE_FILE}")
        tar.addfile(_member(path, path.relative_to(folder).as_posix(), len(data)), io.BytesIO(data))


def _member(path: Path, name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size = size
    member.mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
    return member


def files(folder: Path) -> Iterator[Path]:
    """Yield the regular files to pack, in one order everywhere. Links are left out: they may lead elsewhere."""
    rules = read_rules(folder)
    for parent, names, plain in os.walk(folder):
        here = Path(parent)
        names[:] = sorted(n for n in names if not _ignored(rules, (here / n).relative_to(folder), folder=True))
        for name in sorted(plain):
            path = here / name
            if path.is_symlink() or not path.is_file():
                continue
            if not _ignored(rules, path.relative_to(folder), folder=False):
                yield path


def _ignored(rules: tuple[Rule, ...], relative: Path, *, folder: bool) -> bool:
    said = [rule for rule in rules if rule.matches(relative.as_posix(), folder=folder)]
    return bool(said) and not said[-1].keeps
