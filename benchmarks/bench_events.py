"""Matching, schema and five temporal rules together, against jsonschema alone on the same events in the same run.

The stream is that of a shop: orders that are created, reserved, paid, shipped and closed, interleaved, with noise. The
goals are 100,000 events a second and ten times jsonschema alone; and the first assertion of a test within 300 ms of its
start on the mock cluster.

    PYTHONPATH=. .venv/bin/python benchmarks/bench_events.py [--events N] [--rounds N]
"""

import argparse
import gc
import json
import statistics
import time
from collections.abc import Callable, Sequence
from random import Random

import jsonschema
from confluent_kafka import Producer
from goals import at_least, at_most

from events.assertions.assertion import Assertion
from events.assertions.checking import Checking
from events.assertions.every_event import Conformance
from events.assertions.occurrences import EventAssertion, never
from events.brokers.broker import Message
from events.brokers.mock_cluster import MockCluster
from events.consumer import EventConsumer
from events.driven_test import EventDrivenTest
from events.event import Event, Offset, Topic
from events.outcomes import Outcome
from events.pattern import EventPattern
from events.temporal.rule import TemporalRule
from events.triggers import ProduceTrigger

STEPS = ("OrderCreated", "StockReserved", "OrderPaid", "OrderShipped", "OrderClosed")
SCHEMA = {
    "type": "object",
    "required": ["id", "customer", "lines"],
    "properties": {
        "id": {"type": "string", "pattern": "^o-[0-9]+$"},
        "customer": {
            "type": "object",
            "required": ["name", "address"],
            "properties": {
                "name": {"type": "string", "minLength": 1},
                "address": {"type": "object", "required": ["zip"], "properties": {"zip": {"type": "string"}}},
            },
        },
        "lines": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["sku", "amount"],
                "properties": {"sku": {"type": "string"}, "amount": {"type": "number", "minimum": 0}},
            },
        },
    },
}
RULES = (
    "always(OrderCreated -> within(1m, StockReserved))",
    "always(OrderPaid -> within(1m, OrderShipped))",
    "always(OrderShipped -> once(OrderPaid))",
    "never(Refunded)",
    "always(OrderPaid -> eventually(OrderClosed))",
)
BATCH = 2000


def stream(count: int) -> list[Event]:
    """Return events of interleaved orders, a fifth of them noise."""
    random, found, begun = Random(1), [], 0
    running: list[tuple[str, int]] = []
    while len(found) < count:
        if len(running) < 200:
            begun += 1
            running.append((f"o-{begun}", 0))
        place = random.randrange(len(running))
        identity, step = running[place]
        noise = random.random() < 0.2
        kind = "CartViewed" if noise else STEPS[step]
        found.append(event(kind, identity, at=len(found) * 0.01, offset=len(found)))
        if not noise:
            running[place] = identity, step + 1
            if step + 1 == len(STEPS):
                running.pop(place)
    return found


def event(kind: str, identity: str, *, at: float, offset: int) -> Event:
    """Return one event with a payload of three levels."""
    payload = {
        "id": identity,
        "customer": {"name": "Ada", "address": {"zip": "10115", "city": "Berlin"}},
        "lines": [{"sku": "a-1", "amount": 2}, {"sku": "b-2", "amount": 1.5}],
    }
    return Event(topic=Topic("orders"), type=kind, payload=payload, at=at, offset=Offset(offset))  # type: ignore[arg-type]


def assertions() -> list[Assertion]:
    """Return two matches, a schema and the rules, each for each order."""
    rules = [TemporalRule(name=rule, rule=rule, patterns={}, per="id") for rule in RULES]
    paid = EventPattern(type="OrderPaid", matches={"id": "o-[0-9]+"})
    return [
        Conformance(name="schema", schemas={"*": SCHEMA}),  # type: ignore[dict-item]
        EventAssertion(name="paid", pattern=paid, min_occurrences=0, max_occurrences=10**9),
        never("none", EventPattern(type="Order*", payload={"customer": {"name": "Nobody"}})),
        *rules,
    ]


