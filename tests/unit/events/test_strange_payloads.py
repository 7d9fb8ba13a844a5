"""Payloads of a hostile or broken producer: each is judged, reported and written, or is poison with a reason."""

import json
from xml.dom.minidom import parseString

import pytest

from events.assertions.aggregates import Aggregate, Measure
from events.assertions.assertion import Assertion
from events.assertions.effects import ExactlyOnce
from events.assertions.every_event import Conformance, NoDuplicates
from events.assertions.occurrences import EventAssertion, never
from events.assertions.ordering import Ordering
from events.decoding import decode
from events.driven_test import EventDrivenTest, EventTestResult
from events.event import Event, Headers, Record, Topic
from events.html import html
from events.json_text import DEEPEST
from events.junit import junit
from events.outcomes import Outcome
from events.pattern import ANY_EVENT, EventPattern
from events.results import in_words, result_to_raw
from events.scope import Scope

STRUCTURED: Headers = (("content-type", b"application/cloudevents+json"),)
ENVELOPE = {"specversion": "1.0", "type": "OrderPaid", "source": "/shop", "id": "1", "data": {"a": 1}}


def nested(levels: int) -> bytes:
    return b'{"type": "X", "id": ' + b"[" * levels + b"]" * levels + b"}"


def decoded(value: bytes | None, *headers: tuple[str, bytes]) -> Event:
    return decode(Record(topic=Topic("t"), value=value, headers=headers), at=0)


def judged(found: Event) -> EventTestResult:
    """Return the result of a test that looks at the event in every way."""
    x = EventPattern(type="X*")
    assertions: list[Assertion] = [
        EventAssertion(name="near miss", pattern=EventPattern(payload={"id": "none", "amount": 3})),
        EventAssertion(name="regex", pattern=EventPattern(matches={"id": "[a-z]"}, where="amount > `3`")),
        never("schema", EventPattern(schema={"type": "object", "required": ["none"]})),
        Conformance(name="conforms", schemas={"*": {"properties": {"amount": {"type": "integer", "maximum": 5}}}}),
        NoDuplicates(name="unique", by=("id",)),
        Ordering(name="order", patterns=(x,), per="id"),
        Aggregate(name="sum", pattern=ANY_EVENT, measure=Measure.SUM, of="amount", at_most=5),
        ExactlyOnce(name="once", command=x, effect=EventPattern(type="Y"), key="id"),
    ]
    return EventDrivenTest(name="t", topics=("t",), assertions=tuple(assertions)).replay([found], ended_at=1)


@pytest.mark.parametrize(
    "value",
    [
        None,
        nested(DEEPEST - 1),
        nested(DEEPEST * 2),
        nested(DEEPEST * 9),
        b'{"type": "X", "amount": ' + b"9" * 4000 + b"}",
        b'{"type": "X", "amount": 1e999}',
        b'{"type": "X\\ud800"}',
        b'{"type": "X", "\\udfff": 1}',
        b'{"type": "X</script>\\u0000\\u202e", "id": "]]>\\u001b[31m"}',
        b"[1]",
        b"null",
    ],
)
def test_every_payload_can_be_judged_and_reported(value: bytes | None) -> None:
    result = judged(decoded(value))

    "\n".join(in_words(result)).encode()
    json.dumps(result_to_raw(result)).encode()
    html(result, "none").encode()
    assert parseString(junit(result)).documentElement.tagName == "testsuites"  # noqa: S318  our own writing


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", "it is empty"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        (b'{"amount": NaN}', "NaN is no number of JSON"),
        (b"[-Infinity]", "-Infinity is no number"),
        (b'{"a": "\\ud800"}', "half of a character"),
        (nested(DEEPEST + 1), "nested more than 100 levels deep"),
        (nested(100_000), "nested more than 100 levels deep"),
    ],
)
def test_what_is_no_json_is_poison(value: bytes, reason: str) -> None:
    assert reason in (decoded(value).poison or "")


def test_a_pair_of_surrogates_is_a_character() -> None:
    assert decoded(b'{"a": "\\ud83d\\ude00"}').payload == {"a": "\N{GRINNING FACE}"}


@pytest.mark.parametrize(
    ("envelope", "reason"),
    [
        ({**ENVELOPE, "specversion": "9.9"}, "its specversion is '9.9'"),
        ({"type": "OrderPaid", "data": {}}, "specversion, id, source is missing"),
        ([ENVELOPE], "specversion, id, source, type is missing"),
    ],
)
def test_what_claims_to_be_a_cloud_event_and_is_none_is_poison(envelope: object, reason: str) -> None:
    assert reason in (decoded(json.dumps(envelope).encode(), *STRUCTURED).poison or "")  # type: ignore[arg-type]


