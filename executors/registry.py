"""Which tool runs which type of test. A new tool is one module and one line here."""

from executors.custom_tool import CustomTool
from executors.event_tool import EventTool
from executors.pytest_tool import PytestTool
from executors.tool import Tool
from model.request import TestType
from model.rules import ToolRules

TOOLS: dict[TestType, Tool] = {
    TestType.PYTEST: PytestTool(),
    TestType.CUSTOM: CustomTool(),
    TestType.EVENT: EventTool(),
}
RULES: ToolRules = {kind: tool.problems for kind, tool in TOOLS.items()}


def tool_for(test_type: TestType) -> Tool:
    """Return the tool. Raises: ValueError for a type without one; the check of a request refuses these before."""
    if test_type not in TOOLS:
        raise ValueError(f"there is no executor for {test_type} yet; there are {', '.join(TOOLS)}")
    return TOOLS[test_type]
