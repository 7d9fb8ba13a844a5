"""The fault provider for the services of a local environment. All ten fault types.

The fault is carried out by its guard (`cluster.faults.guard`) and by the supervisor of the services; this only starts
the guard, reads what it wrote, and looks whether anything is left.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pydantic import TypeAdapter

from chaos.provider import (
    DutyCycle,
    FaultId,
    FaultStatus,
    HoldMemory,
    KeepDown,
    LocalAction,
    ProxyRule,
    render_local,
)
from cluster.faults.marks import MARK, Marks
from cluster.faults.provider import HEARTBEAT_PATIENCE, Effect, InjectError, Injection
from cluster.local import proc
from cluster.local.guarded_command import ROOT
from cluster.local.shim import write_atomically
from cluster.services.client import NoEnvironmentError, ask, identity, look
from cluster.services.control import Request
from cluster.services.supervisor import SOCKET

GUARD = "import sys; sys.path.append(sys.argv[1]); from cluster.faults.guard import main; main(sys.argv[2])"
START_PATIENCE = 15.0
REVERT_PATIENCE = 20.0
LOOK_SECONDS = 0.05
VOID = {"phase": "reverted", "reason": "it was taken back before it was injected"}


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardState:
    """What a guard wrote about its fault."""

    phase: str
    pid: int = 0
    start_time: int = 0
    boot: str = ""
    reason: str = ""
    error: str = ""
    at: float | None = None
    reverted_at: float | None = None
    supervisor: str = ""
    effect: dict[str, float] | None = None


STATE = TypeAdapter(GuardState)


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalFaults:
    """Faults of local services. `folder` has one folder a fault, `environments` one for each supervisor."""

    folder: Path
    environments: Path
    heartbeat_seconds: float = HEARTBEAT_PATIENCE.total_seconds()
    _marks: Marks = field(default_factory=Marks, repr=False)

    async def inject(self, injection: Injection) -> None:
        """Start the guard, then the fault. Returns when it is active. Raises: InjectError."""
        folder = self.folder / injection.id
        if _state(folder) is None:
            await self._check_target(injection)
            await asyncio.to_thread(self._start, injection, render_local(injection.fault))
        state = await self._until(injection.id, lambda state: state.phase != "pending", START_PATIENCE)
        if state is None or state.phase != "injected":
            await self.revert(injection.id)
            why = (state.error or state.reason) if state else "the guard did not start"
            raise InjectError(f"{injection.fault.name} was not injected into {injection.target.service}: {why}")

    async def _check_target(self, injection: Injection) -> None:
        """Refuse a target that is not the process that was resolved. Raises: InjectError."""
        target = injection.target
        try:
            facts = await look(self.environments / target.place)
        except NoEnvironmentError as error:
            raise InjectError(str(error)) from error
        service = facts.services.get(target.service)
        if service is None or service.chaos != "allowed":
            raise InjectError(f"{target.service} is not for experiments: its file must say `chaos: allowed`")
        now = [identity(facts.boot, *process) for process in service.processes[:1]]
        if now != [target.identity]:
            raise InjectError(f"{target.service} is another process than the one that was resolved: resolve again")

    def _start(self, injection: Injection, action: LocalAction) -> None:
        folder = self.folder / injection.id
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (folder / "heartbeat").touch()
        kind, values = _described(action)
        spec: dict[str, object] = {
            "fault": injection.id,
            "service": injection.target.service,
            "place": injection.target.place,
            "kind": kind,
            "action": values,
            "seconds": injection.expires_after.total_seconds(),
            "heartbeat_seconds": self.heartbeat_seconds,
            "socket": str(self.environments / injection.target.place / SOCKET),
        }
        write_atomically(str(folder / "spec.json"), spec)
        with (folder / "guard.log").open("ab") as log:
            subprocess.run(
                [sys.executable, "-I", "-S", "-c", GUARD, str(ROOT), str(folder)],
                env={"PATH": os.defpath, MARK: injection.id},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                check=False,
                timeout=START_PATIENCE,
            )

    async def beat(self, fault: FaultId) -> None:
        """Say that the worker is alive."""
        (self.folder / fault / "heartbeat").touch()

    async def status(self, fault: FaultId) -> FaultStatus:
        """Return where the fault stands. A guard that died has lost its fault: then what is left decides."""
        state = _state(self.folder / fault)
        if state is None:
            return FaultStatus.UNKNOWN
        if state.phase == "reverted" or not _alive(state):
            return FaultStatus.RESIDUAL if await self.verify(fault) else FaultStatus.REVERTED
        return FaultStatus(state.phase)

    async def effect(self, fault: FaultId) -> Effect:
        """Return what the guard saw its fault do."""
        state = _state(self.folder / fault)
        seen = state.effect if state and state.effect else {}
        said = ", ".join(f"{name.replace('_', ' ')}: {value:g}" for name, value in seen.items())
        does = any(value > 0 for name, value in seen.items() if name != "running")
        return Effect(seen=does, sentence=said or "no effect was seen")

    async def revert(self, fault: FaultId) -> None:
        """End the fault and wait until it is over."""
        folder = self.folder / fault
        state = _state(folder)
        if state is None:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_atomically(str(folder / "state.json"), dict(VOID))  # a guard that comes late finds it, and ends
            return
        if _alive(state):
            if state.phase != "reverted":
                proc.send(signal.SIGTERM, [state.pid])
            await self._until(
                fault, lambda now: not _alive(now), REVERT_PATIENCE
            )  # it ends right after it has reverted
        if await self.verify(fault):
            await self._force(fault)

    async def _force(self, fault: FaultId) -> None:
        """Do what the guard did not: kill what carries its mark, and have the supervisor take back the rest."""
        await self._kill(fault)
        for path in self._scratch(fault):
            path.unlink(missing_ok=True)
        spec = _json(self.folder / fault / "spec.json")
        if spec:
            with suppress(NoEnvironmentError, ValueError):
                request = Request(ask="clear", fault=fault, service=str(spec["service"]))
                await ask(self.environments / str(spec["place"]), request)

    async def _kill(self, fault: FaultId) -> None:
        """Kill what carries the mark of a fault, and wait until it is gone."""
        loop = asyncio.get_running_loop()
        until = loop.time() + REVERT_PATIENCE
        while (left := await self._marks.carriers(fault)) and loop.time() < until:
            proc.send(signal.SIGKILL, left)
            await asyncio.sleep(LOOK_SECONDS)

    async def verify(self, fault: FaultId) -> tuple[str, ...]:
        """Return everything of the fault that is left."""
        left = [f"process {pid} of the fault is alive" for pid in await self._marks.carriers(fault)]
        left += [f"the file {path.name} is left" for path in self._scratch(fault)]
        spec = _json(self.folder / fault / "spec.json")
        if not spec:
            return tuple(left)
        try:
            facts = await look(self.environments / str(spec["place"]), str(spec["service"]))
        except NoEnvironmentError:
            return tuple(left)  # nothing of the environment runs, so no rule and no stopped process of it does
        for name, service in facts.services.items():
            left += [f"the proxy of {name} has a rule of it"] * (fault in service.rules)
            left += [f"{name} is held down by it"] * (fault in service.holds)
            left += [f"process {pid} of {name} is stopped" for pid, _ in service.processes if _is_stopped(pid)]
        return tuple(left)

    def _scratch(self, fault: FaultId) -> list[Path]:
        spec = _json(self.folder / fault / "spec.json")
        action = spec.get("action")
        path = action.get("path") if isinstance(action, dict) else None
        places = {self.folder / fault, *([Path(str(path))] if path else [])}
        return sorted(file for place in places for file in place.glob(f"assay-{fault}-*.scratch"))

    async def _until(self, fault: FaultId, over: Callable[[GuardState], bool], seconds: float) -> GuardState | None:
        """Return the state once it is `over`, or whatever it is after so many seconds."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        state = _state(self.folder / fault)
        while (state is None or not over(state)) and loop.time() < until:
            await asyncio.sleep(LOOK_SECONDS)
            state = _state(self.folder / fault)
        return state


def _described(action: LocalAction) -> tuple[str, Mapping[str, object]]:
    """Return the guard's word for an action, and its values."""
    match action:
        case KeepDown():
            return "hold", asdict(action)
        case ProxyRule():
            return "rule", asdict(action)
        case DutyCycle():
            return "duty", asdict(action)
        case HoldMemory():
            return "memory", asdict(action)
        case _:
            return "disk", asdict(action)


def _json(path: Path) -> dict[str, object]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _state(folder: Path) -> GuardState | None:
    raw = _json(folder / "state.json")
    return STATE.validate_python(raw) if raw else None


def _alive(state: GuardState) -> bool:
    stat = proc.stat_of(state.pid)
    return (
        stat is not None and stat.start_time == state.start_time and stat.state != "Z" and state.boot == proc.boot_id()
    )


def _is_stopped(pid: int) -> bool:
    stat = proc.stat_of(pid)
    return stat is not None and stat.state == "T"
