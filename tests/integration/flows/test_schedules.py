"""Deployments of suites and their schedules on a real stack, and what becomes of a scheduled run."""

import asyncio
import json
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from harness.stack import PREFECT_CREDENTIAL, Stack, until
from harness.suites import BAD, GOOD, children, ended, flow_runs, of_flow, only_worker, row, suite, waits_for, written
from prefect.client.orchestration import PrefectClient

from flows.deploying import deploy_suite
from orchestrator.checking import check_suite

ENTRYPOINT = "flows.suite_run.suite_run"


def deploy(stack: Stack, document: dict[str, Any]) -> dict[str, Any]:
    """Do what `assay deploy` does, without its start-up."""

    async def work() -> str:
        async with PrefectClient(stack.prefect_url, auth_string=PREFECT_CREDENTIAL) as client:
            return (await deploy_suite(client, check_suite(document), {"suite": document})).name

    return deployment_of(stack, asyncio.run(work()))


def deployment_of(stack: Stack, name: str) -> dict[str, Any]:
    found: dict[str, Any] = stack.prefect("GET", f"/deployments/name/{name}")
    return found


def test_a_deployment_has_exactly_the_schedules_of_its_file(stack: Stack, tmp_path: Path) -> None:
    daily = {"cron": "0 6 * * *", "timezone": "Europe/Berlin"}
    file = written(suite(GOOD, name="nightly", schedules=[daily, {"interval": 3600}]), tmp_path)
    answer = stack.assay("deploy", file, timeout=120)
    assert (answer.returncode, answer.stdout) == (0, "suite-run/nightly\n"), answer.stderr
    first = deployment_of(stack, "suite-run/nightly")
    scheduled = until("its runs are scheduled", lambda: planned(stack, "nightly"))

    second = deploy(stack, suite(GOOD, BAD, name="nightly", schedules=[{"cron": "30 4 * * 1"}, daily]))
    later = until("its runs are scheduled anew", lambda: planned(stack, "nightly"))

    assert [schedules(found) for found in (first, second)] == [
        [("0 6 * * *", "Europe/Berlin"), (3600.0, "UTC")],
        [("0 6 * * *", "Europe/Berlin"), ("30 4 * * 1", "UTC")],
    ]
    assert first["id"] == second["id"]
    assert [test["name"] for test in second["parameters"]["suite"]["tests"]] == ["good", "bad"]
    assert scheduled <= ids(first)
    assert later <= ids(second)
    stack.prefect("DELETE", f"/deployments/{second['id']}")


def test_a_deploy_shows_the_next_runs_that_prefect_plans(stack: Stack, tmp_path: Path) -> None:
    nightly = {"cron": "30 2 * * *", "timezone": "America/Santiago"}
    file = written(suite(GOOD, name="shown", schedules=[nightly, {"interval": 3600}]), tmp_path)

    words = stack.assay("deploy", file, timeout=120)
    told = json.loads(stack.assay("deploy", "--json", file, timeout=120).stdout)

    deployment = deployment_of(stack, "suite-run/shown")
    until("its runs are scheduled", lambda: len(planned(stack, "shown")) == 2)
    runs = flow_runs(stack, "suite-run/shown", state={"type": {"any_": ["SCHEDULED"]}})
    in_prefect = {datetime.fromisoformat(run["expected_start_time"]) for run in runs}
    stack.prefect("DELETE", f"/deployments/{deployment['id']}")
    shown = [[datetime.fromisoformat(each["utc"]) for each in schedule["next"]] for schedule in told["schedules"]]
    assert [len(each) for each in shown] == [3, 3]
    assert {moment for each in shown for moment in each} <= in_prefect
    assert words.stderr.count("next: ") == 6
    assert "cron 30 2 * * *, America/Santiago" in words.stderr
    assert f"= {shown[0][0]:%Y-%m-%d %H:%M:%S} UTC" in words.stderr


