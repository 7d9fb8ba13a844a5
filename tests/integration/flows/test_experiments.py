"""Experiments through the command, REST, gate, worker and Prefect, on the shop as a local environment."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness.experiment_runs import ended, file_of, in_step, nothing_is_left, run, started
from harness.experiments import LocalShop, local_shop
from harness.stack import Stack, until

from chaos.experiment_states import STEPS, Step

pytestmark = pytest.mark.faults


@pytest.fixture(scope="module")
def shop(stack: Stack) -> Iterator[LocalShop]:
    """The shop whose orders tries again for three seconds."""
    with local_shop(stack.state) as running:
        yield running


@pytest.fixture(scope="module")
def hasty_shop(stack: Stack) -> Iterator[LocalShop]:
    """The shop whose orders does not try again."""
    with local_shop(stack.state, "services-without-retries.yaml", "hasty") as running:
        yield running


def test_with_retries_no_order_is_lost_when_payments_is_killed(stack: Stack, shop: LocalShop, tmp_path: Path) -> None:
    code, found = run(stack, tmp_path, shop.example("payments-killed"))

    assert (code, found["status"], found["hypothesisValidated"]) == (0, "completed", True), found["reason"]
    nothing_is_left(stack, shop)
    [row] = stack.sql("SELECT * FROM chaos_executions WHERE execution_id = %s", found["executionId"])
    assert row["baseline_metrics"].keys() == row["chaos_metrics"].keys() == {"orders placed"}
    assert len(stack.sql("SELECT * FROM chaos_results WHERE execution_id = %s", found["executionId"])) == 1
    [fault] = stack.sql("SELECT * FROM chaos_faults WHERE execution_id = %s", found["executionId"])
    assert fault["written_at"] < fault["injected_at"] < fault["reverted_at"] < fault["expires_at"]
    assert "ended: " in fault["effect"]
    [row] = stack.sql("SELECT flow_run_id FROM runs WHERE id = %s", found["executionId"])
    every_step_is_shown(stack, str(row["flow_run_id"]))


def every_step_is_shown(stack: Stack, flow_run: str) -> None:
    """Prefect's page has each step of the experiment once, in its order."""
    state = stack.flow_ended(flow_run)
    names = until("all steps are shown", lambda: steps_of(stack, flow_run), 30)

    assert state["type"] == "COMPLETED"
    assert [name for name in names if name in STEPS] == [str(step) for step in STEPS if step is not Step.ENDED]


def steps_of(stack: Stack, flow_run: str) -> list[str]:
    body = {"flow_runs": {"id": {"any_": [flow_run]}}, "sort": "EXPECTED_START_TIME_ASC", "limit": 200}
    found = sorted(stack.prefect("POST", "/task_runs/filter", json=body), key=lambda one: one["start_time"] or "")
    names = [one["name"] for one in found]
    return names if "record" in names else []


def test_without_retries_orders_are_lost_when_payments_is_killed(
    stack: Stack, hasty_shop: LocalShop, tmp_path: Path
) -> None:
    code, found = run(stack, tmp_path, hasty_shop.example("payments-killed"))

    assert (code, found["status"], found["hypothesisValidated"]) == (1, "completed", False), found["reason"]
    assert "requests were bad" in found["reason"]
    nothing_is_left(stack, hasty_shop)


def test_a_slow_payments_makes_orders_slow_and_a_limit_halts_it(stack: Stack, shop: LocalShop, tmp_path: Path) -> None:
    limits = [{"slo": "latency of orders", "above": 0.15, "failures": 2, "of": 3}]
    code, found = run(stack, tmp_path, shop.example("payments-slow", durationSeconds=20, haltConditions=limits))

    assert (code, found["status"], found["ending"]) == (1, "aborted", "halted"), found["reason"]
    assert "samples of latency of orders were above 0.15" in found["reason"]
    nothing_is_left(stack, shop)


