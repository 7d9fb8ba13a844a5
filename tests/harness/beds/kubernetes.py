"""A Kubernetes cluster, with a namespace of its own."""

import base64
import os
import signal
from functools import cached_property
from pathlib import Path

import pytest

from cluster.backend import AttemptId, Backend
from cluster.contents import ContentStore
from cluster.kubernetes import names, pod_facts
from cluster.kubernetes.api_objects import Pod
from cluster.kubernetes.backend import Disk, KubernetesBackend
from cluster.kubernetes.connection import ClusterAccess, Connection
from cluster.kubernetes.pod_paths import PREPARE, TEST
from cluster.local import proc
from harness import cluster_namespaces
from model.ids import NodeName
from model.ports import Contents

MARKS = (pytest.mark.cluster,)


class Bed:
    """A namespace of the cluster that KUBECONFIG names, and a spool folder. Without a cluster the test is skipped."""

    def __init__(self, folder: Path, access: ClusterAccess | None = None) -> None:
        found, self.at = cluster_namespaces.usable()
        self.access = access or cluster_namespaces.make(found)
        self.folder = folder
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
            pytest.skip("needs a node on this machine, whose processes can be killed: ../shared/cluster/up")
        for pid in shims:
            os.kill(pid, signal.SIGKILL)

    def take_place(self, attempt: AttemptId) -> None:
        path = self._path(f"pods/{names.pod_name(attempt)}/eviction")
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": names.pod_name(attempt)}}
        self._connection.create(path, body)

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
