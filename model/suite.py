"""Suites: tests that are run together, and when.

A suite file holds `name`, `description`, `overlap`, `start`, `schedules`, `defaults` and `tests`. The defaults are
merged into each test, key by key; what a test says itself wins. Only in files may a test's content be a local folder.
"""

from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field

from model.cron import cron_expression
from model.definition import to_raw
from model.examine import REQUEST, examine, refuse
from model.fields import FORBID, Name
from model.lenient import mapping
from model.plain import plain
from model.reading import Reader
from model.request import LocalTest, TestRequest
from model.rules import ToolRules
from model.schema import friendly
from model.suite_rules import broken_suite_rules, examined_tests

MOST_TESTS = 500


def _timezone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (KeyError, ValueError, OSError):
        raise ValueError("is no time zone of the IANA list, such as Europe/Berlin") from None
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When a suite is run: a cron expression in a time zone, or every so many seconds. Exactly one of both."""

    __pydantic_config__ = FORBID

    cron: Annotated[str, Field(max_length=200), AfterValidator(cron_expression)] | None = None
    interval: Annotated[int | None, Field(ge=1, le=31_536_000, description="Seconds")] = None
    timezone: Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_timezone)] = "UTC"


class Start(StrEnum):
    """How the tests of a suite get their places."""

    ONE_BY_ONE = "one-by-one"
    TOGETHER = "together"


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteFields:
    """What a suite says about itself, without its tests.

    `start: together` is all or nothing: no test gets a place before all that wait can have one.
    """

    __pydantic_config__ = FORBID

    name: Name
    description: Annotated[str, Field(max_length=2000)] = ""
    overlap: Literal["skip"] = "skip"
    start: Annotated[
        Start, Field(description="one-by-one: each test when there is room for it; together: all at once or none")
    ] = Start.ONE_BY_ONE
    schedules: Annotated[tuple[Schedule, ...], Field(max_length=20)] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite(SuiteFields):
    """A suite, whole and valid. With `overlap: skip` a run whose predecessor has not ended is skipped, with a note."""

    tests: tuple[TestRequest | LocalTest, ...]

    def requests(self) -> tuple[TestRequest, ...]:
        """Return the tests as requests. Raises: ValueError while the content of one is still local."""
        requests = tuple(test for test in self.tests if isinstance(test, TestRequest))
        if len(requests) < len(self.tests):
            msg = "a test's content is still local: send it first, then use with_content"
            raise ValueError(msg)
        return requests


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteForm(SuiteFields):
    """A suite on its way in or out: all its keys, its tests still as they were written."""

    __pydantic_config__ = FORBID

    defaults: Annotated[dict[str, Any] | None, Field(description="Merged into each test; the test's own wins")] = None
    tests: Annotated[tuple[Any, ...], Field(min_length=1, max_length=MOST_TESTS)]


FORM = Reader(SuiteForm)


def check_suite(raw: object, tools: ToolRules, *, allow_local: bool = False) -> Suite:
    """Return the suite that `raw` describes. Raises: InvalidError with all problems of it and of its tests."""
    seen = plain(raw)
    reading = FORM.read(seen.value)
    suite = mapping(reading.raw)
    tests = list(examined_tests(suite, MOST_TESTS, tools, allow_local=allow_local))
    findings = [*(finding for test in tests for finding in test.findings), *broken_suite_rules(suite)]
    refuse(seen, (*reading.findings, *(reading.as_sent(finding) for finding in findings)))
    form = reading.required()
    return Suite(
        name=form.name,
        description=form.description,
        overlap=form.overlap,
        start=form.start,
        schedules=form.schedules,
        tests=tuple(test.test() for test in tests),
    )


def check_file(raw: object, tools: ToolRules) -> Suite | TestRequest | LocalTest:
    """Return what a file holds: a suite if it has the key `tests`, else a single test. Content may be local."""
    if "tests" in mapping(raw):
        return check_suite(raw, tools, allow_local=True)
    seen = plain(raw)
    examined = examine(seen.value, tools, allow_local=True)
    refuse(seen, examined.findings)
    return examined.test()


def suite_to_raw(suite: Suite) -> dict[str, Any]:
    """Return `suite` as `check_suite` accepts it, its defaults merged into its tests."""
    form = SuiteForm(
        name=suite.name,
        description=suite.description,
        overlap=suite.overlap,
        start=suite.start,
        schedules=suite.schedules,
        tests=tuple(to_raw(test) for test in suite.tests),
    )
    return mapping(FORM.adapter.dump_python(form, mode="json", by_alias=True, exclude_none=True))


@cache
def describe_suite_schema() -> dict[str, Any]:
    """Return the JSON schema of a suite, in one piece; its tests are described by `check.describe_schema`."""
    schema = friendly(FORM.schema, {"description": "", "overlap": "skip", "start": "one-by-one", "schedules": []})
    schema["properties"]["tests"]["items"] = friendly(REQUEST.schema, {})
    return schema
