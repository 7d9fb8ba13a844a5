"""Happens-before, and exactly one effect of each command."""

import pytest
from harness.event_samples import event

from events.assertions.checking import Checking
from events.assertions.effects import ExactlyOnce
from events.event import Event, Offset, PartitionNumber, Topic
from events.outcomes import AssertionResult, Outcome
from events.pattern import EventPattern
from events.temporal.causality import CausalOrder, HappensBefore, Relation

A, B = EventPattern(type="A"), EventPattern(type="B")


def at(kind: str, partition: int, offset: int = 0, **headers: str) -> Event:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Event(
        topic=Topic("t"), type=kind, partition=PartitionNumber(partition), offset=Offset(offset), headers=named
    )


def relation(*events: Event) -> Relation:
    """Return how the first event stands to the last one."""
    order = CausalOrder()
    for one in events:
        order.add(one)
    return order.relation(events[0], events[-1])


def test_the_offsets_of_one_partition_are_an_order() -> None:
    first, second = at("A", 0, 1), at("B", 0, 2)

    assert relation(first, second) is Relation.BEFORE
    assert relation(at("A", 0), at("B", 1)) is Relation.UNKNOWN


def test_a_named_cause_comes_before_whatever_arrives_first() -> None:
    cause, effect = at("A", 0, event_id="1"), at("B", 1, causation_id="1")

    assert relation(cause, effect) is Relation.BEFORE
    assert relation(effect, cause) is Relation.AFTER


def test_the_order_goes_through_events_between() -> None:
    first, middle = at("A", 0, event_id="1"), at("M", 1, 5, causation_id="1")

    assert relation(first, middle, at("N", 1, 6, event_id="2"), at("B", 2, causation_id="2")) is Relation.BEFORE


def test_spans_of_one_trace_are_ordered_by_their_parents() -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    parent = at("A", 0, traceparent=f"00-{trace}-00000000000000a1-01")
    child = at("B", 1, b3=f"{trace}-00000000000000b2-1-00000000000000a1")
    sibling = at("C", 2, b3=f"{trace}-00000000000000c3-1-00000000000000a1")
    of_the_trace = at("D", 3, traceparent=f"00-{trace}-00000000000000d4-01")

    assert relation(parent, child) is Relation.BEFORE
    assert relation(child, parent) is Relation.AFTER
    assert relation(child, sibling) is Relation.CONCURRENT
    assert relation(child, parent, sibling) is Relation.CONCURRENT
    assert relation(parent, of_the_trace) is Relation.UNKNOWN, "its parent may be a span that sent nothing"
    assert relation(child, of_the_trace) is Relation.UNKNOWN


def test_a_circle_of_causes_is_no_order() -> None:
    first, second = at("A", 0, event_id="1", causation_id="2"), at("B", 1, event_id="2", causation_id="1")

    assert relation(first, second) is Relation.CIRCULAR
    assert relation(first, at("M", 2, event_id="3", causation_id="1"), second) is Relation.CIRCULAR


@pytest.mark.parametrize(
    ("events", "outcome"),
    [
        ([at("A", 0, event_id="1"), at("B", 1, causation_id="1")], Outcome.PASSED),
        ([at("B", 1, causation_id="1"), at("A", 0, event_id="1")], Outcome.PASSED),
        ([at("A", 0), at("B", 1)], Outcome.INCONCLUSIVE),
        (
            [at("A", 0, event_id="1", causation_id="2"), at("B", 1, event_id="2", causation_id="1")],
            Outcome.INCONCLUSIVE,
        ),
        ([at("A", 0, event_id="1", causation_id="1"), at("B", 1, causation_id="1")], Outcome.PASSED),
        ([at("B", 0, 1), at("A", 0, 2)], Outcome.FAILED),
        ([at("B", 0)], Outcome.FAILED),
        ([at("A", 0)], Outcome.VACUOUS),
    ],
)
def test_happens_before_is_judged_by_what_events_carry(events: list[Event], outcome: Outcome) -> None:
    checking = Checking([HappensBefore(name="h", cause=A, effect=B)])
    checking.observe(events)

    assert checking.finish(0)[0].outcome is outcome


def effects(*events: Event) -> AssertionResult:
    checking = Checking([ExactlyOnce(name="e", command=A, effect=B, key="id")])
    checking.observe(events)
    return checking.finish(100)[0]


def test_a_redelivered_command_has_one_effect() -> None:
    command = event("A", 1, id=1)

    assert effects(command, event("B", 2, id=1), event("A", 3, id=1)).outcome is Outcome.PASSED
    assert effects(command, event("B", 2, id=1), event("B", 3, id=1)).message == "1 had its effect twice"
    assert effects(command).message == "1 of 1 had no effect"
    assert effects(command, event("B", 2, id=1), event("B", 3, id=2)).message == "1 effects had no command"
    assert effects().outcome is Outcome.VACUOUS
    assert "no idempotency key" in effects(event("A")).message
