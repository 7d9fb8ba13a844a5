from pathlib import Path
from xml.etree import ElementTree as ET

import httpx
import pytest
from harness.rest import Api, begin, end, submitted

from cluster.artifacts import ArtifactStore
from db import results
from model.execution import Status
from model.ids import ExecutionId
from model.result import Outcome, Result

FOUND = (
    Result(name="tests/test_a.py::test_good", outcome=Outcome.PASSED, duration_ms=5),
    Result(name="tests/test_a.py::test_bad", outcome=Outcome.FAILED, message="AssertionError: <1>", trace="line 1"),
    Result(name="tests/test_a.py::test_left", outcome=Outcome.SKIPPED, message="later"),
)


@pytest.fixture
def run(api: Api, client: httpx.Client) -> ExecutionId:
    made = submitted(client)
    begin(api.db, made)
    end(api.db, made, Status.FAILED, FOUND)
    return made


def test_results_have_the_outcome_of_each_test(client: httpx.Client, run: ExecutionId) -> None:
    answer = client.get(f"/tests/{run}/results").json()

    assert answer["attempt"] == 1
    assert answer["summary"] == {
        "totalTests": 3, "completed": 3, "passed": 1, "failed": 1, "skipped": 1, "percentComplete": 100,
    }  # fmt: skip
    found = {result["name"].rpartition("::")[2]: result for result in answer["results"]}
    assert (found["test_good"]["status"], found["test_good"]["durationMs"]) == ("passed", 5)
    assert (found["test_bad"]["errorMessage"], found["test_bad"]["stackTrace"]) == ("AssertionError: <1>", "line 1")
    assert found["test_good"]["errorMessage"] is None


def test_a_run_without_results_has_an_empty_list(client: httpx.Client) -> None:
    run = submitted(client)

    answer = client.get(f"/tests/{run}/results").json()

    assert (answer["attempt"], answer["results"], answer["summary"]["totalTests"]) == (None, [], 0)
    assert client.get(f"/tests/{run}/results?attempt=7").json()["results"] == []
    assert client.get(f"/tests/{run}/results?attempt=0").status_code == 400
    assert client.get(f"/tests/{run}/results?format=yaml").status_code == 400


@pytest.fixture
def large(api: Api, client: httpx.Client) -> ExecutionId:
    """Write a run with 450 results, of which 90 failed."""
    made = submitted(client)
    begin(api.db, made)
    failed = (Outcome.FAILED, *[Outcome.PASSED] * 4)
    end(api.db, made, Status.FAILED, tuple(Result(name=f"t{n:03}", outcome=failed[n % 5]) for n in range(450)))
    return made


def test_pages_of_results_count_all_results(client: httpx.Client, large: ExecutionId) -> None:
    pages = [client.get(f"/tests/{large}/results").json()]
    while following := pages[-1]["links"]["next"]:
        pages.append(client.get(following.removeprefix("/api/v1")).json())

    assert [(len(page["results"]), page["limit"], page["offset"]) for page in pages] == [
        (200, 200, 0), (200, 200, 200), (50, 200, 400),
    ]  # fmt: skip
    assert [r["name"] for page in pages for r in page["results"]] == [f"t{n:03}" for n in range(450)]
    for page in pages:
        assert (page["total"], page["summary"]["totalTests"], page["summary"]["failed"]) == (450, 450, 90)
    assert client.get(f"/tests/{large}/results?limit=201").status_code == 400
    assert client.get(f"/tests/{large}/results?offset=10001").status_code == 400


def test_a_status_filter_does_not_change_the_summary(client: httpx.Client, large: ExecutionId) -> None:
    page = client.get(f"/tests/{large}/results?status=failed&limit=50").json()
    rest = client.get(page["links"]["next"].removeprefix("/api/v1")).json()

    assert (page["total"], page["summary"]["totalTests"], page["summary"]["passed"]) == (90, 450, 360)
    assert {r["status"] for r in page["results"] + rest["results"]} == {"failed"}
    assert (len(rest["results"]), rest["links"]["next"]) == (40, None)
    assert client.get(f"/tests/{large}/results?status=skipped").json()["total"] == 0
    assert client.get(f"/tests/{large}/results?status=broken").status_code == 400


def test_junit_has_all_results_on_any_page(client: httpx.Client, large: ExecutionId) -> None:
    answer = client.get(f"/tests/{large}/results?format=junit&limit=1&status=failed")

    assert answer.content.count(b"<testcase") == 450


def test_results_are_available_as_junit(client: httpx.Client, run: ExecutionId) -> None:
    answer = client.get(f"/tests/{run}/results?format=junit")

    assert answer.headers["content-type"] == "application/xml"
    root = ET.fromstring(answer.content)  # noqa: S314  our own
    assert [case.get("name") for case in root.iter("testcase")] == ["test_bad", "test_good", "test_left"]
    assert (root.get("failures"), root.get("skipped")) == ("1", "1")


def test_artifacts_are_served_as_attachments(api: Api, client: httpx.Client, run: ExecutionId, tmp_path: Path) -> None:
    left = tmp_path / "results"
    (left / "deep dir").mkdir(parents=True)
    (left / "deep dir" / "page.html").write_text("<script>alert(1)</script>")
    kept = ArtifactStore(api.state / "artifacts").keep(run, 1, left)
    api.db.call(lambda conn: results.save_artifacts(conn, run, 1, kept))

    listed = client.get(f"/tests/{run}/artifacts").json()["artifacts"]
    answer = client.get(listed[0]["link"].removeprefix("/api/v1"))

    assert [(a["name"], a["type"], a["sizeBytes"]) for a in listed] == [("deep dir/page.html", "report", 25)]
    assert answer.text == "<script>alert(1)</script>"
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["x-content-type-options"] == "nosniff"
    (api.state / "artifacts" / str(run) / "1" / "deep dir" / "page.html").unlink()
    assert client.get(listed[0]["link"].removeprefix("/api/v1")).status_code == 404


@pytest.mark.parametrize("name", ["missing.png", "../../api-key", "%2e%2e/%2e%2e/api-key", "/etc/passwd", "a%00b"])
def test_a_path_from_a_client_is_never_opened(client: httpx.Client, run: ExecutionId, name: str) -> None:
    assert client.get(f"/tests/{run}/artifacts/{name}").status_code in {400, 404}
