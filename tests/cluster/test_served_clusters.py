"""A worker serves a cluster that is added while it runs (013.14), and a run names the cluster (013.15)."""

from collections.abc import Iterator
from typing import Any

import pytest
from harness import cluster_namespaces
from harness.cluster_namespaces import ServedCluster
from harness.stack import Stack, shell, until

from cluster.kubernetes import names
from cluster.kubernetes.connection import ClusterAccess, Connection

pytestmark = pytest.mark.cluster

LATE = "late"


@pytest.fixture
def access(served: ServedCluster) -> Iterator[ClusterAccess]:
    """A namespace that nobody serves yet, and a worker that serves whatever it reaches."""
    made = cluster_namespaces.make(served.access)
    served.stack.start_worker("worker-2", ASSAY_CLUSTERS="*")
    yield made
    served.stack.kill("worker-2")
    connection = Connection(made)
    cluster_namespaces.remove(connection)
    connection.close()


def test_a_cluster_is_served_once_it_is_added_and_until_it_is_removed(
    served: ServedCluster, access: ClusterAccess
) -> None:
    stack, add = served.stack, {"namespace": access.namespace, "image": access.image}
    reached = add | {"kubeconfig": f"file:{access.kubeconfig}"}
    assert stack.rest("PUT", "/clusters/nowhere", json=add | {"kubeconfig": "file:/nowhere"}).status_code == 200
    assert stack.rest("PUT", f"/clusters/{LATE}", json=reached).status_code == 200
    until("its node is there", lambda: LATE in _clusters(stack), 20)

    run = stack.submit(shell("true", config={"nodeSelector": {names.CLUSTER: LATE}}))
    assert stack.ended(run, 60)["status"] == "completed"
    assert stack.attempts(run)[0]["node"].endswith(f".{LATE}")
    found = _findings(stack, LATE)
    assert found["worker"] == (True, "served by worker-2")
    assert found["image"] == (True, f"{access.image} runs, and has python3")
    assert not _findings(stack, "nowhere")["worker"][0]

    wrong = reached | {"image": "localhost/there-is-no-such:1"}
    assert stack.rest("PUT", f"/clusters/{LATE}", json=wrong).status_code == 200
    fine, words = _findings(stack, LATE)["image"]
    assert not fine
    assert "the image localhost/there-is-no-such:1" in words
    for name in (LATE, "nowhere"):
        assert stack.rest("DELETE", f"/clusters/{name}").status_code == 204
    until("it is served no longer", lambda: not _servers(stack), 20)
    until("its nodes have left the pool", lambda: LATE not in _clusters(stack), 20)


def _clusters(stack: Stack) -> set[str]:
    """Return the clusters whose nodes take runs."""
    nodes = stack.rest("GET", "/nodes").json()["nodes"]
    return {node["name"].rpartition(".")[2] for node in nodes}


def _findings(stack: Stack, name: str) -> dict[str, tuple[bool, str]]:
    """Return what a check of a cluster finds; of several permissions the last."""
    answer: dict[str, Any] = stack.rest("POST", f"/clusters/{name}/check", timeout=120).json()
    return {each["what"]: (each["fine"], each["words"]) for each in answer["findings"]}


def _servers(stack: Stack) -> list[str]:
    """Return the workers that serve the cluster that was removed."""
    rows = stack.sql("SELECT worker_id FROM workers WHERE %s = ANY(serves)", f"kubernetes/{LATE}")
    return [row["worker_id"] for row in rows]
