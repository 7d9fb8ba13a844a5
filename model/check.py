"""The one entrance for requests from outside: a value, or every problem at once, each with its path."""

from functools import cache
from typing import Any

from model.examine import REQUEST, examine, refuse
from model.plain import plain
from model.request import TestRequest
from model.schema import friendly


def check(raw: object) -> TestRequest:
    """Return the request that `raw` describes. Raises: InvalidError with all problems."""
    seen = plain(raw)
    examined = examine(seen.value)
    refuse(seen, examined.findings)
    return examined.request()


@cache
def describe_schema() -> dict[str, Any]:
    """Return the JSON schema of a request, in one piece: for forms and for the API's description."""
    example = {"name": "-", "type": "custom", "content": {"type": "inline", "files": {"-": ""}}, "command": ["-"]}
    defaults = REQUEST.adapter.dump_python(check(example), mode="json", by_alias=True)
    return friendly(REQUEST.schema, {key: value for key, value in defaults.items() if key not in example})
