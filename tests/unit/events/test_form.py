"""The written form of a test: what it means, and every problem at once."""

import pytest

from events.assertions.aggregates import Aggregate
from events.assertions.effects import ExactlyOnce
from events.assertions.every_event import Conformance, NoDuplicates
from events.assertions.occurrences import EventAssertion
from events.assertions.ordering import Ordering, OrderingConstraint
from events.driven_test import TriggerScope
from events.form import load_test
from events.temporal.causality import HappensBefore
from events.temporal.rule import TemporalRule
from events.triggers import HttpTrigger, ProduceTrigger
from model.problems import InvalidError

WHOLE = """
name: order is cancelled when payment fails
topics: [orders, payments, orders.dlq]
timeoutMs: 5000
graceMs: 100
allowedHosts: [localhost]
trigger:
  http: {url: "http://localhost:8080/orders", body: {id: o-1}}
scope: {path: id, fromTrigger: payload.id}
patterns:
  large: {type: OrderPaid, where: "amount > `100`"}
assertions:
  - {expect: OrderCreated, name: created, maxOccurrences: 1, timeoutMs: 2000}
  - never: {type: OrderShipped}
  - {order: [OrderCreated, PaymentFailed, OrderCancelled], ordering: strict, per: id}
  - {aggregate: {type: Line}, measure: sum, of: amount, atMost: 10}
  - {conforms: {OrderCreated: {required: [id]}}, othersAllowed: true}
  - {unique: {type: "*"}, by: [id, type]}
  - deadLetter: orders.dlq
  - {rule: "always(large -> within(5s, OrderShipped))", per: id}
  - happensBefore: {first: OrderCreated, then: OrderCancelled}
  - exactlyOnce: {command: PayOrder, effect: OrderPaid, key: id}
"""


def problems(text: str) -> list[tuple[str, str]]:
    with pytest.raises(InvalidError) as error:
        load_test(text)
    return [(problem.path, problem.message) for problem in error.value.problems]


def test_a_file_has_every_kind_of_assertion() -> None:
    test = load_test(WHOLE).test
    kinds = [type(assertion) for assertion in test.assertions]

    assert kinds == [
        EventAssertion,
        EventAssertion,
        Ordering,
        Aggregate,
        Conformance,
        NoDuplicates,
        EventAssertion,
        TemporalRule,
        HappensBefore,
        ExactlyOnce,
    ]
    assert isinstance(test.trigger, HttpTrigger)
    assert test.scope == TriggerScope(expression="id", source="payload.id")
    assert isinstance(test.assertions[2], Ordering)
    assert test.assertions[2].ordering is OrderingConstraint.STRICT
    assert [assertion.name for assertion in test.assertions[:2]] == ["created", "2: never"]


def test_a_produced_message_is_json() -> None:
    text = "{name: a, topics: [t], trigger: {produce: {topic: t, payload: {id: 1}}}, assertions: [{expect: A}]}"
    trigger = load_test(text).test.trigger

    assert isinstance(trigger, ProduceTrigger)
    assert trigger.message.value == b'{"id": 1}'


def test_all_problems_are_told_at_once_with_their_paths() -> None:
    text = """
name: x
topics: [t]
trigger: {http: {url: "http://elsewhere/"}}
scope: {path: id}
assertions:
  - {expect: A, minOccurrences: 3, maxOccurrences: 2}
  - {expect: A, timeoutMs: -5}
  - {rule: "always(a -> "}
  - {conforms: {A: {$ref: "#/$defs/nowhere"}}}
  - {never: {type: A, where: "a ||| b"}}
  - {never: A, minOccurrences: 1}
  - {expect: A, never: B}
  - {name: nothing}
  - {aggregate: A}
"""
    found = dict(problems(text))

    assert set(found) == {
        "trigger",
        "scope",
        "assertions[0]",
        "assertions[1].timeoutMs",
        "assertions[2]",
        "assertions[3]",
        "assertions[4]",
        "assertions[5].minOccurrences",
        "assertions[6]",
        "assertions[7]",
        "assertions[8]",
    }
    assert "exceeds" in found["assertions[0]"]
    assert found["assertions[1].timeoutMs"] == "must be above 0"
    assert "schema" in found["assertions[3]"].lower()
    assert "here are 2 of them" in found["assertions[6]"]


