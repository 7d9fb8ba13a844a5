import copy
import hashlib
import itertools
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import httpx
import pytest
from harness.bad_requests import REQUESTS, SUITES, Cases
from harness.rest import REQUEST, Api, begin, submitted

from model.ids import ExecutionId


def refused(answer: httpx.Response, status: int) -> Any:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert (body["status"], body["type"]) == (status, "about:blank")
    return body


def test_a_submit_answers_as_the_contract_says(client: httpx.Client, api: Api) -> None:
    answer = client.post("/tests", json=REQUEST)

    assert answer.status_code == 202
    body = answer.json()
    own = f"/api/v1/tests/{body['executionId']}"
    assert UUID(body["executionId"]).version == 7
    assert (body["status"], body["estimatedStartTime"]) == ("queued", None)
    assert body["links"] == {"self": own, "logs": f"{own}/logs", "cancel": f"{own}/cancel"}
    assert answer.headers["location"] == own
    assert api.rows() | {"test_definitions": 1, "test_executions": 1, "queue": 1} == api.rows()


def test_the_queue_position_counts_from_one_and_priority_comes_first(client: httpx.Client) -> None:
    submitted(client)
    submitted(client, priority=9)

    assert client.post("/tests", json=REQUEST).json()["queuePosition"] == 2
    assert client.post("/tests", json=REQUEST | {"priority": 0}).json()["queuePosition"] == 1


def test_the_same_request_again_reuses_its_definition(client: httpx.Client, api: Api) -> None:
    first, second, other = submitted(client), submitted(client, priority=1), submitted(client, command=["false"])

    definitions = [client.get(f"/tests/{run}").json()["definitionId"] for run in (first, second, other)]
    assert definitions[0] == definitions[1] != definitions[2]
    assert api.rows()["test_definitions"] == 2


@pytest.mark.parametrize(("path", "bad"), [("/tests", REQUESTS), ("/suites/runs", SUITES)], ids=["tests", "suites"])
def test_each_wrong_request_has_exactly_its_problems_and_writes_nothing(
    client: httpx.Client, api: Api, path: str, bad: Cases
) -> None:
    before = api.rows()
    wrong = {}
    for case in bad.by("rest"):
        answer = client.post(path, content=json.dumps(bad.wrong(case)))
        found = refused(answer, 400)["problems"]
        if found != case["problems"]:
            wrong[case["name"]] = found

    assert wrong == {}
    assert api.rows() == before


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b'{"name": "\xff"}', "not UTF-8"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        (b"[" * 100_000, "nested"),
        (b'{"priority": ' + b"9" * 5_000 + b"}", "digits"),
        (b'{"name": "a", "name": "b"}', "appears twice"),
        (b"[]", "object"),
        (b"null", "object"),
    ],
)
def test_a_body_that_is_not_a_request_has_a_plain_message(
    shared_client: httpx.Client, body: bytes, message: str
) -> None:
    found = refused(shared_client.post("/tests", content=body), 400)["problems"]

    assert message in found[0]["message"]


def test_a_body_that_is_too_large_is_refused_with_and_without_a_length(client: httpx.Client, api: Api) -> None:
    endless = itertools.repeat(b" " * 2**16, 200)

    assert refused(client.post("/tests", content=b" " * (8 * 2**20 + 1)), 413)
    assert refused(client.post("/tests", content=endless), 413)
    assert api.rows()["test_executions"] == 0


def test_only_unknown_secrets_are_problems(client: httpx.Client, api: Api) -> None:
    request = copy.deepcopy(REQUEST)
    request |= {"env": {"A": "${secrets.one}"}, "config": {"env": {"B": "x-${secrets.two}-${secrets.one}"}}}

    found = refused(client.post("/tests", json=request), 400)["problems"]
    paths = [problem["path"] for problem in found]
    client.put("/secrets/one", json={"reference": "env:ONE"}).raise_for_status()
    later = refused(client.post("/tests", json=request), 400)["problems"]
    client.put("/secrets/two", json={"reference": "file:/run/two"}).raise_for_status()

    assert paths == ["config.env.B", "config.env.B", "env.A"]
    assert [problem["path"] for problem in later] == ["config.env.B"]
    assert api.rows()["test_executions"] == 0
    assert client.post("/tests", json=request).status_code == 202


