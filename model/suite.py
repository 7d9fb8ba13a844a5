"""Suites: tests that are run together, and the schedules on which they are run.

A suite file has `name`, `description`, `overlap`, `start`, `startDeadlineSeconds`, `schedules`, `experiment`,
`defaults` and `tests`. The defaults are merged into each test, key by key, and a value of the test wins. A local folder
as content is allowed only in files.
"""

from dataclasses import dataclass, fields
from enum import StrEnum
from functools import cache
from typing import Annotated, Any

from pydantic import Field

from model.definition import to_raw
from model.examine import REQUEST, examine, refuse
from model.fields import FORBID, Name
from model.json_values import JsonObject, json_object
from model.lenient import mapping
from model.plain import plain
from model.reading import Reader
from model.request import LocalTest, TestRequest
from model.rules import ToolRules
from model.schedule import Schedule
from model.schema import friendly
from model.suite_rules import DURING, broken_suite_rules, examined_tests, window_of_each
from model.suite_windows import During
from model.wording import nearest

MOST_TESTS = 500
LONGEST_DEADLINE = 30 * 86_400


class Overlap(StrEnum):
    """What happens to a scheduled run of a suite whose run before has not ended."""

    SKIP = "skip"
    QUEUE = "queue"
    REPLACE = "replace"


class Start(StrEnum):
    """Whether the tests of a suite start one by one or all at once."""

    ONE_BY_ONE = "one-by-one"
    TOGETHER = "together"


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteFields:
    """The fields of a suite, without its tests.

    `start: together` is all or nothing: no test is admitted before all that wait can be admitted.
    """

    __pydantic_config__ = FORBID

    name: Annotated[Name, Field(description="Name of the suite")]
    description: Annotated[str, Field(max_length=2000, description="A sentence for people")] = ""
    overlap: Annotated[
        Overlap,
        Field(
            description="What happens to a scheduled run while the one before has not ended: skip it, queue its tests, "
            "or replace the one before, which is cancelled"
        ),
    ] = Overlap.SKIP
    start: Annotated[
        Start,
        Field(description="one-by-one: each test as soon as it can be admitted; together: all tests at once, or none"),
    ] = Start.ONE_BY_ONE
    start_deadline_seconds: Annotated[
        int | None,
        Field(ge=10, le=LONGEST_DEADLINE, description="A scheduled run that could not start for so long is skipped"),
    ] = None
    schedules: Annotated[
        tuple[Schedule, ...], Field(max_length=20, description="When the suite is run by itself, after `assay deploy`")
    ] = ()
    experiment: Annotated[
        dict[str, object] | None,
        Field(
            description="A chaos experiment that the tests go through, with the keys of its own file. Each test says "
            "`during: baseline`, `fault` or `recovery`"
        ),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite(SuiteFields):
    """A valid suite. `during` says for each test in which window of the experiment it runs; all None without one."""

    tests: tuple[TestRequest | LocalTest, ...]
    during: tuple[During | None, ...] = ()

    def requests(self) -> tuple[TestRequest, ...]:
        """Return the tests as requests. Raises: ValueError while the content of one is still local."""
        requests = tuple(test for test in self.tests if isinstance(test, TestRequest))
        if len(requests) < len(self.tests):
            msg = "the content of a test is still local: send it first, then use with_content"
            raise ValueError(msg)
        return requests


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteForm(SuiteFields):
    """The written form of a suite: all its keys, with the tests as plain data."""

    __pydantic_config__ = FORBID

    defaults: Annotated[
        dict[str, object] | None, Field(description="Merged into each test; a value of the test wins")
    ] = None
    tests: Annotated[
        tuple[object, ...], Field(min_length=1, max_length=MOST_TESTS, description="The tests of the suite")
    ]


FORM = Reader(SuiteForm)


def check_suite(raw: object, tools: ToolRules, *, allow_local: bool = False) -> Suite:
    """Return the suite that `raw` describes. Raises: InvalidError with all problems of the suite and of its tests."""
    seen = plain(raw)
    reading = FORM.read(seen.value)
    suite = mapping(reading.raw)
    tests = list(examined_tests(suite, MOST_TESTS, tools, allow_local=allow_local))
    findings = [*(finding for test in tests for finding in test.findings), *broken_suite_rules(suite)]
    refuse(seen, (*reading.findings, *(reading.as_sent(finding) for finding in findings)))
    form = reading.required()
    during = window_of_each(suite, MOST_TESTS) if form.experiment is not None else ()
    return Suite(tests=tuple(test.test() for test in tests), during=during, **_suite_fields(form))


def _suite_fields(suite: SuiteFields) -> dict[str, Any]:
    return {field.name: getattr(suite, field.name) for field in fields(SuiteFields)}


def check_file(raw: object, tools: ToolRules) -> Suite | TestRequest | LocalTest:
    """Return the suite or the test that a file describes. A file with the key `tests` is a suite.

    Content may be local. Raises: InvalidError with all problems.
    """
    if is_suite(raw):
        return check_suite(raw, tools, allow_local=True)
    seen = plain(raw)
    examined = examine(seen.value, tools, allow_local=True)
    refuse(seen, examined.findings)
    return examined.test()


def is_suite(raw: object) -> bool:
    """Say whether `raw` is a suite and not a single test, also where the key `tests` is misspelt."""
    document = mapping(raw)
    known = sorted({*json_object(FORM.schema["properties"]), *json_object(REQUEST.schema["properties"])})
    lists = [key for key, value in document.items() if isinstance(key, str) and isinstance(value, list)]
    return "tests" in document or any(key not in known and nearest(key, known) == "tests" for key in lists)


def suite_to_raw(suite: Suite) -> JsonObject:
    """Return `suite` as JSON data that `check_suite` accepts. The defaults are merged into the tests."""
    form = SuiteForm(
        tests=tuple(_test_to_raw(suite, number) for number in range(len(suite.tests))), **_suite_fields(suite)
    )
    raw: JsonObject = FORM.adapter.dump_python(form, mode="json", by_alias=True, exclude_none=True)
    return raw


def _test_to_raw(suite: Suite, number: int) -> JsonObject:
    during = suite.during[number] if suite.during else None
    return {**to_raw(suite.tests[number]), **({DURING: during.value} if during else {})}


@cache
def describe_suite_schema() -> JsonObject:
    """Return the JSON schema of a suite without references. It includes the schema of its tests."""
    schema = friendly(FORM.schema, {"description": "", "overlap": "skip", "start": "one-by-one", "schedules": []})
    tests = json_object(json_object(schema["properties"])["tests"])
    tests["items"] = with_during(friendly(REQUEST.schema, {}))
    return schema


def with_during(test: JsonObject) -> JsonObject:
    """Return the schema of a test as one of a suite, where it says in which window of the experiment it runs."""
    during: JsonObject = {
        "description": "In which window of the suite's experiment the test runs; only in a suite with one",
        "enum": [*During],
        "title": "During",
        "type": "string",
    }
    return {**test, "properties": {**json_object(test["properties"]), DURING: during}}
