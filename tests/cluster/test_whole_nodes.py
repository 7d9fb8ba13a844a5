"""Whole runs whose first node does not keep them: the next attempt is made on another one."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import pytest
from harness.cluster_namespaces import NAME, ServedCluster
from harness.fake_node import evicting
from harness.stack import shell, until

from cluster.kubernetes.connection import Connection

pytestmark = pytest.mark.cluster

PAIR, BAD = "tests.assay.internal/pair", "tests.assay.internal/bad"


def test_a_run_that_its_node_evicts_is_tried_on_another_one(served: ServedCluster) -> None:
    stack, pair = served.stack, uuid4().hex[:8]
    bad = f"bad-{pair}"
    prefers_bad = {"weight": 100, "preference": {"matchExpressions": [{"key": BAD, "operator": "Exists"}]}}
    config = {"nodeSelector": {PAIR: pair}, "affinity": {"preferred": [prefers_bad]}}

    with labelled(served, {PAIR: pair}), evicting(served.access, bad, {PAIR: pair, BAD: "yes"}):
        until("both nodes are known", lambda: ready_nodes(served) >= {f"{bad}.{NAME}", served.node}, 90, 0.5)
        run = stack.submit(shell("echo up; exit 3", config=config))
        row = stack.ended(run, 150)

    assert (row["status"], row["failure_reason"]) == ("failed", "tests_failed"), row
    told = [(attempt["node"], attempt["failure_reason"]) for attempt in stack.attempts(run)]
    assert told == [(f"{bad}.{NAME}", "evicted"), (served.node, "tests_failed")]
    assert [result["attempt"] for result in stack.results(run)] == [2]


def test_a_test_that_needs_more_memory_than_its_limit_is_told_limit_and_use(served: ServedCluster) -> None:
    stack = served.stack
    eats = "x=0123456789abcdef; while :; do x=$x$x; done"
    resources = {"cpuRequest": "10m", "memoryRequest": "48Mi", "memoryLimit": "48Mi"}
    run = stack.submit(shell(eats, resources=resources, config={"nodeSelector": served.host}))

    row = stack.ended(run, 120)

    assert (row["status"], row["failure_reason"]) == ("failed", "oom_killed"), row
    assert "the limit is 48Mi" in row["detail"]
    assert "were in use" in row["detail"]


def ready_nodes(served: ServedCluster) -> set[str]:
    """Return the nodes of the pair that the gate may use: the node controller taints a new one for a moment."""
    query = "SELECT name FROM nodes WHERE ready AND taints = '[]' AND labels ? %s"
    return {row["name"] for row in served.stack.sql(query, PAIR)}


@contextmanager
def labelled(served: ServedCluster, labels: dict[str, str]) -> Iterator[None]:
    """Give the real node more labels."""
    connection = Connection(served.access)
    path = f"/api/v1/nodes/{served.node.removesuffix(f'.{NAME}')}"
    connection.patch(path, {"metadata": {"labels": labels}})
    try:
        yield
    finally:
        connection.patch(path, {"metadata": {"labels": dict.fromkeys(labels)}})
        connection.close()
