import httpx
import pytest
from harness.rest import Api, begin, end, submitted
from sqlalchemy import Connection

from db import executions
from db.runs import Fenced
from model.execution import Status
from model.ids import ExecutionId
from model.result import Outcome, Result


def test_a_run_is_shown_as_the_contract_says(client: httpx.Client, api: Api) -> None:
    run = submitted(client, labels={"team": "shop"}, tags=["smoke"], priority=3)
    waiting = client.get(f"/tests/{run}").json()
    begin(api.db, run)
    api.db.call(lambda conn: note_progress(conn, run))
    running = client.get(f"/tests/{run}").json()
    end(api.db, run, Status.FAILED)
    ended = client.get(f"/tests/{run}").json()

    own = f"/api/v1/tests/{run}"
    assert (waiting["status"], waiting["phase"], waiting["queuePosition"]) == ("queued", "waiting", 1)
    assert "worker" in waiting["waitReason"]
    assert (waiting["labels"], waiting["tags"], waiting["priority"]) == ({"team": "shop"}, ["smoke"], 3)
    assert running["progress"] == {
        "totalTests": 250, "completed": 150, "passed": 145, "failed": 5, "skipped": 0, "percentComplete": 60,
    }  # fmt: skip
    expected = {"podName": None, "nodeName": "here", "cpuUsage": "750m", "memoryUsage": "800Mi"}
    expected |= {"peakCpuUsage": "900m", "peakMemoryUsage": "801Mi"}
    assert running["resources"] == expected
    assert (running["queuePosition"], running["waitReason"]) == (None, "")
    assert (ended["status"], ended["failureReason"], ended["exitCode"]) == ("failed", "tests_failed", 1)
    assert [(a["number"], a["cause"], a["status"]) for a in ended["attempts"]] == [(1, "first", "failed")]
    assert ended["durationSeconds"] >= 0
    assert ended["links"]["logs"] == f"{own}/logs"
    assert ended["links"]["metrics"] == f"{own}/metrics"


def note_progress(conn: Connection, run: ExecutionId) -> None:
    executions.set_progress(
        conn,
        Fenced(run_id=run, epoch=None),
        {
            "totalTests": 250, "completed": 150, "passed": 145, "failed": 5, "skipped": 0, "percentComplete": 60,
            "cpuMilli": 750, "memoryBytes": 800 * 2**20 - 5, "peakCpuMilli": 900, "peakMemoryBytes": 801 * 2**20,
            "cpuSeconds": 2.5,
        },
    )  # fmt: skip


def test_a_run_is_found_by_any_unique_beginning_or_end(client: httpx.Client) -> None:
    one, two = str(submitted(client)), str(submitted(client))

    assert client.get(f"/tests/{one[-8:]}").json()["executionId"] == one
    assert client.get(f"/tests/{two.replace('-', '')}").json()["executionId"] == two
    several = client.get(f"/tests/{one[:4]}")
    assert several.status_code == 409
    assert one[-8:] in several.json()["detail"]


@pytest.mark.parametrize(
    "unknown", ["01900000-0000-7000-8000-00000000ffff", "ffffffff", "not-hex", "%2e%2e", "x" * 101]
)
def test_an_unknown_run_is_404_everywhere(shared_client: httpx.Client, unknown: str) -> None:
    for method, path in (
        ("GET", ""),
        ("GET", "/logs"),
        ("GET", "/metrics"),
        ("GET", "/results"),
        ("GET", "/artifacts"),
        ("GET", "/artifacts/a.png"),
        ("POST", "/cancel"),
        ("POST", "/retry"),
    ):
        answer = shared_client.request(method, f"/tests/{unknown}{path}")

        assert answer.status_code == (400 if len(unknown) > 100 else 404), path
        assert answer.headers["content-type"] == "application/problem+json"


def test_lists_are_filtered_paged_and_newest_first(client: httpx.Client, api: Api) -> None:
    runs = [submitted(client, name=f"run {n}", labels={"n": str(n)}, tags=["odd"] if n % 2 else []) for n in range(5)]
    begin(api.db, runs[0])

    def ids(**query: object) -> list[str]:
        return [e["executionId"] for e in client.get("/tests", params=query).json()["executions"]]

    newest_first = [str(run) for run in reversed(runs)]
    assert ids() == newest_first
    assert ids(status="running") == [str(runs[0])]
    assert ids(label="n=3") == [str(runs[3])]
    assert ids(tag="odd") == [str(runs[3]), str(runs[1])]
    assert ids(type="pytest") == []
    assert ids(user="local") == newest_first
    assert ids(since="2100-01-01T00:00:00Z") == []
    assert ids(until="2100-01-01T00:00:00Z") == newest_first
    page = client.get("/tests", params={"limit": 2, "status": "queued"}).json()
    assert (page["total"], page["limit"], page["offset"], len(page["executions"])) == (4, 2, 0, 2)
    following = client.get(page["links"]["next"].removeprefix("/api/v1")).json()
    assert [e["executionId"] for e in following["executions"]] == newest_first[2:4]
    assert following["links"]["next"] is None


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("limit=0", "query.limit"),
        ("limit=201", "query.limit"),
        ("offset=-1", "query.offset"),
        ("offset=10001", "query.offset"),
        ("limit=many", "query.limit"),
        ("status=done", "query.status"),
        ("type=junit", "query.type"),
        ("label=nothing", "query.label"),
        ("since=2025-01-01T00:00:00", "query.since"),
        ("since=yesterday", "query.since"),
        ("until=0", "query.until"),
        ("suiteRun=abc", "query.suiteRun"),
    ],
)
def test_a_wrong_query_is_400_at_its_parameter(shared_client: httpx.Client, query: str, path: str) -> None:
    answer = shared_client.get(f"/tests?{query}")

    assert answer.status_code == 400
    assert [problem["path"] for problem in answer.json()["problems"]] == [path]


