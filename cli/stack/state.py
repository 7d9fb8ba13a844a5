"""The state folder: its paths, its lock, and the record of the stack that runs or ran in it."""

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Any, Self

from cli.stack.identity import Identity, alive, described, identify

PROJECT = Path(__file__).resolve().parents[2]
PRIVATE_FOLDERS = ("runs", "logs", "artifacts", "content", "venvs", "log", "prefect")
OWNER_ONLY = 0o700
PASSABLE = 0o711
"""For root: PostgreSQL runs as another user and must reach its own folder, but cannot list this one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartRecord:
    """One process of the stack as it was last seen."""

    name: str
    identity: Identity | None = None
    restarts: int = 0


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
    def lock_file(self) -> Path:
        """The file that the supervisor keeps locked while it lives."""
        return self.path / "lock"

    def prepare(self) -> None:
        """Make missing folders, readable by their owner only."""
        self.path.mkdir(mode=PASSABLE if os.geteuid() == 0 else OWNER_ONLY, parents=True, exist_ok=True)
        for name in PRIVATE_FOLDERS:
            (self.path / name).mkdir(mode=OWNER_ONLY, exist_ok=True)

    def api_key(self) -> str:
        """Return the key of this installation. The first caller makes it, atomically."""
        if not self.key_file.exists():
            self._make_key()
        return self.key_file.read_text().strip()

    def _make_key(self) -> None:
        made, name = tempfile.mkstemp(dir=self.path, prefix="api-key-")  # readable by its owner only
        try:
            with os.fdopen(made, "w") as file:
                file.write(f"assay_{secrets.token_urlsafe(32)}\n")
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileExistsError):  # another process was first; its key counts
                os.link(name, self.key_file)
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
        fresh.write_text(json.dumps(asdict(record), indent=2))
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
            return self.lock_file.open("a+")
        except PermissionError as error:
            owner = self.lock_file.stat().st_uid
            raise HeldError(
                f"{self.lock_file} belongs to user {owner}: set ASSAY_STATE to a folder of yours"
            ) from error

    def _holder(self) -> str:
        text = self.lock_file.read_text().strip()
        return described(int(text)) if text.isdigit() else "another process"


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
    """Return `record` with `part` in place of the part of that name."""
    return replace(record, parts=(*(p for p in record.parts if p.name != part.name), part))


def _record(raw: dict[str, Any]) -> StackRecord:
    parts = tuple(
        PartRecord(**{**part, "identity": Identity(**part["identity"]) if part["identity"] else None})
        for part in raw["parts"]
    )
    return StackRecord(**{**raw, "supervisor": Identity(**raw["supervisor"]), "parts": parts})
