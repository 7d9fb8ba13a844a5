from datetime import timedelta

import httpx
import pytest
from harness.rest import Api, begin, end, submitted

from db import nodes, people, workers
from db.seeds import DEFAULT_POOL, PREFECT_USER
from model.execution import Status
from model.ids import BackendName, NodeName, WorkerId
from model.resources import Resources
from model.result import Outcome, Result
from scheduler.values.node import Node


def test_the_queue_is_in_order_of_admission_with_reasons(client: httpx.Client) -> None:
    late, urgent = submitted(client, name="late", priority=9), submitted(client, name="urgent", priority=0)

    answer = client.get("/queue").json()

    assert [(e["executionId"], e["position"]) for e in answer["entries"]] == [(str(urgent), 1), (str(late), 2)]
    assert (answer["total"], answer["pool"], answer["links"]["next"]) == (2, "default", None)
    assert {e["user"] for e in answer["entries"]} == {"local"}
    assert client.get("/queue?limit=1").json()["links"]["next"] == "/api/v1/queue?limit=1&offset=1"
    assert client.get("/queue?pool=nobody").status_code == 404


def test_nodes_show_capacity_and_held_amounts(client: httpx.Client, api: Api) -> None:
    node = Node(name=NodeName("here"), capacity=Resources(cpu_milli=4000, memory_bytes=2**33), labels={"os": "linux"})
    api.db.call(lambda conn: nodes.record(conn, DEFAULT_POOL, [node]))

    (shown,) = client.get("/nodes").json()["nodes"]

    assert (shown["name"], shown["ready"], shown["cpuMilli"], shown["memoryBytes"]) == ("here", True, 4000, 2**33)
    assert (shown["cpuMilliHeld"], shown["runs"], shown["labels"]) == (0, 0, {"os": "linux"})


def test_nodes_show_who_serves_them_and_one_without_a_worker_is_removed(client: httpx.Client, api: Api) -> None:
    served, other = BackendName("local/served"), BackendName("local/gone")
    made = [
        Node(name=NodeName(name), capacity=Resources(cpu_milli=1000), backend=backend)
        for name, backend in (("served", served), ("gone", other))
    ]
    api.db.call(lambda conn: nodes.record(conn, DEFAULT_POOL, made))
    api.db.call(lambda conn: workers.register(conn, WorkerId("w"), DEFAULT_POOL, timedelta(minutes=5), [served]))

    shown = {node["name"]: (node["served"], node["backend"]) for node in client.get("/nodes").json()["nodes"]}
    refused = client.delete("/nodes/served")
    removed = client.delete("/nodes/gone")

    assert shown == {"served": (True, served), "gone": (False, other)}
    assert (refused.status_code, refused.json()["detail"]) == (
        409,
        "a live worker serves node served: stop that worker first",
    )
    assert (removed.status_code, removed.json()) == (200, {"node": "gone", "pool": "default", "runsGivenUp": 0})
    assert [node["name"] for node in client.get("/nodes").json()["nodes"]] == ["served"]
    assert [client.delete(path).status_code for path in ("/nodes/gone", "/nodes/served?pool=nobody")] == [404, 404]


def test_a_quota_is_shown_changed_and_used(client: httpx.Client) -> None:
    changed = client.put("/quota", json={"maxConcurrentTests": 7}).json()
    submitted(client)
    shown = client.get("/quota").json()

    assert (changed["user"]["maxConcurrentTests"], changed["user"]["maxDailyTests"]) == (7, 10_000)
    assert (shown["user"]["name"], shown["user"]["today"], shown["user"]["remainingToday"]) == ("local", 1, 9_999)
    assert (shown["team"]["name"], shown["team"]["today"]) == ("default", 1)
    assert client.put("/quota", json={"user": "prefect", "maxDailyTests": 3}).json()["user"]["maxDailyTests"] == 3


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"maxDailyTests": -1}, 400),
        ({"maxDailyTests": 2**31}, 400),
        ({"maxDailyTests": "5"}, 400),
        ({"maxDailyTests": True}, 400),
        ({"maxDaily": 5}, 400),
        ([], 400),
        ({"user": "nobody"}, 404),
        ({"team": "nobody"}, 404),
    ],
)
def test_a_wrong_quota_changes_nothing(shared_client: httpx.Client, body: object, status: int) -> None:
    before = shared_client.get("/quota").json()

    assert shared_client.put("/quota", json=body).status_code == status
    assert shared_client.get("/quota").json() == before


