"""Tests of explanations: the text of a decision stays the same while the run waits, runs, and days after its end."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from harness.rest import Api, begin, end, submitted

from db import forecasts, nodes, workers
from db.seeds import DEFAULT_POOL
from model.ids import ExecutionId, NodeName, WorkerId
from model.resources import Resources
from orchestrator import admission, explaining
from scheduler.forecast.estimate import Basis, Estimate
from scheduler.values.node import DEFAULT_BACKEND, Node

GI = 2**30


@pytest.fixture
def run_pass(api: Api) -> Callable[[], None]:
    made = [Node(name=NodeName(n), capacity=Resources(cpu_milli=4000, memory_bytes=8 * GI)) for n in ("n0", "n1")]
    api.db.call(lambda conn: nodes.record(conn, DEFAULT_POOL, made))
    api.db.call(
        lambda conn: workers.register(conn, WorkerId("w"), DEFAULT_POOL, timedelta(minutes=5), [DEFAULT_BACKEND])
    )

    def passed() -> None:
        """Make a pass. Where another one does it, that may not be over yet: then make one more."""
        while api.db.call(lambda conn: admission.request(conn, DEFAULT_POOL, blocking=True)) is None:
            pass

    return passed


def explanation(client: httpx.Client, run: ExecutionId) -> Any:
    answer = client.get(f"/tests/{run}/explanation")
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_waiting_run_has_its_position_the_reason_and_the_runs_ahead(
    client: httpx.Client, run_pass: Callable[[], None]
) -> None:
    client.put("/pools/default", json={"maxConcurrentTests": 1})
    submitted(client, name="runs", priority=0)
    run_pass()
    ahead, run = submitted(client, name="ahead", priority=1), submitted(client, name="behind")
    run_pass()

    found = explanation(client, run)

    now = found["waiting"]
    assert (found["name"], found["user"], found["team"], found["pool"]) == ("behind", "local", "default", "default")
    assert (now["position"], now["total"], now["reason"]) == (2, 2, "the pool runs 1 of 1")
    assert [(o["executionId"], o["name"], o["priority"], o["team"]) for o in now["ahead"]] == [
        (str(ahead), "ahead", 1, "default")
    ]
    (said,) = found["decisions"]
    assert (said["kind"], said["code"], said["strategy"]) == ("waiting", "pool_limit", "PRIORITY")
    assert "the pool runs 1 of 1" in said["text"]


def test_an_admitted_run_has_the_score_terms_of_every_candidate(
    client: httpx.Client, run_pass: Callable[[], None]
) -> None:
    run = submitted(client)
    run_pass()

    found = explanation(client, run)

    (said,) = found["decisions"]
    chosen = [c for c in said["candidates"] if c["chosen"]]
    assert (found["waiting"], said["kind"], said["snapshot"] > 0) == (None, "admitted", True)
    assert {c["node"] for c in said["candidates"]} == {"n0", "n1"}
    assert [c["node"] for c in chosen] == [said["node"]]
    assert chosen[0]["total"] == max(c["total"] for c in said["candidates"])
    assert set(chosen[0]) == {"node", "chosen", "total", "free", "utilisation", "affinity", "spot", "balance"}


def test_the_explanation_is_the_same_three_days_later(
    client: httpx.Client, api: Api, run_pass: Callable[[], None]
) -> None:
    client.put("/quota", json={"maxConcurrentTests": 0})
    run = submitted(client)
    run_pass()
    while_it_waited = explanation(client, run)["decisions"]
    client.put("/quota", json={"maxConcurrentTests": 1})
    run_pass()
    while_it_ran = explanation(client, run)["decisions"]
    begin(api.db, run)
    end(api.db, run)
    in_three_days = datetime.now(UTC) + timedelta(days=3)  # noqa: TID251  a test is its own wiring

    later = api.db.call(lambda conn: explaining.explain(conn, ExecutionId(UUID(str(run))), in_three_days))

    shown = explanation(client, run)
    assert len(while_it_waited) == 1
    assert while_it_ran[: len(while_it_waited)] == while_it_waited
    assert shown["decisions"][: len(while_it_ran)] == while_it_ran
    assert (shown["waiting"], later.waiting) == (None, None)
    assert [(t.said.at, t.sentence) for t in later.decisions] == [
        (datetime.fromisoformat(d["at"]), d["text"]) for d in shown["decisions"]
    ]
    assert "user local runs 0 of 0" in while_it_waited[0]["text"]


def test_the_estimate_is_shown_while_it_is_valid(client: httpx.Client, api: Api, run_pass: Callable[[], None]) -> None:
    client.put("/quota", json={"maxConcurrentTests": 0})
    run = submitted(client)
    run_pass()
    now = datetime.now(UTC)  # noqa: TID251  a test is its own wiring
    soon, late = now + timedelta(minutes=1), now + timedelta(minutes=5)
    told = Estimate(execution_id=run, p50=soon, p90=late, basis=Basis.HISTORY)
    before = explanation(client, run)["waiting"]["estimate"]

    api.db.call(lambda conn: forecasts.write(conn, [told], now))

    estimate = explanation(client, run)["waiting"]["estimate"]
    (entry,) = client.get("/queue").json()["entries"]
    shown = client.get(f"/tests/{run}").json()
    assert before is None
    assert [datetime.fromisoformat(estimate[key]) for key in ("p50", "p90")] == [soon, late]
    assert entry["estimatedStartTime"] == shown["estimatedStartTime"] == estimate["p50"]
    assert entry["estimatedStartTimeP90"] == shown["estimatedStartTimeP90"] == estimate["p90"]


def test_shares_are_shown_in_a_fair_share_pool(client: httpx.Client, run_pass: Callable[[], None]) -> None:
    client.put("/pools/default", json={"strategy": "FAIR_SHARE", "maxConcurrentTests": 1})
    submitted(client)
    run_pass()
    run = submitted(client)
    run_pass()

    (entry,) = client.get("/queue").json()["entries"]
    shared = explanation(client, run)
    client.put("/pools/default", json={"strategy": "FIFO"})

    assert 1 <= entry["share"] < 1.01  # it has all that the pool may run at once
    assert shared["waiting"]["share"] == pytest.approx(entry["share"], rel=0.01)
    assert shared["decisions"][0]["share"] is not None
    assert client.get("/queue").json()["entries"][0]["share"] is None


def test_the_reason_says_that_no_worker_is_alive(client: httpx.Client, api: Api) -> None:
    run = submitted(client)
    api.db.call(lambda conn: admission.request(conn, DEFAULT_POOL, blocking=True))

    found = explanation(client, run)

    assert (found["waiting"]["reason"], found["waiting"]["ahead"]) == ("no live worker", [])
    assert [said["code"] for said in found["decisions"]] == ["no_worker"]


def test_the_explanation_of_an_unknown_run_is_404(shared_client: httpx.Client) -> None:
    assert shared_client.get("/tests/00000000-0000-7000-8000-000000000000/explanation").status_code == 404
