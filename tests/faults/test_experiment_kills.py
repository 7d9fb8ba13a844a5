"""Kill -9 of the worker between any two steps of an experiment: one row, the right status, and nothing is left."""

import signal
from collections.abc import Iterator
from typing import Any

import pytest
from harness.experiments import LocalShop, guards, local_shop
from harness.faulty_points import EXPERIMENT_POINTS
from harness.stack import Stack, until
from harness.suite_experiments import buys, slow
from harness.suites import ended, submit, suite
from harness.sweep import part, third

pytestmark = pytest.mark.faults

QUIET = {
    f"{when}-{step}" for when in ("before", "after") for step in ("resolve-targets", "admit", "baseline", "recheck")
}
"""Here a step without any fault stands in the database, so the experiment begins that step again."""
JUDGED = {"after-record", "before-found", "after-found"}
"""From here on the judgement stands in the database."""
WINDOWS = {"durationSeconds": 5, "baselineSeconds": 5, "recoverySeconds": 5}


@pytest.fixture(scope="module")
def shop(stack: Stack) -> Iterator[LocalShop]:
    with local_shop(stack.state) as running:
        yield running


def submitted(stack: Stack, experiment: dict[str, Any]) -> str:
    answer = stack.rest("POST", "/runs", json={"kind": "experiment", "spec": experiment})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["runId"])


def execution(stack: Stack, run: str) -> dict[str, Any]:
    [row] = stack.sql("SELECT * FROM chaos_executions WHERE execution_id = %s", run)
    return row


def restart(stack: Stack, name: str = "worker-1") -> None:
    stack.processes.pop(name).wait(60)
    stack.start_worker(name)


@pytest.mark.parametrize("point", third(EXPERIMENT_POINTS))
def test_a_worker_killed_at_any_point_leaves_one_row_and_no_fault(stack: Stack, shop: LocalShop, point: str) -> None:
    kills = shop.facts().services["payments"].kills
    stack.fault(point, "kill")
    run = submitted(stack, shop.example("payments-killed", **WINDOWS))
    stack.struck(point)
    restart(stack)

    until("it has ended", lambda: execution(stack, run)["completed_at"], 90)
    until("nothing is left", lambda: not left(stack, shop, run), 25)

    row = execution(stack, run)
    again = point in QUIET | {"before-inject"}
    wanted = ("completed", "judged") if again or point in JUDGED else ("failed", "infrastructure")
    assert (row["status"], row["ending"]) == wanted, row
    assert row["hypothesis_validated"] is (True if wanted[0] == "completed" else None)
    assert shop.facts().services["payments"].kills - kills <= 1, "it was injected twice"
    assert len(stack.sql("SELECT 1 FROM runs WHERE id = %s", run)) == 1


def test_the_next_worker_ends_what_the_dead_one_had_started_beside_the_experiment(
    stack: Stack, shop: LocalShop
) -> None:
    """The run that makes its health checks of type command is found by its id, used again, and ended once."""
    check = {"name": "here", "type": "command", "command": ["true"]}
    wanted = shop.example("payments-killed", **WINDOWS, hypothesis={"healthChecks": [check]}, load=None)
    stack.fault("after-baseline", "kill")
    run = submitted(stack, wanted | {"haltConditions": [{"healthCheck": "here"}]})
    stack.struck("after-baseline")
    restart(stack)

    until("it has ended", lambda: execution(stack, run)["completed_at"], 90)
    until("nothing waits or runs", lambda: stack.sql("SELECT 1 FROM queue") == [], 30)

    beside = stack.sql("SELECT status FROM runs WHERE kind = 'test'")
    assert (execution(stack, run)["status"], execution(stack, run)["ending"]) == ("completed", "judged")
    assert [row["status"] for row in beside] == ["cancelled"]


def left(stack: Stack, shop: LocalShop, run: str) -> list[str]:
    """Return what is left of an experiment, in the database and in the world."""
    found = [f"fault {row['fault_id']} is {row['status']}" for row in stack.sql(
        "SELECT fault_id, status FROM chaos_faults WHERE execution_id = %s AND status <> 'reverted'", run
    )]  # fmt: skip
    facts = shop.facts()
    for name, service in facts.services.items():
        found += [f"a rule on {name}"] * bool(service.rules) + [f"a hold on {name}"] * bool(service.holds)
        found += [f"{name} is not ready"] * (not service.ready)
    return (
        found
        + [f"guard {pid}" for pid in guards(run)]
        + ["it holds its claims" for _ in stack.sql("SELECT 1 FROM queue WHERE execution_id = %s", run)]
    )


