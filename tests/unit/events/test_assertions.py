"""What each kind of assertion says, and when it is decided."""

from collections.abc import Sequence

import pytest
from harness.event_samples import event, stream

from events.assertions.aggregates import Aggregate, Measure
from events.assertions.assertion import Assertion
from events.assertions.checking import Checking
from events.assertions.every_event import Conformance, NoDuplicates
from events.assertions.occurrences import EventAssertion, never
from events.assertions.ordering import Ordering, OrderingConstraint
from events.event import Event
from events.outcomes import AssertionResult, Outcome
from events.pattern import EventPattern
from events.scope import Scope


def judge(assertion: Assertion, events: Sequence[Event], end: float = 1000) -> AssertionResult:
    checking = Checking([assertion])
    checking.observe(events)
    (result,) = checking.finish(end)
    return result


def types(*names: str) -> tuple[EventPattern, ...]:
    return tuple(EventPattern(type=name) for name in names)


def paid(least: int = 1, most: int | None = None, within: float | None = None) -> EventAssertion:
    return EventAssertion(
        name="paid", pattern=EventPattern(type="Paid"), timeout_ms=within, min_occurrences=least, max_occurrences=most
    )


@pytest.mark.parametrize(
    ("assertion", "events", "outcome"),
    [
        (paid(), "Paid@1", Outcome.PASSED),
        (paid(2), "Paid@1 Created@2", Outcome.FAILED),
        (paid(2), "Paid@1 Created@2 Paid@3", Outcome.PASSED),
        (paid(1, 1), "Paid@1 Paid@2", Outcome.FAILED),
        (paid(within=10), "Paid@11", Outcome.FAILED),
        (paid(within=10), "Paid@10", Outcome.PASSED),
        (paid(0, 1, within=10), "Paid@1 Paid@11", Outcome.PASSED),
        (never("n", EventPattern(type="Refunded")), "Paid@1", Outcome.PASSED),
        (never("n", EventPattern(type="Refunded")), "", Outcome.VACUOUS),
        (never("n", EventPattern(type="Paid")), "Paid@1", Outcome.FAILED),
        (never("n", EventPattern(type="Paid"), timeout_ms=5), "Paid@6", Outcome.PASSED),
        (Ordering(name="o", patterns=types("A", "B")), "A@1 X@2 B@3", Outcome.PASSED),
        (Ordering(name="o", patterns=types("A", "B")), "B@1 A@2", Outcome.FAILED),
        (Ordering(name="o", patterns=types("A", "B"), timeout_ms=2), "A@1 B@3", Outcome.FAILED),
        (
            Ordering(name="o", patterns=types("A", "B"), ordering=OrderingConstraint.STRICT),
            "A@1 X@2 B@3",
            Outcome.FAILED,
        ),
        (
            Ordering(name="o", patterns=types("A", "B"), ordering=OrderingConstraint.STRICT),
            "X@0 A@1 B@2",
            Outcome.PASSED,
        ),
        (Ordering(name="o", patterns=types("A", "B"), per="id"), "X@0", Outcome.VACUOUS),
        (Aggregate(name="a", pattern=EventPattern(type="A"), at_most=1), "A@1 A@2", Outcome.FAILED),
        (Aggregate(name="a", pattern=EventPattern(type="A"), at_least=1), "", Outcome.FAILED),
        (Aggregate(name="a", pattern=EventPattern(type="A"), at_least=2, per="id"), "", Outcome.VACUOUS),
        (Conformance(name="c", schemas={"A*": {"type": "object"}}), "A1@1 A2@2", Outcome.PASSED),
        (Conformance(name="c", schemas={"A": {"required": ["x"]}}), "A@1", Outcome.FAILED),
        (Conformance(name="c", schemas={"A": True}), "B@1", Outcome.FAILED),
        (Conformance(name="c", schemas={"A": True}, others_allowed=True), "B@1", Outcome.PASSED),
        (Conformance(name="c", schemas={}), "", Outcome.VACUOUS),
    ],
)
def test_an_assertion_has_the_outcome_of_its_rule(assertion: Assertion, events: str, outcome: Outcome) -> None:
    assert judge(assertion, stream(events)).outcome is outcome