def test_an_error_budget_that_burns_faster_than_planned_halts_and_one_too_large_is_refused(
    stack: Stack, hasty_shop: LocalShop, tmp_path: Path
) -> None:
    """The halt conditions alone would let it burn: they allow half of the requests to be bad, ten samples long."""
    budget = {"maxPercent": 50, "expectedBadPercent": 10, "failures": 2, "of": 3}
    held = hasty_shop.example("payments-killed", durationSeconds=20, errorBudget=budget)
    held["fault"] = held.pop("faults")[0] | {"parameters": {"once": False}}

    code, found = run(stack, tmp_path, held)
    dear = stack.assay("chaos", "run", file_of(tmp_path, held | {"errorBudget": budget | {"maxPercent": 0.001}}))
    shown_to_people = stack.assay("chaos", "show", found["shortId"])

    assert (code, found["status"], found["ending"]) == (1, "aborted", "halted"), found["reason"]
    assert "the error budget burns faster than the plan allows" in found["reason"]
    assert (dear.returncode, "costs up to" in dear.stderr) == (4, True), dear.stderr
    assert "orders placed\t30 days\tup to " in shown_to_people.stdout
    nothing_is_left(stack, hasty_shop)


def test_a_person_aborts_in_the_middle_and_nothing_is_left(stack: Stack, shop: LocalShop, tmp_path: Path) -> None:
    execution = started(stack, tmp_path, shop.example("payments-slow", durationSeconds=60, baselineSeconds=30))
    stack.sql("SELECT 1")
    in_step(stack, execution, Step.BASELINE)
    assert stack.assay("chaos", "status", execution).returncode == 0

    answer = stack.assay("chaos", "abort", execution)
    found = ended(stack, execution)

    assert answer.returncode == 0, answer.stderr
    assert (found["exitCode"], found["status"], found["ending"]) == (2, "aborted", "aborted")
    assert "local aborted it" in found["reason"]
    nothing_is_left(stack, shop)


def times_of(stack: Stack, execution: str) -> list[tuple[str, Any, Any]]:
    rows = stack.sql("SELECT * FROM chaos_faults WHERE execution_id = %s ORDER BY number", execution)
    assert {row["status"] for row in rows} == {"reverted"}
    assert all(row["effect_seen"] for row in rows), rows
    return [(row["name"], row["injected_at"], row["reverted_at"]) for row in rows]


KILL = {"name": "killed", "type": "pod-kill", "parameters": {"once": True}, "durationSeconds": 3}
SLOW = {"name": "slow", "type": "network-latency", "parameters": {"latencyMs": 20}}
ERRORS = {"name": "errors", "type": "exception-injection", "parameters": {"percent": 5}}


def test_faults_in_sequence_come_one_after_the_other_and_together_they_overlap(
    stack: Stack, shop: LocalShop, tmp_path: Path
) -> None:
    faults = [SLOW | {"durationSeconds": 3}, ERRORS | {"durationSeconds": 5}]
    spec = shop.example("payments-slow", faults=faults, haltConditions=[{"slo": "orders placed", "above": 99}])
    after_a_kill = {"faults": [KILL, *faults], "order": "sequence", "durationSeconds": 11}
    _, one_by_one = run(stack, tmp_path, spec | after_a_kill)
    _, together = run(stack, tmp_path, spec | {"order": "parallel", "durationSeconds": 6})

    assert {one_by_one["ending"], together["ending"]} == {"judged"}, (one_by_one["reason"], together["reason"])
    [_, (_, begins, ends), (_, next_begins, _)] = times_of(stack, one_by_one["executionId"])
    assert begins < ends <= next_begins
    identities = stack.sql("SELECT identity FROM chaos_faults WHERE execution_id = %s", one_by_one["executionId"])
    assert len({row["identity"] for row in identities}) == 2, "the faults after the kill are in the process after it"
    [(_, first, reverted_last), (_, second, reverted_first)] = times_of(stack, together["executionId"])
    assert first <= second < reverted_first <= reverted_last, "in reverse order"
    nothing_is_left(stack, shop)