@pytest.mark.parametrize(
    ("schedule", "start", "expected"),
    [
        ({"interval": 86_400}, "2027-03-26T12:00", ["03-26 23:00", "03-27 23:00", "03-28 22:00", "03-29 22:00"]),
        ({"cron": "30 2 * * *"}, "2027-03-26T12:00", ["03-27 01:30", "03-28 01:30", "03-29 00:30", "03-30 00:30"]),
        ({"cron": "15 * * * *"}, "2027-10-30T23:00", ["10-30 23:15", "10-31 00:15", "10-31 01:15", "10-31 02:15"]),
        ({"cron": "15 0-6 * * *"}, "2027-10-30T23:00", ["10-30 23:15", "10-31 00:15", "10-31 01:15", "10-31 02:15"]),
    ],
)
def test_prefects_server_plans_the_nights_in_which_the_clocks_are_changed(
    stack: Stack, schedule: dict[str, Any], start: str, expected: list[str]
) -> None:
    """The server is asked to plan as its scheduler would at moments before and after the change, as in plan.py."""
    name = f"summer-{uuid4().hex[:8]}"
    deployment = deploy(stack, suite(GOOD, name=name, schedules=[schedule | {"timezone": "Europe/Berlin"}]))
    first = datetime.fromisoformat(f"{start}+00:00")

    for hours in (0, 14, 30, 47):
        asked = {"start_time": (first + timedelta(hours=hours)).isoformat(), "end_time": "2027-12-31T00:00:00Z"}
        bounds = {"min_runs": 5, "max_runs": 5, "min_time": 3600}
        stack.prefect("POST", f"/deployments/{deployment['id']}/schedule", json=asked | bounds)

    runs = flow_runs(stack, f"suite-run/{name}", expected_start_time={"after_": first.isoformat()})
    stack.prefect("DELETE", f"/deployments/{deployment['id']}")
    moments = sorted(datetime.fromisoformat(run["expected_start_time"]) for run in runs)
    assert [f"{moment:%m-%d %H:%M}" for moment in moments][: len(expected)] == expected


def test_a_name_with_a_question_mark_is_not_taken_for_another_deployment(stack: Stack) -> None:
    """Prefect's client reads what comes before the mark as the name."""
    shop = deploy(stack, suite(GOOD, name="shop", schedules=[{"interval": 3600}]))
    stop(stack, shop)

    asked = deploy(stack, suite(GOOD, BAD, name="shop?"))

    assert asked["id"] == shop["id"], "as Prefect's own client finds it"
    assert [test["name"] for test in deployment_of(stack, "suite-run/shop")["parameters"]["suite"]["tests"]] == ["good"]


def test_a_deploy_changes_nothing_that_is_right_and_turns_nothing_on(stack: Stack) -> None:
    document = suite(GOOD, name="turned-off", schedules=[{"interval": 3600}, {"cron": "0 2 * * *"}])
    first = deploy(stack, document)
    stop(stack, first)

    same = deploy(stack, document)
    changed = deploy(stack, document | {"tests": [GOOD, BAD]})

    assert [schedule["active"] for found in (same, changed) for schedule in found["schedules"]] == [False] * 4
    assert ids(first) == ids(same)
    assert len(changed["parameters"]["suite"]["tests"]) == 2
    assert planned(stack, "turned-off") == set()


@pytest.mark.parametrize("name", ["default", "shop/nightly", "shop?all", "shop#1", ".."])
def test_a_name_that_no_deployment_can_have_is_refused(stack: Stack, tmp_path: Path, name: str) -> None:
    answer = stack.assay("deploy", written(suite(GOOD, name=name), tmp_path))

    assert answer.returncode == 4
    assert f"name: '{name}'" in answer.stderr


def schedules(deployment: dict[str, Any]) -> list[tuple[Any, str]]:
    found = [each["schedule"] for each in deployment["schedules"] if each["active"]]
    return sorted(((each.get("cron") or each["interval"], each["timezone"]) for each in found), key=str)


def ids(deployment: dict[str, Any]) -> set[str]:
    return {schedule["id"] for schedule in deployment["schedules"]}


def planned(stack: Stack, name: str) -> set[str]:
    """The schedules that the planned runs of a deployment come from."""
    return {
        run["created_by"]["id"]
        for run in flow_runs(stack, f"suite-run/{name}", state={"type": {"any_": ["SCHEDULED"]}})
    }


def test_a_scheduled_run_is_skipped_with_a_note_while_the_one_before_has_not_ended(
    stack: Stack, tmp_path: Path
) -> None:
    gate = tmp_path / "open"
    document = suite(waits_for(gate), name="ticking", schedules=[{"interval": 2}])
    deployment = deploy(stack, document)

    skipped = until("a skipped run", lambda: named(stack, "ticking", "Skipped", "has not ended"), 60)
    stop(stack, deployment)
    gate.touch()

    query = "SELECT suite_run_id, status FROM suite_runs JOIN runs ON id = suite_run_id WHERE name = 'ticking'"
    before = [found for found in stack.sql(query) if found["status"] != "skipped"]
    after = of_flow(stack, skipped[0]["id"])
    assert skipped[0]["state"]["type"] == "COMPLETED"
    assert (row(stack, after)["note"], children(stack, after)) == (skipped[0]["state"]["message"], [])
    assert [ended(stack, str(found["suite_run_id"]))["status"] for found in before] == ["completed"]