def check(events: Sequence[Event]) -> None:
    """Judge all events, and see that none was missed."""
    checking = Checking(assertions())
    for start in range(0, len(events), BATCH):
        checking.observe(events[start : start + BATCH])
    if checking.seen != len(events):
        raise SystemExit(f"only {checking.seen} of {len(events)} events were judged")
    failed = [result for result in checking.results() if result.outcome is not Outcome.PASSED]
    if failed:
        raise SystemExit(f"the stream is clean, but: {failed[0]}")


def by_jsonschema(events: Sequence[Event]) -> None:
    """Check the schema of all events, and nothing else."""
    validator = jsonschema.Draft202012Validator(SCHEMA)
    for one in events:
        validator.validate(one.payload)


def rate(
    work: Callable[[Sequence[Event]], None], events: Sequence[Event], clock: Callable[[], float] = time.process_time
) -> float:
    """Return the events a second of CPU, which other programs of the machine disturb less than the wall clock."""
    begun = clock()
    work(events)
    return len(events) / (clock() - begun)


def first_assertion() -> float:
    """Return the milliseconds from the start of a test to its verdict, on a mock cluster that already runs."""
    cluster = MockCluster()
    cluster.create_topic(Topic("orders"), 4)
    message = Message(topic=Topic("orders"), value=json.dumps({"type": "OrderCreated"}).encode())
    test = EventDrivenTest(
        name="first",
        topics=("orders",),
        trigger=ProduceTrigger(message=message),
        assertions=(EventAssertion(name="created", pattern=EventPattern(type="OrderCreated")),),
    )
    begun = time.perf_counter()
    result = test.execute(cluster)
    took = (time.perf_counter() - begun) * 1000
    cluster.close()
    if result.outcome is not Outcome.PASSED:
        raise SystemExit("the first assertion did not pass")
    return took


def consume_and_check(events: Sequence[Event]) -> float:
    """Return the events a second from the mock cluster, with decoding and all assertions."""
    cluster = MockCluster()
    cluster.create_topic(Topic("orders"), 1)
    checking, seen = Checking(assertions()), 0
    with EventConsumer(cluster, ["orders"]) as consumer:
        producer = Producer({"bootstrap.servers": cluster.servers, "linger.ms": 5, "log_level": 0})
        begun = time.perf_counter()
        for one in events:
            producer.produce("orders", json.dumps({"type": one.type, **dict(one.payload)}))  # type: ignore[arg-type]
        producer.flush()
        while seen < len(events):
            batch = consumer.poll(10_000)
            if not batch:
                raise SystemExit(f"only {seen} of {len(events)} events came")
            checking.observe(batch)
            seen += len(batch)
        took = time.perf_counter() - begun
    cluster.close()
    return len(events) / took


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    events = stream(options.events)
    gc.collect()
    gc.freeze()  # the input is not what is measured
    ours, theirs = [], []
    for _ in range(options.rounds):
        ours.append(rate(check, events))
        theirs.append(rate(by_jsonschema, events[: max(len(events) // 20, 1)]))
    print(f"matching, schema and {len(RULES)} temporal rules: {max(ours):,.0f} events/s")
    by_the_clock = max(rate(check, events, time.perf_counter) for _ in range(options.rounds))
    print(f"jsonschema alone: {max(theirs):,.0f} events/s")
    ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
    print(at_least("times jsonschema alone", ratio, 10))
    print(at_least("events a second of CPU", max(ours), 100_000))
    print(at_least("events a second by the wall clock", by_the_clock, 100_000))
    print(f"produce, consume, decode and check over the mock cluster: {consume_and_check(events[:9000]):,.0f} events/s")
    firsts = sorted(first_assertion() for _ in range(5))
    print(at_most("first assertion on the mock cluster, median of 5", firsts[2], 300, " ms"))


if __name__ == "__main__":
    main()
