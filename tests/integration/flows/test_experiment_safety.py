"""Safety checks of experiments through the whole stack: what is asked, what blocks, and what the record says."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from harness.experiments import LocalShop, local_shop
from harness.scripted_http import Answer, Asked, ScriptedServer, serving
from harness.stack import Stack, until

pytestmark = pytest.mark.faults

KEY = b"0123456789abcdef0123456789abcdef"

OPEN = {
    "id": "Q1", "title": "checkout is slow", "status": "triggered", "created_at": "2026-11-30T08:00:00Z",
    "service": {"id": "PSHOP", "summary": "shop"},
}  # fmt: skip
SLOW = {
    "fingerprint": "f1", "labels": {"alertname": "PaymentsSlow", "service": "payments"},
    "startsAt": "2026-11-30T08:00:00Z",
}  # fmt: skip
SOMEBODY = {
    "user": {"id": "P1", "summary": "Ann"}, "escalation_level": 1,
    "escalation_policy": {"id": "POL", "summary": "first"},
}  # fmt: skip


@pytest.fixture(scope="module")
def shop(stack: Stack) -> Iterator[LocalShop]:
    with local_shop(stack.state, name="safe") as running:
        yield running


def connected(stack: Stack, name: str, server: ScriptedServer, kind: str, *more: str) -> None:
    done = stack.assay("chaos", "connect", name, "--kind", kind, "--url", server.url, *more)
    assert done.returncode == 0, done.stderr


def run(stack: Stack, shop: LocalShop, changes: Any = None, **checks: Any) -> dict[str, Any]:
    """Run an experiment with these safety checks to its end."""
    spec = shop.example("payments-killed", safetyChecks=checks, **(changes or {}))
    answer = stack.rest("POST", "/runs", json={"kind": "experiment", "spec": spec})
    assert answer.status_code == 202, answer.text
    path = f"/chaos/executions/{answer.json()['runId']}"
    until("it has ended", lambda: stack.rest("GET", path).json()["completedAt"], 90, 0.2)
    found: dict[str, Any] = stack.rest("GET", path).json()
    return found


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Answer(body={"incidents": [OPEN]}), "triggered: checkout is slow"),
        (Answer(status=401, text="no"), "the token is wrong or revoked"),
        (Answer(status=500, text="down"), "HTTP 500"),
        (Answer(hangs=True), "answer within 5 s"),
    ],
)
def test_an_open_incident_and_a_service_that_does_not_answer_block(
    stack: Stack, shop: LocalShop, answer: Answer, why: str
) -> None:
    with serving(lambda _: answer) as server:
        connected(stack, "pager", server, "incidents", "--secret", "env:ASSAY_API_KEY")
        found = run(stack, shop, activeIncidents={"connection": "pager"})

    assert (found["status"], found["ending"], found["exitCode"]) == ("failed", "blocked", 4)
    assert "activeIncidents: " in found["reason"]
    assert why in found["reason"]
    assert stack.sql("SELECT 1 FROM chaos_faults WHERE execution_id = %s", found["executionId"]) == []


def test_a_missing_connection_and_a_check_that_nobody_registers_block(stack: Stack, shop: LocalShop) -> None:
    found = run(stack, shop, onCall={"connection": "nobody"}, registered={"freeze": {}})

    assert found["ending"] == "blocked"
    assert "onCall: there is no connection nobody" in found["reason"]
    assert "freeze: no package registers a check of this name" in found["reason"]


def test_who_takes_the_agreement_back_ends_the_fault(stack: Stack, shop: LocalShop) -> None:
    """The webhook is asked every ten seconds while the fault is active."""

    def script(asked: Asked) -> Answer:
        return Answer(status=403 if json.loads(asked.body)["step"] == "observe" else 200, text="no more")

    with serving(script) as server, serving(lambda _: Answer(hangs=True)) as silent:
        connected(stack, "hook", server, "webhook")
        connected(stack, "forgotten", silent, "alertmanager", "--secret", "env:NOBODY_HAS_SET_THIS")
        connected(stack, "silent", silent, "alertmanager")
        found = run(stack, shop, {"durationSeconds": 60}, recentDeployments={"connection": "hook"})
    for name in ("forgotten", "silent"):
        assert stack.assay("chaos", "disconnect", name).returncode == 0

    [fault] = stack.sql("SELECT * FROM chaos_faults WHERE execution_id = %s", found["executionId"])
    assert (found["status"], found["ending"], found["exitCode"]) == ("failed", "blocked", 4)
    assert "recentDeployments" in found["reason"]
    assert "no more" in found["reason"]
    assert fault["status"] == "reverted"
    journal = stack.rest("GET", f"/chaos/executions/{found['executionId']}/journal").json()
    assert journal["abortLatencySeconds"] < 2, "an Alertmanager that does not answer delays no revert"
    said = [one["sentence"] for one in journal["events"] if one["kind"] == "alert"]
    assert any("no answer within 2 s" in one for one in said)
    assert any(one.startswith("the Alertmanager forgotten is not told: env:NOBODY_HAS_SET_THIS") for one in said)


@pytest.fixture
def signing(tmp_path: Path) -> str:
    """The reference of a secret to sign with."""
    (tmp_path / "secret").write_text("whsec_" + base64.b64encode(KEY).decode())
    return f"file:{tmp_path}/secret"


def test_what_agrees_is_asked_twice_and_stands_in_the_record(stack: Stack, shop: LocalShop, signing: str) -> None:
    """Once at the beginning, and once more right before the fault; then the preflight gets the decision, signed."""

    def script(asked: Asked) -> Answer:
        return Answer(body={"oncalls": [SOMEBODY]} if asked.path == "/oncalls" else {})

    def pages(asked: Asked) -> Answer:
        sent = [one for one in pager.asked if one.body]
        return Answer(body=[] if asked.body or len(sent) < 2 else [SLOW])

    with serving(script) as server, serving(pages) as pager:
        connected(stack, "alerts", pager, "alertmanager")
        connected(stack, "pager", server, "incidents", "--policy", "POL", "--secret", "env:ASSAY_API_KEY")
        connected(stack, "hook", server, "webhook", "--signing-secret", signing)
        checks = {"onCall": {"connection": "pager"}, "recentDeployments": {"connection": "hook"}}
        found = run(stack, shop, {"preflight": ["hook"]}, **checks)
    assert stack.assay("chaos", "disconnect", "alerts").returncode == 0
    begins, ends = (json.loads(one.body)[0] for one in pager.asked if one.body)
    assert (begins["labels"]["alertname"], begins["labels"]["service"]) == ("AssayExperimentRunning", "payments")
    assert (begins["labels"], begins["startsAt"]) == (ends["labels"], ends["startsAt"])
    assert begins["startsAt"] < ends["endsAt"] < begins["endsAt"]
    assert all(one.path == "/api/v2/alerts" for one in pager.asked), "nothing is silenced"

    bodies = [json.loads(one.body) for one in server.asked if one.body]
    asked = [one for one in bodies if "step" in one]
    [told] = [one for one in server.asked if b"assay.experiment.preflight" in one.body]
    data = json.loads(told.body)["data"]
    signed = f"{told.headers['webhook-id']}.{told.headers['webhook-timestamp']}.".encode() + told.body
    wanted = base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
    assert told.headers["webhook-signature"] == f"v1,{wanted}"
    assert (data["executionId"], data["targets"][0]["service"]) == (found["executionId"], "payments")
    assert [line["check"] for line in data["decision"]["checks"] if line["outcome"] == "passed"] == [
        "onCall",
        "recentDeployments",
    ]
    decisions = stack.sql("SELECT decisions FROM chaos_runs WHERE run_id = %s", found["executionId"])[0]["decisions"]
    assert found["status"] == "completed", found["reason"]
    assert [one["step"] for one in asked][:2] == ["safety-check", "recheck"]
    assert {one["step"] for one in asked[2:]} <= {"observe"}, "asked again under a fault, if it lasts so long"
    assert asked[1]["services"] == ["payments"]
    assert [(one["step"], [line["outcome"] for line in one["lines"]]) for one in decisions] == [
        *((step, ["not made", "passed", "passed", "not made"]) for step in ("safety-check", "recheck")),
        ("preflight", ["passed"]),
    ]


def test_a_preflight_that_does_not_agree_blocks_before_the_fault(stack: Stack, shop: LocalShop, signing: str) -> None:
    """A redirect is no agreement, and is not followed; a webhook without a secret cannot be asked."""
    to_yes = Answer(status=307, text="", headers={"Location": "/yes"})
    with serving(lambda asked: Answer() if asked.path == "/yes" else to_yes) as server:
        connected(stack, "signed", server, "webhook", "--signing-secret", signing)
        connected(stack, "unsigned", server, "webhook")
        found = run(stack, shop, {"preflight": ["signed", "unsigned", "nobody"]})

    assert (found["status"], found["ending"], found["exitCode"]) == ("failed", "blocked", 4)
    for words in ("preflight signed: ", "HTTP 307", "has no signing secret", "preflight nobody: there is no webhook"):
        assert words in found["reason"]
    assert [asked.path for asked in server.asked] == ["/"]
    assert stack.sql("SELECT 1 FROM chaos_faults WHERE execution_id = %s", found["executionId"]) == []


@pytest.fixture
def ben(stack: Stack) -> Iterator[str]:
    """A second person in the team, by the key; afterwards the team has no rules."""
    stack.rest("POST", "/users", json={"name": "ben", "team": "default"})
    yield stack.rest("POST", "/users/ben/keys").json()["key"]
    assert stack.rest("PUT", "/teams/default/chaos-rules", json={}).status_code == 200


def test_a_second_person_lets_it_begin_and_a_freeze_ends_it_under_its_fault(
    stack: Stack, shop: LocalShop, ben: str
) -> None:
    rules = {"rules": [{"name": "shop", "effect": "approve", "where": [f"local/{shop.name}"]}]}
    assert stack.rest("PUT", "/teams/default/chaos-rules", json=rules).status_code == 200
    spec = shop.example("payments-slow", durationSeconds=60)
    path = f"/chaos/executions/{stack.rest('POST', '/runs', json={'kind': 'experiment', 'spec': spec}).json()['runId']}"
    waiting = stack.rest("GET", path).json()
    assert (waiting["status"], waiting["approval"]["approvers"]) == ("scheduled", ["ben"])

    body = {"digest": waiting["approval"]["digest"]}
    answer = stack.rest("POST", f"{path}/approve", json=body, headers={"Authorization": f"Bearer {ben}"})
    assert answer.status_code == 200, answer.text
    until("a fault is active", lambda: stack.sql("SELECT 1 FROM chaos_faults WHERE status = 'injected'"), 90, 0.2)
    now = datetime.now(UTC)  # noqa: TID251  a test
    freeze = {"start": now.isoformat(), "end": (now + timedelta(hours=1)).isoformat(), "reason": "a release"}
    stack.rest("PUT", "/teams/default/chaos-rules", json=rules | {"freezes": [freeze]})
    until("it has ended", lambda: stack.rest("GET", path).json()["completedAt"], 60, 0.2)

    found = stack.rest("GET", path).json()
    [fault] = stack.sql("SELECT * FROM chaos_faults WHERE execution_id = %s", found["executionId"])
    decisions = stack.sql("SELECT decisions FROM chaos_runs WHERE run_id = %s", found["executionId"])[0]["decisions"]
    assert (found["ending"], found["exitCode"], fault["status"]) == ("blocked", 4, "reverted"), found["reason"]
    assert "(a release)" in found["reason"]
    assert [one["lines"][0]["sentence"] for one in decisions] == [f"ben approved {waiting['approval']['digest']}"] * 2


def make_block(stack: Stack, slug: str, name: str, data: dict[str, Any]) -> None:
    """Make a block as Prefect's pages do it."""
    kind = stack.prefect("GET", f"/block_types/slug/{slug}")
    wanted = {"block_schemas": {"block_type_id": {"any_": [kind["id"]]}}}
    schemas = stack.prefect("POST", "/block_schemas/filter", json=wanted)
    body = {"name": name, "data": data, "block_type_id": kind["id"], "block_schema_id": schemas[0]["id"]}
    stack.prefect("POST", "/block_documents/", json=body)


def test_a_connection_is_copied_from_a_block_and_forgotten(stack: Stack) -> None:
    make_block(stack, "assay-prometheus", "prod", {"url": "http://prometheus:9090", "tenant": "shop"})

    done = stack.assay("chaos", "connect", "default", "--block", "assay-prometheus/prod")
    rows = {row["name"]: row for row in stack.rest("GET", "/chaos/connections").json()["connections"]}
    gone = stack.assay("chaos", "disconnect", "default")

    assert (done.returncode, gone.returncode) == (0, 0), done.stderr
    assert (rows["default"]["url"], rows["default"]["tenant"]) == ("http://prometheus:9090", "shop")
    assert stack.assay("chaos", "connect", "x", "--block", "assay-nothing/x").returncode == 4
