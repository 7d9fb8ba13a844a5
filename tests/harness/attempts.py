"""Attempts started for real, without the rest of the stack: a run folder, the shim, a test under it."""

import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

from cluster.local import proc, processes
from cluster.local.command import RunFolders, arguments, working_folder
from cluster.local.environment import Surroundings, environment
from cluster.local.processes import ExitRecord, Handle, LaunchSpec
from model.command import Command
from model.ids import ExecutionId

PATIENCE = 30.0
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Bench:
    """Where the attempts of one test are started; what is left of them is swept at its end."""

    folder: Path

    def spec(self, *argv: str, attempt: int = 1, env: Mapping[str, str] | None = None) -> LaunchSpec:
        """Return a spec for a program, with small limits."""
        execution_id = ExecutionId(uuid4())
        folder = self.folder / str(execution_id) / str(attempt)
        (folder / "work").mkdir(parents=True)
        around = Surroundings(
            execution_id=execution_id, attempt=attempt, home=folder / "home", results=folder / "results"
        )
        return LaunchSpec(
            folder=folder,
            execution_id=execution_id,
            attempt=attempt,
            argv=argv,
            cwd=folder / "work",
            env=environment(around, env or {}),
            time_limit_seconds=20,
            grace_seconds=0.5,
        )

    def python(self, code: str) -> LaunchSpec:
        """Return a spec for a piece of Python."""
        return self.spec(sys.executable, "-I", "-c", code)

    def run(self, spec: LaunchSpec) -> ExitRecord:
        """Start it and wait for its end, which must come with a record."""
        ended(processes.launch(spec))
        record = processes.exit_record(spec.folder)
        assert record is not None, (spec.folder / "shim.log").read_text()
        return record


def places_of(spec: LaunchSpec, python: Path | None = None, entry: str = ".") -> RunFolders:
    """Return the folders of an attempt as a tool sees them."""
    work = spec.folder / "work"
    return RunFolders(
        work=work, results=spec.folder / "results", home=spec.folder / "home", entry=work / entry, python=python
    )


def running(spec: LaunchSpec, command: Command, folders: RunFolders) -> LaunchSpec:
    """Return the spec with the command of a tool, as the local backend resolves it."""
    return replace(spec, argv=arguments(command, folders), cwd=working_folder(command, folders))


def limited(spec: LaunchSpec, **limits: float) -> LaunchSpec:
    """Return the spec with other limits."""
    return replace(spec, **limits)  # type: ignore[arg-type]


def ended(handle: Handle) -> None:
    """Wait until the shim is gone."""
    until(lambda: not processes.alive(handle), "the shim ends")


def until(holds: Callable[[], object], what: str) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.01)


def output(spec: LaunchSpec) -> bytes:
    """Return what the shim kept of the test's output."""
    return (spec.folder / "output.log").read_bytes()


def living(spec: LaunchSpec) -> list[int]:
    """Return the processes that carry the marks of the attempt."""
    return proc.carriers(str(spec.execution_id), spec.attempt)


def gone(pid: int) -> bool:
    """Return True if no such process runs."""
    stat = proc.stat_of(pid)
    return stat is None or stat.state in {"Z", "X"}


def pid_in(path: Path) -> int:
    """Return the pid that a test wrote into a file, once it has."""
    until(lambda: path.exists() and path.read_text().strip().isdigit(), f"{path.name} holds a pid")
    return int(path.read_text())


def resident(pid: int) -> int:
    """Return the bytes of memory that a process holds."""
    stat = proc.stat_of(pid)
    return stat.rss if stat else 0


def clean_python() -> list[str]:
    """Return how to start a Python that finds our rooms, for a process that a test kills."""
    return ["env", f"PYTHONPATH={ROOT}", f"PATH={os.environ['PATH']}", sys.executable]