def test_cancel_in_prefect_reverts_the_fault(stack: Stack, shop: LocalShop, tmp_path: Path) -> None:
    execution = started(stack, tmp_path, shop.example("inventory-stopped", durationSeconds=120))
    in_step(stack, execution, Step.OBSERVE)
    [row] = stack.sql("SELECT flow_run_id FROM runs WHERE id = %s", execution)
    wish = {"state": {"type": "CANCELLING", "name": "Cancelling"}, "force": True}

    stack.prefect("POST", f"/flow_runs/{row['flow_run_id']}/set_state", json=wish)
    found = ended(stack, execution)

    assert (found["status"], found["exitCode"]) == ("aborted", 2), found["reason"]
    assert "prefect aborted it" in found["reason"]
    assert stack.flow_ended(str(row["flow_run_id"]))["type"] == "CANCELLED"
    nothing_is_left(stack, shop)


def test_stop_ends_all_and_lets_none_begin_until_resume(stack: Stack, shop: LocalShop, tmp_path: Path) -> None:
    execution = started(stack, tmp_path, shop.example("inventory-stopped", durationSeconds=60))
    in_step(stack, execution, Step.OBSERVE)

    stopped = stack.assay("chaos", "stop", "--reason", "an incident is open")
    found = ended(stack, execution)
    refused = stack.assay("chaos", "run", file_of(tmp_path, shop.example("inventory-stopped")))
    resumed = stack.assay("chaos", "resume")

    assert (stopped.returncode, resumed.returncode, refused.returncode) == (0, 0, 4), refused.stderr
    assert "an incident is open" in refused.stderr
    assert (found["status"], found["exitCode"]) == ("aborted", 2)
    nothing_is_left(stack, shop)


def test_what_must_not_be_aimed_at_is_refused_before_it_is_queued(
    stack: Stack, shop: LocalShop, tmp_path: Path
) -> None:
    missing = shop.example("payments-slow") | {"target": {"environment": "shop", "service": "nothing"}}
    cordoned = stack.assay("chaos", "target", "cordon", "local/shop/payments", "--reason", "its data moves")

    refused = stack.assay("chaos", "run", file_of(tmp_path, missing))
    kept_off = stack.assay("chaos", "run", file_of(tmp_path, shop.example("payments-slow")), "--json")
    freed = stack.assay("chaos", "target", "uncordon", "local/shop/payments")

    assert (cordoned.returncode, freed.returncode, refused.returncode) == (0, 0, 4)
    assert "no target matches local/shop/nothing" in refused.stderr
    assert kept_off.returncode == 4, kept_off.stderr
    assert "its data moves" in kept_off.stdout + kept_off.stderr


def test_what_cannot_be_steady_lets_no_fault_begin(stack: Stack, shop: LocalShop, tmp_path: Path) -> None:
    """A health check that fails without a fault, and a load that may not be sent."""
    sick = [{"name": "sick", "type": "http", "url": f"{shop.orders}/nowhere"}]
    raw = shop.example("payments-killed")
    raw["hypothesis"]["healthChecks"] = sick
    code, unhealthy = run(stack, tmp_path, raw | {"haltConditions": [{"slo": "orders placed", "above": 50}]})
    elsewhere = shop.example("payments-killed", load={"url": "http://10.255.255.1/"})
    refused, unreachable = run(stack, tmp_path, elsewhere)

    assert (code, refused) == (4, 4)
    assert "the health check sick missed" in unhealthy["reason"]
    assert "HTTP 404, expected 200" in unhealthy["reason"]
    assert "is not a public address" in unreachable["reason"]
    for found in (unhealthy, unreachable):
        assert (found["status"], found["hypothesisValidated"]) == ("failed", None)
        assert stack.sql("SELECT 1 FROM chaos_faults WHERE execution_id = %s", found["executionId"]) == []