def test_a_scheduled_run_that_could_not_start_by_its_deadline_is_skipped_with_a_note(stack: Stack) -> None:
    worker = only_worker(stack)
    stack.kill(worker)
    document = suite(GOOD, name="too-late", startDeadlineSeconds=10, schedules=[{"interval": 3}])
    deployment = deploy(stack, document)
    query = "SELECT now() - interval '11 seconds' AS late"
    until("a run that is too late", lambda: due_before(stack, "too-late", stack.sql(query)[0]["late"]), 60)
    stop(stack, deployment)
    missed = overdue(stack, "too-late")
    late = due_before(stack, "too-late", stack.sql(query)[0]["late"])
    stack.start_worker(worker)

    states = {run["id"]: stack.flow_ended(run["id"]) for run in missed}

    assert {states[run["id"]]["name"] for run in late} == {"Skipped"}, [states[run["id"]]["message"] for run in late]
    assert all("after the deadline" in states[run["id"]]["message"] for run in late)


def test_after_a_downtime_only_the_latest_missed_run_is_made_up_for(stack: Stack) -> None:
    worker = only_worker(stack)
    stack.kill(worker)
    deployment = deploy(stack, suite(GOOD, name="missed", schedules=[{"interval": 2}]))
    until("three missed", lambda: len(overdue(stack, "missed")) >= 3)
    stop(stack, deployment)
    missed = overdue(stack, "missed")
    stack.start_worker(worker)

    states = [stack.flow_ended(run["id"]) for run in missed]

    assert [state["name"] for state in states] == ["Skipped"] * (len(missed) - 1) + ["Completed"]
    assert all("a later run" in state["message"] for state in states[:-1])
    query = "SELECT status FROM suite_runs JOIN runs ON id = suite_run_id WHERE name = 'missed'"
    found = Counter(row["status"] for row in stack.sql(query))
    assert found == {"completed": 1, "skipped": len(missed) - 1}


def named(stack: Stack, name: str, state: str, words: str) -> list[dict[str, Any]]:
    found = flow_runs(stack, f"suite-run/{name}", state={"name": {"any_": [state]}})
    return [run for run in found if words in run["state"]["message"]]


def overdue(stack: Stack, name: str) -> list[dict[str, Any]]:
    return due_before(stack, name, stack.sql("SELECT now()")[0]["now"])


def due_before(stack: Stack, name: str, moment: datetime) -> list[dict[str, Any]]:
    """The runs of a deployment that have not started and were due before a moment."""
    due = {"before_": moment.isoformat()}
    return flow_runs(stack, f"suite-run/{name}", state={"type": {"any_": ["SCHEDULED"]}}, expected_start_time=due)


def stop(stack: Stack, deployment: dict[str, Any]) -> None:
    """Turn the schedules off, as a person does in the UI; Prefect forgets the runs that are not due yet."""
    for schedule in deployment["schedules"]:
        stack.prefect("PATCH", f"/deployments/{deployment['id']}/schedules/{schedule['id']}", json={"active": False})


def by_hand(stack: Stack, name: str, **more: Any) -> str:
    """A deployment of suite-run that no command of ours made."""
    flow = stack.prefect("GET", "/flows/name/suite-run")
    described = {"name": name, "flow_id": flow["id"], "work_pool_name": "assay", "entrypoint": ENTRYPOINT}
    stack.prefect("POST", "/deployments/", json={**described, "enforce_parameter_schema": False, **more})
    return f"suite-run/{name}"


def test_a_deployment_with_pull_steps_is_refused_with_the_way_out(stack: Stack) -> None:
    step = {"prefect.deployments.steps.set_working_directory": {"directory": "/"}}
    deployment = by_hand(stack, "pulls", pull_steps=[step])

    state = stack.flow_ended(stack.prefect_start({"suite": suite(GOOD)}, deployment))

    assert (state["type"], state["name"]) == ("FAILED", "Refused")
    assert "pull steps" in state["message"]
    assert "deploy it with `pull: []` and a module entrypoint" in state["message"]


def test_the_runs_of_a_bound_deployment_count_for_its_user(stack: Stack) -> None:
    stack.sql(
        "INSERT INTO users (user_id, username, email, password_hash, team_id, quota) "
        "SELECT gen_random_uuid(), 'bound', 'bound@example.org', '!', team_id, %s FROM teams LIMIT 1",
        json.dumps({"max_concurrent_tests": 5, "max_daily_tests": 3}),
    )
    deployment = by_hand(stack, "bound", parameters={"suite": suite(GOOD, BAD)})
    answer = stack.rest("PUT", f"/deployments/{deployment}/user", json={"user": "bound"})
    assert answer.status_code == 200, answer.text

    first = of_flow(stack, stack.prefect_start({}, deployment))
    state = stack.flow_ended(stack.prefect_start({}, deployment))

    users = stack.sql(
        "SELECT DISTINCT username FROM test_executions JOIN users ON user_id = submitted_by WHERE suite_run_id = %s",
        first,
    )
    assert users == [{"username": "bound"}]
    assert (state["type"], state["name"]) == ("FAILED", "OverQuota")
    assert "user bound is 3 runs; 2 are used" in state["message"]
