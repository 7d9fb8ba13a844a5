"""Event tests on a real Kafka broker: transactions, and a broker that is killed while a test runs."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from threading import Thread

import pytest
from confluent_kafka import Producer
from harness.kafka_server import KafkaServer, serving
from pydantic import JsonValue

from events.assertions.every_event import NoDuplicates
from events.assertions.occurrences import EventAssertion, never
from events.brokers.broker import Broker, BrokerError
from events.brokers.kafka import KafkaBroker
from events.checkers.history import Kind, Operation, Poll, Process, Send
from events.checkers.log import broken, check_history
from events.driven_test import EventDrivenTest
from events.event import Topic
from events.form import load_test
from events.outcomes import Outcome
from events.pattern import EventPattern
from events.run import run_test

pytestmark = pytest.mark.kafka
PATIENCE_MS = 180_000
"""Milliseconds: only how long a failing test takes."""
PARTITION = "orders/0"
COUNT = 300


def opened(server: KafkaServer, topic: Topic) -> Broker:
    broker = KafkaBroker(server.plain["bootstrap.servers"])
    broker.create_topic(topic, 1)
    return broker


@pytest.fixture
def topic() -> Topic:
    return Topic(f"orders-{os.urandom(4).hex()}")


def value(kind: str, **payload: object) -> bytes:
    return json.dumps({"type": kind, **payload}).encode()


def expect(kind: str, **more: object) -> EventAssertion:
    return EventAssertion(name=kind, pattern=EventPattern(type=kind), **more)  # type: ignore[arg-type]


def test_the_id_of_the_cluster_may_begin_with_a_dash(kafka_server: KafkaServer, tmp_path: Path) -> None:
    """One of 64 does."""
    with serving(tmp_path / "broker", cluster_id="-b3XkAAAAAAAAAAAAAAAAA") as server:
        assert server.plain != kafka_server.plain


def test_an_aborted_transaction_is_not_seen_and_leaves_nothing_open(kafka_server: KafkaServer, topic: Topic) -> None:
    """Its records and its marker take offsets at the end of the partition that no event ever has."""

    class Transactions:
        def fire(self, broker: Broker) -> None:
            del broker
            producer = Producer({**kafka_server.plain, "transactional.id": str(topic), "log_level": 0})
            producer.init_transactions()
            for kind, commits in (("paid", True), ("refund", False)):
                producer.begin_transaction()
                producer.produce(topic, value(kind))
                producer.flush()
                (producer.commit_transaction if commits else producer.abort_transaction)()

    broker = opened(kafka_server, topic)
    test = EventDrivenTest(
        name="t",
        topics=(topic,),
        trigger=Transactions(),
        assertions=(expect("paid"), never("no refund", EventPattern(type="refund"))),
        timeout_ms=5_000,
    )
    result = test.execute(broker)
    broker.close()

    assert [(one.name, one.outcome) for one in result.results] == [
        ("paid", Outcome.PASSED),
        ("no refund", Outcome.PASSED),
    ]


def test_a_test_in_yaml_reaches_the_broker_by_tls_and_a_password(
    kafka_server: KafkaServer, topic: Topic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = kafka_server.secure
    opened(kafka_server, topic).close()
    monkeypatch.setenv("SHOP_USER", settings["sasl.username"])
    monkeypatch.setenv("SHOP_PASSWORD", settings["sasl.password"])
    shutil.copy(settings["ssl.ca.location"], tmp_path / "ca.pem")
    text = f"""
