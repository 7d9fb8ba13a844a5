"""`python -m events.run`: exit codes, outputs, and how bad input ends."""

from pathlib import Path
from xml.etree.ElementTree import parse

import pytest

from events.run import main

PASSING = """
name: order
topics: [orders]
broker: "memory:"
trigger: {produce: {topic: orders, payload: {type: OrderCreated, id: o-1}}}
scope: {path: id, fromTrigger: payload.id}
assertions: [{expect: OrderCreated, name: created}]
"""


def run(folder: Path, text: str, *options: str) -> int:
    path = folder / "test.yaml"
    path.write_text(text)
    return main([str(path), *options])


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (("", ""), 0),
        (("expect: OrderCreated", "expect: OrderPaid, timeoutMs: 10"), 1),
        (("expect: OrderCreated", "never: OrderCreated"), 1),
        (("{expect: OrderCreated, name: created}", "{rule: 'always(a -> within(1s, b))'}"), 7),
        (("{expect: OrderCreated, name: created}", "{rule: 'always(OrderCreated -> within(1h, b))'}"), 7),
        (("fromTrigger: payload.id", "fromTrigger: payload.other"), 1),
        (("topic: orders,", "topic: nowhere,"), 4),
        (("memory:", "smoke:"), 4),
        (("memory:", "kafka://127.0.0.1:1"), 3),
        (("topics: [orders]", "topics: [orders]\nneeds: [groups]"), 0),
        (("topics: [orders]", "topics: [orders]\nneeds: [transactions]"), 4),
        (("topics: [orders]", "topics: [orders]\nneeds: [magic]"), 4),
        (("topics: [orders]", "topics: ["), 4),
    ],
)
def test_the_exit_code_is_the_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: tuple[str, str], code: int
) -> None:
    monkeypatch.setattr("events.brokers.kafka.REQUEST_SECONDS", 0.5)

    assert run(tmp_path, PASSING.replace(*change).replace("name: order", "name: order\ntimeoutMs: 100", 1)) == code


def test_junit_counts_each_assertion(tmp_path: Path) -> None:
    text = PASSING.replace("[{expect", "[{never: OrderCreated, name: 'no <order>'}, {expect")

    assert run(tmp_path, text, "--junit", str(tmp_path / "out.xml")) == 1
    root = parse(tmp_path / "out.xml").getroot()  # noqa: S314  our own file
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("2", "1", "0")
    assert set(root.keys()) == {"name", "tests", "failures", "errors", "time"}, "junit-10.xsd knows no others"
    assert [case.get("name") for case in root.iter("testcase")] == ["no <order>", "created"]


@pytest.mark.parametrize("option", ["--record", "--junit", "--html", "--results"])
def test_an_output_without_a_folder_is_refused_before_the_test_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    assert run(tmp_path, PASSING, option, str(tmp_path / "none" / "out")) == 4
    said = capsys.readouterr()
    assert option in said.err
    assert said.out == ""


def test_an_output_that_cannot_be_written_hides_no_verdict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "junit.xml").mkdir()

    assert run(tmp_path, PASSING, "--results", str(tmp_path)) == 4
    said = capsys.readouterr()
    assert "passed: order, 1 event" in said.out
    assert "the verdict is passed, but an output cannot be written" in said.err


def test_a_replay_needs_no_broker(tmp_path: Path) -> None:
    recording = str(tmp_path / "events.jsonl")

    assert run(tmp_path, PASSING, "--record", recording) == 0
    assert run(tmp_path, PASSING.replace("memory:", "kafka://127.0.0.1:1"), "--replay", recording) == 0
    assert run(tmp_path, PASSING.replace("expect", "never"), "--replay", recording) == 1
    assert run(tmp_path, PASSING, "--replay", str(tmp_path / "test.yaml")) == 4


def test_a_document_may_refer_to_other_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = PASSING.replace("{expect: OrderCreated, name: created}", "{asyncapi: api/shop.yaml}")
    text = text.replace("name: order", "name: order\ntimeoutMs: 300")
    (tmp_path / "api").mkdir()
    (tmp_path / "common").mkdir()
    shop = "{asyncapi: 3.0.0, channels: {o: {messages: {OrderCreated: {$ref: '../common/messages.yaml#/Created'}}}}}"
    (tmp_path / "api" / "shop.yaml").write_text(shop)
    (tmp_path / "common" / "messages.yaml").write_text("Created: {payload: {$ref: 'schemas.yaml#/Order'}}")
    for wanted, code in (("id", 0), ("customer", 1)):
        schemas = f"{{Order: {{allOf: [{{$ref: '#/Id'}}]}}, Id: {{required: [{wanted}]}}}}"
        (tmp_path / "common" / "schemas.yaml").write_text(schemas)
        assert run(tmp_path, text) == code

    for named, said in (("none.yaml", "no file 'none.yaml'"), ("../../other.yaml", "outside of the folder")):
        (tmp_path / "api" / "shop.yaml").write_text(shop.replace("../common/messages.yaml", named))
        capsys.readouterr()
        assert run(tmp_path, text) == 4
        assert said in capsys.readouterr().err


def test_an_asyncapi_document_is_read_beside_the_test(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = PASSING.replace("{expect: OrderCreated, name: created}", "{asyncapi: shop.yaml}")
    document = "{asyncapi: 3.0.0, components: {messages: {OrderCreated: {payload: {required: [%s]}}}}}"

    assert run(tmp_path, text) == 4
    assert "assertions[0].asyncapi: cannot be read" in capsys.readouterr().err
    for key, code in (("id", 0), ("customer", 1)):
        (tmp_path / "shop.yaml").write_text(document % key)
        assert run(tmp_path, text.replace("name: order", "name: order\ntimeoutMs: 500")) == code


def test_a_file_that_is_not_there_is_a_problem(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "none.yaml")]) == 4
    assert "cannot be read" in capsys.readouterr().err
