"""Event-driven tests on a real Kafka: transactions, and a broker that is killed and comes back."""

import json
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest
from confluent_kafka import Producer
from harness.kafka_broker import KafkaProcess
from pydantic import JsonValue

from events.assertions.every_event import NoDuplicates
from events.assertions.occurrences import EventAssertion
from events.brokers.broker import Broker
from events.brokers.kafka import KafkaBroker
from events.checkers.history import Kind, Operation, Poll, Process, Send
from events.checkers.log import broken, check_history
from events.consumer import EventConsumer
from events.driven_test import EventDrivenTest
from events.event import Topic
from events.outcomes import Outcome
from events.pattern import EventPattern

pytestmark = pytest.mark.faults
ORDERS = Topic("orders")
COUNT = 300


@pytest.fixture
def kafka(tmp_path: Path) -> Iterator[KafkaProcess]:
    process = KafkaProcess(tmp_path)
    process.start()
    yield process
    process.kill()


def value(number: int) -> bytes:
    return json.dumps({"type": "Order", "id": number}).encode()


def test_aborted_messages_are_not_seen_and_committed_ones_are(kafka: KafkaProcess) -> None:
    broker = KafkaBroker(kafka.servers)
    broker.create_topic(ORDERS, 1)
    producer = Producer({"bootstrap.servers": kafka.servers, "transactional.id": "t"})
    producer.init_transactions(60)
    with EventConsumer(broker, ["orders"]) as consumer:
        for number, commits in ((1, False), (2, True)):
            producer.begin_transaction()
            producer.produce("orders", value(number))
            producer.flush(30)
            if commits:
                producer.commit_transaction(30)
            else:
                producer.abort_transaction(30)

        assert consumer.wait_for_event("Order", timeout_ms=30_000) is not None
        assert [event.payload for event in consumer.received_events] == [{"type": "Order", "id": 2}]
    broker.close()


class Sending:
    """A trigger that sends in the background, kills the broker half-way, and starts it again."""

    def __init__(self, kafka: KafkaProcess) -> None:
        self.kafka = kafka
        self.sent: list[Send] = []
        self.thread = Thread(target=self._send)

    def fire(self, broker: Broker) -> JsonValue:
        del broker
        self.thread.start()
        return None

    def _send(self) -> None:
        producer = Producer(
            {"bootstrap.servers": self.kafka.servers, "enable.idempotence": True, "message.timeout.ms": 60_000}
        )
        for number in range(COUNT):
            producer.produce("orders", value(number), on_delivery=self._acknowledged)
            if number == COUNT // 2:
                producer.flush(30)
                self.kafka.kill()
                self.kafka.start()
            producer.poll(0)
        producer.flush(60)

    def _acknowledged(self, error: object, message: object) -> None:
        assert error is None
        number = json.loads(message.value())["id"]  # type: ignore[attr-defined]
        self.sent.append(Send(partition="orders/0", value=number, offset=message.offset()))  # type: ignore[attr-defined]


def test_a_broker_that_is_killed_and_comes_back_causes_no_false_verdict(kafka: KafkaProcess) -> None:
    """Every acknowledged message arrives once, and the checkers find nothing in what was sent and read."""
    broker = KafkaBroker(kafka.servers)
    broker.create_topic(ORDERS, 1)
    sending = Sending(kafka)
    everything = EventAssertion(name="all", pattern=EventPattern(type="Order"), min_occurrences=COUNT)
    test = EventDrivenTest(
        name="outage",
        topics=("orders",),
        trigger=sending,
        assertions=(everything, NoDuplicates(name="once", by=("id",))),
        timeout_ms=45_000,
    )

    result = test.execute(broker)
    sending.thread.join()
    broker.close()

    assert result.outcome is Outcome.PASSED, [found.message for found in result.results]
    read = [(event.offset, event.payload["id"]) for event in result.events]  # type: ignore[index, call-overload]
    sends = tuple(sending.sent)
    history = [
        *(Operation(number=number, process=Process(0), actions=(send,)) for number, send in enumerate(sends)),
        Operation(number=COUNT, process=Process(1), actions=(Poll(records={"orders/0": read}),)),
    ]
    assert len(sends) == COUNT
    assert broken(check_history(history)) == []
    assert {anomaly.kind for anomaly in check_history(history[:-1])} == {Kind.UNSEEN}
