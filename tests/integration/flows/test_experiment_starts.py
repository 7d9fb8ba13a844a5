"""Experiments that a person starts in Prefect, that wait for their time, and that come again."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from harness.experiment_runs import ENDED_SECONDS, ended, file_of, nothing_is_left, run, shown
from harness.experiments import LocalShop, local_shop
from harness.stack import Stack, until

pytestmark = pytest.mark.faults


@pytest.fixture(scope="module")
def shop(stack: Stack) -> Iterator[LocalShop]:
    """The shop whose orders tries again for three seconds."""
    with local_shop(stack.state) as running:
        yield running


def test_a_person_starts_one_in_prefect_and_a_bad_one_is_refused(stack: Stack, shop: LocalShop, tmp_path: Path) -> None:
    """It is compared with the last run of the same experiment, whoever has started that."""
    experiment = shop.example("payments-killed", durationSeconds=5, name="started by two doors")
    run(stack, tmp_path, experiment)
    [last] = judged(stack, experiment["name"])
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
    assert "/api/v1/deployments/chaos-experiment/game%20day/user" in done.stderr
    assert json.loads(done.stdout)["schedules"][0]["cron"] == "0 10 * * 2"
    assert [one["schedule"]["cron"] for one in found["schedules"]] == ["0 10 * * 2"]
    assert found["parameters"]["experiment"]["name"] == "game day"
