"""Triggers that run a program or start a deployment: what they give, and how each way of not working is told."""

import json
import sys
import time
from pathlib import Path

import pytest
from harness.scripted_http import Answer, Asked, serving

from events.brokers.memory import MemoryBroker
from events.command_trigger import CommandTrigger
from events.deployment_trigger import DeploymentTrigger
from events.driven_test import TriggerScope
from events.form import load_test
from events.run import run_test
from events.triggers import TriggerError, TriggerRefusedError, TriggerUnfitError

CALLER = """
import json, os
from confluent_kafka import Producer
producer = Producer({"bootstrap.servers": os.environ["ASSAY_BROKER"]})
producer.produce("orders", json.dumps({"type": "OrderCreated", "id": "o-7"}))
assert producer.flush(10) == 0
print(json.dumps({"id": "o-7"}))
"""


def test_a_program_of_the_test_reaches_its_broker_and_gives_the_scope(tmp_path: Path) -> None:
    (tmp_path / "place_order.py").write_text(CALLER)
    text = f"""
name: order
topics: [orders]
trigger: {{command: {{argv: [{sys.executable}, place_order.py]}}}}
scope: {{path: id, fromTrigger: output.id}}
assertions: [{{expect: OrderCreated}}]
"""

    result = run_test(load_test(text, tmp_path), "mock:")

    assert [one.message for one in result.results if not one.passed] == []
    assert result.scope is not None
    assert result.scope.value == "o-7"


@pytest.mark.parametrize(("script", "said"), [("echo no; exit 3", "exit code 3: no"), ("sleep 60 & wait", "300 ms")])
def test_a_program_that_fails_or_does_not_end_has_refused(script: str, said: str) -> None:
    """Its children end with it, or the sleep would hold the output."""
    begun = time.monotonic()

    with pytest.raises(TriggerRefusedError, match=said):
        CommandTrigger(argv=("sh", "-c", script), timeout_ms=300).fire(MemoryBroker())
    assert time.monotonic() - begun < 30


def test_a_program_that_is_not_there_is_a_mistake_of_the_test() -> None:
    with pytest.raises(TriggerUnfitError, match="no-such-program cannot be started"):
        CommandTrigger(argv=("no-such-program",)).fire(MemoryBroker())


def prefect(asked: Asked) -> Answer:
    if asked.path == "/api/deployments/name/nightly/shop%20eu":
        return Answer(body={"id": "d-1"})
    if asked.path == "/api/deployments/d-1/create_flow_run":
        return Answer(status=201, body={"id": "f-1"})
    return Answer(status=503 if "down" in asked.path else 404)


def test_a_deployment_is_started_with_its_parameters_and_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(prefect) as server:
        monkeypatch.setenv("PREFECT_API_URL", f"{server.url}/api")
        monkeypatch.setenv("PREFECT_API_AUTH_STRING", "admin:pass")
        outcome = DeploymentTrigger(name="nightly/shop eu", parameters={"id": "o-1"}).fire(MemoryBroker())

        assert TriggerScope(expression="id", source="payload.id").of(outcome).value == "o-1"
        assert TriggerScope(expression="run", source="flowRunId").of(outcome).value == "f-1"
        assert json.loads(server.asked[1].body) == {"parameters": {"id": "o-1"}}
        assert {asked.headers["authorization"] for asked in server.asked} == {"Basic YWRtaW46cGFzcw=="}
        with pytest.raises(TriggerUnfitError, match="no deployment 'nightly/none'"):
            DeploymentTrigger(name="nightly/none").fire(MemoryBroker())
        with pytest.raises(TriggerError, match="503"):
            DeploymentTrigger(name="nightly/down").fire(MemoryBroker())


def test_a_prefect_that_is_away_or_unknown_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    with pytest.raises(TriggerUnfitError, match="PREFECT_API_URL"):
        DeploymentTrigger(name="a/b").fire(MemoryBroker())

    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:1/api")
    with pytest.raises(TriggerError, match="does not answer"):
        DeploymentTrigger(name="a/b").fire(MemoryBroker())
