"""Two nodes: a run goes on where its place is, in the same flow run, wherever its flow has waited (010.5)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from harness.stack import Stack, shell, until

JOURNAL = """
echo "$ASSAY_ATTEMPT $ASSAY_RESULTS_DIR" >> '{journal}'
"""
ADMITTED_TO_BEGUN = """
SELECT extract(epoch FROM a.started_at - max(d.at)) AS seconds
FROM test_attempts a JOIN decisions d USING (execution_id)
WHERE a.execution_id = %s AND d.at <= a.started_at AND d.record ->> 'kind' = 'admitted'
GROUP BY a.number, a.started_at ORDER BY a.number
"""


class Two:
    """The stack with one node that is full, and a second one whose worker is not started yet."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.first = stack.node_name(stack.state)
        self.state = stack.another_node(f"node-{uuid4().hex[:6]}")
        cpu = stack.sql("SELECT cpu_milli FROM nodes WHERE name = %s", self.first)[0]["cpu_milli"]
        self.whole = {"cpuRequest": f"{cpu}m"}

    def start(self) -> str:
        """Start the worker of the second node, and return the name of that."""
        self.stack.start_worker("worker-of-second", ASSAY_STATE=str(self.state))
        return self.stack.node_name(self.state)


@pytest.fixture
def two(stack: Stack) -> Iterator[Two]:
    made = Two(stack)
    yield made
    stack.kill("worker-of-second")
    name = stack.node_name(made.state)
    until("its lease is over", lambda: stack.assay("nodes", "forget", name).returncode == 0, 60, 0.5)


def nodes_of(stack: Stack, run: str) -> list[str]:
    return [attempt["node"] for attempt in stack.attempts(run)]


def test_waiting_flows_and_retries_go_on_where_their_place_is(two: Two, tmp_path: Path) -> None:
    """All flows wait in the worker of the first node, which stays full; then a second node comes."""
    stack, journal, go = two.stack, tmp_path / "journal", tmp_path / "go"
    script = f"{JOURNAL.format(journal=journal)}until [ -e '{go}' ]; do sleep 0.1; done; [ $ASSAY_ATTEMPT = 2 ]"
    policy = {"retryPolicy": {"maxRetries": 1, "backoffSeconds": 0}}
    flow = stack.prefect_start({"test": shell(script, name="retried", resources=two.whole, config=policy)})
    retried = str(until("its row", lambda: stack.row_of_flow(flow).get("execution_id")))
    stack.in_phase(retried, "running")
    blocker = stack.submit(shell("sleep 600", name="blocker", resources=two.whole, priority=0))
    flows = [stack.prefect_start({"test": shell(JOURNAL.format(journal=tmp_path / str(n)))}) for n in range(5)]
    until("all five wait", lambda: all(stack.row_of_flow(one).get("phase") == "waiting" for one in flows))
    go.touch()
    stack.in_phase(blocker, "running")
    stack.in_phase(retried, "waiting", "backoff")

    second = two.start()
    states = [stack.flow_ended(one) for one in (flow, *flows)]
    stack.rest("POST", f"/tests/{blocker}/cancel")
    rows = [stack.row_of_flow(one) for one in (flow, *flows)]

    assert {(state["type"], state["name"]) for state in states} == {("COMPLETED", "Completed")}
    assert nodes_of(stack, retried) == [two.first, second]
    assert [nodes_of(stack, str(row["execution_id"])) for row in rows[1:]] == [[second]] * 5
    assert journal.read_text().splitlines() == [
        f"{number} {state / 'runs' / retried / str(number) / 'results'}"
        for number, state in ((1, stack.state), (2, two.state))
    ]
    assert all(str(two.state) in (tmp_path / str(n)).read_text() for n in range(5))


def test_a_flow_that_waits_in_the_wrong_worker_begins_in_the_other_one(two: Two) -> None:
    """Both nodes are full; then one gets room. The flows wait in either worker, and all run on that node."""
    stack, second = two.stack, two.start()
    blockers = [stack.submit(shell("sleep 600", name="blocker", resources=two.whole)) for _ in range(2)]
    for blocker in blockers:
        stack.in_phase(blocker, "running")
    on = {nodes_of(stack, blocker)[0]: blocker for blocker in blockers}
    flows = [stack.prefect_start({"test": shell("true")}) for _ in range(12)]
    until("all wait", lambda: all(stack.row_of_flow(one).get("phase") == "waiting" for one in flows))
    hosts = {str(row["execution_id"]): row["host"] for row in stack.sql("SELECT * FROM queue WHERE state = 'waiting'")}
    stack.rest("POST", f"/tests/{on[second]}/cancel")
    states = [stack.flow_ended(one) for one in flows]
    stack.rest("POST", f"/tests/{on[two.first]}/cancel")
    runs = [str(stack.row_of_flow(one)["execution_id"]) for one in flows]

    assert {state["type"] for state in states} == {"COMPLETED"}
    assert [nodes_of(stack, run) for run in runs] == [[second]] * 12
    for moved in (True, False):
        chosen = [run for run in runs if (hosts[run] != "worker-of-second") is moved]
        seconds = [float(stack.sql(ADMITTED_TO_BEGUN, run)[0]["seconds"]) for run in chosen]
        print(f"admitted to begun, {moved=}: {[round(one, 2) for one in sorted(seconds)]} s")  # noqa: T201  for `-rP`


def test_nodes_tells_who_is_served_and_a_node_without_a_worker_can_be_forgotten(two: Two) -> None:
    stack = two.stack
    second = two.start()
    served = {node["name"]: (node["served"], node["backend"]) for node in listed(stack)}
    refused = stack.assay("nodes", "forget", second)
    stack.kill("worker-of-second")

    def gone() -> dict[str, Any] | None:
        (node,) = [node for node in listed(stack) if node["name"] == second]
        return node if node["absentSince"] else None

    absent = until("its worker is missed", gone)
    stack.start_worker("worker-of-second", ASSAY_STATE=str(two.state))

    assert served == {name: (True, f"local/{name}") for name in (two.first, second)}
    assert refused.returncode == 4
    assert f"a live worker serves node {second}: stop that worker first" in refused.stderr
    assert not absent["served"]
    assert stack.assay("nodes", "forget", "unknown").returncode == 4
    assert stack.node_name(two.state) == second, "a restart made another node"


def listed(stack: Stack) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = stack.rest("GET", "/nodes").json()["nodes"]
    return found
