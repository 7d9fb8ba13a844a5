"""Tests of quotas and pools in the API: all problems at once, and a change holds from the next pass on."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from harness.rest import Api, submitted
from sqlalchemy import text

from db import nodes, pools, workers
from db.seeds import DEFAULT_POOL
from model.ids import NodeName, PoolName, WorkerId
from model.resources import Resources
from orchestrator import admission
from scheduler.values.node import DEFAULT_BACKEND, Node

NAN = b'{"weight": NaN}'


def problems(answer: httpx.Response) -> list[tuple[str, str]]:
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    return [(problem["path"], problem["message"]) for problem in answer.json()["problems"]]


@pytest.fixture
def passing(api: Api) -> Callable[[], int]:
    """Register a worker and a node. Return a function that makes a pass and counts the admitted runs."""
    node = Node(name=NodeName("n0"), capacity=Resources(cpu_milli=64_000, memory_bytes=2**36))
    api.db.call(lambda conn: nodes.record(conn, DEFAULT_POOL, [node]))
    api.db.call(
        lambda conn: workers.register(conn, WorkerId("w"), DEFAULT_POOL, timedelta(minutes=5), [DEFAULT_BACKEND])
    )

    def run() -> int:
        while api.db.call(lambda conn: admission.request(conn, DEFAULT_POOL, blocking=True)) is None:
            pass  # one of the server's own is under way: what it does may not be committed yet
        held = text("SELECT count(*) FROM queue WHERE state = 'admitted'")
        return int(api.db.call(lambda conn: conn.execute(held).scalar_one()))

    return run


def test_all_limits_of_a_quota_are_set_shown_and_taken_away(client: httpx.Client) -> None:
    limits = {
        "maxConcurrentTests": 7,
        "maxDailyTests": 9,
        "maxCpu": "4",
        "maxMemory": "8Gi",
        "maxGpu": 2,
        "weight": 2.5,
    }
    limits |= {"maxEphemeralStorage": "100Gi"}

    changed = client.put("/quota", json=limits).json()["user"]
    lifted = client.patch("/quota", json=dict.fromkeys(limits.keys() - {"weight"})).json()["user"]

    assert {key: changed[key] for key in limits} == limits
    assert {key: lifted[key] for key in limits} == dict.fromkeys(limits) | {"weight": 2.5}
    assert lifted["remainingToday"] is None


def test_a_team_has_a_quota_of_its_own(client: httpx.Client) -> None:
    before = client.get("/quota").json()["user"]

    changed = client.put("/quota", json={"team": "default", "maxCpu": "500m"}).json()

    assert (changed["user"], changed["team"]["maxCpu"], changed["team"]["name"]) == (None, "500m", "default")
    assert client.get("/quota?team=default").json()["team"] == changed["team"]
    assert client.get("/quota").json()["user"] == before
    assert client.get("/quota?user=nobody").status_code == client.get("/quota?team=nobody").status_code == 404


def test_all_problems_of_a_quota_are_reported_and_nothing_is_written(client: httpx.Client) -> None:
    before = client.get("/quota").json()
    wrong = {
        "user": "nobody",
        "maxConcurrentTests": -1,
        "maxDaily": 5,
        "maxCpu": "-4",
        "maxMemory": "much",
        "maxGpu": 1.5,
        "weight": 0,
    }

    found = problems(client.put("/quota", json=wrong))

    assert found == [
        ("maxConcurrentTests", "must be 0 or more"),
        ("maxCpu", "must be between 1m and 10,000,000 cores"),
        ("maxDaily", "is an unknown key; did you mean 'maxDailyTests'?"),
        ("maxGpu", "must be a whole number"),
        ("maxMemory", "'much' is not a Kubernetes quantity such as 500m, 0.5, 1Gi or 128974848"),
        ("user", "there is no user nobody"),
        ("weight", "must be 0.001 or more"),
    ]
    assert client.get("/quota").json() | {"resetsAt": before["resetsAt"]} == before


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b'{"weight": -1}', ("weight", "must be 0.001 or more")),
        (NAN, ("weight", "is not a finite number")),
        (b'{"weight": null}', ("weight", "must not be null: leave it out to keep it as it is")),
        (b'{"weight": "2"}', ("weight", "must be a number")),
        (b'{"weight": 1001}', ("weight", "must be 1000 or less")),
        (b'{"user": "local", "team": "default"}', ("team", "cannot be combined with user: give one of both")),
        (b'{"user": 5}', ("user", "must be text; put numbers, yes and no in quotes")),
        (b"[]", ("", "must be an object")),
    ],
)
def test_a_wrong_weight_or_owner_has_a_plain_message(
    shared_client: httpx.Client, body: bytes, told: tuple[str, str]
) -> None:
    assert problems(shared_client.put("/quota", content=body)) == [told]


def test_all_settings_of_a_pool_are_set_and_shown(client: httpx.Client) -> None:
    settings: dict[str, Any] = {
        "strategy": "FAIR_SHARE",
        "maxConcurrentTests": 8,
        "maxConcurrentExperiments": 2,
        "maxDailyTests": 500,
        "maxCpu": "64",
        "maxMemory": "512Gi",
        "maxEphemeralStorage": "1Ti",
        "maxGpu": 4,
        "profile": "best-fit",
        "candidates": 3,
        "ageingLimitSeconds": 600.0,
        "backfillAfterSeconds": 0.0,
        "halfLifeSeconds": 60.0,
        "preemption": True,
        "minRuntimeSeconds": 0.0,
        "enableSpotInstances": True,
        "targetNodeUtilization": 0.9,
        "schedulingIntervalSeconds": 2.0,
        "defaultNodeSelector": {"disk": "ssd"},
        "fixedNodes": True,
    }

    changed = client.patch("/pools/default", json=settings).json()
    none = {"maxCpu": None, "maxDailyTests": None, "defaultNodeSelector": {}}
    lifted = client.put("/pools/default", json=none).json()

    assert changed == {"name": "default"} | settings
    assert lifted == changed | none
    assert client.get("/pools/default").json() == lifted


def test_all_problems_of_a_pool_are_reported_and_nothing_is_written(client: httpx.Client) -> None:
    before = client.get("/pools/default").json()
    wrong = {
        "strategy": "RANDOM",
        "profile": "worst-fit",
        "candidates": 6,
        "maxConcurrentTests": -1,
        "maxGpu": -2,
        "halfLifeSeconds": 0,
        "preemption": "maybe",
        "defaultNodeSelector": {"a b": "c"},
        "interval": None,
    }

    found = dict(problems(client.put("/pools/default", json=wrong)))

    assert found["strategy"] == "must be one of FIFO, PRIORITY, FAIR_SHARE, RESOURCE_AWARE"
    assert found["profile"] == "must be one of default, original, best-fit, spread"
    assert found["candidates"] == "must be 5 or less"
    assert (found["maxConcurrentTests"], found["maxGpu"]) == ("must be 0 or more", "must be 0 or more")
    assert (found["halfLifeSeconds"], found["preemption"]) == ("must be above 0", "must be true or false")
    assert found['defaultNodeSelector["a b"]'].startswith("is not a label key")
    assert found["interval"].startswith("is an unknown key")
    assert len(found) == len(wrong)
    assert client.get("/pools/default").json() == before


def test_an_unknown_pool_is_reported_with_the_other_problems(shared_client: httpx.Client) -> None:
    assert problems(shared_client.put("/pools/nowhere", json={"candidates": 1})) == [
        ("candidates", "must be 2 or more"),
        ("name", "there is no pool nowhere"),
    ]
    assert shared_client.put("/pools/nowhere", json={"candidates": 2}).status_code == 404


def test_a_pool_is_added_once_and_takes_runs(client: httpx.Client) -> None:
    made = client.post("/pools", json={"name": "gpu", "maxConcurrentTests": 2, "maxGpu": 4})
    wrong = client.post("/pools", json={"name": "GPU pool", "strategy": "BEST"})
    run = client.post("/tests?pool=gpu", json={"name": "a", "type": "custom", "command": ["true"],
                                               "content": {"type": "inline", "files": {"a": "b"}}})  # fmt: skip

    assert (made.status_code, made.headers["location"]) == (201, "/api/v1/pools/gpu")
    assert (made.json()["maxGpu"], made.json()["strategy"]) == (4, "PRIORITY")
    assert client.post("/pools", json={"name": "gpu"}).status_code == 409
    assert [path for path, _ in problems(wrong)] == ["name", "strategy"]
    assert [pool["name"] for pool in client.get("/pools").json()["pools"]] == ["default", "gpu"]
    assert run.status_code == 202
    assert [e["executionId"] for e in client.get("/queue?pool=gpu").json()["entries"]] == [run.json()["executionId"]]
    assert client.get("/queue").json()["total"] == 0


def test_a_suite_beyond_the_daily_quota_of_its_pool_is_refused(client: httpx.Client) -> None:
    client.put("/pools/default", json={"maxDailyTests": 2})
    test = {"type": "custom", "command": ["true"], "content": {"type": "inline", "files": {"a": "b"}}}
    whole = {"name": "all", "tests": [test | {"name": name} for name in "abc"]}

    refused = client.post("/suites/runs", json=whole)
    single = [client.post("/tests", json=test | {"name": "one"}).status_code for _ in range(3)]

    assert refused.status_code == 429
    assert refused.json()["detail"].startswith("the daily quota of pool default is 2 runs; 0 are used and 3 more were")
    assert int(refused.headers["retry-after"]) > 0
    assert single == [202, 202, 429]
    assert client.get("/queue").json()["total"] == 2


def test_a_submit_into_an_unknown_pool_is_not_found(client: httpx.Client, api: Api) -> None:
    body = {"name": "a", "type": "custom", "command": ["true"], "content": {"type": "inline", "files": {"a": "b"}}}

    assert client.post("/tests?pool=nowhere", json=body).status_code == 404
    assert client.post("/suites/runs?pool=nowhere", json={"name": "s", "tests": [body]}).status_code == 404
    assert api.rows()["test_executions"] == 0


def test_the_same_key_for_another_pool_is_another_request(client: httpx.Client, api: Api) -> None:
    api.db.call(lambda conn: pools.create(conn, pools.Pool(name=PoolName("gpu"))))
    body = {"name": "a", "type": "custom", "command": ["true"], "content": {"type": "inline", "files": {"a": "b"}}}
    key = {"Idempotency-Key": "once"}

    first, again, other = (
        client.post(f"/tests?pool={pool}", json=body, headers=key) for pool in ("gpu", "gpu", "default")
    )

    assert first.json()["executionId"] == again.json()["executionId"]
    assert other.status_code == 409


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/quota", {"maxConcurrentTests": 1}),
        ("/quota", {"team": "default", "maxConcurrentTests": 1}),
        ("/quota", {"maxCpu": "100m"}),
        ("/quota", {"team": "default", "maxMemory": "128Mi"}),
        ("/pools/default", {"maxConcurrentTests": 1}),
        ("/pools/default", {"maxCpu": "150m"}),
    ],
)
def test_a_lower_limit_holds_from_the_next_pass_and_stops_no_run(
    client: httpx.Client, passing: Callable[[], int], path: str, body: dict[str, Any]
) -> None:
    """Each test requests 100m and 128Mi. Two tests run; under the new limit a third waits, and the two continue."""
    client.put("/pools/default", json={"maxConcurrentTests": 2})
    for _ in range(2):
        submitted(client)
    assert passing() == 2

    client.put("/pools/default", json={"maxConcurrentTests": 50})
    assert client.put(path, json=body).status_code == 200
    waiting = submitted(client)

    assert passing() == 2
    assert client.get(f"/tests/{waiting}").json()["waitReason"] != ""


def test_a_higher_limit_lets_the_next_pass_start_more(client: httpx.Client, passing: Callable[[], int]) -> None:
    client.put("/quota", json={"maxConcurrentTests": 0})
    submitted(client)
    assert passing() == 0

    client.put("/quota", json={"maxConcurrentTests": None})

    assert passing() == 1


def test_a_weight_that_is_too_small_for_a_finite_share_is_refused(client: httpx.Client) -> None:
    light = client.put("/quota", json={"weight": 0.001})

    assert problems(client.put("/quota", json={"weight": 1e-300})) == [("weight", "must be 0.001 or more")]
    assert light.json()["user"]["weight"] == 0.001


def test_user_and_team_cannot_be_combined(shared_client: httpx.Client) -> None:
    assert problems(shared_client.get("/quota?user=local&team=default")) == [
        ("query.team", "cannot be combined with user: give one of both")
    ]


def test_a_pool_with_a_slash_in_its_name_is_shown_and_changed(client: httpx.Client) -> None:
    made = client.post("/pools", json={"name": "team/gpu"})

    changed = client.put("/pools/team%2Fgpu", json={"strategy": "FIFO"})

    assert (made.status_code, changed.json()["strategy"]) == (201, "FIFO")
    assert client.get(made.headers["Location"].removeprefix("/api/v1")).json() == changed.json()
