"""Experiments through the command, REST, gate, worker and Prefect, on the shop as a local environment."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from harness.experiments import LocalShop, local_shop
from harness.stack import Stack, until

from chaos.experiment_states import STEPS, Step

pytestmark = pytest.mark.faults

ENDED_SECONDS = 90.0


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


def file_of(tmp_path: Path, experiment: dict[str, Any]) -> str:
    file = tmp_path / "experiment.yaml"
    file.write_text(yaml.safe_dump(experiment))
    return str(file)


def started(stack: Stack, tmp_path: Path, experiment: dict[str, Any]) -> str:
    answer = stack.assay("chaos", "run", file_of(tmp_path, experiment), "--no-watch")
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.strip()


def run(stack: Stack, tmp_path: Path, experiment: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Run an experiment by the command; return its exit code and what it wrote."""
    answer = stack.assay("chaos", "run", file_of(tmp_path, experiment), "--json", timeout=ENDED_SECONDS)
    assert answer.stdout, answer.stderr
    return answer.returncode, json.loads(answer.stdout)


def shown(stack: Stack, execution: str) -> dict[str, Any]:
    found: dict[str, Any] = stack.rest("GET", f"/chaos/executions/{execution}").json()
    return found


def in_step(stack: Stack, execution: str, step: Step) -> None:
    def there() -> bool:
        return bool((shown(stack, execution)["progress"] or {}).get("step") == step)

    until(f"{execution} in {step}", there, ENDED_SECONDS, 0.1)


def ended(stack: Stack, execution: str) -> dict[str, Any]:
    until(f"{execution} has ended", lambda: shown(stack, execution)["completedAt"], ENDED_SECONDS, 0.2)
    return shown(stack, execution)


def nothing_is_left(stack: Stack, shop: LocalShop) -> None:
    """No fault is open, no proxy has a rule, no service is held, no guard is alive, and no name is claimed."""
    assert stack.sql("SELECT fault_id FROM chaos_faults WHERE status <> 'reverted'") == []
    facts = shop.facts().services.values()
    assert [(one.rules, one.holds) for one in facts] == [((), ())] * len(facts)
    assert stack.sql("SELECT 1 FROM queue") == []


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


def test_a_person_starts_one_in_prefect_and_a_bad_one_is_refused(stack: Stack, shop: LocalShop, tmp_path: Path) -> None:
    """It is compared with the last run of the same experiment, whoever has started that."""
    experiment = shop.example("payments-killed", durationSeconds=5)
    if not judged(stack, experiment["name"]):
        run(stack, tmp_path, experiment)
    [last, *_] = judged(stack, experiment["name"])
    good = stack.prefect_start({"experiment": experiment}, "chaos-experiment/default")
    bad = stack.prefect_start({"experiment": {"name": "x"}}, "chaos-experiment/default")

    assert stack.flow_ended(bad)["name"] == "Refused"
    assert stack.flow_ended(good, ENDED_SECONDS)["name"] == "Completed"
    [row] = stack.sql("SELECT id FROM runs WHERE flow_run_id = %s", good)
    comparison = stack.rest("GET", f"/chaos/executions/{row['id']}/journal").json()["comparison"]
    assert comparison["run"] == last
    assert {"time to recover", "error budget spent", "verdict"} <= {one["what"] for one in comparison["differences"]}
    shown_by_command = stack.assay("chaos", "show", str(row["id"]))
    assert comparison["sentence"] in shown_by_command.stderr
    assert "Compared with the last run" in stack.rest("GET", f"/chaos/executions/{row['id']}/report").text


def judged(stack: Stack, name: str) -> list[str]:
    """Return the executions of an experiment that were judged, the newest first."""
    query = (
        "SELECT x.execution_id FROM chaos_executions x JOIN chaos_experiments e USING (experiment_id) "
        "WHERE e.name = %s AND x.ending = 'judged' ORDER BY x.completed_at DESC"
    )
    return [str(row["execution_id"]) for row in stack.sql(query, name)]


def test_one_that_is_scheduled_waits_until_its_time_and_can_be_aborted_before(
    stack: Stack, shop: LocalShop, tmp_path: Path
) -> None:
    spec = shop.example("inventory-stopped")
    soon = datetime.now(UTC) + timedelta(seconds=8)  # noqa: TID251  the stack goes by the same clock
    far = soon + timedelta(days=1)
    first = stack.assay("chaos", "run", file_of(tmp_path, spec), "--no-watch", "--at", soon.isoformat()).stdout.strip()
    second = stack.assay("chaos", "run", file_of(tmp_path, spec), "--no-watch", "--at", far.isoformat()).stdout.strip()

    waiting = shown(stack, second)
    stack.assay("chaos", "abort", second)
    began = until("the first begins", lambda: shown(stack, first)["startedAt"], 60, 0.2)
    stack.assay("chaos", "abort", first)
    ended(stack, first)

    assert waiting["status"] == "scheduled"
    assert "is scheduled for" in waiting["waitReason"]
    assert (shown(stack, second)["status"], shown(stack, second)["startedAt"]) == ("aborted", None)
    assert datetime.fromisoformat(began) >= soon
    nothing_is_left(stack, shop)


def test_game_days_become_schedules_of_a_deployment(stack: Stack, shop: LocalShop, tmp_path: Path) -> None:
    weekly = {"recurring": [{"cron": "0 10 * * 2", "timezone": "Europe/Berlin"}]}
    spec = shop.example("payments-slow", name="game day", schedule=weekly)

    done = stack.assay("chaos", "deploy", file_of(tmp_path, spec), "--json")
    found = stack.prefect("GET", "/deployments/name/chaos-experiment/game%20day")

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["schedules"][0]["cron"] == "0 10 * * 2"
    assert [one["schedule"]["cron"] for one in found["schedules"]] == ["0 10 * * 2"]
    assert found["parameters"]["experiment"]["name"] == "game day"


