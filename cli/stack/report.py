"""The state of each part of the stack, as `assay status` finds it: by its process, its answers and its heartbeats."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime

from cli.stack.heartbeat import DOWN, HANGS, READY, STARTING, judged, reply
from cli.stack.identity import Identity, alive
from cli.stack.state import PartRecord, StackRecord, StateFolder
from cluster import heartbeats

DEGRADED = "degraded"
"""Of a server: it answers that it is not well. Of the stack: it has started, and not all of its parts are ready."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartReport:
    """One part. `state` is ready, starting, degraded, hangs or down; `since`: when it began to hang, in UTC."""

    name: str
    state: str
    pid: int | None
    restarts: int = 0
    address: str | None = None
    since: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StackReport:
    """The whole stack. `phase` is that of the record, `degraded` if a part is not ready, `down` without a supervisor.

    If the phase is `down`, the parts are those that an earlier supervisor left behind.
    """

    phase: str
    state_folder: str
    api_url: str | None
    prefect_url: str | None
    parts: tuple[PartReport, ...]

    @property
    def well(self) -> bool:
        """True when everything is up and answers."""
        return self.phase == READY


def look(folder: StateFolder) -> StackReport:
    """Return the state of the stack in `folder`, part by part."""
    record = folder.read()
    if record is None:
        return StackReport(phase=DOWN, state_folder=str(folder.path), api_url=None, prefect_url=None, parts=())
    if not record.running:
        left = tuple(_part(folder, record, part) for part in record.parts if part.identity and alive(part.identity))
        return StackReport(phase=DOWN, state_folder=str(folder.path), api_url=None, prefect_url=None, parts=left)
    parts = (_supervisor(folder, record), *(_part(folder, record, part) for part in record.parts))
    return StackReport(
        phase=phase(record.phase, [part.state for part in parts]),
        state_folder=str(folder.path),
        api_url=record.api_url,
        prefect_url=record.prefect_url,
        parts=parts,
    )


def phase(recorded: str, states: list[str]) -> str:
    """Return the phase to show: `degraded` instead of `ready` if any part is not ready."""
    return DEGRADED if recorded == READY and any(state != READY for state in states) else recorded


def _supervisor(folder: StateFolder, record: StackRecord) -> PartReport:
    state, since = _by_file(folder, record.supervisor)
    return PartReport(name="supervisor", state=state, pid=record.supervisor.pid, since=since)


def _part(folder: StateFolder, record: StackRecord, part: PartRecord) -> PartReport:
    address = {"api": record.api_url, "prefect": record.prefect_url, "postgres": record.postgres}.get(part.name)
    pid = part.identity.pid if part.identity else None
    state, since = _state(folder, record, part)
    return PartReport(name=part.name, state=state, pid=pid, restarts=part.restarts, address=address, since=since)


def _state(folder: StateFolder, record: StackRecord, part: PartRecord) -> tuple[str, str | None]:
    judgement = part.state, None if part.since is None else _moment(part.since)
    if part.identity is None:  # the process of a PostgreSQL that is not ours is not known
        return judgement if part.name == "postgres" and "DATABASE_URL" in record.postgres else (DOWN, None)
    if not alive(part.identity):
        return DOWN, None
    if part.name == "worker":
        return _by_file(folder, part.identity)
    asked = {"api": f"{record.api_url}/health", "prefect": f"{record.prefect_url}/api/health"}.get(part.name)
    return judgement if asked is None or record.api_url is None else _by_answer(asked, judgement)


def _by_answer(address: str, judgement: tuple[str, str | None]) -> tuple[str, str | None]:
    """Return the state of a server by its answer now. Without an answer it hangs, unless it is just starting."""
    well = reply(address)
    if well is None:
        return (HANGS, None) if judgement[0] == READY else judgement
    return READY if well else DEGRADED, None


def _by_file(folder: StateFolder, process: Identity) -> tuple[str, str | None]:
    """Return the state of a process by the age of its heartbeat file, and the time of the heartbeat if it hangs."""
    found = (heartbeats.read(file) for file in (folder.path / "heartbeats").glob("*"))
    last = max((beat.at for beat in found if beat is not None and beat.pid == process.pid), default=None)
    if last is None:
        return STARTING, None
    state = judged((time.time_ns() - last) / 1e9)
    return state, _moment(last / 1e9) if state == HANGS else None


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
