"""The state of the stack as seen from outside: the process of each part, and whether it answers."""

from dataclasses import dataclass

from cli.stack.identity import alive
from cli.stack.parts import answers
from cli.stack.state import PartRecord, StackRecord, StateFolder


@dataclass(frozen=True, slots=True, kw_only=True)
class PartReport:
    """One part. `state` is ready, running (it lives and cannot be asked), starting, or down."""

    name: str
    state: str
    pid: int | None
    restarts: int = 0
    address: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StackReport:
    """The whole stack. `phase` is that of the record, or `down` without a live supervisor.

    With `down`, `parts` are those that still live.
    """

    phase: str
    state_folder: str
    api_url: str | None
    prefect_url: str | None
    parts: tuple[PartReport, ...]

    @property
    def well(self) -> bool:
        """True if everything runs and answers."""
        return self.phase == "ready" and all(part.state in {"ready", "running"} for part in self.parts)


def look(folder: StateFolder) -> StackReport:
    """Return the state of every part of the stack in `folder`."""
    record = folder.read()
    if record is None:
        return StackReport(phase="down", state_folder=str(folder.path), api_url=None, prefect_url=None, parts=())
    if not record.running:
        left = tuple(_part(record, part) for part in record.parts if part.identity and alive(part.identity))
        return StackReport(phase="down", state_folder=str(folder.path), api_url=None, prefect_url=None, parts=left)
    return StackReport(
        phase=record.phase,
        state_folder=str(folder.path),
        api_url=record.api_url,
        prefect_url=record.prefect_url,
        parts=(_supervisor(record), *(_part(record, part) for part in record.parts)),
    )


def _supervisor(record: StackRecord) -> PartReport:
    pid = record.supervisor.pid
    return PartReport(name="supervisor", state="running", pid=pid)


def _part(record: StackRecord, part: PartRecord) -> PartReport:
    address = {"api": record.api_url, "prefect": record.prefect_url, "postgres": record.postgres}.get(part.name)
    pid = part.identity.pid if part.identity else None
    lives = part.identity is not None and alive(part.identity)
    return PartReport(
        name=part.name, state=_state(record, part.name, lives=lives), pid=pid, restarts=part.restarts, address=address
    )


def _state(record: StackRecord, name: str, *, lives: bool) -> str:
    if name == "postgres" and "DATABASE_URL" in record.postgres:
        return "running"
    if not lives:
        return "down"
    asked = {"api": f"{record.api_url}/health", "prefect": f"{record.prefect_url}/api/health"}.get(name)
    if asked is None or record.api_url is None:
        return "running"
    return "ready" if answers(asked) else "starting"