def test_an_order_for_each_key_names_the_key_that_breaks_it() -> None:
    rule = Ordering(name="o", patterns=types("A", "B"), per="id")
    events = [event("A", 1, id=1), event("A", 2, id=2), event("B", 3, id=2)]

    assert judge(rule, [*events, event("B", 4, id=1)]).outcome is Outcome.PASSED
    assert "B did not come in its turn by 1000 ms for 1" in judge(rule, events).message


def test_an_order_across_partitions_says_that_it_is_that_of_arrival() -> None:
    rule = Ordering(name="o", patterns=types("A", "B"))

    assert judge(rule, [event("A", 1), event("B", 2, partition=1)]).notes
    assert not judge(rule, [event("A", 1), event("B", 2)]).notes


def test_a_sum_may_go_over_its_bound_and_come_back() -> None:
    rule = Aggregate(name="a", pattern=EventPattern(), measure=Measure.SUM, of="amount", at_most=5)
    events = [event("A", 1, amount=7), event("A", 2, amount=-3)]

    assert judge(rule, events).outcome is Outcome.PASSED
    assert judge(rule, events[:1]).message == "the sum is 7, at most 5 is wanted"
    assert "not a number" in judge(rule, [event("A", 1, amount="7")]).message


def test_duplicates_are_told_by_identity_and_not_by_type() -> None:
    events = [event("A", 1, id=1), event("A", 2, id=2)]

    assert judge(NoDuplicates(name="d", by=("id",)), events).outcome is Outcome.PASSED
    broken = judge(NoDuplicates(name="d", by=("id",)), [*events, event("B", 3, id=1)])
    assert (broken.outcome, [witness.at for witness in broken.witnesses]) == (Outcome.FAILED, [1, 3])
    assert "cannot be told" in judge(NoDuplicates(name="d"), events).message


def test_a_poison_event_fits_no_schema() -> None:
    poison = Event(topic=event("A").topic, type="A", payload="{", poison="the value is not JSON")

    assert judge(Conformance(name="c", schemas={"*": True}), [poison]).message == "the value is not JSON"


def test_near_misses_explain_what_did_not_occur() -> None:
    wanted = EventAssertion(name="w", pattern=EventPattern(type="Paid", where="amount > `5`"))

    result = judge(wanted, [event("Paid", 1, amount=4)])

    assert result.notes == ("near miss: Paid orders[0]@0 at 1 ms: amount > `5` is not true",)


def test_the_verdict_falls_as_soon_as_it_is_decided() -> None:
    checking = Checking([paid(), paid(0, 0, within=50)])
    checking.observe(stream("Paid@10"))

    assert checking.decided
    assert [result.at for result in checking.results()] == [10, 10]


def test_time_alone_decides_what_was_to_happen_by_then() -> None:
    checking = Checking([paid(within=50)])

    checking.advance(50)
    assert not checking.decided
    checking.advance(50.1)
    assert checking.results()[0].outcome is Outcome.FAILED


def test_two_tests_in_ten_thousand_foreign_events_do_not_disturb_each_other() -> None:
    """Each sees its own events only, although both use the same topic and the same types."""
    noise = [event(kind, n, id=f"n-{n}") for n in range(5000) for kind in ("Paid", "Refunded")]
    noise[3000:3000] = [event("Paid", 1500, id="a")]
    noise[7000:7000] = [event("Refunded", 3500, id="b")]
    rules = [paid(1, 1), never("n", EventPattern(type="Refunded"))]
    outcomes = {}
    for own in ("a", "b"):
        checking = Checking(rules, Scope(expression="id", value=own))
        checking.observe(noise)
        outcomes[own] = [result.outcome for result in checking.finish(9000)]
        assert (checking.seen, checking.foreign) == (1, 10_001)

    assert outcomes == {"a": [Outcome.PASSED, Outcome.PASSED], "b": [Outcome.FAILED, Outcome.FAILED]}


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: paid(2, 1),
        lambda: paid(-1),
        lambda: paid(within=-5),
        lambda: Ordering(name="o", patterns=()),
        lambda: Aggregate(name="a", pattern=EventPattern()),
        lambda: Aggregate(name="a", pattern=EventPattern(), at_least=2, at_most=1),
        lambda: Aggregate(name="a", pattern=EventPattern(), measure=Measure.SUM, at_most=1),
    ],
)
def test_an_impossible_rule_is_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match=r"exceeds|negative|needs"):
        wrong()  # type: ignore[operator]