def test_all_problems_of_a_query_are_reported_at_once(shared_client: httpx.Client) -> None:
    answer = shared_client.get("/tests?label=nothing&since=2025-01-01T00:00:00&until=0")

    assert answer.status_code == 400
    assert [problem["path"] for problem in answer.json()["problems"]] == ["query.label", "query.since", "query.until"]


def test_a_waiting_run_is_cancelled_at_once_and_the_second_cancel_changes_nothing(
    client: httpx.Client, api: Api
) -> None:
    run = submitted(client)

    first, second = client.post(f"/tests/{run}/cancel"), client.post(f"/tests/{run}/cancel")

    assert (first.status_code, second.status_code) == (200, 200)
    assert (first.json()["status"], first.json()["changed"]) == ("cancelled", True)
    assert (second.json()["status"], second.json()["changed"]) == ("cancelled", False)
    shown = client.get(f"/tests/{run}").json()
    assert (shown["status"], shown["phase"], shown["exitCode"]) == ("cancelled", "ended", 2)
    assert api.rows()["queue"] == 0


def test_a_cancel_of_a_running_run_is_recorded_and_the_second_changes_nothing(client: httpx.Client, api: Api) -> None:
    run = submitted(client)
    begin(api.db, run)

    first, second = client.post(f"/tests/{run}/cancel").json(), client.post(f"/tests/{run}/cancel").json()

    assert (first["status"], first["cancelRequested"], first["changed"]) == ("running", True, True)
    assert (second["status"], second["cancelRequested"], second["changed"]) == ("running", True, False)
    end(api.db, run, Status.CANCELLED)
    assert client.post(f"/tests/{run}/cancel").json()["changed"] is False


def test_cancelling_an_ended_run_changes_nothing(client: httpx.Client, api: Api) -> None:
    run = submitted(client)
    begin(api.db, run)
    end(api.db, run)

    answer = client.post(f"/tests/{run}/cancel").json()

    assert (answer["status"], answer["cancelRequested"], answer["changed"]) == ("completed", False, False)


def test_a_retry_is_a_new_run_and_409_while_the_old_run_has_not_ended(client: httpx.Client, api: Api) -> None:
    run = submitted(client)
    early = client.post(f"/tests/{run}/retry")
    begin(api.db, run)
    running = client.post(f"/tests/{run}/retry")
    end(api.db, run)

    answer = client.post(f"/tests/{run}/retry")

    assert (early.status_code, running.status_code, answer.status_code) == (409, 409, 202)
    old, new = (
        client.get(f"/tests/{run}").json(),
        client.get(answer.json()["links"]["self"].removeprefix("/api/v1")).json(),
    )
    assert new["retriedFrom"] == str(run)
    assert new["definitionId"] == old["definitionId"]
    assert (new["status"], old["status"]) == ("queued", "completed")


def test_a_retry_counts_against_the_daily_quota(client: httpx.Client, api: Api) -> None:
    run = submitted(client)
    client.post(f"/tests/{run}/cancel")
    client.put("/quota", json={"maxDailyTests": 1})

    assert client.post(f"/tests/{run}/retry").status_code == 429


def test_metrics_have_the_measured_values(client: httpx.Client, api: Api) -> None:
    run = submitted(client)
    before = client.get(f"/tests/{run}/metrics").json()
    begin(api.db, run)
    api.db.call(lambda conn: note_progress(conn, run))
    running = client.get(f"/tests/{run}/metrics").json()
    used = {"cpu_seconds": 1.5, "peak_memory_bytes": 1024, "peak_cpu_milli": 700}
    api.db.call(lambda conn: executions.set_outcome(conn, run, metrics=used, progress={}))
    end(api.db, run, Status.COMPLETED, (Result(name="a", outcome=Outcome.PASSED),))
    after = client.get(f"/tests/{run}/metrics").json()

    assert (before["cpuSeconds"], before["waitSeconds"], before["attempts"]) == (None, None, 0)
    assert (running["cpuMilli"], running["peakCpuMilli"], running["cpuSeconds"]) == (750, 900, 2.5)
    assert (running["memoryBytes"], running["peakMemoryBytes"]) == (800 * 2**20 - 5, 801 * 2**20)
    assert (after["cpuMilli"], after["memoryBytes"], after["peakCpuMilli"]) == (None, None, 700)
    assert (after["cpuSeconds"], after["peakMemoryBytes"], after["attempts"]) == (1.5, 1024, 1)
    assert after["waitSeconds"] >= 0
