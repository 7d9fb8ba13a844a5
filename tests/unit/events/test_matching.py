"""Patterns, near misses, and the decoding of records."""

import json

import pytest
from harness.event_samples import event
from hypothesis import given
from hypothesis import strategies as st

from events.decoding import LARGEST_PAYLOAD, decode
from events.event import Event, Record, Topic
from events.matcher import EventMatcher
from events.paths import compile_path
from events.pattern import EventPattern
from events.schemas import compile_schema
from events.scope import Scope, ScopeFilter

T = Topic("orders")
PAID = event("order.paid", 5, id="o-1", amount=3, lines=[{"sku": "a"}])


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        (EventPattern(), True),
        (EventPattern(type="order.*"), True),
        (EventPattern(type="order"), False),
        (EventPattern(topic="ord*"), True),
        (EventPattern(topic="payments"), False),
        (EventPattern(payload={"lines": [{"sku": "a"}]}), True),
        (EventPattern(payload={"lines": []}), False),
        (EventPattern(payload={"amount": True}), False),
        (EventPattern(where="amount > `2`"), True),
        (EventPattern(where="amount > `3`"), False),
        (EventPattern(where="missing"), False),
        (EventPattern(where="abs(id)"), False),
        (EventPattern(matches={"id": "o-[0-9]"}), True),
        (EventPattern(matches={"id": "o-"}), False),
        (EventPattern(matches={"amount": "3"}), False),
        (EventPattern(schema={"required": ["id"]}), True),
        (EventPattern(schema={"required": ["other"]}), False),
        (EventPattern(headers={"tenant": "*"}), False),
        (EventPattern(condition=lambda found: found.at == 5), True),
    ],
)
def test_all_conditions_of_a_pattern_must_hold(pattern: EventPattern, *, matches: bool) -> None:
    assert EventMatcher().matches(PAID, pattern) is matches


def test_the_nearest_events_are_shown_with_their_difference() -> None:
    others = [event("Other"), event("Paid", 1, id="o-1", amount=2), event("Paid", 2, id="o-2", amount=4)]
    pattern = EventPattern(type="Paid", payload={"id": "o-1", "amount": 3})

    misses = EventMatcher().near_misses([*others, event("Other", 9)], pattern)

    assert [miss.event for miss in misses] == [others[1], others[2], others[0]]
    assert misses[0].differences == ("payload.amount is 2, 3 is wanted",)
    assert "Paid orders[0]@0 at 1 ms: payload.amount is 2" in str(misses[0])


@pytest.mark.parametrize(
    "pattern",
    [EventPattern(where="a ||| b"), EventPattern(matches={"a": "("}), EventPattern(schema={"type": "nonsense"})],
)
def test_a_wrong_pattern_is_refused_before_any_event(pattern: EventPattern) -> None:
    with pytest.raises(ValueError, match=r"is not|is wrong"):
        EventMatcher().matches(PAID, pattern)


def test_a_schema_may_not_refer_to_what_it_does_not_contain() -> None:
    with pytest.raises(ValueError, match="JSON Schema is wrong"):
        compile_schema({"$ref": "https://example.test/order.json"})


def test_a_schema_says_where_a_payload_is_wrong() -> None:
    schema = compile_schema({"properties": {"a": {"properties": {"b": {"type": "integer"}}}}})

    assert schema.errors({"a": {"b": "x"}}) == ['payload.a.b: "x" is not of type "integer"']


@given(
    st.dictionaries(
        st.sampled_from("abc"),
        st.recursive(st.none() | st.integers(), lambda x: st.dictionaries(st.sampled_from("abc"), x), max_leaves=4),
    )
)
def test_a_plain_path_gives_what_jmespath_gives(payload: dict[str, object]) -> None:
    found = event("x", **payload)  # type: ignore[arg-type]

    for path in ("a", "a.b", "a.b.c"):
        assert compile_path(path)(found) == compile_path(f"{path} | @")(found)


@pytest.mark.parametrize(
    "expression",
    [
        "amount > `5` && event.headers.tenant == 'a'",
        "event.headers.tenant == 'a' && amount > `5`",
        "starts_with(event.headers.tenant, 'a')",
        "event.payload.amount == amount",
        "kind == 'event.x'",
    ],
)
def test_an_expression_speaks_of_the_payload_and_of_the_whole_event(expression: str) -> None:
    """What gave null would match nothing, and a `never` over it would pass."""
    found = Event(topic=T, type="x", payload={"amount": 7, "kind": "event.x"}, headers={"tenant": "a"})

    assert compile_path(expression)(found) is True


def test_a_function_that_meets_a_wrong_value_gives_nothing() -> None:
    for expression in ("abs(id)", "sort_by(lines, &a)", "lines[::0]"):
        assert compile_path(expression)(event("x", id="t", lines=[{"a": 1}, {"a": "b"}])) is None


def test_a_cloud_event_in_binary_form() -> None:
    headers = (("ce_type", b"order.paid"), ("ce_source", b"/shop"), ("ce_id", b"1"), ("ce_subject", b"o-1"))

    found = decode(Record(topic=T, key=b"k", value=b'{"a": 1}', headers=headers), at=3)

    assert (found.type, found.payload, found.aggregate_id, found.key) == ("order.paid", {"a": 1}, "o-1", "k")
    assert compile_path("event.attributes.source")(found) == "/shop"


def test_a_cloud_event_in_structured_form() -> None:
    envelope = {"specversion": "1.0", "type": "order.paid", "source": "/shop", "id": "1", "data": {"a": 1}}
    headers = (("content-type", b"application/cloudevents+json; charset=utf-8"),)

    found = decode(Record(topic=T, value=json.dumps(envelope).encode(), headers=headers), at=3)

    assert (found.type, found.payload, found.attributes["id"]) == ("order.paid", {"a": 1}, "1")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"{", "not JSON"),
        (b"\xff\xfe", "not UTF-8"),
        (b"[" * 200_000, "not JSON|nested too deeply"),
        (b" " * (LARGEST_PAYLOAD + 1), f"more than {LARGEST_PAYLOAD}"),
        ("é".encode("latin-1"), "not UTF-8"),
    ],
)
def test_a_poison_message_is_an_event_that_says_why(value: bytes, reason: str) -> None:
    found = decode(Record(topic=T, value=value), at=0)

    assert found.poison is not None
    assert any(word in found.poison for word in reason.split("|"))


@given(st.binary(max_size=60), st.lists(st.tuples(st.text(max_size=5), st.none() | st.binary(max_size=5)), max_size=3))
def test_no_record_is_too_strange_to_be_decoded(value: bytes, headers: list[tuple[str, bytes | None]]) -> None:
    assert decode(Record(topic=T, value=value, key=value, headers=tuple(headers)), at=0).topic == T


def test_a_scope_tells_own_events_from_foreign_ones() -> None:
    scope = ScopeFilter(Scope(expression="id", value="o-1"))

    assert [scope.holds(found) for found in (PAID, event("x", id="o-2"), event("y"))] == [True, False, False]
    with pytest.raises(ValueError, match="has no value"):
        Scope(expression="id", value=None)
