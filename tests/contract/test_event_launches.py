"""An event test under each backend: in an environment of its own, with the framework that Assay brings along."""

from harness.backends import Bed, order, run

from cluster.backend import Backend
from events.endings import JUNIT, PAGE, RECORDING
from executors.registry import tool_for
from model.content import InlineContent
from model.execution import Reason
from model.request import TestRequest, TestType
from model.result import Outcome
from model.verdict import judge

TEST = """
name: order
topics: [orders]
trigger: {produce: {topic: orders, payload: {type: OrderCreated, id: o-1}}}
scope: {path: id, fromTrigger: payload.id}
assertions:
  - {expect: OrderCreated, name: created}
  - {never: OrderCreated, name: not created}
"""


async def test_each_assertion_is_a_result_and_a_failed_run_leaves_its_events(bed: Bed, backend: Backend) -> None:
    """The broker is the mock cluster, inside of the process or the pod."""
    content = InlineContent(files={"events/order.yaml": TEST}, path="events/order.yaml")
    request = TestRequest(name="order", type=TestType.EVENT, content=content)
    tool = tool_for(TestType.EVENT)
    wanted = order(bed, "", content=content, command=tool.command(request), python=tool.python(request))

    ending = await run(backend, wanted)

    results = (await backend.spool(wanted.attempt)).results
    report = tool.read(request, results)
    verdict = judge(report, ending, tool.verdict)
    assert {result.name: result.outcome for result in report.results} == {
        "order::created": Outcome.PASSED,
        "order::not created": Outcome.FAILED,
    }, ending
    assert (verdict.reason, verdict.detail) == (Reason.TESTS_FAILED, "1 of 2 failed, first order::not created")
    assert {path.name for path in results.iterdir()} >= {JUNIT, PAGE, RECORDING}
