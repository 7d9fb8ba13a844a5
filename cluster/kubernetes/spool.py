"""Brings output, results and usage of an attempt from its keeper to the worker's disk. All of it blocks."""

import fcntl
import shutil
import tarfile
import zlib
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from pydantic import BaseModel, ConfigDict, ValidationError

from cluster import removal
from cluster.backend import LOG_LIMIT, Spooled, UnavailableError, Usage
from cluster.kubernetes import exec_stream, pod_paths
from cluster.kubernetes.connection import Connection
from cluster.kubernetes.exec_stream import PodProgram
from cluster.kubernetes.results import LARGEST_LIVE, LIVE
from cluster.local import content

LARGEST_HEADER = 65_536
LARGEST_PACKED = 600 * 2**20
"""Bytes of packed results that are taken. A pod may send anything."""
LARGEST = {"output": LOG_LIMIT, "live": LARGEST_LIVE}
LOSS = (
    "\n[assay: the end of the log and the results are missing: the keeper of the pod ended before they were fetched]\n"
)
PROGRAM = f"{pod_paths.CHOSEN}/lib/cluster/kubernetes/results.py"


class UsageRecord(BaseModel):
    """The last sample of the shim. The test may have written over it."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    memory_bytes: int
    peak_memory_bytes: int
    cpu_seconds: float
    processes: int
    cpu_milli: int = 0
    peak_cpu_milli: int = 0

    def usage(self) -> Usage:
        """Return it as the port's value."""
        return Usage(**self.model_dump())


class Header(BaseModel):
    """The first line of what the keeper sends: how many bytes of output and report follow, and the last sample."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    bytes: int
    live: int = 0
    usage: UsageRecord | None = None


@dataclass(slots=True)
class Incoming:
    """Takes what the keeper sends: a header line, the output, the live report, then the packed results."""

    output: BinaryIO
    live: BinaryIO
    packed: BinaryIO
    usage: Usage | None = None
    headed: bool = False
    size: int = 0
    _left: list[tuple[BinaryIO, int]] = field(default_factory=list)
    _line: bytearray = field(default_factory=bytearray)

    def take(self, piece: bytes) -> None:
        """Take the next bytes. Raises: UnavailableError for what no keeper of ours sends."""
        if not self.headed:
            piece = self._header(piece)
        while piece and self._left:
            file, left = self._left.pop(0)
            file.write(piece[:left])
            if len(piece) < left:
                self._left.insert(0, (file, left - len(piece)))
            piece = piece[left:]
        self.size += len(piece)
        if self.size > LARGEST_PACKED:
            raise UnavailableError("the keeper sends more results than any test may leave")
        self.packed.write(piece)

    def _header(self, piece: bytes) -> bytes:
        """Take bytes up to the end of the header. Return those after it."""
        self._line += piece
        line, end, rest = bytes(self._line).partition(b"\n")
        if not end:
            if len(line) > LARGEST_HEADER:
                raise UnavailableError("the keeper sends no header")
            return b""
        try:
            header = Header.model_validate_json(line)
        except ValidationError as wrong:
            raise UnavailableError(f"the keeper sends no header: {line[:200]!r}") from wrong
        promised = ((self.output, header.bytes, LOG_LIMIT), (self.live, header.live, LARGEST_LIVE))
        self._left = [(file, min(count, most)) for file, count, most in promised if count > 0]
        self.headed = True
        self.usage = header.usage.usage() if header.usage else None
        return rest


@dataclass(frozen=True, slots=True, kw_only=True)
class Spool:
    """The folder of one attempt on the worker's disk. Workers of one machine may share it."""

    folder: Path

    @property
    def files(self) -> Spooled:
        """Where output and results are."""
        return Spooled(output=self.folder / "output.log", results=self.folder / "results")

    @property
    def _brought(self) -> Path:
        return self.folder / "brought"

    def bring(self, connection: Connection, path: str, *, ended: bool) -> Usage | None:
        """Bring what is new, and the results once the attempt has ended. `path` is that of the pod in the API.

        Returns: the last sample. Raises: UnavailableError.
        """
        with self._locked():
            if self._brought.exists():
                return None
            packed = self.folder / "results.tar.gz"
            live = self.files.results / LIVE
            with self.files.output.open("ab") as output, live.open("ab") as report, packed.open("wb") as results:
                incoming = Incoming(output, report, results)
                words = (str(pod_paths.RUN), str(output.tell()), str(report.tell()), "1" if ended else "0")
                command = ["python3", "-I", "-S", PROGRAM, *words]
                program = PodProgram(path=path, container=pod_paths.KEEPER, command=command, take=incoming.take)
                ran = exec_stream.run(connection, program)
            if ran.exit_code:
                raise UnavailableError(f"the keeper cannot send the results: {ran.words[-500:]}")
            if ended:
                self._unpack(packed)
            return incoming.usage

    def append(self, name: str, at: int, data: str) -> bool:
        """Write bytes in base64 where they belong in the output (`output`) or the live report (`live`).

        Return whether nothing is missing before them. Raises: ValueError for what is no base64, or of another file.
        """
        target = {"output": self.files.output, "live": self.files.results / LIVE}.get(name)
        if target is None:
            raise ValueError(f"there is no file {name}")
        piece = b64decode(data, validate=True)
        with self._locked(), target.open("ab") as file:
            known = file.tell()
            if self._brought.exists() or at + len(piece) <= known:
                return True
            if at <= known < LARGEST[name]:
                file.write(piece[known - at :])
            return at <= known

    def note_loss(self) -> None:
        """Say once at the end of the output that more may be missing, unless all was brought."""
        noted = self.folder / "loss-noted"
        with self._locked():
            if self._brought.exists() or noted.exists():
                return
            with self.files.output.open("ab") as output:
                output.write(LOSS.encode())
            noted.touch()

    def make(self) -> Spooled:
        """Make the folders, so that what is not there yet reads as empty."""
        self.files.results.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self.files

    def remove(self) -> None:
        """Remove all of it. What a test has left there may be anything."""
        if self.folder.parent.exists():
            removal.remove(self.folder.parent, [self.folder.name])

    def _unpack(self, packed: Path) -> None:
        """Put the results in their place, whole or not at all. Raises: UnavailableError if a part is missing."""
        draft = self.folder / "results.draft"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        try:
            with packed.open("rb") as file:
                content.extract(file, draft)
        except (content.ContentError, tarfile.TarError, EOFError, zlib.error, UnicodeError) as wrong:
            raise UnavailableError(f"the results did not arrive whole: {wrong}") from wrong
        shutil.rmtree(self.files.results, ignore_errors=True)
        draft.rename(self.files.results)
        self._brought.touch()
        packed.unlink()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Let one worker at a time append to the files."""
        self.make()
        with (self.folder / "lock").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
