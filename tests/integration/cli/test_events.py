"""The commands for event-driven tests: they need no server."""

import json
from pathlib import Path
from threading import Event, Thread

import pytest

from cli import main
from events.brokers.broker import Message
from events.brokers.mock_cluster import MockCluster
from events.event import Topic
from events.run import main as run

ROOT = Path(__file__).resolve().parents[3]
EXAMPLE = ROOT / "examples" / "events" / "order-cancelled.yaml"
TEST = """
name: order
topics: [orders]
broker: "memory:"
trigger: {produce: {topic: orders, payload: {type: OrderCreated, id: o-1}}}
scope: {path: id, fromTrigger: payload.id}
assertions: [{expect: OrderCreated, name: created}]
"""


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    (tmp_path / "test.yaml").write_text(TEST)
    assert run([str(tmp_path / "test.yaml"), "--record", str(tmp_path / "events.jsonl")]) == 0
    return tmp_path / "events.jsonl"


def test_a_valid_test_is_said_to_be_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["events", "check", str(EXAMPLE)]) == 0
    assert capsys.readouterr().err.endswith("is valid, 5 assertions\n")

    assert main.run(["events", "check", str(EXAMPLE), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["topics"] == ["orders", "payments", "inventory"]


def test_a_wrong_test_is_refused_with_all_problems(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(EXAMPLE.read_text().replace("rule:", "rul:").replace("timeoutMs: 3000", "timeoutMs: -1"))

    assert main.run(["events", "check", str(wrong)]) == 4
    said = capsys.readouterr().err
    assert "timeoutMs: must be" in said
    assert "assertions[3].rul: this key is not known here" in said


def test_a_recording_is_judged_by_the_test_that_made_it(recording: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main.run(["events", "replay", str(recording)]) == 0
    assert capsys.readouterr().out.startswith("passed       created")

    assert main.run(["events", "replay", str(recording), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["assertions"][0]["outcome"] == "passed"


def test_a_recording_is_judged_by_another_test(recording: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = recording.with_name("other.yaml")
    other.write_text(TEST.replace("expect:", "never:"))
    junit = recording.with_name("junit.xml")

    assert main.run(["events", "replay", str(recording), "--test", str(other), "--junit", str(junit)]) == 1
    assert "OrderCreated orders[" in capsys.readouterr().out
    assert 'failures="1"' in junit.read_text()


def test_a_scope_of_the_other_test_counts(recording: Path) -> None:
    other = recording.with_name("other.yaml")
    recording.write_text(recording.read_text().replace('"scope": ["id", "o-1"]', '"scope": null', 1))

    assert main.run(["events", "replay", str(recording)]) == 0
    for value, code in (("o-1", 0), ("o-2", 1)):
        other.write_text(TEST.replace("fromTrigger: payload.id", f"equals: {value}"))
        assert main.run(["events", "replay", str(recording), "--test", str(other)]) == code
    other.write_text(TEST)
    assert main.run(["events", "replay", str(recording), "--test", str(other)]) == 4


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (('"assay_recording": 1', '"assay_recording": 9'), "version 9 is not known"),
        (('"test": {', '"test": null, "x": {'), "line 1: not a line of a recording"),
        (('"expect"', '"expct"'), "assertions[0].expct: this key is not known here"),
        (('"events": 1', '"events": 2'), "it holds 1 events, but its first line says 2; it was cut"),
        (('"assay_recording": 1', '"assay_recording": 2, "new": 1'), "version 2 is not known"),
        (('["id", "o-1"]', '["id", null]'), "line 1: the scope 'id' has no value"),
        (('["id", "o-1"]', '["id[", 1]'), "line 1: 'id[' is not a JMESPath expression"),
        (('"at": ', '"at": 9'), "line 2: at 9"),
        (('"at": ', '"at": -'), "line 2: not a line of a recording"),
    ],
)
def test_a_damaged_recording_is_refused(
    recording: Path, capsys: pytest.CaptureFixture[str], change: tuple[str, str], said: str
) -> None:
    recording.write_text(recording.read_text().replace(*change))

    assert main.run(["events", "replay", str(recording)]) == 4
    assert said in capsys.readouterr().err


def test_a_recording_without_a_test_asks_for_one(recording: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, *rest = recording.read_text().splitlines()
    recording.write_text("\n".join([json.dumps(json.loads(first) | {"test": None}), *rest]))

    assert main.run(["events", "replay", str(recording)]) == 4
    assert "name one with --test" in capsys.readouterr().err


def test_events_are_shown_as_they_arrive(capsys: pytest.CaptureFixture[str]) -> None:
    cluster, over = MockCluster(), Event()
    cluster.create_topic(Topic("orders"), 1)

    def send() -> None:
        while not over.wait(0.05):
            cluster.produce(Message(topic=Topic("orders"), value=b'{"type": "OrderCreated", "note": "\\u001b[31m"}'))

    sending = Thread(target=send)
    sending.start()
    try:
        assert main.run(["events", "tail", f"kafka://{cluster.servers}", "orders", "orders", "--count", "2"]) == 0
        said = capsys.readouterr()
        assert main.run(["events", "tail", f"kafka://{cluster.servers}", "orders", "--count", "1", "--json"]) == 0
    finally:
        over.set()
        sending.join()
        cluster.close()

    assert [line.split()[0] for line in said.out.splitlines()] == ["OrderCreated", "OrderCreated"]
    assert "waiting for events of orders" in said.err
    assert json.loads(capsys.readouterr().out)["payload"]["type"] == "OrderCreated"


def test_a_broker_that_is_away_or_unknown_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("events.brokers.kafka.REQUEST_SECONDS", 0.5)

    assert main.run(["events", "tail", "kafka://127.0.0.1:1", "orders"]) == 3
    assert "cannot be reached" in capsys.readouterr().err
    assert main.run(["events", "tail", "smoke:", "orders"]) == 4
    assert "is not known" in capsys.readouterr().err
