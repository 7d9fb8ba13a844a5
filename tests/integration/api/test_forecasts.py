"""Tests of forecasts in the API."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
from harness.rest import Api
from sqlalchemy import text

from db import forecasts
from model.ids import ExecutionId
from scheduler.forecast.estimate import Basis, Estimate

TEST = {"name": "t", "type": "custom", "command": ["true"], "content": {"type": "inline", "files": {"a": "b"}}}


def submit(client: httpx.Client, **more: Any) -> Any:
    answer = client.post("/tests", json=TEST | more)
    assert answer.status_code == 202, answer.text
    return answer.json()


def tell(api: Api, run: str, now: datetime) -> None:
    """Write a forecast for a run: p50 in one minute, p90 in five."""
    made = Estimate(
        execution_id=ExecutionId(UUID(run)),
        p50=now + timedelta(minutes=1),
        p90=now + timedelta(minutes=5),
        basis=Basis.HISTORY,
    )
    api.db.call(lambda conn: forecasts.write(conn, [made], now))


def test_a_run_without_a_forecast_has_no_estimate(client: httpx.Client) -> None:
    run = submit(client)

    assert run["estimatedStartTime"] is None
    assert client.get(f"/tests/{run['executionId']}").json()["estimatedStartTime"] is None


def test_a_forecast_is_shown_with_the_run_in_the_list_and_in_the_queue(client: httpx.Client, api: Api) -> None:
    run, now = submit(client)["executionId"], datetime.now(UTC)  # noqa: TID251  a test is its own wiring
    tell(api, run, now)

    shown = client.get(f"/tests/{run}").json()
    listed = client.get("/tests").json()["executions"][0]
    queued = client.get("/queue").json()["entries"][0]

    for found in (shown, listed, queued):
        assert datetime.fromisoformat(found["estimatedStartTime"]) == now + timedelta(minutes=1)
        assert datetime.fromisoformat(found["estimatedStartTimeP90"]) == now + timedelta(minutes=5)


def test_a_new_run_has_the_estimate_of_the_run_before_it(client: httpx.Client, api: Api) -> None:
    """Only a run of the same priority counts, because another priority starts at another time."""
    first, now = submit(client)["executionId"], datetime.now(UTC)  # noqa: TID251
    tell(api, first, now)

    assert datetime.fromisoformat(submit(client)["estimatedStartTime"]) == now + timedelta(minutes=1)
    assert submit(client, priority=7)["estimatedStartTime"] is None


def test_calibration_is_shown_by_pool(client: httpx.Client, api: Api) -> None:
    run, now = submit(client)["executionId"], datetime.now(UTC)  # noqa: TID251
    assert client.get("/forecasts").json() == {"days": 7, "pools": []}

    tell(api, run, now - timedelta(minutes=3))
    insert = (
        "INSERT INTO test_attempts (execution_id, number, epoch, cause, started_at) VALUES (:run, 1, 1, 'first', :at)"
    )
    api.db.call(lambda conn: conn.execute(text(insert), {"run": run, "at": now}))
    api.db.call(forecasts.settle)

    [pool] = client.get("/forecasts", params={"days": 1}).json()["pools"]

    assert (pool["pool"], pool["number"], pool["beforeP50"], pool["beforeP90"]) == ("default", 1, 0.0, 1.0)
    assert pool["medianError"] == 120.0


def test_calibration_shows_the_expected_arrivals(client: httpx.Client, api: Api) -> None:
    """Two runs arrived just now. Newer arrivals have more weight, so the rate is above two an hour."""
    run, now = submit(client, priority=2)["executionId"], datetime.now(UTC)  # noqa: TID251
    submit(client, priority=2)
    tell(api, run, now - timedelta(minutes=3))
    insert = (
        "INSERT INTO test_attempts (execution_id, number, epoch, cause, started_at) VALUES (:run, 1, 1, 'first', :at)"
    )
    api.db.call(lambda conn: conn.execute(text(insert), {"run": run, "at": now}))
    api.db.call(forecasts.settle)

    [pool] = client.get("/forecasts").json()["pools"]
    [foreseen] = pool["arrivals"]

    assert foreseen["priority"] == 2
    assert 2 < foreseen["anHour"] < 5
