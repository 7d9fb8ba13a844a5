"""One suite for all brokers: what the consumer and the triggers rely on."""

import os
from collections.abc import Iterator

import pytest
from harness.kafka_server import KafkaServer

from events.brokers.broker import Broker, BrokerError, Capability, Message, Subscription, TopicMissingError, require
from events.brokers.kafka import KafkaBroker
from events.brokers.memory import MemoryBroker
from events.brokers.mock_cluster import FETCH, PRODUCE, MockCluster
from events.event import PartitionNumber, Record, Topic

PATIENCE = 15.0
"""Seconds: only how long a failing test takes."""


REAL = [pytest.param(name, marks=pytest.mark.kafka) for name in ("kafka", "kafka with TLS and a password")]


@pytest.fixture(params=["memory", "mock", *REAL])
def broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    opened: Broker
    if request.param == "memory":
        opened = MemoryBroker()
    elif request.param == "mock":
        opened = MockCluster()
    else:
        server: KafkaServer = request.getfixturevalue("kafka_server")
        settings = server.plain if request.param == "kafka" else server.secure
        opened = KafkaBroker(settings["bootstrap.servers"], settings)
    yield opened
    opened.close()


@pytest.fixture
def topic(broker: Broker) -> Topic:
    """Make a topic of this test only: a real broker keeps its topics."""
    made = Topic(f"orders-{os.urandom(4).hex()}")
    broker.create_topic(made, 2)
    return made


def read(reader: Subscription, count: int) -> list[Record]:
    found: list[Record] = []
    while len(found) < count:
        batch = reader.poll(PATIENCE)
        assert batch, f"{len(found)} of {count} records came"
        found += batch
    return found


def send(broker: Broker, topic: Topic, *values: str, partition: int = 0) -> None:
    for value in values:
        broker.produce(Message(topic=topic, value=value.encode(), partition=PartitionNumber(partition)))


def values(records: list[Record]) -> list[str]:
    return [(record.value or b"").decode() for record in records]


def test_a_reader_gets_what_is_produced_after_it_subscribed_and_nothing_before(broker: Broker, topic: Topic) -> None:
    send(broker, topic, "before")
    reader = broker.subscribe([topic])
    send(broker, topic, "first", "second")

    assert values(read(reader, 2)) == ["first", "second"]
    assert list(reader.poll(0)) == []
    reader.close()


def test_a_message_comes_back_whole(broker: Broker, topic: Topic) -> None:
    """Key, null value, repeated headers, a null header, and where it is."""
    reader = broker.subscribe([topic])
    headers = (("trace", b"a"), ("trace", b"b"), ("none", None))
    place = broker.produce(Message(topic=topic, key=b"k", value=None, headers=headers))

    (record,) = read(reader, 1)
    assert (record.key, record.value, record.headers) == (b"k", None, headers)
    assert (record.topic, record.partition, record.offset) == (place.topic, place.partition, place.offset)
    assert record.timestamp_ms is not None
    reader.close()


def test_messages_of_one_key_stay_in_order(broker: Broker, topic: Topic) -> None:
    reader = broker.subscribe([topic])
    for number in range(20):
        broker.produce(Message(topic=topic, key=b"o-1", value=str(number).encode()))

    records = read(reader, 20)
    assert values(records) == [str(number) for number in range(20)]
    assert len({record.partition for record in records}) == 1
    reader.close()


def test_a_message_of_nearly_a_megabyte_passes_and_one_of_ten_is_refused(broker: Broker, topic: Topic) -> None:
    reader = broker.subscribe([topic])
    broker.produce(Message(topic=topic, value=b"x" * 1_000_000))

    assert len(read(reader, 1)[0].value or b"") == 1_000_000
    with pytest.raises(BrokerError):
        broker.produce(Message(topic=topic, value=b"x" * 10_485_760))
    reader.close()


def test_a_group_goes_on_where_it_committed(broker: Broker, topic: Topic) -> None:
    first = broker.subscribe([topic], group_id="g")
    send(broker, topic, "a", "b")
    assert values(read(first, 2)) == ["a", "b"]
    first.commit()
    first.close()
    send(broker, topic, "c")

    second = broker.subscribe([topic], group_id="g")
    assert values(read(second, 1)) == ["c"]
    second.close()


def test_what_was_not_committed_is_delivered_again(broker: Broker, topic: Topic) -> None:
    first = broker.subscribe([topic], group_id="g")
    send(broker, topic, "a")
    assert values(read(first, 1)) == ["a"]
    first.commit()
    send(broker, topic, "b")
    assert values(read(first, 1)) == ["b"]
    first.close()  # a crash between processing and commit

    second = broker.subscribe([topic], group_id="g")
    assert values(read(second, 1)) == ["b"]
    second.close()


def test_a_reader_has_caught_up_when_it_was_asked_for_more_than_everything(broker: Broker, topic: Topic) -> None:
    reader = broker.subscribe([topic])
    assert reader.caught_up(PATIENCE)

    send(broker, topic, "a")
    assert not reader.caught_up(0.05)
    read(reader, 1)
    assert not reader.caught_up(0.05), "whoever polls may not have taken it in yet"
    reader.poll(0)
    assert reader.caught_up(PATIENCE)
    reader.close()


def test_a_reader_can_be_woken(broker: Broker, topic: Topic) -> None:
    reader = broker.subscribe([topic])
    reader.wake()

    assert list(reader.poll(PATIENCE)) == []
    reader.close()


def test_a_missing_topic_is_named(broker: Broker) -> None:
    with pytest.raises(TopicMissingError, match="'nowhere' does not exist"):
        broker.subscribe([Topic("nowhere")])


def test_everything_may_be_closed_twice(broker: Broker, topic: Topic) -> None:
    reader = broker.subscribe([topic])
    reader.close()
    reader.close()
    broker.close()


def test_a_capability_that_a_broker_lacks_is_named(broker: Broker) -> None:
    lacking = frozenset(Capability) - broker.capabilities

    assert lacking
    with pytest.raises(BrokerError, match=f"no reader twice needs .*{min(lacking)}"):
        require(broker, lacking, what="no reader twice")
    require(broker, broker.capabilities, what="all it can do")


def test_a_broker_that_is_away_is_an_error_and_no_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("events.brokers.kafka.REQUEST_SECONDS", 0.5)

    with pytest.raises(BrokerError, match="cannot be reached"):
        KafkaBroker("127.0.0.1:1").subscribe([Topic("orders")])


def test_the_mock_cluster_injects_faults_that_the_client_survives() -> None:
    cluster = MockCluster()
    cluster.create_topic(Topic("orders"), 1)
    reader = cluster.subscribe([Topic("orders")])
    cluster.fail_requests(PRODUCE, 6, 6)  # the leader has moved, twice
    cluster.fail_requests(FETCH, 6)
    cluster.produce(Message(topic=Topic("orders"), value=b"a"))

    assert values(read(reader, 1)) == ["a"]
    reader.close()
    cluster.close()
