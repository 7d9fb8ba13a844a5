"""Temporal rules as they are written, over whole streams and for each key."""

import pytest
from harness.event_samples import event, stream

from events.assertions.checking import Checking
from events.event import Event
from events.outcomes import AssertionResult, Outcome
from events.pattern import EventPattern
from events.temporal.monitor import Monitor
from events.temporal.rule import TemporalRule
from events.temporal.text import parse_rule


def judge(rule: str, events: list[Event], *, end: float = 60_000, per: str | None = None) -> AssertionResult:
    checking = Checking([TemporalRule(name="r", rule=rule, patterns={}, per=per)])
    checking.observe(events)
    (result,) = checking.finish(end)
    return result


@pytest.mark.parametrize(
    ("rule", "events", "outcome"),
    [
        ("always(paid -> within(5s, shipped))", "paid@0 x@10 shipped@5000", Outcome.PASSED),
        ("always(paid -> within(5s, shipped))", "paid@0 shipped@5001", Outcome.FAILED),
        ("always(paid -> within(5s, shipped))", "paid@58000", Outcome.INCONCLUSIVE),
        ("always(paid -> within(5s, shipped))", "x@0", Outcome.VACUOUS),
        ("always(paid -> eventually(shipped))", "paid@58000", Outcome.FAILED),
        ("never(refund)", "x@0", Outcome.PASSED),
        ("never(refund)", "", Outcome.VACUOUS),
        ("never(refund)", "x@0 refund@1", Outcome.FAILED),
        ("before(capture, refund)", "capture@0 refund@1", Outcome.PASSED),
        ("before(capture, refund)", "refund@0 capture@1", Outcome.FAILED),
        ("before(capture, refund)", "capture@0", Outcome.VACUOUS),
        ("always(paid -> within(5s, shipped)) and always(refund -> done)", "paid@0 shipped@1", Outcome.VACUOUS),
        ("always(paid -> always(refund -> done))", "paid@0 shipped@1", Outcome.VACUOUS),
        ("always(paid -> within(5s, shipped)) and never(refund -> done)", "paid@0 refund@1 shipped@2", Outcome.FAILED),
        ("until(pending, done)", "pending@0 pending@1 done@2", Outcome.PASSED),
        ("until(pending, done)", "pending@0 x@1 done@2", Outcome.FAILED),
        ("eventually(done)", "x@0", Outcome.FAILED),
        ("eventually(a and eventually(b))", "a@1 b@2", Outcome.PASSED),
        ("always(a -> between(1s, 2s, b))", "a@0 b@500", Outcome.FAILED),
        ("always(retry -> once(10s, failed))", "failed@0 retry@10000", Outcome.PASSED),
        ("always(retry -> once(10s, failed))", "failed@0 retry@10001", Outcome.FAILED),
        ("always(login -> not since(not logout, login) or true)", "login@0", Outcome.PASSED),
    ],
)
def test_a_rule_has_its_outcome(rule: str, events: str, outcome: Outcome) -> None:
    assert judge(rule, stream(events)).outcome is outcome


def test_a_broken_rule_shows_the_events_without_which_it_would_hold() -> None:
    """Of two paid orders the first one was shipped; the witness is the other one."""
    result = judge("always(paid -> within(1s, shipped))", stream("paid@0 shipped@500 x@600 paid@700 x@1800"))

    assert [witness.at for witness in result.witnesses] == [700]
    assert result.at == 1700


def test_a_rule_for_each_key_names_the_key() -> None:
    events = [
        event("paid", 0, id="a"),
        event("paid", 10, id="b"),
        event("shipped", 20, id="a"),
        event("x", 9000, id="c"),
    ]

    result = judge("always(paid -> within(5s, shipped))", events, per="id")

    assert (result.outcome, result.message) == (Outcome.FAILED, "the rule is broken for 'b'")


def test_a_key_without_any_event_of_the_rule_still_counts() -> None:
    assert judge("eventually(shipped)", [event("created", 0, id="a")], per="id").outcome is Outcome.FAILED


def test_time_decides_a_rule_without_another_event() -> None:
    checking = Checking([TemporalRule(name="r", rule="always(a -> within(1s, b))", patterns={}, per="id")])
    checking.observe([event("a", 0, id=1)])

    assert checking.deadline == 1000
    checking.advance(1001)
    assert checking.decided


def test_finished_keys_are_forgotten() -> None:
    check = TemporalRule(name="r", rule="always(a -> within(1s, b))", patterns={}, per="id").start()
    for number in range(100):
        check.observe(event("a", number, id=number))
        check.observe(event("b", number, id=number))

    assert not check._monitors
    assert check.finish(100, seen=200).outcome is Outcome.PASSED


def test_the_state_does_not_grow_with_the_stream() -> None:
    check = TemporalRule(name="r", rule="always(a -> within(1h, b and true or c))", patterns={}).start()
    check._formula._shape = None  # by progression
    for number in range(200):
        check.observe(event("a", number))

    assert len(check._deadlines) == 1
    monitor = check._monitors[None]
    assert isinstance(monitor, Monitor)
    assert repr(monitor.state).count("Watch(") == 2


def test_a_name_may_stand_for_a_pattern() -> None:
    large = EventPattern(type="paid", where="amount > `100`")
    check = TemporalRule(name="r", rule="never(large)", patterns={"large": large}).start()

    check.observe(event("paid", 1, amount=5))
    assert check.result is None
    check.observe(event("paid", 2, amount=500))
    assert check.result is not None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "missing"),
        ("always(", "missing"),
        ("always", "brackets"),
        ("sometimes(a)", "no operator 'sometimes'"),
        ("always(a -> )", "missing"),
        ("within(a)", "takes 1 duration and 1 formula"),
        ("always(5s, a, b)", "1 formula; here are 1 and 2"),
        ("until(a)", "takes at most 1 duration and 2 formulas"),
        ("within(5, a)", "a duration has a unit"),
        ("never(order-created)", "under `patterns`"),
        ("not " * 900 + "a", "nested"),
        ("within(-5s, a)", "negative"),
        ("between(5s, 1s, a)", "end before"),
        ("once(eventually(a))", "of the past"),
        ("a b", "not expected"),
        ("a & b", "not part of a rule"),
        ("(" * 60 + "a" + ")" * 60, "nested"),
        ("a" * 5000, "characters"),
    ],
)
def test_a_wrong_rule_says_what_is_wrong(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_rule(text)


def test_the_arrow_binds_least() -> None:
    assert parse_rule("not a and b or c -> d -> e") == parse_rule("((((not a) and b) or c) -> (d -> e))")
