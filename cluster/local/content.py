"""Puts the content of a test into its `work/` folder: whole or not at all, and nothing outside of the folder."""

import errno
import gzip
import hashlib
import io
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from cluster import atomic_folder
from cluster.local import archive, git
from cluster.local.guarded_command import never
from model.content import ArchiveContent, ArtifactContent, GitContent, InlineContent, TestContent, entry_paths
from model.ports import Contents, UnknownContentError

LARGEST_PACKED = 50 * 2**20
LARGEST_UNPACKED = 500 * 2**20
MOST_MEMBERS = 20_000
PLAIN, PROGRAM = 0o644, 0o755
"""Modes of files, and of programs and folders, whatever the umask of the worker."""
LARGEST_INLINE = 2**20
_PIECE = 2**20
_OUR_FAULT = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EMFILE, errno.ENFILE}


class ContentError(ValueError):
    """The content is missing or may not be used. The author of the request must change it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where content may come from.

    `contents` holds what was sent by `PUT /api/v1/content/{sha256}`. `allowed_hosts` are private hosts that git may
    clone from, `ca_file` has their certificate authority where it is not a public one. `commit` is cloned instead of
    the head of the branch. `stopped` breaks a clone off.
    """

    contents: Contents
    allowed_hosts: frozenset[str] = frozenset()
    ca_file: Path | None = None
    commit: str | None = None
    stopped: Callable[[], bool] = never


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """Content in its folder. `entry` is the first file or folder that `content.path` names; `commit` is set for git."""

    entry: Path
    commit: str | None = None


def place(content: TestContent, work: Path, sources: Sources) -> Placed:
    """Fill `work`, unless an earlier call has done so, and return what is to be run in it.

    Raises: ContentError with one sentence for the author of the request; HostAwayError; guarded_command.StoppedError.
    """
    if not work.exists():
        with atomic_folder.draft(work) as draft:
            _fill(content, draft, sources)
            _put(draft, work)
    commit = git.commit_of(work) if isinstance(content, GitContent) else None
    first, *_ = [entry(work, path) for path in entry_paths(content)]
    return Placed(entry=first, commit=commit)


def entry(work: Path, path: str) -> Path:
    """Return the file or folder `path` inside `work`. Raises: ContentError if it is not there, or is outside."""
    inside = work / _relative(path, "path")
    if not inside.exists():
        raise ContentError(f"path: {path!r} is not in the content")
    if not inside.resolve().is_relative_to(work.resolve()):
        raise ContentError(f"path: {path!r} leads out of the content")
    return inside


def _put(draft: Path, work: Path) -> None:
    """Move a complete draft to `work`. If another worker was first, its folder stays: its test may be running there."""
    if not work.exists():
        try:
            draft.rename(work)
        except OSError as error:
            if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
                raise


def _fill(content: TestContent, folder: Path, sources: Sources) -> None:
    match content:
        case InlineContent():
            _write(content.files, folder)
        case ArtifactContent():
            _unpack(sources.contents, content.sha256, folder)
        case GitContent():
            try:
                git.clone(content.repository, content.branch, folder, _policy(sources), sources.commit)
            except git.GitError as error:
                raise ContentError(str(error)) from error
        case ArchiveContent():
            _download(content, folder, sources)


def _download(content: ArchiveContent, folder: Path, sources: Sources) -> None:
    policy = archive.Policy(
        largest=LARGEST_PACKED,
        allowed_hosts=sources.allowed_hosts,
        ca_file=sources.ca_file,
        stopped=sources.stopped,
    )
    with tempfile.TemporaryFile(dir=folder.parent) as file:
        try:
            archive.download(content.url, file, policy)
        except archive.ArchiveError as error:
            raise ContentError(str(error)) from error
        found = _digest(file)
        if found != content.sha256:
            raise ContentError(f"sha256: the archive at {content.url} has the digest {found}")
        _extract_whole(file, content.sha256, folder)


def _policy(sources: Sources) -> git.Policy:
    return git.Policy(
        allowed_hosts=sources.allowed_hosts,
        ca_file=sources.ca_file,
        largest=LARGEST_UNPACKED,
        stopped=sources.stopped,
    )


def _relative(path: str, what: str) -> PurePosixPath:
    """Return `path` normalised. Raises: ContentError if it is absolute, has `..`, or has characters no path needs."""
    pure = PurePosixPath(path)
    if not path or pure.is_absolute() or ".." in pure.parts or any(c in path for c in "\\\x00"):
        raise ContentError(f"{what}: {path[:200]!r} must be a relative path with '/' that stays inside the content")
    return pure


