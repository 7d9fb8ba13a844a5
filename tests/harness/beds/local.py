"""This machine, with a state folder of its own."""

import os
import signal
from pathlib import Path

import pytest

from cluster.backend import AttemptId, Backend
from cluster.contents import ContentStore
from cluster.local import proc, processes
from cluster.local.backend import LocalBackend
from cluster.local.preparation import Machine
from model.ids import BackendName, ExecutionId, NodeName
from model.ports import Contents


class Bed:
    """The local backend in a folder."""

    def __init__(self, folder: Path) -> None:
        self.state = folder / "state"
        self.state.mkdir(parents=True)
        self.contents: Contents = ContentStore(self.state / "content")
        self._opened: list[LocalBackend] = []

    def open(self) -> Backend:
        backend = LocalBackend(BackendName("local/here"), Machine(state=self.state), self.contents)
        self._opened.append(backend)
        return backend

    def node(self) -> NodeName:
        return NodeName("here")

    def living(self, attempt: AttemptId) -> bool:
        return bool(proc.carriers(str(attempt.execution_id), attempt.number))

    def kill_supervisor(self, attempt: AttemptId) -> None:
        handle = processes.adopt(self._folder(attempt))
        assert handle is not None
        os.kill(handle.pid, signal.SIGKILL)

    def take_place(self, attempt: AttemptId) -> None:
        pytest.skip(f"this machine evicts nothing, so {attempt} stays")

    def holds(self, text: str) -> bool:
        files = [path for path in (self.state / "runs").rglob("*") if path.is_file()]
        return any(text.encode() in path.read_bytes() for path in files)

    def close(self) -> None:
        for folder in (self.state / "runs").glob("*/*"):
            processes.sweep(ExecutionId(folder.parent.name), int(folder.name), folder)  # type: ignore[arg-type]
        for backend in self._opened:
            backend.close()

    def _folder(self, attempt: AttemptId) -> Path:
        return self.state / "runs" / str(attempt.execution_id) / str(attempt.number)
