"""The consumer and whole tests, on the broker in memory and on the mock cluster."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from threading import Timer

import pytest
from harness.event_samples import ORDERS, expect, message, send

from events.assertions.effects import ExactlyOnce
from events.assertions.occurrences import never
from events.brokers.broker import Broker, BrokerError, Capability, Message, TopicMissingError
from events.brokers.memory import MemoryBroker
from events.brokers.mock_cluster import MockCluster
from events.consumer import EventConsumer
from events.driven_test import EventDrivenTest, TriggerScope
from events.event import Event, PartitionNumber, Record, Topic
from events.outcomes import Outcome
from events.pattern import EventPattern
from events.recording import read_recording, write_recording
from events.scope import Scope
from events.temporal.rule import TemporalRule
from events.triggers import HttpTrigger, ProduceTrigger, TriggerError

pytest_plugins = ["events.pytest_plugin", "pytester"]
EFFECTS = Topic("effects")


@pytest.fixture(params=["memory", "mock"])
def broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    opened: Broker = MemoryBroker() if request.param == "memory" else MockCluster()
    opened.create_topic(ORDERS, 2)
    yield opened
    opened.close()


def test_what_is_triggered_after_the_start_is_seen(broker: Broker, event_stream: Callable[..., EventConsumer]) -> None:
    consumer = event_stream(broker, "orders")
    send(broker, "OrderCreated", "OrderPaid")

    paid = consumer.wait_for_event("OrderPaid", timeout_ms=15_000)

    assert paid is not None
    assert [event.type for event in consumer.received_events] == ["OrderCreated", "OrderPaid"]
    assert [event.type for event in consumer.poll()] == ["OrderCreated", "OrderPaid"]
    assert consumer.poll() == []


def test_unrelated_events_between_do_not_disturb_an_order(broker: Broker) -> None:
    with EventConsumer(broker, ["orders"]) as consumer:
        send(broker, "X", "A", "X", "X", "B", "A", "C")

        assert [e.type for e in consumer.get_events_in_order(["A", "B", "C"], timeout_ms=15_000)] == ["A", "B", "C"]
        assert consumer.get_events_in_order(["C", "B"], timeout_ms=0) == []
        assert consumer.wait_for_event("A", lambda event: event.offset > 3, timeout_ms=0) is not None


def test_who_waits_is_woken_by_the_event(broker: Broker) -> None:
    """Without a limit the wait can only end because the event arrived."""
    with EventConsumer(broker, ["orders"]) as consumer:
        late = Timer(0.05, send, (broker, "OrderPaid"))
        late.start()

        assert consumer.wait_for_event(EventPattern(type="Order*")) is not None
        late.join()


def test_a_missing_topic_leaves_nothing_open() -> None:
    consumer = EventConsumer(MemoryBroker(), ["nowhere"])

    with pytest.raises(TopicMissingError):
        consumer.start()
    consumer.close()


def test_a_consumer_that_keeps_too_much_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("events.consumer.MOST_EVENTS", 2)
    broker = MemoryBroker()
    broker.create_topic(ORDERS, 1)
    with EventConsumer(broker, ["orders"]) as consumer:
        send(broker, "A", "B", "C")

        with pytest.raises(BrokerError, match="limit the topics"):
            consumer.wait_for_event("D", timeout_ms=15_000)


def test_a_test_ends_as_soon_as_all_is_decided(broker: Broker) -> None:
    """Its time limit is an hour."""
    test = EventDrivenTest(
        name="order",
        topics=("orders",),
        trigger=ProduceTrigger(message=message("OrderCreated", id="o-1"), payload={"id": "o-1"}),
        scope=TriggerScope(expression="id", source="payload.id"),
        assertions=(expect("OrderCreated"),),
        timeout_ms=3_600_000,
    )

    result = test.execute(broker)

    assert (result.outcome, result.scope and result.scope.value, len(result.events)) == (Outcome.PASSED, "o-1", 1)


class Shared(MemoryBroker):
    """A broker that outlives its tests."""

    capabilities = MemoryBroker.capabilities | {Capability.DURABILITY}


@pytest.mark.parametrize(("kind", "scope", "warned"), [(Shared, None, 1), (MemoryBroker, None, 0), (Shared, "o-1", 0)])
def test_a_test_without_a_scope_warns_of_others_where_there_can_be_some(
    kind: type[MemoryBroker], scope: str | None, warned: int
) -> None:
    broker = kind()
    broker.create_topic(ORDERS, 1)
    test = EventDrivenTest(
        name="t",
        topics=("orders",),
        trigger=ProduceTrigger(message=Message(topic=ORDERS, value=b'{"type": "A", "id": "o-1"}')),
        assertions=(expect("A"),),
        scope=None if scope is None else Scope(expression="id", value=scope),
    )

    assert len(test.execute(broker).warnings) == warned


def test_what_came_before_the_trigger_is_not_its_effect(broker: Broker) -> None:
    class Trigger:
        def fire(self, broker: Broker) -> None:
            send(broker, "B")

    send(broker, "A")
    test = EventDrivenTest(
        name="t", topics=("orders",), trigger=Trigger(), assertions=(expect("A", timeout_ms=50), expect("B"))
    )

    assert [result.outcome for result in test.execute(broker).results] == [Outcome.FAILED, Outcome.PASSED]


def test_a_replay_says_what_the_test_said(broker: Broker, tmp_path: Path) -> None:
    """Also of a rule that time decided: the recording has the clock of the test."""
    test = EventDrivenTest(
        name="t",
        topics=("orders",),
        trigger=ProduceTrigger(message=message("paid", id=1)),
        assertions=(
            expect("paid"),
            never("none", EventPattern(type="refund"), timeout_ms=20),
            TemporalRule(name="r", rule="always(paid -> within(50ms, shipped))", patterns={}),
        ),
        timeout_ms=3_600_000,
    )
    live = test.execute(broker)
    write_recording(tmp_path / "events.jsonl", live)

    recording = read_recording(tmp_path / "events.jsonl")
    again = test.replay(recording.events, ended_at=recording.ended_at, scope=recording.scope)

    outcomes = [result.outcome for result in live.results]
    assert outcomes == [Outcome.PASSED, Outcome.PASSED, Outcome.FAILED]
    assert [(r.outcome, r.message) for r in again.results] == [(r.outcome, r.message) for r in live.results]


class Service:
    """A system under test: it reads commands in a group, writes effects, and crashes once before it commits.

    If it is idempotent, it remembers which commands it has done, as a database would.
    """

    def __init__(self, broker: Broker, *, idempotent: bool) -> None:
        self.broker, self.idempotent = broker, idempotent
        self.done: set[str] = set()
        self.reader = broker.subscribe([ORDERS], group_id="service")
        self.reader.commit()

    def work(self, count: int) -> None:
        """Process `count` commands, and then crash: the next service of the group gets them again."""
        while count > 0:
            records = self.reader.poll(15)
            assert records, "no command came"
            for record in records:
                command = json.loads(record.value or b"{}")
                if command["type"] == "PayOrder":
                    count -= 1
                    self._pay(command["id"])

    def restart(self) -> None:
        self.reader.close()
        self.reader = self.broker.subscribe([ORDERS], group_id="service")

    def _pay(self, order: str) -> None:
        if order not in self.done or not self.idempotent:
            self.broker.produce(Message(topic=EFFECTS, value=json.dumps({"type": "OrderPaid", "id": order}).encode()))
        self.done.add(order)


@pytest.mark.parametrize(("idempotent", "outcome"), [(True, Outcome.PASSED), (False, Outcome.FAILED)])
def test_a_crash_between_the_effect_and_the_commit(broker: Broker, *, idempotent: bool, outcome: Outcome) -> None:
    """The command is delivered again. Only a service that remembers what it did has one effect."""
    broker.create_topic(EFFECTS, 1)

    class Trigger:
        def fire(self, broker: Broker) -> None:
            service = Service(broker, idempotent=idempotent)
            for order in ("o-1", "o-2"):
                broker.produce(message("PayOrder", id=order))
            service.work(2)
            service.restart()
            service.work(2)
            service.reader.close()
            broker.produce(Message(topic=EFFECTS, value=b'{"type": "End"}'))

    test = EventDrivenTest(
        name="pay",
        topics=("orders", "effects"),
        trigger=Trigger(),
        assertions=(
            ExactlyOnce(
                name="once", command=EventPattern(type="PayOrder"), effect=EventPattern(type="OrderPaid"), key="id"
            ),
            expect("End"),
        ),
        timeout_ms=60_000,
    )
    judged = test.replay(recorded(test, broker), ended_at=60_000)

    assert [result.outcome for result in judged.results] == [outcome, Outcome.PASSED]


def recorded(test: EventDrivenTest, broker: Broker) -> list[Event]:
    """Return the events of a test up to its last one, `End`."""
    with EventConsumer(broker, test.topics) as consumer:
        test.trigger.fire(broker)
        assert consumer.wait_for_event("End", timeout_ms=60_000) is not None
        assert len(consumer.get_events_in_order(["OrderPaid", "OrderPaid"], timeout_ms=15_000)) == 2
        return consumer.received_events


def test_a_service_that_is_away_is_a_trigger_error_and_everything_is_closed(broker: Broker) -> None:
    test = EventDrivenTest(
        name="t",
        topics=("orders",),
        trigger=HttpTrigger(url="http://127.0.0.1:1/", allowed_hosts=("127.0.0.1",)),
        assertions=(expect("A"),),
    )

    with pytest.raises(TriggerError, match="failed"):
        test.execute(broker)


def test_a_broker_that_is_away_at_the_end_proves_nothing() -> None:
    """Nothing arrived, but it is not known whether there was something."""
    cluster = MockCluster()
    cluster.create_topic(ORDERS, 1)

    class Outage:
        def fire(self, broker: Broker) -> None:
            del broker
            cluster.set_down(down=True)

    test = EventDrivenTest(
        name="t",
        topics=("orders",),
        trigger=Outage(),
        assertions=(
            never("at the end", EventPattern(type="refund")),
            never("before it", EventPattern(type="refund"), timeout_ms=50),
            expect("missing"),
        ),
        timeout_ms=100,
    )
    result = test.execute(cluster)
    cluster.close()

    assert [one.outcome for one in result.results] == [Outcome.INCONCLUSIVE] * 3
    assert all("did not confirm" in one.message for one in result.results)


def in_both_partitions(broker: Broker, kind: str) -> None:
    for partition in (0, 1):
        value = json.dumps({"type": kind}).encode()
        broker.produce(Message(topic=ORDERS, value=value, partition=PartitionNumber(partition)))


def test_nothing_is_missed_when_a_member_of_the_group_comes_and_goes(
    broker: Broker, event_stream: Callable[..., EventConsumer]
) -> None:
    first = event_stream(broker, "orders", group_id="g")
    in_both_partitions(broker, "Alone")
    assert len(first.get_events_in_order(["Alone", "Alone"], timeout_ms=15_000)) == 2
    second = event_stream(broker, "orders", group_id="g")
    in_both_partitions(broker, "Shared")
    assert first.wait_for_event("Shared", timeout_ms=15_000)
    assert second.wait_for_event("Shared", timeout_ms=15_000)
    assert not first.caught_up(200), "the other member has read a part of the topic"

    second.close()
    in_both_partitions(broker, "Again")

    assert len(first.get_events_in_order(["Again", "Again"], timeout_ms=15_000)) == 2
    places = [event.place for event in first.received_events]
    assert len(set(places)) == len(places), "what a reader has read, it does not read again"


def test_what_other_members_may_have_read_is_no_verdict(
    broker: Broker, event_stream: Callable[..., EventConsumer]
) -> None:
    event_stream(broker, "orders", group_id="g")
    test = EventDrivenTest(
        name="t", topics=("orders",), assertions=(never("n", EventPattern(type="X")),), timeout_ms=300, group_id="g"
    )

    (result,) = test.execute(broker).results
    assert result.outcome is Outcome.INCONCLUSIVE
    assert "other members of its group" in result.message


def test_a_failed_test_shows_the_events_of_its_stream(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        from events.brokers.broker import Message
        from events.brokers.memory import MemoryBroker
        from events.assertions.occurrences import EventAssertion
        from events.pattern import EventPattern

        def test_paid(event_stream):
            broker = MemoryBroker()
            broker.create_topic("orders", 1)
            stream = event_stream(broker, "orders")
            for value in [b'{"type": "OrderCreated", "id": 7}'] * 22 + [b"{"]:
                broker.produce(Message(topic="orders", value=value))
            assert stream.wait_for_event("Poison", lambda event: True, timeout_ms=200) is None
            paid = EventAssertion(name="paid", pattern=EventPattern(type="OrderPaid"))
            result = paid.evaluate(stream.received_events)
            assert result.passed, str(result)
    """)

    found = pytester.runpytest_inprocess("-p", "events.pytest_plugin", "-p", "no:cacheprovider", "-p", "no:asyncio")

    found.assert_outcomes(failed=1)
    found.stdout.fnmatch_lines(
        [
            "*AssertionError: failed paid: OrderPaid occurred 0 times*",
            "*near miss: OrderCreated orders*",
            "*events of orders*",
            "3 earlier events",
            'OrderCreated orders*{"type": "OrderCreated", "id": 7}',
            "(no type) orders*the value is not JSON*",
        ]
    )


class Unreadable:
    """A subscription whose client fails in a way that nobody foresaw."""

    def poll(self, timeout: float) -> list[Record]:
        del timeout
        raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")

    def wake(self) -> None: ...

    def caught_up(self, timeout: float) -> bool:
        del timeout
        return False

    def commit(self) -> None: ...

    def close(self) -> None: ...


class UnreadableBroker(MemoryBroker):
    def subscribe(self, topics: Sequence[Topic], *, group_id: str | None = None) -> Unreadable:  # type: ignore[override]
        del topics, group_id
        return Unreadable()


def test_a_client_that_fails_ends_the_test_with_a_reason() -> None:
    test = EventDrivenTest(name="t", topics=("orders",), assertions=(expect("A"),), timeout_ms=5_000)

    with pytest.raises(BrokerError, match="cannot be read: UnicodeDecodeError"):
        test.execute(UnreadableBroker())
