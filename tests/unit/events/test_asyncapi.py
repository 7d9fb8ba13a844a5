"""The schemas of messages in AsyncAPI documents of both versions."""

import pytest
import yaml
from pydantic import JsonValue

from events.assertions.every_event import Conformance
from events.asyncapi import message_schemas
from events.driven_test import EventDrivenTest
from events.event import Event, Topic
from events.outcomes import Outcome
from events.schemas import compile_schema

COMPONENTS = """
components:
  schemas:
    Order: {type: object, required: [id], properties: {id: {$ref: "#/components/schemas/Id"}}}
    Id: {type: string}
  messages:
    OrderPaid: {payload: {$ref: "#/components/schemas/Order"}}
"""
VERSION_2 = f"""
asyncapi: 2.6.0
channels:
  orders:
    publish: {{message: {{$ref: "#/components/messages/OrderPaid"}}}}
    subscribe:
      message: {{oneOf: [{{name: OrderShipped, payload: {{required: [parcel]}}}}]}}
{COMPONENTS}"""
VERSION_3 = f"""
asyncapi: 3.0.0
channels:
  orders:
    messages:
      OrderPaid: {{$ref: "#/components/messages/OrderPaid"}}
      OrderShipped:
        payload: {{schemaFormat: "application/schema+json;version=draft-07", schema: {{required: [parcel]}}}}
{COMPONENTS}"""


@pytest.mark.parametrize("text", [VERSION_2, VERSION_3])
def test_each_message_has_its_schema(text: str) -> None:
    found = message_schemas(yaml.safe_load(text))
    schemas = {name: compile_schema(schema) for name, schema in found.types.items()}

    assert set(schemas) == {"OrderPaid", "OrderShipped"}
    assert schemas["OrderPaid"].fits({"id": "o-1"})
    assert not schemas["OrderPaid"].fits({"id": 1})
    assert not schemas["OrderPaid"].fits({})
    assert not schemas["OrderShipped"].fits({"id": "o-1"})
    orders = compile_schema(found.topics["orders"])
    assert [orders.fits(payload) for payload in ({"id": "o-1"}, {"parcel": 1}, {"other": 1})] == [True, True, False]


def judged(document: str, *events: Event) -> tuple[Outcome, str]:
    found = message_schemas(yaml.safe_load(document))
    rule = Conformance(name="c", schemas=found.types, topics=found.topics)
    (result,) = EventDrivenTest(name="t", topics=("t",), assertions=(rule,)).replay(events, ended_at=1).results
    return result.outcome, result.message


def on(topic: str, payload: JsonValue, kind: str = "") -> Event:
    return Event(topic=Topic(topic), type=kind, payload=payload)


def test_an_event_without_a_type_fits_a_message_of_its_channel() -> None:
    channels = "  any:\n    address: '{all}'\n  orders:\n    address: shop.{year}.orders"
    document = VERSION_3.replace("  orders:", channels, 1)

    assert judged(document, on("shop.2026.orders", {"parcel": 1}))[0] is Outcome.PASSED
    assert judged(document, on("shop.2026.orders", {"other": 1}))[0] is Outcome.FAILED
    assert "no schema for the topic 'users'" in judged(document, on("users", {"id": "o-1"}))[1]
    assert "the type 'Other'" in judged(document, on("shop.2026.orders", {"parcel": 1}, "Other"))[1]


def test_a_channel_of_version_2_is_named_by_its_key_or_its_topic() -> None:
    assert judged(VERSION_2, on("orders", {"parcel": 1}))[0] is Outcome.PASSED
    bound = VERSION_2.replace("  orders:", "  orders:\n    bindings: {kafka: {topic: shop-orders}}")
    assert judged(bound, on("shop-orders", {"other": 1}))[0] is Outcome.FAILED
    assert "no schema for the topic 'orders'" in judged(bound, on("orders", {"parcel": 1}))[1]


def test_schemas_are_of_draft_7_unless_they_say_another_one() -> None:
    tuples = "{items: [{type: string}, {type: number}]}"
    document = f"{{asyncapi: 3.0.0, components: {{messages: {{A: {{payload: {tuples}}}}}}}}}"

    assert judged(document, on("t", ["a", 1], "A"))[0] is Outcome.PASSED
    assert judged(document, on("t", [1, "a"], "A"))[0] is Outcome.FAILED


def test_a_payload_that_refers_to_itself_is_followed() -> None:
    document = """
asyncapi: 2.6.0
components:
  schemas: {Node: {type: object, properties: {next: {$ref: '#/components/schemas/Node'}, n: {type: integer}}}}
  messages: {A: {messageId: Linked, payload: {$ref: '#/components/schemas/Node'}}}
"""
    assert judged(document, on("t", {"next": {"next": {"n": 1}}}, "Linked"))[0] is Outcome.PASSED
    assert judged(document, on("t", {"next": {"next": {"n": "1"}}}, "Linked"))[0] is Outcome.FAILED


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{}", "not an AsyncAPI document"),
        ("{asyncapi: 1.2.0}", "not an AsyncAPI document"),
        ("{asyncapi: 3.0.0}", "no messages"),
        ("{asyncapi: 3.0.0, channels: {a: {messages: {b: {$ref: '#/components/messages/c'}}}}}", "is not in the"),
        ("{asyncapi: 3.0.0, channels: {a: {$ref: 'http://elsewhere.test/a'}}}", "is not part of the"),
        ("{asyncapi: 3.0.0, components: {messages: {a: {$ref: '#/components/messages/a'}}}}", "back to itself"),
        (
            "{asyncapi: 3.0.0, components: {messages: {a: {payload: {schemaFormat: avro, schema: 1}}}}}",
            "not in JSON Schema",
        ),
        ("{asyncapi: 3.0.0, components: {messages: {a: 3}}}", "is no object"),
    ],
)
def test_a_document_that_cannot_be_used_says_why(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        message_schemas(yaml.safe_load(text))