BUYERS = """
import sys, time, urllib.request
ORDER = b'{"item": "lamp", "quantity": 1, "card": "1234"}'
until = time.monotonic() + float(sys.argv[2])
while time.monotonic() < until:
    urllib.request.urlopen(urllib.request.Request(sys.argv[1], ORDER, {"Content-Type": "application/json"})).read()
    time.sleep(0.1)
"""


def with_buyers(stack: Stack, shop: LocalShop, tmp_path: Path, seconds: float) -> dict[str, Any]:
    """Return an experiment whose load is a test that buys for so many seconds, and that was run once before."""
    words = ["python3", "buyers.py", f"{shop.orders}/orders"]
    test = {"name": f"buyers for {seconds:g} s", "type": "custom", "content": {"type": "inline"}}
    test["content"] |= {"files": {"buyers.py": BUYERS}}
    wanted = test | {"command": [*words, f"{seconds}"], "config": {"timeout": 600}}
    file = tmp_path / "test.yaml"
    file.write_text(yaml.safe_dump(wanted))
    submitted = stack.assay("run", str(file), "--no-watch", "--json")
    assert submitted.returncode == 0, submitted.stderr
    assert stack.assay("cancel", json.loads(submitted.stdout)["executionId"]).returncode == 0
    alive = {"name": "orders is well", "type": "http", "url": f"{shop.orders}/health"}
    hypothesis = {"healthChecks": [alive | {"intervalSeconds": 0.5}]}
    limits = [{"healthCheck": "orders is well"}]
    return shop.example("payments-slow", load={"test": test["name"]}, hypothesis=hypothesis, haltConditions=limits)


def load_of(stack: Stack, name: str) -> dict[str, Any]:
    """Return the newest run of the test that was the load."""
    until("the load has ended", lambda: stack.sql("SELECT 1 FROM queue") == [], ENDED_SECONDS, 0.2)
    [row, *_] = stack.sql(
        "SELECT r.* FROM runs r JOIN test_executions e ON e.execution_id = r.id"
        " JOIN test_definitions d ON d.id = e.definition_id WHERE d.name = %s ORDER BY r.submitted_at DESC",
        name,
    )
    return dict(row)


def test_a_load_test_runs_through_all_windows_and_is_ended_with_them(
    stack: Stack, shop: LocalShop, tmp_path: Path
) -> None:
    code, found = run(stack, tmp_path, with_buyers(stack, shop, tmp_path, 500))
    load = load_of(stack, "buyers for 500 s")
    [fault] = stack.sql("SELECT * FROM chaos_faults WHERE execution_id = %s", found["executionId"])

    assert (code, found["hypothesisValidated"]) == (0, True), found["reason"]
    assert (load["status"], load["failure_reason"]) == ("cancelled", None)
    assert load["started_at"] < fault["injected_at"] - timedelta(seconds=5), "before the baseline"
    assert fault["reverted_at"] < load["completed_at"]
    nothing_is_left(stack, shop)


def test_a_load_test_that_ends_under_the_fault_makes_it_inconclusive(
    stack: Stack, shop: LocalShop, tmp_path: Path
) -> None:
    code, found = run(stack, tmp_path, with_buyers(stack, shop, tmp_path, 9) | {"durationSeconds": 10})

    assert (code, found["hypothesisValidated"]) == (7, None), found["reason"]
    assert "the load 'buyers for 9 s'" in found["reason"]
    assert "ended (completed) under the fault" in found["reason"]
    nothing_is_left(stack, shop)


ASKS = "import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=1)"


def asking(shop: LocalShop, port: int, name: str) -> dict[str, Any]:
    """Return a health check that runs a program, which asks a service of the shop."""
    words = ["python3", "-c", ASKS, f"http://127.0.0.1:{shop.ports[port]}/health"]
    return {"name": name, "type": "command", "command": words, "intervalSeconds": 0.5}


def test_a_health_check_of_type_command_halts_under_the_fault_and_holds_without_an_effect_on_it(
    stack: Stack, shop: LocalShop, tmp_path: Path
) -> None:
    """The commands run as a test of their own, in an attempt of a backend."""
    orders, payments = asking(shop, 8100, "orders is well"), asking(shop, 8102, "payments is well")
    killed = shop.example("payments-killed", haltConditions=[{"healthCheck": "orders is well"}])
    code, met = run(stack, tmp_path, killed | {"hypothesis": {"healthChecks": [orders]}, "load": None})
    killed["faults"] = [{"type": "pod-kill", "durationSeconds": 40}]
    limits = {"durationSeconds": 40, "haltConditions": [{"healthCheck": "payments is well"}], "load": None}
    _, halted = run(stack, tmp_path, killed | limits | {"hypothesis": {"healthChecks": [payments, orders]}})
    attempts = stack.sql(
        "SELECT a.number FROM test_attempts a JOIN test_executions e USING (execution_id)"
        " JOIN test_definitions d ON d.id = e.definition_id WHERE d.name LIKE 'health checks of %%'"
    )

    assert (code, met["hypothesisValidated"]) == (0, True), met["reason"]
    assert (halted["status"], halted["ending"]) == ("aborted", "halted"), halted["reason"]
    assert "3 of the last 3 samples of payments is well were misses" in halted["reason"]
    assert len(attempts) == 2
    until("its run has ended", lambda: stack.sql("SELECT 1 FROM queue") == [], ENDED_SECONDS, 0.2)
    nothing_is_left(stack, shop)
