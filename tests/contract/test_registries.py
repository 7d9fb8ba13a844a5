"""One suite for all schema registries: values in Avro, Protobuf and JSON, and how each kind of poison is told."""

import base64
import json
import struct
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from urllib.parse import unquote

import fastavro
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from harness.scripted_http import Answer, Asked, serving

from events.brokers.broker import Broker, Message
from events.brokers.memory import MemoryBroker
from events.decoding import decode
from events.event import Event, Record, Topic
from events.form import load_test
from events.outcomes import Outcome
from events.registry.folder import FolderRegistry
from events.registry.registry_factory import RegistryPlace, open_wire_format
from events.registry.rest import RestRegistry
from events.registry.schema_registry import RegistryAwayError, SchemaRegistry
from events.registry.wire_format import WireFormat
from model.problems import InvalidError

MONEY = {"type": "record", "name": "Money", "namespace": "shop", "fields": [{"name": "cents", "type": "long"}]}
PAID = {
    "type": "record",
    "name": "OrderPaid",
    "namespace": "shop",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "proof", "type": ["null", "bytes"]},
        {"name": "amount", "type": MONEY},
    ],
}
JSON_SCHEMA = {"title": "OrderSent", "type": "object", "required": ["id"]}
NAMED = {**PAID, "fields": [*PAID["fields"][:3], {"name": "amount", "type": "shop.Money"}]}  # type: ignore[index]


def order_proto() -> FileDescriptorProto:
    """Return what protoc makes of an order with a nested line, and an import of ours and one of Google's."""
    file = FileDescriptorProto(name="order.proto", package="shop", syntax="proto3")
    file.dependency.extend(["google/protobuf/timestamp.proto", "money.proto"])
    order = file.message_type.add(name="Order")
    order.field.add(name="order_id", number=1, type=9, label=1)
    order.field.add(name="at", number=2, type=11, label=1, type_name=".google.protobuf.Timestamp")
    order.field.add(name="amount", number=3, type=11, label=1, type_name=".shop.Money")
    order.nested_type.add(name="Note")
    line = order.nested_type.add(name="Line")
    line.field.add(name="count", number=1, type=5, label=1)
    return file


def money_proto() -> FileDescriptorProto:
    file = FileDescriptorProto(name="money.proto", package="shop", syntax="proto3")
    file.message_type.add(name="Money").field.add(name="cents", number=1, type=3, label=1)
    return file


def serialized(file: FileDescriptorProto) -> str:
    return base64.b64encode(file.SerializeToString()).decode()


def answers(asked: Asked) -> Answer:
    """Answer as Confluent's registry does: `.proto` text, unless descriptors are asked for."""
    reference = {"name": "shop.Money", "subject": "shop/money", "version": 3}
    proto = {"name": "money.proto", "subject": "money.proto", "version": 1}
    ready = asked.query.get("format") == ["serialized"]
    found: dict[str, object] = {
        "/schemas/ids/1": {"schema": json.dumps(NAMED), "references": [reference]},
        "/subjects/shop/money/versions/3": {"schema": json.dumps(MONEY)},
        "/schemas/ids/2": {
            "schema": serialized(order_proto()) if ready else "syntax = 'proto3';",
            "schemaType": "PROTOBUF",
            "references": [proto],
        },
        "/subjects/money.proto/versions/1": {
            "schema": serialized(money_proto()) if ready else "syntax = 'proto3';",
            "schemaType": "PROTOBUF",
        },
        "/schemas/ids/3": {"schema": json.dumps(JSON_SCHEMA), "schemaType": "JSON"},
        "/schemas/ids/8": {"schema": '{"type": "nothing"}'},
    }
    path = unquote(asked.path)
    return Answer(body=found[path]) if path in found else Answer(status=404, body={"error_code": 40403})


def make_folder(folder: Path) -> FolderRegistry:
    files = FileDescriptorSet(file=[money_proto(), order_proto()])
    (folder / "1.avsc").write_text(json.dumps(PAID))
    (folder / "2.pb").write_bytes(files.SerializeToString())
    (folder / "3.json").write_text(json.dumps(JSON_SCHEMA))
    (folder / "8.avsc").write_text('{"type": "nothing"}')
    return FolderRegistry(folder)


