"""A run from the API to its verdict, as a pod on a real node."""

import pytest
from harness.cluster_namespaces import SERVING, ServedCluster
from harness.stack import pytest_request, shell, until

from cluster.kubernetes import names
from cluster.kubernetes.api_objects import PodList
from cluster.kubernetes.connection import Connection

pytestmark = pytest.mark.cluster

TWO_TESTS = "def test_good():\n    print('hello from the pod')\n\ndef test_bad():\n    assert 1 == 2\n"


def test_a_pytest_run_is_a_pod_with_verdict_results_and_log(served: ServedCluster) -> None:
    stack = served.stack
    run = stack.submit(pytest_request(TWO_TESTS, config={"nodeSelector": served.host}))

    row = stack.ended(run, 120)

    assert (row["status"], row["failure_reason"]) == ("failed", "tests_failed"), row
    assert [attempt["node"] for attempt in stack.attempts(run)] == [served.node]
    outcomes = {result["test_name"].rpartition("::")[2]: result["status"] for result in stack.results(run)}
    assert outcomes == {"test_good": "passed", "test_bad": "failed"}
    log = stack.rest("GET", f"/tests/{run}/logs").text
    assert "1 failed, 1 passed" in log


def test_a_cancelled_run_leaves_no_pod(served: ServedCluster) -> None:
    stack = served.stack
    run = stack.submit(shell("echo up; sleep 600", config={"nodeSelector": served.host}))
    until("the log is there", lambda: "up" in stack.rest("GET", f"/tests/{run}/logs").text, 60)

    assert stack.rest("POST", f"/tests/{run}/cancel").status_code in {200, 202}
    row = stack.ended(run, 60)

    assert row["status"] == "cancelled"
    until("no pod is left", lambda: not _pods(served, run), 60)


def test_a_run_goes_on_when_its_worker_is_killed(served: ServedCluster) -> None:
    """The next worker finds the pod by its name: one attempt, one verdict."""
    stack = served.stack
    run = stack.submit(shell("echo up; sleep 8; exit 3", config={"nodeSelector": served.host}))
    until("the log is there", lambda: "up" in stack.rest("GET", f"/tests/{run}/logs").text, 60)

    stack.kill("worker-1")
    stack.start_worker("worker-1", **SERVING)
    row = stack.ended(run, 90)

    assert (row["status"], row["failure_reason"]) == ("failed", "tests_failed")
    assert [attempt["exit_code"] for attempt in stack.attempts(run)] == [3]


def test_a_run_that_kube_scheduler_refuses_is_placed_anew_without_a_charge(served: ServedCluster) -> None:
    """It asks for a claim that nothing binds, which the gate does not see."""
    stack = served.stack
    _claim(served, "unbound")
    unbound = [{"name": "data", "mountPath": "/data", "claim": "unbound"}]
    run = stack.submit(shell("true", config={"nodeSelector": served.host, "volumes": unbound}))

    until("it was refused twice", lambda: [a["failure_reason"] for a in stack.attempts(run)].count("placement") > 1, 90)
    attempts = stack.attempts(run)
    stack.rest("POST", f"/tests/{run}/cancel")
    row = stack.ended(run, 60)

    assert {attempt["cause"] for attempt in attempts[1:]} == {"placement"}
    assert "unbound immediate PersistentVolumeClaims" in attempts[0]["detail"]
    assert (row["status"], row["retry_count"]) == ("cancelled", 0)


def _claim(served: ServedCluster, name: str) -> None:
    """Make a claim of no storage class, to which no volume fits."""
    resources = {"requests": {"storage": "1Gi"}}
    spec = {"accessModes": ["ReadWriteOnce"], "storageClassName": "", "resources": resources}
    connection = Connection(served.access)
    place = f"/api/v1/namespaces/{served.access.namespace}/persistentvolumeclaims"
    connection.create(place, {"metadata": {"name": name}, "spec": spec})
    connection.close()


def _pods(served: ServedCluster, run: str) -> list[str]:
    """Return the pods of a run. Those that only keep the name of an attempt that was given up stay (013.7)."""
    connection = Connection(served.access)
    path = f"/api/v1/namespaces/{served.access.namespace}/pods"
    pods = PodList.model_validate_json(connection.get(path, ("labelSelector", f"{names.EXECUTION}={run}"))).items
    connection.close()
    return [pod.metadata.name for pod in pods]