@pytest.mark.parametrize(
    ("text", "path", "said"),
    [
        ("scope: {path: id, fromTrigger: 'a['}\nassertions: [{expect: A}]", "scope", "not a JMESPath"),
        ("scope: {path: 'a[', equals: 1}\nassertions: [{expect: A}]", "scope", "not a JMESPath"),
        ("assertions: [{deadLetter: other}]", "assertions[0].deadLetter", "does not read 'other'"),
        ("assertions: [{never: {topic: 'o*'}}]", "assertions[0].never.topic", "does not read 'o*'"),
        ("assertions: [{order: [A, {topic: other}]}]", "assertions[0].order[1].topic", "does not read"),
        (
            "assertions: [{happensBefore: {first: A, then: {topic: other}}}]",
            "assertions[0].happensBefore.then.topic",
            "does not read",
        ),
        ("patterns: {p: {topic: other}}\nassertions: [{expect: A}]", "patterns.p.topic", "does not read"),
        ("assertions: [{never: A, timeoutMs: 10001}]", "assertions[0].timeoutMs", "10000 ms: it would end before"),
        ("assertions: [{expect: A, name: x}, {never: B, name: x}]", "assertions[1].name", "two assertions"),
        ("broker: 'smoke:'\nassertions: [{expect: A}]", "broker", "is not known"),
        ("assertions: [{expect: A, minOccurrences: 0}]", "assertions[0]", "always holds"),
        ("assertions: [{never: A, timeoutMs: 0}]", "assertions[0].timeoutMs", "above 0"),
        ("assertions: [{expect: A, timeoutMs: .nan}]", "assertions[0].timeoutMs", "must be a number"),
        ("assertions: [{aggregate: A, atLeast: .nan}]", "assertions[0].atLeast", "must be a number"),
        ("assertions: [{conforms: {}}]", "assertions[0].conforms", "must not be empty"),
        ("assertions: [{conforms: {A: {$ref: '#'}}}]", "assertions[0]", "refers to itself in a circle"),
        ("assertions: [{registered: '*'}]", "assertions[0].registered", "name the `registry`"),
        ("assertions: [{never: {where: 'foo(id)'}}]", "assertions[0]", "there is no function 'foo'"),
        ("assertions: [{never: {where: 'length()'}}]", "assertions[0]", "takes 1 values, here are 0"),
        ("patterns: {p: {where: '(('}}\nassertions: [{expect: A}]", "patterns.p", "not a JMESPath"),
        ("patterns: {order-paid: A}\nassertions: [{expect: A}]", "patterns.order-paid", "a rule cannot name it"),
        ("patterns: {within: A}\nassertions: [{expect: A}]", "patterns.within", "no word of the rules"),
        ("scope: {path: id, fromTrigger: payload.id}\nassertions: [{expect: A}]", "scope", "needs a trigger"),
        ("trigger: {produce: {topic: t, payload: .nan}}\nassertions: [{expect: A}]", "trigger", "JSON"),
        (
            "trigger: {http: {url: 'http://x/', method: FETCH}}\nassertions: [{expect: A}]",
            "trigger.http.method",
            "must be one of GET",
        ),
        (
            "chaos: {faults: [{brokerDown: true, broker: 2, afterMs: 1, durationMs: 1}]}\nassertions: [{expect: A}]",
            "chaos.faults[0].broker",
            "must be 1 or less",
        ),
        ("assertions: [{never: A}]\nassertions: [{expect: A}]", "", "'assertions' appears twice"),
        ("assertions: [{expect: {schema: order.json}}]", "assertions[0].expect.schema", "must be a JSON Schema"),
        ("assertions: [{conforms: {A: 5}}]", "assertions[0].conforms.A", "must be a JSON Schema"),
        ("assertions: [{aggregate: A, atLeast: 0}]", "assertions[0]", "at least 0 always holds"),
        ("broker: 'kafka://x:port'\nassertions: [{expect: A}]", "broker", "'x:port' is no address of a broker"),
        ("broker: 'kafka://x:9,y:99999'\nassertions: [{expect: A}]", "broker", "'y:99999' is no address"),
        ("broker: 'kafka://me:pw@x:9'\nassertions: [{expect: A}]", "broker", "under `security`"),
        (
            "trigger: {produce: {topic: 'a b'}}\nassertions: [{expect: A}]",
            "trigger.produce.topic",
            "no name of a topic",
        ),
        ("trigger: {http: {url: 'http://x:99999/'}}\nassertions: [{expect: A}]", "trigger", "Port out of range"),
        ("trigger: {http: {url: 'http://x/', headers: {a: 'ü'}}}\nassertions: [{expect: A}]", "trigger", "be sent"),
        ("trigger: {http: {url: 'http://x/', headers: {'a b': c}}}\nassertions: [{expect: A}]", "trigger", "'a b'"),
        ("trigger: {http: {url: 'http://x/', body: .inf}}\nassertions: [{expect: A}]", "trigger", "be sent"),
    ],
)
def test_what_would_make_an_assertion_empty_is_a_problem(text: str, path: str, said: str) -> None:
    """A dead letter on a topic that nobody reads would never be seen, and its absence would prove nothing."""
    (problem,) = problems(f"name: t\ntopics: [t]\nallowedHosts: [x]\n{text}")

    assert problem[0] == path
    assert said in problem[1]


