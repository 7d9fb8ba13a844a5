"""Backends under test: each with what a test needs to know from outside of the port, and orders to launch on it."""

import asyncio
import base64
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

import pytest

from cluster.backend import AttemptId, Backend, Launched, LaunchOrder
from cluster.contents import ContentStore
from cluster.kubernetes import names, pod_facts
from cluster.kubernetes.api_objects import Pod
from cluster.kubernetes.backend import Disk, KubernetesBackend
from cluster.kubernetes.connection import ClusterAccess, Connection
from cluster.kubernetes.pod_paths import PREPARE, TEST
from cluster.local import proc, processes
from cluster.local.backend import LocalBackend
from cluster.local.preparation import Machine
from harness import cluster_namespaces
from model.command import Command, Where
from model.content import InlineContent
from model.ending import Ending
from model.ids import BackendName, ExecutionId, NodeName
from model.ports import Contents

SECRET = "the-value-of-the-secret"
SHELL = Command(argv=("sh", "run.sh"), folder=Where.ENTRY)
FOREVER = "echo up; sleep 600"
PATIENCE = 60.0


class Bed(Protocol):
    """One backend with a place of its own."""

    contents: Contents

    def open(self) -> Backend:
        """Return the backend; called again it is another worker's view of the same one."""
        ...

    def node(self) -> NodeName:
        """Return a node that takes attempts."""
        ...

    def living(self, attempt: AttemptId) -> bool:
        """Return whether anything of an attempt is alive, as seen from outside."""
        ...

    def kill_supervisor(self, attempt: AttemptId) -> None:
        """Kill what watches over the attempt and would report its end."""
        ...

    def holds(self, text: str) -> bool:
        """Return whether any file or object that the backend keeps holds `text`."""
        ...


@dataclass
class LocalBed:
    """This machine, with a state folder of its own."""

    state: Path

    def __post_init__(self) -> None:
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

    def holds(self, text: str) -> bool:
        files = [path for path in (self.state / "runs").rglob("*") if path.is_file()]
        return any(text.encode() in path.read_bytes() for path in files)

    def close(self) -> None:
        for folder in (self.state / "runs").glob("*/*"):
            processes.sweep(folder.parent.name, int(folder.name), folder)  # type: ignore[arg-type]
        for backend in self._opened:
            backend.close()

    def _folder(self, attempt: AttemptId) -> Path:
        return self.state / "runs" / str(attempt.execution_id) / str(attempt.number)


def local(folder: Path) -> LocalBed:
    return LocalBed(folder / "state")


@dataclass
class KubernetesBed:
    """A cluster, with a namespace and a spool folder of its own."""

    access: ClusterAccess
    at: NodeName
    folder: Path

    def __post_init__(self) -> None:
        self.contents: Contents = ContentStore(self.folder / "content")
        self._opened: list[KubernetesBackend] = []

    def open(self) -> Backend:
        """Return a view with a spool of its own, as a worker on another machine has it."""
        runs = self.folder / f"runs-{len(self._opened)}"
        backend = KubernetesBackend(self.access, Disk(runs=runs, contents=self.contents))
        self._opened.append(backend)
        return backend

    def node(self) -> NodeName:
        return self.at

    def living(self, attempt: AttemptId) -> bool:
        """Ask the kernel where the node is this machine, and the kubelet in any case."""
        data = self._connection.find(self._path(f"pods/{names.pod_name(attempt)}"))
        pod = None if data is None else Pod.model_validate_json(data)
        said = pod is not None and (pod_facts.runs(pod, TEST) or pod_facts.runs(pod, PREPARE))
        return said or bool(proc.carriers(str(attempt.execution_id), attempt.number))

    def kill_supervisor(self, attempt: AttemptId) -> None:
        shims = proc.called("cluster.kubernetes.shim", f"{attempt.execution_id}/{attempt.number}")
        if not shims:
            pytest.skip("the node is another machine: its processes cannot be killed from here")
        for pid in shims:
            os.kill(pid, signal.SIGKILL)

    def holds(self, text: str) -> bool:
        files = [path for path in self.folder.rglob("*") if path.is_file()]
        objects = [self._connection.get(self._path(kind)) for kind in ("pods", "secrets", "configmaps")]
        signs = (text.encode(), base64.b64encode(text.encode()))
        return any(sign in data for data in (*objects, *(path.read_bytes() for path in files)) for sign in signs)

    def close(self) -> None:
        cluster_namespaces.remove(self._connection)
        for backend in self._opened:
            backend.close()
        self._connection.close()

    def _path(self, rest: str) -> str:
        return f"/api/v1/namespaces/{self.access.namespace}/{rest}"

    @cached_property
    def _connection(self) -> Connection:
        return Connection(self.access)


def kubernetes(folder: Path) -> KubernetesBed:
    """Return a bed in the cluster that KUBECONFIG names. Without one the test is skipped, and says what is missing."""
    access, node = cluster_namespaces.usable()
    return KubernetesBed(cluster_namespaces.make(access), node, folder)


BEDS: dict[str, Callable[[Path], LocalBed | KubernetesBed]] = {"local": local, "kubernetes": kubernetes}
"""Every backend that passes the suite."""
MARKS = {"kubernetes": pytest.mark.cluster}
"""What a backend needs from outside."""


def order(bed: Bed, script: str, **more: Any) -> LaunchOrder:
    """Return the order to run a shell script as the first attempt of a new execution."""
    given = {"content": InlineContent(files={"run.sh": script}), "command": SHELL} | more
    attempt = AttemptId(execution_id=ExecutionId(uuid4()), number=1)
    return LaunchOrder(attempt=attempt, node=bed.node(), **given)


async def ended(backend: Backend, attempt: AttemptId) -> Ending:
    assert await backend.wait(attempt, PATIENCE)
    ending = await backend.ending(attempt)
    assert ending is not None
    return ending


async def run(backend: Backend, wanted: LaunchOrder) -> Ending:
    await backend.launch(wanted)
    return await ended(backend, wanted.attempt)


async def printed(backend: Backend, attempt: AttemptId) -> str:
    output = (await backend.spool(attempt)).output
    return output.read_text() if output.exists() else ""


async def until_printed(backend: Backend, attempt: AttemptId, text: str) -> None:
    async with asyncio.timeout(PATIENCE):
        while text not in await printed(backend, attempt):
            assert not await backend.wait(attempt, 0.02), await printed(backend, attempt)


async def up(backend: Backend, wanted: LaunchOrder) -> Launched:
    """Launch it, and wait until its script has printed that it is up."""
    launched = await backend.launch(wanted)
    await until_printed(backend, wanted.attempt, "up\n")
    return launched