@pytest.fixture(params=["folder", "server"])
def wire(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[WireFormat]:
    if request.param == "folder":
        yield WireFormat(make_folder(tmp_path))
        return
    with serving(answers) as server:
        opened = WireFormat(RestRegistry(server.url))
        yield opened
        opened.close()


def registered(schema_id: int, body: bytes) -> bytes:
    return struct.pack(">bI", 0, schema_id) + body


def avro(schema: object = None) -> bytes:
    stream = BytesIO()
    at = datetime(2026, 11, 30, tzinfo=UTC)
    paid = {"id": "o-1", "at": at, "proof": b"\x00\xff", "amount": {"cents": 12}}
    fastavro.schemaless_writer(stream, fastavro.parse_schema(schema or PAID), paid)
    return stream.getvalue()


ORDER = b"\x0a\x03o-1" + b"\x12\x02\x08\x01" + b"\x1a\x02\x08\x0c"
"""An order o-1, at one second, with an amount of 12 cents."""


def read(wire: WireFormat, value: bytes) -> Event:
    wire.prepare([value])
    return decode(Record(topic=Topic("orders"), value=value), 0.0, wire)


def test_an_avro_value_becomes_json_with_the_name_of_its_record(wire: WireFormat) -> None:
    event = read(wire, registered(1, avro()))

    assert event.poison is None
    assert (event.type, event.schema_id) == ("OrderPaid", 1)
    assert event.payload == {"id": "o-1", "at": "2026-11-30T00:00:00+00:00", "proof": "AP8=", "amount": {"cents": 12}}


@pytest.mark.parametrize(
    ("head", "body", "kind", "payload"),
    [
        (b"\x00", ORDER, "Order", {"order_id": "o-1", "at": "1970-01-01T00:00:01Z", "amount": {"cents": "12"}}),
        (b"\x02\x00", ORDER, "Order", {"order_id": "o-1", "at": "1970-01-01T00:00:01Z", "amount": {"cents": "12"}}),
        (b"\x04\x00\x02", b"\x08\x02", "Line", {"count": 2}),
        (b"\x04\x00\x00", b"", "Note", {}),
    ],
)
def test_a_protobuf_message_of_any_type_of_its_file(
    wire: WireFormat, head: bytes, body: bytes, kind: str, payload: object
) -> None:
    event = read(wire, registered(2, head + body))

    assert event.poison is None
    assert (event.type, event.payload, event.schema_id) == (kind, payload, 2)


def test_a_json_value_is_checked_against_its_schema(wire: WireFormat) -> None:
    good, bad = read(wire, registered(3, b'{"id": 1}')), read(wire, registered(3, b'{"ix": 1}'))

    assert (good.type, good.payload, good.poison) == ("OrderSent", {"id": 1}, None)
    assert bad.poison is not None
    assert "does not fit its schema" in bad.poison


def test_json_without_a_schema_stays_json(wire: WireFormat) -> None:
    event = read(wire, b'{"type": "OrderPaid"}')

    assert (event.type, event.schema_id, event.poison) == ("OrderPaid", None, None)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (registered(7, b""), "schema 7 cannot be used: the registry has no"),
        (registered(8, b""), "schema 8 cannot be used: it is no Avro schema"),
        (b"\x00\x00", "at least 5 bytes, this one 2"),
        (registered(1, avro()[:-1]), "schema 1, but it is cut"),
        (registered(1, avro() + b"\x00"), "1 bytes are left over"),
        (registered(1, b""), "schema 1, but it is cut"),
        (registered(2, b"\x00" + ORDER[:-1]), "schema 2, but it is cut"),
        (registered(2, b""), "cut before the message"),
        (registered(2, b"\xff" * 9), "cut before the message"),
        (registered(2, b"\x02\x08" + ORDER), "no message type [4]"),
        (registered(2, b"\x01" + ORDER), "by -1 indexes"),
        (registered(3, b"{"), "schema 3, but"),
        (b"\x01\x00\x00\x00\x01" + avro(), "begins with 0x01, not with 0"),
    ],
)
def test_poison_is_an_event_with_a_reason(wire: WireFormat, value: bytes, reason: str) -> None:
    event = read(wire, value)

    assert event.poison is not None
    assert reason in event.poison


