"""The state folder: its paths, its lock, and the record of the stack that runs or ran in it."""

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Any, Self

from cli.server_discovery import PREFECT_CREDENTIAL
from cli.stack.identity import Identity, alive, described, identify
from db.errors import ClusterError
from db.programs import runner

PROJECT = Path(__file__).resolve().parents[2]
PRIVATE_FOLDERS = ("runs", "logs", "artifacts", "content", "venvs", "log", "prefect", "heartbeats")
OUR_FILES = ("stack.json*", "lock", "api-key", "log/*.log*", "postgres/*.json", "postgres/lock", "postgres/server.*")
OWNER_ONLY = 0o700
OWNER_READS = 0o600
PASSABLE = 0o710
"""For root: PostgreSQL runs as another user. Its group may pass through this folder to its own, but cannot list it."""
FORMERLY_PASSABLE = 0o711


@dataclass(frozen=True, slots=True, kw_only=True)
class PartRecord:
    """One process of the stack as the supervisor last saw it. `since`: when it began to hang, in seconds since 1970."""

    name: str
    identity: Identity | None = None
    restarts: int = 0
    state: str = "starting"
    since: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StackRecord:
    """The content of `stack.json`. `phase` is starting, ready, stopping or stopped; times in seconds since 1970."""

    supervisor: Identity
    phase: str = "starting"
    started_at: float = 0.0
    api_url: str | None = None
    prefect_url: str | None = None
    postgres: str = ""
    parts: tuple[PartRecord, ...] = ()

    def part(self, name: str) -> PartRecord | None:
        """Return the part called `name`."""
        return next((part for part in self.parts if part.name == name), None)

    @property
    def running(self) -> bool:
        """True while its supervisor lives."""
        return alive(self.supervisor)


class HeldError(Exception):
    """Another process holds the state folder. End that stack, or set ASSAY_STATE to another folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StateFolder:
    """The paths of everything that one stack keeps."""

    path: Path

    @classmethod
    def find(cls, environment: dict[str, str] | None = None) -> Self:
        """Return `$ASSAY_STATE`, or `.assay` in the project."""
        named = (os.environ if environment is None else environment).get("ASSAY_STATE")
        return cls(path=Path(named).absolute() if named else PROJECT / ".assay")

    @property
    def log(self) -> Path:
        """The folder with the log of each part."""
        return self.path / "log"

    @property
    def key_file(self) -> Path:
        """The file with the API key."""
        return self.path / "api-key"

    @property
    def prefect_credential_file(self) -> Path:
        """The file with the credential of Prefect's server."""
        return self.path / PREFECT_CREDENTIAL

    @property
    def lock_file(self) -> Path:
        """The file that the supervisor keeps locked while it lives."""
        return self.path / "lock"

    def prepare(self) -> None:
        """Make missing folders, readable by their owner only."""
        if self.lock_file.exists():
            self._close()
        made = not self.path.exists()
        self.path.mkdir(mode=OWNER_ONLY, parents=True, exist_ok=True)
        if os.geteuid() == 0 and (made or stat.S_IMODE(self.path.stat().st_mode) == FORMERLY_PASSABLE):
            with contextlib.suppress(ClusterError):  # no user to run PostgreSQL as: it must be one of DATABASE_URL
                os.chown(self.path, -1, runner().gid)
                self.path.chmod(PASSABLE)
        for name in PRIVATE_FOLDERS:
            (self.path / name).mkdir(mode=OWNER_ONLY, exist_ok=True)

    def _close(self) -> None:
        """Close to other users what an older version left open. Files that are not ours keep their modes."""
        for name in PRIVATE_FOLDERS:
            if (self.path / name).is_dir():
                (self.path / name).chmod(OWNER_ONLY)
        for file in (file for pattern in OUR_FILES for file in self.path.glob(pattern)):
            if file.is_file() and not file.is_symlink():
                file.chmod(OWNER_READS)

    def api_key(self) -> str:
        """Return the key of our API. The first caller makes it, atomically."""
        return self._secret(self.key_file, "assay_")

    def prefect_credential(self) -> str:
        """Return the credential of Prefect's server, `user:password`. The first caller makes it, whole or not at all.

        A state folder of an older version has none, so it gets one at its next start.
        """
        return self._secret(self.prefect_credential_file, "assay:")

    def _secret(self, kept: Path, prefix: str) -> str:
        if not kept.exists():
            self._make_secret(kept, prefix)
        return kept.read_text().strip()

    def _make_secret(self, kept: Path, prefix: str) -> None:
        made, name = tempfile.mkstemp(dir=self.path, prefix=f"{kept.name}-")  # readable by its owner only
        try:
            with os.fdopen(made, "w") as file:
                file.write(f"{prefix}{secrets.token_urlsafe(32)}\n")
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileExistsError):  # another process was first; its secret counts
                os.link(name, kept)
        finally:
            Path(name).unlink()

    def read(self) -> StackRecord | None:
        """Return the content of `stack.json`, None if it cannot be read."""
        try:
            return _record(json.loads((self.path / "stack.json").read_text()))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, record: StackRecord) -> None:
        """Replace `stack.json` atomically."""
        fresh = self.path / "stack.json.tmp"
        with open(fresh, "w", opener=owner_only) as file:
            file.write(json.dumps(asdict(record), indent=2))
        fresh.replace(self.path / "stack.json")

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Lock the folder for this process. Raises: HeldError naming the holder."""
        with self._opened() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise HeldError(f"{self.path} is held by {self._holder()}") from error
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            yield

    def _opened(self) -> IO[str]:
        try:
            return open(self.lock_file, "a+", opener=owner_only)
        except PermissionError as error:
            owner = self.lock_file.stat().st_uid
            raise HeldError(
                f"{self.lock_file} belongs to user {owner}: set ASSAY_STATE to a folder of yours"
            ) from error

    def _holder(self) -> str:
        text = self.lock_file.read_text().strip()
        return described(int(text)) if text.isdigit() else "another process"


def owner_only(path: str, flags: int) -> int:
    """Open a file for `open`; one that is made can be read by its owner only."""
    return os.open(path, flags, OWNER_READS)


def rotate(log: Path, limit: int = 10 * 2**20) -> None:
    """Rename a log that is larger than `limit` bytes; one old log is kept."""
    with contextlib.suppress(FileNotFoundError):
        if log.stat().st_size > limit:
            shutil.move(log, log.with_suffix(".log.1"))


def this_process() -> Identity:
    """Return the identity of this process."""
    found = identify(os.getpid())
    if found is None:
        raise OSError("/proc cannot be read: Assay needs Linux with /proc mounted")
    return found


def with_part(record: StackRecord, part: PartRecord) -> StackRecord:
    """Return `record` with `part` in place of the part of that name, or behind all others."""
    if record.part(part.name) is None:
        return replace(record, parts=(*record.parts, part))
    return replace(record, parts=tuple(part if p.name == part.name else p for p in record.parts))


def _record(raw: dict[str, Any]) -> StackRecord:
    parts = tuple(
        PartRecord(**{**part, "identity": Identity(**part["identity"]) if part["identity"] else None})
        for part in raw["parts"]
    )
    return StackRecord(**{**raw, "supervisor": Identity(**raw["supervisor"]), "parts": parts})
