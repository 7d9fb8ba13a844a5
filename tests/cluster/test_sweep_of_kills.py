"""The worker is killed between any two steps of a run in a pod: one pod, one result, the right verdict, each time.

By default a third of the points is tried, which `ASSAY_SWEEP_SEED` chooses; `ASSAY_SWEEP=all` (`make sweep`) tries all.
"""

import pytest
from harness.cluster_namespaces import SERVING, ServedCluster
from harness.cluster_objects import kept_pods, started_pods
from harness.faulty_points import CLUSTER_POINTS
from harness.stack import shell, until
from harness.sweep import third

pytestmark = pytest.mark.cluster


@pytest.mark.parametrize("point", third(CLUSTER_POINTS))
def test_a_worker_killed_at_any_point_costs_no_attempt_and_no_second_pod(served: ServedCluster, point: str) -> None:
    stack = served.stack
    retried = point.endswith("requeue")
    policy = {"retryPolicy": {"maxRetries": 1, "backoffSeconds": 0}} if retried else {}
    wanted = [1, 2] if retried else [1]
    stack.fault(point, "kill")

    config = {"nodeSelector": served.host} | policy
    run = stack.submit(shell('echo "start $ASSAY_ATTEMPT"; sleep 0.5; exit 3', config=config))
    stack.struck(point, 90)
    stack.processes.pop("worker-1").wait(60)
    stack.start_worker("worker-1", **SERVING)
    row = stack.ended(run, 120)

    assert (row["status"], row["failure_reason"]) == ("failed", "tests_failed"), row
    assert [(a["number"], a["exit_code"]) for a in stack.attempts(run)] == [(number, 3) for number in wanted]
    assert [result["attempt"] for result in stack.results(run)] == wanted
    printed = stack.rest("GET", f"/tests/{run}/logs").text
    assert [line for line in printed.splitlines() if "start" in line] == [f"start {number}" for number in wanted]
    assert len(started_pods(served.access, run)) == len(wanted)
    assert stack.settled(run)["type"] == "FAILED"
    until("no pod is left", lambda: not kept_pods(served.access, run), 60, 0.2)
