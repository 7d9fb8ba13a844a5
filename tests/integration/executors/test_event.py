"""The endings of an event test, from the program to the verdict of its run."""

from pathlib import Path

import pytest

from events.run import main
from executors.event_tool import EventTool
from model.content import InlineContent
from model.ending import Ending, How
from model.execution import Reason
from model.request import TestRequest, TestType
from model.verdict import judge

TEST = """
name: order
topics: [orders]
broker: "memory:"
timeoutMs: 100
trigger: {produce: {topic: orders, payload: {type: OrderCreated}}}
assertions: [{expect: OrderCreated, name: created}]
"""


@pytest.mark.parametrize(
    "case",
    [
        (("", ""), None, ""),
        (("{expect", "{never"), Reason.TESTS_FAILED, "1 of 1 failed, first order::created"),
        (
            ("{expect: OrderCreated, name: created}", "{rule: 'always(A -> B)'}"),
            Reason.TESTS_FAILED,
            "1 of 1 were not tested, or not decided, first order::1: rule",
        ),
        (("{produce: {topic: orders, ", "{command: {argv: ['false']}} #"), Reason.TESTS_FAILED, "order::trigger"),
        (("{produce: {topic: orders, ", "{command: {argv: [no-such]}} #"), Reason.CONFIG, "cannot be started"),
        (("memory:", "kafka://127.0.0.1:1"), Reason.INFRASTRUCTURE, "cannot be reached"),
        (("memory:", "smoke:"), Reason.CONFIG, "is not known"),
        (("expect", "expct"), Reason.CONFIG, "this key is not known here"),
    ],
)
def test_each_ending_has_its_verdict(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    case: tuple[tuple[str, str], Reason | None, str],
) -> None:
    change, reason, detail = case
    monkeypatch.setattr("events.brokers.kafka.REQUEST_SECONDS", 0.5)
    (tmp_path / "order.yaml").write_text(TEST.replace(*change))
    request = TestRequest(
        name="order", type=TestType.EVENT, content=InlineContent(files={"order.yaml": ""}, path="order.yaml")
    )

    code = main([str(tmp_path / "order.yaml"), "--results", str(tmp_path)])

    said = capfd.readouterr().err.strip()
    tool = EventTool()
    verdict = judge(tool.read(request, tmp_path), Ending(how=How.EXITED, exit_code=code, detail=said), tool.verdict)
    assert verdict.reason is reason
    assert detail in verdict.detail