def _write(files: dict[str, str], folder: Path) -> None:
    if sum(len(text.encode()) for text in files.values()) > LARGEST_INLINE:
        raise ContentError(f"files: more than {LARGEST_INLINE} bytes; send them as an artifact")
    for name, text in files.items():
        target = folder / _relative(name, "files")
        try:
            _make_folder(target.parent, folder)
            with target.open("x", encoding="utf-8", newline="") as file:
                file.write(text)
            target.chmod(PROGRAM if text.startswith("#!") else PLAIN)
        except OSError as error:  # both "a" and "a/b" were given, or a name is too long
            raise ContentError(f"files: {name[:200]!r} cannot be written: {error.strerror}") from error


def _unpack(contents: Contents, sha256: str, folder: Path) -> None:
    try:
        file = contents.open(sha256)
    except UnknownContentError as error:
        raise ContentError(f"sha256: {sha256} was not sent; PUT /api/v1/content/{sha256} first") from error
    with file:
        _verify(file, sha256)
        _extract_whole(file, sha256, folder)


def _extract_whole(file: BinaryIO, sha256: str, folder: Path) -> None:
    """Unpack an archive whose digest is right. Raises: ContentError if it is none."""
    try:
        extract(file, folder)
    except OSError as error:
        if error.errno in _OUR_FAULT:
            raise
        raise ContentError(f"sha256: {sha256} is not a usable tar.gz: {error}") from error
    except (tarfile.TarError, EOFError, zlib.error, UnicodeError) as error:
        raise ContentError(f"sha256: {sha256} is not a usable tar.gz: {error}") from error


def _verify(file: BinaryIO, sha256: str) -> None:
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    if size > LARGEST_PACKED:
        raise ContentError(f"sha256: {size} bytes, but packed content has at most {LARGEST_PACKED}")
    if _digest(file) != sha256:
        raise ContentError(f"sha256: what was kept as {sha256} is something else; send it again")


def _digest(file: BinaryIO) -> str:
    """Return the digest of a whole file, and go back to its begin."""
    digest = hashlib.sha256()
    file.seek(0)
    while piece := file.read(_PIECE):
        digest.update(piece)
    file.seek(0)
    return digest.hexdigest()


def extract(file: BinaryIO, folder: Path) -> None:
    """Unpack plain files and folders, and check each member before it is written.

    All links are refused: the standard library's filter has let some lead outside (CVE-2025-4517).
    """
    unpacked = 0
    with gzip.open(file) as plain, tarfile.open(fileobj=_Sips(plain), mode="r:") as archive:
        for number, member in enumerate(archive, start=1):
            unpacked += member.size
            if number > MOST_MEMBERS:
                raise ContentError(f"the archive holds more than {MOST_MEMBERS} files")
            if unpacked > LARGEST_UNPACKED:
                raise ContentError(f"the archive unpacks to more than {LARGEST_UNPACKED} bytes")
            if not (member.isdir() or member.isreg()) or member.issparse():
                raise ContentError(f"{member.name[:200]!r} is a link or a device; only files and folders are unpacked")
            target = folder / _relative(member.name, "archive")
            _make_folder(target if member.isdir() else target.parent, folder)
            if member.isreg():
                _extract_member(archive, member, target)


def _make_folder(folder: Path, top: Path) -> None:
    """Make `folder` inside `top`, and what is between them, with the usual mode. The worker's umask is not a test's."""
    made: list[Path] = []
    while folder != top and not folder.exists():
        made.append(folder)
        folder = folder.parent
    for part in reversed(made):
        part.mkdir()
        part.chmod(PROGRAM)


def _extract_member(archive: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    """Write one file. The standard library is not used: it extracts safely only from Python 3.11.4 on."""
    source = archive.extractfile(member)
    with target.open("wb") as file:
        if source is not None:
            shutil.copyfileobj(source, file, _PIECE)
    target.chmod(PROGRAM if member.mode & 0o100 else PLAIN)


class _Sips(io.RawIOBase):
    """Limits each read of the tar reader: the size of a header's text is whatever the archive claims."""

    def __init__(self, plain: gzip.GzipFile) -> None:
        self._plain = plain

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        if not 0 <= size <= _PIECE:
            raise tarfile.ReadError("a header is larger than any honest one")
        return self._plain.read(size)

    def tell(self) -> int:
        return self._plain.tell()

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        if whence == io.SEEK_SET and offset > 2 * LARGEST_UNPACKED:
            raise tarfile.ReadError("a file is larger than any honest one")
        return self._plain.seek(offset, whence)
