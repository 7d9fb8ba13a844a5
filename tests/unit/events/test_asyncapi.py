"""The schemas of messages in AsyncAPI documents of both versions."""

import pytest
import yaml

from events.asyncapi import message_schemas
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
    schemas = {name: compile_schema(schema) for name, schema in message_schemas(yaml.safe_load(text)).items()}

    assert set(schemas) == {"OrderPaid", "OrderShipped"}
    assert schemas["OrderPaid"].fits({"id": "o-1"})
    assert not schemas["OrderPaid"].fits({"id": 1})
    assert not schemas["OrderPaid"].fits({})
    assert not schemas["OrderShipped"].fits({"id": "o-1"})


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
