"""Stores the files that a run leaves. A test wrote them, so they may be anything."""

import mimetypes
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from cluster import atomic_folder
from model.ids import ExecutionId
from model.mask import NOTHING_SECRET, Mask
from model.ports import ArtifactError
from model.result import Artifact, ArtifactType

MOST_FILES = 100
LARGEST_FILE = 200 * 10**6
LARGEST_SUM = 500 * 10**6
LONGEST_NAME = 500
MOST_LOOKED_AT = 10_000
DEEPEST = 16
LEFT_OUT, HEADING = "left-out.txt", "Not kept of what the run left:"
LARGEST_LIST = 65_536
_PIECE = 1 << 20
_TYPES = {"image": ArtifactType.SCREENSHOT, "video": ArtifactType.VIDEO}
_LOGS = {".log", ".txt", ".out", ".err"}
_REPORTS = {".xml", ".html", ".htm", ".json", ".jsonl", ".md", ".csv"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much of one attempt is kept; the rest is named in `left-out.txt`."""

    files: int = MOST_FILES
    file_bytes: int = LARGEST_FILE
    sum_bytes: int = LARGEST_SUM


class ArtifactStore:
    """Artifacts as files in a folder: the port `model.ports.Artifacts`.

    A URI is `file:<execution>/<attempt>/<name>`, relative to the folder. Each attempt is a link to the folder that was
    last completed for it.
    """

    def __init__(self, folder: Path, limits: Limits | None = None) -> None:
        self._folder = folder
        self._limits = limits or Limits()

    def keep(
        self, execution_id: ExecutionId, attempt: int, results: Path, mask: Mask = NOTHING_SECRET
    ) -> list[Artifact]:
        """Copy what `results` holds, masked, and return it in order of name. The same call again does the same.

        Only regular files within the limits are kept. One more artifact, `left-out.txt`, names what is left out.
        """
        target = self._folder / str(execution_id) / str(attempt)
        with atomic_folder.draft(target) as draft:
            files = draft / "files"
            files.mkdir(mode=0o700)
            left_out = self._copy_all(results, files, mask)
            if left_out:
                (files / LEFT_OUT).write_text("\n".join([HEADING, *left_out]) + "\n")
            kept = sorted(file.relative_to(files).as_posix() for file in files.rglob("*") if file.is_file())
            artifacts = [self._artifact(files, target, name) for name in kept]
            _show(draft, target)
        atomic_folder.remove_left(target)
        return artifacts

    def path(self, uri: str) -> Path:
        """Return the file behind a URI. Raises: ArtifactError if there is none, or none of ours."""
        scheme, _, name = uri.partition(":")
        file = self._folder / name
        inside = scheme == "file" and name and "\0" not in name and ".." not in Path(name).parts
        if not inside or Path(name).is_absolute() or not file.is_file():
            raise ArtifactError(f"{uri[:200]} is not kept here")
        return file

    def open(self, uri: str) -> BinaryIO:
        """Open what a URI names, for reading. Raises: ArtifactError like `path`."""
        return self.path(uri).open("rb")

    def _artifact(self, files: Path, target: Path, name: str) -> Artifact:
        return Artifact(
            name=name,
            type=_type(name),
            uri=f"file:{(target / name).relative_to(self._folder).as_posix()}",
            size_bytes=(files / name).stat().st_size,
            content_type=mimetypes.guess_type(name)[0] or "application/octet-stream",
        )

    def _copy_all(self, results: Path, draft: Path, mask: Mask) -> list[str]:
        """Copy within the limits; return what was left out, a line each with the reason."""
        left_out: list[str] = []
        files = total = 0
        for name, problem in _found(results):
            reason = problem or (f"more than {self._limits.files} files" if files >= self._limits.files else "")
            if not reason:
                room = min(self._limits.file_bytes, self._limits.sum_bytes - total)
                copied = _copy(results / name, draft / name, room, mask)
                if isinstance(copied, int):
                    files, total = files + 1, total + copied
                    continue
                reason = copied
            lines = _left_before(results / LEFT_OUT) if name == LEFT_OUT else []
            left_out += lines or [f"{_shown(name)}: {reason}"]
        return left_out if len(left_out) <= MOST_FILES else [*left_out[:MOST_FILES], f"and {len(left_out)} in all"]


def _show(draft: Path, target: Path) -> None:
    """Make `target` show the files of `draft` in one step: a link can be replaced atomically, a folder cannot."""
    link = draft / "link"
    link.symlink_to(Path(draft.name) / "files")  # relative to where the link is moved next
    link.replace(target)


def _found(results: Path) -> Iterator[tuple[str, str]]:
    """Yield the relative path of each file below `results` with the reason why it cannot be kept, empty if it can.

    A bounded number of entries is looked at.
    """
    looked_at = 0
    waiting = [] if results.is_symlink() else [""]  # a test may have replaced the folder by a link
    while waiting:
        folder = waiting.pop()
        for entry in _listing(results / folder):
            name = f"{folder}/{entry.name}" if folder else entry.name
            looked_at += 1
            if looked_at > MOST_LOOKED_AT:
                yield name, f"this and what follows: more than {MOST_LOOKED_AT} entries"
                return
            if entry.is_dir(follow_symlinks=False) and name.count("/") < DEEPEST:
                waiting.append(name)
            else:
                yield name, _problem(name, entry)


def _listing(folder: Path) -> list["os.DirEntry[str]"]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError:  # removed by the test
        return []


def _problem(name: str, entry: "os.DirEntry[str]") -> str:
    if entry.is_symlink():
        return "a symbolic link"
    if not entry.is_file(follow_symlinks=False):
        return "not a regular file, or too deep"
    if len(name) > LONGEST_NAME or "\\" in name or not name.isprintable():
        return "its name is too long or cannot be printed"
    return "that name is ours" if name == LEFT_OUT else ""


def _copy(source: Path, target: Path, room: int, mask: Mask) -> int | str:
    """Copy one file of at most `room` bytes; return its size, or why it was not copied."""
    try:
        descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    with os.fdopen(descriptor, "rb") as file:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            return "not a regular file"
        if facts.st_size > room:
            return f"{facts.st_size} bytes, more than the {room} there is room for"
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with target.open("xb") as out:
            return _pour(file, out, facts.st_size, mask)


def _pour(file: BinaryIO, out: BinaryIO, size: int, mask: Mask) -> int:
    """Copy `size` bytes, masked in pieces that overlap."""
    taken = 0
    while taken < size:
        before = max(0, taken - mask.reach)
        file.seek(before)
        window = file.read(min(size, before + max(_PIECE, 4 * mask.reach)) - before)
        if len(window) <= taken - before:
            break  # the file has become shorter: what there was has been copied
        final = before + len(window) >= size
        taken += out.write(mask.part(window, taken - before, final=final))
    return taken


def _type(name: str) -> ArtifactType:
    suffix = Path(name).suffix.lower()
    if suffix in _LOGS:
        return ArtifactType.LOG
    if suffix in _REPORTS:
        return ArtifactType.REPORT
    return _TYPES.get((mimetypes.guess_type(name)[0] or "").partition("/")[0], ArtifactType.OTHER)


def _left_before(file: Path) -> list[str]:
    """Return the lines by which a backend says what it could not bring; none if the file is something else."""
    try:
        with os.fdopen(os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as known:
            first, *lines = known.read(LARGEST_LIST).decode(errors="replace").splitlines() or [""]
    except OSError:
        return []
    return [_shown(line) for line in lines] if first == HEADING else []


def _shown(name: str) -> str:
    return name[:200].encode("unicode_escape").decode() if not name.isprintable() else name[:200]