def test_a_batch_of_cloud_events_is_poison() -> None:
    batch = ("content-type", b"application/cloudevents-batch+json")

    assert "it is a batch" in (decoded(json.dumps([ENVELOPE]).encode(), batch).poison or "")


def test_a_binary_cloud_event_is_checked_if_it_names_its_version() -> None:
    whole = (("ce_specversion", b"1.0"), ("ce_type", b"OrderPaid"), ("ce_source", b"/shop"), ("ce_id", b"1"))

    assert decoded(b"{}", *whole).poison is None
    assert decoded(b"{}", *whole[1:]).poison is None
    assert "id is missing" in (decoded(b"{}", *whole[:3]).poison or "")


def test_attributes_have_their_canonical_form() -> None:
    found = decoded(json.dumps({**ENVELOPE, "urgent": True}).encode(), *STRUCTURED)  # type: ignore[arg-type]

    assert found.attributes["urgent"] == "true"


def sums(*amounts: object, at_most: float) -> tuple[Outcome, str]:
    rule = Aggregate(name="a", pattern=EventPattern(type="X"), measure=Measure.SUM, of="v", at_most=at_most)
    events = [Event(topic=Topic("t"), type="X", payload={"v": amount}) for amount in amounts]  # type: ignore[dict-item]
    (result,) = EventDrivenTest(name="t", topics=("t",), assertions=(rule,)).replay(events, ended_at=1).results
    return result.outcome, result.message


def test_sums_are_decimal_as_json_is() -> None:
    assert sums(0.1, 0.1, 0.1, at_most=0.3) == (Outcome.PASSED, "the sum is 0.3")
    assert sums(1_000_000, 1, at_most=1e6)[1] == "the sum is 1000001, at most 1000000 is wanted"
    assert sums(10**400, at_most=5)[0] is Outcome.FAILED
    assert "to_number(v) reads a text" in sums("5", at_most=9)[1]
    assert "not a number" in sums(float("nan"), at_most=9)[1]


def test_a_sum_of_nothing_is_vacuous() -> None:
    assert sums(at_most=5)[0] is Outcome.VACUOUS
    rule = Aggregate(name="a", pattern=EventPattern(type="none"), measure=Measure.SUM, of="v", at_most=5)
    other = Event(topic=Topic("t"), type="X", payload={})
    (result,) = EventDrivenTest(name="t", topics=("t",), assertions=(rule,)).replay([other], ended_at=1).results
    assert result.outcome is Outcome.VACUOUS


@pytest.mark.parametrize(
    ("keys", "outcome"),
    [
        ([1, True], Outcome.PASSED),
        (["true", True], Outcome.PASSED),
        ([[1], "[1]"], Outcome.PASSED),
        ([{"a": 1, "b": 2}, {"b": 2, "a": 1}], Outcome.FAILED),
        ([True, True], Outcome.FAILED),
        ([1, 1.0], Outcome.FAILED),
    ],
)
def test_keys_are_the_same_if_their_json_is(keys: list[object], outcome: Outcome) -> None:
    events = [Event(topic=Topic("t"), type="X", payload={"id": key, "n": 1}) for key in keys]  # type: ignore[dict-item]
    rules = (NoDuplicates(name="one", by=("id",)), NoDuplicates(name="two", by=("id", "n")))

    found = EventDrivenTest(name="t", topics=("t",), assertions=rules).replay(events, ended_at=1).results
    assert found[0].outcome is outcome
    assert keys == [1, 1.0] or found[1].outcome is outcome


def test_what_an_event_says_cannot_steer_a_terminal_or_turn_a_page_around() -> None:
    hostile = Event(topic=Topic("t"), type="X\x1b[2J\n\u202epassed", key="k\u2066")
    result = judged(hostile)

    said = "\n".join(in_words(result)) + html(result, "none")
    assert not set("\x1b\u202e\u2066") & set(said)
    assert "X\\n\\u202epassed t[0]@0" in said


def test_events_outside_of_the_scope_are_counted() -> None:
    scope = Scope(expression="id", value="mine")
    test = EventDrivenTest(name="t", topics=("t",), assertions=(never("n", ANY_EVENT),))

    result = test.replay([Event(topic=Topic("t"), type="X", payload={"id": "other"})], ended_at=1, scope=scope)
    assert list(in_words(result))[-1] == "vacuous: t, 1 event, 1 of them outside of the scope"