LONG = {"fault": {"type": "network-latency", "parameters": {"latencyMs": 50}}, "durationSeconds": 120}
"""A fault that would last for 120 s. Whatever dies, it must be over 25 s later."""
REVERTED_WITHIN = 25.0


def under_fault(stack: Stack, shop: LocalShop) -> str:
    """Have an experiment under its fault, and return its run."""
    experiment = shop.example(
        "payments-slow", baselineSeconds=5, haltConditions=[{"slo": "orders placed", "above": 99}]
    )
    experiment.pop("faults")
    run = submitted(stack, experiment | LONG)
    until("the fault is active", lambda: shop.facts().services["payments"].rules, 60, 0.1)
    return run


def in_the_world(shop: LocalShop, run: str) -> list[str]:
    """Return what is left of an experiment in the world, without asking any database."""
    facts = shop.facts().services
    rules = [f"a rule on {name}" for name, service in facts.items() if service.rules or service.holds]
    return rules + [f"guard {pid}" for pid in guards(run)]


def test_with_a_second_worker_the_fault_of_a_dead_one_is_over_in_time_and_the_run_ends(
    stack: Stack, shop: LocalShop
) -> None:
    stack.start_worker("worker-2")
    run = under_fault(stack, shop)
    [lease] = stack.sql("SELECT holder FROM leases WHERE execution_id = %s", run)
    stack.kill(lease["holder"])

    until("nothing is in the world", lambda: not in_the_world(shop, run), REVERTED_WITHIN, 0.1)
    until("it has ended", lambda: execution(stack, run)["completed_at"], REVERTED_WITHIN)

    row = execution(stack, run)
    assert (row["status"], row["ending"], row["hypothesis_validated"]) == ("failed", "infrastructure", None)
    assert left(stack, shop, run) == []
    one_worker(stack, lease["holder"])


@part(2)
def test_of_a_suite_whose_worker_dies_under_the_fault_the_test_is_adopted_and_runs_once_more(
    stack: Stack, shop: LocalShop
) -> None:
    """The experiment ends by its way back. What the test found under the fault is told apart all the same."""
    tests = [buys(shop, "quick", "fault", 15, 0.8), buys(shop, "well again", "recovery", 1, 0.8)]
    suite_run = submit(stack, suite(*tests, experiment=slow(shop, durationSeconds=60)))
    until("the fault is active", lambda: shop.facts().services["payments"].rules, 90, 0.05)
    stack.kill("worker-1")
    stack.start_worker("worker-1")

    until("nothing is in the world", lambda: not shop.facts().services["payments"].rules, REVERTED_WITHIN, 0.1)
    row = ended(stack, suite_run)
    shown = stack.rest("GET", f"/suites/runs/{suite_run}").json()

    assert (row["status"], row["failure_reason"], shown["exitCode"]) == ("failed", "infrastructure", 3)
    assert {one["name"]: one["conclusion"] for one in shown["experiment"]["tests"]} == {
        "quick": "failed under the fault only",
        "well again": "passed",
    }
    assert left(stack, shop, shown["experiment"]["executionId"]) == []
    assert stack.sql("SELECT 1 FROM queue") == []


def one_worker(stack: Stack, dead: str) -> None:
    """Have `worker-1` alone again."""
    if dead == "worker-1":
        stack.start_worker("worker-1")
    if "worker-2" in stack.processes:
        stack.kill("worker-2", signal.SIGTERM)


def test_without_worker_prefect_and_database_the_fault_is_over_in_time(stack: Stack, shop: LocalShop) -> None:
    run = under_fault(stack, shop)
    for name in ("worker-1", "prefect"):
        stack.kill(name)
    stack.cluster.stop()

    until("nothing is in the world", lambda: not in_the_world(shop, run), REVERTED_WITHIN, 0.1)

    stack.cluster.start()
    stack.start_prefect()
    stack.start_worker("worker-1")
    until("it has ended", lambda: execution(stack, run)["completed_at"], 60)
    row = execution(stack, run)
    assert (row["status"], row["ending"], row["hypothesis_validated"]) == ("failed", "infrastructure", None)
    assert left(stack, shop, run) == []


def test_when_the_database_goes_the_fault_is_reverted_by_the_worker_itself(stack: Stack, shop: LocalShop) -> None:
    run = under_fault(stack, shop)
    stack.cluster.stop()

    until("nothing is in the world", lambda: not in_the_world(shop, run), REVERTED_WITHIN, 0.1)

    stack.cluster.start()
    until("it has ended", lambda: execution(stack, run)["completed_at"], 60)
    assert "database was away" in execution(stack, run)["reason"]
