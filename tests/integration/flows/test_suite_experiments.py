"""A suite that carries an experiment, on a real stack with the shop, in a pool of one slot (028)."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from harness.experiment_runs import nothing_is_left
from harness.experiments import LocalShop, local_shop
from harness.stack import Stack, until
from harness.suite_experiments import buys, slow
from harness.suites import ended, places, state_of, submit, suite, written
from harness.sweep import part

pytestmark = pytest.mark.faults
SECONDS = 180.0


@pytest.fixture(scope="module")
def shop(stack: Stack) -> Iterator[LocalShop]:
    with local_shop(stack.state) as running:
        yield running


@pytest.fixture
def one_slot(stack: Stack) -> Iterator[Stack]:
    """The stack with a pool that runs one test at once."""
    before = stack.sql("SELECT max_concurrent_tests FROM pools WHERE name = 'default'")[0]["max_concurrent_tests"]
    places(stack, 1)
    yield stack
    places(stack, before)


def test_a_cancelled_suite_reverts_the_fault_at_once_and_leaves_nothing(one_slot: Stack, shop: LocalShop) -> None:
    tests = [buys(shop, "patient", "fault", 90, 60), buys(shop, "well again", "recovery", 1, 0.8)]
    run = submit(one_slot, suite(*tests, experiment=slow(shop, durationSeconds=60)))
    until("the fault is active", lambda: shop.facts().services["payments"].rules, 90, 0.1)

    assert one_slot.assay("cancel", run).returncode == 0
    until("the fault is reverted", lambda: not shop.facts().services["payments"].rules, 10, 0.05)
    row, shown = ended(one_slot, run), one_slot.rest("GET", f"/suites/runs/{run}").json()

    assert (row["status"], shown["exitCode"], shown["experiment"]["status"]) == ("cancelled", 2, "cancelled")
    assert {one["name"]: one["conclusion"] for one in shown["experiment"]["tests"]} == {
        "patient": "was cancelled",
        "well again": "was cancelled",
    }
    until("nothing waits or runs", lambda: one_slot.sql("SELECT 1 FROM queue") == [], 30)
    nothing_is_left(one_slot, shop)


@part(2)
def test_an_abort_while_the_tests_of_the_recovery_run_changes_no_verdict(one_slot: Stack, shop: LocalShop) -> None:
    tests = [buys(shop, "patient", "fault", 14, 60), buys(shop, "well again", "recovery", 60, 60)]
    run = submit(one_slot, suite(*tests, experiment=slow(shop)))
    standing = (
        "SELECT CAST(r.id AS text) AS id FROM runs r JOIN chaos_runs c ON c.run_id = r.id"
        " WHERE r.parent_id = %s AND r.status = 'running' AND c.state ->> 'step' = 'record'"
    )
    until("the judgement is written down", lambda: one_slot.sql(standing, run), 120, 0.2)
    [experiment] = one_slot.sql(standing, run)

    assert one_slot.assay("chaos", "abort", experiment["id"]).returncode == 0
    ended(one_slot, run)

    [judged] = one_slot.sql("SELECT status FROM runs WHERE id = %s", experiment["id"])
    [row] = one_slot.sql("SELECT ending, hypothesis_validated FROM chaos_runs WHERE run_id = %s", experiment["id"])
    assert (judged["status"], row["ending"], row["hypothesis_validated"]) == ("completed", "judged", True)
    nothing_is_left(one_slot, shop)


def test_in_a_pool_of_one_slot_what_fails_under_the_fault_only_is_told_apart(
    one_slot: Stack, shop: LocalShop, tmp_path: Path
) -> None:
    stack = one_slot
    tests = [
        buys(shop, "steady", "baseline", 1, 0.8),
        buys(shop, "quick", "baseline", 1, 0.8),
        buys(shop, "patient no more", "fault", 14, 0.8),
        buys(shop, "well again", "recovery", 1, 0.8),
    ]
    told = stack.assay("run", written(suite(*tests, experiment=slow(shop)), tmp_path), timeout=SECONDS)
    run = stack.rest("GET", "/suites/runs").json()["suiteRuns"][0]["suiteRunId"]
    row, shown = ended(stack, run), stack.rest("GET", f"/suites/runs/{run}").json()
    runs = {(one["name"], one["retriedFrom"] is not None): one for one in shown["executions"]}
    [fault] = stack.sql(
        "SELECT f.injected_at, f.reverted_at FROM chaos_faults f JOIN runs r ON r.id = f.execution_id"
        " WHERE r.parent_id = %s",
        run,
    )
    order = stack.sql(
        "SELECT d.name, r.started_at, r.completed_at FROM runs r JOIN test_run_details t ON t.execution_id = r.id"
        " JOIN test_definitions d ON d.id = t.definition_id WHERE r.parent_id = %s ORDER BY r.started_at",
        run,
    )
    junit = ET.fromstring(stack.assay("results", run, "--junit", "-").stdout)  # noqa: S314  our own

    assert told.returncode == 1, told.stderr
    assert (row["status"], shown["exitCode"], shown["experiment"]["validated"]) == ("failed", 1, True), told.stderr
    assert {one["name"]: (one["conclusion"], one["underFault"]) for one in shown["experiment"]["tests"]} == {
        "steady": ("passed", False),
        "quick": ("passed", False),
        "patient no more": ("failed under the fault only", True),
        "well again": ("passed", False),
    }
    assert {key: one["status"] for key, one in runs.items() if one["status"] != "completed"} == {
        ("patient no more", False): "failed"
    }
    assert [one["name"] for one in order] == [*(test["name"] for test in tests), "patient no more"]
    assert all(one["completed_at"] <= after["started_at"] for one, after in pairwise(order)), order
    under = order[2]
    assert under["started_at"] < fault["injected_at"] < under["completed_at"] < fault["reverted_at"]
    assert fault["reverted_at"] < order[3]["started_at"]
    assert "patient no more (fault): failed under the fault only" in told.stderr
    assert "payments is slow: running, window fault, step observe" in told.stderr
    assert shown["counts"] == {"queued": 0, "running": 0, "completed": 3, "failed": 1, "cancelled": 0, "timeout": 0}
    assert state_of(stack, run) == ("FAILED", "Failed")
    assert [one.get("name") for one in junit] == [
        "steady", "quick", "patient no more", "patient no more (without the fault)", "well again", "payments is slow",
    ]  # fmt: skip
    nothing_is_left(stack, shop)
