"""Nodes without a kubelet, which kwok keeps ready: kube-scheduler binds pods to them, and nothing runs there."""

import json
import os
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from cluster.kubernetes.api_objects import NodeList
from cluster.kubernetes.connection import ClusterAccess, Connection

NAME = "fakes"
ANNOTATION = {"kwok.x-k8s.io/node": "fake"}
TAINT = {"key": "assay-tests/fake", "value": "", "effect": "NoSchedule"}
"""Keeps the pods of other tests away."""
TOLERATION = {"key": TAINT["key"], "operator": "Exists"}
GROUP = "assay-tests/group"
"""The label of the nodes that one test has made."""
PATIENCE = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeNode:
    """What a node is made with."""

    name: str
    allocatable: Mapping[str, str] = field(default_factory=lambda: {"cpu": "4", "memory": "8Gi", "pods": "110"})
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: Sequence[Mapping[str, str]] = ()
    unschedulable: bool = False


def usable() -> ClusterAccess:
    """Return how to reach a cluster in which kwok keeps nodes ready; skip the test if there is none."""
    kubeconfig = os.environ.get("KUBECONFIG", "")
    if not kubeconfig:
        pytest.skip("no cluster: set KUBECONFIG to that of one with fake nodes, as ../shared/cluster/up --nodes 3 has")
    access = ClusterAccess(name=NAME, namespace="default", image="python:3", kubeconfig=Path(kubeconfig))
    connection = Connection(access)
    try:
        listed = NodeList.model_validate_json(connection.get("/api/v1/nodes", ("limit", "50")))
    finally:
        connection.close()
    if not any(node.metadata.annotations.items() >= ANNOTATION.items() for node in listed.items):
        pytest.skip("the cluster of KUBECONFIG has no fake nodes: ../shared/cluster/up --nodes 3 makes some")
    return access


@contextmanager
def made(connection: Connection, nodes: Sequence[FakeNode]) -> Iterator[str]:
    """Give the group of these nodes, once all are ready. They are removed at the end."""
    group = secrets.token_hex(4)
    try:
        for node in nodes:
            connection.create("/api/v1/nodes", body(node, group))
        _until_ready(connection, group, len(nodes))
        yield group
    finally:
        for node in nodes:
            connection.delete(f"/api/v1/nodes/{node.name}", grace=0)


def body(node: FakeNode, group: str) -> dict[str, Any]:
    """Return the object of a node."""
    labels = {"kubernetes.io/hostname": node.name, "type": "kwok", GROUP: group, **node.labels}
    size = dict(node.allocatable)
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": node.name, "annotations": ANNOTATION, "labels": labels},
        "spec": {"taints": [TAINT, *node.taints], "unschedulable": node.unschedulable},
        "status": {"capacity": size, "allocatable": size},
    }


def filler(name: str, node: str, cpu: str) -> dict[str, Any]:
    """Return the body of somebody else's pod that is bound to a node."""
    container = {"name": "c", "image": "none.invalid/none", "resources": {"requests": {"cpu": cpu}}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"nodeName": node, "containers": [container | SECURITY], **POD_SECURITY},
    }


SECURITY: dict[str, Any] = {
    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "runAsNonRoot": True}
}
POD_SECURITY: dict[str, Any] = {"securityContext": {"seccompProfile": {"type": "RuntimeDefault"}}}


def _until_ready(connection: Connection, group: str, number: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        data = json.loads(connection.get("/api/v1/nodes", ("labelSelector", f"{GROUP}={group}")))
        if sum(_is_ready(node) for node in data["items"]) == number:
            return
        time.sleep(0.2)
    pytest.fail("kwok does not make the nodes ready")


def _is_ready(node: Any) -> bool:
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in node["status"].get("conditions", ()))
    return ready and all(t["key"] != "node.kubernetes.io/not-ready" for t in node["spec"].get("taints", ()))