def test_a_wrong_shape_hides_no_other_problem_and_invents_none() -> None:
    text = """
nmae: x
topics: [t]
timeoutMs: soon
allowedHosts: elsewhere
trigger: {http: {url: "http://elsewhere/"}}
scope: {path: id}
assertions:
  - {rule: "always(a -> "}
  - {expect: A, timeoutMs: 20000, tpye: x}
  - {never: A, timeoutMs: 20000}
"""
    assert set(dict(problems(text))) == {
        "nmae",
        "name",
        "timeoutMs",
        "allowedHosts",
        "scope",
        "assertions[0]",
        "assertions[1].tpye",
    }


@pytest.mark.parametrize("servers", ["x", "x:9092", "x:1,y.test:65535", "[::1]:9092", "10.0.0.1:9"])
def test_a_broker_has_the_addresses_of_its_servers(servers: str) -> None:
    text = f"{{name: t, topics: [t], broker: 'kafka://{servers}', assertions: [{{expect: A}}]}}"

    assert load_test(text).broker == f"kafka://{servers}"


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("", ""),
        ("- a", ""),
        ("name: [", ""),
        ("a: &a [*a]", ""),
        ("{name: x, topics: [t, t], assertions: [{expect: A}]}", "topics[1]"),
        ("{name: x, topics: ['^t.*'], assertions: [{expect: A}]}", "topics[0]"),
        ("{name: x, topics: [''], assertions: [{expect: A}]}", "topics[0]"),
        ("{name: x, topics: [], assertions: [{expect: A}]}", "topics"),
        ("{name: x, topics: [t], assertions: []}", "assertions"),
        ("{name: x, topics: [t], assertions: [{expect: A}], timeoutMs: 0}", "timeoutMs"),
        ("{name: x, topics: [t], assertions: [{expect: A}], graceMs: -1}", "graceMs"),
        ("{name: x, topics: [t], assertions: [{expct: A}]}", "assertions[0].expct"),
        ("{name: x, topics: [t], assertions: [{expect: {typ: A}}]}", "assertions[0].expect.typ"),
        ("{name: x, topics: [t], assertions: [{expect: 3}]}", "assertions[0].expect"),
    ],
)
def test_malformed_input_is_a_problem_and_no_crash(text: str, path: str) -> None:
    assert path in dict(problems(text))