def test_content_must_be_uploaded_first_and_is_stored_under_its_digest(client: httpx.Client, api: Api) -> None:
    packed = b"not really packed, but that is for the worker to find"
    digest = hashlib.sha256(packed).hexdigest()
    request = REQUEST | {"content": {"type": "artifact", "sha256": digest}}

    before = refused(client.post("/tests", json=request), 400)["problems"]
    first = client.put(f"/content/{digest}", content=packed)
    again = client.put(f"/content/{digest}", content=packed)

    assert [problem["path"] for problem in before] == ["content.sha256"]
    assert (first.status_code, first.json()) == (201, {"sha256": digest, "sizeBytes": len(packed), "created": True})
    assert (again.status_code, again.json()["created"]) == (200, False)
    assert (api.state / "content" / digest).read_bytes() == packed
    assert client.post("/tests", json=request).status_code == 202


def test_missing_content_is_a_problem_of_a_retry_and_of_a_suite(client: httpx.Client, api: Api) -> None:
    digest = hashlib.sha256(b"packed").hexdigest()
    request = REQUEST | {"content": {"type": "artifact", "sha256": digest}}
    client.put(f"/content/{digest}", content=b"packed").raise_for_status()
    run = submitted(client, content=request["content"])
    client.post(f"/tests/{run}/cancel").raise_for_status()
    (api.state / "content" / digest).unlink()
    before = api.rows()

    retried = refused(client.post(f"/tests/{run}/retry"), 400)["problems"]
    suite = refused(client.post("/suites/runs", json={"name": "all", "tests": [REQUEST, request | {"name": "b"}]}), 400)

    assert [problem["path"] for problem in retried] == ["content.sha256"]
    assert [problem["path"] for problem in suite["problems"]] == ["tests[1].content.sha256"]
    assert retried[0]["message"] == suite["problems"][0]["message"]
    assert api.rows() == before


def test_the_same_request_with_the_same_key_is_one_run(client: httpx.Client, api: Api) -> None:
    key = {"Idempotency-Key": "build 17"}
    client.put("/quota", json={"maxDailyTests": 1}).raise_for_status()

    first = client.post("/tests", json=REQUEST, headers=key)
    turned = client.post("/tests", content=json.dumps(dict(reversed(REQUEST.items())), indent=3), headers=key)
    begin(api.db, ExecutionId(first.json()["executionId"]))
    later = client.post("/tests", json=REQUEST, headers=key)
    refused(client.post("/tests", json=REQUEST), 429)

    assert (first.status_code, turned.status_code, later.status_code) == (202, 202, 202)
    assert first.json() == turned.json()
    assert first.headers["location"] == later.headers["location"]
    assert (later.json()["executionId"], later.json()["status"]) == (first.json()["executionId"], "running")
    assert api.rows() | {"test_executions": 1, "queue": 1} == api.rows()


def test_the_same_key_for_another_request_is_409_and_writes_nothing(client: httpx.Client, api: Api) -> None:
    key = {"Idempotency-Key": "build 17"}
    run = client.post("/tests", json=REQUEST, headers=key).json()["executionId"]
    before = api.rows()

    other = refused(client.post("/tests", json=REQUEST | {"priority": 1}, headers=key), 409)

    assert run[-8:] in other["detail"]
    assert api.rows() == before
    assert client.post("/tests", json=REQUEST, headers={"Idempotency-Key": "build 18"}).status_code == 202
    for wrong in ("", "k" * 256):
        refused(client.post("/tests", json=REQUEST, headers={"Idempotency-Key": wrong}), 400)