def test_a_value_with_a_schema_and_a_test_without_a_registry(wire: WireFormat) -> None:
    del wire
    event = decode(Record(topic=Topic("orders"), value=registered(1, avro())), 0.0)

    assert event.poison is not None
    assert "names no registry" in event.poison


def test_each_schema_is_asked_for_once() -> None:
    with serving(answers) as server:
        wire = WireFormat(RestRegistry(server.url, "me:secret"))
        for _ in range(3):
            read(wire, registered(1, avro()))
            read(wire, registered(7, b""))
        wire.close()

        assert [asked.path for asked in server.asked] == [
            "/schemas/ids/1", "/subjects/shop%2Fmoney/versions/3", "/schemas/ids/7",
        ]  # fmt: skip
        assert {asked.headers["authorization"] for asked in server.asked} == {"Basic bWU6c2VjcmV0"}


def test_references_in_a_circle_end(tmp_path: Path) -> None:
    del tmp_path
    circle = {"name": "a", "subject": "a", "version": 1}

    with serving(lambda _: Answer(body={"schema": '"string"', "references": [circle]})) as server:
        event = read(WireFormat(RestRegistry(server.url)), registered(1, b"\x02a"))

    assert (event.payload, event.poison) == ("a", None)


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (lambda _: Answer(status=401), "answered /schemas/ids/1 with 401"),
        (lambda _: Answer(status=500), "answered /schemas/ids/1 with 500"),
        (lambda _: Answer(status=404, text="<html>"), "answered /schemas/ids/1 with 404"),
        (lambda _: Answer(text="<html>"), "is no schema registry"),
        (lambda _: Answer(body=["schema"]), "is no schema registry"),
        (None, "cannot be reached"),
    ],
)
def test_a_registry_that_is_away_is_no_verdict_about_events(
    script: Callable[[Asked], Answer] | None, said: str
) -> None:
    registry: SchemaRegistry
    if script is None:
        registry = RestRegistry("http://127.0.0.1:1")
        with pytest.raises(RegistryAwayError, match=said):
            WireFormat(registry).prepare([registered(1, b"")])
        return
    with serving(script) as server, pytest.raises(RegistryAwayError, match=said):
        WireFormat(RestRegistry(server.url)).prepare([registered(1, b"")])


def test_an_answer_with_a_schema_of_another_kind_is_poison() -> None:
    with serving(lambda _: Answer(body={"schema": "<xml/>", "schemaType": "XML"})) as server:
        event = read(WireFormat(RestRegistry(server.url)), registered(1, b""))

    assert event.poison is not None
    assert "is no schema that can be used" in event.poison