def test_a_pool_is_shown_and_changed(client: httpx.Client) -> None:
    before = client.get("/pools/default").json()
    after = client.put("/pools/default", json={"maxConcurrentTests": 8, "strategy": "FIFO"}).json()

    assert (before["strategy"], before["ageingLimitSeconds"]) == ("PRIORITY", 3600)
    assert after == before | {"maxConcurrentTests": 8, "strategy": "FIFO"}
    assert client.get("/pools/default").json() == after


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"strategy": "RANDOM"}, 400),
        ({"maxConcurrentTests": -1}, 400),
        ({"targetNodeUtilization": 0}, 400),
        ({"ageingLimitSeconds": 0}, 400),
        ({"schedulingIntervalSeconds": 0.01}, 400),
        ({"name": "other"}, 400),
    ],
)
def test_a_wrong_setting_does_not_change_the_pool(shared_client: httpx.Client, body: object, status: int) -> None:
    before = shared_client.get("/pools/default").json()

    assert shared_client.put("/pools/default", json=body).status_code == status
    assert shared_client.get("/pools/default").json() == before
    assert shared_client.put("/pools/nobody", json={}).status_code == 404


def test_secrets_are_names_and_references(client: httpx.Client) -> None:
    put = client.put("/secrets/api_key", json={"reference": "env:API_KEY"})
    client.put("/secrets/api_key", json={"reference": "file:/run/key", "team": "default"})
    listed = client.get("/secrets").json()["secrets"]
    removed, again = client.delete("/secrets/api_key"), client.delete("/secrets/api_key")

    assert put.json() == {"name": "api_key", "team": "", "reference": "env:API_KEY"}
    assert [(s["team"], s["reference"]) for s in listed] == [("", "env:API_KEY"), ("default", "file:/run/key")]
    assert (removed.status_code, again.status_code) == (204, 404)
    assert [s["team"] for s in client.get("/secrets").json()["secrets"]] == ["default"]


@pytest.mark.parametrize(
    ("name", "reference", "path"),
    [
        ("Api-Key", "env:A", "name"),
        ("a", "hunter2", "reference"),
        ("a", "env:", "reference"),
        ("a", "file:relative", "reference"),
        ("a", "vault:x", "reference"),
    ],
)
def test_a_value_in_place_of_a_reference_is_refused(
    shared_client: httpx.Client, name: str, reference: str, path: str
) -> None:
    answer = shared_client.put(f"/secrets/{name}", json={"reference": reference})

    assert answer.status_code == 400
    assert [problem["path"] for problem in answer.json()["problems"]] == [path]
    assert shared_client.put("/secrets/a", json={"reference": "env:A", "team": "nobody"}).status_code == 404


def test_statistics_count_the_last_day(client: httpx.Client, api: Api) -> None:
    for status in (Status.COMPLETED, Status.FAILED):
        run = submitted(client)
        begin(api.db, run)
        end(
            api.db,
            run,
            status,
            (Result(name="t", outcome=Outcome.PASSED if status.value == "completed" else Outcome.FAILED),),
        )

    (row,) = client.get("/stats").json()["types"]
    (flaky,) = client.get("/flaky").json()["tests"]

    assert (row["type"], row["total"], row["completed"], row["failed"]) == ("custom", 2, 1, 1)
    assert (flaky["testName"], flaky["passes"], flaky["failures"], flaky["failureRate"]) == ("t", 1, 1, 50.0)
    assert client.get("/flaky?days=0").status_code == 400


def test_a_deployment_is_bound_to_a_user(client: httpx.Client, api: Api) -> None:
    answer = client.put("/deployments/suite-run/nightly/user", json={"user": "local"})

    assert answer.json() == {"deployment": "suite-run/nightly", "user": "local"}
    assert api.db.call(lambda conn: people.deployment_user(conn, "suite-run/nightly")) != PREFECT_USER
    assert client.put("/deployments/a/b/user", json={"user": "nobody"}).status_code == 404
