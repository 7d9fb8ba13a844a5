"""Whole runs while parts of the cluster are away: each run gets one verdict, the right one."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from harness.cluster_namespaces import NAME, SERVING, ServedCluster
from harness.cluster_parts import stopped
from harness.stack import shell, until

from cluster.kubernetes import names
from cluster.kubernetes.api_objects import PodList
from cluster.kubernetes.connection import Connection

pytestmark = pytest.mark.cluster

AWAY_SECONDS = 20.0
RUNS = 10


def test_runs_get_their_verdicts_while_the_api_server_is_away(served: ServedCluster) -> None:
    stack = served.stack
    runs = [
        stack.submit(shell(f"echo up; sleep 12; exit {number % 3}", name=f"r{number}", config=on(served)))
        for number in range(RUNS)
    ]
    until("they run", lambda: all("up" in log(served, run) for run in runs), 120)

    with stopped(served.access, "kube-apiserver"):
        time.sleep(AWAY_SECONDS)
    rows = [stack.ended(run, 120) for run in runs]

    expected = ["failed" if number % 3 else "completed" for number in range(RUNS)]
    assert [row["status"] for row in rows] == expected
    assert [[a["exit_code"] for a in stack.attempts(run)] for run in runs] == [[n % 3] for n in range(RUNS)]
    until("no pod is left", lambda: not pods(served), 60)


def test_a_run_outlives_a_kubelet_that_is_away(served: ServedCluster) -> None:
    stack = served.stack
    run = stack.submit(shell("echo up; sleep 5; echo done; exit 4", config=on(served)))
    until("it runs", lambda: "up" in log(served, run), 60)

    with stopped(served.access, "kubelet"):
        time.sleep(AWAY_SECONDS)
    row = stack.ended(run, 120)

    assert (row["status"], [a["exit_code"] for a in stack.attempts(run)]) == ("failed", [4])
    assert "done" in log(served, run)


def test_a_pod_is_adopted_and_finished_while_prefect_is_away(served: ServedCluster) -> None:
    stack = served.stack
    run = stack.submit(shell("echo up; sleep 10; exit 5", config=on(served)))
    until("it runs", lambda: "up" in log(served, run), 60)

    stack.kill("prefect")
    stack.kill("worker-1")
    stack.start_worker("worker-1", **SERVING)
    try:
        row = stack.ended(run, 120)
    finally:
        stack.start_prefect()

    assert (row["status"], [a["exit_code"] for a in stack.attempts(run)]) == ("failed", [5])


def test_a_drained_node_costs_an_attempt_and_the_run_goes_on_after_it(served: ServedCluster) -> None:
    """The cluster has one node: the run waits with the reason until it may be used again.

    It may be admitted there once more before the worker has seen the cordon. Nothing is charged for that.
    """
    stack = served.stack
    run = stack.submit(shell('echo "up $ASSAY_ATTEMPT"; [ "$ASSAY_ATTEMPT" != 1 ] || sleep 600', config=on(served)))
    until("it runs", lambda: "up 1" in log(served, run), 60)

    with cordoned(served):
        evict(served)
        until(
            "it waits, and says why",
            lambda: waits_for_the_taint(served, run),
            150,
            seen=lambda: (explained(served, run), stack.attempts(run)),
        )
    row = stack.ended(run, 120)

    assert row["status"] == "completed"
    reasons = [attempt["failure_reason"] for attempt in stack.attempts(run)]
    assert (reasons[0], reasons[-1]) == ("evicted", None)
    assert set(reasons[1:-1]) <= {"placement", "evicted"}


def on(served: ServedCluster) -> dict[str, object]:
    return {"nodeSelector": served.host}


def log(served: ServedCluster, run: str) -> str:
    return served.stack.rest("GET", f"/tests/{run}/logs").text


def waits_for_the_taint(served: ServedCluster, run: str) -> bool:
    return "unschedulable" in str(explained(served, run)["waiting"])


def explained(served: ServedCluster, run: str) -> dict[str, object]:
    return served.stack.rest("GET", f"/tests/{run}/explanation").json()


def pods(served: ServedCluster) -> list[str]:
    connection = Connection(served.access)
    path = f"/api/v1/namespaces/{served.access.namespace}/pods"
    found = PodList.model_validate_json(connection.get(path, ("labelSelector", names.SELECTOR))).items
    connection.close()
    return [pod.metadata.name for pod in found]


def evict(served: ServedCluster) -> None:
    connection = Connection(served.access)
    for name in pods(served):
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
        connection.create(f"/api/v1/namespaces/{served.access.namespace}/pods/{name}/eviction", body)
    connection.close()


@contextmanager
def cordoned(served: ServedCluster) -> Iterator[None]:
    connection = Connection(served.access)
    path = f"/api/v1/nodes/{served.node.removesuffix(f'.{NAME}')}"
    connection.patch(path, {"spec": {"unschedulable": True}})
    try:
        yield
    finally:
        connection.patch(path, {"spec": {"unschedulable": None}})
        connection.close()
