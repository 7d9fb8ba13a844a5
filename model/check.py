"""The check of a request from outside: a value, or every problem at once, each with its path.

`orchestrator.checking` calls it with the rules of all tools.
"""

from functools import cache
from typing import Any

from model.examine import REQUEST, examine, refuse
from model.plain import plain
from model.request import TestRequest
from model.rules import ToolRules
from model.schema import friendly


def check(raw: object, tools: ToolRules) -> TestRequest:
    """Return the request that `raw` describes. Raises: InvalidError with all problems."""
    seen = plain(raw)
    examined = examine(seen.value, tools)
    refuse(seen, examined.findings)
    return examined.request()


@cache
def describe_schema() -> dict[str, Any]:
    """Return the JSON schema of a request, in one piece: for forms and for the API's description."""
    example = {"name": "-", "type": "custom", "content": {"type": "inline", "files": {"-": ""}}, "command": ["-"]}
    defaults = REQUEST.adapter.dump_python(REQUEST.read(example).required(), mode="json", by_alias=True)
    return friendly(REQUEST.schema, {key: value for key, value in defaults.items() if key not in example})
