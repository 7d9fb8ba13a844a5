"""Which tool runs which type of test."""

from executors.custom_tool import CustomTool
from executors.pytest_tool import PytestTool
from executors.tool import Tool
from model.request import TestType

TOOLS: dict[TestType, Tool] = {TestType.PYTEST: PytestTool(), TestType.CUSTOM: CustomTool()}


def tool_for(test_type: TestType) -> Tool:
    """Return the tool. Raises: ValueError for a type without one, which `model.check` refuses before."""
    if test_type not in TOOLS:
        raise ValueError(f"there is no executor for {test_type} yet; there are {', '.join(TOOLS)}")
    return TOOLS[test_type]
