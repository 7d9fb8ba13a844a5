"""Three real Kafka brokers, and the leader killed again and again while an event test runs. `make soak`."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from harness import kafka_server
from harness.kafka_server import KafkaServers

from events.assertions.every_event import NoDuplicates
from events.assertions.occurrences import EventAssertion
from events.brokers.broker import Broker
from events.brokers.kafka import KafkaBroker
from events.checkers.history import Operation, Poll, Process, Send
from events.checkers.log import broken, check_history
from events.driven_test import EventDrivenTest
from events.event import Topic
from events.outcomes import Outcome
from events.pattern import EventPattern

pytestmark = pytest.mark.soak
TOPIC = Topic("orders")
MOVES = int(os.environ.get("ASSAY_SOAK_MOVES", "5"))
BETWEEN = 500
"""Messages between two kills."""
COUNT = BETWEEN * (MOVES + 1)
PATIENCE_MS = 600_000
"""Milliseconds: only how long a failing test takes."""


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[KafkaServers]:
    if not kafka_server.there():
        pytest.skip(kafka_server.MISSING)
    with kafka_server.serving_three(tmp_path) as running:
        admin = AdminClient({**running.plain, "log_level": 0})
        admin.create_topics([NewTopic(TOPIC, 1, 3)])[TOPIC].result()
        yield running


class Moving:
    """A trigger that sends in the background, and kills the leader of the partition between parts of the messages."""

    described = "orders, and a leader that is killed"

    def __init__(self, servers: KafkaServers) -> None:
        self.servers = servers
        self.sent: list[Send] = []
        self.problems: list[object] = []
        self.leaders: list[str] = []
        self.thread = Thread(target=self._send)

    def fire(self, broker: Broker) -> None:
        del broker
        self.thread.start()

    def _send(self) -> None:
        patient = {"enable.idempotence": True, "acks": "all", "message.timeout.ms": PATIENCE_MS, "log_level": 0}
        producer = Producer({**self.servers.plain, **patient})
        for number in range(COUNT):
            payload = json.dumps({"type": "Order", "id": number})
            producer.produce(TOPIC, payload, on_delivery=self._acknowledged)
            if number % BETWEEN == BETWEEN - 1 and number < COUNT - 1:
                leader = self.servers.leader(TOPIC)
                self.leaders.append(leader.plain["bootstrap.servers"])
                leader.kill()
                producer.flush()
                leader.start()
            producer.poll(0)
        producer.flush()
        producer.produce(TOPIC, json.dumps({"type": "Done"}))
        producer.flush()

    def _acknowledged(self, error: object, message: object) -> None:
        if error is not None:
            self.problems.append(error)
            return
        number = json.loads(message.value())["id"]  # type: ignore[attr-defined]
        self.sent.append(Send(partition="orders/0", value=number, offset=message.offset()))  # type: ignore[attr-defined]


@pytest.mark.timeout(900)
def test_a_leader_that_moves_causes_no_false_verdict(servers: KafkaServers) -> None:
    """Each message is sent once, arrives once and in order, and the checkers find nothing."""
    broker, moving = KafkaBroker(servers.plain["bootstrap.servers"]), Moving(servers)
    everything = EventAssertion(name="all", pattern=EventPattern(type="Order"), min_occurrences=COUNT)
    done = EventAssertion(name="done", pattern=EventPattern(type="Done"))
    test = EventDrivenTest(
        name="leader", topics=(TOPIC,), trigger=moving, assertions=(everything, done), timeout_ms=PATIENCE_MS
    )

    result = test.execute(broker)
    moving.thread.join()
    broker.close()

    assert result.outcome is Outcome.PASSED, [found.message for found in result.results]
    assert moving.problems == []
    assert len(set(moving.leaders)) > 1, "the leader did not move"
    orders = [event for event in result.events if event.type == "Order"]
    once = EventDrivenTest(name="once", topics=(TOPIC,), assertions=(NoDuplicates(name="once", by=("id",)),))
    assert once.replay(orders, ended_at=result.ended_at).outcome is Outcome.PASSED
    read = [(event.offset, event.payload["id"]) for event in orders]  # type: ignore[index, call-overload]
    assert [number for _, number in read] == list(range(COUNT))
    history = [
        *(Operation(number=at, process=Process(0), actions=(send,)) for at, send in enumerate(moving.sent)),
        Operation(number=COUNT, process=Process(1), actions=(Poll(records={"orders/0": read}),)),
    ]
    assert broken(check_history(history)) == []
