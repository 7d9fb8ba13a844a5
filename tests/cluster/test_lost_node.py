"""A node of a served cluster is lost: its kubelet is silent for too long. `make sweep` runs it, for two minutes."""

import os

import pytest
from harness.cluster_namespaces import SERVING, ServedCluster
from harness.cluster_objects import kept_pods
from harness.cluster_parts import stopped
from harness.stack import shell, until

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(os.environ.get("ASSAY_SWEEP") != "all", reason="takes two minutes: `make sweep` runs it"),
]

SCRIPT = 'echo "up $ASSAY_ATTEMPT"; [ "$ASSAY_ATTEMPT" != 1 ] || sleep 600'


def test_a_run_of_a_lost_node_is_tried_elsewhere_and_its_pod_ends_when_the_node_is_back(served: ServedCluster) -> None:
    stack = served.stack
    stack.kill("worker-1")
    stack.start_worker("worker-1", ASSAY_LOST_AFTER_SECONDS="10", **SERVING)
    term = {"matchExpressions": [{"key": key, "operator": "In", "values": [host]} for key, host in served.host.items()]}
    run = stack.submit(shell(SCRIPT, config={"affinity": {"preferred": [{"weight": 100, "preference": term}]}}))
    until("it runs", lambda: "up 1" in stack.rest("GET", f"/tests/{run}/logs").text, 60)
    first = stack.attempts(run)[0]["node"]

    with stopped(served.access, "kubelet"):
        row = stack.ended(run, 240)
        during = kept_pods(served.access, run)
    until("no pod is left", lambda: not kept_pods(served.access, run), 180, 0.5)
    stack.kill("worker-1")
    stack.start_worker("worker-1", **SERVING)

    assert (first, row["status"]) == (served.node, "completed"), row
    told = [(attempt["node"] == served.node, attempt["failure_reason"]) for attempt in stack.attempts(run)]
    assert told == [(True, "node_lost"), (False, None)]
    assert len(during) == 1, "the pod of the lost attempt stays until its kubelet says that it has ended"