name: t
topics: [{topic}]
broker: kafka://{settings["bootstrap.servers"]}
security: {{protocol: SASL_SSL, usernameFrom: SHOP_USER, passwordFrom: SHOP_PASSWORD, caFile: ca.pem}}
trigger: {{produce: {{topic: {topic}, payload: {{type: paid}}}}}}
assertions: [{{expect: paid}}]
"""
    loaded = load_test(text, tmp_path)

    assert run_test(loaded, loaded.broker).outcome is Outcome.PASSED
    monkeypatch.setenv("SHOP_PASSWORD", "wrong")
    monkeypatch.setattr("events.brokers.kafka.REQUEST_SECONDS", 1.0)
    with pytest.raises(BrokerError):
        run_test(loaded, loaded.broker)


class Sending:
    """A trigger that sends in the background, kills the broker half-way, and starts it again."""

    def __init__(self, server: KafkaServer, topic: Topic) -> None:
        self.server = server
        self.topic = topic
        self.sent: list[Send] = []
        self.thread = Thread(target=self._send)

    def fire(self, broker: Broker) -> JsonValue:
        del broker
        self.thread.start()
        return None

    def _send(self) -> None:
        patient = {"enable.idempotence": True, "message.timeout.ms": PATIENCE_MS, "log_level": 0}
        producer = Producer({**self.server.plain, **patient})
        for number in range(COUNT):
            producer.produce(self.topic, value("Order", id=number), on_delivery=self._acknowledged)
            if number == COUNT // 2:
                producer.flush()
                self.server.kill()
                self.server.start()
            producer.poll(0)
        producer.flush()
        producer.produce(self.topic, value("Done"))
        producer.flush()

    def _acknowledged(self, error: object, message: object) -> None:
        assert error is None
        number = json.loads(message.value())["id"]  # type: ignore[attr-defined]
        self.sent.append(Send(partition=PARTITION, value=number, offset=message.offset()))  # type: ignore[attr-defined]


def test_a_broker_that_is_killed_and_comes_back_causes_no_false_verdict(
    kafka_server: KafkaServer, topic: Topic
) -> None:
    """Every acknowledged message arrives once, and the checkers find nothing in what was sent and read.

    The test ends with the last message. That none came twice is judged by the recording: while the test runs, only its
    end could decide it.
    """
    broker = opened(kafka_server, topic)
    sending = Sending(kafka_server, topic)
    everything = EventAssertion(name="all", pattern=EventPattern(type="Order"), min_occurrences=COUNT)
    test = EventDrivenTest(
        name="outage",
        topics=(topic,),
        trigger=sending,
        assertions=(everything, expect("Done")),
        timeout_ms=PATIENCE_MS,
    )

    result = test.execute(broker)
    sending.thread.join()
    broker.close()

    assert result.outcome is Outcome.PASSED, [found.message for found in result.results]
    orders = [event for event in result.events if event.type == "Order"]
    once = replace(test, assertions=(NoDuplicates(name="once", by=("id",)),))
    assert once.replay(orders, ended_at=result.ended_at).outcome is Outcome.PASSED
    read = [(event.offset, event.payload["id"]) for event in orders]  # type: ignore[index, call-overload]
    sends = tuple(sending.sent)
    history = [
        *(Operation(number=number, process=Process(0), actions=(send,)) for number, send in enumerate(sends)),
        Operation(number=COUNT, process=Process(1), actions=(Poll(records={PARTITION: read}),)),
    ]
    assert len(sends) == COUNT
    assert broken(check_history(history)) == []
    assert {anomaly.kind for anomaly in check_history(history[:-1])} == {Kind.UNSEEN}


def test_a_broker_that_stays_away_ends_the_test_and_proves_nothing(kafka_server: KafkaServer, topic: Topic) -> None:
    class Outage:
        def fire(self, broker: Broker) -> None:
            del broker
            kafka_server.kill()

    broker = opened(kafka_server, topic)
    test = EventDrivenTest(
        name="t",
        topics=(topic,),
        trigger=Outage(),
        assertions=(expect("paid"), never("no refund", EventPattern(type="refund"), timeout_ms=500)),
        timeout_ms=1_000,
    )
    try:
        result = test.execute(broker)
    finally:
        broker.close()
        kafka_server.start()

    assert [one.outcome for one in result.results] == [Outcome.INCONCLUSIVE, Outcome.INCONCLUSIVE]