def test_an_answer_that_does_not_end_is_no_verdict_about_events(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("events.http_body.LARGEST_BODY", 1000)
    endless = serving(lambda _: Answer(text=" " * 5000))

    with endless as server, pytest.raises(RegistryAwayError, match="more than 1000 bytes"):
        WireFormat(RestRegistry(server.url)).prepare([registered(1, b"")])


def test_a_json_schema_may_refer_to_others() -> None:
    files = {
        "/schemas/ids/1": {
            "schemaType": "JSON",
            "schema": '{"title": "Order", "properties": {"customer": {"$ref": "customer.json"}}}',
            "references": [{"name": "customer.json", "subject": "customer", "version": 1}],
        },
        "/subjects/customer/versions/1": {
            "schemaType": "JSON",
            "schema": '{"properties": {"name": {"$ref": "http://shop.test/name.json#/definitions/name"}}}',
            "references": [{"name": "http://shop.test/name.json", "subject": "name", "version": 2}],
        },
        "/subjects/name/versions/2": {"schemaType": "JSON", "schema": '{"definitions": {"name": {"type": "string"}}}'},
    }
    with serving(lambda asked: Answer(body=files[asked.path])) as server:
        wire = WireFormat(RestRegistry(server.url))
        good = read(wire, registered(1, b'{"customer": {"name": "Ada"}}'))
        bad = read(wire, registered(1, b'{"customer": {"name": 1}}'))

    assert (good.type, good.poison) == ("Order", None)
    assert "payload.customer.name" in (bad.poison or "")


def test_the_type_of_a_union_is_the_record_that_was_chosen(tmp_path: Path) -> None:
    sent = {"type": "record", "name": "shop.OrderSent", "fields": [{"name": "weight", "type": "double"}]}
    (tmp_path / "4.avsc").write_text(json.dumps(["null", MONEY, sent]))
    wire = WireFormat(FolderRegistry(tmp_path))

    assert [read(wire, registered(4, body)).type for body in (b"\x00", b"\x02\x04", b"\x04" + bytes(8))] == [
        "", "Money", "OrderSent",
    ]  # fmt: skip


def test_a_list_of_a_hundred_thousand_links_is_poison(tmp_path: Path) -> None:
    """The fast reader of Avro would end the process."""
    link = {"type": "record", "name": "Link", "fields": [{"name": "next", "type": ["null", "Link"]}]}
    (tmp_path / "6.avsc").write_text(json.dumps(link))
    wire = WireFormat(FolderRegistry(tmp_path))

    assert read(wire, registered(6, b"\x02\x02\x00")).payload == {"next": {"next": {"next": None}}}
    assert "nested too deeply" in (read(wire, registered(6, b"\x02" * 100_000 + b"\x00")).poison or "")


def test_a_number_that_json_lacks_becomes_a_text(tmp_path: Path) -> None:
    (tmp_path / "5.avsc").write_text('"double"')

    event = read(WireFormat(FolderRegistry(tmp_path)), registered(5, struct.pack("<d", float("nan"))))

    assert (event.payload, event.poison) == ("NaN", None)


def test_a_registry_is_opened_by_its_place(tmp_path: Path) -> None:
    make_folder(tmp_path)

    assert read(open_wire_format(RegistryPlace(folder=tmp_path)), registered(1, avro())).type == "OrderPaid"
    with pytest.raises(ValueError, match="no folder"):
        open_wire_format(RegistryPlace(folder=tmp_path / "none"))


class Sends:
    """A trigger that sends bytes as they are."""

    described = "bytes"

    def __init__(self, *values: bytes) -> None:
        self.values = values

    def fire(self, broker: Broker) -> None:
        for value in self.values:
            broker.produce(Message(topic=Topic("orders"), value=value))


@pytest.mark.parametrize(
    ("values", "outcome"),
    [
        ([registered(1, avro()), registered(2, b"\x00" + ORDER)], Outcome.PASSED),
        ([registered(1, avro()), b'{"type": "OrderPaid"}'], Outcome.FAILED),
        ([registered(1, avro()[:-1])], Outcome.FAILED),
        ([], Outcome.VACUOUS),
    ],
)
def test_a_test_requires_a_schema_of_every_event(tmp_path: Path, values: list[bytes], outcome: Outcome) -> None:
    make_folder(tmp_path)
    text = "{name: t, topics: [orders], timeoutMs: 200, registry: {folder: .}, assertions: [{registered: '*'}]}"
    loaded = load_test(text, tmp_path)
    broker = MemoryBroker()
    broker.create_topic(Topic("orders"), 1)

    result = replace(loaded.test, trigger=Sends(*values)).execute(broker)

    assert [one.outcome for one in result.results] == [outcome], result.results


def test_a_registry_that_is_away_ends_the_test(tmp_path: Path) -> None:
    broker = MemoryBroker()
    broker.create_topic(Topic("orders"), 1)
    text = """
{name: t, topics: [orders], allowedHosts: [127.0.0.1], registry: {url: "http://127.0.0.1:1"},
 assertions: [{expect: A}]}
"""
    test = replace(load_test(text, tmp_path).test, trigger=Sends(registered(1, b"")))

    with pytest.raises(RegistryAwayError, match="cannot be reached"):
        test.execute(broker)


@pytest.mark.parametrize(
    ("registry", "said"),
    [
        ("{folder: none}", "no folder 'none'"),
        ('{url: "http://elsewhere.test"}', "not one of allowedHosts"),
        ("{}", "either url or folder"),
    ],
)
def test_a_registry_that_cannot_be_used_is_a_problem(tmp_path: Path, registry: str, said: str) -> None:
    with pytest.raises(InvalidError, match=f"registry.*{said}"):
        load_test(f"{{name: t, topics: [t], registry: {registry}, assertions: [{{expect: A}}]}}", tmp_path)
