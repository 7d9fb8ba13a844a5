"""The one entrance for what comes from outside: a value, or every problem at once, each with its path."""

from functools import cache
from typing import Any

from model.examine import REQUEST, examine, refuse
from model.lenient import mapping
from model.plain import plain
from model.request import LocalTest, TestRequest
from model.schema import friendly
from model.suite import FORM, Suite
from model.suite_rules import broken_suite_rules, examined_tests


def check(raw: object) -> TestRequest:
    """Return the request that `raw` describes. Raises: InvalidError with all problems."""
    seen = plain(raw)
    examined = examine(seen.value)
    refuse(seen, examined.findings)
    return examined.request()


def check_suite(raw: object, *, allow_local: bool = False) -> Suite:
    """Return the suite that `raw` describes. Raises: InvalidError with all problems of it and of its tests."""
    seen = plain(raw)
    reading = FORM.read(seen.value)
    suite = mapping(reading.raw)
    tests = list(examined_tests(suite, allow_local=allow_local))
    findings = [*(finding for test in tests for finding in test.findings), *broken_suite_rules(suite)]
    refuse(seen, (*reading.findings, *(reading.as_sent(finding) for finding in findings)))
    form = reading.required()
    return Suite(
        name=form.name,
        description=form.description,
        overlap=form.overlap,
        schedules=form.schedules,
        tests=tuple(test.test() for test in tests),
    )


def check_file(raw: object) -> Suite | TestRequest | LocalTest:
    """Return what a file holds: a suite if it has the key `tests`, else a single test. Content may be local."""
    if "tests" in mapping(raw):
        return check_suite(raw, allow_local=True)
    seen = plain(raw)
    examined = examine(seen.value, allow_local=True)
    refuse(seen, examined.findings)
    return examined.test()


@cache
def describe_schema() -> dict[str, Any]:
    """Return the JSON schema of a request, in one piece: for forms and for the API's description."""
    example = {"name": "-", "type": "custom", "content": {"type": "inline", "files": {"-": ""}}, "command": ["-"]}
    defaults = REQUEST.adapter.dump_python(check(example), mode="json", by_alias=True)
    return friendly(REQUEST.schema, {key: value for key, value in defaults.items() if key not in example})
