"""The Kubernetes cluster of the tests, and a namespace of each test in it.

It is the cluster that `KUBECONFIG` names. `ASSAY_TEST_IMAGE` names an image with Python, pip and pytest that its nodes
have or can pull. Where something is missing the test is skipped, and says what.
"""

import os
import secrets
import time
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import pytest

from cluster.backend import UnavailableError
from cluster.kubernetes import names, node_facts
from cluster.kubernetes.api_objects import NodeList, PodList
from cluster.kubernetes.connection import ApiError, ClusterAccess, Connection
from harness.stack import Stack
from model.ids import NodeName

NAME = "tests"
IMAGE = "localhost/test-python:1"
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
NODE_PATIENCE = 60.0
"""Seconds for which a cluster that has just been started may have no node that is ready."""

SERVING = {"ASSAY_CLUSTERS": NAME, "ASSAY_PLACE_SECONDS": "3"}
"""The settings of a worker that serves the cluster, and does not wait long for kube-scheduler."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedCluster:
    """A stack whose worker serves a namespace of the cluster. `host` is the label of its node."""

    stack: Stack
    access: ClusterAccess
    node: str
    host: dict[str, str]


def usable() -> tuple[ClusterAccess, NodeName]:
    """Return how to reach the cluster, and a node that takes pods; skip the test if there is none."""
    access, node, missing = _looked_for(os.environ.get("KUBECONFIG", ""))
    if access is None or node is None:
        pytest.skip(missing)
    return access, node


def make(access: ClusterAccess) -> ClusterAccess:
    """Make a namespace that takes only restricted pods. Return how to reach it."""
    name = f"assay-tests-{secrets.token_hex(4)}"
    connection = Connection(access)
    connection.create("/api/v1/namespaces", {"metadata": {"name": name, "labels": RESTRICTED}})
    connection.close()
    return replace(access, namespace=name)


def remove(connection: Connection) -> None:
    """Remove the namespace of a test with all that is in it. Its pods end at once."""
    inside = f"/api/v1/namespaces/{connection.access.namespace}"
    pods = PodList.model_validate_json(connection.get(f"{inside}/pods", ("labelSelector", names.SELECTOR)))
    for pod in pods.items:
        path = f"{inside}/pods/{pod.metadata.name}"
        connection.delete(path, grace=0)
        connection.patch(path, {"metadata": {"finalizers": None}})
    connection.delete(inside, grace=0)


@cache
def _looked_for(kubeconfig: str) -> tuple[ClusterAccess | None, NodeName | None, str]:
    if not kubeconfig:
        return None, None, "no cluster: set KUBECONFIG to the configuration of one, for example a cluster of kind"
    image = os.environ.get("ASSAY_TEST_IMAGE", IMAGE)
    access = ClusterAccess(name=NAME, namespace="default", image=image, kubeconfig=Path(kubeconfig))
    connection = Connection(access)
    until = time.monotonic() + NODE_PATIENCE
    try:
        while (node := _usable_node(connection)) is None and time.monotonic() < until:
            time.sleep(0.5)  # before any test: a watch for one wait of some seconds would be longer than this
    except (UnavailableError, ApiError) as failed:
        return None, None, f"the cluster of KUBECONFIG cannot be used: {failed}"
    finally:
        connection.close()
    lacking = "the cluster of KUBECONFIG has no node that is ready and has no taint"
    return access, node, "" if node else f"{lacking}, also not after {NODE_PATIENCE:.0f} s"


def _usable_node(connection: Connection) -> NodeName | None:
    listed = NodeList.model_validate_json(connection.get("/api/v1/nodes"))
    for node in node_facts.nodes_of(listed.items, (), NAME):
        if node.ready and not node.taints:
            return node.name
    return None
