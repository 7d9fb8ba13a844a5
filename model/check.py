"""The check that every request from outside passes: it returns a value, or raises all problems with their paths.

`orchestrator.checking` calls it with the rules of all tools.
"""

from functools import cache

from model.examine import REQUEST, examine, refuse
from model.json_values import JsonObject
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
def describe_schema() -> JsonObject:
    """Return the JSON schema of a request without references, for forms and for the OpenAPI document."""
    example = {"name": "-", "type": "custom", "content": {"type": "inline", "files": {"-": ""}}, "command": ["-"]}
    defaults: JsonObject = REQUEST.adapter.dump_python(REQUEST.read(example).required(), mode="json", by_alias=True)
    return friendly(REQUEST.schema, {key: value for key, value in defaults.items() if key not in example})