def test_twenty_parallel_submits_with_one_key_write_one_run(client: httpx.Client, api: Api) -> None:
    client.put("/quota", json={"maxDailyTests": 1}).raise_for_status()

    def one(_: int) -> httpx.Response:
        with api.client() as own:
            return own.post("/tests", json=REQUEST, headers={"Idempotency-Key": "k"})

    with ThreadPoolExecutor(10) as threads:
        answers = list(threads.map(one, range(20)))

    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["executionId"] for answer in answers}) == 1
    assert api.rows()["test_executions"] == 1


def test_content_with_a_wrong_digest_or_size_is_not_stored(client: httpx.Client, api: Api) -> None:
    digest = hashlib.sha256(b"a").hexdigest()

    refused(client.put(f"/content/{digest}", content=b"b"), 400)
    refused(client.put(f"/content/{digest}", content=b"a" * (50 * 2**20 + 1)), 413)
    refused(client.put(f"/content/{digest}", content=itertools.repeat(b"a" * 2**20, 51)), 413)
    refused(client.put("/content/..%2Fapi-key", content=b"a"), 404)
    refused(client.put(f"/content/{digest.upper()}", content=b"a"), 400)

    assert list((api.state / "content").iterdir()) == []


def test_fifty_parallel_submits_fill_the_ten_remaining_runs_of_a_quota(api: Api, client: httpx.Client) -> None:
    client.put("/quota", json={"maxDailyTests": 13}).raise_for_status()
    for _ in range(3):
        submitted(client)

    def one(number: int) -> httpx.Response:
        with api.client() as own:
            return own.post("/tests", json=REQUEST | {"name": f"parallel {number % 7}"})

    with ThreadPoolExecutor(25) as threads:
        answers = list(threads.map(one, range(50)))

    codes = [answer.status_code for answer in answers]
    assert (codes.count(202), codes.count(429)) == (10, 40)
    assert api.rows()["test_executions"] == api.rows()["queue"] == 13
    over = next(answer for answer in answers if answer.status_code == 429)
    assert "13" in refused(over, 429)["detail"]
    assert 0 < int(over.headers["retry-after"]) <= 86_401


def test_the_quota_of_a_team_holds_for_all_its_members_together(client: httpx.Client, api: Api) -> None:
    client.put("/quota", json={"team": "default", "maxDailyTests": 1}).raise_for_status()
    submitted(client)

    assert "team default" in refused(client.post("/tests", json=REQUEST), 429)["detail"]


def test_validate_answers_without_writing(client: httpx.Client, api: Api) -> None:
    before = api.rows()

    good = client.post("/validate", json=REQUEST)
    suite = client.post("/validate", json={"name": "all", "tests": [REQUEST]})
    bad = refused(client.post("/validate", json={"name": "all", "tests": [REQUEST | {"priority": 10}]}), 400)

    assert good.json() == {"valid": True, "kind": "test", "name": "checkout"}
    assert suite.json()["kind"] == "suite"
    assert [problem["path"] for problem in bad["problems"]] == ["tests[0].priority"]
    assert api.rows() == before


def test_a_wrong_field_does_not_hide_a_secret_or_a_content_that_is_missing(client: httpx.Client) -> None:
    digest = "0" * 64
    wrong = REQUEST | {
        "type": "k6",
        "priority": 10,
        "env": {"A": "${secrets.nobody}", "B": 3},
        "config": {"env": {"C": "x-${secrets.nothing}"}},
        "content": {"type": "artifact", "sha256": digest},
    }

    problems = client.post("/tests", json=wrong).json()["problems"]

    found = {problem["path"]: problem["message"] for problem in problems}
    assert {"type", "priority", "env.A", "env.B", "config.env.C", "content.sha256"} <= found.keys()
    assert "secret nobody, which is not set" in found["env.A"]
    assert "is not known here" in found["content.sha256"]


def test_a_secret_that_is_set_is_no_problem_of_a_wrong_request(client: httpx.Client) -> None:
    client.put("/secrets/api_key", json={"reference": "env:API_KEY"})

    problems = client.post("/tests", json=REQUEST | {"priority": 10, "env": {"A": "${secrets.api_key}"}}).json()[
        "problems"
    ]

    assert [problem["path"] for problem in problems] == ["priority"]
